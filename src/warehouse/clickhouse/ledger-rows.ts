import type { Row, Table, Value } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { literal } from '../fill.js'
import { unitKey } from '../ledger-changes.js'
import { sqlType } from '../types.js'
import { DELETED, VERSION } from './ddl.js'
import { escape, table as lines } from './tsv.js'

/** Rows of a ledger table as an `INSERT`. JSON is text already. */
export function ledgerInsert(table: Table, rows: readonly (readonly [row: Row, version: bigint])[], deleted: boolean): string {
  const structure = [
    ...table.columns.map(({ type, nullable }, i) => {
      const name = type.kind === 'timestamp' ? 'Int64' : sqlType(type, 'clickhouse')
      return `c${i} ${nullable ? `Nullable(${name})` : name}`
    }),
    'version UInt64',
  ]
  const data = rows.map(([row, at]) => `${table.columns.map(({ name }) => cell(row[name])).join('\t')}\t${at}\n`).join('')
  const selected = table.columns.map(({ type }, i) => (type.kind === 'timestamp' ? `fromUnixTimestamp64Micro(c${i}, 'UTC')` : `c${i}`))
  const names = identifiers([...table.columns.map(({ name }) => name), VERSION, DELETED])
  return `INSERT INTO ${identifiers([table.name])} (${names}) SELECT ${selected.join(', ')}, version, ${deleted ? 1 : 0} FROM ${lines(structure.join(', '), data)}`
}

/** So many names of units are written out; more come as lines, which costs twice as much for a few. */
const FEW = 100

/** The names of units, as what `(pipeline, step, unit) IN` takes. */
export function named(keys: readonly Row[]): string {
  if (keys.length <= FEW) {
    const each = (value: Value | undefined): string => literal(String(value as string), 'clickhouse')
    return `(${keys.map(({ pipeline, step, unit }) => `(${each(pipeline)}, ${each(step)}, ${each(unit)})`).join(', ')})`
  }
  const data = keys.map(({ pipeline, step, unit }) => `${cell(pipeline)}\t${cell(step)}\t${cell(unit)}\n`).join('')
  return `(SELECT * FROM ${lines('pipeline String, step String, unit String', data)})`
}

export const keyOf = (row: Row): string => unitKey(String(row.pipeline), String(row.step), String(row.unit))

function cell(value: Value | undefined): string {
  return value === null || value === undefined ? '\\N' : escape(String(value as string | number | bigint))
}
