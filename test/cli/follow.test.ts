import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { runCli } from '../../src/cli/main.js'
import { systemClock } from '../../src/cli/system-clock.js'
import { fakeChain, type FakeChain, type FakeEndpoint } from '../../src/sandbox/index.js'
import type { Clock, RunEvent } from '../../src/sdk/index.js'
import { StopSignal } from '../../src/session/surroundings.js'
import { expectedBalances, minersFile } from '../support/cli.js'
import { temporaryFolder } from '../support/folder.js'
import { schemaErrors } from '../support/json-schema.js'
import { readDuckdb } from '../support/read-duckdb.js'
import { fakeIo } from './fake-io.js'

let chain: FakeChain
let node: FakeEndpoint
beforeEach(async () => {
  chain = fakeChain({ seed: 23, blocks: 40 })
  node = await chain.serve()
})
afterEach(() => node.close())

const stepOfHeads = (name: string) => `  - id: ${name}
    type: rpc-batch
    chain: ${name}
    into: ${name}s
    retry: { attempts: 2, wait: 1ms, max_wait: 5ms }
    with:
      over: { blocks: { from: $from, to: $to } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, hash: block.hash, timestamp: block.timestamp }
`

const yaml = (more = '') => `name: heads
params:
  from: { type: block, default: covered }
  to: { type: block, default: safe }
warehouse: duckdb:heads.duckdb
chains: { devnet: { id: 1, rpc: "\${RPC}", confirmations: 2, block_time: 2s } }
tables:
  heads: { columns: { number: bigint, hash: hash, timestamp: timestamp }, key: [number] }
  minutes: { columns: { minute: timestamp, blocks: bigint }, key: [minute] }
steps:
  - id: heads
    type: rpc-batch
    chain: devnet
    into: heads
    retry: { attempts: 2, wait: 1ms, max_wait: 5ms }
    with:
      over: { blocks: { from: $from, to: $to } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, hash: block.hash, timestamp: block.timestamp }
  - id: minutes
    type: sql-upsert
    needs: [heads]
    into: minutes
    with:
      interval: { by: 1m, of: { heads: timestamp } }
      sql: SELECT date_trunc('minute', timestamp) AS minute, count(*) AS blocks FROM heads WHERE timestamp >= $start AND timestamp < $end GROUP BY 1
${more}`

/** From one look at the head to the next. */
const WAIT = 77_000

/** Time that goes on by itself, and at once by the waits between two looks: what happens in them is up to the test. */
function jumping(between: (wait: number) => unknown): Clock {
  let waits = 0
  let ahead = 0
  return {
    now: () => systemClock.now() + ahead,
    monotonic: () => systemClock.monotonic() + ahead,
    sleep: async (ms, signal) => {
      if (ms < WAIT - 12_000 || ms > WAIT) return systemClock.sleep(ms, signal)
      ahead += ms
      await between(++waits)
    },
  }
}

interface Following {
  readonly events: () => RunEvent[]
  readonly out: () => string
  readonly end: Promise<number>
  readonly stop: () => void
  readonly cwd: string
}

/** `between` is called in each wait, with how many there were; what it returns true for ends the run by Ctrl-C. */
function follow(
  between: (wait: number) => unknown,
  {
    cwd = temporaryFolder(),
    args = [],
    text = yaml(),
    output = 'json',
  }: { cwd?: string; args?: readonly string[]; text?: string; output?: string } = {},
): Following {
  writeFileSync(join(cwd, 'heads.yaml'), text)
  const stopping = new AbortController()
  const stop = () => stopping.abort(new StopSignal('SIGINT'))
  const clock = jumping(async (wait) => {
    if ((await between(wait)) === true) stop()
  })
  const io = fakeIo({ cwd, env: { RPC: node.url }, clock, signal: stopping.signal })
  const end = runCli(['run', 'heads.yaml', '--follow', '--wait', '77s', '--output', output, ...args], io)
  const events = () =>
    io
      .out()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as RunEvent)
  return { events, out: io.out, end, stop, cwd }
}

const tables = (cwd: string) => readDuckdb(join(cwd, 'heads.duckdb'))
const numbers = async (cwd: string) => (await tables(cwd)).heads?.rows.map(({ number }) => Number(number)).sort((a, b) => a - b)
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

