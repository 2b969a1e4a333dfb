import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fakeChain, type FakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import { chdbMissing } from './support/clickhouse-server.js'
import { expectedBalances, minersFile } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { Moments } from './support/moments.js'
import { readChdb } from './support/read-clickhouse.js'
import { postgresDatabase } from './support/postgres.js'
import { readDuckdb } from './support/read-duckdb.js'
import { readPostgres } from './support/read-postgres.js'
import { runPipe, spawnPipe } from './support/spawn-pipe.js'

/** More for a longer look: PIPE_TEST_KILLS=100 npx vitest run test/clickhouse.test.ts */
const KILLS = Number(process.env.PIPE_TEST_KILLS ?? 3)
const LAST = 4_000

const missing = chdbMissing()
if (missing !== undefined) process.stderr.write(`SKIPPED: kills on embedded ClickHouse, for chdb does not load here: ${missing}\n`)

let chain: FakeChain
let node: FakeEndpoint
let golden: Awaited<ReturnType<typeof content>>
const moments = new Moments()

/** What people read, and what the ledger says is done. */
async function content(cwd: string) {
  const { blocks, miners_balance: balances, _pipe_units: units } = await readChdb(join(cwd, 'data/ch'))
  const done = new Set<number>()
  for (const { step, unit, state } of units?.rows ?? []) {
    if (step !== 'blocks') continue
    expect(state).toBe('done')
    const [from = 0, to = -1] = (unit ?? '').split('-').map(Number)
    for (let n = from; n <= to; n++) {
      // Exactly once: no two units speak of one block.
      expect(done.has(n)).toBe(false)
      done.add(n)
    }
  }
  return { blocks: blocks?.hash, balances: balances?.hash, rows: [blocks?.rows.length, balances?.rows.length], done: done.size }
}

const args = ['run', minersFile, '--output', 'json', '--param', 'from=0', '--param', `to=${LAST}`]
const start = (cwd: string, warehouse = 'chdb:data/ch') =>
  spawnPipe(args, { cwd, env: { ETH_RPC_URL: node.url, WAREHOUSE_URL: warehouse } })

/** Runs until one run ends by itself; `kill` decides when each run before it dies. Resolves to how many were killed. */
async function until(cwd: string, kill: (run: ReturnType<typeof start>, n: number) => Promise<unknown> | undefined): Promise<number> {
  for (let n = 1; ; n++) {
    const run = start(cwd)
    void kill(run, n)?.then(
      () => run.kill('SIGKILL'),
      () => undefined,
    )
    const { code, signal, stderr } = await run.exit
    if (signal === 'SIGKILL') continue
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return n - 1
  }
}

const OTHER = `name: other
warehouse: chdb:data/ch
tables:
  t: { columns: { k: bigint }, key: [k] }
steps:
  - id: check
    type: gate
    with: { checks: [{ name: none, sql: SELECT count(*) FROM t, expect: 0 }] }
`

describe.skipIf(missing !== undefined)('pipelines/miners.yaml into embedded ClickHouse', () => {
  beforeAll(async () => {
    chain = fakeChain({ seed: 11, blocks: LAST + 20 })
    node = await chain.serve()
    // Slow enough that a run has many moments to be killed in.
    node.fault({ kind: 'latency', ms: 15, jitterMs: 10 })
    const cwd = temporaryFolder()
    const unbroken = await moments.measure(start(cwd))
    expect({ code: unbroken.code, err: unbroken.stderr }).toEqual({ code: 0, err: '' })
    golden = await content(cwd)
    expect((await readChdb(join(cwd, 'data/ch'), { tables: ['miners_balance'] })).miners_balance?.rows).toEqual(
      expectedBalances(chain, 1, LAST),
    )
  }, 120_000)
  afterAll(() => node.close())

  it('gives the tables that DuckDB and Postgres have, value for value', async () => {
    const cwd = temporaryFolder()
    const database = await postgresDatabase()
    const runs = [start(cwd, 'duckdb:data/miners.duckdb'), start(temporaryFolder(), database)]
    expect((await Promise.all(runs.map((run) => run.exit))).map(({ code }) => code)).toEqual([0, 0])
    for (const { blocks, miners_balance: balances } of [
      await readDuckdb(join(cwd, 'data/miners.duckdb')),
      await readPostgres(database, ['blocks', 'miners_balance']),
    ])
      expect([golden.blocks, golden.balances]).toEqual([blocks?.hash, balances?.hash])
  }, 120_000)

  it(`killed at random moments, ${KILLS} times: nothing is lost and nothing doubled under FINAL`, async () => {
    const cwd = temporaryFolder()
    const killed = await until(cwd, (run, n) => (n > KILLS ? undefined : moments.within(run)))
    expect(killed).toBeGreaterThan(2)
    expect(await content(cwd)).toEqual(golden)
  }, 180_000)

  it('killed right after each of its commits: the next run goes on behind it and ends with the same tables', async () => {
    const cwd = temporaryFolder()
    const killed = await until(cwd, (run, n) => (n > KILLS ? undefined : run.saw('"type":"commit:done"')))
    expect(killed).toBeGreaterThan(2)
    expect(await content(cwd)).toEqual(golden)
  }, 180_000)

  it('a second process on the folder ends with exit code 3 naming the first, also with another pipeline', async () => {
    const cwd = temporaryFolder()
    const first = start(cwd)
    await first.saw('"type":"commit:done"')
    const slow = node.fault({ kind: 'latency', ms: 3_000 })
    const second = await start(cwd).exit
    expect([second.code, second.stderr.includes(`pid ${first.pid}`)]).toEqual([3, true])
    // Another pipeline has another lock; the folder itself is held.
    writeFileSync(join(cwd, 'other.yaml'), OTHER)
    const other = await runPipe(['run', 'other.yaml'], { cwd })
    expect([other.code, other.stderr]).toEqual([3, expect.stringContaining(`is held by process ${first.pid}`)])
    first.kill('SIGKILL')
    await first.exit
    slow.remove()
    expect((await start(cwd).exit).code).toBe(0)
    expect(await content(cwd)).toEqual(golden)
  }, 60_000)

  it('--demo fills it; plan and a second run find nothing to do, and a plan of a folder that is not there makes none', async () => {
    const cwd = temporaryFolder()
    const env = { WAREHOUSE_URL: 'chdb:data/ch' }
    const first = await runPipe(['run', minersFile, '--demo'], { cwd, env })
    expect({ code: first.code, text: first.code === 0 ? '' : first.stdout + first.stderr }).toEqual({ code: 0, text: '' })
    const second = await runPipe(['run', minersFile, '--demo'], { cwd, env })
    expect(second.code).toBe(0)
    expect(second.stdout).toContain('no missing blocks')
    const plan = await runPipe(['plan', minersFile, '--json', '--param', 'from=0', '--param', 'to=99'], {
      cwd,
      env: { WAREHOUSE_URL: 'chdb:data/none', ETH_RPC_URL: node.url },
    })
    expect({ code: plan.code, err: plan.stderr }).toEqual({ code: 0, err: '' })
    expect(JSON.parse(plan.stdout)).toMatchObject({ steps: [{ id: 'blocks', pieces: 100 }, { id: 'balances' }, { id: 'complete' }] })
    expect(existsSync(join(cwd, 'data/none'))).toBe(false)
  }, 120_000)
})

it('whether it was tested is said', () => {
  expect([undefined, missing]).toContain(missing)
})
