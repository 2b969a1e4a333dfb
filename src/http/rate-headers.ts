import { retryAfter } from '../net/retry-after.js'

type Headers = Readonly<Record<string, string | string[] | undefined>>

/** What the headers of a reply say about when to ask again. */
export interface StatedRate {
  /** Milliseconds of a Retry-After. */
  readonly retryAfterMs: number | undefined
  /** Milliseconds until requests are allowed again, when none is left now. */
  readonly emptyMs: number | undefined
}

/**
 * Reads `Retry-After` (seconds or a date), `RateLimit-Remaining` with `RateLimit-Reset`, their `X-` forms, and the newer
 * `RateLimit: "default";r=0;t=30`. A reset is in seconds from now, or in seconds or milliseconds since 1970.
 */
export function statedRate(headers: Headers, nowMs: number): StatedRate {
  return { retryAfterMs: retryAfter(headers['retry-after'], nowMs), emptyMs: emptyFor(headers, nowMs) }
}

function emptyFor(headers: Headers, nowMs: number): number | undefined {
  const structured = text(headers['ratelimit'])
  const remaining = structured === undefined ? number(headers, 'remaining') : parameter(structured, 'r')
  if (remaining === undefined || remaining > 0) return undefined
  const reset = structured === undefined ? number(headers, 'reset') : parameter(structured, 't')
  if (reset === undefined) return undefined
  const ms = reset > 1e11 ? reset - nowMs : reset > 1e8 ? reset * 1000 - nowMs : reset * 1000
  return Math.max(0, ms)
}

function number(headers: Headers, name: string): number | undefined {
  for (const prefix of ['ratelimit-', 'x-ratelimit-', 'x-rate-limit-']) {
    const value = text(headers[prefix + name])
    // The older draft allows a list of policies behind the number.
    const match = value === undefined ? null : /^\s*(\d+(?:\.\d+)?)/.exec(value)
    if (match) return Number(match[1])
  }
  return undefined
}

function parameter(value: string, name: string): number | undefined {
  const match = new RegExp(`;\\s*${name}\\s*=\\s*(\\d+)`).exec(value)
  return match ? Number(match[1]) : undefined
}

const text = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header[0] : header)
