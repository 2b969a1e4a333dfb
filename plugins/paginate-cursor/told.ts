import { type Json, sayingOf } from '../../src/sdk/authors.js'
import type { Config } from './config.js'
import { fieldOf } from './page.js'

/** What a reply of status 200 to 299 tells instead of, or beside, its records. */
export interface Told {
  /** What went wrong, in its own words. */
  readonly text: string
  /** HTTP status that stands in it. */
  readonly status: number | undefined
}

/** Names under which APIs say what went wrong. */
const WORDS = /^(.*error.*|err|.*message|msg|details?|description|reason|title|result|data|status|info|type|code)$/i
const STATUS = /^(status|code|.*status_?code|.*error_?code)$/i
/** What stands where it is said how a request went, when it went wrong. */
const FAILED = /^(error|fail(ed|ure)?|not ?ok|nok)$/i
/** An empty list that is told as if it were an error: "No transactions found". */
const NONE =
  /\bno ([\w-]+ ){0,3}(transactions?|transfers?|records?|results?|rows?|items?|entries|events?|logs?|blocks?|data) (were |was )?found\b/i
/** Said when all is well. */
const WELL = /^(ok|success|succeeded|true|done)$/i
/** Characters of a reply's words that are shown. */
const SHOWN = 200

/**
 * Whether a reply tells of an error, by `error` of the step or found out. `list`: what stands where the records should be.
 * Where that is a list with rows, only what is plainly an error counts; where there is none, all that is said.
 */
export function toldBy(body: Json, list: Json | undefined, error: Config['error']): Told | undefined {
  const told = error?.path === undefined ? plainly(body) : declared(body, error.path.split('.'), textsOf(error.ok))
  if (told === undefined && Array.isArray(list) && list.length > 0) return undefined
  // A text, or an object that tells of an error, where the list was.
  const instead = Array.isArray(list) ? '' : wordsOf(list)
  const words = [...new Set([wordsOf(body), instead])].filter((text) => text !== '').join(': ')
  const known = sayingOf(words) !== undefined || holds(words, [...textsOf(error?.rate_limit), ...textsOf(error?.retry)])
  if (holds(words, textsOf(error?.empty)) || (Array.isArray(list) && !known && NONE.test(words))) return undefined
  // A 404 beside an empty list may only say that there is nothing.
  const refused = ![undefined, 404].includes(statusOf(body))
  if (told === undefined && Array.isArray(list) && !failed(body) && !known && !refused) return undefined
  const text = told === undefined || !/[a-z]/i.test(told) ? words || (told ?? '') : told
  return text === '' ? undefined : { text: text.length > SHOWN ? `${text.slice(0, SHOWN - 1)}…` : text, status: statusOf(body) }
}

/** Whether a reply says, by `error.empty`, that there is nothing: it needs no list then. */
export function saysEmpty(body: Json, error: Config['error']): boolean {
  return holds(wordsOf(body), textsOf(error?.empty))
}

/** Whether a text holds one of others, whatever the case. */
export function holds(text: string, parts: readonly string[]): boolean {
  const lower = text.toLowerCase()
  return parts.some((part) => lower.includes(part.toLowerCase()))
}

/** One text or several, as a list. */
export function textsOf(given: Json | undefined): readonly string[] {
  return given === undefined ? [] : (Array.isArray(given) ? (given as Json[]) : [given]).map(String)
}

function declared(body: Json, path: readonly string[], ok: readonly string[]): string | undefined {
  let value: Json | undefined = body
  for (const key of path) value = fieldOf(value, key)
  const well = ok.length > 0 ? value === undefined || value === null || ok.includes(String(value)) : isNothing(value)
  return well ? undefined : textOf(value)
}

/** What no API says beside an answer that is one. */
function plainly(body: Json): string | undefined {
  for (const name of ['error', 'errors']) {
    const error = fieldOf(body, name)
    if (!isNothing(error)) return textOf(error)
  }
  return ['success', 'ok'].some((name) => fieldOf(body, name) === false) ? wordsOf(body) || 'it says that it did not succeed' : undefined
}

const failed = (body: Json): boolean =>
  ['status', 'message', 'msg', 'result'].some((name) => FAILED.test(String(fieldOf(body, name) ?? '')))

function isNothing(value: Json | undefined): boolean {
  if (value === undefined || value === null || value === false || value === 0 || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

const textOf = (value: Json | undefined): string => wordsOf(value) || (JSON.stringify(value) ?? '')

/** The texts that stand under telling names, one level of objects and lists deep. */
function wordsOf(body: Json | undefined, depth = 1): string {
  if (typeof body === 'string') return body
  if (typeof body !== 'object' || body === null) return ''
  const texts = Object.entries(body).flatMap(([name, value]: [string, Json]) => {
    if (!Array.isArray(body) && !WORDS.test(name)) return []
    if (typeof value === 'string') return /[a-z]/i.test(value) && !WELL.test(value) ? [value] : []
    return depth === 0 ? [] : wordsOf(value, depth - 1)
  })
  return [...new Set(texts.filter((text) => text !== ''))].join(': ')
}

function statusOf(body: Json): number | undefined {
  for (const holder of [body, fieldOf(body, 'error'), fieldOf(body, 'status')]) {
    if (typeof holder !== 'object' || holder === null || Array.isArray(holder)) continue
    for (const [name, value] of Object.entries(holder))
      if (STATUS.test(name) && Number(value) >= 400 && Number(value) < 600) return Number(value)
  }
  return undefined
}
