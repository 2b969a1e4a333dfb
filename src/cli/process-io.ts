import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { hostname } from 'node:os'
import { inThreads } from '../sdk/native.js'
import { StopSignal, type StopName } from '../session/surroundings.js'
import type { Io } from './io.js'
import { systemClock } from './system-clock.js'

/** What cuts off what is under way. */
type CutName = Exclude<StopName, 'SIGUSR2'>

/** How long a process that was asked to stop may take for its last commits, in milliseconds. */
const graceMs: Readonly<Record<CutName, number>> = { SIGINT: 30_000, SIGTERM: 10_000, SIGHUP: 10_000 }

/**
 * The outside world of this process. Takes over its signals, so it is made once. `lost` is told once when what is printed
 * can't be written any more (a full disk), which ends no work.
 */
export function processIo(grace = graceMs, lost: () => void = () => undefined): Io {
  const { env, stdout, stderr } = process
  let failed = false
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // `pipe … | head` wants no more.
      if (error.code === 'EPIPE' || failed) return
      failed = true
      lost()
      if (stream === stdout) stderr.write(`warning: the output can't be written (${error.message}); the work goes on without it\n`)
    })
  }
  const cleanups = new Set<() => void>()
  const cleanUp = (): void => {
    for (const cleanup of cleanups) cleanup()
    cleanups.clear()
  }
  process.once('exit', cleanUp)
  const isTTY = stdout.isTTY === true && env.TERM !== 'dumb' && !env.CI
  return {
    stdout,
    stderr,
    env,
    cwd: process.cwd(),
    signal: stopOnSignals(grace, cleanUp),
    drain: drainOnSignal(),
    isTTY,
    color: hasColor(env, isTTY),
    get columns() {
      return stdout.columns || 80
    },
    pid: process.pid,
    execPath: process.execPath,
    host: hostname(),
    alive: (pid) => reaches(pid, 0),
    kill: (group, signal) => reaches(-group, signal),
    clock: systemClock,
    random: Math.random,
    newId: () => randomUUID(),
    atExit: (cleanup) => {
      cleanups.add(cleanup)
      return () => cleanups.delete(cleanup)
    },
  }
}

function reaches(pid: number, signal: 'SIGTERM' | 'SIGKILL' | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    // It is there and belongs to another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Resolves when everything written so far has left the process, or can't any more. */
export function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) resolve()
    else stream.write('', () => resolve())
  })
}

/** NO_COLOR and FORCE_COLOR decide when they are set to anything, as https://no-color.org says; else the terminal. */
function hasColor(env: Io['env'], isTTY: boolean): boolean {
  if (env.NO_COLOR) return false
  return env.FORCE_COLOR ? env.FORCE_COLOR !== '0' : isTTY
}

/** The first signal asks, the second ends the process at once, as does the end of the grace time. */
function stopOnSignals(grace: Readonly<Record<CutName, number>>, cleanUp: () => void): AbortSignal {
  const controller = new AbortController()
  // One for every wait of the command.
  setMaxListeners(0, controller.signal)
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      const stop = new StopSignal(name)
      const leave = (): never => endBy(stop, cleanUp)
      if (controller.signal.aborted) leave()
      controller.abort(stop)
      setTimeout(leave, grace[name]).unref()
    })
  }
  return controller.signal
}

/** Takes as long as what is under way does. A signal that cuts it off may follow. */
function drainOnSignal(): AbortSignal {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  process.on('SIGUSR2', () => controller.abort(new StopSignal('SIGUSR2')))
  return controller.signal
}

/**
 * Ends the process. `process.exit` would wait for threads that are inside of a statement of a database, and would take down what
 * they work with; the signal itself does not, and shells read it as the same code.
 */
function endBy({ signal, exitCode }: StopSignal, cleanUp: () => void): never {
  if (inThreads()) {
    cleanUp()
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  }
  // Also the first process of a container, which is not ended by a signal of its own.
  return process.exit(exitCode)
}
