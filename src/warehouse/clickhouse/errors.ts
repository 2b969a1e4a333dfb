import { limitFault, PipeError } from '../../sdk/index.js'
import { SqlError, SqlTimeoutError, WarehouseHeldError, WarehouseOpenError, WarehouseStorageError } from '../errors.js'

/** The server did not answer, or not in a way that says what became of the statement, however often it was asked. */
export class ServerUnreachableError extends PipeError {
  readonly code = 'SERVER_UNREACHABLE'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'check that the server runs and can be reached; the next run goes on from the last checkpoint'
  constructor(display: string, problem: string, attempts: number, cause: unknown) {
    super(`${display}: ${problem}${attempts > 1 ? `, ${attempts} times in a row` : ''}`, { cause })
  }
}

/** A table of a swap that was begun is gone, so that it can't be ended. */
export class SwapBrokenError extends PipeError {
  readonly code = 'SWAP_BROKEN'
  override readonly hint = 'somebody dropped or renamed it: bring it back, or `pipe reset` the step that fills it'
  constructor(display: string, table: string) {
    super(`${display}: table ${table} can't be exchanged: what is to take its place is not there`)
  }
}

/** A swap of tables was begun and has not ended, so some tables are new and others old. */
export class SwapUnfinishedError extends PipeError {
  readonly code = 'SWAP_UNFINISHED'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = '`pipe run FILE` ends it before it does anything else'
  constructor(display: string, steps: readonly string[]) {
    super(`${display}: a swap of ${steps.join(', ')} was begun and has not ended`)
  }
}

/** The optional package chdb is not there, or does not load on this machine. */
export class ChdbMissingError extends PipeError {
  readonly code = 'CHDB_MISSING'
  override readonly hint: string
  constructor(display: string, cause: unknown) {
    const missing = codeOf(cause) === 'MODULE_NOT_FOUND' || codeOf(cause) === 'ERR_MODULE_NOT_FOUND'
    super(
      `${display}: ${missing ? 'the package chdb is not installed' : `the package chdb does not load here (${firstLine(messageOf(cause))})`}`,
      {
        cause,
      },
    )
    this.hint = missing
      ? 'npm install -E chdb@3.4.0 (543 MB; Linux with glibc, or macOS), or name a server: clickhouse://user:password@host:8123/db'
      : 'chdb runs on Linux with glibc and on macOS; elsewhere name a server: clickhouse://user:password@host:8123/db'
  }
}

/** ClickHouse's numbers of errors that pass by themselves, or after which nobody knows whether the statement ran. */
const PASSING: Readonly<Record<number, string>> = {
  3: 'the connection ended early',
  159: 'it took too long',
  202: 'too many queries run at once',
  209: 'a socket timed out',
  210: 'a connection failed',
  242: 'the table is read-only for now',
  252: 'too many parts: merges are behind',
  285: 'too few replicas are alive',
  286: 'too few replicas confirmed it',
  289: 'a replica is behind',
  319: 'the outcome of an insert is unknown',
  394: 'it was cancelled',
  425: 'a system call failed',
  999: 'Keeper did not answer',
  1000: 'the network failed',
}

/** Whether trying the very same again may help: why, in words, or undefined. */
export function passing(error: unknown): string | undefined {
  const number = numberOf(error)
  if (number !== undefined) return PASSING[number]
  const code = codeOf(error)
  const text = messageOf(error)
  if (code !== undefined && /^(?:ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOST|ENET|ERR_STREAM_PREMATURE|HPE_|UND_ERR)/.test(code))
    return firstLine(text)
  if (/timeout error|socket hang up|aborted|premature close|bad gateway|service unavailable|gateway time-?out/i.test(text))
    return firstLine(text)
  return undefined
}

