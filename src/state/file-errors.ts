import { PipeError } from '../sdk/errors.js'

/** The state file or a lock file can't be used. Nothing of the warehouse is touched by it. */
export class StateFileError extends PipeError {
  readonly code = 'STATE_FILE'
  override readonly blame = 'outage'
  override readonly hint: string
  constructor(
    readonly path: string,
    problem: string,
    hint: string,
    cause?: unknown,
  ) {
    super(`${path}: ${problem}`, { cause })
    this.hint = hint
  }
}

/** The state file was written by a later version of pipe. It is left as it is. */
export class StateNewerError extends PipeError {
  readonly code = 'STATE_NEWER'
  override readonly hint =
    'run the version of pipe that wrote it, or choose another file with --state; what is done is in the warehouse, not here'
  constructor(
    readonly path: string,
    readonly unknown: readonly string[],
  ) {
    super(`${path} was written by a newer version of pipe (it has ${unknown.join(', ')})`)
  }
}

/** Says in words what the file system or SQLite objected to; other errors come back as they are. */
export function explainFileError(path: string, error: unknown): unknown {
  if (error instanceof PipeError || !(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error
  const known = problems[primaryCode(error.code, error.message)]
  return known ? new StateFileError(path, known[0], known[1], error) : error
}

/** `SQLITE_BUSY` of `SQLITE_BUSY_SNAPSHOT`. libsql gives no code when it can't open a file. */
function primaryCode(code: string, message: string): string {
  if (code === '' && message.startsWith('ConnectionFailed')) return 'SQLITE_CANTOPEN'
  return /^SQLITE_[A-Z]+/.exec(code)?.[0] ?? code
}

const folder = 'make the folder writable, or choose another place'
const space = 'free some space and run again; what is committed is kept'
const other = 'give the path of a file that pipe may write'

const problems: Readonly<Record<string, readonly [problem: string, hint: string]>> = {
  EACCES: ['permission denied', folder],
  EPERM: ['permission denied', folder],
  EROFS: ['the file system is read-only', folder],
  ENOENT: ['the folder does not exist and can not be made', folder],
  ENOTDIR: ['a part of the path is a file, not a folder', other],
  EEXIST: ['a part of the path is a file, not a folder', other],
  EISDIR: ['is a folder', other],
  ENOSPC: ['no space left on the device', space],
  EDQUOT: ['the disk quota is used up', space],
  ENAMETOOLONG: ['the path is too long', other],
  SQLITE_FULL: ['no space left on the device', space],
  EMFILE: ['this process may not open more files (`ulimit -n`)', 'raise it before the run: ulimit -n 4096'],
  EFBIG: ['a file may not get larger (`ulimit -f`)', 'raise it before the run: ulimit -f unlimited'],
  SQLITE_CANTOPEN: ['can not be opened or created', `${folder}; a low \`ulimit -n\` keeps it from that, too`],
  SQLITE_READONLY: ['is read-only', folder],
  SQLITE_PERM: ['permission denied', folder],
  SQLITE_NOTADB: ['is not a state file of pipe', 'choose another file with --state, or move this one away'],
  SQLITE_CORRUPT: ['is damaged', 'move it away: a new one is made, and what is done is in the warehouse, not here'],
  SQLITE_IOERR: ['can not be read or written', 'check the disk, and `ulimit -f`; a network folder may not support the locks of SQLite'],
  SQLITE_BUSY: ['is locked by another program', 'close the program that has it open'],
}
