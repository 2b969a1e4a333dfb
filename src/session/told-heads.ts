import type { Clock } from '../sdk/index.js'

/** From one look to the next, however many heads are told of between them. */
const LEAST_MS = 100
/** An endpoint may know a head a little later than the socket that told of it: it is asked again so soon, and so often. */
const AGAIN_MS = 250
const AGAIN = 8
/** So many heads that were told of are waited for at once. */
const MOST = 16
/** For so many block times, and so long at least, nothing is asked after a look found what was told of. */
const REST_BLOCKS = 4
const REST_MS = 1_000

/**
 * The heads of a chain as a socket tells of them, held to what the endpoints answer. A head that was told of only says when to look, and
 * only one that a look has found lets looks rest. One that looks don't find is given up, with all above it, until the chain is there.
 */
export class ToldHeads {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #restMs: number
  /** The highest block that an endpoint gave, and the highest that was told of as well. */
  #head = -1n
  #confirmed = -1n
  /** What was told of and not found yet, with the number of looks since. */
  readonly #news = new Map<bigint, number>()
  /** The lowest block that was given up. */
  #givenUp: bigint | undefined
  /** What was told of last, since the last look. */
  #last: bigint | undefined
  /** New heads in a row that nobody had told of, while others were told of. */
  #missed = 0
  #lookedAt = -Infinity
  #confirmedAt = -Infinity

  constructor(blockTimeMs: number, clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
    this.#restMs = Math.max(REST_MS, REST_BLOCKS * blockTimeMs)
  }

  /** For how many milliseconds more looks may rest. */
  get restMs(): number {
    return Math.max(0, this.#confirmedAt + this.#restMs - this.#clock.monotonic())
  }

  /** In how many milliseconds the endpoints are to be asked for what was told of; Infinity: there is nothing. */
  get dueMs(): number {
    if (this.#news.size === 0) return Infinity
    return Math.max(0, this.#lookedAt + (this.#isFresh ? LEAST_MS : AGAIN_MS) - this.#clock.monotonic())
  }

  /** A socket tells of a block. Returns whether a look is due earlier for it. */
  hear(number: bigint): boolean {
    this.#last = number
    if (number === this.#head) this.#confirm(number)
    if (number <= this.#head || this.#news.has(number)) return false
    if (this.#givenUp !== undefined && number >= this.#givenUp) return false
    const isFirst = !this.#isFresh
    this.#news.set(number, 0)
    // The lowest stay: higher ones may be made up, and a look that finds them finds these, too.
    if (this.#news.size > MOST) this.#news.delete([...this.#news.keys()].reduce((a, b) => (a > b ? a : b)))
    return isFirst
  }

  /** An endpoint gave this head. Returns a block that was told of where it is not what the endpoints answer. */
  looked(head: bigint): bigint | undefined {
    const isNew = head > this.#head && this.#head >= 0n
    const said = this.#last
    const before = this.#confirmed
    if (head > this.#head) this.#head = head
    this.#lookedAt = this.#clock.monotonic()
    this.#last = undefined
    if (this.#givenUp !== undefined && head >= this.#givenUp) this.#givenUp = undefined
    let untrue: bigint | undefined
    for (const [number, asked] of [...this.#news].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (number <= head) this.#confirm(number)
      else if (asked + 1 >= AGAIN) untrue = this.#givenUp = number
      if (number <= head || untrue !== undefined) this.#news.delete(number)
      else this.#news.set(number, asked + 1)
    }
    if (isNew && said !== undefined && this.#confirmed === before && ++this.#missed === AGAIN) untrue ??= said
    return untrue
  }

  get #isFresh(): boolean {
    return [...this.#news.values()].includes(0)
  }

  #confirm(number: bigint): void {
    if (number <= this.#confirmed) return
    this.#confirmed = number
    this.#confirmedAt = this.#clock.monotonic()
    this.#missed = 0
  }
}
