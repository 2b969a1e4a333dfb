import { type Classified, classify, type ProviderError } from './classify.js'
import { demux, type Item } from './demux.js'
import type { Outcome } from '../net/exchange.js'
import { parseJson, TooDeepError } from '../net/json-depth.js'
import { sifted } from '../net/sifted.js'
import type { KeptFields } from '../sdk/index.js'
import { retryAfter } from '../net/retry-after.js'

/** What came back for one request. */
export type Reply =
  | {
      readonly kind: 'items'
      readonly items: readonly (Item | undefined)[]
      readonly missing: number
      readonly loose: unknown
    }
  /** Refused as a whole. */
  | { readonly kind: 'refused'; readonly error: ProviderError; readonly classified: Classified }
  /** Nothing to go by. `suspicious` when it may have been for the number of calls. */
  | { readonly kind: 'broken'; readonly text: string; readonly suspicious: boolean }
  | { readonly kind: 'redirected'; readonly location: string }

/** `nowMs` is UTC, for a Retry-After that is a date. `keep`: what is looked at of the answers, if not all. */
export function readReply(
  outcome: Outcome & { readonly kind: 'reply' },
  base: number,
  count: number,
  nowMs: number,
  keep?: KeptFields,
): Reply {
  const { status, headers, text, json } = outcome
  if (status >= 300 && status < 400) return { kind: 'redirected', location: String(headers['location'] ?? '') }
  const retryAfterMs = retryAfter(headers['retry-after'], nowMs)
  let parsed: unknown
  try {
    parsed = json ? json() : parseKept(text, keep)
  } catch (error) {
    if (error instanceof TooDeepError) return { kind: 'broken', text: `the answer is ${error.message}`, suspicious: count > 1 }
    if (status === 200 && !/^\s*</.test(text) && looksCut(text))
      return { kind: 'broken', text: text.trim() ? 'the answer ended early' : 'empty answer', suspicious: count > 1 }
    return refused({ status, message: text.trim() || `HTTP ${status}`, calls: count }, retryAfterMs, true)
  }
  const demuxed = demux(parsed, base, count)
  if (demuxed.kind === 'invalid') {
    return status >= 300
      ? refused({ status, message: text, calls: count }, retryAfterMs, true)
      : { kind: 'broken', text: demuxed.problem, suspicious: false }
  }
  if (demuxed.kind === 'error') return refused({ ...providerError(demuxed.error, status), calls: count }, retryAfterMs, false)
  if (demuxed.missing === count && count > 1) return { kind: 'broken', text: 'an answer without any of the calls', suspicious: true }
  if (retryAfterMs !== undefined && status === 429) return withWait(demuxed, retryAfterMs)
  return { kind: 'items', items: demuxed.items, missing: demuxed.missing, loose: demuxed.loose }
}

/** Of a text that is no JSON for a field that nobody looks at, what is left without it. @throws {SyntaxError} @throws {TooDeepError} */
function parseKept(text: string, keep: KeptFields | undefined): unknown {
  try {
    return parseJson(text)
  } catch (error) {
    const kept = error instanceof SyntaxError ? sifted(Buffer.from(text), keep) : undefined
    if (!kept) throw error
    return parseJson(kept.toString())
  }
}

/** Error of one call, as the classifier wants it. */
export function providerError(error: unknown, status?: number): ProviderError {
  if (typeof error === 'string') return { status, message: error }
  const { code, message, data } = (typeof error === 'object' && error !== null ? error : {}) as {
    code?: unknown
    message?: unknown
    data?: unknown
  }
  return {
    status,
    ...(typeof code === 'number' || typeof code === 'string' ? { code } : {}),
    message: typeof message === 'string' ? message : (JSON.stringify(error) ?? 'no message'),
    data,
  }
}

function refused(error: ProviderError, retryAfterMs: number | undefined, noJson: boolean): Reply {
  // A page of a gateway says little: only its status and its visible words count.
  const visible = noJson
    ? { ...error, message: error.message.replace(/<(script|style)\b[\s\S]*?(<\/\1\s*>|$)/gi, ' ').replace(/<[^>]*(>|$)/g, ' ') }
    : error
  const classified = classify(visible)
  const kind = noJson && error.status !== undefined && error.status < 300 && classified.class === 'BUG' ? 'SERVER' : classified.class
  const shown = noJson ? { ...error, message: `HTTP ${error.status}: ${visible.message.trim()}` } : error
  if (retryAfterMs === undefined || !(kind === 'RATE' || kind === 'QUOTA' || kind === 'SERVER'))
    return { kind: 'refused', error: shown, classified: { ...classified, class: kind } }
  // What the provider itself asks for decides between waiting and giving up on the endpoint.
  const waited = classify({ ...visible, message: 'rate limit', data: { backoff_seconds: retryAfterMs / 1000 } })
  return { kind: 'refused', error: shown, classified: kind === 'QUOTA' && retryAfterMs === 0 ? { class: 'QUOTA' } : waited }
}

/** A 429 whose items say so each: the wait that the header asks for goes with every error. */
function withWait(
  demuxed: { readonly items: readonly (Item | undefined)[]; readonly missing: number; readonly loose: unknown },
  waitMs: number,
): Reply {
  const items = demuxed.items.map((item) => {
    if (typeof item?.error !== 'object' || item.error === null) return item
    return { error: { ...item.error, data: { backoff_seconds: waitMs / 1000, was: (item.error as { data?: unknown }).data } } }
  })
  return { kind: 'items', items, missing: demuxed.missing, loose: demuxed.loose }
}

function looksCut(text: string): boolean {
  return text.trim() === '' || /^\s*[[{]/.test(text)
}
