import { recordCoercer } from './columns.js'
import { referenceName } from './names.js'
import { isList, type List } from './packed-list.js'
import { lookUp } from './references.js'
import type { Scope } from './scope.js'
import type { Output } from './step.js'
import { readTime, type TimeField, timeRange, type TimeRange, TimeRefusedError, USUAL_TIMES, within } from './times.js'
import type { Column, Json, Row, Table, Value } from './values.js'

/** Records that a row is made of, by the first segment of a path: call results, fields of the input row, `index`. */
export type Records = Readonly<Record<string, unknown>>

/** Reads one value out of records. */
export type Getter = (records: Records) => unknown

/** `block.parentHash`, `item.0`, `block.transactions.length`: what a path picks. Undefined where the way ends early. */
export function compilePath(path: string): Getter {
  const [first = '', ...rest] = path.split('.')
  const [second] = rest
  if (second === undefined) return (records) => records[first]
  if (rest.length === 1) return (records) => pick(records[first], second)
  return (records) => {
    let value = records[first]
    for (const key of rest) value = pick(value, key)
    return value
  }
}

/** The first segment of a path: the record that it begins in. */
export function pathRoot(path: string): string {
  return path.split('.', 1)[0] ?? ''
}

/** A column of `row` that states what a time is in. */
export function isTimeField(field: Json | TimeField | undefined): field is TimeField {
  return typeof field === 'object' && field !== null && 'path' in field
}

/** The path that a column of `row` is filled by; undefined for a `$name` and a constant. */
export function fieldPath(field: Json | TimeField | undefined): string | undefined {
  if (isTimeField(field)) return field.path
  return typeof field === 'string' && referenceName(field) === undefined ? field : undefined
}

/**
 * One column of `row`: a path, a `$name` of the scope, or a constant number or bool. What it gives is not yet exact:
 * `compileRow` puts it into its column's type.
 */
export function compileField(field: Json | TimeField, scope: Scope): Getter {
  if (isTimeField(field)) return compilePath(field.path)
  const name = referenceName(field)
  if (name !== undefined) {
    const param = lookUp(scope, name)
    return () => param?.value
  }
  if (typeof field === 'string') return compilePath(field)
  return () => field
}

/** Which times may come where a column does not say it. */
export interface TimeRule {
  readonly range: TimeRange
  /** Whether it is for the time at a path. */
  readonly holdsFor: (path: string) => boolean
  /** Whether a time outside of the range is right all the same. */
  readonly except?: (records: Records, instant: bigint) => boolean
}

/**
 * Turns records into a row of `output`, each value exact in its column's type. Text is as it came: the warehouse replaces
 * what it can't store, and counts it.
 *
 * The function throws a `ValueError` that names table and column when a value does not fit, a `TimeRefusedError` for a time
 * that is not in the unit that is stated, or outside of the range of the column, else of `times`.
 */
export function compileRow(
  row: Readonly<Record<string, Json | TimeField>>,
  output: Output,
  table: Table,
  scope: Scope,
  times?: TimeRule,
): (records: Records) => Row {
  const columns = new Map(table.columns.map((column) => [column.name, column]))
  const fields = Object.entries(row).map(([name, field]) => {
    const column = columns.get(name) as Column
    const exact = remembering(recordCoercer(column, output.table, table.key.includes(name)))
    const make = column.type.kind === 'timestamp' ? timeMaker(column, field, `${output.table}.${name}`, exact, times) : exact
    return { name, get: compileField(field, scope), make }
  })
  return (records) => {
    const result: Record<string, Value> = {}
    for (const { name, get, make } of fields) result[name] = make(get(records), records)
    return result
  }
}

/** Rows that follow each other have much in common: the number and time of their block, above all. */
function remembering(make: (value: unknown) => Value): (value: unknown) => Value {
  let last: unknown
  let made: Value
  return (value) => {
    if (value === last && typeof value === 'string') return made
    made = make(value)
    last = value
    return made
  }
}

/** Makes a timestamp of what a field gives. */
function timeMaker(
  { name: column }: Column,
  field: Json | TimeField,
  where: string,
  exact: (value: unknown) => Value,
  rule: TimeRule | undefined,
): (value: unknown, records: Records) => Value {
  const path = fieldPath(field)
  const { unit, range: declared } = isTimeField(field) ? field : {}
  const ruled = path !== undefined && rule?.holdsFor(path) ? rule : undefined
  if (path === undefined || (unit === undefined && declared === undefined && !ruled)) return exact
  const range = timeRange(declared, ruled?.range ?? USUAL_TIMES)
  return (value, records) => {
    if (value === null || value === undefined) return exact(value)
    const instant = unit === undefined ? (exact(value) as bigint) : readTime(value, unit)
    if (instant === undefined || !(within(instant, range) || (declared === undefined && ruled?.except?.(records, instant))))
      throw new TimeRefusedError(where, value, instant, range, { column, path, unit })
    return instant
  }
}

/**
 * Arrays walked side by side: the records of each element under the names of `each`, with `index` from 0. A path that
 * gives no array, or arrays of unequal length, is an error.
 */
export function compileEach(each: Readonly<Record<string, string>>): (records: Records) => Iterable<Records> {
  const lists = Object.entries(each).map(([name, path]) => ({ name, path, get: compilePath(path) }))
  return function* (records) {
    const found = lists.map(({ name, path, get }) => {
      const list = get(records)
      if (!isList(list)) throw new TypeError(`each: ${path} is ${list === undefined ? 'missing' : 'not a list'}`)
      return { name, path, list }
    })
    const [first] = found
    for (const { path, list } of found) {
      if (list.length !== first?.list.length)
        throw new TypeError(`each: ${first?.path ?? ''} has ${first?.list.length ?? 0} elements and ${path} has ${list.length}`)
    }
    for (let index = 0; index < (first?.list.length ?? 0); index++) {
      // Not spread: V8 takes microseconds for each field that an object made by spreading gets afterwards.
      const inner: Record<string, unknown> = {}
      for (const name in records) inner[name] = records[name]
      inner.index = BigInt(index)
      for (const { name, list } of found) inner[name] = list.at(index)
      yield inner
    }
  }
}

function pick(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  if (isList(value)) return key === 'length' ? value.length : elementOf(value, Number(key))
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined
}

/** Not from the end: an index below 0 has nothing. */
const elementOf = (list: List<unknown>, index: number): unknown => (Number.isInteger(index) && index >= 0 ? list.at(index) : undefined)
