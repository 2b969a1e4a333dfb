import type { RpcCall } from '../sdk/index.js'
import { at } from '../net/at.js'
import type { Budget } from '../net/budget.js'
import type { Endpoint } from './endpoint.js'
import { Exchange, type Outcome } from '../net/exchange.js'
import type { Flight } from '../net/flight.js'
import type { Hedge } from './hedges.js'
import { kindOf } from './methods.js'
import type { Segment } from './segment.js'
import type { Load, StepQueue } from './step-queue.js'

/** Calls on their way to an endpoint in one request: `segments[i].calls[indexes[i]]` has the id `base + i`. */
export class CallRequest extends Exchange {
  readonly segments: readonly Segment[]
  readonly indexes: readonly number[]
  /** What it asks for, by its first call. */
  readonly kind: string
  /** The hedge that it is in, as the late one or as a part, while that is open. */
  hedge: Hedge | undefined
  /** Whether it is, or was, in one: there is one at most. */
  hedged = false
  /** Whether the others have answered: what still comes of this one is nothing. */
  beaten = false

  constructor(
    maxBytes: number,
    flight: Flight,
    readonly endpoint: Endpoint,
    readonly queue: StepQueue,
    readonly load: Load,
    readonly base: number,
    /** Monotonic milliseconds. */
    readonly sentAt: number,
    readonly ended: (request: CallRequest, outcome: Outcome) => void,
  ) {
    super(maxBytes, flight)
    this.segments = load.segments
    this.indexes = load.indexes
    this.kind = kindOf(this.call(0).method)
  }

  call(i: number): RpcCall {
    return at(at(this.segments, i).calls, at(this.indexes, i))
  }

  /** Where its answer of number `i` belongs. */
  place(i: number): { readonly segment: Segment; readonly index: number } {
    return { segment: at(this.segments, i), index: at(this.indexes, i) }
  }

  /** What its calls cost of a budget, or those from `from` to `to`. */
  cost(budget: Budget, from = 0, to = this.segments.length): number {
    let credits = 0
    for (let i = from; i < to; i++) credits += budget.of(this.call(i).method)
    return credits
  }

  /** Its answers came in so many bytes. To be told before they are given: a segment with all of its answers lets go of its calls. */
  weigh(bytes: number): void {
    this.queue.weights.answered(this.segments.length, (i) => this.call(i), bytes)
  }

  /**
   * The JSON text. One call goes without brackets, for nodes that know no batches. It grows by one piece after the other: a
   * template would make a text of its own of every call before that is added.
   */
  body(prefixes: Map<string, string>): string {
    const { segments, indexes, base } = this
    const count = segments.length
    let body = count === 1 ? '' : '['
    let before: readonly (string | boolean)[] = []
    for (let i = 0; i < count; i++) {
      const call = at(at(segments, i).calls, at(indexes, i))
      let prefix = prefixes.get(call.method)
      if (prefix === undefined) {
        prefix = `,"method":${JSON.stringify(call.method)},"params":[`
        prefixes.set(call.method, prefix)
      }
      body += i === 0 ? '{"jsonrpc":"2.0","id":' : ',{"jsonrpc":"2.0","id":'
      body += base + i
      body += prefix
      if (arePlain(call.params, before)) {
        body = withPlain(body, call.params)
        before = call.params
      } else {
        body += anyText(call.params).slice(1)
        body += '}'
      }
    }
    return count === 1 ? body : `${body}]`
  }

  protected override get json(): { readonly keep: RpcCall['keep'] } {
    return { keep: this.keep }
  }

  /** What is looked at of all its answers; undefined where calls differ in it. */
  get keep(): RpcCall['keep'] {
    const { keep } = this.call(0)
    return this.segments.every((_, i) => this.call(i).keep === keep) ? keep : undefined
  }

  protected override done(outcome: Outcome): void {
    this.ended(this, outcome)
  }
}

/** Texts that are the same in JSON: quantities, addresses, hashes, tags. */
const PLAIN = /^\w*$/

/** Whether all params can be written down as they are. `plain`: some that can. Most calls share those that cost a look. */
function arePlain(params: readonly unknown[], plain: readonly (string | boolean)[]): params is readonly (string | boolean)[] {
  for (let i = 0; i < params.length; i++) {
    const param = params[i]
    if (typeof param === 'boolean' || (typeof param === 'string' && (param === plain[i] || PLAIN.test(param)))) continue
    return false
  }
  return true
}

/** Adds params to a text that ends in their opening bracket, and closes them and the call. */
function withPlain(text: string, params: readonly (string | boolean)[]): string {
  let quoted = false
  for (let i = 0; i < params.length; i++) {
    const param = at(params, i)
    if (i > 0) text += quoted ? '",' : ','
    quoted = typeof param === 'string'
    if (quoted) text += '"'
    text += param
  }
  return text + (quoted ? '"]}' : ']}')
}

function anyText(params: readonly unknown[]): string {
  try {
    return JSON.stringify(params)
  } catch {
    // JSON knows no bigint; in a call it is a quantity.
    return JSON.stringify(params, (_, value: unknown) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value))
  }
}
