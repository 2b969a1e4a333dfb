import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { systemClock } from '../src/cli/system-clock.js'
import { RESET_FINGERPRINT } from '../src/ledger/fingerprints.js'
import { resetRows } from '../src/ledger/reset.js'
import { consumersOf } from '../src/pipeline/steps/inputs.js'
import type { Pipeline } from '../src/pipeline/pipeline.js'
import { readPipeline } from '../src/pipeline/read.js'
import { run } from '../src/run/run.js'
import { type RunFact, type Table, timeUnit, type Warehouse } from '../src/sdk/index.js'
import { openDuckdb } from '../src/warehouse/duckdb/index.js'
import { temporaryFolder } from './support/folder.js'
import { all, output, step, write } from './support/warehouse.js'

const DAY = 86_400_000_000n
const START = 1_709_251_200_000_000n

/** By day; by day with the two days before; of the days, by week; as a whole; and of the whole. */
const FILE = `name: p
warehouse: "duckdb::memory:"
tables:
  moves: { columns: { id: bigint, time: timestamp?, wallet: text, amount: bigint }, key: [id] }
  daily: { columns: { day: date, moves: bigint, amount: bigint }, key: [day] }
  rolling: { columns: { day: date, wallets: bigint }, key: [day] }
  weekly: { columns: { week: date, amount: bigint }, key: [week] }
  wallets: { columns: { wallet: text, first_seen: timestamp?, moves: bigint }, key: [wallet] }
  newcomers: { columns: { day: date, wallets: bigint }, key: [day] }
steps:
  - id: daily
    type: sql-upsert
    into: daily
    with:
      interval: { by: 1d, of: { moves: time } }
      sql: SELECT CAST(time AS date) AS day, count(*) AS moves, CAST(sum(amount) AS bigint) AS amount FROM moves WHERE time >= $start AND time < $end GROUP BY 1
  - id: rolling
    type: sql-upsert
    into: rolling
    with:
      interval: { by: 1d, of: { moves: time }, lookback: 2d }
      sql: SELECT CAST($start AS date) AS day, count(DISTINCT wallet) AS wallets FROM moves WHERE time >= $start - INTERVAL '2 days' AND time < $end HAVING count(*) > 0
  - id: weekly
    type: sql-upsert
    needs: [daily]
    into: weekly
    with:
      interval: { by: 7d, of: { daily: day } }
      sql: SELECT CAST($start AS date) AS week, CAST(sum(amount) AS bigint) AS amount FROM daily WHERE day >= $start AND day < $end HAVING count(*) > 0
  - id: wallets
    type: sql-upsert
    into: wallets
    with: { sql: "SELECT wallet, min(time) AS first_seen, count(*) AS moves FROM moves GROUP BY 1" }
  - id: newcomers
    type: sql-upsert
    needs: [wallets]
    into: newcomers
    with:
      sql: SELECT CAST(first_seen AS date) AS day, count(*) AS wallets FROM wallets WHERE first_seen IS NOT NULL GROUP BY 1
`

/** What each table must hold, by one query over all of `moves`. */
const TRUTH = {
  daily:
    'SELECT CAST(time AS date) AS day, count(*) AS moves, CAST(sum(amount) AS bigint) AS amount FROM moves WHERE time IS NOT NULL GROUP BY 1',
  rolling: `SELECT d AS day, count(DISTINCT wallet) AS wallets FROM (SELECT DISTINCT CAST(time AS date) + n AS d FROM moves, (VALUES (0), (1), (2)) v(n) WHERE time IS NOT NULL) days
    JOIN moves ON time >= d - INTERVAL '2 days' AND time < d + INTERVAL '1 day' GROUP BY 1`,
  weekly: `SELECT DATE '1970-01-01' + CAST((CAST(epoch(CAST(time AS date)) AS bigint) // 604800) * 7 AS int) AS week, CAST(sum(amount) AS bigint) AS amount FROM moves WHERE time IS NOT NULL GROUP BY 1`,
  wallets: 'SELECT wallet, min(time) AS first_seen, count(*) AS moves FROM moves GROUP BY 1',
  newcomers:
    'SELECT CAST(f AS date) AS day, count(*) AS wallets FROM (SELECT min(time) AS f FROM moves GROUP BY wallet) WHERE f IS NOT NULL GROUP BY 1',
}

async function pipelineOf(text: string): Promise<Pipeline> {
  const file = join(temporaryFolder(), 'p.yaml')
  writeFileSync(file, text)
  const read = await readPipeline(file, { cwd: temporaryFolder(), env: {}, environment: 'warn', params: {} })
  expect(read.problems).toEqual([])
  return read.pipeline as Pipeline
}

