import type { Clock, Random } from '../sdk/index.js'

/** The outside world as a session sees it. The command line, a server and a worker each bring theirs; tests make their own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The working folder, absolute. Relative paths of a user are relative to it. */
  readonly cwd: string
  /** Aborted when the work is to end, with a `StopSignal` as its reason where a signal asked for it. */
  readonly signal: AbortSignal
  /** Aborted, with a `StopSignal` as its reason, when the work is to end once what is under way is done. Left out: never. */
  readonly drain?: AbortSignal | undefined
  readonly pid: number
  readonly host: string
  /** Whether a process of this machine lives. */
  alive(pid: number): boolean
  /** Sends a signal to a process group of this machine, or finds out with 0 whether it is there; false when it is not. */
  kill(group: number, signal: 'SIGTERM' | 'SIGKILL' | 0): boolean
  readonly clock: Clock
  readonly random: Random
  /** A name that nothing else has, for a run. */
  newId(): string
}

/** What takes the place of the world outside, for a demo. */
export interface World {
  /** URLs of nodes, for every chain. */
  readonly chain?: readonly string[]
  /** URL of a REST API, for every source. */
  readonly source?: string
  /** What `now` is, in milliseconds UTC, where this world has an end: a second run then finds nothing new. */
  readonly now?: number
}

/** Whether something stands in for what a pipeline reads. */
export const isDemo = ({ chain, source }: World): boolean => chain !== undefined || source !== undefined

/** SIGUSR2 asks for units that are under way to be finished; the others cut them off behind their last commit. */
export type StopName = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGUSR2'

/** Why `Surroundings.signal` or `drain` is aborted: somebody asked the process to stop. */
export class StopSignal extends Error {
  override readonly name = 'StopSignal'
  constructor(readonly signal: StopName) {
    super(`stopped by ${signal}`)
  }
  /** What the shell expects of a process that was stopped so. */
  get exitCode(): number {
    return { SIGHUP: 129, SIGINT: 130, SIGUSR2: 140, SIGTERM: 143 }[this.signal]
  }
}
