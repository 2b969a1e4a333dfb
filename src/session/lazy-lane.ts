import type { Step } from '../pipeline/pipeline.js'
import type { StepQueueOptions } from '../rpc/step-queue.js'
import type { ChainRpc } from '../rpc/pool.js'
import { StepWithoutChainError } from '../run/run.js'
import type { Json, RpcPool } from '../sdk/index.js'

/** The endpoints of a step's chain as the step sees them, opened with its first call. */
export function lazyLane(
  step: Pick<Step, 'id' | 'chain'>,
  options: () => StepQueueOptions,
  open: (chain: string) => Promise<ChainRpc>,
): RpcPool {
  let lane: Promise<RpcPool> | undefined
  const get = (): Promise<RpcPool> => {
    if (step.chain === undefined) throw new StepWithoutChainError(step.id)
    if (lane) return lane
    lane = open(step.chain).then((rpc) => rpc.forStep(options()))
    // What kept it from being opened may be over in the next round.
    lane.catch(() => (lane = undefined))
    return lane
  }
  return {
    batch: async (calls, options) => (await get()).batch(calls, options),
    request: async (method, params, options) => (await get()).request(method, params, options),
    logs: async function* (filter, options) {
      yield* (await get()).logs(filter, options)
    },
    turns: async function* (options) {
      yield* (await get()).turns(options)
    },
    prove: async (parts) => (await get()).prove(parts),
    ready: async (signal) => (await get()).ready(signal),
  }
}

/** What a step asks of its lane. `config`: its `with` with every param put in. */
export function laneOptions({ id, parallel, retry, definition }: Step, config: Json): StepQueueOptions {
  const { attempts, waitMs, maxWaitMs } = retry
  // It was checked against the schema that the definition's `rpc` has its type from.
  const { batch } = definition.rpc?.(config as never) ?? {}
  return { id, parallel, batch, attempts, waitMs, maxWaitMs }
}
