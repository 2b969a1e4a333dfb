import type { Json } from '../sdk/index.js'
import { TooDeepError } from '../net/json-depth.js'
import { parseExact } from '../net/json-numbers.js'
import type { Outcome } from '../net/exchange.js'

/** What came back for one request. */
export type Read =
  | { readonly kind: 'json'; readonly body: Json }
  /** Nothing to go by: ended early, no JSON. Another try may bring it. */
  | { readonly kind: 'broken'; readonly text: string }

/** The body of a reply with status 200 to 299. */
export function readBody({ headers, text }: Outcome & { readonly kind: 'reply' }): Read {
  // A byte order mark is no part of JSON.
  const plain = text.startsWith('\ufeff') ? text.slice(1) : text
  const type = String(headers['content-type'] ?? '')
  try {
    // What the parser gives is JSON.
    const body = (/ndjson|jsonl|json-?lines/i.test(type) ? parseLines(plain) : parseExact(plain)) as Json
    return { kind: 'json', body }
  } catch (error) {
    if (error instanceof TooDeepError) return { kind: 'broken', text: `the reply is ${error.message}` }
    if (plain.trim() === '') return { kind: 'broken', text: 'empty reply' }
    if (/^\s*</.test(plain)) return { kind: 'broken', text: `a page instead of JSON: ${plain}` }
    return { kind: 'broken', text: /^\s*[[{]/.test(plain) ? 'the reply ended early' : `no JSON: ${plain}` }
  }
}

/** One JSON value a line. A last line that was cut off is an error, never left out. */
function parseLines(text: string): unknown[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(parseExact)
}
