/** Requests a second below which no first guess goes: a refusal at the very start says little about the limit. */
const MIN_FOUND = 2

/** Requests a second, found by refusals. Times are monotonic milliseconds. */
export class Pace {
  readonly #ceiling: number
  #perSecond: number
  /** The rate at which the last refusal came; undefined while still searching for it. */
  #refusedAt: number | undefined
  #cutAt = -Infinity
  #grownAt = 0
  #nextAt = 0
  #bucketAt = 0
  #bucket = 0
  #bucketBefore = 0

  /** `ceiling`: `requests_per_second` of the endpoint. */
  constructor(ceiling: number | undefined) {
    this.#ceiling = ceiling ?? Infinity
    this.#perSecond = this.#ceiling
  }

  get perSecond(): number {
    return this.#perSecond
  }

  /** When the next request may go. */
  next(): number {
    return this.#nextAt
  }

  /** Whether the rate that is refused is being looked for: until then nothing else should be tried. */
  get searching(): boolean {
    return this.#perSecond < this.#ceiling && this.#refusedAt === undefined
  }

  /** A request goes now. `steady`: something else is being tried, so the rate stays as it is. */
  take(now: number, steady = false): void {
    if (steady) this.#grownAt = now
    else this.#grow(now)
    if (this.#perSecond === Infinity) return
    // Timers come late; up to 5 ms are made good, which is no burst.
    this.#nextAt = Math.max(this.#nextAt, now - 5) + 1000 / this.#perSecond
  }

  answered(now: number): void {
    this.#roll(now)
    this.#bucket++
  }

  /**
   * A request that went at `sentAt` was refused. Those that were already under way at the last cut say nothing new, nor
   * do those of the same second: most limits count by the second, and one that is full stays full.
   */
  refused(now: number, sentAt: number): void {
    if (sentAt <= this.#cutAt + 1000) return
    this.#roll(now)
    const sinceCut = now - this.#cutAt
    const measured = Math.max(MIN_FOUND, this.#bucket + this.#bucketBefore * Math.max(0, 1 - (now - this.#bucketAt) / 1000))
    if (this.#perSecond >= measured * 4) {
      this.#perSecond = measured * 0.9
      this.#refusedAt = undefined
    } else if (this.searching) {
      // It doubled each second, so the limit may lie well below: what was answered tells.
      this.#perSecond = Math.min(this.#perSecond * 0.92, Math.max(this.#perSecond / 2, measured))
      this.#refusedAt = this.#perSecond
    } else if (sinceCut < 3000) {
      this.#perSecond *= 0.8
      this.#refusedAt = this.#perSecond
    } else {
      this.#refusedAt = this.#perSecond
      this.#perSecond *= 0.92
    }
    this.#perSecond = Math.max(0.1, this.#perSecond)
    this.#cutAt = now
    this.#grownAt = now
    // What was allowed at the old rate is not any more.
    this.#nextAt = Math.max(this.#nextAt, now + 1000 / this.#perSecond)
  }

  /** Fast while nothing is known, slow near the rate that was refused, faster again the longer nothing was refused. */
  #grow(now: number): void {
    const seconds = Math.min(1, (now - this.#grownAt) / 1000)
    if (seconds < 0.05 || this.#perSecond >= this.#ceiling) return
    this.#grownAt = now
    if (this.#refusedAt === undefined) {
      this.#perSecond *= 2 ** seconds
    } else if (this.#perSecond < this.#refusedAt * 0.97) {
      this.#perSecond += this.#refusedAt * 0.02 * seconds
    } else {
      this.#perSecond += this.#refusedAt * 0.003 * seconds * 2 ** Math.min(8, Math.floor((now - this.#cutAt) / 30_000))
    }
    this.#perSecond = Math.min(this.#ceiling, this.#perSecond)
  }

  #roll(now: number): void {
    const passed = now - this.#bucketAt
    if (passed < 1000) return
    this.#bucketBefore = passed < 2000 ? this.#bucket : 0
    this.#bucket = 0
    this.#bucketAt = now
  }
}
