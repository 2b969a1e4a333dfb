import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { runCli } from '../../src/cli/main.js'
import { StopSignal } from '../../src/session/surroundings.js'
import { systemClock } from '../../src/cli/system-clock.js'
import type { Clock } from '../../src/sdk/index.js'
import { fakeChain, type FakeChain, type FakeEndpoint } from '../../src/sandbox/index.js'
import { expectedBalances, minersFile, pipe } from '../support/cli.js'
import { temporaryFolder } from '../support/folder.js'
import { readDuckdb } from '../support/read-duckdb.js'
import { fakeIo } from './fake-io.js'

let chain: FakeChain
let node: FakeEndpoint
beforeAll(async () => {
  chain = fakeChain({ seed: 17, blocks: 120 })
  node = await chain.serve()
})
afterEach(() => node.clear())
afterAll(() => node.close())

/** Waits that no other part of a run ever asks for, and that take next to no time: what happens in them is up to the test. */
const wait = 77_000
const stall = 1_111_000
function waitless(during: (round: number) => unknown): Clock & { readonly waits: () => number } {
  let waits = 0
  return {
    ...systemClock,
    sleep: async (ms, signal) => {
      if (ms === stall / 10) {
        await vi.waitFor(() => expect(node.log.at(-1)?.answer?.faults).toEqual(['hang']), 10_000)
        return systemClock.sleep(1, signal)
      }
      if (ms !== wait) return systemClock.sleep(ms, signal)
      await during(++waits)
      // An endpoint that was down is looked at again as real time goes by.
      await systemClock.sleep(100, signal)
    },
    waits: () => waits,
  }
}

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
  readonly cwd: string
  readonly waits: number
}

async function until(args: readonly string[], during?: (round: number, cwd: string) => unknown, signal?: AbortSignal): Promise<Ran> {
  const cwd = temporaryFolder()
  const clock = waitless((round) => during?.(round, cwd))
  const io = fakeIo({ cwd, env: { ETH_RPC_URL: node.url }, clock, ...(signal ? { signal } : {}) })
  const code = await runCli(['run', minersFile, '--until-complete', '--wait', '77s', ...args], io)
  return { code, out: io.out(), err: io.err(), cwd, waits: clock.waits() }
}

const balances = async (cwd: string) => (await readDuckdb(join(cwd, 'data/miners.duckdb'))).miners_balance?.rows
const refusing = { kind: 'error', error: { code: -32000, message: 'out of order' } } as const

test('--until-complete runs again until nothing is missing, and the head stays that of the first run', async () => {
  const seen: string[] = []
  const { code, out, cwd, waits } = await until(['--limit', '30'], () => {
    chain.add(5)
    seen.push('waited')
  })
  chain.fork(seen.length * 5, 0)
  expect({ code, waits }).toEqual({ code: 0, waits: 3 })
  expect(out.match(/^round .*$/gm)).toEqual([1, 2, 3, 4].map((round) => `round pipeline=miners round=${round}`))
  expect(await balances(cwd)).toEqual(expectedBalances(chain, 1, 110))
})

test('an outage ends a run and not the rounds; the status file tells between them how it stands', async () => {
  const fault = node.fault({ kind: 'http', status: 503, body: 'down' })
  let between = 0
  const status = (folder: string): unknown => JSON.parse(readFileSync(join(folder, 'status.json'), 'utf8'))
  const { code, cwd } = await until(['--status-file', 'status.json'], async (_, folder) => {
    fault.remove()
    await vi.waitFor(() => expect(status(folder)).toMatchObject({ status: 'in_progress', complete: false, exit_code: null, oldest: null }))
    between++
  })
  expect(code).toBe(0)
  expect(between).toBeGreaterThan(0)
  expect(status(cwd)).toMatchObject({ status: 'complete', complete: true, exit_code: 0 })
  expect(await balances(cwd)).toEqual(expectedBalances(chain, 1, 110))
})

test('when the runs are used up it exits 1 and says what is missing', async () => {
  const { code, out, waits } = await until(['--limit', '10', '--max-runs', '2'])
  expect({ code, waits }).toEqual({ code: 1, waits: 1 })
  expect(out).toMatch(/miners: incomplete after .*: its 2 runs are used up \(--max-runs\); what is committed is kept/)
  expect(out).toContain('blocks: 91 blocks missing')
})

test('it gives up at once when another run could not help', async () => {
  const fault = node.fault({ ...refusing, methods: ['eth_getBlockByNumber'], if: ({ params }) => params[0] === '0x32' })
  const { code, out, waits } = await until([])
  fault.remove()
  expect({ code, waits }).toEqual({ code: 1, waits: 0 })
  expect(out).toContain('another run would find the same')
  expect(out).toContain('1 in quarantine')
})

test('a signal while it waits stops it with the exit code of the signal', async () => {
  const stop = new AbortController()
  const { code, out } = await until(['--limit', '10'], () => stop.abort(new StopSignal('SIGTERM')), stop.signal)
  expect(code).toBe(143)
  expect(out).toContain('miners: stopped after')
})

