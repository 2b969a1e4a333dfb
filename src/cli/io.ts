import type { Writable } from 'node:stream'
import type { Surroundings } from '../session/surroundings.js'

/** The outside world as a command sees it. Made once by `main.ts`; tests make their own. */
export interface Io extends Surroundings {
  /** What was asked for: results, reports, `--json`. */
  readonly stdout: Writable
  /** What people should know beside it: warnings and errors. */
  readonly stderr: Writable
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP, with a `StopSignal` as its reason. The second ends the process at once. */
  readonly signal: AbortSignal
  /** Whether stdout is a terminal whose lines may be redrawn. */
  readonly isTTY: boolean
  /** Whether stdout takes colours (`NO_COLOR`, `FORCE_COLOR`, `TERM=dumb`). */
  readonly color: boolean
  /** Width of the terminal in characters as it is now, 80 when it is none. */
  readonly columns: number
  /** The Node.js that runs us. */
  readonly execPath: string
  /**
   * Registers a last, synchronous clean-up (kill a child process), run however the process ends, short of `kill -9`.
   * Calling the result takes it back.
   */
  atExit(cleanup: () => void): () => void
}

/** The exit codes of every command. Those above 128 come from `StopSignal`. */
export const Exit = { done: 0, incomplete: 1, notStarted: 2, held: 3, workToDo: 4 } as const

/** An error may carry the exit code that it stands for (3: held by another run). */
export function exitCodeOf(error: unknown): number {
  return error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number' ? error.exitCode : Exit.notStarted
}
