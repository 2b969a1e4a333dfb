import type { PipelineTakenError } from './errors.js'
import type { List } from './packed-list.js'
import type { ColumnType, Json, Row, Statement, Table, Value } from './values.js'
import type { Output } from './step.js'

/** A column of a query's result. `approximate` is true for float types, whose values may be rounded. */
export interface ResultColumn {
  readonly name: string
  /** The warehouse's own name of the type, for messages. */
  readonly sqlType: string
  /** The portable type it reads back as. */
  readonly type: ColumnType
  readonly approximate: boolean
}

/** Read access to a warehouse. */
export interface WarehouseReader {
  readonly kind: 'duckdb' | 'postgres' | 'clickhouse'
  /** Pages of a result, values exact (see `Row`). The result is complete in memory or paged by the server, so it never blocks a commit. */
  query<R extends Row = Row>(
    statement: Statement,
    options?: { readonly signal?: AbortSignal; readonly timeoutMs?: number },
  ): AsyncIterable<readonly R[]>
  /** The columns that a query would give; runs nothing. @throws {SqlError} when it does not parse or bind. */
  describe(statement: Statement): Promise<readonly ResultColumn[]>
}

export type UnitState = 'pending' | 'running' | 'done' | 'failed' | 'quarantined'

/** What the core knows of how far a unit is, beside the cursor of its step. */
export interface Coverage {
  /**
   * The stretches that the commits of the unit covered so far, sorted, both ends included: decimal text, since JSON has no
   * bigint. On a unit that is done it says that its rows were counted over exactly these stretches.
   */
  readonly covered?: readonly (readonly [first: string, last: string])[]
  /** Why the part of the unit that is not covered still holds rows of an earlier reading. Left out: it holds none. */
  readonly redo?: string
  /** All rows of earlier readings in the unit were deleted, though not all of it is covered. */
  readonly cleared?: true
  /** The numbers that a unit of time holds, for tables whose rows say a number (a block) instead of their time: decimal text, both included. */
  readonly numbers?: readonly [first: string, last: string]
  /** Hashes of blocks near the head that the unit read, in the order of their numbers (decimal text). */
  readonly blocks?: readonly (readonly [number: string, hash: string])[]
  /**
   * Of a unit of blocks that is not done: the hashes at the ends of its covered stretches, by block (decimal text), until what lies
   * beside them is covered, too. One that is done has them as `parentHash` and `lastHash`.
   */
  readonly ends?: readonly {
    readonly number: string
    readonly hash?: string | undefined
    readonly parentHash?: string | undefined
  }[]
  /** The round (when it began, microseconds UTC, decimal text) in which the unit counts as done. Later rounds read it again. */
  readonly tentative?: string
  /** What the unit published was put back by hand to this version of its tables. It stays as it is until `pipe reset`. */
  readonly undone?: number
  /** On a row of several units of time that were joined: how long each is (microseconds, decimal text), and how many rows each has, by table. */
  readonly units?: { readonly every: string; readonly rows: Readonly<Record<string, readonly number[]>> }
}

/** One row of `_pipe_units`. Times are microseconds UTC. */
export interface LedgerRow {
  readonly step: string
  readonly unit: string
  readonly state: UnitState
  readonly fingerprint: string
  /**
   * Given anew by each opening and each change by hand, from a number that the database raises and never gives twice,
   * whatever becomes of the row. Only the writer that holds it can commit.
   */
  readonly epoch: bigint
  /** First number (block, microsecond UTC) of the stretch that the unit covers. Undefined: the unit lies on no axis. */
  readonly first: bigint | undefined
  /** Last number of the stretch, which belongs to it. */
  readonly last: bigint | undefined
  readonly coverage: Coverage | undefined
  /** The step's own. The core stores it and never looks into it. */
  readonly cursor: Json | undefined
  /**
   * Rows that its commits brought, by table; of a key that came twice in one commit, one. For a unit whose batches say what
   * they cover, and a table whose key holds the unit's number, that is what the table holds of it. A table that is left out
   * was not counted.
   */
  readonly rows: Readonly<Record<string, number>>
  readonly attempts: number
  readonly endpoint: string | undefined
  readonly parentHash: string | undefined
  readonly lastHash: string | undefined
  readonly evidence: Json | undefined
  readonly error: string | undefined
  readonly startedAt: bigint
  readonly updatedAt: bigint
  /** Names of the joined rows that speak of this unit, too, the latest first. */
  readonly joinedIn?: readonly string[]
  /** It has no row of its own: all that is said of it says the first of those. */
  readonly isPart?: true
}

