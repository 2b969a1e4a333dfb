import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fakeChain, type FakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import { expectedBalances, minersFile } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { postgresDatabase, withParams } from './support/postgres.js'
import { Moments } from './support/moments.js'
import { readDuckdb } from './support/read-duckdb.js'
import { readPostgres } from './support/read-postgres.js'
import { spawnPipe } from './support/spawn-pipe.js'

/** More for a longer look: PIPE_TEST_KILLS=200 npx vitest run test/resume-postgres.test.ts */
const KILLS = Number(process.env.PIPE_TEST_KILLS ?? 5)
const LAST = 4_000

let chain: FakeChain
let node: FakeEndpoint
let database: string
let golden: { readonly blocks: string | undefined; readonly balances: string | undefined; readonly done: number }
const moments = new Moments()

/** Rows and what the ledger says is done; epochs, attempts and times tell how it came about, and may differ. */
async function content(url: string): Promise<typeof golden> {
  const { blocks, miners_balance: balances, _pipe_units: units } = await readPostgres(url, ['blocks', 'miners_balance', '_pipe_units'])
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
  return { blocks: blocks?.hash, balances: balances?.hash, done: done.size }
}

const args = ['run', minersFile, '--output', 'json', '--param', 'from=0', '--param', `to=${LAST}`]
const start = (cwd: string, env: Readonly<Record<string, string>>) => spawnPipe(args, { cwd, env: { ETH_RPC_URL: node.url, ...env } })

beforeAll(async () => {
  chain = fakeChain({ seed: 11, blocks: LAST + 20 })
  node = await chain.serve()
  // Slow enough that a run has many moments to be killed in.
  node.fault({ kind: 'latency', ms: 15, jitterMs: 10 })
  database = await postgresDatabase()
  // What an unbroken run makes, on the other warehouse.
  const cwd = temporaryFolder()
  const unbroken = await moments.measure(start(cwd, {}))
  expect({ code: unbroken.code, err: unbroken.stderr }).toEqual({ code: 0, err: '' })
  const { blocks, miners_balance: balances } = await readDuckdb(join(cwd, 'data/miners.duckdb'))
  expect(balances?.rows).toEqual(expectedBalances(chain, 1, LAST))
  golden = { blocks: blocks?.hash, balances: balances?.hash, done: LAST + 1 }
}, 120_000)
afterAll(() => node.close())

/** Runs until one run ends by itself; `kill` decides when each run before it dies. Resolves to how many were killed. */
async function until(
  env: Readonly<Record<string, string>>,
  kill: (run: ReturnType<typeof start>, n: number) => Promise<unknown> | undefined,
): Promise<number> {
  const cwd = temporaryFolder()
  for (let n = 1; ; n++) {
    const run = start(cwd, env)
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

describe('kill -9 of a run into Postgres', () => {
  it('at random moments, with its state in a file: the tables are those of an unbroken run into DuckDB, and the ledger holds each block once', async () => {
    const url = withParams(database, { schema: 'own' })
    const killed = await until({ WAREHOUSE_URL: url }, (run, n) => (n > KILLS ? undefined : moments.within(run)))
    expect(killed).toBeGreaterThan(2)
    expect(await content(url)).toEqual(golden)
  }, 180_000)

  it('right after each of its commits, with its state in the same database: the next run goes on behind it and ends with the same tables', async () => {
    const url = withParams(database, { schema: 'shared' })
    const env = { WAREHOUSE_URL: url, PIPE_STATE: database }
    const killed = await until(env, (run, n) => (n > KILLS ? undefined : run.saw('"type":"commit:done"')))
    expect(killed).toBeGreaterThan(2)
    expect(await content(url)).toEqual(golden)
  }, 180_000)
})

describe('two runs at once into one schema', () => {
  it('the second ends with exit code 3 naming the first, status looks on, and after kill -9 of the first a new one starts at once', async () => {
    const url = withParams(database, { schema: 'once' })
    const env = { WAREHOUSE_URL: url, PIPE_STATE: database, ETH_RPC_URL: node.url }
    const first = start(temporaryFolder(), env)
    await first.saw('"type":"commit:done"')
    // It must outlive those that are turned away, on a busy machine, too.
    const slow = node.fault({ kind: 'latency', ms: 3_000 })
    const second = await start(temporaryFolder(), env).exit
    expect(second.code).toBe(3)
    expect(second.stderr).toContain(`pid ${first.pid}`)
    expect(second.stderr).not.toContain(new URL(url).password + '@')
    const status = await spawnPipe(['status', minersFile, '--json'], { cwd: temporaryFolder(), env }).exit
    expect(status.stdout).toContain(`"pid": ${first.pid}`)
    // Unlike a file, a database can be looked at while a run writes to it.
    const plan = await spawnPipe(['plan', minersFile, '--param', 'from=0', '--param', `to=${LAST}`], { cwd: temporaryFolder(), env }).exit
    expect([plan.code, plan.stderr]).toEqual([0, ''])
    first.kill('SIGKILL')
    await first.exit
    slow.remove()
    expect((await start(temporaryFolder(), env).exit).code).toBe(0)
    expect(await content(url)).toEqual(golden)
  }, 90_000)
})
