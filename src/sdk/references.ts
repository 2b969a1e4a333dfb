import { formatInstant } from './calendar.js'
import { PipeError } from './errors.js'
import { referenceName, replaceReferences, type TextReference } from './names.js'
import type { Scope } from './scope.js'
import { didYouMean } from './suggest.js'
import type { ColumnType, Json, Param, Statement, Value } from './values.js'
import { scanSql } from './sql-scan.js'

/** A `$name` that nothing defines, or a path that its value does not have. */
export class UnknownReferenceError extends PipeError {
  readonly code = 'UNKNOWN_REFERENCE'
  override readonly hint: string
  constructor(
    readonly reference: string,
    readonly where: string,
    known: readonly string[],
  ) {
    super(`$${reference} in ${where} is not defined`)
    this.hint =
      didYouMean(reference, known)?.replace('"', '"$') ??
      (known.length > 0 ? `known here: ${known.map((name) => `$${name}`).join(', ')}` : 'no $ name is known here')
  }
}

/** A text that can't be read as SQL, so that nobody can tell which `$name` in it are meant. */
export class SqlTextError extends PipeError {
  readonly code = 'SQL_TEXT'
  override readonly hint: string
  constructor(problem: SqlProblem) {
    super(`sql: ${problem.message}`)
    this.hint = problem.hint
  }
}

/** What is wrong with a SQL text, before any database sees it. */
export interface SqlProblem {
  readonly message: string
  readonly hint: string
  readonly offset: number
}

/**
 * The value that a name stands for, or undefined when neither it nor its beginning is in the scope. `a.b.c` is looked up as
 * it stands, then as `c` of `a.b`, then as `b.c` of `a`.
 *
 * @throws {UnknownReferenceError} when the beginning is known and an object, and has no such field.
 */
export function lookUp(scope: Scope, name: string): Param | undefined {
  const found = longestPrefix(scope, name)
  if (!found || found.rest.length === 0) return found?.param
  if (!isContainer(found.param.value)) return undefined
  let value: Value = found.param.value
  for (const key of found.rest) {
    const next = field(value, key)
    if (next === undefined) throw new UnknownReferenceError(name, `the value of $${found.prefix}`, fieldNames(value, name, key))
    value = next
  }
  return { type: typeOf(value), value }
}

/**
 * A copy with every reference whose name, or the beginning of its name, is in the scope replaced by its value. Types stay:
 * a number stays a number, a list a list. A bigint becomes a number when it is safe, else text. Other references stay.
 *
 * @throws {UnknownReferenceError} when a name's beginning is known and its value has no such field.
 */
export function substitute(value: Json, scope: Scope): Json {
  const name = referenceName(value)
  if (name !== undefined) {
    const param = lookUp(scope, name)
    return param ? jsonOf(param.value) : value
  }
  if (Array.isArray(value)) return value.map((item: Json) => substitute(item, scope))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, substitute(item, scope)]))
  }
  return value
}

/**
 * A text with each reference inside it replaced by `encode(text of the value)`: `encodeURIComponent` for a request path. Where
 * only the beginning of a dotted name is known and holds no object, the rest stays text: `$now.json` ends in `.json`.
 *
 * @param unknown What becomes of a name that the scope does not have.
 * @throws {UnknownReferenceError}
 */
export function substituteText(
  text: string,
  scope: Scope,
  encode: (text: string) => string = (plain) => plain,
  unknown: 'refuse' | 'keep' = 'refuse',
): string {
  return replaceReferences(text, (whole, name) => {
    const found = longestPrefix(scope, name)
    if (!found && unknown === 'keep') return whole
    if (!found) throw new UnknownReferenceError(name, JSON.stringify(text), [...scope.keys()])
    if (isContainer(found.param.value)) {
      const picked = lookUp(scope, name) ?? found.param
      return encode(paramText(picked))
    }
    return encode(paramText(found.param)) + found.rest.map((part) => `.${part}`).join('')
  })
}

