import type { ColumnType } from '../../sdk/index.js'
import { sqlName } from '../../postgres/grants.js'
import type { TextRow } from '../../postgres/session.js'
import { OWN_BORDERS } from '../ddl.js'
import type { Catalog, Trap } from '../drift.js'
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
  CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table' END AS other,
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

/**
 * Reads what every table of the schema `$1`, or a partition of it, has that could refuse every row, or change, hide or swallow
 * some: `kind` and `name` of it, and the table `of` it as SQL, whose name is `part`.
 */
export const TRAPS = `
WITH tables AS (
  SELECT c.oid, c.relname, c.relkind
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
), parts AS (
  SELECT relname, oid AS part FROM tables
  UNION
  SELECT t.relname, p.relid::oid FROM tables AS t CROSS JOIN LATERAL pg_partition_tree(t.oid) AS p WHERE t.relkind = 'p'
), found AS (
  SELECT parts.relname, part, 'trigger' AS kind, t.tgname::text AS name
  FROM parts
  JOIN pg_trigger AS t ON t.tgrelid = part
  -- Of each row (1), before (2) or instead of (64) what is done.
  WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgparentid = 0 AND t.tgtype & 1 <> 0 AND t.tgtype & 66 <> 0
  UNION ALL
  SELECT parts.relname, part, 'rule', r.rulename::text
  FROM parts
  JOIN pg_rewrite AS r ON r.ev_class = part
  WHERE r.ev_type <> '1' AND r.ev_enabled IN ('O', 'A')
  UNION ALL
  SELECT relname, oid, 'policies', NULL FROM tables WHERE row_security_active(oid)
  UNION ALL
  SELECT parts.relname, part, CASE c.relkind WHEN 'f' THEN 'foreign' ELSE 'unlogged' END, NULL
  FROM parts
  JOIN pg_class AS c ON c.oid = part
  WHERE c.relkind = 'f' OR c.relpersistence = 'u'
  UNION ALL
  SELECT relname, oid, 'heirs', NULL FROM tables WHERE relkind = 'r' AND EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = oid)
  UNION ALL
  SELECT relname, oid, 'no partition', NULL FROM tables WHERE relkind = 'p' AND NOT EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = oid)
  UNION ALL
  SELECT t.relname, k.confrelid, 'cascade', k.conname::text
  FROM tables AS t
  JOIN pg_constraint AS k ON k.conrelid = t.oid
  WHERE k.contype = 'f' AND k.confdeltype IN ('c', 'n', 'd') AND k.conparentid = 0
  UNION ALL
  SELECT parts.relname, part, CASE k.contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'reference' ELSE 'exclusion' END, k.conname::text
  FROM parts
  JOIN pg_constraint AS k ON k.conrelid = part
  WHERE k.contype IN ('c', 'f', 'x') AND k.conparentid = 0
    AND NOT (k.contype = 'c' AND pg_get_constraintdef(k.oid) LIKE ANY (ARRAY[${OWN_BORDERS.map((border) => `'%${border}%'`).join(', ')}]))
  UNION ALL
  SELECT parts.relname, part, 'late trigger', t.tgname::text
  FROM parts
  JOIN pg_trigger AS t ON t.tgrelid = part
  -- Not before (2) nor instead of (64) an INSERT (4) or UPDATE (16).
  WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgparentid = 0 AND t.tgtype & 66 = 0 AND t.tgtype & 20 > 0
  UNION ALL
  SELECT t.relname, t.oid, CASE WHEN a.attgenerated <> '' THEN 'generated' WHEN a.attidentity = 'a' THEN 'identity' ELSE 'collation' END, a.attname::text
  FROM tables AS t
  JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_collation AS c ON c.oid = a.attcollation
  WHERE a.attgenerated <> '' OR a.attidentity = 'a' OR NOT c.collisdeterministic
)
SELECT relname::text AS table_name, part::regclass::text AS of, (SELECT relname FROM pg_class WHERE oid = part)::text AS part, kind, name
FROM found
ORDER BY table_name, kind, of, name`

