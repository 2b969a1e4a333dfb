import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fakeChain, type FakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import { expectedBalances, minersFile } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { Moments } from './support/moments.js'
import { readDuckdb } from './support/read-duckdb.js'
import { spawnPipe } from './support/spawn-pipe.js'

/** More for a longer look: PIPE_TEST_KILLS=200 npx vitest run test/resume.test.ts */
const KILLS = Number(process.env.PIPE_TEST_KILLS ?? 6)
const LAST = 6_000

let chain: FakeChain
let node: FakeEndpoint
let golden: Awaited<ReturnType<typeof content>>
const moments = new Moments()

/** Rows and what the ledger says is done; epochs, attempts and times tell how it came about, and may differ. */
async function content(cwd: string) {
  const { blocks, miners_balance: balances, _pipe_units: units } = await readDuckdb(join(cwd, 'data/miners.duckdb'))
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
const start = (cwd: string) => spawnPipe(args, { cwd, env: { ETH_RPC_URL: node.url } })

beforeAll(async () => {
  chain = fakeChain({ seed: 11, blocks: LAST + 20 })
  node = await chain.serve()
  // Slow enough that a run has many moments to be killed in.
  node.fault({ kind: 'latency', ms: 15, jitterMs: 10 })
  const cwd = temporaryFolder()
  const unbroken = await moments.measure(start(cwd))
  expect({ code: unbroken.code, err: unbroken.stderr }).toEqual({ code: 0, err: '' })
  golden = await content(cwd)
  expect((await readDuckdb(join(cwd, 'data/miners.duckdb'), { tables: ['miners_balance'] })).miners_balance?.rows).toEqual(
    expectedBalances(chain, 1, LAST),
  )
}, 120_000)
afterAll(() => node.close())

const tick = () => new Promise((resolve) => setTimeout(resolve, 5))

/** Runs until one run ends by itself; `kill` decides when each run before it dies. Resolves to how many were killed. */
async function until(cwd: string, kill: (run: ReturnType<typeof start>, n: number) => Promise<unknown> | undefined): Promise<number> {
  for (let n = 1; ; n++) {
    const run = start(cwd)
    const dies = kill(run, n)
    void dies?.then(
      () => run.kill('SIGKILL'),
      () => undefined,
    )
    const { code, signal, stderr } = await run.exit
    if (signal === 'SIGKILL') continue
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return n - 1
  }
}

describe('kill -9', () => {
  it(`at random moments: after ${KILLS} kills the tables are those of an unbroken run, and the ledger holds each block once`, async () => {
    const cwd = temporaryFolder()
    const killed = await until(cwd, (run, n) => (n > KILLS ? undefined : moments.within(run)))
    expect(killed).toBeGreaterThan(3)
    expect(await content(cwd)).toEqual(golden)
  }, 180_000)

  it('soon after a refused batch: the next run begins with what was learned of the endpoint', async () => {
    const own = await chain.serve()
    own.fault({ kind: 'max-batch', max: 3 })
    own.fault({ kind: 'latency', ms: 30 })
    const env = { ETH_RPC_URL: own.url }
    const sizes = () => own.log.map(({ calls }) => calls.length)
    const cwd = temporaryFolder()
    const first = spawnPipe(args, { cwd, env })
    while (own.log.filter(({ calls, answer }) => calls.length > 1 && answer?.errors === 0).length < 20) await tick()
    expect(Math.max(...sizes())).toBeGreaterThan(3)
    first.kill('SIGKILL')
    await first.exit
    own.clearLog()
    const second = spawnPipe(args, { cwd, env })
    while (own.count('eth_getBlockByNumber') < 200) await tick()
    second.kill('SIGKILL')
    await second.exit
    // One that knows nothing begins with 10; what was learned is tried with a little more from time to time.
    expect(Math.max(...sizes())).toBeLessThan(10)
    await own.close()
  })

  it('right after each of its commits: the next run goes on behind it and ends with the same tables', async () => {
    const cwd = temporaryFolder()
    const killed = await until(cwd, (run, n) => (n > KILLS ? undefined : run.saw('"type":"commit:done"')))
    expect(killed).toBeGreaterThan(3)
    expect(await content(cwd)).toEqual(golden)
  }, 180_000)

  it('repeats at most what was in flight', async () => {
    const cwd = temporaryFolder()
    const before = node.log.length
    const killed = await until(cwd, (run, n) => (n > 3 ? undefined : run.saw(/("type":"commit:done"[^]*){2}/)))
    const asked = node.log
      .slice(before)
      .flatMap(({ calls }) => calls)
      .filter(({ method }) => method === 'eth_getBlockByNumber').length
    // What was read in the quarter second before each kill, and what was on its way.
    expect(asked - (LAST + 1)).toBeLessThan((killed + 1) * 4_000)
    expect(await content(cwd)).toEqual(golden)
  }, 120_000)
})

describe('a signal', () => {
  it('SIGINT ends the run within seconds with 130 after a clean checkpoint; the next run repeats nothing that was committed', async () => {
    const cwd = temporaryFolder()
    const run = start(cwd)
    await run.saw('"type":"commit:done"')
    const at = performance.now()
    run.kill('SIGINT')
    const { code, stdout } = await run.exit
    expect(code).toBe(130)
    expect(performance.now() - at).toBeLessThan(5_000)
    expect(stdout).toContain('"type":"run:stopping"')
    expect((await start(cwd).exit).code).toBe(0)
    expect(await content(cwd)).toEqual(golden)
  }, 60_000)

  it('SIGTERM ends it with 143', async () => {
    const cwd = temporaryFolder()
    const run = start(cwd)
    await run.saw('"type":"commit:done"')
    run.kill('SIGTERM')
    expect((await run.exit).code).toBe(143)
  }, 60_000)
})

describe('two runs at once', () => {
  it('the second, and plan, retry and reset, end with exit code 3 naming the first; after kill -9 of the first a new one starts at once', async () => {
    const cwd = temporaryFolder()
    const first = start(cwd)
    await first.saw('"type":"commit:done"')
    // It must outlive the four that are turned away, on a busy machine, too.
    const slow = node.fault({ kind: 'latency', ms: 3_000 })
    const second = await start(cwd).exit
    expect(second.code).toBe(3)
    expect(second.stderr).toContain(`pid ${first.pid}`)
    for (const command of [
      ['plan', minersFile],
      ['retry', minersFile],
      ['reset', minersFile, '--step', 'blocks'],
    ]) {
      const other = await spawnPipe(command, { cwd, env: { ETH_RPC_URL: node.url } }).exit
      expect([other.code, other.stderr.includes(String(first.pid))]).toEqual([3, true])
    }
    first.kill('SIGKILL')
    await first.exit
    slow.remove()
    expect((await start(cwd).exit).code).toBe(0)
    expect(await content(cwd)).toEqual(golden)
  }, 60_000)

  it('status shows the live progress of a run of another process', async () => {
    const cwd = temporaryFolder()
    const run = start(cwd)
    await run.saw('"type":"commit:done"')
    // It must outlive whoever looks at it.
    const slow = node.fault({ kind: 'latency', ms: 3_000 })
    const look = () => spawnPipe(['status', minersFile, '--json'], { cwd, env: { ETH_RPC_URL: node.url } }).exit
    let status = await look()
    // What the store shows is at most a second old.
    for (let looks = 1; looks < 20 && !/"done": [1-9]/.test(status.stdout); looks++) status = await look()
    const { run: seen, steps } = JSON.parse(status.stdout) as { run: { pid: number; outcome: string }; steps: { done: number }[] }
    expect({ code: status.code, pid: seen.pid, outcome: seen.outcome }).toEqual({ code: 0, pid: run.pid, outcome: 'running' })
    expect(steps[0]?.done).toBeGreaterThan(0)
    slow.remove()
    run.kill('SIGKILL')
    await run.exit
    const after = await spawnPipe(['status', minersFile, '--json'], { cwd, env: { ETH_RPC_URL: node.url } }).exit
    expect(after.stdout).toContain('"crashed"')
  }, 60_000)
})