/** A value as people write it: `18000000`, `2024-03-01T00:00:00Z`, JSON for lists and objects. */
export function paramText(param: Param): string {
  const { value } = param
  if (param.type.kind === 'timestamp' && typeof value === 'bigint') return formatInstant(value)
  return typeof value === 'string' ? value : value !== null && typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** Every `$name` in a SQL text that is not quoted, in a comment or in a `$$` text. Never throws: see `sqlProblem`. */
export function sqlReferences(sql: string): readonly TextReference[] {
  return scanSql(sql).references
}

/** Why a SQL text can't be bound, or undefined when it can: an unclosed quote or comment, a `$1`. */
export function sqlProblem(sql: string): SqlProblem | undefined {
  const scan = scanSql(sql)
  if (scan.unclosed) {
    const { what, offset } = scan.unclosed
    const hint =
      what.startsWith('$') && what.length > 2
        ? `${what} opens a quoted text: write a space after the name`
        : `close it with ${closing(what)}`
    return { message: `${what} at ${place(sql, offset)} is never closed`, hint, offset }
  }
  const positional = scan.positional[0]
  if (positional !== undefined) {
    return { message: `a parameter by number at ${place(sql, positional)}`, hint: 'parameters have names here: $from', offset: positional }
  }
  return undefined
}

/**
 * A SQL text as a statement whose every `$name` is a bound parameter of its declared type. No value ever becomes part of the text.
 *
 * @throws {UnknownReferenceError} for a name that is not in the scope.
 * @throws {SqlTextError} when a quote or comment is never closed, or a parameter has a number for a name.
 */
export function bindSql(sql: string, scope: Scope): Statement {
  const problem = sqlProblem(sql)
  if (problem) throw new SqlTextError(problem)
  const parts: string[] = []
  const params: Param[] = []
  let from = 0
  for (const { name, offset } of scanSql(sql).references) {
    const param = lookUp(scope, name)
    if (!param) throw new UnknownReferenceError(name, `sql at ${place(sql, offset)}`, [...scope.keys()])
    parts.push(sql.slice(from, offset))
    params.push(param)
    from = offset + 1 + name.length
  }
  parts.push(sql.slice(from))
  return { parts, params }
}

function longestPrefix(
  scope: Scope,
  name: string,
): { readonly param: Param; readonly prefix: string; readonly rest: readonly string[] } | undefined {
  const parts = name.split('.')
  for (let length = parts.length; length > 0; length--) {
    const prefix = parts.slice(0, length).join('.')
    const param = scope.get(prefix)
    if (param) return { param, prefix, rest: parts.slice(length) }
  }
  return undefined
}

function isContainer(value: Value): value is readonly Json[] | { readonly [key: string]: Json } {
  return value !== null && typeof value === 'object'
}

function field(value: Value, key: string): Value | undefined {
  if (!isContainer(value)) return undefined
  if (Array.isArray(value)) return /^\d+$/.test(key) ? (value[Number(key)] as Json | undefined) : undefined
  // Own fields only: `constructor` of any object is not data.
  return Object.hasOwn(value, key) ? (value as { readonly [key: string]: Json })[key] : undefined
}

function fieldNames(value: Value, name: string, key: string): readonly string[] {
  if (!isContainer(value) || Array.isArray(value)) return []
  const before = name.slice(0, name.lastIndexOf(key))
  return Object.keys(value).map((other) => before + other)
}

/** The column type that a JSON value is bound as. */
function typeOf(value: Value): ColumnType {
  switch (typeof value) {
    case 'bigint':
      return { kind: 'bigint' }
    case 'number':
      return { kind: Number.isSafeInteger(value) ? 'bigint' : 'float' }
    case 'boolean':
      return { kind: 'bool' }
    case 'string':
      return { kind: 'text' }
    default:
      return { kind: value === null ? 'text' : 'json' }
  }
}

function jsonOf(value: Value): Json {
  if (typeof value !== 'bigint') return value
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()
}

function closing(what: string): string {
  return what === '/*' ? '*/' : what.toUpperCase() === "E'" ? "'" : what
}

function place(text: string, offset: number): string {
  const lines = text.slice(0, offset).split('\n')
  return lines.length === 1 ? `character ${offset + 1}` : `line ${lines.length}, character ${(lines.at(-1)?.length ?? 0) + 1}`
}
