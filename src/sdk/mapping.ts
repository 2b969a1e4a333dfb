import { coercer } from './columns.js'
import { referenceName } from './names.js'
import { lookUp } from './references.js'
import type { Scope } from './scope.js'
import type { Output } from './step.js'
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

/**
 * One column of `row`: a path, a `$name` of the scope, or a constant number or bool. What it gives is not yet exact:
 * `compileRow` puts it into its column's type.
 */
export function compileField(field: Json, scope: Scope): Getter {
  const name = referenceName(field)
  if (name !== undefined) {
    const param = lookUp(scope, name)
    return () => param?.value
  }
  if (typeof field === 'string') return compilePath(field)
  return () => field
}

/**
 * Turns records into a row of `output`, each value exact in its column's type.
 *
 * The function throws a `ValueError` that names table and column when a value does not fit.
 */
export function compileRow(row: Readonly<Record<string, Json>>, output: Output, table: Table, scope: Scope): (records: Records) => Row {
  const columns = new Map(table.columns.map((column) => [column.name, column]))
  const fields = Object.entries(row).map(([name, field]) => {
    const column = columns.get(name) as Column
    return { name, get: compileField(field, scope), exact: coercer(column, output.table) }
  })
  return (records) => {
    const result: Record<string, Value> = {}
    for (const { name, get, exact } of fields) result[name] = exact(get(records))
    return result
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
      if (!Array.isArray(list)) throw new TypeError(`each: ${path} is ${list === undefined ? 'missing' : 'not a list'}`)
      return { name, path, list: list as unknown[] }
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
      for (const { name, list } of found) inner[name] = list[index]
      yield inner
    }
  }
}

function pick(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  if (Array.isArray(value)) return key === 'length' ? value.length : (value[Number(key)] as unknown)
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined
}
