import { countTimes, lastTime, type Schedule } from './times.js'

/** How a schedule stands at a moment. Times are milliseconds UTC. */
export interface Moment {
  readonly now: number
  /** All times up to this one are dealt with. */
  readonly since: number
  /** Whether a run of the pipeline is under way, whoever began it. */
  readonly running: boolean
}

export interface Due {
  /** The time that a run is to begin for, now; undefined where none is. */
  readonly start: number | undefined
  /** Times that are passed over for good: with a start, those before it. At most `MOST`. */
  readonly missed: number
  /** All times up to this one are dealt with, once what is said here is done. */
  readonly since: number
}

/** More are not counted. */
export const MOST = 1_000
/** What comes so late comes on time: a timer is not exact, and a machine may be busy. */
const LATE_MS = 60_000

/**
 * What is due at a moment. There is at most one start, however many times have passed, and none while a run is under way: a time that
 * comes then is passed over (`skip`), or waits with all others until that run has ended (`run`).
 */
export function dueAt(schedule: Schedule, { now, since, running }: Moment): Due {
  const last = lastTime(schedule, now)
  if (last === undefined || last <= since) return { start: undefined, missed: 0, since }
  const again = schedule.missed === 'run'
  if (running && again) return { start: undefined, missed: 0, since }
  const times = countTimes(schedule, since, now, MOST)
  if (!running && (again || now - last <= LATE_MS)) return { start: last, missed: times - 1, since: last }
  return { start: undefined, missed: times, since: last }
}
