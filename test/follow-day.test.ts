import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../src/cli/system-clock.js'
import { readPipeline } from '../src/pipeline/read.js'
import { reduce } from '../src/report/reduce.js'
import { initialView } from '../src/report/view.js'
import { createBus } from '../src/run/bus.js'
import { fakeChain } from '../src/sandbox/index.js'
import type { Clock, RunFact } from '../src/sdk/index.js'
import { runHeld } from '../src/session/run-held.js'
import { openState } from '../src/session/open-state.js'
import { StopSignal } from '../src/session/surroundings.js'
import { fakeIo } from './cli/fake-io.js'
import { temporaryFolder } from './support/folder.js'
import { MemoryWarehouse } from './support/memory-warehouse.js'

/** A day has 43,200. More for a longer look, with figures: `npm run loop:follow`. */
const ROUNDS = Number(process.env.PIPE_TEST_ROUNDS ?? 150)
const BLOCK_MS = 2_000

const YAML = `name: day
params:
  from: { type: block, default: covered }
  to: { type: block, default: safe }
warehouse: duckdb:day.duckdb
chains: { devnet: { id: 1, rpc: "\${RPC}", confirmations: 10, block_time: 2s } }
tables: { heads: { columns: { number: bigint, hash: hash }, key: [number], range: number } }
steps:
  - id: heads
    type: rpc-batch
    chain: devnet
    into: heads
    with:
      over: { blocks: { from: $from, to: $to } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, hash: block.hash }
`

test('a day of following leaves few ledger rows, each look at the head is one request, and none of it grows', async () => {
  const chain = fakeChain({ seed: 5, blocks: 100, blockTime: 2 })
  const node = await chain.serve({ log: false })
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'day.yaml'), YAML)
  const { pipeline } = await readPipeline('day.yaml', { cwd, env: { RPC: node.url }, environment: 'require' })
  if (!pipeline) throw new Error('the pipeline has mistakes')

  const stop = new AbortController()
  const cpu: number[] = []
  let waits = 0
  let ahead = 0
  // The chain's time goes on in the waits for its next block, every other one of which brings one; all else takes what it takes.
  const clock: Clock = {
    now: () => systemClock.now() + ahead,
    monotonic: () => systemClock.monotonic() + ahead,
    sleep: async (ms, signal) => {
      if (ms <= 1_200 || ms > BLOCK_MS) return systemClock.sleep(ms, signal)
      ahead += ms
      if (++waits % 2 === 0) chain.add(1)
      if (waits % Math.ceil(ROUNDS / 4) === 0) cpu.push(process.cpuUsage().user)
      if (waits >= 2 * ROUNDS) stop.abort(new StopSignal('SIGINT'))
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
  const surroundings = fakeIo({ cwd, env: { RPC: node.url }, clock, signal: stop.signal })
  const state = await openState('sqlite:state.db', surroundings)
  const warehouse = new MemoryWarehouse()
  await warehouse.prepare([...pipeline.tables.values()])
  const bus = createBus(clock, 'run')
  const view = initialView()
  const facts = new Map<RunFact['type'], number>()
  bus.subscribe((event) => {
    reduce(view, event)
    facts.set(event.type, (facts.get(event.type) ?? 0) + 1)
  })
  const held = { warehouse, lockFile: undefined, since: 0, taken: new AbortController().signal, close: () => Promise.resolve() }
  const { exitCode } = await runHeld(
    { id: 'run', pipeline, surroundings, signal: stop.signal, world: {}, held, state, bus, view, about: { file: pipeline.file } },
    { params: {}, select: undefined, limit: undefined, follow: true },
  )
  await state.close()
  await node.close()

  expect(exitCode).toBe(0)
  const rows = warehouse.rows('heads').map(({ number }) => Number(number))
  expect(rows).toEqual(Array.from({ length: rows.length }, (_, i) => 90 + i))
  expect(rows.length).toBeGreaterThanOrEqual(ROUNDS)
  // 64 blocks and the confirmations keep rows of their own.
  const units = await warehouse.units('day', 'heads')
  expect(units.length).toBeLessThan(100)
  // One for each wait; a round that reads a block asks for nothing else beside it, and the one before, which says that it follows.
  expect(node.count('eth_blockNumber')).toBeLessThanOrEqual(waits + 4)
  expect(facts.get('round:started')).toBeLessThanOrEqual(ROUNDS + 1)
  expect(JSON.stringify(view).length).toBeLessThan(10_000)
  if (process.env.PIPE_TEST_ROUNDS)
    process.stderr.write(
      `${ROUNDS} rounds: ${units.length} ledger rows, ${node.totals.requests} requests, cpu by quarter ${JSON.stringify(cpu.map((at, i) => at - (cpu[i - 1] ?? 0)))}, rss ${process.memoryUsage().rss}\n`,
    )
}, 600_000)
