import type { RpcCall } from '../sdk/index.js'
import { at } from '../net/at.js'
import type { Endpoint } from './endpoint.js'
import { Exchange, type Outcome } from '../net/exchange.js'
import type { Segment } from './segment.js'
import type { StepQueue } from './step-queue.js'

/** Calls on their way to an endpoint in one request: `segments[i].calls[indexes[i]]` has the id `base + i`. */
export class CallRequest extends Exchange {
  constructor(
    maxBytes: number,
    readonly endpoint: Endpoint,
    readonly queue: StepQueue,
    readonly segments: readonly Segment[],
    readonly indexes: readonly number[],
    readonly base: number,
    /** Monotonic milliseconds. */
    readonly sentAt: number,
    readonly ended: (request: CallRequest, outcome: Outcome) => void,
  ) {
    super(maxBytes)
  }

  call(i: number): RpcCall {
    return at(at(this.segments, i).calls, at(this.indexes, i))
  }

  /** The JSON text. One call goes without brackets, for nodes that know no batches. */
  body(prefixes: Map<string, string>): string {
    const { segments, indexes, base } = this
    const count = segments.length
    let body = count === 1 ? '' : '['
    for (let i = 0; i < count; i++) {
      const call = at(at(segments, i).calls, at(indexes, i))
      let prefix = prefixes.get(call.method)
      if (prefix === undefined) {
        prefix = `,"method":${JSON.stringify(call.method)},"params":`
        prefixes.set(call.method, prefix)
      }
      body += `${i > 0 ? ',' : ''}{"jsonrpc":"2.0","id":${base + i}${prefix}${paramsText(call.params)}}`
    }
    return count === 1 ? body : `${body}]`
  }

  protected override done(outcome: Outcome): void {
    this.ended(this, outcome)
  }
}

/** Texts that are the same in JSON: quantities, addresses, hashes, tags. */
const PLAIN = /^\w*$/

/** `JSON.stringify`, which takes longer for a short list than to write it down. */
function paramsText(params: readonly unknown[]): string {
  let text = '['
  for (let i = 0; i < params.length; i++) {
    const param = params[i]
    if (typeof param === 'string' && PLAIN.test(param)) text += i === 0 ? `"${param}"` : `,"${param}"`
    else if (typeof param === 'boolean') text += i === 0 ? String(param) : `,${param}`
    else return anyText(params)
  }
  return `${text}]`
}

function anyText(params: readonly unknown[]): string {
  try {
    return JSON.stringify(params)
  } catch {
    // JSON knows no bigint; in a call it is a quantity.
    return JSON.stringify(params, (_, value: unknown) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value))
  }
}
