import { type Row, show } from '../sdk/index.js'

/** A row as messages name it: `balances (block_number=5)`. */
export function rowName(table: string, key: readonly string[]): (row: Row) => string {
  return (row) =>
    `${table} (${key
      .filter((name) => row[name] !== undefined)
      .map((name) => `${name}=${show(row[name])}`)
      .join(', ')})`
}
