import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Warehouse } from '../../src/sdk/index.js'
import { type FakeApi, fakeApi } from '../../src/sandbox/index.js'
import { openWarehouse } from '../../src/warehouse/open.js'
import { apiYaml, readYaml, runAt } from '../../test/support/api-run.js'
import { all } from '../../test/support/warehouse.js'

/** More for a longer look: SEED=4242 PIPE_TEST_CASES=500 npx vitest run plugins/paginate-cursor/complete.test.ts */
const CASES = Number(process.env.PIPE_TEST_CASES ?? 4)
const SEED = Number(process.env.SEED ?? 7)
const BASE = 1_700_000_000
const OVERLAP = 60

/** What happens to the list while it is read: at some request, rows come in or go away. */
const change = fc.record({
  at: fc.nat(20),
  rows: fc.integer({ min: 1, max: 4 }),
  /** Seconds before the newest row, at most the overlap: how late they are. */
  late: fc.oneof(fc.constant(0), fc.nat(OVERLAP)),
  remove: fc.boolean(),
})

const world = fc.record({
  // Many share a second, some lie hours apart.
  times: fc.array(fc.oneof(fc.nat(30), fc.nat(4 * 3600)), { maxLength: 40 }),
  limit: fc.integer({ min: 1, max: 7 }),
  inclusive: fc.boolean(),
  runs: fc.array(fc.record({ diesAfter: fc.oneof(fc.constant(Infinity), fc.nat(4)), changes: fc.array(change, { maxLength: 3 }) }), {
    maxLength: 3,
  }),
})

interface Options {
  readonly way: string
  readonly shrinks?: boolean
  readonly more?: string
  /** New rows come in by the clock, not behind the newest row: windows of the past are believed. */
  readonly byClock?: boolean
  /** What may be given as the reason of a run that does not end well. Nothing: it must end well. */
  readonly mayFail?: RegExp
}

/** Runs with growth and kills, then one in peace. Resolves to what is in the table and what should be, or why it failed. */
async function play(
  { way, shrinks = false, more = '', byClock = false }: Options,
  of: typeof world extends fc.Arbitrary<infer T> ? T : never,
) {
  const api = fakeApi({ seed: 5 })
  for (const second of of.times) api.add(1, { at: BASE + second })
  const seen = new Set<string>(ids(api))
  let now = BASE + 5 * 3600
  let requests = 0
  let changes: readonly { readonly at: number; readonly rows: number; readonly late: number; readonly remove: boolean }[] = []
  const server = await api.serve({
    maxLimit: 100,
    bound: of.inclusive ? 'inclusive' : 'exclusive',
    before: () => {
      requests++
      for (const { at, rows, late, remove } of changes)
        if (at === requests) alter(api, seen, { rows, late, remove: shrinks && remove, ...(byClock ? { at: now - late } : {}) })
    },
  })
  const warehouse = await openWarehouse('duckdb::memory:', { mode: 'write' })
  try {
    const pipeline = await readYaml(apiYaml({ way, limit: of.limit, cover: 'from: 2023-11-14T22:13:20Z', more }), { URL: server.url })
    await warehouse.prepare([...pipeline.tables.values()])
    for (const { diesAfter, changes: planned } of of.runs) {
      requests = 0
      changes = planned
      await runAt(pipeline, warehouse, { now, diesAfter })
      now += 600
    }
    changes = []
    let last = await runAt(pipeline, warehouse, { now })
    // A unit that failed when the list was shifting goes on.
    if (last.outcome !== 'done') last = await runAt(pipeline, warehouse, { now: now + 60 })
    return { outcome: last.outcome, reasons: last.reasons, table: await tableIds(warehouse), source: ids(api), seen }
  } finally {
    await warehouse.close()
    await server.close()
  }
}

function alter(api: FakeApi, seen: Set<string>, change: { rows: number; late: number; remove: boolean; at?: number }): void {
  const list = api.transactions
  const at = change.at ?? Math.max(BASE, (list[0]?.time ?? BASE + 60) - change.late)
  if (change.remove) for (const { id } of list.slice(0, change.rows)) api.remove(id)
  else for (const { id } of api.add(change.rows, { at })) seen.add(id)
}

const ids = (api: FakeApi) => api.transactions.map(({ id }) => id).sort()

async function tableIds(warehouse: Warehouse): Promise<string[]> {
  return (await all(warehouse, 'SELECT id FROM t ORDER BY id')).map(({ id }) => String(id))
}

const cases: readonly Options[] = [
  { way: 'next' },
  { way: 'url' },
  { way: 'link' },
  { way: 'key' },
  { way: 'ties' },
  { way: 'time', mayFail: /SECOND_TOO_FULL/ },
  { way: 'offset', mayFail: /LIST_SHIFTS/ },
  { way: 'page', mayFail: /LIST_SHIFTS/ },
  { way: 'windows', byClock: true, mayFail: /LIST_SHIFTS/ },
]

describe('whatever the times, the page size, the growth and the moments of death', () => {
  it.each(cases)(
    'by $way, the table has every row of the source, once, or the run says why not',
    async (options) => {
      let whole = 0
      await fc.assert(
        fc.asyncProperty(world, async (of) => {
          const { outcome, reasons, table, source } = await play(options, of)
          if (outcome === 'done') {
            expect(table).toEqual(source)
            whole++
          } else {
            expect(options.mayFail, reasons.join('; ')).toBeDefined()
            expect(reasons.join('; ')).toMatch(options.mayFail ?? /^$/)
          }
        }),
        { numRuns: CASES, seed: SEED, endOnFailure: true },
      )
      // A reader that always gives up would be right, too.
      expect(whole).toBeGreaterThan(CASES / 3)
    },
    120_000 + CASES * 5_000,
  )

  it.each([{ way: 'offset' }, { way: 'page' }, { way: 'key' }, { way: 'next' }, { way: 'ties' }])(
    'by $way, nothing that stays in a list is missed when rows above it go away',
    async ({ way }) => {
      await fc.assert(
        fc.asyncProperty(world, async (of) => {
          const { outcome, reasons, table, source, seen } = await play({ way, shrinks: true }, of)
          // Rows that were read and are gone from the end of the list are known all the same.
          if (outcome !== 'done') {
            expect(reasons.join('; ')).toMatch(/LIST_SHIFTS|LIST_END/)
            return
          }
          expect(source.filter((id) => !table.includes(id))).toEqual([])
          expect(table.filter((id) => !seen.has(id))).toEqual([])
        }),
        { numRuns: CASES, seed: SEED, endOnFailure: true },
      )
    },
    120_000 + CASES * 5_000,
  )
})
