import type { PipeError, RpcAnswers, RpcCall } from '../sdk/index.js'
import { at } from '../net/at.js'
import type { Budget } from '../net/budget.js'
import { Bag } from './bag.js'
import type { Endpoint } from './endpoint.js'
import { type Place, Segment } from './segment.js'
import { kindOf, REQUEST_BYTES, Weights } from './weights.js'

export interface StepQueueOptions {
  readonly id: string
  readonly parallel?: number
  readonly batch?: number
  readonly attempts: number
  readonly waitMs: number
  readonly maxWaitMs: number
}

/** Calls side by side: `segments[i].calls[indexes[i]]`. */
export interface Taken {
  readonly segments: Segment[]
  readonly indexes: number[]
}

/** Calls of one request. */
export interface Load extends Taken {
  /** What their answers are going to weigh. */
  readonly bytes: number
  /** What they cost of the budget of the endpoint. */
  readonly credits: number
}

/** What becomes of a waiting call when an endpoint asks for work. The error ends it. */
export type Choice = 'take' | 'alone' | 'leave' | PipeError

/** An endpoint that asks for work, as the queue sees it. */
export interface Taker {
  /** Most calls of one request. */
  readonly most: number
  /** What its calls cost, and what it may spend. Undefined: they cost nothing. */
  readonly budget: Budget | undefined
  /** Whether it takes any call that was never sent, so that nobody has to look at each. */
  readonly takesAny: boolean
  /** Whether it has the block that a segment depends on. */
  has(block: bigint): boolean
  choose(segment: Segment, index: number): Choice
}

/** Calls to be asked again when their wait is over. */
interface Delayed extends Taken {
  readonly at: number
}

/**
 * What one step has asked for and not yet got.
 *
 * Every call of an open segment is in exactly one place: never taken, to be sent again, delayed, or on its way (taken and
 * neither answered nor given back). `waiting` counts the first three. A segment is queued exactly while it has calls that
 * were never taken or are to be sent again; a segment with an end has none in any place. Only the methods of this class
 * move a call or a counter, so whoever takes calls must give back, answer or fail each of them.
 */
export class StepQueue {
  /** Most requests under way. */
  parallel: number
  readonly batch: number
  readonly weights = new Weights()
  /** What waits until there is room for further calls. */
  readonly roomWaiters = new Bag<{ readonly go: () => void; index: number }>()
  /** Of segments without an end. */
  readonly #open = new Bag<Place>()
  /** Of segments with calls to be sent, in order. */
  readonly #queue: Place[] = []
  #delayed: Delayed[] = []
  #waiting = 0
  #waitingBytes = 0
  #held = 0
  #under = 0
  #added = 0
  #begun = 0

  constructor(readonly options: StepQueueOptions) {
    this.parallel = Math.max(1, options.parallel ?? Infinity)
    this.batch = Math.max(1, options.batch ?? Infinity)
  }

  /** How long its calls wait for an endpoint that is away: as long as attempts would take. */
  get patienceMs(): number {
    return this.options.attempts * this.options.maxWaitMs
  }

  /** Calls that are queued or delayed. */
  get waiting(): number {
    return this.#waiting
  }

  /** What the answers to calls that are queued or delayed may weigh. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Calls of segments without an end, their answers included: what the step and its calls take of memory. */
  get held(): number {
    return this.#held
  }

  /** Requests under way. */
  get under(): number {
    return this.#under
  }

  /** Whether a request may be made now. */
  get ready(): boolean {
    return this.#queue.length > 0 && this.#under < this.parallel
  }

  /** Segments without an end, as they came. */
  get open(): readonly Segment[] {
    return this.#open
      .all()
      .sort((a, b) => a.number - b.number)
      .map(({ segment }) => segment)
  }

