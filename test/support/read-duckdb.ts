import { createHash } from 'node:crypto'
import { DuckDBInstance } from '@duckdb/node-api'

export interface TableContent {
  /** Values as DuckDB prints them, exact at any width; in the order of the primary key, else of all columns. */
  readonly rows: readonly Readonly<Record<string, string | null>>[]
  /** SHA-256 of columns and rows: equal for equal content, whatever the order of writing was. */
  readonly hash: string
}

/**
 * All tables of a closed DuckDB file by name, or the named tables and views. `without` leaves out columns that may differ between
 * equal runs (`updated_at`).
 */
export async function readDuckdb(
  file: string,
  options: { readonly tables?: readonly string[]; readonly without?: readonly string[] } = {},
): Promise<Readonly<Record<string, TableContent>>> {
  const instance = await DuckDBInstance.create(file, { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  // The casts hold: every column that is asked for is text.
  const ask = async (sql: string): Promise<Record<string, string | null>[]> =>
    (await connection.runAndReadAll(sql)).getRowObjectsJS() as Record<string, string | null>[]
  try {
    const columns = await ask(
      "SELECT table_name AS t, column_name AS c FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main' ORDER BY table_name, column_index",
    )
    const keys = await ask(
      "SELECT table_name AS t, unnest(constraint_column_names) AS c FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'",
    )
    const views = new Set((await ask('SELECT view_name AS t FROM duckdb_views() WHERE NOT internal')).map((row) => row.t))
    const names = options.tables ?? [...new Set(columns.flatMap(({ t }) => (t === null || views.has(t) ? [] : [t!])))]
    const content: Record<string, TableContent> = {}
    for (const name of names) {
      const own = columns.filter(({ t, c }) => t === name && !options.without?.includes(c!)).map(({ c }) => quote(c!))
      if (own.length === 0) throw new Error(`${file} has no table ${name}`)
      const key = keys.filter(({ t }) => t === name).map(({ c }) => quote(c!))
      const order = key.length > 0 ? key.map((column) => `x.${column}`) : own.map((column) => `x.${column}`)
      const rows = await ask(
        `SELECT ${own.map((column) => `CAST(x.${column} AS VARCHAR) AS ${column}`).join(', ')} FROM ${quote(name)} x ORDER BY ${order.join(', ')}`,
      )
      const text = [own, ...rows.map((row) => Object.values(row))].map((line) => JSON.stringify(line)).join('\n')
      content[name] = { rows, hash: createHash('sha256').update(text).digest('hex') }
    }
    return content
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
