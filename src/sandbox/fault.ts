import type { Clock, Json } from '../sdk/index.js'
import { Bucket, Counted } from './arming.js'
import type { Armed, Pace } from './arming.js'
import type { LogFault } from './log-fault.js'
import type { RpcError } from './wordings.js'

/** One call of a request, as the client sent it. */
export interface SentCall {
  readonly id: unknown
  readonly method: string
  readonly params: readonly unknown[]
}

/**
 * When a fault strikes. Left out, always. All that is given must hold. A fault of calls counts the calls that fit it,
 * any other fault the requests of which at least one call fits.
 */
export interface Trigger extends Pace {
  readonly methods?: readonly string[]
  readonly if?: (call: SentCall) => boolean
  /** Only in requests of at least so many calls. */
  readonly minBatch?: number
}

/** What may go wrong with one call of a batch while the others are answered. */
export type CallFault =
  /** An error in place of the result. */
  | { readonly kind: 'error'; readonly error: RpcError }
  /** Another result than the true one: `null`, `[]`, anything. */
  | { readonly kind: 'result'; readonly result: Json }
  /** The result as JSON text, put in as it is: `9007199254740993`, `"0X1F"`. A function gets the true one. */
  | { readonly kind: 'raw'; readonly text: string | ((truth: string) => string) }
  /** No answer to this call in the reply. */
  | { readonly kind: 'omit' }
  /** The answer twice, the second time with another result when one is given. */
  | { readonly kind: 'duplicate'; readonly result?: Json }
  /** The right answer under a wrong id: none, `"3"` for 3, null, or one that nobody asked with. */
  | { readonly kind: 'id'; readonly id: 'missing' | 'string' | 'null' | 'unknown' }