/** What a commit says about its unit; fields left out stay as they are, null clears them. */
export interface LedgerChange {
  readonly state: UnitState
  readonly first?: bigint
  readonly last?: bigint
  /** null clears it. */
  readonly coverage?: Coverage | null
  /** null clears it. */
  readonly cursor?: Json | null
  readonly rows?: Readonly<Record<string, number>>
  readonly attempts?: number
  readonly endpoint?: string
  readonly parentHash?: string
  readonly lastHash?: string
  readonly evidence?: Json
  /** null clears it. */
  readonly error?: string | null
}

/** A step as the ledger knows it. */
export interface LedgerStep {
  readonly pipeline: string
  readonly step: string
  readonly fingerprint: string
}

/** Rows of a table with these fixed columns: all that a step's output wrote there. */
export interface OwnRows {
  readonly table: string
  readonly constants: Readonly<Record<string, string>>
}

/**
 * Of these, the rows in a stretch of the table's range column: `from <= column <= to`. The ends are microseconds UTC where the
 * column is a timestamp or a date.
 */
export interface Stretch extends OwnRows {
  readonly column: string
  readonly from: bigint
  readonly to: bigint
}

/**
 * Rows of which commits keep count: how many they left for each day (UTC) of `column`, or, without one, of all of them. A row
 * that is overwritten counts once, where it is now.
 */
export interface Counted extends OwnRows {
  readonly pipeline: string
  readonly column: string | undefined
}

/**
 * A step whose rows are computed from a table. Every commit that changes the table (insert, overwrite, delete; not
 * retention) touches the units of the consumer that read what it changed, in its own transaction. Rows that are written again as
 * they were touch none.
 */
export interface Consumer {
  readonly pipeline: string
  readonly step: string
  readonly table: string
  /**
   * How rows of the table fall into units: by a time column, in stretches (a row without a time into none). `whole`: a
   * change touches the unit `all`. `every`: a change touches every unit that the ledger has of the step: a table without a
   * time, read by a step that is computed in stretches of others.
   */
  readonly interval: IntervalInput | 'whole' | 'every'
  /** It reads only rows whose columns have these texts. Left out: all. A row of another text touches it not. */
  readonly constants?: Readonly<Record<string, string>>
}

/** Stretches of `everyUs` microseconds UTC, counted from 1970; each reads `lookbackUs` of the time before it, too. */
export interface IntervalInput {
  readonly column: string
  readonly everyUs: bigint
  readonly lookbackUs: bigint
}

/** A unit of a consumer whose input changed since it was computed. `at`: when that began as far as it is known, microseconds UTC. */
export interface TouchedRow {
  readonly unit: string
  readonly at: bigint
}

/** Rows that SQL makes of what is in the warehouse, moved into their table in the same transaction. */
export interface SelectWrite {
  /** Its `columns` are those that the query gives, by name. */
  readonly output: Output
  readonly sql: Statement
  /** Rows of this stretch (`all`: of the whole table) with the output's constants that the query does not give are deleted. Undefined: nothing is. */
  readonly replace: Stretch | 'all' | undefined
  /**
   * Whose a row outside of the stretch that is replaced is, when a row of the query has its key: the unit that was computed with its
   * place, of those that nothing touched since. The write is refused then, unless the table says `on_conflict: last`. Left out:
   * rows of the query replace whatever has their key.
   */
  readonly owner?: OwnerOf | undefined
  /** Longer, and it is stopped, and nothing of the commit is written. @throws {SqlTimeoutError} from `commit` */
  readonly timeoutMs?: number
}

