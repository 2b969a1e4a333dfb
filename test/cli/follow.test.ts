import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { runCli } from '../../src/cli/main.js'
import { systemClock } from '../../src/cli/system-clock.js'
import { fakeChain, type FakeChain, type FakeEndpoint } from '../../src/sandbox/index.js'
import type { Clock, RunEvent } from '../../src/sdk/index.js'
import { StopSignal } from '../../src/session/surroundings.js'
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

/** What the chain is polled with: the sleeps between rounds, which a test takes part in. */
const WAIT = 77_000

interface Following {
  readonly events: () => RunEvent[]
  readonly out: () => string
  readonly end: Promise<number>
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
  const stop = new AbortController()
  let waits = 0
  const clock: Clock = {
    ...systemClock,
    sleep: async (ms, signal) => {
      if (ms < WAIT - 20_000 || ms > WAIT) return systemClock.sleep(ms, signal)
      if ((await between(++waits)) === true) stop.abort(new StopSignal('SIGINT'))
    },
  }
  const io = fakeIo({ cwd, env: { RPC: node.url }, clock, signal: stop.signal })
  const end = runCli(['run', 'heads.yaml', '--follow', '--wait', '77s', '--output', output, ...args], io)
  const events = () =>
    io
      .out()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as RunEvent)
  return { events, out: io.out, end, cwd }
}

const tables = (cwd: string) => readDuckdb(join(cwd, 'heads.duckdb'))
const numbers = async (cwd: string) => (await tables(cwd)).heads?.rows.map(({ number }) => Number(number)).sort((a, b) => a - b)
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

test('follows the head round by round, rollups in the same round, and ends by Ctrl-C with its checkpoint', async () => {
  const grow = [1, 3, 0, 2]
  const run = follow((wait) => {
    const blocks = grow[wait - 1]
    if (blocks === undefined) return true
    chain.add(blocks)
    return false
  })
  expect(await run.end).toBe(130)
  const { heads, minutes } = await tables(run.cwd)
  expect(heads?.rows.map(({ number, hash }) => [Number(number), hash]).sort(([a], [b]) => Number(a) - Number(b))).toEqual(
    range(38, 44).map((n) => [n, chain.block(n).hash]),
  )
  expect(minutes?.rows.reduce((sum, { blocks }) => sum + Number(blocks), 0)).toBe(7)
  const events = run.events()
  expect(events.flatMap((event) => schemaErrors('run-event', event))).toEqual([])
  expect(events[0]).toMatchObject({ type: 'run:started', follow: true })
  expect(events.flatMap((event) => (event.type === 'round:started' ? [event.round] : []))).toEqual([1, 2, 3, 4])
  expect(events.at(-1)).toMatchObject({ type: 'run:ended', outcome: 'stopped', exitCode: 130 })
})
