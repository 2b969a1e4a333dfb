import type { Step } from '../pipeline/pipeline.js'
import type { LaneOptions } from '../rpc/lane.js'
import type { ChainRpc } from '../rpc/pool.js'
import { StepWithoutChainError } from '../run/run.js'
import type { RpcPool } from '../sdk/index.js'

/** The endpoints of a step's chain as the step sees them, opened with its first call. */
export function lazyLane(step: Step, open: (chain: string) => Promise<ChainRpc>): RpcPool {
  let lane: Promise<RpcPool> | undefined
  const get = (): Promise<RpcPool> => {
    if (step.chain === undefined) throw new StepWithoutChainError(step.id)
    return (lane ??= open(step.chain).then((rpc) => rpc.lane(optionsOf(step))))
  }
  return {
    batch: async (calls, options) => (await get()).batch(calls, options),
    request: async (method, params, options) => (await get()).request(method, params, options),
    ready: async (signal) => (await get()).ready(signal),
  }
}

function optionsOf({ id, parallel, retry, definition, with: config }: Step): LaneOptions {
  const { attempts, waitMs, maxWaitMs } = retry
  // `with` was checked against the schema that the definition's `rpc` has its type from.
  const { batch } = definition.rpc?.(config as never) ?? {}
  return { id, parallel, batch, attempts, waitMs, maxWaitMs }
}
