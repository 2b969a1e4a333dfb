import type { Random, RpcAnswers, RpcCall, RpcOptions, RpcPool, RpcTurn, RunFact } from '../sdk/index.js'
import type { Endpoint } from './endpoint.js'
import { RpcAwayError } from './errors.js'
import { showCall } from './show-call.js'

export interface TurnsOptions extends Readonly<Parameters<RpcPool['turns']>[0]> {
  readonly chain: { readonly name: string }
  readonly endpoints: readonly Endpoint[]
  readonly random: Random
  readonly emit: (fact: RunFact) => void
  readonly attempts: { readonly attempts: number; readonly waitMs: number; readonly maxWaitMs: number }
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  /** Throws when the caller, or the pool, has stopped. */
  readonly mayGoOn: (signal: AbortSignal) => void
  /** Asks this endpoint alone. */
  readonly ask: (only: Endpoint, calls: readonly RpcCall[], options: RpcOptions) => Promise<RpcAnswers>
}

/** See `RpcPool.turns`. */
export async function* turns(options: TurnsOptions): AsyncIterable<RpcTurn> {
  const { chain, endpoints, random, emit, sleep, mayGoOn, ask, signal, block, rounds } = options
  const { attempts, waitMs, maxWaitMs } = options.attempts
  for (let round = 0; round < (rounds ?? attempts); round++) {
    const wait = round === 0 ? 0 : random() * Math.min(maxWaitMs, waitMs * 2 ** (round - 1))
    if (wait > 0) await sleep(wait, signal)
    for (const endpoint of endpoints) {
      mayGoOn(signal)
      const { name, health, why } = endpoint
      if (why === 'chain') continue
      const asked = health === 'up' && endpoint.reaches(block)
      yield {
        endpoint: name,
        batch: (calls, of) => (asked ? ask(endpoint, calls, of) : notAsked(endpoint, calls)),
        refuse: (calls, message) =>
          emit({ type: 'retry', from: { chain: chain.name }, endpoint: name, class: 'SERVER', calls, waitMs: 0, message }),
      }
    }
  }
}

/** What an endpoint that is down or lags gives. */
function notAsked({ health, trouble, name, head }: Endpoint, calls: readonly RpcCall[]): Promise<RpcAnswers> {
  const away = [health === 'up' ? { endpoint: name, reason: `head ${head}` } : trouble]
  const errors = new Map(calls.map((call, i) => [i, new RpcAwayError(showCall(call), [], away)]))
  return Promise.resolve({ values: new Array<unknown>(calls.length), errors, endpoints: [] })
}
