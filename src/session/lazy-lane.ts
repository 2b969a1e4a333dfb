import type { Step } from '../pipeline/pipeline.js'
import type { ChainRpc } from '../rpc/pool.js'
import { StepWithoutChainError } from '../run/run.js'
import type { RpcPool } from '../sdk/index.js'

/** The endpoints of a step's chain as the step sees them, opened with its first call. */
export function lazyLane(step: Step, open: (chain: string) => Promise<ChainRpc>): RpcPool {
  let lane: Promise<RpcPool> | undefined
  const get = (): Promise<RpcPool> => {
    if (step.chain === undefined) throw new StepWithoutChainError(step.id)
    const { attempts, waitMs, maxWaitMs } = step.retry
    const batch = batchOf(step)
    lane ??= open(step.chain).then((rpc) => rpc.lane({ id: step.id, parallel: step.parallel, batch, attempts, waitMs, maxWaitMs }))
    return lane
  }
  return {
    batch: async (calls, options) => (await get()).batch(calls, options),
    request: async (method, params, options) => (await get()).request(method, params, options),
    ready: async (signal) => (await get()).ready(signal),
  }
}

function batchOf(step: Step): number | undefined {
  const batch = typeof step.with === 'object' && step.with !== null && 'batch' in step.with ? Number(step.with.batch) : undefined
  return Number.isNaN(batch) ? undefined : batch
}
