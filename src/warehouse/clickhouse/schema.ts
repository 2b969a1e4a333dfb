import { type Column, type Drift, quoteIdentifier, type Table } from '../../sdk/index.js'
import { isWider, type Trap, wider } from '../drift.js'
import { sqlType } from '../types.js'
import { columnType, DELETED, onCluster, type Place, VERSION, window } from './ddl.js'
import { innerType, portableType } from './values.js'

/** A table or view as `system.tables` and `system.columns` describe it. */
export interface Existing {
  readonly name: string
  /** `ReplacingMergeTree`. */
  readonly engine: string
  /** With its arguments, keys and settings. */
  readonly definition: string
  /** The whole `CREATE TABLE`. */
  readonly statement: string
  readonly sortingKey: string
  readonly partitionKey: string
  /** Names of its row policies. */
  readonly policies: readonly string[]
  readonly columns: ReadonlyMap<string, ExistingColumn>
}

export interface ExistingColumn {
  readonly type: string
  /** Empty, `DEFAULT`, `MATERIALIZED`, `ALIAS` or `EPHEMERAL`. */
  readonly default: string
  readonly inPartitionKey: boolean
}

/** How the table that is there differs from the declared one, with what would mend it. */
export function tableDrift(table: Table, there: Existing, place: Place): Drift[] {
  const drift = (problem: string, fix?: string): Drift => ({ table: table.name, problem, fix })
  const alter = `ALTER TABLE ${quoteIdentifier(table.name)}${onCluster(place)}`
  if (/View$/.test(there.engine)) return [drift('is a view, not a table')]
  if (!/ReplacingMergeTree$/.test(there.engine))
    return [
      drift(`is a ${there.engine}, which keeps rows of one key side by side; it must be a ReplacingMergeTree(${VERSION}, ${DELETED})`),
    ]
  const [, args = ''] = /ReplacingMergeTree\(([^)]*)\)/.exec(there.definition) ?? []
  const versioned = args
    .split(',')
    .map((name) => name.trim())
    .slice(-2)
    .join(', ')
  const sortingKey = there.sortingKey.replace(/^\((.*)\)$/s, '$1')
  const key = sortingKey.split(',').map((name) => name.trim().replace(/^[`"](.*)[`"]$/, '$1'))
  const keyed = key.length === table.key.length && table.key.every((name) => key.includes(name))
  const stray = [...there.columns].filter(([name, { inPartitionKey }]) => inPartitionKey && !table.key.includes(name)).map(([name]) => name)
  return [
    ...table.columns.flatMap((column) => columnDrift(column, there, table, alter, drift)),
    // Where `retention` is declared, rows may go with time.
    ...(table.retention === undefined ? expiries(there) : []).map(({ what, fix }) =>
      drift(`${what} has a TTL, by which ClickHouse drops what is written (declare it as \`retention\`, or remove it)`, `${alter} ${fix}`),
    ),
    ...there.policies.map((name) =>
      drift(
        `has the row policy ${name}, which hides rows from those who read it: what is there would count as missing`,
        `DROP ROW POLICY ${quoteIdentifier(name)} ON ${quoteIdentifier(table.name)}${onCluster(place)}`,
      ),
    ),
    ...(versioned === `${VERSION}, ${DELETED}`
      ? []
      : [drift(`is a ReplacingMergeTree(${args}), not (${VERSION}, ${DELETED}): which version of a row counts would be chance`)]),
    ...(keyed
      ? []
      : [drift(`is ordered by (${sortingKey}), not by its key (${table.key.join(', ')}): rows of one key would never become one`)]),
    ...(stray.length === 0
      ? []
      : [
          drift(
            `is partitioned by ${there.partitionKey}, and ${stray.join(', ')} is no part of its key: versions of one row lie in two partitions and never become one`,
          ),
        ]),
    ...(there.definition.includes(window(place)) || /Replicated|Shared/.test(there.engine)
      ? []
      : [
          drift(
            'forgets which inserts it has seen, so one that is tried again could count twice',
            `${alter} MODIFY SETTING ${window(place)}`,
          ),
        ]),
  ]
}

/** The checks of a table, which refuse single rows. */
export function checks({ statement }: Existing): Trap[] {
  const plain = statement.replace(/'(?:[^'\\]|\\.|'')*'/g, "''")
  return [...plain.matchAll(/\bCONSTRAINT (`(?:[^`\\]|\\.)*`|\w+) CHECK\b/g)].map(([, name = '']) => ({
    minor: true,
    problem: `check ${name}`,
  }))
}

/** Rows and columns that ClickHouse drops with time. What only moves or packs them is none. */
function expiries({ statement }: Existing): { readonly what: string; readonly fix: string }[] {
  const plain = statement.replace(/'(?:[^'\\]|\\.|'')*'/g, "''")
  const [, columns = '', rest = ''] = /^(.*?)\s*\)\s*ENGINE\b(.*)$/s.exec(plain) ?? []
  const found = [...columns.matchAll(/(`(?:[^`\\]|\\.)*`) [^`]*?\bTTL\b/g)].map(([, name = '']) => ({
    what: `column ${name.slice(1, -1)}`,
    fix: `MODIFY COLUMN ${name} REMOVE TTL`,
  }))
  const [, ttl] = /\sTTL\s(.*?)(?:\sSETTINGS\s.*)?$/s.exec(rest) ?? []
  // Each part says what is done when its time has come; a part that says nothing deletes.
  const deletes = ttl !== undefined && topLevel(ttl).some((part) => !/\b(?:TO (?:DISK|VOLUME) ''|RECOMPRESS\s+CODEC\(.*\))\s*$/s.test(part))
  return deletes ? [{ what: 'it', fix: 'REMOVE TTL' }, ...found] : found
}

/** The parts between the commas that stand in no brackets. */
function topLevel(text: string): string[] {
  let depth = 0
  const parts = ['']
  for (const sign of text) {
    if (sign === '(') depth++
    if (sign === ')') depth--
    if (sign === ',' && depth === 0) parts.push('')
    else parts.push(`${parts.pop() ?? ''}${sign}`)
  }
  return parts
}

function columnDrift(
  column: Column,
  there: Existing,
  table: Table,
  alter: string,
  drift: (problem: string, fix?: string) => Drift,
): Drift[] {
  const name = quoteIdentifier(column.name)
  const type = columnType(column)
  const found = there.columns.get(column.name)
  const isKey = table.key.includes(column.name)
  if (!found) {
    const add = `${alter} ADD COLUMN ${name} ${type}`
    return [
      drift(
        `has no column ${column.name} (${type})`,
        isKey ? undefined : column.nullable ? add : `${add}; -- rows that are there get its zero value: fill it`,
      ),
    ]
  }
  const modify = isKey ? undefined : `${alter} MODIFY COLUMN ${name} ${type}`
  if (!holds(found.type, column)) return [drift(`column ${column.name} is ${found.type}, not ${type}`, modify)]
  if (isWider(innerType(found.type), sqlType(column.type, 'clickhouse'), column.type))
    return [drift(`column ${column.name} is ${found.type}, ${wider(type)}`)]
  if (column.nullable && !isNullable(found.type))
    return [drift(`column ${column.name} is ${found.type}, which holds no NULL, and may be null in the pipeline`, modify)]
  if (found.default === 'MATERIALIZED' || found.default === 'ALIAS' || found.default === 'EPHEMERAL')
    return [
      drift(
        `column ${column.name} is ${found.default}, so what is written into it is ${found.default === 'MATERIALIZED' ? 'left out by SELECT *' : 'refused or lost'}`,
        isKey
          ? undefined
          : found.default === 'EPHEMERAL'
            ? `${alter} DROP COLUMN ${name}, ADD COLUMN ${name} ${type}`
            : `${alter} MODIFY COLUMN ${name} REMOVE ${found.default}`,
      ),
    ]
  return []
}

const INTEGERS = ['Int8', 'Int16', 'Int32', 'Int64', 'Int128', 'Int256']
const isNullable = (type: string) => type.includes('Nullable(')

/** Whether a column of that type keeps every value of the portable type. */
function holds(there: string, { type }: Column): boolean {
  const inner = innerType(there)
  const declared = sqlType(type, 'clickhouse')
  if (inner === declared) return true
  switch (type.kind) {
    case 'int':
    case 'bigint':
      return INTEGERS.indexOf(inner) > INTEGERS.indexOf(declared)
    case 'decimal': {
      const found = portableType(inner)
      return found.kind === 'decimal' && found.scale >= type.scale && found.precision - found.scale >= type.precision - type.scale
    }
    case 'json':
      return inner === 'String' || portableType(inner).kind === 'json'
    case 'timestamp': {
      // What is stored counts from 1970 in UTC whatever the zone it is shown in.
      const match = /^DateTime64\((\d)(?:,|\))/.exec(inner)
      return match !== null && match[1] === '6'
    }
    default:
      return false
  }
}

/** Reads every table and view of the database. */
export const TABLES = `
SELECT name, engine, engine_full, create_table_query, sorting_key, partition_key FROM system.tables WHERE database = currentDatabase() AND NOT is_temporary`

/** Reads the policies that hide rows of them; one that shows all of them is none. Those of a whole database name no table. */
export const POLICIES = `
SELECT table, short_name AS name FROM system.row_policies WHERE database = currentDatabase() AND ifNull(select_filter, '') NOT IN ('1', 'true')`

/** Reads their columns. */
export const COLUMNS = `
SELECT table, name, type, default_kind, is_in_partition_key AS partitioned FROM system.columns WHERE database = currentDatabase() ORDER BY table, position`