let pipeline: Pipeline
let warehouse: Warehouse
let moves: Table
beforeAll(async () => {
  pipeline = await pipelineOf(FILE)
  moves = pipeline.tables.get('moves') as Table
  warehouse = await openDuckdb({ path: ':memory:', mode: 'write' })
  await warehouse.prepare([...pipeline.tables.values()])
  warehouse.watch(consumersOf(pipeline))
  await warehouse.open(step, ['u'], 1n)
})
afterAll(() => warehouse.close())

async function runAll(
  into: Warehouse = warehouse,
  { of = pipeline, now = START + 1_000n * DAY }: { readonly of?: Pipeline; readonly now?: bigint } = {},
): Promise<{ outcome: string; units: string[] }> {
  const units: string[] = []
  const none = (): never => {
    throw new Error('no endpoint in this test')
  }
  const { outcome } = await run({
    pipeline: of,
    warehouse: into,
    moment: { now, head: none },
    clock: systemClock,
    random: () => 0.5,
    emit: (fact: RunFact) => {
      if (fact.type === 'unit:done') units.push(`${fact.step} ${fact.unit}`)
    },
    signal: new AbortController().signal,
    given: {},
    select: undefined,
    limit: undefined,
    rpc: () => ({ batch: none, request: none, logs: none, turns: none, prove: none, ready: none }),
    http: () => ({}) as never,
    redact: (text) => text,
    onCheck: () => undefined,
  })
  return { outcome, units }
}

const change = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      put: fc.array(fc.tuple(fc.nat(15), fc.option(fc.nat(20)), fc.nat(3), fc.nat(9)), { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ drop: fc.tuple(fc.nat(15), fc.nat(4)) }) },
)

it('whatever was inserted, overwritten and deleted, a run ends with what one query over the whole table gives, and another run has nothing to do', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 5 }), async (changes) => {
      for (const each of changes) {
        if ('put' in each) {
          const rows = new Map(
            each.put.map(([id, day, wallet, amount]) => [
              id,
              { id, time: day === null ? null : START + BigInt(day) * DAY + BigInt(id), wallet: `w${wallet}`, amount },
            ]),
          )
          await warehouse.commit([write([{ output: output(moves), rows: [...rows.values()] }])])
        } else {
          const [from, more] = each.drop
          await warehouse.commit([
            write([], { deletes: [{ table: 'moves', column: 'id', from: BigInt(from), to: BigInt(from + more), constants: {} }] }),
          ])
        }
      }
      expect((await runAll()).outcome).toBe('done')
      for (const [table, truth] of Object.entries(TRUTH))
        expect({ table, rows: await all(warehouse, `SELECT * FROM ${table} ORDER BY 1`) }).toEqual({
          table,
          rows: await all(warehouse, `SELECT * FROM (${truth}) ORDER BY 1`),
        })
      expect(await runAll()).toEqual({ outcome: 'done', units: [] })
    }),
    { numRuns: Number(process.env.PIPE_TEST_ROLLUPS ?? 15) },
  )
}, 120_000)

