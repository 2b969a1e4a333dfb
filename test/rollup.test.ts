import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { systemClock } from '../src/cli/system-clock.js'
import { consumersOf } from '../src/pipeline/steps/inputs.js'
import type { Pipeline } from '../src/pipeline/pipeline.js'
import { readPipeline } from '../src/pipeline/read.js'
import { run } from '../src/run/run.js'
import type { RunFact, Table, Warehouse } from '../src/sdk/index.js'
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

let pipeline: Pipeline
let warehouse: Warehouse
let moves: Table
beforeAll(async () => {
  const file = join(temporaryFolder(), 'p.yaml')
  writeFileSync(file, FILE)
  const read = await readPipeline(file, { cwd: temporaryFolder(), env: {}, environment: 'warn', params: {} })
  expect(read.problems).toEqual([])
  pipeline = read.pipeline as Pipeline
  moves = pipeline.tables.get('moves') as Table
  warehouse = await openDuckdb({ path: ':memory:', mode: 'write' })
  await warehouse.prepare([...pipeline.tables.values()])
  warehouse.watch(consumersOf(pipeline))
  await warehouse.open(step, ['u'], 1n)
})
afterAll(() => warehouse.close())

async function runAll(into: Warehouse = warehouse): Promise<{ outcome: string; units: string[] }> {
  const units: string[] = []
  const none = (): never => {
    throw new Error('no endpoint in this test')
  }
  const { outcome } = await run({
    pipeline,
    warehouse: into,
    moment: { now: START + 1_000n * DAY, head: none },
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
