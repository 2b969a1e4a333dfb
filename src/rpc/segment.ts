import type { PipeError, RpcAnswers, RpcCall } from '../sdk/index.js'
import type { Endpoint } from './endpoint.js'
import { silentReach } from './methods.js'

/** What an endpoint said to a call instead of an answer. */
export interface Refusal {
  readonly times: number
  /** Whether it is not asked for the call any more. */
  readonly final: boolean
  /** Whether it is what the chain itself says, so that it counts more than what others lack. */
  readonly answer: boolean
  /** In its words. */
  readonly text: string
  /** What ends the call when nobody answers it. */
  readonly error: () => PipeError
}

/** What is known of a call that did not go well at once. Calls that do have none. */
export interface CallState {
  /** Requests that it was in and that came to nothing, as a weight. */
  drops: number
  readonly since: number
  /** Since when it waits for an endpoint that is away, while none that is up has not refused it. */
  waitsSince: number | undefined
  /** Endpoints that were asked in this round. */
  readonly avoid: Set<Endpoint>
  /** The last one to refuse it is the last. */
  readonly refusals: Map<Endpoint, Refusal>
}

/** Where the waiting calls of a segment are. */
export interface Place {
  readonly segment: Segment
  /** Counts the segments of a queue as they come. */
  readonly number: number
  /** What it belongs to: calls of lower numbers go first. */
  readonly work: number
  /** First call that was never taken. */
  next: number
  /** Calls to be sent again now. */
  again: number[]
  queued: boolean
  /** Since when it was passed over for its block. */
  behindSince: number | undefined
  /** Bytes that the answer to a call of it may weigh, as far as that was known when it came. */
  readonly bytes: number
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
  /** An endpoint whose head is lower is not asked. */
  readonly reach: bigint | undefined
  #end: (outcome: RpcAnswers | Error) => void
  #settled = false
  #left: number

  constructor(
    calls: readonly RpcCall[],
    /** The highest block that the answers depend on, as the step says: up to it `null` is no answer. */
    readonly block: bigint | undefined,
    end: (outcome: RpcAnswers | Error) => void,
    /** The one endpoint that may answer; undefined: any. */
    readonly only?: Endpoint,
  ) {
    this.calls = calls
    this.values = new Array<unknown>(calls.length)
    this.#left = calls.length
    this.#end = end
    const silent = silentReach(calls)
    this.reach = block === undefined || (silent !== undefined && silent > block) ? silent : block
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

  /** The state of a call that does not go well. */
  state(index: number, now: number): CallState {
    let state = this.states.get(index)
    if (!state) {
      state = { drops: 0, since: now, waitsSince: undefined, avoid: new Set(), refusals: new Map() }
      this.states.set(index, state)
    }
    return state
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