test('follows the head round by round, rollups in the same round, and ends by Ctrl-C with 0 when nothing is left', async () => {
  const grow = [1, 3, 0, 2]
  const status = (): unknown => JSON.parse(readFileSync(join(run.cwd, 'status.json'), 'utf8'))
  const run = follow(
    async (wait) => {
      const blocks = grow[wait - 1]
      if (blocks !== undefined) return void chain.add(blocks)
      await vi.waitFor(() => expect(status()).toMatchObject({ status: 'in_progress' }))
      return true
    },
    { args: ['--status-file', 'status.json'] },
  )
  expect(await run.end).toBe(0)
  expect(status()).toMatchObject({
    ...{ status: 'complete', exit_code: 0 },
    head_lag: [{ chain: 'devnet', head: 46, blocks: 2, seconds: expect.any(Number) as number }],
  })
  const { heads, minutes } = await tables(run.cwd)
  expect(heads?.rows.map(({ number, hash }) => [Number(number), hash]).sort(([a], [b]) => Number(a) - Number(b))).toEqual(
    range(38, 44).map((n) => [n, chain.block(n).hash]),
  )
  expect(minutes?.rows.reduce((sum, { blocks }) => sum + Number(blocks), 0)).toBe(7)
  const events = run.events()
  expect(events.flatMap((event) => schemaErrors('run-event', event))).toEqual([])
  expect(events[0]).toMatchObject({ type: 'run:started', follow: true })
  expect(events.flatMap((event) => (event.type === 'round:started' ? [event.round] : []))).toEqual([1, 2, 3, 4])
  const lags = events.flatMap((event) => (event.type === 'lag' ? [[event.chain, event.head, event.behind]] : []))
  expect(lags.at(-1)).toEqual(['devnet', '46', 2])
  expect(lags).toContainEqual(['devnet', '44', 5])
  expect(events.at(-1)).toMatchObject({ type: 'run:ended', outcome: 'done', exitCode: 0 })
})

test('a chain that halts for an hour is said once, costs one request a look and looks at no ledger, and Ctrl-C ends it with 0', async () => {
  let before = 0
  const idle: string[][] = []
  const hour = Math.ceil(3_600_000 / WAIT)
  const run = follow((wait) => {
    if (wait !== 1 && wait !== hour + 2) idle.push(node.log.slice(before).map(({ calls }) => calls.map(({ method }) => method).join()))
    before = node.log.length
    if (wait === hour + 1) chain.add(1)
    return wait === 2 * hour + 2
  })
  expect(await run.end).toBe(0)
  expect(idle).toEqual(Array.from({ length: 2 * hour }, () => ['eth_blockNumber']))
  const events = run.events()
  expect(events.filter(({ type }) => type === 'round:started').length).toBe(2)
  expect(events.filter(({ type }) => type === 'step:planned').length).toBe(4)
  expect(events.flatMap((event) => (event.type === 'warning' ? [event.message.replace(/(for 1m|after 1h).*?(;| )/, '…$2')] : []))).toEqual([
    'devnet has had no new block …; its head is still 40',
    'devnet goes on: block 41, … without one',
    'devnet has had no new block …; its head is still 41',
  ])
})

test('while a long round is under way the head is looked at, and how far it is away is told', async () => {
  const slow = node.fault({ kind: 'rate', perSecond: 12, count: 'calls', as: 'http' })
  const heads = () => run.events().flatMap((event) => (event.type === 'head' ? [event.head] : []))
  const run = follow(() => undefined, { args: ['--wait', '300ms', '--param', 'from=1', '--param', 'to=safe'] })
  await vi.waitFor(() => expect(run.events().some(({ type }) => type === 'unit:started')).toBe(true), 20_000)
  chain.add(5)
  await vi.waitFor(() => expect(heads()).toContain('45'), 20_000)
  slow.remove()
  await vi.waitFor(() => expect(run.events().some(({ type }) => type === 'round:ended')).toBe(true), 20_000)
  run.stop()
  expect(await run.end).toBe(0)
  const events = run.events()
  expect(events.flatMap((event) => schemaErrors('run-event', event))).toEqual([])
  const ends = events.findIndex((event) => event.type === 'step:ended')
  const lag = events.findIndex((event) => event.type === 'lag' && event.head === '45')
  expect(lag).toBeGreaterThan(0)
  expect(lag).toBeLessThan(ends)
})

test('started again it goes on after the last covered block', async () => {
  const cwd = temporaryFolder()
  const once = follow(() => true, { cwd })
  expect(await once.end).toBe(0)
  expect(await numbers(cwd)).toEqual([38])
  chain.add(30)
  node.clearLog()
  const again = follow((wait) => (wait === 1 ? chain.add(1) : true), { cwd })
  expect(await again.end).toBe(0)
  expect(await numbers(cwd)).toEqual(range(38, 69))
  const read = node.log.flatMap(({ calls }) => calls).filter(({ method }) => method === 'eth_getBlockByNumber')
  // 0 and 1 say which chain it is; the one behind what is new says that it follows.
  expect(read.filter(({ params }) => Number(params[0]) < 37 && Number(params[0]) > 1)).toEqual([])
})