test('a run in which nothing moves is given up with exit code 1, naming step and endpoint', async () => {
  // By blocks 0 and 1 the chain is known.
  const fault = node.fault({ kind: 'hang', methods: ['eth_getBlockByNumber'], if: ({ params }) => Number(params[0]) > 1 })
  const { code, out } = await until(['--stall', '1111s'])
  fault.remove()
  expect(code).toBe(1)
  expect(out).toMatch(
    /error="nothing moved for 18m31s; it waits for blocks \(unit 0-110\); 127\.0\.0\.1:\d+ is up and has answered \d+ requests?"/,
  )
})

test('--timeout ends a run that is too long, with what it has committed', async () => {
  const fault = node.fault({ kind: 'hang', methods: ['eth_getBalance'] })
  const cwd = temporaryFolder()
  const { code, out } = await pipe(['run', minersFile, '--timeout', '1500ms'], { cwd, env: { ETH_RPC_URL: node.url } })
  fault.remove()
  expect(code).toBe(1)
  expect(out).toContain('its time of 1s500ms is used up (--timeout)')
  expect((await pipe(['run', minersFile], { cwd, env: { ETH_RPC_URL: node.url } })).code).toBe(0)
  expect(await balances(cwd)).toEqual(expectedBalances(chain, 1, 110))
})

test('--fresh does everything again and drops nothing', async () => {
  const cwd = temporaryFolder()
  const world = { cwd, env: { ETH_RPC_URL: node.url } }
  expect((await pipe(['run', minersFile], world)).code).toBe(0)
  const asked = async (args: readonly string[]): Promise<Readonly<Record<string, number>>> => {
    node.clearLog()
    expect((await pipe(['run', minersFile, ...args], world)).code).toBe(0)
    return { blocks: node.count('eth_getBlockByNumber'), balances: node.count('eth_getBalance') }
  }
  // One look at block 0, to see that this is still the same chain, and one at the newest block that was read.
  expect(await asked([])).toEqual({ blocks: 2, balances: 0 })
  const again = await asked(['--fresh'])
  expect(again.blocks).toBeGreaterThanOrEqual(111)
  expect(again.balances).toBeGreaterThanOrEqual(110)
  expect(await asked([])).toEqual({ blocks: 2, balances: 0 })
  expect((await asked(['--fresh', '--select', 'blocks'])).balances).toBe(0)
  expect(await balances(cwd)).toEqual(expectedBalances(chain, 1, 110))
  // A node that is down takes nothing away.
  const fault = node.fault({ kind: 'http', status: 503 })
  expect((await pipe(['run', minersFile, '--fresh'], world)).code).not.toBe(0)
  fault.remove()
  expect(await balances(cwd)).toEqual(expectedBalances(chain, 1, 110))
})

test('a run that could not start says so in the status file, which told of the one before', async () => {
  const cwd = temporaryFolder()
  const world = { cwd, env: { ETH_RPC_URL: node.url } }
  const status = (): unknown => JSON.parse(readFileSync(join(cwd, 'status.json'), 'utf8'))
  expect((await pipe(['run', minersFile, '--status-file', 'status.json', '--param', 'from=100'], world)).code).toBe(0)
  expect(status()).toMatchObject({ status: 'complete', exit_code: 0 })
  const file = join(cwd, 'no-database')
  writeFileSync(file, 'no database')
  const env = { ...world.env, WAREHOUSE_URL: `duckdb:${file}` }
  expect((await pipe(['run', minersFile, '--status-file', 'status.json'], { cwd, env })).code).toBe(2)
  expect(status()).toMatchObject({ status: 'error', complete: false, pipeline: 'miners', exit_code: 2, rows: null, steps: [] })
  expect((await pipe(['run', minersFile, '--status-file', 'status.json', '--param', 'from=100'], world)).code).toBe(0)
  expect(status()).toMatchObject({ status: 'complete' })
  // Where not even the lock could be asked for.
  const nobody = { ...world.env, WAREHOUSE_URL: 'postgres://nobody@127.0.0.1:9/none' }
  expect((await pipe(['run', minersFile, '--status-file', 'status.json'], { cwd, env: nobody })).code).toBe(2)
  expect(status()).toMatchObject({ status: 'error', exit_code: 2 })
})

test('--max-runs and --wait need --until-complete or --follow, of which there is one; times are checked', async () => {
  const refused = async (...args: string[]): Promise<string> => {
    const { code, err } = await pipe(['run', minersFile, ...args], { cwd: temporaryFolder() })
    expect(code).toBe(2)
    return err
  }
  expect(await refused('--max-runs', '3')).toContain('--max-runs says how --until-complete or --follow goes on, and neither is given')
  expect(await refused('--wait', '3s')).toContain('--wait says how --until-complete or --follow goes on')
  expect(await refused('--follow', '--until-complete')).toContain(
    '--follow goes on after everything is complete, and --until-complete ends there: give one of them',
  )
  expect(await refused('--until-complete', '--wait', 'soon')).toContain('Write it as 90s, 5m, 6h or 1h30m.')
})
