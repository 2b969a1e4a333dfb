import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/cli/system-clock.js'
import { readPipeline } from '../../src/pipeline/read.js'
import { reduce } from '../../src/report/reduce.js'
import { initialView, type RunView } from '../../src/report/view.js'
import { createBus } from '../../src/run/bus.js'
import type { FakeEndpoint } from '../../src/sandbox/index.js'
import type { Clock, RunEvent } from '../../src/sdk/index.js'
import { openState } from '../../src/session/open-state.js'
import { runHeld, type RunRequest } from '../../src/session/run-held.js'
import { StopSignal } from '../../src/session/surroundings.js'
import { fakeIo } from '../cli/fake-io.js'
import { temporaryFolder } from './folder.js'
import type { MemoryWarehouse } from './memory-warehouse.js'

const BLOCK_MS = 2_000

/** Blocks of a chain with one each two seconds, up to `to`. */
const yaml = (to: string, confirmations: number) => `name: day
params:
  from: { type: block, default: covered }
  to: { type: block, default: ${to} }
warehouse: duckdb:day.duckdb
chains: { devnet: { id: 1, rpc: "\${RPC}", confirmations: ${confirmations}, block_time: 2s } }
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

export interface MemoryRun {
  readonly node: Pick<FakeEndpoint, 'url'>
  readonly warehouse: MemoryWarehouse
  readonly to?: 'safe' | 'head'
  readonly confirmations?: number
  readonly request?: Partial<RunRequest>
  /** Called in each wait for a block, with how many there were. What it returns true for ends the run by Ctrl-C. */
  readonly between?: (wait: number) => unknown
  readonly onEvent?: (event: RunEvent) => void
}

/** Runs a pipeline of blocks with the tables in memory: waits for blocks take no time, all else takes what it takes. */
export async function runInMemory({
  node,
  warehouse,
  to = 'safe',
  confirmations = 10,
  request,
  between,
  onEvent,
}: MemoryRun): Promise<{ readonly exitCode: number; readonly view: RunView }> {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'day.yaml'), yaml(to, confirmations))
  const { pipeline } = await readPipeline('day.yaml', { cwd, env: { RPC: node.url }, environment: 'require' })
  if (!pipeline) throw new Error('the pipeline has mistakes')
  const stop = new AbortController()
  let waits = 0
  let ahead = 0
  const clock: Clock = {
    now: () => systemClock.now() + ahead,
    monotonic: () => systemClock.monotonic() + ahead,
    sleep: async (ms, signal) => {
      if (ms <= 1_200 || ms > BLOCK_MS) return systemClock.sleep(ms, signal)
      ahead += ms
      if ((await between?.(++waits)) === true) stop.abort(new StopSignal('SIGINT'))
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
  const surroundings = fakeIo({ cwd, env: { RPC: node.url }, clock, signal: stop.signal })
  const state = await openState('sqlite:state.db', surroundings)
  await warehouse.prepare([...pipeline.tables.values()])
  const bus = createBus(clock, 'run')
  const view = initialView()
  bus.subscribe((event) => {
    reduce(view, event)
    onEvent?.(event)
  })
  const held = { warehouse, lockFile: undefined, since: 0, taken: new AbortController().signal, close: () => Promise.resolve() }
  try {
    const { exitCode } = await runHeld(
      { id: 'run', pipeline, surroundings, signal: stop.signal, world: {}, held, state, bus, view, about: { file: pipeline.file } },
      { params: {}, select: undefined, limit: undefined, ...request },
    )
    return { exitCode, view }
  } finally {
    await state.close()
  }
}