/** What two rows have in the column that holds their place (`Output.range`, or the table's): the one that is there and the one that would replace it. Undefined where there is no such column. */
export interface Places {
  readonly there: Value | undefined
  readonly given: Value | undefined
}

/** What a row of the ledger says of what is done. */
export type DoneRow = Pick<LedgerRow, 'unit' | 'state' | 'first' | 'last' | 'coverage' | 'rows'>

export type OwnerOf = (output: Output, places: Places, ledger: readonly DoneRow[]) => string | undefined

/** Which record of a query a row was read for. */
export interface RecordRule {
  /** The columns of the output's table that name its record. Undefined: the key of the table does, so two records never share one. */
  columns(output: Output): readonly string[] | undefined
  /**
   * A query of the names (column `_pipe_key`) of records that rows of the output's table stand for as they are, so that they are not asked for
   * again. `rows`: a condition on these rows, whose alias is `t`.
   */
  standing(output: Output, rows: Statement): Statement
}

/** What a table of a version is to its step. `shadow`: made to be swapped in. `undone`: a rollback put it away. */
export type VersionState = 'shadow' | 'current' | 'old' | 'undone'

/** A row of `_pipe_versions`: a table that a step renews as a whole, in one of its versions. */
export interface VersionRow {
  readonly step: string
  /** As it is declared. */
  readonly table: string
  /** From 1, one a swap; 0 is what was there before the first. */
  readonly version: number
  /** What it is called in the warehouse. */
  readonly name: string
  readonly state: VersionState
  /** Since when, by our clock, microseconds UTC. */
  readonly at: bigint
}

/** Tables that are made for a unit, each like a declared one: its columns, types, key and whatever else the warehouse has of it. */
export interface Making {
  readonly pipeline: string
  readonly step: string
  /** Tables that are dropped first. */
  readonly drops: readonly string[]
  readonly tables: readonly Shadow[]
  /** The rows of `_pipe_versions` of the step, in place of those that are there. */
  readonly versions: readonly VersionRow[]
}

/** A table beside a declared one. */
export interface Shadow {
  readonly table: Table
  readonly name: string
}

/** Tables that change their names, all at once. */
export interface Swap {
  readonly pipeline: string
  readonly step: string
  /** What is called `comes` takes the place of the table, with its indexes, rights, comments and views; the table that was there is called `goes`. */
  readonly moves: readonly Move[]
  /** Tables that are dropped then. */
  readonly drops: readonly string[]
  /** The rows of `_pipe_versions` of the step, in place of those that are there. */
  readonly versions: readonly VersionRow[]
}

export interface Move {
  readonly table: Table
  readonly comes: string
  readonly goes: string
}