/** What may be answered to a whole request instead of the truth. */
export type RequestFault =
  | { readonly kind: 'http'; readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  /** 429. `retryAfter` is the header's text, or seconds. */
  | { readonly kind: 'rate-limit'; readonly retryAfter?: number | string; readonly error?: RpcError; readonly status?: number }
  /**
   * A real limit: a bucket that holds `burst` (default `perSecond`) and fills at `perSecond`, counted in requests
   * (default) or calls. What is over it gets a 429 (`http`), one error with status 200 (`json`), or an error a call
   * for the calls that are too many (`calls`).
   */
  | {
      readonly kind: 'rate'
      readonly perSecond: number
      readonly burst?: number
      readonly count?: 'requests' | 'calls'
      readonly as?: 'http' | 'json' | 'calls'
      readonly error?: RpcError
      /** Adds a true `Retry-After` to a 429. */
      readonly retryAfter?: boolean
    }
  /** One error object, id null, for the whole batch. */
  | { readonly kind: 'batch-error'; readonly error: RpcError; readonly status?: number }
  /** Refuses batches of more than `max` calls as a client or gateway does. Default `geth`: an array with one error under the first id. */
  | { readonly kind: 'max-batch'; readonly max: number; readonly style?: 'geth' | 'besu' | 'nethermind' | 'http-400' | 'empty' | 'drop' }
  /**
   * Refuses replies of more than `bytes`: `first`, an array with one error under the first id; `rest`, the answers
   * that fit and the error for all others; `whole`, one error object. Default `first`.
   */
  | { readonly kind: 'max-response'; readonly bytes: number; readonly style?: 'first' | 'rest' | 'whole'; readonly error?: RpcError }
  /** No answer for ever: nothing at all or, with `headers`, status and headers and then nothing. */
  | { readonly kind: 'hang'; readonly headers?: boolean }
  /** The connection is closed without a byte of answer. */
  | { readonly kind: 'drop' }
  /** The connection is reset while the client still sends its body. Knows no calls: `methods`, `if` and `minBatch` do not apply. */
  | { readonly kind: 'refuse-body' }

/** Time that passes before an answer. Several add up. */
export interface LatencyFault {
  readonly kind: 'latency'
  readonly ms: number
  /** Up to so much more, seeded. */
  readonly jitterMs?: number
}

/** The answers of a batch in a seeded other order. */
export interface ReorderFault {
  readonly kind: 'reorder'
}

/**
 * What a WebSocket does that is asked for new heads: it refuses, tells of none, closes instead of telling of one, or tells of one that is
 * made up (2^64 - 1) beside each. Knows no calls.
 */
export interface HeadsFault {
  readonly kind: 'heads'
  readonly as: 'refused' | 'silent' | 'closed' | 'made-up'
}

/** What may happen to a reply on its way. Fractions are of the body's bytes, from 0 to 1. At most one a reply: the first that strikes. */
export type WireFault =
  /** So many bytes, a pause, and so on. */
  | { readonly kind: 'slow'; readonly bytes: number; readonly everyMs: number }
  /** TCP reset after this part of the body. */
  | { readonly kind: 'reset'; readonly at: number }
  /** Broken JSON in a reply that is complete by its headers. */
  | { readonly kind: 'truncate'; readonly at: number }
  /** A Content-Length that is wrong by `delta` bytes, then the connection is closed. */
  | { readonly kind: 'content-length'; readonly delta: number }
  /** Compressed; cut off after a part when `cut` is given, in a reply that is complete by its headers. */
  | { readonly kind: 'gzip'; readonly cut?: number }
  /** The same with brotli. */
  | { readonly kind: 'brotli'; readonly cut?: number }
  /** The true answer behind so many bytes of blanks, compressed about a thousandfold. */
  | { readonly kind: 'gzip-bomb'; readonly bytes: number }
  /** The true answer behind so many bytes of blanks, without Content-Length. */
  | { readonly kind: 'huge'; readonly bytes: number }

/** A lie, a refusal or a breakdown, as data. */
export type Fault = Trigger & (CallFault | LogFault | RequestFault | LatencyFault | ReorderFault | HeadsFault | WireFault)

export type FaultKind = Fault['kind']

// Complete by its type: a kind that is missing here does not compile.
const kinds: Readonly<Record<FaultKind, true>> = {
  error: true,
  result: true,
  raw: true,
  omit: true,
  duplicate: true,
  id: true,
  'log-range': true,
  'log-cap': true,
  'log-hole': true,
  'log-lag': true,
  'log-odd': true,
  'receipts-short': true,
  'receipts-hole': true,
  http: true,
  'rate-limit': true,
  rate: true,
  'batch-error': true,
  'max-batch': true,
  'max-response': true,
  hang: true,
  drop: true,
  'refuse-body': true,
  latency: true,
  reorder: true,
  heads: true,
  slow: true,
  reset: true,
  truncate: true,
  'content-length': true,
  gzip: true,
  brotli: true,
  'gzip-bomb': true,
  huge: true,
}

/** A fault in place, with what it has done. */
export type ArmedFault = Armed<Fault>

/** The state behind an `ArmedFault`: counts what fits and decides. */
export class Arming extends Counted<Fault> {
  readonly #bucket: Bucket | undefined

  constructor(fault: Fault, random: () => number, clock: Clock, disarm: (arming: Counted<Fault>) => void) {
    // Faults also come from JSON and from JavaScript; one that could never strike would make a test pass for nothing.
    if (!Object.hasOwn(kinds, fault.kind))
      throw new RangeError(`no fault is called ${fault.kind}; there are ${Object.keys(kinds).join(', ')}`)
    super(fault, random, disarm)
    this.#bucket = fault.kind === 'rate' ? new Bucket(fault.perSecond, fault.burst ?? fault.perSecond, clock) : undefined
  }

  /** Whether it strikes these calls: one call for a fault of calls, else all of a request. Counts. */
  strikes(calls: readonly SentCall[], batch: number): boolean {
    const { methods, minBatch, if: fits } = this.fault
    if (minBatch !== undefined && batch < minBatch) return false
    if (methods && !calls.some((call) => methods.includes(call.method))) return false
    if (fits && !calls.some((call) => (!methods || methods.includes(call.method)) && fits(call))) return false
    return this.next()
  }

  /** For a `rate` fault: how many of `wanted` pass now, and the milliseconds until the others would. */
  take(wanted: number, whole: boolean): { readonly granted: number; readonly waitMs: number } {
    return this.#bucket?.take(wanted, whole) ?? { granted: wanted, waitMs: 0 }
  }
}
