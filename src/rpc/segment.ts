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

/** The calls of one `batch` with the answers that have come. Where its calls wait is known to the `StepQueue` alone. */
export class Segment {
  readonly values: unknown[]
  errors: Map<number, PipeError> | undefined
  readonly hosts: string[] = []
  readonly states = new Map<number, CallState>()
  readonly #end: (outcome: RpcAnswers | Error) => void
  #settled = false
  #left: number

  constructor(
    readonly calls: readonly RpcCall[],
    /** The highest block that the answers depend on. */
    readonly block: bigint | undefined,
    end: (outcome: RpcAnswers | Error) => void,
  ) {
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
    this.#end({ values: this.values, errors: this.errors, endpoints: this.hosts })
  }
}
