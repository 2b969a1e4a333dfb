import type { PipeError, RpcAnswers, RpcCall } from '../sdk/index.js'
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

/** Where the waiting calls of a segment are. */
export interface Place {
  readonly segment: Segment
  /** Counts the segments of a queue as they come. */
  readonly number: number
  /** First call that was never taken. */
  next: number
  /** Calls to be sent again now. */
  again: number[]
  queued: boolean
  /** Since when it was passed over for its block. */
  behindSince: number | undefined
  /** Of the `Bag` that it lies in. */
  index: number
}

/** The calls of one `batch` with the answers that have come. Where its calls wait is the matter of its `StepQueue` alone. */
export class Segment {
  /** Undefined once it has its end. Only its `StepQueue` sets it. */
  place: Place | undefined
  /** None once all are answered: old objects that nothing uses any more may refer to this one, and would keep them. */
  calls: readonly RpcCall[]
  values: unknown[]
  errors: Map<number, PipeError> | undefined
  readonly hosts: string[] = []
  readonly states = new Map<number, CallState>()
  #end: (outcome: RpcAnswers | Error) => void
  #settled = false
  #left: number

  constructor(
    calls: readonly RpcCall[],
    /** The highest block that the answers depend on. */
    readonly block: bigint | undefined,
    end: (outcome: RpcAnswers | Error) => void,
    /** The one endpoint that may answer; undefined: any. */
    readonly only?: Endpoint,
  ) {
    this.calls = calls
    this.values = new Array<unknown>(calls.length)
    this.#left = calls.length
    this.#end = end
  }

  /** Whether the batch has its end: what still comes for it is dropped. */
  get settled(): boolean {
    return this.#settled
  }

  answer(index: number, value: unknown, host: string): void {
    if (this.#settled) return
    this.values[index] = value
    if (!this.hosts.includes(host)) this.hosts.push(host)
    this.#one()
  }

  fail(index: number, error: PipeError): void {
    if (this.#settled) return
    this.errors ??= new Map()
    this.errors.set(index, error)
    this.#one()
  }

  reject(error: Error): void {
    if (this.#settled) return
    this.#settled = true
    this.#end(error)
  }

  #one(): void {
    if (--this.#left > 0) return
    this.#settled = true
    const end = this.#end
    const { values, errors, hosts } = this
    this.#end = ended
    this.values = []
    this.calls = []
    end({ values, errors, endpoints: hosts })
  }
}

const ended = (): void => undefined