  /**
   * Queues calls behind all others of the same work and of work that began before. `end` is called once, with all answers or with
   * the reason why there are none. `only`: the one that may answer. `work`: see `begin`; calls of none go before those of any.
   */
  add(
    calls: readonly RpcCall[],
    block: bigint | undefined,
    end: (outcome: RpcAnswers | Error) => void,
    only?: Endpoint,
    work = 0,
  ): Segment {
    const ended = (outcome: RpcAnswers | Error): void => {
      segment.place = undefined
      this.#open.delete(place)
      this.#held -= calls.length
      end(outcome)
    }
    const segment = new Segment(calls, block, ended, only)
    const bytes = this.weights.sum(calls) / calls.length
    const place: Place = { segment, number: this.#added++, work, next: 0, again: [], queued: true, behindSince: undefined, bytes, index: 0 }
    segment.place = place
    this.#open.add(place)
    let i = this.#queue.length
    while (i > 0 && at(this.#queue, i - 1).work > work) i--
    this.#queue.splice(i, 0, place)
    this.#waits(place, calls.length)
    this.#held += calls.length
    return segment
  }

  /**
   * Begins a piece of work that takes several calls after each other. What is asked for it goes before what is asked for pieces
   * that begin later: the first ones come to their end while others are under way, and not all of them at the same late time.
   */
  begin(): number {
    return ++this.#begun
  }

  /** Takes calls that go to one endpoint in one request, first those to be sent again. The calls are on their way then. */
  take(taker: Taker, now: number): Load {
    const taken = new Loading(taker, this.weights, now)
    let i = 0
    while (i < this.#queue.length && !taken.full) {
      const place = at(this.#queue, i)
      const { segment } = place
      if (segment.reach !== undefined && !taker.has(segment.reach)) {
        place.behindSince ??= now
        i++
        continue
      }
      place.behindSince = undefined
      const alone = place.again.length > 0 && this.#takeAgain(place, taker, taken)
      if (!alone) this.#takeFresh(place, taker, taken)
      if (place.next >= segment.calls.length && place.again.length === 0) {
        place.queued = false
        this.#queue.splice(i, 1)
      } else {
        i++
      }
      if (alone) break
    }
    for (const { place } of taken.segments) this.#waits(place, -1)
    return taken
  }

  /** A request with calls of this queue was sent. */
  sent(): void {
    this.#under++
  }

  /** The request has ended. What becomes of its calls is said for each. */
  ended(): void {
    this.#under--
  }

  /** Puts calls that were taken before the others: those behind them would otherwise overtake for ever. */
  giveBack({ segments, indexes }: Readonly<{ segments: readonly Segment[]; indexes: readonly number[] }>): void {
    for (let i = 0; i < segments.length; i++) {
      const segment = at(segments, i)
      const { place } = segment
      if (!place) continue
      place.again.push(at(indexes, i))
      this.#waits(place, 1)
      if (place.queued) continue
      place.queued = true
      this.#queue.unshift(place)
    }
  }

  /** Keeps calls that were taken until `at`, then puts them before the others. */
  giveBackAt(at: number, calls: Readonly<{ segments: readonly Segment[]; indexes: readonly number[] }>): void {
    const delayed = only({ at, segments: [...calls.segments], indexes: [...calls.indexes] }, ({ place }) => place !== undefined)
    for (const { place } of delayed.segments) this.#waits(place, 1)
    if (delayed.segments.length > 0) this.#delayed.push(delayed)
  }

  /** Puts back what is due. Returns when the next is due. */
  wake(now: number): number {
    if (this.#delayed.length === 0) return Infinity
    const due = this.#delayed.filter((delayed) => delayed.at <= now)
    this.#delayed = this.#delayed.filter((delayed) => delayed.at > now)
    for (const delayed of due) {
      for (const { place } of delayed.segments) this.#waits(place, -1)
      this.giveBack(delayed)
    }
    return Math.min(Infinity, ...this.#delayed.map((delayed) => delayed.at))
  }

  /** Queued segments that were passed over for their block, with the time since then. */
  behind(): readonly { readonly segment: Segment; readonly block: bigint; readonly since: number }[] {
    const found = []
    for (const { segment, behindSince } of this.#queue)
      if (behindSince !== undefined && segment.reach !== undefined) found.push({ segment, block: segment.reach, since: behindSince })
    return found
  }

  /** Ends a segment before all of its calls are answered. Its calls are in no place any more. */
  reject(segment: Segment, error: Error): void {
    const { place } = segment
    if (!place) return
    if (place.queued) {
      this.#queue.splice(this.#queue.indexOf(place), 1)
      this.#waits(place, -(segment.calls.length - place.next + place.again.length))
    }
    this.#delayed = this.#delayed.flatMap((delayed) => {
      const rest = only(delayed, (other) => other !== segment)
      this.#waits(place, rest.segments.length - delayed.segments.length)
      return rest.segments.length > 0 ? [rest] : []
    })
    segment.reject(error)
  }

  #takeFresh(place: Place, taker: Taker, load: Loading): void {
    const { segment } = place
    const { calls } = segment
    const any = taker.takesAny && segment.only === undefined
    while (place.next < calls.length && load.fits(at(calls, place.next))) {
      const index = place.next++
      const choice = any ? 'take' : taker.choose(segment, index)
      if (choice === 'take' || choice === 'alone') {
        load.add(segment, index)
      } else if (choice === 'leave') {
        place.again.push(index)
      } else {
        this.#waits(place, -1)
        segment.fail(index, choice)
      }
    }
  }

  /** Returns true when it took a call that must go alone. */
  #takeAgain(place: Place, taker: Taker, load: Loading): boolean {
    const { segment } = place
    const rest: number[] = []
    let alone = false
    for (const index of place.again) {
      const choice: Choice = alone || !load.fits(at(segment.calls, index)) ? 'leave' : taker.choose(segment, index)
      if (choice === 'leave' || (choice === 'alone' && load.segments.length > 0)) {
        rest.push(index)
      } else if (choice === 'take' || choice === 'alone') {
        load.add(segment, index)
        alone = choice === 'alone'
      } else {
        this.#waits(place, -1)
        segment.fail(index, choice)
      }
    }
    place.again = rest
    return alone
  }

  /** So many calls more, or fewer, of a segment that has no end are queued or delayed. */
  #waits(place: Place | undefined, calls: number): void {
    this.#waiting += calls
    if (place) this.#waitingBytes += calls * place.bytes
  }
}

/** The calls of one request as they are gathered. */
class Loading implements Load {
  readonly segments: Segment[] = []
  readonly indexes: number[] = []
  bytes = 0
  credits = 0
  /** Whether nothing fits any more. */
  full = false
  readonly #most: number
  readonly #weights: Weights
  readonly #budget: Budget | undefined
  readonly #free: number
  #next = 0
  #cost = 0

  constructor({ most, budget }: Taker, weights: Weights, now: number) {
    this.#most = most
    this.#weights = weights
    this.#budget = budget
    this.#free = budget ? budget.credits.free(now) : Infinity
  }

  /** Whether there is room for a call: one has it however much its answer weighs, but not where it costs more than is free. */
  fits(call: RpcCall): boolean {
    if (this.full) return false
    this.#next = this.#weights.of(kindOf(call))
    this.full = this.segments.length >= this.#most || (this.segments.length > 0 && this.bytes + this.#next > REQUEST_BYTES)
    if (!this.full && this.#budget) this.full = !this.#affords(this.#budget, call.method)
    return !this.full
  }

  /** Adds the call that was just found to fit. */
  add(segment: Segment, index: number): void {
    this.segments.push(segment)
    this.indexes.push(index)
    this.bytes += this.#next
    this.credits += this.#cost
  }

  #affords(budget: Budget, method: string): boolean {
    this.#cost = budget.of(method)
    if (this.credits + this.#cost <= this.#free) return true
    if (this.segments.length === 0) budget.wants(this.#cost)
    return false
  }
}

function only(delayed: Delayed, keep: (segment: Segment) => boolean): Delayed {
  const kept = delayed.segments.map(keep)
  if (kept.every(Boolean)) return delayed
  return { at: delayed.at, segments: delayed.segments.filter((_, i) => kept[i]), indexes: delayed.indexes.filter((_, i) => kept[i]) }
}
