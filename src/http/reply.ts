import type { Json } from '../sdk/index.js'
import { TooDeepError } from '../net/json-depth.js'
import { parseDigits } from '../net/json-exact.js'
import { parseExact } from '../net/json-numbers.js'
import type { Outcome } from '../net/exchange.js'

/** What came back for one request. */
export type Read =
  | { readonly kind: 'json'; readonly body: Json; exact(): Json }
  /** Nothing to go by: empty, ended early, a page of a gateway. Another try may bring it. */
  | { readonly kind: 'broken'; readonly text: string }
  /** Came whole and is no JSON. */
  | { readonly kind: 'unreadable'; readonly text: string }
  /** Words instead of JSON: "Too many requests". */
  | { readonly kind: 'words'; readonly text: string }

/** The body of a reply with status 200 to 299. */
export function readBody({ headers, text }: Outcome & { readonly kind: 'reply' }): Read {
  // A byte order mark is no part of JSON.
  const plain = text.startsWith('\ufeff') ? text.slice(1) : text
  const type = String(headers['content-type'] ?? '')
  try {
    const lines = /ndjson|jsonl|json-?lines/i.test(type)
    // What the parser gives is JSON.
    const body = (lines ? linesOf(plain).map(parseExact) : parseExact(plain)) as Json
    return { kind: 'json', body, exact: () => (lines ? linesOf(plain).map(parseDigits) : parseDigits(plain)) }
  } catch (error) {
    if (error instanceof TooDeepError) return { kind: 'broken', text: `the reply is ${error.message}` }
    if (plain.trim() === '') return { kind: 'broken', text: 'empty reply' }
    if (/^\s*</.test(plain)) return { kind: 'broken', text: `a page instead of JSON: ${plain}` }
    if (!/^\s*[[{]/.test(plain)) return { kind: 'words', text: `no JSON: ${plain}` }
    const { message } = error as Error
    return endedEarly(message, plain) ? { kind: 'broken', text: 'the reply ended early' } : { kind: 'unreadable', text: message }
  }
}

/** Whether the parser came to the end of the text and wanted more. */
function endedEarly(problem: string, text: string): boolean {
  const at = / at position (\d+)/.exec(problem)?.[1]
  return /end of JSON input|Unterminated string/.test(problem) || (at !== undefined && Number(at) >= text.trimEnd().length)
}

/** Texts of one JSON value each. A last one that was cut off is an error, never left out. */
function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '')
}