test('a block that fails goes to quarantine and stays listed; the rounds after go on', async () => {
  const out = { kind: 'error', error: { code: -32000, message: 'out of order' } } as const
  const fault = node.fault({ ...out, methods: ['eth_getBlockByNumber'], if: ({ params }) => params[0] === '0x27' })
  const cwd = temporaryFolder()
  const run = follow((wait) => (wait <= 3 ? chain.add(1) : true), { cwd })
  expect(await run.end).toBe(130)
  expect(await numbers(cwd)).toEqual([38, 40, 41])
  const ends = run.events().flatMap((event) => (event.type === 'step:ended' && event.step === 'heads' ? [event] : []))
  expect(ends.map(({ outcome, quarantined }) => [outcome, quarantined])).toEqual([
    ['complete', 0],
    ['incomplete', 1],
    ['incomplete', 1],
    ['incomplete', 1],
  ])
  fault.remove()
  const io = fakeIo({ cwd, env: { RPC: node.url } })
  expect(await runCli(['retry', 'heads.yaml'], io)).toBe(0)
  const again = follow((wait) => (wait === 1 ? chain.add(1) : true), { cwd })
  expect(await again.end).toBe(0)
  expect(await numbers(cwd)).toEqual(range(38, 42))
})

test('an outage and a closed gate are told once, and the rounds after go on', async () => {
  const gate = `  - id: whole
    type: gate
    needs: [heads]
    with: { checks: [{ name: few blocks, sql: SELECT count(*) FROM heads, expect: < 3 }] }
`
  let down: { remove(): void } | undefined
  let read = Infinity
  const run = follow(
    async (wait) => {
      if (wait === 6) down = node.fault({ kind: 'http', status: 503 })
      if (wait === 16) {
        down?.remove()
        read = node.count('eth_getBlockByNumber')
      }
      chain.add(1)
      return node.count('eth_getBlockByNumber') > read + 3
    },
    { text: yaml(gate), output: 'plain' },
  )
  expect(await run.end).toBe(130)
  const lines = run.out().split('\n')
  const told = (pattern: RegExp) => lines.filter((line) => pattern.test(line)).length
  expect([told(/^step .*step=whole state=complete/), told(/^step .*step=whole state=closed/), told(/^check .*passed=false/)]).toEqual([
    1, 1, 1,
  ])
  expect(told(/^wait .*reason=/)).toBe(1)
  expect(told(/^step .*step=heads state=complete/)).toBeLessThanOrEqual(2)
})

test('of several chains one that is away keeps the others from nothing; that nobody knows whether it was reorganized is told once', async () => {
  const other = await fakeChain({ seed: 24, blocks: 40, chainId: 2 }).serve()
  const text = yaml()
    .replace('chains: {', `chains: { other: { id: 2, rpc: "${other.url}", confirmations: 0, block_time: 2s },`)
    .replace('  - id: minutes', `${stepOfHeads('other')}  - id: minutes`)
    .replace('tables:', 'tables:\n  others: { columns: { number: bigint, hash: hash, timestamp: timestamp }, key: [number] }')
  const run = follow(
    (wait) => {
      if (wait === 1) other.fault({ kind: 'http', status: 503 })
      chain.add(1)
      return wait === 12
    },
    { text },
  )
  expect(await run.end).toBe(130)
  await other.close()
  expect((await numbers(run.cwd))?.length).toBeGreaterThan(8)
  const told = run.events().flatMap((event) => (event.type === 'warning' && event.message.includes('reorganized') ? [event.message] : []))
  expect(told).toEqual([expect.stringMatching(/^whether other was reorganized is not known: chain other: no endpoint answers/)])
})

test('miners.yaml is followed as it is: its range moves with the head, newest first', async () => {
  const cwd = temporaryFolder()
  const stop = new AbortController()
  const clock = jumping((wait) => {
    chain.add(3)
    if (wait > 2) stop.abort(new StopSignal('SIGTERM'))
  })
  const io = fakeIo({ cwd, env: { ETH_RPC_URL: node.url }, clock, signal: stop.signal })
  expect(await runCli(['run', minersFile, '--follow', '--wait', '77s'], io)).toBe(0)
  expect((await readDuckdb(join(cwd, 'data/miners.duckdb'))).miners_balance?.rows).toEqual(expectedBalances(chain, 1, 36))
})
