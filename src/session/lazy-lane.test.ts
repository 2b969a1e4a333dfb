import { expect, test } from 'vitest'
import { rpcBatch } from '../../plugins/rpc-batch/rpc-batch.js'
import type { Step } from '../pipeline/pipeline.js'
import type { StepQueueOptions } from '../rpc/step-queue.js'
import type { ChainRpc } from '../rpc/pool.js'
import type { Json, RpcPool } from '../sdk/index.js'
import { laneOptions, lazyLane } from './lazy-lane.js'

const ready: RpcPool = {
  batch: () => Promise.resolve({ values: [], errors: undefined, endpoints: [] }),
  request: () => Promise.resolve(null),
  logs: () => [] as never,
  turns: () => [] as never,
  prove: () => Promise.resolve(undefined),
  ready: () => Promise.resolve(),
}

async function laneOf(config: Json, definition: Partial<Step['definition']>): Promise<StepQueueOptions[]> {
  const lanes: StepQueueOptions[] = []
  const rpc = { forStep: (options: StepQueueOptions) => (lanes.push(options), ready) } as Partial<ChainRpc> as ChainRpc
  const step = { id: 's', chain: 'c', parallel: 3, retry: { attempts: 2, waitMs: 5, maxWaitMs: 9 }, with: { batch: '$size' }, definition }
  const lane = lazyLane(
    step,
    () => laneOptions(step as Partial<Step> as Step, config),
    () => Promise.resolve(rpc),
  )
  await lane.ready(new AbortController().signal)
  await lane.request('eth_chainId', [], { signal: new AbortController().signal })
  return lanes
}

test('a lane is opened once, and its batch is what the type of the step says of its `with`, params put in', async () => {
  const lane = { id: 's', parallel: 3, attempts: 2, waitMs: 5, maxWaitMs: 9 }
  expect(await laneOf({ batch: 7 }, rpcBatch)).toEqual([{ ...lane, batch: 7 }])
  expect(await laneOf({}, rpcBatch)).toEqual([lane])
  expect(await laneOf({ batch: 7 }, { type: 'other' })).toEqual([lane])
})