/** What went wrong when a server or a folder was opened, in words. */
export function openError(display: string, error: unknown): Error {
  if (error instanceof PipeError) return error
  const text = messageOf(error)
  const limit = isLocal(display) ? limitFault(text) : undefined
  if (limit) return new WarehouseOpenError(display, limit.problem, limit.hint, error)
  if (/cannot lock file|another server instance|only one active data directory/i.test(text))
    return new WarehouseHeldError(display, undefined, error)
  const number = numberOf(error)
  if (number === 516 || number === 192 || number === 193 || number === 194 || /\b(?:401|403)\b/.test(text))
    return new WarehouseOpenError(
      display,
      'user or password is wrong',
      'check both in the URL; signs like @ and / are written %40 and %2F',
      error,
    )
  if (number === 81)
    return new WarehouseOpenError(
      display,
      'there is no such database',
      'CREATE DATABASE … on the server, or name another one in the URL',
      error,
    )
  if (number === 497) return new WarehouseOpenError(display, firstLine(text), grantHint(text), error)
  if (/permission denied|read-only file system|EACCES|EROFS/i.test(text))
    return new WarehouseOpenError(display, 'no permission to open it', 'check the owner of the folder', error)
  if (/certificate|self.signed|SSL|TLS|EPROTO|wrong version number/i.test(text))
    return new WarehouseOpenError(
      display,
      `no secure connection (${firstLine(text)})`,
      'clickhouses:// is for TLS (port 8443), clickhouse:// for none (8123)',
      error,
    )
  const why = passing(error)
  if (why !== undefined)
    return new WarehouseOpenError(
      display,
      `can't be reached (${why})`,
      'check host and port: the HTTP port is meant, 8123 or 8443 with TLS',
      error,
    )
  return new WarehouseOpenError(display, firstLine(text), 'check the URL, or the path', error)
}

/** What went wrong in a statement, in words. Our own errors pass. */
export function statementError(display: string, error: unknown, timeoutMs?: number): Error {
  if (error instanceof PipeError) return error
  const number = numberOf(error)
  const text = messageOf(error)
  const limit = isLocal(display) && number !== 241 ? limitFault(text) : undefined
  if (limit) return new WarehouseStorageError(display, limit.problem, limit.hint, error)
  if (number === 159 && timeoutMs !== undefined) return new SqlTimeoutError(timeoutMs)
  if (number === 243 || /no space left|disk quota/i.test(text))
    return new WarehouseStorageError(display, 'no space left on the disk', 'free some space and run again: it goes on from here', error)
  if (number === 241 || number === 173)
    return new WarehouseStorageError(
      display,
      firstLine(text),
      `make the query read less, or ${isLocal(display) ? 'run it where more memory is' : 'raise max_memory_usage of its user on the server'}`,
      error,
    )
  const why = passing(error)
  if (why !== undefined) return new ServerUnreachableError(display, why, 1, error)
  if (number === 497)
    return new SqlError(`the database refused the SQL: ${refused(text)}`, { cause: error, hint: grantHint(text), denied: true })
  if (number === 164) return new SqlError('a query must be a SELECT', { cause: error, hint: 'only steps write, through what they yield' })
  if (number !== undefined || /^Code: \d+/.test(text))
    return new SqlError(`the database refused the SQL: ${refused(text)}`, { cause: error })
  return error instanceof Error ? error : new Error(text)
}

/** Whether ClickHouse runs in this process, which limits of the shell hold for. */
const isLocal = (display: string): boolean => display.startsWith('chdb:')

/** The number of a ClickHouse error, of the HTTP client's and of chdb's. */
function numberOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { code, clickhouseCode } = error as { code?: unknown; clickhouseCode?: unknown }
  if (typeof clickhouseCode === 'number' && clickhouseCode > 0) return clickhouseCode
  if (typeof code === 'number') return code
  if (typeof code === 'string' && /^\d+$/.test(code)) return Number(code)
  const match = /^Code: (\d+)\. DB::Exception/.exec(messageOf(error))
  return match ? Number(match[1]) : undefined
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

/** What a right that lacks is given by. */
function grantHint(text: string): string {
  const [, user = '', grant = ''] = /(?:^|Exception: )(\S+): Not enough privileges.*? the grant (.+? ON [^\s.]+\.[^\s.]+)/s.exec(text) ?? []
  return grant === ''
    ? 'grant the user what it needs: SELECT, INSERT, ALTER, CREATE TABLE, DROP TABLE'
    : `have an administrator type: GRANT ${grant} TO ${user}`
}

/** Without numbers, the query itself and the version, which say nothing to people. */
function refused(text: string): string {
  return firstLine(text.replace(/^(?:Code: \d+\. DB::Exception: )+/, '').replace(/(?:\. )?In (?:scope|query) [^]*$/, ''))
}

function firstLine(text: string): string {
  const line = text
    .replace(/ \(version [^)]*\)/g, '')
    .split(/\n\s*\n/)[0]
    ?.replace(/\s+/g, ' ')
    .trim()
  return (line ?? '').slice(0, 400)
}
