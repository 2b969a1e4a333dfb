import type { Arming, Fault, RequestFault, SentCall } from './fault.js'
import type { Reply } from './wire.js'
import { errorBody, wordings } from './wordings.js'
import type { RpcError } from './wordings.js'

/** What is said to a request instead of answering its calls, if anything. */
export interface Refusal {
  readonly reply: Reply | 'drop' | 'hang' | 'hang-after-headers' | undefined
  readonly fault: Fault['kind'] | undefined
  /** Without a refusal: how many calls, from the first, are within the rate, and what the others are told. */
  readonly granted: number
  readonly tooMany: RpcError
}

const json = { 'content-type': 'application/json' }

/** The first fault that strikes the request as a whole decides. */
export function refuse(faults: readonly Arming[], calls: readonly SentCall[], batch: boolean): Refusal {
  let granted = calls.length
  let tooMany: RpcError = wordings.alchemyPerSecond
  for (const arming of faults) {
    const { fault } = arming
    if (!refuses(fault) || (fault.kind === 'max-batch' && (!batch || calls.length <= fault.max))) continue
    if (fault.kind !== 'rate') {
      if (!arming.strikes(calls, calls.length)) continue
      return { reply: replyOf(fault, calls), fault: fault.kind, granted, tooMany }
    }
    // A rate strikes only what is over it, so its bucket is asked before it counts as a hit.
    const perCall = fault.as === 'calls'
    const wanted = perCall || fault.count === 'calls' ? calls.length : 1
    const { granted: pass, waitMs } = arming.take(wanted, !perCall)
    if (pass >= wanted || !arming.strikes(calls, calls.length)) continue
    const error = fault.error ?? wordings.alchemyPerSecond
    if (perCall) {
      granted = Math.min(granted, pass)
      tooMany = error
      continue
    }
    const headers = fault.retryAfter ? { ...json, 'retry-after': String(Math.ceil(waitMs / 1000)) } : json
    return {
      reply: { status: fault.as === 'json' ? 200 : 429, headers, body: errorBody(null, error) },
      fault: fault.kind,
      granted,
      tooMany,
    }
  }
  return { reply: undefined, fault: undefined, granted, tooMany }
}

type Refusing = Exclude<RequestFault, { readonly kind: 'max-response' | 'refuse-body' }>

const kinds = new Set<string>(['http', 'rate-limit', 'rate', 'batch-error', 'max-batch', 'hang', 'drop'] satisfies Refusing['kind'][])

function refuses(fault: Fault): fault is Fault & Refusing {
  return kinds.has(fault.kind)
}

function replyOf(fault: Exclude<Refusing, { readonly kind: 'rate' }>, calls: readonly SentCall[]): NonNullable<Refusal['reply']> {
  switch (fault.kind) {
    case 'http':
      return { status: fault.status, headers: { 'content-type': contentType(fault.body ?? ''), ...fault.headers }, body: fault.body ?? '' }
    case 'rate-limit': {
      const headers = fault.retryAfter === undefined ? json : { ...json, 'retry-after': String(fault.retryAfter) }
      return { status: fault.status ?? 429, headers, body: errorBody(null, fault.error ?? wordings.alchemyPerSecond) }
    }
    case 'batch-error':
      return { status: fault.status ?? 200, headers: json, body: errorBody(null, fault.error) }
    case 'hang':
      return fault.headers ? 'hang-after-headers' : 'hang'
    case 'drop':
      return 'drop'
    case 'max-batch':
      switch (fault.style ?? 'geth') {
        case 'geth':
          return { status: 200, headers: json, body: `[${errorBody(calls[0]?.id ?? null, wordings.gethBatchTooLarge)}]` }
        case 'besu':
          return { status: 200, headers: json, body: errorBody(null, wordings.besuBatchTooLarge) }
        case 'nethermind':
          return { status: 200, headers: json, body: errorBody(null, wordings.nethermindBatchTooLarge) }
        case 'http-400':
          return { status: 400, headers: { 'content-type': 'text/plain' }, body: 'batch requests are not supported\n' }
        case 'empty':
          return { status: 200, headers: json, body: '' }
        case 'drop':
          return 'drop'
      }
  }
}

function contentType(body: string): string {
  const start = body.trimStart()[0]
  return start === '<' ? 'text/html; charset=utf-8' : start === '{' || start === '[' ? 'application/json' : 'text/plain; charset=utf-8'
}
