/** What an earlier run found, and what the file says. */
export interface LimitOptions {
  readonly batch?: number
  readonly maxBatch?: number
  readonly parallel?: number
  /** `max_workers`. */
  readonly parallelCeiling?: number
}

const START_BATCH = 10
const START_PARALLEL = 5
const MOST_BATCH = 1000
const MOST_PARALLEL = 100
const SETTLED_MS = 5_000
/** After this a node that dropped several calls is given two again. */
const RETRY_BATCH_MS = 5_000

type Dimension = 'batch' | 'parallel'

interface Trial {
  readonly dimension: Dimension
  readonly before: number
  readonly rate: number
}

/**
 * How many calls a request and how many requests at once an endpoint gets. Both grow as long as more calls a second
 * come back and nothing is refused; a refusal shrinks at once, first to what the provider says, else by half. Times are
 * monotonic milliseconds.
 */
export class Limits {
  readonly #parallelCeiling: number
  #batch: number
  #parallel: number
  #stated: number | undefined
  /** Smallest size refused and not retried for a while, and largest that went well. */
  #refused = Infinity
  #refusedAt = 0
  #fine = 1
  #drops = 0
  #singles = false
  #slowAt = -Infinity

  #trial: Trial | undefined
  #turn: Dimension = 'batch'
  #failed = { batch: 0, parallel: 0 }
  #quietUntil = { batch: 0, parallel: 0 }
  #skip = 0
  #under = 0
  #since = 0
  #requests = 0
  #calls = 0
  #full = 0
  #crowded = 0
  #waiting = 0

  constructor(options: LimitOptions) {
    this.#parallelCeiling = Math.max(1, Math.min(MOST_PARALLEL, options.parallelCeiling ?? MOST_PARALLEL))
    this.#stated = options.maxBatch
    this.#batch = clamp(options.batch ?? START_BATCH, options.maxBatch ?? MOST_BATCH)
    this.#parallel = clamp(options.parallel ?? START_PARALLEL, this.#parallelCeiling)
    this.#under = this.#parallel
    this.#settle()
  }

  /** Calls a request. */
  get batch(): number {
    return this.#batch
  }

  /** Requests under way. */
  get parallel(): number {
    return this.#parallel
  }

  /** The most calls a request that the endpoint takes, as far as refusals have shown. */
  get maxBatch(): number | undefined {
    return this.#stated ?? (this.#refused === Infinity ? undefined : Math.max(1, this.#refused - 1))
  }

