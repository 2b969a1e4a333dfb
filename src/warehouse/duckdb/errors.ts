import { limitFault, PipeError } from '../../sdk/index.js'
import { SqlError, WarehouseHeldError, WarehouseOpenError, WarehouseStorageError, WriteConflictError } from '../errors.js'

/** What went wrong when a file was opened, in words. */
export function openError(display: string, error: unknown): Error {
  const text = message(error)
  if (/could not set lock|conflicting lock/i.test(text)) {
    const pid = /\(PID (\d+)\)/.exec(text)?.[1]
    return new WarehouseHeldError(display, pid === undefined ? undefined : Number(pid), error)
  }
  const limit = limitFault(text)
  if (limit) return new WarehouseOpenError(display, limit.problem, limit.hint, error)
  const [problem, hint] = openProblem(text)
  return new WarehouseOpenError(display, problem, hint, error)
}

function openProblem(text: string): readonly [problem: string, hint: string] {
  if (/is a directory/i.test(text)) return ['is a folder, not a file', 'name a file in it']
  if (/permission denied|read-only file system/i.test(text))
    return ['no permission to open it', 'check the owner of the file and its folder']
  if (/no space left|disk quota/i.test(text)) return ['no space left on the disk', 'free some space']
  if (/not a valid duckdb database file|sqlite|external extensions/i.test(text))
    return ['is not a DuckDB file', 'name another file, or move this one away']
  if (/not enough bytes|could not read enough|checksum|corrupt/i.test(text))
    return ['is damaged: it ends too early or does not add up', 'restore it from a backup, or move it away and run again']
  if (/version/i.test(text) && /storage|newer|older/i.test(text))
    return ['was written by another version of DuckDB', 'open it with that version, or move it away and run again']
  if (/different configuration/i.test(text)) return ['is open in this process in another mode', 'close it there first']
  return [firstParagraph(text), 'check the path']
}

/** What went wrong in a statement or a commit, in words. Our own errors pass. */
export function statementError(display: string, error: unknown, what = 'the database refused the SQL'): Error {
  if (error instanceof PipeError) return error
  const text = message(error)
  const limit = limitFault(text)
  if (limit) return new WarehouseStorageError(display, limit.problem, limit.hint, error)
  if (/no space left|disk quota/i.test(text)) {
    return new WarehouseStorageError(display, 'no space left on the disk', 'free some space and run again: it goes on from here', error)
  }
  if (/database has been invalidated/i.test(text))
    return new WarehouseStorageError(display, 'the file had to be closed after a failed write', 'run again', error)
  if (/^IO Error/.test(text)) return new WarehouseStorageError(display, firstParagraph(text), 'check the disk, and run again', error)
  if (outOfMemory(error))
    return new WarehouseStorageError(
      display,
      firstParagraph(text),
      `make the query read less, or give DuckDB more memory in \`warehouse\`: ${display.startsWith('duckdb:') ? display : 'duckdb:PATH'}?memory_limit=4GB (and temp_directory=FOLDER for what it puts aside); threads=1 takes less`,
      error,
    )
  if (/^TransactionContext Error: (?:.*conflict|Failed to commit: .*(?:PRIMARY KEY|unique))/is.test(text))
    return new WriteConflictError(display, error)
  if (/^Permission Error/.test(text))
    return new SqlError(`${what}: it reaches for a file, which pipelines may not (${firstParagraph(text)})`, {
      cause: error,
      hint: 'load files with a step',
    })
  if (/^(?:[A-Z][A-Za-z]+ ){1,3}Error:|^INTERRUPT Error/i.test(text))
    return new SqlError(`${what}: ${firstParagraph(text)}${line(text)}`, { cause: error })
  return error instanceof Error ? error : new Error(text)
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** `(line 3: … FROM nope)`: where DuckDB points at, without its drawing. */
function line(text: string): string {
  const match = /^LINE (\d+): (.*)$/m.exec(text)
  return match ? ` (line ${match[1]}: ${match[2]?.trim().slice(0, 120)})` : ''
}

/** Of a commit, the same words come in another error. */
const OUT_OF_MEMORY =
  /^(?:Out of Memory Error|TransactionContext Error: Failed to commit: .*\bof size [\d.]+ \w+ \([\d.]+ \w+\/[\d.]+ \w+ used\))/is

/** Whether DuckDB lacked memory, or room for what it put aside. */
export function outOfMemory(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (OUT_OF_MEMORY.test(cause.message)) return true
  return false
}

/** Without the drawing of a place in the SQL, and without advice to SET what a pipeline can't. */
function firstParagraph(text: string): string {
  return (text.split(/\n\n(?:LINE|Possible solutions)/)[0] ?? text).replace(/\s*\n\s*/g, '; ').trim()
}