it('what a step beside it changes while it runs makes the run no less complete, and is the next run’s', async () => {
  const put = (id: number, day: number) =>
    warehouse.commit([write([{ output: output(moves), rows: [{ id, time: START + BigInt(day) * DAY, wallet: 'w', amount: 1 }] }])])
  await warehouse.commit([write([], { deletes: [{ table: 'moves', column: 'id', from: 0n, to: 99n, constants: {} }] })])
  await put(1, 1)
  await runAll()
  await put(2, 1)
  let beside = 0
  const busy = new Proxy(warehouse, {
    get: (target, name) => {
      if (name === 'commit')
        return async (writes: Parameters<Warehouse['commit']>[0]) => {
          const outcome = await target.commit(writes)
          if (beside === 0 && writes.some(({ step: by, selects }) => by.step === 'daily' && selects)) {
            beside++
            await put(3, 1)
            await put(4, 9)
          }
          return outcome
        }
      const value: unknown = Reflect.get(target, name)
      // Private fields want the warehouse itself.
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  const first = await runAll(busy)
  expect([first.outcome, beside, first.units.filter((unit) => unit.startsWith('daily'))]).toEqual(['done', 1, ['daily 2024-03-02']])
  const second = await runAll()
  expect(second.outcome).toBe('done')
  expect(second.units.filter((unit) => unit.startsWith('daily')).sort()).toEqual(['daily 2024-03-02', 'daily 2024-03-10'])
  expect(await runAll()).toEqual({ outcome: 'done', units: [] })
})

/** One row an interval of five minutes. */
const FIVES = `name: p
warehouse: "duckdb::memory:"
tables:
  moves: { columns: { id: bigint, time: timestamp?, wallet: text, amount: bigint }, key: [id] }
  fives: { columns: { time: timestamp, amount: bigint }, key: [time] }
steps:
  - id: fives
    type: sql-upsert
    into: fives
    with:
      interval: { by: 5m, of: { moves: time } }
      sql: SELECT date_trunc('hour', min(time)) + to_minutes(5 * (date_part('minute', min(time)) // 5)) AS time, CAST(sum(amount) AS bigint) AS amount FROM moves WHERE time >= $start AND time < $end HAVING count(*) > 0
`

it('following for days leaves a few rows of intervals, of which one that a late change touches is computed again alone, as after a reset, and all under a new definition', async () => {
  const FIVE = 300_000_000n
  const own = await openDuckdb({ path: ':memory:', mode: 'write' })
  let of = await pipelineOf(FIVES)
  const input = of.tables.get('moves') as Table
  const put = (rows: readonly (readonly [place: number, amount: number])[]) =>
    own.commit([
      write([
        {
          output: output(input),
          rows: rows.map(([place, amount]) => ({ id: place, time: START + BigInt(place) * FIVE, wallet: 'w', amount })),
        },
      ]),
    ])
  const ledger = async () => {
    const rows = await all(own, "SELECT unit FROM _pipe_units WHERE step = 'fives'")
    const units = await own.units('p', 'fives')
    return [rows.length, units.filter(({ state }) => state === 'done').length]
  }
  const amounts = async () => (await all(own, 'SELECT amount FROM fives ORDER BY time')).map(({ amount }) => Number(amount))
  await own.prepare([...of.tables.values()])
  own.watch(consumersOf(of))
  await own.open(step, ['u'], 1n)

  // As so many rounds leave it: each computed its interval. The last one has its end by this run.
  await put([[0, 0]])
  await runAll(own, { of, now: START + 1n })
  const [done] = await own.units('p', 'fives')
  if (!done) throw new Error('no interval was computed')
  const fives = of.tables.get('fives') as Table
  const intervals = Array.from({ length: 298 }, (_, i) => ({ first: START + BigInt(i + 1) * FIVE, amount: i + 1 }))
  await own.commit([write([{ output: output(fives), rows: intervals.map(({ first, amount }) => ({ time: first, amount })) }])])
  const { fingerprint, coverage, rows: counts } = done
  const names = intervals.map(({ first }) => ({ unit: timeUnit(first, FIVE), first, last: first + FIVE - 1n }))
  const by = { pipeline: 'p', step: 'fives', fingerprint }
  await put(intervals.map(({ amount }) => [amount, amount]))
  await own.amend(
    'p',
    { put: names.map((at) => ({ step: by, ...at, state: 'done', coverage: coverage ?? null, rows: counts })), drop: [] },
    1n,
  )
  await own.execute([{ parts: ['DELETE FROM _pipe_touched'], params: [] }])
  await put([[299, 299]])
  expect(await runAll(own, { of, now: START + 300n * FIVE })).toEqual({ outcome: 'done', units: ['fives 2024-03-02T00:55:00Z'] })
  // An aligned border lies among them.
  expect(await ledger()).toEqual([128 + 2, 300])
  const now = START + 310n * FIVE
  expect(await runAll(own, { of, now })).toEqual({ outcome: 'done', units: [] })

  await put([[10, 1_000]])
  expect(await runAll(own, { of, now })).toEqual({ outcome: 'done', units: ['fives 2024-03-01T00:50:00Z'] })
  const later = Array.from({ length: 300 }, (_, i) => (i === 10 ? 1_000 : i))
  expect([await amounts(), (await ledger())[1]]).toEqual([later, 300])

  const change = resetRows(
    { pipeline: 'p', step: 'fives', fingerprint: RESET_FINGERPRINT },
    await own.units('p', 'fives'),
    '2024-03-01T05:00:00Z',
  )
  expect(change.names).toEqual(['2024-03-01T05:00:00Z'])
  await own.amend('p', change, 1n)
  expect(await runAll(own, { of, now })).toEqual({ outcome: 'done', units: ['fives 2024-03-01T05:00:00Z'] })

  of = await pipelineOf(FIVES.replace('sum(amount)', 'sum(2 * amount)'))
  const again = await runAll(own, { of, now })
  expect([again.units.length, await amounts()]).toEqual([300, later.map((amount) => 2 * amount)])
  expect(await runAll(own, { of, now })).toEqual({ outcome: 'done', units: [] })
  expect([((await ledger())[0] as number) < 200, (await ledger())[1]]).toEqual([true, 300])
  await own.close()
}, 60_000)
