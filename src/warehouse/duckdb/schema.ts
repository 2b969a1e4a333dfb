import type { ColumnType, Drift, Table } from '../../sdk/index.js'
import { quoteIdentifier } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { sqlType } from '../types.js'

/** A table or view as the catalog describes it. Names are lower case. */
export interface Existing {
  readonly view: boolean
  readonly columns: ReadonlyMap<string, { readonly name: string; readonly type: string; readonly required: boolean }>
  /** Column sets that are unique: the primary key first. */
  readonly unique: readonly (readonly string[])[]
}

/** How the table that is there differs from the declared one, with what would mend it. */
export function tableDrift(table: Table, existing: Existing): Drift[] {
  const drift = (problem: string, fix?: string): Drift => ({ table: table.name, problem, fix })
  const alter = `ALTER TABLE ${quoteIdentifier(table.name)}`
  if (existing.view) return [drift('is a view, not a table')]
  const drifts = table.columns.flatMap((column) => {
    const name = quoteIdentifier(column.name)
    const type = sqlType(column.type, 'duckdb')
    const there = existing.columns.get(column.name.toLowerCase())
    const isKey = table.key.includes(column.name)
    if (!there) {
      const add = `${alter} ADD COLUMN ${name} ${type}`
      return [
        drift(
          `has no column ${column.name} (${type})`,
          isKey ? undefined : column.nullable ? add : `${add}; -- fill it, then:\n${alter} ALTER COLUMN ${name} SET NOT NULL`,
        ),
      ]
    }
    const found: Drift[] = []
    if (!holds(there.type, column.type)) {
      found.push(
        drift(
          `column ${column.name} is ${there.type}, not ${type}`,
          isKey ? undefined : `${alter} ALTER COLUMN ${name} SET DATA TYPE ${type}`,
        ),
      )
    }
    if (there.required && column.nullable) {
      found.push(drift(`column ${column.name} is NOT NULL and may be null in the pipeline`, `${alter} ALTER COLUMN ${name} DROP NOT NULL`))
    }
    return found
  })
  const declared = new Set(table.columns.map(({ name }) => name.toLowerCase()))
  const extra = [...existing.columns].filter(([name, column]) => column.required && !declared.has(name))
  const key = table.key.map((name) => name.toLowerCase())
  const keyed = existing.unique.some((columns) => columns.length === key.length && columns.every((name) => key.includes(name)))
  const [primary] = existing.unique
  return [
    ...drifts,
    ...extra.map(([, { name }]) =>
      drift(`column ${name} is NOT NULL and nothing fills it`, `${alter} ALTER COLUMN ${quoteIdentifier(name)} DROP NOT NULL`),
    ),
    ...(keyed
      ? []
      : [
          drift(
            primary ? `its key is (${primary.join(', ')}), not (${table.key.join(', ')})` : `has no key (${table.key.join(', ')})`,
            primary ? undefined : `${alter} ADD PRIMARY KEY (${identifiers(table.key)})`,
          ),
        ]),
  ]
}

const INTEGERS = ['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'BIGNUM']

/** Whether a column of that SQL type keeps every value of the portable type. */
function holds(sql: string, type: ColumnType): boolean {
  const declared = sqlType(type, 'duckdb')
  if (sql === declared) return true
  switch (type.kind) {
    case 'int':
    case 'bigint':
      return INTEGERS.includes(sql) && INTEGERS.indexOf(sql) > INTEGERS.indexOf(declared)
    case 'decimal': {
      const match = /^DECIMAL\((\d+),(\d+)\)$/.exec(sql)
      const [precision, scale] = [Number(match?.[1]), Number(match?.[2])]
      return match !== null && scale >= type.scale && precision - scale >= type.precision - type.scale
    }
    case 'json':
      return sql === 'VARCHAR'
    default:
      return false
  }
}

/** Reads the catalog: every table and view of the file. */
export const CATALOG = `
SELECT lower(t.name) AS table_name, t.is_view, c.column_name, c.data_type, NOT c.is_nullable AND c.column_default IS NULL AS required
FROM (SELECT database_oid, table_oid AS oid, table_name AS name, FALSE AS is_view FROM duckdb_tables() WHERE NOT temporary AND database_name = current_database() AND schema_name = 'main'
  UNION ALL SELECT database_oid, view_oid, view_name, TRUE FROM duckdb_views() WHERE NOT temporary AND NOT internal AND database_name = current_database() AND schema_name = 'main') AS t
JOIN duckdb_columns() AS c ON c.database_oid = t.database_oid AND c.table_oid = t.oid
ORDER BY c.column_index`

/** Reads the unique column sets of every table, primary keys first. */
export const UNIQUE_SETS = `
SELECT lower(table_name) AS table_name, to_json(list_transform(constraint_column_names, lambda c: lower(c))) AS names
FROM duckdb_constraints()
WHERE database_name = current_database() AND schema_name = 'main' AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')
ORDER BY constraint_type`
