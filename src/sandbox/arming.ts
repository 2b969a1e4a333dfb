import type { Clock } from '../sdk/index.js'

/** How often a fault strikes of what fits it. Left out, always. */
export interface Pace {
  /** Lets the first so many pass. */
  readonly after?: number
  /** Every nth of what is left. */
  readonly every?: number
  /** At most so often, then never again. */
  readonly times?: number
  /** With this probability, from 0 to 1, drawn from the server's seed. */
  readonly chance?: number
}

/** A fault in place, with what it has done. */
export interface Armed<F> {
  readonly fault: F
  /** How often it struck. */
  readonly hits: number
  /** Ends it. */
  remove(): void
}

/** The state behind an `Armed`: counts what fits. */
export abstract class Counted<F extends Pace> implements Armed<F> {
  hits = 0
  #fitting = 0

  constructor(
    readonly fault: F,
    private readonly random: () => number,
    private readonly disarm: (arming: Counted<F>) => void,
  ) {}

  remove(): void {
    this.disarm(this)
  }

  /** Whether it strikes the next one that fits. Counts. */
  protected next(): boolean {
    const { after = 0, every = 1, times = Infinity, chance = 1 } = this.fault
    if (this.hits >= times) return false
    this.#fitting++
    if (this.#fitting <= after || (this.#fitting - after) % every !== 0) return false
    if (chance < 1 && this.random() >= chance) return false
    this.hits++
    return true
  }
}

/** A bucket of tokens that fills as time goes by. It begins full. */
export class Bucket {
  #tokens: number
  #filledAt: number

  constructor(
    private readonly perSecond: number,
    private readonly size: number,
    private readonly clock: Clock,
  ) {
    this.#tokens = size
    this.#filledAt = clock.monotonic()
  }

  /** How many of `wanted` pass now (`whole`: all or none), and the milliseconds until the others would. */
  take(wanted: number, whole: boolean): { readonly granted: number; readonly waitMs: number } {
    const now = this.clock.monotonic()
    this.#tokens = Math.min(this.size, this.#tokens + ((now - this.#filledAt) / 1000) * this.perSecond)
    this.#filledAt = now
    // More than the bucket holds passes when the bucket is full, or it could never pass.
    const granted = whole ? (this.#tokens >= Math.min(wanted, this.size) ? wanted : 0) : Math.min(wanted, Math.floor(this.#tokens))
    this.#tokens -= Math.min(granted, this.size)
    const short = Math.min(wanted - granted, this.size) - this.#tokens
    return { granted, waitMs: granted === wanted ? 0 : Math.max(0, (short / this.perSecond) * 1000) }
  }
}
