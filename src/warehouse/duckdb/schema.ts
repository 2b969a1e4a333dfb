import type { ColumnType } from '../../sdk/index.js'
import type { Catalog } from '../drift.js'
import { sqlType } from '../types.js'

/** DuckDB takes names that differ only in case for one. */
export const DUCKDB_CATALOG: Catalog = { kind: 'duckdb', name: (name) => name.toLowerCase(), holds }

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
FROM (
  SELECT database_oid, table_oid AS oid, table_name AS name, FALSE AS is_view
  FROM duckdb_tables()
  WHERE NOT temporary AND database_name = current_database() AND schema_name = 'main'
  UNION ALL
  SELECT database_oid, view_oid, view_name, TRUE
  FROM duckdb_views()
  WHERE NOT temporary AND NOT internal AND database_name = current_database() AND schema_name = 'main'
) AS t
JOIN duckdb_columns() AS c ON c.database_oid = t.database_oid AND c.table_oid = t.oid
ORDER BY c.column_index`

/** Reads the unique column sets of every table, primary keys first. */
export const UNIQUE_SETS = `
SELECT lower(table_name) AS table_name, to_json(list_transform(constraint_column_names, lambda c: lower(c))) AS names
FROM duckdb_constraints()
WHERE database_name = current_database() AND schema_name = 'main' AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')
ORDER BY constraint_type`
