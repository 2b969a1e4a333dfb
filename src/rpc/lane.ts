import type { PipeError, RpcAnswers, RpcCall } from '../sdk/index.js'
import { at } from '../net/at.js'
import type { Endpoint } from './endpoint.js'

/** What is known of a call that did not go well at once. Calls that do have none. */
export interface CallState {
  /** Answers that may be better next time. */
  attempts: number
  /** Requests that it was in and that came to nothing, as a weight. */
  drops: number
  readonly since: number
  /** Endpoints that should not get it again. */
  avoid: Set<Endpoint> | undefined
  /** How often an endpoint said that it lacks the state. */
  lacking: Map<Endpoint, number> | undefined
  last: { readonly endpoint: string; readonly text: string } | undefined
}

/** The calls of one `batch`, on their way. */
export class Segment {
  readonly values: unknown[]
  errors: Map<number, PipeError> | undefined
  readonly hosts: string[] = []
  readonly states = new Map<number, CallState>()
  /** First call that was never sent. */
  next = 0
  /** Calls to be sent again now. */
  again: number[] = []
  queued = false
  /** Since when no endpoint has its block. */
  behindSince: number | undefined
  settled = false
  #left: number

  constructor(
    readonly calls: readonly RpcCall[],
    readonly block: bigint | undefined,
    readonly end: (outcome: RpcAnswers | Error) => void,
  ) {
    this.values = new Array<unknown>(calls.length)
    this.#left = calls.length
  }

  /** Calls that wait to be sent. */
  get waiting(): number {
    return this.calls.length - this.next + this.again.length
  }

  answer(index: number, value: unknown, host: string): void {
    if (this.settled) return
    this.values[index] = value
    if (!this.hosts.includes(host)) this.hosts.push(host)
    this.#one()
  }

  fail(index: number, error: PipeError): void {
    if (this.settled) return
    this.errors ??= new Map()
    this.errors.set(index, error)
    this.#one()
  }

  reject(error: Error): void {
    if (this.settled) return
    this.settled = true
    this.end(error)
  }

  #one(): void {
    if (--this.#left > 0) return
    this.settled = true
    this.end({ values: this.values, errors: this.errors, endpoints: this.hosts })
  }
}

export interface LaneOptions {
  readonly id: string
  readonly parallel?: number
  readonly batch?: number
  readonly attempts: number
  readonly waitMs: number
  readonly maxWaitMs: number
}

/** Calls to be asked again when their wait is over. */
interface Delayed {
  readonly at: number
  readonly segments: readonly Segment[]
  readonly indexes: readonly number[]
}

/** What one step has asked for and not yet got. */
export class Lane {
  readonly parallel: number
  readonly batch: number
  /** Segments with calls to be sent, in order. */
  readonly queue: Segment[] = []
  /** Segments without an end. */
  readonly open = new Set<Segment>()
  /** Requests under way. */
  under = 0
  /** Calls in the queue or waiting for their next attempt. */
  waiting = 0
  #delayed: Delayed[] = []
  readonly roomWaiters = new Set<() => void>()

  constructor(readonly options: LaneOptions) {
    this.parallel = Math.max(1, options.parallel ?? Infinity)
    this.batch = Math.max(1, options.batch ?? Infinity)
  }

  add(segment: Segment): void {
    this.open.add(segment)
    this.waiting += segment.calls.length
    segment.queued = true
    this.queue.push(segment)
  }

  /** Puts calls that were taken before the others: those behind them would otherwise overtake for ever. */
  giveBack(segments: readonly Segment[], indexes: readonly number[]): void {
    let added = 0
    for (let i = 0; i < segments.length; i++) {
      const segment = at(segments, i)
      if (segment.settled) continue
      segment.again.push(at(indexes, i))
      added++
      if (!segment.queued) {
        segment.queued = true
        this.queue.unshift(segment)
      }
    }
    this.waiting += added
  }

  giveBackAt(at: number, segments: readonly Segment[], indexes: readonly number[]): void {
    this.waiting += segments.length
    this.#delayed.push({ at, segments, indexes })
  }

  /** Puts back what is due. Returns when the next is due. */
  wake(now: number): number {
    if (this.#delayed.length === 0) return Infinity
    let next = Infinity
    const rest: Delayed[] = []
    for (const delayed of this.#delayed) {
      if (delayed.at <= now) {
        this.waiting -= delayed.segments.length
        this.giveBack(delayed.segments, delayed.indexes)
      } else {
        rest.push(delayed)
        next = Math.min(next, delayed.at)
      }
    }
    this.#delayed = rest
    return next
  }

  /** Ends a segment before all of its calls are answered. */
  reject(segment: Segment, error: Error): void {
    segment.reject(error)
    const at = this.queue.indexOf(segment)
    if (at >= 0) {
      this.queue.splice(at, 1)
      this.waiting -= segment.waiting
      segment.queued = false
    }
    this.#delayed = this.#delayed.flatMap((delayed) => {
      const keep = delayed.segments.map((other) => other !== segment)
      if (keep.every(Boolean)) return [delayed]
      const segments = delayed.segments.filter((_, i) => keep[i])
      this.waiting -= delayed.segments.length - segments.length
      return segments.length > 0 ? [{ at: delayed.at, segments, indexes: delayed.indexes.filter((_, i) => keep[i]) }] : []
    })
  }
}