/** One batch of one unit with the checkpoint after it. */
export interface UnitWrite {
  readonly step: LedgerStep
  readonly unit: string
  readonly epoch: bigint
  /** Deleted first: what a redone unit wrote before. */
  readonly deletes: readonly (OwnRows | Stretch)[]
  readonly rows: readonly { readonly output: Output; readonly rows: List<Row> }[]
  /**
   * Whose a row of the table is that a different one of this write would replace: the unit that is done with its place, of all
   * that the ledger has of the step. The write is refused then, unless the table says `on_conflict: last`. Undefined: nobody's, and
   * it is replaced. Left out: rows of this write replace whatever has their key.
   */
  readonly owner?: OwnerOf | undefined
  /**
   * Of a step that reads rows for the records of a query: a row that stands for another record than the one that would replace it
   * is not replaced. The write is refused then, unless the table says `on_conflict: last`.
   */
  readonly records?: RecordRule | undefined
  /** What it reads is another when it is read again (`StepDefinition.rereads`). */
  readonly rereads?: boolean | undefined
  readonly sql: readonly Statement[]
  /** After the rows. A query that gives one key twice is refused: nothing says which row was meant. */
  readonly selects?: readonly SelectWrite[]
  /** Tables beside the declared ones that this write may fill. */
  readonly shadows?: readonly Shadow[] | undefined
  /** Before all else: they are made anew. @throws {ShadowTakenError} for a name that has a table which no step made. */
  readonly makes?: Making | undefined
  /** After all else. Where a commit touched the unit since a write of it cleared that, nothing of this write is written. */
  readonly swap?: Swap | undefined
  /** The unit is no longer touched. This comes before anything of this write is read or written: what changes later touches it again. */
  readonly clearsTouched?: boolean
  /** The name by which the unit is touched, where it is not its own. */
  readonly touchedAs?: string | undefined
  /** Aborted, its statements and queries are stopped, nothing of the commit is written, and `commit` throws the reason. */
  readonly signal?: AbortSignal
  readonly ledger: LedgerChange
  /** Ledger rows written beside the unit's own (a block split off, the done parts of a unit), each replacing what has its key. */
  readonly split?: readonly (LedgerChange & { readonly unit: string })[]
  /** Ledger rows of the same step that this write makes void. */
  readonly replaces?: readonly string[]
  /**
   * Joins rows that one commit leaves done: it gives the rows to `put` in their place, and which ones to `drop`. One function a
   * step. A warehouse may leave the rows apart: nothing but the size of the ledger depends on it.
   */
  readonly join?: (done: readonly LedgerRow[]) => Amendments
  readonly quarantine?: readonly { readonly key: string; readonly error: string; readonly attempts: number }[]
  /** Times by our clock, microseconds UTC. */
  readonly at: bigint
}

/** Rows of one step's ledger to write and to drop. */
export interface Amendments {
  readonly put: readonly Amendment[]
  readonly drop: readonly { readonly step: string; readonly unit: string }[]
}

/** A ledger row that is not written by the unit's own checkpoints. */
export type Amendment = LedgerChange & { readonly step: LedgerStep; readonly unit: string }

/** What became of one write of a commit. `rows` by table: those it brought, and those that its queries gave. */
export type WriteOutcome =
  | {
      readonly written: true
      readonly rows: Readonly<Record<string, number>>
      /** Of its rows, those whose key the table had before, by table. Left out: none. */
      readonly there?: Readonly<Record<string, number>>
      /** Of these, those that took the place of a different row. */
      readonly overwritten?: Readonly<Record<string, number>>
      /** Tables whose rows were not compared with those of earlier commits, since they are too large for it. */
      readonly unseen?: readonly string[]
      /** Texts of its rows in which NUL or half a character became U+FFFD (see `coercer`). Left out: none. */
      readonly replaced?: number
    }
  /** `changed`: what it would put into place was computed from inputs that changed since. */
  | { readonly written: false; readonly reason: 'taken' | 'changed' }

/** A difference between a declared table and the one that is there. */
export interface Drift {
  readonly table: string
  readonly problem: string
  /** SQL that would mend it, or undefined when nothing simple does. */
  readonly fix: string | undefined
}

export interface QuarantineRow {
  readonly step: string
  readonly key: string
  readonly error: string
  readonly attempts: number
  readonly at: bigint
}

/** The day of rows that are counted together. */
export const COUNTED_AS_ONE = 0n
/** The day of rows that have no time. */
export const NO_DAY = -(2n ** 61n)

/** Who writes, as `_pipe_workers` shows it: one row a worker, the last write wins. */
export interface WorkerRow {
  readonly worker: string
  readonly pipeline: string
  readonly host: string
  readonly pid: number
  /** A unit that it is at. */
  readonly step: string | undefined
  readonly unit: string | undefined
  /** Microseconds UTC. */
  readonly startedAt: bigint
  readonly heartbeatAt: bigint
}

/** Who holds a pipeline. */
export interface Holder {
  readonly pid: number
  readonly host: string
  /** Milliseconds UTC. */
  readonly since: number
}

