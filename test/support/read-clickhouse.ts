import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import type { TableContent } from './read-duckdb.js'

/**
 * All tables of a folder of embedded ClickHouse by name, or the named tables and views, as people read them: with FINAL, without
 * columns of our own. Values and hash are those of `readDuckdb` for equal content. No one else may have the folder open.
 */
export async function readChdb(
  folder: string,
  options: { readonly tables?: readonly string[]; readonly without?: readonly string[] } = {},
): Promise<Readonly<Record<string, TableContent>>> {
  const chdb = createRequire(import.meta.url)('chdb') as {
    Session: new (path: string) => { query(sql: string, format: string): string; close(): void }
    drainPending(): Promise<void>
  }
  const session = new chdb.Session(folder)
  const ask = (sql: string): (string | null)[][] =>
    session
      .query(sql, 'JSONCompactEachRow')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as (string | null)[])
  try {
    const tables = ask("SELECT name, sorting_key FROM system.tables WHERE database = 'default' AND engine LIKE '%MergeTree' ORDER BY name")
    const content: Record<string, TableContent> = {}
    for (const name of options.tables ?? tables.map(([table]) => table ?? '')) {
      const columns = ask(
        `SELECT name, type FROM system.columns WHERE database = 'default' AND table = '${name}' AND default_kind = '' ORDER BY position`,
      ).filter(([column]) => !options.without?.includes(column ?? ''))
      if (columns.length === 0) throw new Error(`${folder} has no table ${name}`)
      const own = columns.map(([column]) => `"${column}"`)
      const key = tables.find(([table]) => table === name)?.[1]
      // A view has no key, and says FINAL itself.
      const from = key === undefined ? `"${name}" ORDER BY ${own.join(', ')}` : `"${name}" FINAL ORDER BY ${key}`
      const values = ask(`SELECT ${own.map((column) => `toString(${column})`).join(', ')} FROM ${from}`).map((row) =>
        row.map((value, i) => (value === null ? null : asDuckdb(value, columns[i]?.[1] ?? ''))),
      )
      const rows = values.map((row) => Object.fromEntries(row.map((value, i) => [columns[i]?.[0] ?? '', value])))
      const text = [own, ...values].map((line) => JSON.stringify(line)).join('\n')
      content[name] = { rows, hash: createHash('sha256').update(text).digest('hex') }
    }
    return content
  } finally {
    session.close()
    await chdb.drainPending()
  }
}

/** A value as DuckDB prints it. */
function asDuckdb(value: string, type: string): string {
  if (type.includes('DateTime64')) return value.replace(/\.0+$|(\.\d*?)0+$/, '$1')
  if (!type.includes('Float')) return value
  const number = Number(value)
  return Number.isInteger(number) && Math.abs(number) < 1e16 ? `${number}.0` : String(number)
}
