import type { ColumnType } from '../../sdk/index.js'
import type { Catalog } from '../drift.js'
import { sqlType } from '../types.js'

/** Quoted names are taken as they are. */
export const POSTGRES_CATALOG: Catalog = { kind: 'postgres', name: (name) => name, holds }

/** As `format_type` writes what `sqlType` says otherwise. */
const SPELT: Readonly<Record<string, string>> = { timestamp: 'timestamp without time zone' }
const INTEGERS = ['smallint', 'integer', 'bigint']

function holds(sql: string, type: ColumnType): boolean {
  const declared = sqlType(type, 'postgres')
  if (sql.replace(/\s/g, '') === (SPELT[declared] ?? declared).replace(/\s/g, '')) return true
  switch (type.kind) {
    case 'int':
    case 'bigint':
      return (
        sql === 'numeric' ||
        (INTEGERS.includes(sql) && INTEGERS.indexOf(sql) > INTEGERS.indexOf(declared)) ||
        fits(sql, type.kind === 'int' ? 10 : 19, 0)
      )
    case 'uint256':
    case 'int256':
      return sql === 'numeric' || fits(sql, 78, 0)
    case 'decimal':
      return sql === 'numeric' || fits(sql, type.precision, type.scale)
    case 'text':
    case 'hash':
    case 'bytes':
      return sql === 'character varying'
    case 'address':
      return sql === 'character varying' || /^character varying\((?:4[2-9]|[5-9]\d|\d{3,})\)$/.test(sql)
    case 'json':
      return sql === 'json' || sql === 'text'
    case 'timestamp':
      // The session is in UTC, so it is the same instant.
      return sql === 'timestamp with time zone'
    default:
      return false
  }
}

function fits(sql: string, precision: number, scale: number): boolean {
  const match = /^numeric\((\d+),(\d+)\)$/.exec(sql)
  const [all, fraction] = [Number(match?.[1]), Number(match?.[2])]
  return match !== null && fraction >= scale && all - fraction >= precision - scale
}

/** Reads the catalog: every table and view of the schema `$1`. */
export const CATALOG = `
SELECT
  c.relname AS table_name,
  c.relkind IN ('v', 'm') AS is_view,
  a.attname AS column_name,
  format_type(a.atttypid, a.atttypmod) AS data_type,
  a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS required
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum`

/** Reads the unique column sets of every table of the schema `$1`, primary keys first: an upsert can go by these. */
export const UNIQUE_SETS = `
SELECT c.relname AS table_name, json_agg(a.attname ORDER BY k.n)::text AS names
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n)
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE n.nspname = $1
  AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL AND k.n <= i.indnkeyatts
GROUP BY c.relname, i.indexrelid, i.indisprimary
ORDER BY i.indisprimary DESC`
