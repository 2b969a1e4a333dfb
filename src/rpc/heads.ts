import type { Clock } from '../sdk/index.js'
import type { Endpoint } from './endpoint.js'
import { outageOf } from './outage.js'

export interface HeadsOptions {
  readonly chain: { readonly name: string }
  readonly endpoints: readonly Endpoint[]
  readonly clock: Clock
  readonly closed: AbortSignal
  /** Throws when the caller, or the pool, has stopped. */
  readonly mayGoOn: (signal: AbortSignal) => void
  /** Resolves with the work, or when the signal is aborted. */
  readonly unlessStopped: (work: Promise<unknown>, signal: AbortSignal) => Promise<void>
}

/** After so many polls that found nothing new, all endpoints are asked for their heads. */
const STILL = 10

/** The head of a chain, as its endpoints say it. */
export class Heads {
  readonly #options: HeadsOptions
  /** Polls so far, and how many of them in a row found nothing new. */
  #polls = 0
  #still = 0

  constructor(options: HeadsOptions) {
    this.#options = options
  }

  /** See `ChainRpc.head`. */
  async head(signal: AbortSignal): Promise<bigint> {
    const { chain, endpoints, clock, closed, mayGoOn, unlessStopped } = this.#options
    for (;;) {
      mayGoOn(signal)
      const now = clock.monotonic()
      // One that is waiting for its next try is left alone; one that is down is tried when there is no other.
      const others = endpoints.some((endpoint) => endpoint.health === 'up')
      const asked = endpoints.map((endpoint) => {
        if (endpoint.health === 'up') return endpoint.refreshHead(0)
        endpoint.tend(now, !others)
        return endpoint.checking ? endpoint.check() : Promise.resolve()
      })
      await unlessStopped(Promise.all(asked), signal)
      mayGoOn(signal)
      const head = this.newest()
      if (head !== undefined) return head
      if (endpoints.every((endpoint) => endpoint.health === 'down' || endpoint.health === 'out')) throw outageOf(chain.name, endpoints)
      const after = clock.monotonic()
      const due = Math.min(...endpoints.map((endpoint) => endpoint.dueAt))
      if (due > after) await unlessStopped(clock.sleep(Math.min(due - after, 60_000), closed), signal)
    }
  }

  /** See `ChainRpc.poll`. */
  async poll(signal: AbortSignal): Promise<bigint> {
    const { endpoints, mayGoOn, unlessStopped } = this.#options
    mayGoOn(signal)
    const up = endpoints.filter(({ health }) => health === 'up')
    const first = up.filter(({ priority }) => priority === Math.min(...up.map((endpoint) => endpoint.priority)))
    const before = this.newest()
    const asked = this.#still < STILL ? first[this.#polls++ % first.length] : undefined
    if (asked) await unlessStopped(asked.refreshHead(0), signal)
    mayGoOn(signal)
    const head = (asked && this.newest()) ?? (await this.head(signal))
    this.#still = asked && before !== undefined && head <= before ? this.#still + 1 : 0
    return head
  }

  /** The highest head that is known of those that answer. */
  newest(): bigint | undefined {
    const heads = this.#options.endpoints.flatMap(({ health, head }) => (health === 'up' && head !== undefined ? [head] : []))
    return heads.length > 0 ? heads.reduce((a, b) => (a > b ? a : b)) : undefined
  }
}
