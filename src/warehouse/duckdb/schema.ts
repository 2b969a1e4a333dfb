import type { ColumnType } from '../../sdk/index.js'
import type { Catalog, Trap } from '../drift.js'
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
SELECT lower(t.name) AS table_name, t.is_view, t.sql, c.column_name, c.data_type, NOT c.is_nullable AND c.column_default IS NULL AS required
FROM (
  SELECT database_oid, table_oid AS oid, table_name AS name, FALSE AS is_view, sql
  FROM duckdb_tables()
  WHERE NOT temporary AND database_name = current_database() AND schema_name = 'main'
  UNION ALL
  SELECT database_oid, view_oid, view_name, TRUE, ''
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

/** Reads what refuses single rows of every table: `rule` as DuckDB writes it. */
export const RULES = `
SELECT lower(table_name) AS table_name, constraint_text AS rule
FROM duckdb_constraints()
WHERE database_name = current_database() AND schema_name = 'main' AND constraint_type IN ('CHECK', 'FOREIGN KEY')
ORDER BY constraint_index`

/**
 * What would refuse or change rows of a table, by its `CREATE TABLE` as DuckDB writes it: the catalog says neither which
 * columns are generated nor how texts are compared.
 */
export function traps(sql: string): Trap[] {
  const found: Trap[] = []
  for (const definition of definitions(sql)) {
    const [, quoted, plain = ''] = /^(?:"((?:[^"]|"")*)"|(\w+))/.exec(definition) ?? []
    const column = (quoted?.replaceAll('""', '"') ?? plain).toLowerCase()
    const rest = definition.replace(/"(?:[^"]|"")*"/g, '""')
    if (/\bGENERATED ALWAYS AS\b/.test(rest))
      found.push({ column, problem: `column ${column} is generated, so nothing can be written into it` })
    const [, collation] = /\bCOLLATE ([\w.]+)/.exec(rest) ?? []
    if (collation !== undefined && collation !== 'BINARY')
      found.push({ column, problem: `column ${column} is compared with COLLATE ${collation}, which takes different texts for one` })
  }
  return found
}

/** The parts between the brackets of a `CREATE TABLE`, without the texts in them. */
function definitions(sql: string): string[] {
  const parts: string[] = []
  let depth = 0
  for (const [token] of sql.replace(/'(?:[^']|'')*'/g, "''").matchAll(/"(?:[^"]|"")*"|[(),]|[^"(),]+/g)) {
    if (token === ')') depth--
    if (depth === 1 && token === ',') parts.push('')
    else if (depth > 0) parts.push(`${parts.pop() ?? ''}${token}`)
    if (token === '(') depth++
  }
  return parts.map((part) => part.trim())
}
