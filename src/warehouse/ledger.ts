import {
  type Column,
  type ColumnType,
  type Coverage,
  type Json,
  type LedgerRow,
  type QuarantineRow,
  quoteIdentifier,
  type Row,
  type Table,
  type UnitState,
  type VersionRow,
  type VersionState,
} from '../sdk/index.js'

/** Raised when the ledger's tables change. A newer one is refused; an older one is upgraded (see `upgradeRow`). */
export const LEDGER_VERSION = 3

const columns = (names: readonly string[], kind: Exclude<ColumnType['kind'], 'decimal'>, nullable = false): Column[] =>
  names.map((name) => ({ name, type: { kind }, nullable }))

const table = (name: string, key: readonly string[], ...groups: Column[][]): Table => ({
  name,
  columns: groups.flat(),
  key,
  range: undefined,
  indexes: {},
  retention: undefined,
})

/** The checkpoints: one row a unit. */
export const UNITS = table(
  '_pipe_units',
  ['pipeline', 'step', 'unit'],
  columns(['pipeline', 'step', 'unit', 'state', 'fingerprint'], 'text'),
  columns(['epoch'], 'bigint'),
  columns(['first', 'last'], 'bigint', true),
  columns(['coverage', 'cursor'], 'json', true),
  columns(['rows'], 'json'),
  columns(['attempts'], 'int'),
  columns(['endpoint', 'parent_hash', 'last_hash'], 'text', true),
  columns(['evidence'], 'json', true),
  columns(['error'], 'text', true),
  columns(['started_at', 'updated_at'], 'timestamp'),
)

/** Keys that are not asked again until `pipe retry`. */
export const QUARANTINE = table(
  '_pipe_quarantine',
  ['pipeline', 'step', 'key'],
  columns(['pipeline', 'step', 'key', 'error'], 'text'),
  columns(['attempts'], 'int'),
  columns(['at'], 'timestamp'),
)

/** Which chain each chain id was, so that a demo never mixes with real data. */
export const CHAINS = table('_pipe_chains', ['chain_id'], columns(['chain_id'], 'bigint'), columns(['genesis_hash'], 'text'))

/** Intervals of a consumer whose inputs changed since it was computed. */
export const TOUCHED = table(
  '_pipe_touched',
  ['pipeline', 'step', 'unit'],
  columns(['pipeline', 'step', 'unit'], 'text'),
  columns(['at'], 'timestamp'),
)

/**
 * How many rows of a table the commits left, by day. `counted` is the table, `constants` tell the rows of one step from those of
 * another; `day` is the microsecond at which it begins. `COUNTED` of a day says that every commit kept count.
 */
export const COUNTS = table(
  '_pipe_counts',
  ['pipeline', 'counted', 'constants', 'day'],
  columns(['pipeline', 'counted', 'constants'], 'text'),
  columns(['day', 'rows'], 'bigint'),
)
export const COUNTED = -(2n ** 62n)

/**
 * Stretches of time whose rows `retention` deleted, by each time column that a consumer goes by: microseconds UTC, both ends included.
 * `expired` is the table, `constants` tell the rows of one step from those of another. Stretches may meet. Where the database drops
 * rows by itself nobody writes them down.
 */
const EXPIRED = table(
  '_pipe_expired',
  ['pipeline', 'expired', 'constants', 'time_column', 'first'],
  columns(['pipeline', 'expired', 'constants', 'time_column'], 'text'),
  columns(['first', 'last'], 'bigint'),
)

/**
 * Tables that steps renew as a whole, in their versions: under which name each is kept. `state` is shadow, current, old or undone.
 */
export const VERSIONS = table(
  '_pipe_versions',
  ['pipeline', 'step', 'name'],
  columns(['pipeline', 'step', 'name', 'table_name', 'state'], 'text'),
  columns(['version'], 'int'),
  columns(['at'], 'timestamp'),
)

/** One row a worker, written at most every 10 s. */
export const WORKERS = table(
  '_pipe_workers',
  ['worker'],
  columns(['worker', 'pipeline', 'host'], 'text'),
  columns(['pid'], 'bigint'),
  columns(['step', 'unit'], 'text', true),
  columns(['started_at', 'heartbeat_at'], 'timestamp'),
)

/**
 * Who holds a pipeline: one row for the run, reset, retry or migration that took it last, which stays when that ends. A writer
 * whose row is gone was taken over. `seen_at` is for servers of ClickHouse: when it last said that it lives, by the server's
 * clock; null when it ended, and where a lock of the database or of the machine tells.
 */
export const HOLDERS = table(
  '_pipe_holders',
  ['pipeline', 'holder'],
  columns(['pipeline', 'holder', 'host'], 'text'),
  columns(['pid'], 'bigint'),
  columns(['since'], 'timestamp'),
  columns(['seen_at'], 'timestamp', true),
)

/** Statements of migrations that are done, by number from 1: a migration is applied when its last one (`statement = statements`) is. */
const MIGRATIONS = table(
  '_pipe_migrations',
  ['pipeline', 'name', 'statement'],
  columns(['pipeline', 'name'], 'text'),
  columns(['statement', 'statements'], 'int'),
  columns(['checksum'], 'text'),
  columns(['applied_at'], 'timestamp'),
)

/**
 * One row: the version of the tables above, and the highest epoch that was ever given in this database. It may be null:
 * DuckDB adds no NOT NULL column to a table that is there.
 */
export const LEDGER = table('_pipe_ledger', ['id'], columns(['id', 'version'], 'int'), columns(['epoch'], 'bigint', true))

export const LEDGER_TABLES: readonly Table[] = [
  UNITS,
  QUARANTINE,
  CHAINS,
  TOUCHED,
  COUNTS,
  EXPIRED,
  VERSIONS,
  WORKERS,
  HOLDERS,
  MIGRATIONS,
  LEDGER,
]

