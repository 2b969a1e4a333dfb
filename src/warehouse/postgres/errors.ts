import { codeOf, serverFault } from '../../postgres/faults.js'
import { isPipeError } from '../../sdk/index.js'
import {
  LockWaitError,
  OWN_RULE,
  SqlError,
  WarehouseLostError,
  WarehouseOpenError,
  WarehouseStorageError,
  WriteConflictError,
} from '../errors.js'

/** What went wrong when a database was opened, in words. */
export function openError(display: string, error: unknown): Error {
  const fault = serverFault(error)
  if (isPipeError(error)) return error
  if (fault) return new WarehouseOpenError(display, fault.problem, fault.hint, error)
  if (codeOf(error) === '42501') return new WarehouseOpenError(display, messageOf(error), rightHint(error), error)
  return sqlState(error) ? new WarehouseOpenError(display, messageOf(error), 'check the warehouse URL', error) : asError(error)
}

/** The SQL that an error speaks of. */
export interface FailedSql {
  readonly text: string
  /** How much of the beginning is ours. */
  readonly prefix?: number
}

/** What went wrong in a statement or a commit, in words. Our own errors pass. */
export function statementError(display: string, error: unknown, sql?: FailedSql): Error {
  if (isPipeError(error)) return error
  const fault = serverFault(error)
  if (fault?.kind === 'lost' || fault?.kind === 'busy') return new WarehouseLostError(display, fault.problem, fault.hint, error)
  switch (codeOf(error)) {
    case '53100':
      return new WarehouseStorageError(display, 'no space left on its disk', 'free some space and run again: it goes on from here', error)
    case '53200':
      return new WarehouseStorageError(display, 'the server is out of memory', 'make the query read less, or give the server more', error)
    case '58030':
      return new WarehouseStorageError(display, messageOf(error), 'check the disk of the server, and run again', error)
    case '40001':
    case '40P01':
      return new WriteConflictError(display, error)
    case '55P03':
      return new LockWaitError(display, undefined, error)
    case '42501':
      return new SqlError(`the database refused the SQL: ${messageOf(error)}`, { cause: error, hint: rightHint(error), denied: true })
  }
  if (sqlState(error)) {
    const hint = codeOf(error).startsWith('23') ? OWN_RULE : undefined
    return new SqlError(`the database refused the SQL: ${messageOf(error)}${detailOf(error)}${lineOf(error, sql)}`, { cause: error, hint })
  }
  return asError(error)
}

/** Whether the server itself only reads, and not just this query. */
export function onlyReads(error: unknown): boolean {
  return codeOf(error) === '25006'
}

const sqlState = (error: unknown): boolean => /^[0-9A-Z]{5}$/.test(codeOf(error))
const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** What a right that lacks is given by. */
function rightHint(error: unknown): string {
  const { hint } = error as { readonly hint?: string }
  return hint === undefined ? 'have the right granted to the user of the URL' : `have its owner, or a superuser, type: ${hint}`
}

function detailOf(error: unknown): string {
  const { detail } = error as { readonly detail?: string }
  return detail === undefined ? '' : `; ${detail.length > 200 ? `${detail.slice(0, 199)}…` : detail}`
}

/** `(line 2: nope FROM blocks)`: where Postgres points at. */
function lineOf(error: unknown, sql: FailedSql | undefined): string {
  const position = Number((error as { readonly position?: string }).position)
  if (!sql || !(position > 0)) return ''
  const { text, prefix = 0 } = sql
  // Postgres counts characters, not UTF-16 halves, from 1.
  const start = [...text].slice(0, position - 1).join('').length - prefix
  if (start < 0) return ''
  const own = text.slice(prefix).trimEnd()
  const line = own.slice(0, start).split('\n').length
  return ` (line ${line}: ${own.split('\n')[line - 1]?.trim().slice(0, 120)})`
}
