import type { List, Move, Output, Places, Row, Statement, Table } from '../sdk/index.js'
import type { LedgerChanges } from './ledger-changes.js'
import type { SelectEngine } from './selects.js'
import type { Bounds, Touched } from './touched.js'

/** A transaction that is open. All of what it does is kept, or nothing of it. */
export interface Transaction<Loader = unknown> {
  /** How rows of the outputs that the transaction was opened for get into their tables. */
  readonly loaders: ReadonlyMap<Output, Loader>
  /** Moves rows of queries. Its statements are stopped when the signal is aborted. */
  selects(signal?: AbortSignal): SelectEngine
  /** The rows of units as they are, by `unitKey`. Nobody else changes them until the transaction ends. */
  lockUnits(keys: readonly Row[]): Promise<ReadonlyMap<string, Row>>
  /** Writes changes, given the rows as they are. Resolves to the rows as they will be, and how many were dropped. */
  writeUnits(changes: LedgerChanges, there: ReadonlyMap<string, Row>): Promise<{ readonly put: readonly Row[]; readonly dropped: number }>
  /** Writes whole rows of units over those that are there. */
  updateUnits(rows: readonly Row[]): Promise<void>
  /** Adds rows to `_pipe_touched`. */
  touch(rows: readonly Row[]): Promise<void>
  /**
   * Moves rows into the table of a loader.
   *
   * @throws {ValueError} for a value that does not fit, before any SQL.
   * @throws {KeyConflictError} from `placing`. @throws {RowsNotTakenError}
   * @throws {LoadError} when SQL refuses: `TransactionalEngine.explain` may know more after the rollback.
   * @throws the reason of `signal`, when it is aborted before the end.
   */
  load(loader: Loader, rows: List<Row>, touched: Touched, placing: Placing, signal?: AbortSignal): Promise<Loaded>
  /** Runs one statement. Resolves to the rows it changed. @throws {SqlError} for one that a step or a migration may not run. */
  run(statement: Statement, of?: 'us' | 'step' | 'migration', signal?: AbortSignal): Promise<number>
  /** Makes an empty table like one that is there. @throws {ShadowTakenError} for a name that is taken. @throws {NotSwappableError} */
  makeLike(table: Table, name: string): Promise<void>
  /**
   * Lets tables change their names. What comes gets the indexes, rights, comments and views of what goes; a rollback gives them
   * back, so what goes keeps none of the indexes' names.
   *
   * @throws {NotSwappableError}
   */
  move(moves: readonly Move[]): Promise<void>
  /** Runs a query of ours, whose result is small. */
  rows(statement: Statement): Promise<readonly Row[]>
  /** The same for one whose columns are bounds (see `boundsOf`). */
  bounds(statement: Statement): Promise<Bounds>
}

/** A row on its way into a table, and a different one that the table has under its key. Values of both as text. */
export interface Meeting {
  readonly output: Output
  readonly table: Table
  readonly places: Places
  readonly there: Row
  readonly given: Row
}

/** How rows take the place of others. */
export interface Placing {
  /** The column that holds a row's place. */
  readonly place: string | undefined
  /** Two different rows of one key are an error where SQL computes the key, too. */
  readonly once: boolean
  /** Asked before different rows are replaced. Undefined: they may be. @throws {KeyConflictError} */
  readonly judge: ((meetings: readonly Meeting[]) => Promise<void>) | undefined
}

/** What became of rows that were moved into their table. */
export interface Loaded {
  /** Of each text in which U+FFFD took a place, that of its row. */
  readonly replaced: readonly number[]
  /** Of how many the table had the key before, or other rows of the commit have it. */
  readonly there: number
  /** How many of these took the place of a different row. */
  readonly overwritten: number
}

/** Rows that SQL refused on their way into their table. */
export class LoadError<Loader = unknown> extends Error {
  constructor(
    readonly loader: Loader,
    readonly rows: List<Row>,
    cause: unknown,
  ) {
    super('rows were refused', { cause })
  }
}

/** The loaders of a warehouse, one an output, made when first used. */
export class Loaders<Loader extends { readonly table: Table }> {
  readonly #make: (output: Output, table: Table, index: number) => Loader | Promise<Loader>
  readonly #byOutput = new WeakMap<Output, Loader>()
  readonly #byContent = new Map<string, Loader>()

  constructor(make: (output: Output, table: Table, index: number) => Loader | Promise<Loader>) {
    this.#make = make
  }

  /** @throws {OutputError} when the output does not fit the table. */
  async of(output: Output, table: Table): Promise<Loader> {
    const known = this.#byOutput.get(output)
    if (known?.table === table) return known
    const content = JSON.stringify([output, table])
    let loader = this.#byContent.get(content)
    if (!loader) this.#byContent.set(content, (loader = await this.#make(output, table, this.#byContent.size)))
    this.#byOutput.set(output, loader)
    return loader
  }
}
