import type { Budgets } from '../net/budget.js'
import type { Exchange } from '../net/exchange.js'
import type { Flight } from '../net/flight.js'
import type { ProxyOf } from '../net/proxies.js'
import type { Clock, Random, RunFact } from '../sdk/index.js'
import type { Anchors } from './anchors.js'

/** What all endpoints of a chain share. */
export interface Surroundings {
  readonly chain: { readonly name: string; readonly id: number }
  readonly clock: Clock
  readonly random: Random
  readonly emit: (fact: RunFact) => void
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly flight: Flight
  readonly proxyOf: ProxyOf
  readonly budgets: Budgets
  readonly closed: AbortSignal
  /** Blocks that all endpoints must share. */
  readonly anchors: Anchors
  /** A request is under way and is to be stopped at its deadline. */
  readonly started: (exchange: Exchange) => void
  readonly ended: (exchange: Exchange) => void
  /** Something changed that waiting calls may profit from. */
  readonly changed: () => void
  /** Something of ours failed (the hash of a block could not be kept): nothing can go on. */
  readonly broken: (error: unknown) => void
}
