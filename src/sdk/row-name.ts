import { show } from './columns.js'
import type { Row, Table } from './values.js'

/** A row as messages name it: `balances (block_number=5)`. */
export function rowName(table: string, key: readonly string[]): (row: Row) => string {
  return (row) =>
    `${table} (${key
      .filter((name) => row[name] !== undefined)
      .map((name) => `${name}=${show(row[name])}`)
      .join(', ')})`
}

/** In what two rows of one key differ: `block_number 20 and 80, i 0 and 3`. Three columns at most. */
export function differences(table: Table, one: Row, other: Row): string {
  const different = table.columns.filter(({ name }) => show(one[name]) !== show(other[name]))
  const told = different.slice(0, 3).map(({ name }) => `${name} ${plain(one[name])} and ${plain(other[name])}`)
  return told.join(', ') + (different.length > 3 ? `, and ${different.length - 3} more columns` : '')
}

/** Numbers from SQL come as text, and are not to be told from others. */
const plain = (value: unknown): string => (typeof value === 'string' && /^-?\d+$/.test(value) ? value : show(value))