/** What a process says of itself when it takes a pipeline. */
export interface Claim {
  readonly pipeline: string
  /** A name that nothing else ever has. */
  readonly id: string
  readonly self: Holder
  /** Whether a process of this machine lives. */
  alive(pid: number): boolean
  /** Called when it is found that somebody else took the pipeline: nothing that is written from here gets in any more. */
  taken(error: PipelineTakenError): void
}

/** A numbered SQL file, applied once to a warehouse. */
export interface Migration {
  /** `0001-views.sql`. Names sort in the order in which they are applied. */
  readonly name: string
  /** SHA-256 of its text, whatever its line ends. */
  readonly checksum: string
  readonly statements: readonly { readonly text: string; readonly line: number }[]
}

/** Some units of a step. */
export interface WhichUnits {
  /** Only those whose stretch has this place, and what was joined with them. */
  readonly at?: bigint
  /** Without those that `donePlaces` gives. */
  readonly besidesDonePlaces?: boolean
}

/** Some rows of a step in the ledger, by where they lie; those that lie nowhere come last, by name. */
export interface UnitPage {
  /** Left out: in any. */
  readonly states?: readonly UnitState[] | undefined
  /** The row that is before the first one. */
  readonly after?: Pick<LedgerRow, 'unit' | 'first'> | undefined
  /** At most so many. */
  readonly limit: number
}

/** A stretch of units that are done, touch, and are alike. */
export interface DonePlace {
  readonly first: bigint
  readonly last: bigint
  readonly axis: 'numbers' | 'time'
  /** It has no row, and evidence of that. */
  readonly isEmpty: boolean
  /** Done under the definition that was asked for; otherwise it is to be done again. */
  readonly isCurrent: boolean
  /** Whether its evidence says that it is proved; undefined: it does not say what it is believed by. */
  readonly isProved: boolean | undefined
}

/** What a planner may ask of a warehouse and its ledger. Nothing of it changes the database. */
export interface LedgerReader extends WarehouseReader {
  /** Gives what the warehouse does by itself to a listener, each a sentence for people: also what it did before. */
  hear(listener: (message: string) => void): void
  /** For people: no user, no password. */
  readonly display: string
  /** What differs between the declared tables and those that are there. Missing tables are no drift. */
  drift(tables: readonly Table[]): Promise<readonly Drift[]>
  /** Those of the tables that are not there, neither as a table nor as a view. */
  missing(tables: readonly Table[]): Promise<readonly Table[]>
  /** Makes missing tables known to this connection only (temporary, empty), so that plans can read and describe. */
  assume(tables: readonly Table[]): Promise<void>
  /** Runs before the first commit with these outputs: checks `compute` and refuses a float for an exact column. */
  checkOutputs(outputs: readonly Output[], tables: ReadonlyMap<string, Table>): Promise<void>
  /** Units of a consumer that were touched since they were computed. */
  touched(pipeline: string, step: string): Promise<readonly TouchedRow[]>
  /** Those that were joined are given apart again. */
  units(pipeline: string, step?: string, which?: WhichUnits): Promise<readonly LedgerRow[]>
  /** Rows as they are: what was joined is one. */
  unitPage(pipeline: string, step: string, page: UnitPage): Promise<readonly LedgerRow[]>
  /** Where units of a step lie that are done, under its definition and under others: sorted, in pages. Such units may be millions. */
  donePlaces(step: LedgerStep): AsyncIterable<readonly DonePlace[]>
  /** The fingerprints that units of a step have. */
  definitions(pipeline: string, step: string): Promise<readonly string[]>
  /** Of the units of a step that know hashes of blocks, those that were near the head last, then the highest, at most so many. */
  linked(pipeline: string, step: string, most: number): Promise<readonly LedgerRow[]>
  quarantined(pipeline: string, step?: string): Promise<readonly QuarantineRow[]>
  /** Versions of the tables that steps renew as a whole. */
  versions(pipeline: string, step?: string): Promise<readonly VersionRow[]>
  /**
   * How many rows commits left, by the microsecond at which a day begins (`COUNTED_AS_ONE` without a column, `NO_DAY` for rows
   * whose column is null). Undefined: not every commit has kept count.
   */
  counts(counted: Counted): Promise<ReadonlyMap<bigint, bigint> | undefined>
  /** How many there are now, by the same days. */
  present(counted: Counted, table: Table): Promise<ReadonlyMap<bigint, bigint>>
  /** What `rememberGenesis` stored for a chain, or undefined. */
  genesis(chainId: number): Promise<string | undefined>
  close(): Promise<void>
}

