import { counted, PipeError } from '../sdk/index.js'

export { WarehouseOpenError } from '../sdk/index.js'

/** `warehouse` names no database that can be filled. */
export class WarehouseUrlError extends PipeError {
  readonly code = 'WAREHOUSE_URL'
  override readonly hint =
    'write duckdb:PATH (for example duckdb:data/miners.duckdb), postgres://USER:PASSWORD@HOST/DATABASE, clickhouse://USER:PASSWORD@HOST:8123/DATABASE or chdb:FOLDER'
  constructor(problem: string) {
    super(`warehouse ${problem}`)
  }
}

/** Another process has the file open. One process at a time can, not even for reading beside it. */
export class WarehouseHeldError extends PipeError {
  readonly code = 'WAREHOUSE_HELD'
  /** Of the process that can't open it. */
  readonly exitCode = 3
  override readonly blame = 'outage'
  override readonly hint = 'wait for it, stop it, or use another file; `pipe status FILE` works meanwhile'
  constructor(
    readonly display: string,
    readonly pid: number | undefined,
    cause?: unknown,
  ) {
    super(`${display} is held by ${pid === undefined ? 'another process' : `process ${pid}`}`, { cause })
  }
}

/** The machine could not store what was written. What was committed before is there, nothing of this commit is. */
export class WarehouseStorageError extends PipeError {
  readonly code = 'WAREHOUSE_STORAGE'
  override readonly blame = 'outage'
  constructor(
    display: string,
    problem: string,
    override readonly hint: string,
    cause?: unknown,
  ) {
    super(`${display}: ${problem}; nothing of this commit was written`, { cause })
  }
}

/** The file or folder of the warehouse is not there any more, though it is open. What was committed since then is lost. */
export class WarehouseGoneError extends PipeError {
  readonly code = 'WAREHOUSE_GONE'
  override readonly blame = 'outage'
  override readonly hint = 'bring it back, or run again: what is missing is fetched'
  constructor(display: string, how: string) {
    super(`${display} was ${how} while it was open; what was written into it since then is lost`)
  }
}

/** Another writer changed the same rows at the same time. Nothing was written. */
export class WriteConflictError extends PipeError {
  readonly code = 'WRITE_CONFLICT'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'run one pipeline at a time on this warehouse'
  constructor(display: string, cause: unknown) {
    super(`${display}: another writer changed the same rows at the same time`, { cause })
  }
}

/** The connection to the server is gone, and a new one could not be made or was lost again. What was committed before is there. */
export class WarehouseLostError extends PipeError {
  readonly code = 'WAREHOUSE_LOST'
  override readonly retryable = true
  override readonly blame = 'outage'
  constructor(
    display: string,
    problem: string,
    override readonly hint: string,
    cause?: unknown,
  ) {
    super(`${display}: ${problem}`, { cause })
  }
}

/** Somebody else holds rows or a table for longer than `lock_timeout`. Nothing was written. */
export class LockWaitError extends PipeError {
  readonly code = 'LOCK_WAIT'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'end what holds it, or raise lock_timeout in the warehouse URL'
  constructor(
    display: string,
    /** Who holds it, in words, where that could be seen. */
    readonly holder: string | undefined,
    cause?: unknown,
  ) {
    super(`${display}: waited too long for rows or a table that ${holder ?? 'another session'} holds; nothing of this was written`, {
      cause,
    })
  }
}

/** The database refused a statement. */
export class SqlError extends PipeError {
  readonly code = 'SQL_REFUSED'
  override readonly hint: string
  /** The user lacks a right, and `hint` says what gives it. */
  readonly denied: boolean
  constructor(problem: string, options: { readonly hint?: string; readonly denied?: boolean; readonly cause?: unknown } = {}) {
    super(problem, { cause: options.cause })
    this.denied = options.denied ?? false
    this.hint = options.hint ?? 'mend the SQL; names in it are those of `tables` and of the query itself'
  }
}

/** One of several statements failed. Where the warehouse is transactional, nothing of them was kept. */
export class StatementError extends PipeError {
  readonly code = 'STATEMENT_FAILED'
  override readonly hint = 'mend the statement'
  constructor(
    /** Which, from 0. */
    readonly index: number,
    readonly problem: string,
    cause: unknown,
  ) {
    super(`statement ${index + 1}: ${problem}`, { cause })
  }
}

