import type { Clock } from '../sdk/index.js'
import type { Endpoint } from './endpoint.js'
import { RpcUnreachableError } from './errors.js'
import { outageOf } from './outage.js'

export interface HeadsOptions {
  readonly chain: { readonly name: string; readonly blockTimeMs?: number | undefined }
  readonly endpoints: readonly Endpoint[]
  readonly clock: Clock
  readonly closed: AbortSignal
  /** Throws when the caller, or the pool, has stopped. */
  readonly mayGoOn: (signal: AbortSignal) => void
  /** Resolves with the work, or when the signal is aborted. */
  readonly unlessStopped: (work: Promise<unknown>, signal: AbortSignal) => Promise<void>
}

/** After so many polls in a row that found nothing new, and each tenth from then on, all endpoints are asked for their heads. */
const STILL = 3
const STILL_AGAIN = 10
/** So long one endpoint is waited for before others are asked, and others once one has answered. */
const PATIENCE_MS = 3_000
/** An endpoint that answered before and says nothing for so long is away. */
const SILENT_MS = 10_000
/** One that is so far behind another, and so many blocks at least, loses its turn. */
const BEHIND_MS = 10_000
const LEAST_BEHIND = 3

/** The head of a chain, as its endpoints say it. */
export class Heads {
  readonly #options: HeadsOptions
  readonly #farBehind: bigint
  /** Those that were far behind another one when they were asked last. */
  readonly #behind = new Set<Endpoint>()
  /** Polls so far, and how many of them in a row found nothing new. */
  #polls = 0
  #still = 0

  constructor(options: HeadsOptions) {
    this.#options = options
    const { blockTimeMs } = options.chain
    this.#farBehind = BigInt(Math.max(LEAST_BEHIND, blockTimeMs === undefined ? 0 : Math.ceil(BEHIND_MS / blockTimeMs)))
  }

  /** See `ChainRpc.head`. */
  head(signal: AbortSignal): Promise<bigint> {
    return this.#ofAll(signal, false)
  }

  /** Asks all endpoints. A poll is an outage where those that answered before are silent for too long; else they have the time of any call. */
  async #ofAll(signal: AbortSignal, isPoll: boolean): Promise<bigint> {
    const { chain, endpoints, clock, closed, mayGoOn, unlessStopped } = this.#options
    for (;;) {
      mayGoOn(signal)
      if (isPoll) this.#refuseSilence()
      const now = clock.monotonic()
      // One that is waiting for its next try is left alone; one that is down is tried when there is no other.
      const others = endpoints.some((endpoint) => endpoint.health === 'up')
      const asked = endpoints.flatMap((endpoint) => {
        if (endpoint.health === 'up') return endpoint.refreshHead(0).then(() => this.#place([endpoint]))
        endpoint.tend(now, !others)
        return endpoint.checking ? endpoint.check() : []
      })
      await unlessStopped(this.#enough(asked, isPoll), signal)
      mayGoOn(signal)
      if (isPoll) this.#refuseSilence()
      const head = this.newest()
      if (head !== undefined) {
        this.#place(endpoints.filter(({ refreshing }) => !refreshing))
        return head
      }
      if (endpoints.every((endpoint) => endpoint.health === 'down' || endpoint.health === 'out')) throw outageOf(chain.name, endpoints)
      const after = clock.monotonic()
      const due = Math.min(...endpoints.map((endpoint) => endpoint.dueAt))
      if (due > after) await unlessStopped(clock.sleep(Math.min(due - after, 60_000), closed), signal)
    }
  }

  /** See `ChainRpc.poll`. */
  async poll(signal: AbortSignal): Promise<bigint> {
    const { mayGoOn, unlessStopped } = this.#options
    mayGoOn(signal)
    const before = this.newest()
    const asked = this.#turn()
    if (asked) {
      await unlessStopped(this.#soon(asked.refreshHead(0)), signal)
      mayGoOn(signal)
    }
    const answered = asked?.health === 'up' && !asked.refreshing
    if (answered) this.#place([asked])
    const head = (answered ? this.newest() : undefined) ?? (await this.#ofAll(signal, true))
    this.#still = before !== undefined && head <= before ? this.#still + 1 : 0
    return head
  }

  /** The highest head that is known of those that answer. */
  newest(): bigint | undefined {
    const heads = this.#options.endpoints.flatMap(({ health, head }) => (health === 'up' && head !== undefined ? [head] : []))
    return heads.length > 0 ? heads.reduce((a, b) => (a > b ? a : b)) : undefined
  }

  /** Whose turn it is to say the head; undefined: that of all. */
  #turn(): Endpoint | undefined {
    const up = this.#options.endpoints.filter(({ health }) => health === 'up')
    const fit = up.filter((endpoint) => !endpoint.refreshing && !this.#behind.has(endpoint))
    const poll = this.#polls++
    // Those that lost their turn are looked at as well from time to time.
    const comeBack = fit.length < up.length && poll % STILL_AGAIN === STILL_AGAIN - 1
    if (comeBack || this.#still === STILL || (this.#still > 0 && this.#still % STILL_AGAIN === 0)) return undefined
    const lowest = Math.min(...fit.map(({ priority }) => priority))
    const first = fit.filter(({ priority }) => priority === lowest)
    return first[poll % first.length]
  }

  /** Takes note of who is far behind. */
  #place(asked: readonly Endpoint[]): void {
    const newest = this.newest() ?? 0n
    for (const endpoint of asked) {
      if (endpoint.head !== undefined && newest - endpoint.head >= this.#farBehind) this.#behind.add(endpoint)
      else this.#behind.delete(endpoint)
    }
  }

  /** Resolves when all have answered, some time after the first one, or, of a poll, when those that answered before are silent for too long. */
  #enough(asked: readonly Promise<unknown>[], isPoll: boolean): Promise<unknown> {
    return this.#timed((after) => {
      const isUp = !this.#options.endpoints.some(({ checking }) => checking)
      const silence = isPoll && isUp ? [after(SILENT_MS)] : []
      const some = asked.length > 0 ? [Promise.race(asked).then(() => after(PATIENCE_MS))] : []
      return [Promise.all(asked), ...some, ...silence]
    })
  }

  /** Resolves with the work, or when it takes too long. */
  #soon(work: Promise<unknown>): Promise<unknown> {
    return this.#timed((after) => [work, after(PATIENCE_MS)])
  }

  async #timed(race: (after: (ms: number) => Promise<unknown>) => readonly Promise<unknown>[]): Promise<void> {
    const { clock, closed } = this.#options
    const over = new AbortController()
    const ends = AbortSignal.any([closed, over.signal])
    try {
      await Promise.race(race((ms) => clock.sleep(ms, ends).catch(() => undefined)))
    } finally {
      over.abort()
    }
  }

  /** @throws {RpcUnreachableError} when nobody but those that are silent could answer. */
  #refuseSilence(): void {
    const { chain, endpoints, clock } = this.#options
    const hopeful = endpoints.filter((endpoint) => endpoint.hopeful)
    const since = clock.monotonic() - SILENT_MS
    const isSilent = ({ health, silentSince = Infinity }: Endpoint) => health === 'up' && silentSince <= since
    if (hopeful.length === 0 || !hopeful.every(isSilent)) return
    const troubles = endpoints.map((endpoint) =>
      isSilent(endpoint) ? { ...endpoint.trouble, reason: 'takes requests and answers none' } : endpoint.trouble,
    )
    throw new RpcUnreachableError(chain.name, troubles)
  }
}
