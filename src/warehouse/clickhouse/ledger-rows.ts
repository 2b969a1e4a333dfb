import { quoteIdentifier, type Row, type Table, type Value } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { literal } from '../fill.js'
import { unitKey } from '../ledger-changes.js'
import { DELETED, VERSION } from './ddl.js'
import { instantText } from './instant-text.js'
import { escape, table as listed } from './tsv.js'

/** Rows of a ledger table as an `INSERT`. JSON is text already. */
export function ledgerInsert(table: Table, rows: readonly (readonly [row: Row, version: bigint])[], deleted: boolean): string {
  const names = identifiers([...table.columns.map(({ name }) => name), VERSION, DELETED])
  const instant = instantText()
  const lines = rows.map(([row, at]) => {
    const cells = table.columns.map(({ name, type }) => (type.kind === 'timestamp' ? instant(row[name] as bigint) : cell(row[name])))
    return `${[...cells, at, deleted ? 1 : 0].join('\t')}\n`
  })
  return `INSERT INTO ${quoteIdentifier(table.name)} (${names}) FORMAT TabSeparated\n${lines.join('')}`
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
  return `(SELECT * FROM ${listed('pipeline String, step String, unit String', data)})`
}

export const keyOf = (row: Row): string => unitKey(String(row.pipeline), String(row.step), String(row.unit))

function cell(value: Value | undefined): string {
  return value === null || value === undefined ? '\\N' : escape(String(value as string | number | bigint))
}
