import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { PipeError, type Program } from '../sdk/index.js'

/** A program could not be started. */
export class ProgramNotStartedError extends PipeError {
  readonly code = 'PROGRAM_NOT_STARTED'
  override readonly hint: string
  constructor(command: string, folder: string, cause: Error & { code?: string }) {
    super(`${command} could not be started in ${folder}: ${cause.message}`, { cause })
    this.hint =
      cause.code === 'ENOENT'
        ? '`pipe validate` says whether the program and its folder are there; PATH may be another one here'
        : 'make it executable, or run it by its interpreter'
  }
}

/** A program in a process group of its own, with a guard that kills the group when this process is gone. */
export interface Group {
  readonly child: ChildProcess
  /** Sends a signal to all of the group. */
  signal(name: 'SIGTERM' | 'SIGKILL'): void
  /** Whether anything of the group is left. */
  alive(): boolean
  /** Ends the guard. */
  release(): void
}

/** Sends a signal to a process group, or finds out with 0 whether it is there; false when it is not. */
export type Kill = (group: number, signal: 'SIGTERM' | 'SIGKILL' | 0) => boolean

/**
 * Waits for the end of its input, which the system closes when this process is gone, be it by `kill -9`, and kills the group. It has a
 * group of its own, so that Ctrl-C in a terminal does not end it first.
 */
const GUARD = 'read -r group || exit 0; while read -r _; do :; done; kill -KILL "-$group"'

/** Starts it. Resolves when it runs. @throws {ProgramNotStartedError} */
export async function startGroup(
  { command, args }: Pick<Program, 'command' | 'args'>,
  { folder, env, kill }: { readonly folder: string; readonly env: Readonly<Record<string, string | undefined>>; readonly kill: Kill },
): Promise<Group> {
  const guard = spawn('/bin/sh', ['-c', GUARD], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  // Without a guard the program is killed in every way but one, so that it is worth running.
  for (const each of [guard, guard.stdin]) each.on('error', () => undefined)
  const release = () => void guard.kill('SIGKILL')
  try {
    const child = spawn(command, [...args], { cwd: folder, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    if (child.pid !== undefined) guard.stdin.write(`${child.pid}\n`)
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    // One that runs has a number, which is that of its group.
    const group = child.pid as number
    return { child, signal: (name) => void kill(group, name), alive: () => kill(group, 0) && !isDead(group), release }
  } catch (error) {
    release()
    // Node throws errors of the system and of its arguments.
    throw new ProgramNotStartedError(command, folder, error as Error)
  }
}

/**
 * Whether all that is left of a group has ended and only was not collected by its parent, which the first process of a container may never
 * do. Told by `/proc`, where there is one.
 */
function isDead(group: number): boolean {
  try {
    const states = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (stateIn(name, group) ?? []) : []))
    return states.every((state) => state === 'Z' || state === 'X')
  } catch {
    return false
  }
}

/** The state of a process that is of the group. */
function stateIn(pid: string, group: number): string | undefined {
  try {
    // The name of the program, in brackets, may hold anything.
    const [state, , of] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    return Number(of) === group ? state : undefined
  } catch {
    // It has just ended.
    return undefined
  }
}
