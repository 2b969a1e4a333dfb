import type { Clock } from '../sdk/index.js'
import { dueAt } from './due.js'
import { lastTime, nextTimes, type Schedule } from './times.js'

export interface KeepOptions {
  readonly schedule: Schedule
  /** When the pipeline ran last, milliseconds UTC: what was due since then was missed. Undefined: nothing was. */
  readonly since: number | undefined
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Whether a run of the pipeline is under way, whoever began it. */
  isRunning(): Promise<boolean>
  /** Runs the pipeline. Resolves when that run has ended: no other one is begun before. */
  start(due: { readonly at: number; readonly missed: number }): Promise<unknown>
  /** Told of times that no run makes up for. */
  skipped(times: number): void
  /** Told when it could not be found out whether a run is under way, or `start` failed. The schedule goes on. */
  failed(error: unknown): void
}

/** Longer is not slept at once: a clock may be set, and a machine may have slept. */
const LOOK_MS = 30_000

/** Runs a pipeline at its times until the signal is aborted, never twice at once. Resolves when a run that it began has ended. */
export async function keepSchedule(options: KeepOptions): Promise<void> {
  const { schedule, clock, signal } = options
  let since = options.since ?? clock.now()
  while (!signal.aborted) {
    const began = await look()
    if (!began) await clock.sleep(pauseMs(), signal).catch(() => undefined)
  }

  /** Whether a run was begun, and has ended. */
  async function look(): Promise<boolean> {
    const now = clock.now()
    try {
      if ((lastTime(schedule, now) ?? since) <= since) return false
      const due = dueAt(schedule, { now, since, running: await options.isRunning() })
      since = due.since
      if (due.start === undefined) {
        if (due.missed > 0) options.skipped(due.missed)
        return false
      }
      if (signal.aborted) return false
      await options.start({ at: due.start, missed: due.missed })
      return true
    } catch (error) {
      options.failed(error)
      return false
    }
  }

  function pauseMs(): number {
    const now = clock.now()
    const [next = now + LOOK_MS] = nextTimes(schedule, now, 1)
    return Math.min(LOOK_MS, Math.max(1, next - now))
  }
}