/** A row of `TRAPS` in words. */
export function trap({ table_name, of, part, kind, name }: TextRow): Trap {
  const alter = `ALTER TABLE ${of}`
  const quoted = sqlName(name ?? '')
  const column = name ?? undefined
  const where = part === table_name ? '' : ` of ${of}`
  switch (kind) {
    case 'check':
    case 'exclusion':
      return { minor: true, problem: `${kind} ${name}${where}` }
    case 'reference':
      return { minor: true, problem: `foreign key ${name}${where}` }
    case 'late trigger':
      return { minor: true, problem: `trigger ${name}${where}` }
    case 'trigger':
      return {
        problem: `its trigger ${name}${where} runs before each row and may change or swallow it; make it one that runs AFTER, whose effect is looked at, or have another table filled and let the trigger copy from there`,
        fix: `${alter} DISABLE TRIGGER ${quoted}`,
      }
    case 'rule':
      return { problem: `its rule ${name}${where} does something else than what is asked for`, fix: `${alter} DISABLE RULE ${quoted}` }
    case 'policies':
      return {
        problem: 'has row security, which hides or refuses rows for the user of the warehouse',
        fix: `${alter} DISABLE ROW LEVEL SECURITY`,
      }
    case 'foreign':
      return { problem: `its partition ${of} is a foreign table, which takes no upserts` }
    case 'unlogged':
      return { problem: `is UNLOGGED${where}: a crash of the server empties it`, fix: `${alter} SET LOGGED` }
    case 'heirs':
      return { problem: 'other tables inherit from it, so rows of one key may be there more than once' }
    case 'cascade':
      return {
        besides: part ?? undefined,
        problem: `its foreign key ${name} changes or deletes its rows when rows of ${of} are replaced`,
        fix: `ALTER TABLE ${sqlName(table_name ?? '')} DROP CONSTRAINT ${quoted}`,
      }
    case 'no partition':
      return {
        problem: 'has no partition, so it takes no row',
        fix: `CREATE TABLE ${sqlName(`${table_name}_rest`)} PARTITION OF ${of} DEFAULT`,
      }
    case 'generated':
      return {
        column,
        problem: `column ${name} is generated, so nothing can be written into it`,
        fix: `${alter} ALTER COLUMN ${quoted} DROP EXPRESSION`,
      }
    case 'identity':
      return {
        column,
        problem: `column ${name} is GENERATED ALWAYS AS IDENTITY, so nothing can be written into it`,
        fix: `${alter} ALTER COLUMN ${quoted} SET GENERATED BY DEFAULT`,
      }
    default:
      return {
        column,
        problem: `column ${name} has a collation that takes different texts for one`,
        fix: `${alter} ALTER COLUMN ${quoted} SET DATA TYPE text COLLATE "C"`,
      }
  }
}

/**
 * Reads what the user lacks to fill the columns `$3` (JSON) of the table `$2` of the schema `$1`, as `INSERT, UPDATE`. Those of the
 * key `$4` are never updated. `$5`: rows are deleted, too.
 */
export const RIGHTS = `
SELECT current_user::text AS role, (
  SELECT string_agg(r.name, ', ' ORDER BY r.n)
  FROM (VALUES (1, 'SELECT'), (2, 'INSERT'), (3, 'UPDATE'), (4, 'DELETE')) AS r(n, name)
  WHERE CASE r.name
    WHEN 'DELETE' THEN $5::bool AND NOT has_table_privilege(c.oid, 'DELETE')
    ELSE EXISTS (
      SELECT 1
      FROM pg_attribute AS a
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND $3::jsonb ? a.attname::text
        AND NOT (r.name = 'UPDATE' AND $4::jsonb ? a.attname::text)
        AND NOT has_column_privilege(c.oid, a.attnum, r.name)
    )
  END
) AS lacking
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')`