/** The error of a statement among several. What is not the statement's fault (a full disk, another writer) stays as it is. */
export function failedStatement(index: number, error: unknown): unknown {
  if (!(error instanceof SqlError)) return error
  return new StatementError(index, error.denied ? `${error.message}; ${error.hint}` : error.message, error)
}

/** A table does not have the rows that it was given, though no statement failed. Nothing of this commit was written. */
export class RowsNotTakenError extends PipeError {
  readonly code = 'ROWS_NOT_TAKEN'
  override readonly hint =
    'a trigger, a rule or row security of the table keeps rows out or sends them elsewhere: see what it has, and disable it for what pipe writes'
  constructor(table: string, given: number, taken: number) {
    super(
      `${counted(given, 'rows')} given to ${table}, and it has ${taken} of them as they were given: something in the database kept the others out or changed them`,
    )
  }
}

/** A table still has rows that were deleted, though no statement failed. Nothing of this commit was written. */
export class RowsNotDeletedError extends PipeError {
  readonly code = 'ROWS_NOT_DELETED'
  override readonly hint =
    'a trigger or a rule of the table keeps rows from being deleted: see what it has, and disable it for what pipe writes'
  constructor(table: string, left: number) {
    super(`${counted(left, 'rows')} of ${table} still there after being deleted: something in the database kept what was to go`)
  }
}

/** The user of the warehouse may not do what filling a table takes. Nothing was fetched. */
export class RightsError extends PipeError {
  readonly code = 'RIGHTS_MISSING'
  override readonly hint: string
  constructor(display: string, problems: readonly string[], grants: readonly string[]) {
    super(`${display}: ${problems.join('; ')}`)
    this.hint = `have the owner, or a superuser, type:\n    ${grants.join(';\n    ')}`
  }
}

/** A statement ran longer than it may. */
export class SqlTimeoutError extends PipeError {
  readonly code = 'SQL_TIMEOUT'
  override readonly retryable = true
  override readonly hint = 'raise the timeout, or make the query read less'
  constructor(
    /** Undefined where the server's own settings say it. */
    readonly ms: number | undefined,
    cause?: unknown,
  ) {
    super(
      ms === undefined
        ? 'a query took longer than the server allows and was stopped'
        : `a query took more than ${ms / 1000} s and was stopped`,
      { cause },
    )
  }
}

/** What a step would write does not fit its table. Found before anything is fetched. */
export class OutputError extends PipeError {
  readonly code = 'OUTPUT_REFUSED'
  override readonly hint: string
  constructor(where: string, problem: string, hint = 'compare the step with the columns of the table') {
    super(`${where}: ${problem}`)
    this.hint = hint
  }
}

/** The ledger was written by a later version of pipe. Nothing was changed. */
export class LedgerVersionError extends PipeError {
  readonly code = 'LEDGER_VERSION'
  override readonly hint = 'use the version of pipe that wrote it, or a newer one'
  constructor(display: string, found: number, known: number) {
    super(`${display}: its ledger has version ${found}, this pipe knows up to ${known}`)
  }
}

/** Hint for a row that a rule of the table itself does not take. */
export const OWN_RULE = 'the table has this rule by itself: drop it there, or leave such rows out of what the step gives'

/** A table that is to be made is there, and it is not known who made it. */
export class ShadowTakenError extends PipeError {
  readonly code = 'SHADOW_TAKEN'
  override readonly hint: string
  constructor(name: string, cause: unknown) {
    super(`table ${name} is there, and no build of this pipeline made it`, { cause })
    this.hint = `rename it or drop it: DROP TABLE ${name}`
  }
}

/** A table can't be exchanged for a new one as it is. Nothing was changed. */
export class NotSwappableError extends PipeError {
  readonly code = 'NOT_SWAPPABLE'
  constructor(
    table: string,
    problem: string,
    override readonly hint: string,
  ) {
    super(`table ${table} can't be exchanged: ${problem}`)
  }
}