/** The database that is filled, with the ledger beside the rows. Only `commit` writes rows. */
export interface Warehouse extends LedgerReader {
  /** Whether rows and ledger are written in one transaction. */
  readonly transactional: boolean
  /**
   * Takes a pipeline, before anything else is written. Whoever held it writes nothing more: what he commits, opens, amends or
   * executes throws `PipelineTakenError`, in the transaction itself where there are transactions. Resolves to who has it when it
   * was not taken: only on a server of ClickHouse, where no lock ends with its process.
   */
  hold(claim: Claim): Promise<Holder | undefined>
  /** Looks whether the pipeline is still held from here, which its claim is told, and says that we live. */
  renew(): Promise<void>
  /** Creates the ledger and the tables that are missing, and brings a ledger of an earlier version to this one. */
  prepare(tables: readonly Table[]): Promise<void>
  /** From now on, commits note what they touch for these. Replaces those of an earlier call. */
  watch(consumers: readonly Consumer[]): void
  /** From now on, commits keep count of these. Replaces those of an earlier call. */
  count(counted: readonly Counted[]): void
  /**
   * Takes the rows that are there for those that commits left: all of them, or those of the days in these stretches, whose ends
   * are those of days. For what is made anew, and for a table that no commit has filled.
   */
  recount(counted: Counted, table: Table, days?: readonly (readonly [bigint, bigint])[]): Promise<void>
  /** Takes units over: gives them a new epoch, creates those that are new as `running`. Any earlier writer is fenced off. */
  open(step: LedgerStep, units: readonly string[], at: bigint): Promise<ReadonlyMap<string, LedgerRow>>
  /**
   * Writes all of it in one transaction, the fences first. A write whose unit was taken over is left out and reported;
   * the others go on. Rows must have unique keys within one table of one commit (the caller resolves doubles). A worker
   * that is given shows itself in `_pipe_workers` with it.
   *
   * @throws {PipeError} when nothing was written.
   */
  commit(writes: readonly UnitWrite[], worker?: WorkerRow): Promise<readonly WriteOutcome[]>
  /**
   * Changes ledger rows beside those who write their units: `pipe reset`, `pipe retry`, `pipe rollback`, a reorg. Resolves to how many
   * rows of the ledger changed.
   */
  amend(
    pipeline: string,
    changes: {
      readonly put?: Amendments['put']
      readonly drop?: Amendments['drop']
      readonly release?: readonly { readonly step: string; readonly keys?: readonly string[] }[]
      /** Touches these units of a consumer. */
      readonly touch?: readonly { readonly step: string; readonly units: readonly string[] }[]
      /** Tables change their names in the same transaction. Whoever is computed from them is touched. */
      readonly swap?: Swap | undefined
      /** Rows that are deleted in the same transaction. Whoever is computed from them is touched, and counts follow. */
      readonly deletes?: readonly (OwnRows | Stretch)[]
    },
    at: bigint,
  ): Promise<number>
  /**
   * Runs statements of a migration: all of them in one transaction where `transactional`, else one after the other. They
   * may do what the login may, but begin or end a transaction.
   *
   * @throws {StatementError} naming the statement that failed.
   */
  execute(statements: readonly Statement[]): Promise<void>
  /** `hash`: of block 0 or, for a chain whose nodes do not give that, number and hash of another old block (`58701:0x…`). */
  rememberGenesis(chainId: number, hash: string): Promise<void>
}
