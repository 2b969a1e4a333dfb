import { type HttpReply, isPipeError, type Json } from '../../src/sdk/authors.js'
import { kindOf } from './check.js'
import type { Config, End } from './config.js'
import { PageShapeError } from './errors.js'
import { fieldOf, type Page, pointerOf } from './page.js'

/** What `end` says, of `with` and of `cursor`. */
export function endsOf({ cursor, end }: Config): ReadonlySet<End> {
  return new Set(
    [cursor.end, end].flatMap((given) => (given === undefined ? [] : Array.isArray(given) ? (given as readonly End[]) : [given as End])),
  )
}

/** Status of a request that the source answered and did not fulfil. */
export function statusOf(error: unknown): number | undefined {
  return isPipeError(error) && 'status' in error && typeof error.status === 'number' ? error.status : undefined
}

/**
 * A reply that holds no page, as a page without rows: what `end` names, a 204, and a 404 of a list that is asked for by places
 * which may lie behind its end. Undefined: it is no such thing.
 */
export function nothingThere(
  config: Config,
  { status, reply, error }: { status: number; reply?: HttpReply; error?: unknown },
): Page | undefined {
  const ends = endsOf(config)
  const none = reply ?? noReply(status)
  if (ends.has(status)) return { rows: [], reply: none, end: `HTTP ${status}` }
  if (reply && ends.has(null) && isNullList(reply.body, config)) return { rows: [], reply, end: 'null' }
  if (status === 204) return { rows: [], reply: none }
  const kind = kindOf(config)
  if (status === 404 && kind !== 'next' && kind !== 'link') return { rows: [], reply: none, refused: error }
  return undefined
}

/** What stands for a reply that did not come. */
export const noReply = (status: number): HttpReply => ({ status, headers: {}, body: null, exact: () => null, place: (address) => address })

function isNullList(body: Json, { records }: Config): boolean {
  let value: Json | undefined = body
  for (const key of records === '' || records === '.' ? [] : records.split('.')) {
    if (value === null) return true
    value = fieldOf(value, key)
  }
  return value === null
}

/** Whether a reply says that there are more pages (`cursor.more`); undefined where nothing is declared, or nothing came. */
export function moreOf({ reply }: Page, { cursor }: Config): boolean | undefined {
  if (cursor.more === undefined || reply.body === null) return undefined
  const path = cursor.more.split('.')
  let value: Json | undefined = reply.body
  for (const key of path) value = fieldOf(value, key)
  if (value === true || value === 1 || value === 'true') return true
  if (value === false || value === 0 || value === 'false') return false
  throw new PageShapeError(
    pointerOf(path),
    `is ${value === undefined ? 'missing' : JSON.stringify(value)}, neither true nor false (\`cursor.more\`)`,
  )
}
