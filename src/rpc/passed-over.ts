import type { Endpoint } from './endpoint.js'
import { RpcBehindError } from './errors.js'
import { troublesOf } from './outage.js'
import { NEAR_HEAD } from './settle.js'
import type { StepQueue } from './step-queue.js'

/** A head that was asked for just now is not asked for again. */
export const HEAD_AGE_MS = 1_000

/** Calls that no endpoint can answer now: what they wait for is asked for its head, until it is there or the wait is over. */
export class PassedOver {
  readonly #chain: string
  readonly #endpoints: readonly Endpoint[]
  /** Endpoints that calls wait for although another one is up, until when. */
  readonly #awaited = new Map<Endpoint, number>()

  constructor(chain: string, endpoints: readonly Endpoint[]) {
    this.#chain = chain
    this.#endpoints = endpoints
  }

  /** A call waits for an endpoint, and gives up then. */
  readonly awaits = (endpoint: Endpoint, until: number): void => {
    this.#awaited.set(endpoint, Math.max(until, this.#awaited.get(endpoint) ?? 0))
  }

  isAwaited(endpoint: Endpoint): boolean {
    return this.#awaited.has(endpoint)
  }

  /** Those that wait are looked through again. */
  clear(): void {
    this.#awaited.clear()
  }

  /** Sees to all that is passed over. Returns when to look again. */
  tend(queues: readonly StepQueue[], now: number): number {
    return Math.min(this.#behind(queues, now), this.#await(now))
  }

  /** Calls that only endpoints may answer that are down or lag: asks those for their heads, and looks again when the wait is over. */
  #await(now: number): number {
    let wakeAt = Infinity
    for (const [endpoint, until] of this.#awaited) {
      wakeAt = Math.min(wakeAt, until, now + HEAD_AGE_MS)
      if (endpoint.health === 'up') void endpoint.refreshHead(HEAD_AGE_MS)
    }
    return wakeAt
  }

  /**
   * Calls above every head: asks for the heads again, and gives up after as long as attempts would take. A block that is far above
   * all of them is not waited for, once each endpoint has said again where its head is.
   */
  #behind(queues: readonly StepQueue[], now: number): number {
    let wakeAt = Infinity
    for (const queue of queues) {
      for (const { segment, block, since } of queue.behind()) {
        const up = this.#endpoints.filter((endpoint) => endpoint.health === 'up')
        if (up.some((endpoint) => endpoint.head !== undefined && endpoint.head >= block)) continue
        const { attempts, maxWaitMs } = queue.options
        const far = this.#endpoints.every(
          ({ health, head }) => health === 'out' || (health === 'up' && head !== undefined && block - head > NEAR_HEAD),
        )
        if (now - since > (far ? 2 * HEAD_AGE_MS : attempts * maxWaitMs)) {
          const heads = up.map((endpoint) => ({ endpoint: endpoint.name, reason: `head ${endpoint.head ?? 'unknown'}` }))
          queue.reject(segment, new RpcBehindError(this.#chain, block, heads.length > 0 ? heads : troublesOf(this.#endpoints)))
          continue
        }
        for (const endpoint of up) void endpoint.refreshHead(HEAD_AGE_MS)
        wakeAt = Math.min(wakeAt, now + HEAD_AGE_MS)
      }
    }
    return wakeAt
  }
}
