import type { Budgets } from '../net/budget.js'
import type { Flight } from '../net/flight.js'
import type { ProxyOf } from '../net/proxies.js'
import type { Wait } from '../net/waits.js'
import type { Clock, Random, RpcPool, RunFact } from '../sdk/index.js'
import type { EndpointConfig } from './endpoint.js'
import type { LearnedEndpoint } from './learned.js'
import type { StepQueueOptions } from './step-queue.js'

export interface ChainRpcOptions {
  readonly chain: { readonly name: string; readonly id: number; readonly blockTimeMs?: number | undefined }
  readonly endpoints: readonly EndpointConfig[]
  readonly clock: Clock
  readonly random: Random
  readonly emit: (fact: RunFact) => void
  /** Learned by an earlier run, by host. */
  readonly limits: readonly {
    readonly endpoint: string
    readonly batch?: number | undefined
    readonly maxBatch?: number | undefined
    readonly parallel?: number | undefined
    readonly maxBlockRange?: number | undefined
  }[]
  /** Hash of block 0 or what else `onGenesis` was given. An endpoint with another one is refused by name. */
  readonly genesis?: string | undefined
  /**
   * Called when nothing was expected, before anything is fetched: with the hash of block 0 or, where nobody gives that,
   * with the number and hash of another old block (`58701:0x…`).
   */
  readonly onGenesis?: ((hash: string) => Promise<void>) | undefined
  /** Called whenever `learned` gives something else than before. */
  readonly onLearned?: (() => void) | undefined
  /** For a request with its answer, headers and body together. Default 60 s. */
  readonly timeoutMs?: number
  /** Of one answer, packed and unpacked. Default 256 MB. */
  readonly maxBytes?: number
  /** Of all answers that are being read. Default: of this chain alone. */
  readonly flight?: Flight | undefined
  /** What endpoints with a budget may spend, where other chains share it. Default: none does. */
  readonly budgets?: Budgets | undefined
  /** Default: endpoints are reached straight. */
  readonly proxyOf?: ProxyOf
}

/** All endpoints of one chain. */
export interface ChainRpc {
  /**
   * The highest head of the endpoints that answer, each checked for its chain id first.
   *
   * @throws {PipeError} when none is reachable or all are of another chain, naming hosts and what to check.
   */
  head(signal: AbortSignal): Promise<bigint>
  /**
   * The same for one request: of the endpoints with the first priority that answer, each is asked in turn, and what the others
   * said last counts as well. All are asked when none of these answers, and now and then while nothing moves: the head of one may be stuck.
   *
   * @throws as `head`
   */
  poll(signal: AbortSignal): Promise<bigint>
  /** The pool as one step sees it, with its ceilings. */
  forStep(step: StepQueueOptions): RpcPool
  /** Has a step make at most so many requests at once, from now on. */
  bound(step: string, parallel: number): void
  /** Of the endpoints that were asked in this run. */
  learned(): readonly LearnedEndpoint[]
  /** What is waited for now. */
  waits(): readonly Wait[]
  /** Has logins that were refused tried again with the next work. */
  tryLogins(): void
  /** Rejects what is still open and closes all connections. */
  close(): Promise<void>
}
