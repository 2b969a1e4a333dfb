/**
 * An error we expect. Its message says what failed and where, with values and without secrets; its
 * hint says what to do next. Anything else that is thrown is a bug and keeps its stack.
 */
export abstract class PipeError extends Error {
  /** Stable name for machines, SCREAMING_SNAKE. Documented in docs/errors.md. */
  abstract readonly code: string
  /** Whether the same work may succeed on another attempt. */
  readonly retryable: boolean = false
  /**
   * Whose fault it is. `outage`: an endpoint, a quota, a login or the machine, so the unit is `failed`, keeps its
   * attempts and runs again next time. `own`: the work itself, so attempts are used up and it ends in quarantine.
   */
  readonly blame: 'outage' | 'own' = 'own'
  /** What to do next, one line. */
  readonly hint?: string
  /** Lines that belong below the message, such as what a program said last. */
  readonly detail?: string

  override get name(): string {
    return this.constructor.name
  }
}

/** True for our own errors, also for those of another copy of this package (a plugin's). */
export function isPipeError(error: unknown): error is PipeError {
  return error instanceof Error && 'code' in error && 'retryable' in error && 'blame' in error
}

/**
 * The error with its place in front of its message, where it is one that we expect and the work is to blame: what an outage
 * says is true wherever it is met.
 */
export function placed(place: string | undefined, error: unknown): unknown {
  if (place !== undefined && isPipeError(error) && error.blame === 'own') error.message = `${place}: ${error.message}`
  return error
}

/** A unit was opened again since: this writer can no longer commit. Nothing was written. */
export class UnitTakenError extends PipeError {
  readonly code = 'UNIT_TAKEN'
  override readonly blame = 'outage'
  override readonly hint = 'another worker does this unit now; nothing is lost'
  constructor(readonly unit: string) {
    super(`unit ${unit} was taken over by another worker`)
  }
}

/**
 * Another run took the pipeline since: a killed lock session, a paused machine. Nothing was written, and nothing more can be: each
 * commit looks who holds the pipeline, in the transaction of its rows.
 */
export class PipelineTakenError extends PipeError {
  readonly code = 'PIPELINE_TAKEN'
  /** As of one that did not get the lock. */
  readonly exitCode = 3
  override readonly blame = 'outage'
  override readonly hint = 'let the other one end; run it again then, and it goes on from what is committed'
  constructor(
    readonly pipeline: string,
    /** Undefined when nobody says who it is. */
    readonly holder: { readonly pid: number; readonly host: string; readonly since: number } | undefined,
  ) {
    super(
      `another run took pipeline ${pipeline}${holder ? `: pid ${holder.pid} on ${holder.host}, since ${new Date(holder.since).toISOString()}` : ''}; this one stopped and writes nothing more`,
    )
  }
}

/** A value does not fit the column it is meant for. Thrown before anything is written. */
export class ValueError extends PipeError {
  readonly code = 'VALUE_REFUSED'
  constructor(
    readonly where: string,
    readonly problem: string,
    override readonly hint = 'compare the column type in `tables` with what the source sends',
  ) {
    super(`${where}: ${problem}`)
  }
}

/**
 * Two different rows have one key. The row that the table has, or that was given first, stays; of the unit that brings the other
 * one nothing of this commit was written.
 */
export class KeyConflictError extends PipeError {
  readonly code = 'KEY_CONFLICT'
  override readonly hint =
    'add to `key` of the table the columns that tell such rows apart; where the row that is read last shall stay, write `on_conflict: last` into the table'
  constructor(
    /** The row as messages name it: table and key. */
    readonly row: string,
    /** In what the two differ, and where each of them comes from. */
    readonly problem: string,
  ) {
    super(`${row}: two different rows have this key: ${problem}`)
  }
}

/** A step did not do what its unit asked for. The unit is not done. */
export class UnitIncompleteError extends PipeError {
  readonly code = 'UNIT_INCOMPLETE'
  override readonly hint = 'a step must cover all of its unit or say which keys failed'
  constructor(
    readonly unit: string,
    readonly missing: string,
  ) {
    super(`unit ${unit} ended without ${missing}`)
  }
}

/** The file or server of the warehouse could not be opened. Nothing was read or written. */
export class WarehouseOpenError extends PipeError {
  readonly code = 'WAREHOUSE_OPEN'
  override readonly blame = 'outage'
  constructor(
    readonly display: string,
    problem: string,
    override readonly hint: string,
    cause?: unknown,
  ) {
    super(`${display}: ${problem}`, { cause })
  }
}

/** What a table was built from changed before it was put in place. Nothing was exchanged. */
export class InputsChangedError extends PipeError {
  readonly code = 'INPUTS_CHANGED'
  override readonly blame = 'outage'
  override readonly hint = 'run again: it is built anew from what is there then'
  constructor(unit: string) {
    super(`unit ${unit}: its inputs changed while it was built, so nothing of it was put in place`)
  }
}