  /**
   * A request of `calls` was answered. `under` requests are still under way; `waiting` is whether calls wait for a place.
   */
  answered(now: number, calls: number, under: number, waiting: boolean): void {
    if (calls > 1) this.#drops = 0
    if (calls > this.#fine) this.#fine = calls
    this.#under = under
    if (this.#skip > 0) {
      this.#skip--
      if (this.#skip === 0) this.#restart(now)
      return
    }
    this.#requests++
    this.#calls += calls
    if (calls >= this.batch) this.#full++
    if (under + 1 >= this.parallel) this.#crowded++
    if (waiting) this.#waiting++
    if (this.#requests >= Math.max(8, 2 * under) && now - this.#since >= 50) this.#judge(now)
  }

  /** The request was refused for its number of calls or for what their answers weigh. */
  tooMany(now: number, calls: number, stated?: number): void {
    if (calls <= 1) return
    this.#trial = undefined
    if (stated !== undefined) {
      this.#stated = Math.min(this.#stated ?? Infinity, stated)
      this.#batch = Math.min(this.#batch, stated)
    } else {
      this.#refused = Math.min(this.#refused, calls)
      this.#refusedAt = now
      this.#fine = Math.min(this.#fine, calls - 1)
      this.#batch = Math.min(this.#batch, Math.max(1, Math.floor(calls / 2)))
    }
    this.#quiet(now, 'batch')
    this.#settle()
  }

  /**
   * A request of several calls got no JSON-RPC answer at all. Of a size that went well before, that says nothing; else it
   * is the size when it happens twice in a row, and for a node that never answered several calls it is the batch as such.
   */
  dropped(now: number, calls: number): void {
    if (calls <= this.#fine) return
    this.#drops++
    if (this.#drops < 2) return
    this.#drops = 0
    if (this.#fine > 1) return this.tooMany(now, calls)
    // The first time it may have been a bad moment, so it may soon grow back; the second time it is a habit.
    if (this.#singles) this.#stated = 1
    this.#batch = 1
    this.#trial = undefined
    this.#quietUntil.batch = now + (this.#singles ? SETTLED_MS : RETRY_BATCH_MS)
    this.#singles = true
    this.#settle()
  }

  /** A request ran into its deadline: too many at once, perhaps. Those that were under way together count once. */
  tooSlow(now: number, sentAt: number): void {
    if (sentAt < this.#slowAt) return
    this.#slowAt = now
    this.#trial = undefined
    this.#parallel = Math.max(1, Math.floor(this.#parallel / 2))
    this.#quiet(now, 'parallel')
    this.#settle()
  }

  /** Whether something is being tried whose effect is being measured. */
  get trying(): boolean {
    return this.#trial !== undefined
  }

  /** The rate was refused: what was being tried is taken back. `steady`: the rate itself had not grown. */
  tooFast(now: number, steady: boolean): void {
    const trial = this.#trial
    if (!trial) return
    this.#trial = undefined
    this.#set(trial.dimension, trial.before)
    if (steady) this.#quiet(now, trial.dimension)
    this.#settle()
  }

  #judge(now: number): void {
    const seconds = (now - this.#since) / 1000
    const rate = this.#calls / seconds
    const waited = this.#waiting >= this.#requests * 0.7
    const full = this.#full >= this.#requests * 0.7
    const crowded = this.#crowded >= this.#requests * 0.7
    const trial = this.#trial
    this.#trial = undefined
    if (trial) {
      if (rate >= trial.rate * 1.1) {
        this.#failed[trial.dimension] = 0
      } else {
        this.#set(trial.dimension, trial.before)
        this.#quiet(now, trial.dimension)
        this.#settle()
      }
    }
    if (now - this.#refusedAt > 120_000) this.#refused = Infinity
    // Without calls that wait, a larger limit would change nothing and prove nothing.
    if (waited && this.#skip === 0) this.#try(now, rate, full, crowded)
    this.#restart(now)
  }

  #try(now: number, rate: number, full: boolean, crowded: boolean): void {
    for (const dimension of this.#turn === 'batch' ? (['batch', 'parallel'] as const) : (['parallel', 'batch'] as const)) {
      if (now < this.#quietUntil[dimension] || !(dimension === 'batch' ? full : crowded)) continue
      const before = dimension === 'batch' ? this.#batch : this.#parallel
      const after = dimension === 'batch' ? this.#nextBatch() : Math.min(this.#parallelCeiling, this.#parallel * 2)
      if (after <= before) continue
      this.#set(dimension, after)
      this.#trial = { dimension, before, rate }
      this.#turn = dimension === 'batch' ? 'parallel' : 'batch'
      this.#settle()
      return
    }
  }

  #nextBatch(): number {
    const most = Math.min(MOST_BATCH, this.#stated ?? MOST_BATCH)
    if (this.#refused === Infinity) return Math.min(most, this.#batch * 2)
    // Between what went well and what was refused, by halves, until the gap is small.
    const middle = Math.floor((this.#batch + this.#refused) / 2)
    return Math.min(most, middle - this.#batch > Math.max(1, this.#batch * 0.1) ? middle : this.#batch)
  }

  #set(dimension: Dimension, value: number): void {
    if (dimension === 'batch') this.#batch = value
    else this.#parallel = value
  }

  #quiet(now: number, dimension: Dimension): void {
    this.#quietUntil[dimension] = now + SETTLED_MS * 2 ** Math.min(7, this.#failed[dimension]++)
  }

  /** What is under way went under the old limits: it is not measured. */
  #settle(): void {
    this.#skip = Math.max(1, this.#under)
  }

  #restart(now: number): void {
    this.#since = now
    this.#requests = this.#calls = this.#full = this.#crowded = this.#waiting = 0
  }
}

function clamp(value: number, most: number): number {
  return Math.max(1, Math.min(value, most, MOST_BATCH))
}
