import { type Column, quoteIdentifier, type Table } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { sqlType } from '../types.js'
import { JSON_TYPE, NULLABLE_JSON_TYPE } from './values.js'

/** Two numbers in one: whose opening of a unit wrote the row, and in which of its commits. The higher one is what counts. */
export const VERSION = '_pipe_version'
/** 1: the row is gone. FINAL leaves it out. */
export const DELETED = '_pipe_deleted'

/** Inserts whose tokens are remembered: more than are ever under way. */
const WINDOW = 1_000

/** Where tables are made. */
export interface Place {
  /** DDL goes to all of its servers, and tables are replicated. */
  readonly cluster: string | undefined
}

/**
 * `CREATE TABLE` as a ReplacingMergeTree ordered by the key. Columns of our own are MATERIALIZED: `SELECT *` leaves them
 * out, and `SELECT … FINAL` gives each key once, in its last version.
 */
export function createTable(
  table: Table,
  place: Place,
  extra: { readonly columns?: readonly string[]; readonly key?: readonly string[] } = {},
): string {
  const columns = [
    ...table.columns.map((column) => `${quoteIdentifier(column.name)} ${columnType(column)}`),
    ...(extra.columns ?? []),
    `${VERSION} UInt64 MATERIALIZED 0`,
    `${DELETED} UInt8 MATERIALIZED 0`,
  ]
  const key = identifiers([...table.key, ...(extra.key ?? [])])
  return `CREATE TABLE IF NOT EXISTS ${quoteIdentifier(table.name)}${onCluster(place)} (${columns.join(', ')}) ENGINE = ${engine(place)} ORDER BY (${key}) SETTINGS ${window(place)}`
}

/** A data-skipping index on the first of the columns. It costs little and helps where values lie together. */
export function createIndex(table: Table, name: string, columns: readonly string[], place: Place): string | undefined {
  const column = table.columns.find((candidate) => candidate.name === columns[0])
  if (!column) return undefined
  const texts = ['text', 'address', 'hash', 'bytes']
  const type = texts.includes(column.type.kind) ? 'bloom_filter' : 'minmax'
  return `ALTER TABLE ${quoteIdentifier(table.name)}${onCluster(place)} ADD INDEX IF NOT EXISTS ${quoteIdentifier(name)} ${quoteIdentifier(column.name)} TYPE ${type} GRANULARITY 1`
}

/** The type of a column in `CREATE TABLE`. */
export function columnType({ type, nullable }: Column): string {
  if (type.kind === 'json') return nullable ? NULLABLE_JSON_TYPE : JSON_TYPE
  const name = sqlType(type, 'clickhouse')
  return nullable ? `Nullable(${name})` : name
}

/** The name and setting by which tokens of inserts are remembered. */
export function window({ cluster }: Place): string {
  return `${cluster === undefined ? 'non_replicated' : 'replicated'}_deduplication_window = ${WINDOW}`
}

export function onCluster({ cluster }: Place): string {
  return cluster === undefined ? '' : ` ON CLUSTER ${quoteIdentifier(cluster)}`
}

function engine({ cluster }: Place): string {
  return cluster === undefined
    ? `ReplacingMergeTree(${VERSION}, ${DELETED})`
    : `ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', ${VERSION}, ${DELETED})`
}
