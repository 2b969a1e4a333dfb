import type { Writable } from 'node:stream'
import type { Clock, Random } from '../sdk/index.js'

/** The outside world as a command sees it. Made once by `main.ts`; tests make their own. */
export interface Io {
  /** What was asked for: results, reports, `--json`. */
  readonly stdout: Writable
  /** What people should know beside it: warnings and errors. */
  readonly stderr: Writable
  readonly env: Readonly<Record<string, string | undefined>>
  /** The working folder, absolute. Relative paths of a user are relative to it. */
  readonly cwd: string
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP, with a `StopSignal` as its reason. The second ends the process at once. */
  readonly signal: AbortSignal
  /** Whether stdout is a terminal whose lines may be redrawn. */
  readonly isTTY: boolean
  /** Whether stdout takes colours (`NO_COLOR`, `FORCE_COLOR`, `TERM=dumb`). */
  readonly color: boolean
  /** Width of the terminal in characters, 80 when it is none. */
  readonly columns: number
  readonly pid: number
  readonly host: string
  /** The Node.js that runs us. */
  readonly execPath: string
  /** Whether a process of this machine lives. */
  alive(pid: number): boolean
  readonly clock: Clock
  readonly random: Random
  /**
   * Registers a last, synchronous clean-up (kill a child process), run however the process ends, short of `kill -9`.
   * Calling the result takes it back.
   */
  atExit(cleanup: () => void): () => void
}

export type StopName = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

/** The reason of `Io.signal`: somebody asked the process to stop. */
export class StopSignal extends Error {
  override readonly name = 'StopSignal'
  constructor(readonly signal: StopName) {
    super(`stopped by ${signal}`)
  }
  /** What the shell expects of a process that was stopped so. */
  get exitCode(): number {
    return { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }[this.signal]
  }
}

/** The exit codes of every command. 130 and 143 come from `StopSignal`. */
export const Exit = { done: 0, incomplete: 1, notStarted: 2, held: 3, workToDo: 4 } as const

/** An error may carry the exit code that it stands for (3: held by another run). */
export function exitCodeOf(error: unknown): number {
  return error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number' ? error.exitCode : Exit.notStarted
}
