import { createHash } from 'node:crypto'
import { ask } from './postgres.js'
import type { TableContent } from './read-duckdb.js'

/** Tables and views of a schema as `readDuckdb` reads those of a file: equal content has an equal hash on both. */
export async function readPostgres(url: string, tables: readonly string[]): Promise<Readonly<Record<string, TableContent>>> {
  const schema = new URL(url).searchParams.get('schema') ?? 'public'
  const content: Record<string, TableContent> = {}
  for (const name of tables) {
    const table = `${quote(schema)}.${quote(name)}`
    const columns = await ask(
      url,
      `SELECT attname AS name FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    )
    const key = await ask(
      url,
      `SELECT a.attname AS name FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE i.indrelid = '${table}'::regclass AND i.indisprimary`,
    )
    const own = columns.map((column) => quote(column.name ?? ''))
    const order = (key.length > 0 ? key : columns).map((column) => `x.${quote(column.name ?? '')}`)
    const rows = await ask(
      url,
      `SET timezone = 'UTC'; SELECT ${own.map((column) => `CAST(x.${column} AS text) AS ${column}`).join(', ')} FROM ${table} AS x ORDER BY ${order.join(', ')}`,
    )
    const text = [own, ...rows.map((row) => Object.values(row))].map((line) => JSON.stringify(line)).join('\n')
    content[name] = { rows, hash: createHash('sha256').update(text).digest('hex') }
  }
  return content
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`
