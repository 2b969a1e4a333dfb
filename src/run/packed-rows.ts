import { deserialize, serialize } from 'node:v8'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Row, Value } from '../sdk/index.js'

/** Rows as bytes: column by column and deflated, a tenth of what they take as objects. They must have the same columns. */
export function packed(rows: readonly Row[]): Buffer {
  const names = Object.keys(rows[0] ?? {})
  const columns = names.map((name) => rows.map((row) => row[name]))
  // What zlib gives keeps 16 kB alive, however little it is.
  return Buffer.from(deflateRawSync(serialize({ names, columns, size: rows.length }), { level: 1 }))
}

/** The rows that were packed. */
export function unpacked(bytes: Buffer): Row[] {
  // `packed` made these bytes, in this process.
  const { names, columns, size } = deserialize(inflateRawSync(bytes)) as { names: string[]; columns: Value[][]; size: number }
  const empty: Record<string, Value> = Object.fromEntries(names.map((name) => [name, null]))
  const rows = Array.from({ length: size }, () => ({ ...empty }))
  names.forEach((name, column) => rows.forEach((row, i) => (row[name] = columns[column]?.[i] ?? null)))
  return rows
}
