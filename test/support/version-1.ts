import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { quoteIdentifier, sqlText, type Statement, type Warehouse } from '../../src/sdk/index.js'
import { literal } from '../../src/warehouse/fill.js'
import { projectFolder } from './folder.js'

/**
 * Databases that runs of the released version 1 left, as text: `chained` (blocks, keys of a query with one in quarantine,
 * days of SQL; nothing is missing), `quarantined` (a block in quarantine), `killed` (blocks, killed with -9 in its only
 * unit), `paged` (a list, its newest stretch done in its round only) and `paged-killed` (the process was gone after one
 * commit of the second round).
 */
export type Version1 = 'chained' | 'quarantined' | 'killed' | 'paged' | 'paged-killed'

interface Table {
  /** `CREATE TABLE` for DuckDB. */
  readonly ddl: string
  readonly columns: readonly string[]
  /** Values as DuckDB prints them. */
  readonly rows: readonly (readonly (string | null)[])[]
}

export interface Version1Database {
  /** Options of the `fakeChain` that it was read from. */
  readonly chain?: {
    readonly seed: number
    readonly blocks: number
    readonly blockTime: number
    readonly genesisTime: number
    readonly miners: number
  }
  /** The pipeline, or, for `apiYaml` and `runAt`: options of the `fakeApi`, of the pipeline, and when the last round began. */
  readonly yaml?: string
  readonly api?: { readonly seed: number; readonly rows: number; readonly every: number; readonly from: number }
  readonly way?: { readonly way: string; readonly limit: number; readonly cover: string }
  readonly now?: number
  readonly tables: Readonly<Record<string, Table>>
}

const read = (name: string): unknown => JSON.parse(readFileSync(join(projectFolder, 'test/fixtures/version-1', `${name}.json`), 'utf8'))

// The files are captured by the released code and are not edited, so they have the shape that it wrote.
export const version1 = (name: Version1): Version1Database => read(name) as Version1Database
const ddlOf = (kind: Warehouse['kind']) => (read('ledger') as Record<string, Readonly<Record<string, string>>>)[kind] ?? {}

/** Puts the ledger of such a database in the place of an empty one. With `all`, its other tables come, too: on DuckDB only. */
export async function restoreVersion1(warehouse: Warehouse, name: Version1, what: 'ledger' | 'all' = 'ledger'): Promise<void> {
  const ddl = ddlOf(warehouse.kind)
  const { tables } = version1(name)
  const kept = Object.entries(tables).filter(([table]) => what === 'all' || table in ddl)
  await warehouse.prepare([])
  await warehouse.execute([
    ...Object.keys(ddl).map((table) => sqlText(`DROP TABLE ${quoteIdentifier(table)}`)),
    ...kept.map(([table, { ddl: own }]) => sqlText(ddl[table] ?? own)),
    ...kept.flatMap(([table, { columns, rows }]) => rows.map((row, i) => insertion(warehouse.kind, table, columns, row, i))),
  ])
}

function insertion(
  kind: Warehouse['kind'],
  table: string,
  columns: readonly string[],
  row: readonly (string | null)[],
  index: number,
): Statement {
  const versioned = kind === 'clickhouse' && table === '_pipe_units'
  const names = [...columns, ...(versioned ? ['_pipe_version'] : [])].map(quoteIdentifier)
  const values = row.map((value) => (value === null ? 'NULL' : literal(value, kind)))
  // The generation of its opening, and its first commit.
  if (versioned) values.push(String((BigInt(index + 1) << 28n) | 3n))
  return sqlText(`INSERT INTO ${quoteIdentifier(table)} (${names.join(', ')}) VALUES (${values.join(', ')})`)
}