/** JSON is read and staged as text: a JSON null is a value, too. */
const asText = (column: Column): Column => (column.type.kind === 'json' ? { ...column, type: { kind: 'text' } } : column)

/** Names of units, staged to find their rows. */
export const STAGED_KEYS: readonly Column[] = columns(['pipeline', 'step', 'unit'], 'text')

/** Whole rows of `_pipe_units`, staged to be written. */
export const STAGED_UNITS: readonly Column[] = [...UNITS.columns.map(asText), ...columns(['is_new'], 'bool')]

const names = UNITS.columns.map(({ name }) => name)
const sameUnit = 'u.pipeline = s.pipeline AND u.step = s.step AND u.unit = s.unit'

/** The columns of `_pipe_units` as `ledgerRows` and `LedgerChanges` want them. Those in `missing` read as NULL. */
export function unitColumns(missing: ReadonlySet<string> = new Set()): string {
  const selected = UNITS.columns.map(({ name, type }) => {
    const quoted = quoteIdentifier(name)
    if (missing.has(name)) return `NULL AS ${quoted}`
    return type.kind === 'json' ? `CAST(${quoted} AS VARCHAR) AS ${quoted}` : quoted
  })
  return selected.join(', ')
}

export const UNIT_COLUMNS = unitColumns()

export function stagedUnits(staged: string): string {
  return `
    SELECT ${UNIT_COLUMNS}
    FROM _pipe_units AS u
    WHERE EXISTS (SELECT 1 FROM ${staged} AS s WHERE ${sameUnit})`
}

export function dropUnits(staged: string): string {
  return `DELETE FROM _pipe_units AS u USING ${staged} AS s WHERE ${sameUnit}`
}

/** In place: rows deleted and written anew would pile up in the file with every checkpoint. */
export function updateUnits(staged: string): string {
  const changed = names.filter((name) => !UNITS.key.includes(name)).map(quoteIdentifier)
  return `
    UPDATE _pipe_units AS u
    SET ${changed.map((name) => `${name} = s.${name}`).join(', ')}
    FROM ${staged} AS s
    WHERE ${sameUnit} AND NOT s.is_new`
}

export function insertUnits(staged: string): string {
  const columns = names.map(quoteIdentifier).join(', ')
  return `
    INSERT INTO _pipe_units (${columns})
    SELECT ${columns}
    FROM ${staged} AS s
    WHERE s.is_new`
}

/** Raises the epoch of the database, and gives the new one. Whoever else raises it waits until this transaction ends. */
export const RAISE_EPOCH = 'UPDATE _pipe_ledger SET epoch = coalesce(epoch, 0) + 1 WHERE id = 1 RETURNING epoch'

/** The epoch that `RAISE_EPOCH` gave. */
export function raisedEpoch(rows: readonly Row[]): bigint {
  const epoch = rows[0]?.epoch
  if (typeof epoch !== 'bigint') throw new Error('_pipe_ledger has no row that counts epochs: the warehouse was not prepared')
  return epoch
}

/**
 * Makes rows of `_pipe_units` as they are read back. What a row says in the words of the one before it is kept once: a ledger
 * may have very many rows, and most differ in little more than their unit.
 */
export function ledgerRows(): (row: Row) => LedgerRow {
  const latest = new Map<string, { readonly read: Row[string] | undefined; readonly made: unknown }>()
  return (row) => {
    const same = <T>(column: string, make: (value: Row[string] | undefined) => T): T => {
      const known = latest.get(column)
      if (known && known.read === row[column]) return known.made as T
      const made = make(row[column])
      latest.set(column, { read: row[column], made })
      return made
    }
    return {
      step: same('step', required),
      unit: row.unit as string,
      state: same('state', required) as UnitState,
      fingerprint: same('fingerprint', required),
      epoch: same('epoch', integer),
      first: whole(row.first),
      last: whole(row.last),
      coverage: same('coverage', parsed) as Coverage | undefined,
      cursor: same('cursor', parsed),
      rows: (same('rows', parsed) ?? {}) as Record<string, number>,
      attempts: Number(row.attempts),
      endpoint: same('endpoint', text),
      parentHash: same('parent_hash', text),
      lastHash: same('last_hash', text),
      evidence: same('evidence', parsed),
      error: same('error', text),
      startedAt: same('started_at', integer),
      updatedAt: same('updated_at', integer),
    }
  }
}

export function quarantineRow(row: Row): QuarantineRow {
  return {
    step: row.step as string,
    key: row.key as string,
    error: row.error as string,
    attempts: Number(row.attempts),
    at: row.at as bigint,
  }
}

/** A row of `_pipe_versions` as the database has it. */
export function versionValues(pipeline: string, { step, table, version, name, state, at }: VersionRow): Row {
  return { pipeline, step, name, table_name: table, state, version, at }
}

export function versionRow(row: Row): VersionRow {
  return {
    step: row.step as string,
    table: row.table_name as string,
    version: Number(row.version),
    name: row.name as string,
    state: row.state as VersionState,
    at: row.at as bigint,
  }
}

// The columns are those of `UNITS`, whose NOT NULL and types the warehouse keeps.
const required = (value: Row[string] | undefined): string => value as string
const integer = (value: Row[string] | undefined): bigint => value as bigint
const whole = (value: Row[string] | undefined): bigint | undefined => (typeof value === 'bigint' ? value : undefined)
const text = (value: Row[string] | undefined): string | undefined => (typeof value === 'string' ? value : undefined)
const parsed = (value: Row[string] | undefined): Json | undefined => (typeof value === 'string' ? (JSON.parse(value) as Json) : undefined)
