import { Cron } from 'croner'

/** When a pipeline is to run by itself. */
export interface Schedule {
  /** Five fields, as crontab has them, or a nickname such as `@daily`. */
  readonly cron: string
  /** Whose clock it goes by: `UTC`, `Europe/Zurich`. */
  readonly timezone: string
  /** Times that got no run, since nobody was there or a run was at it. `run`: one run makes up for all of them. `skip`: none does. */
  readonly missed: 'run' | 'skip'
}

/** What is wrong with a schedule, and in which of its parts. */
export interface ScheduleFault {
  readonly of: 'cron' | 'timezone'
  readonly message: string
  readonly hint: string
}

const NICKNAMES: ReadonlySet<string> = new Set(['@hourly', '@daily', '@midnight', '@weekly', '@monthly', '@yearly', '@annually'])
const FIELDS = 'minute, hour, day of month, month, day of week: "0 */6 * * *" is every six hours'
/** Years differ by the 29th of February alone, which comes within eight. */
const SOON = Date.UTC(2024, 0, 1)

/** What keeps a schedule from having times, or undefined. */
export function scheduleFault({ cron, timezone }: Pick<Schedule, 'cron' | 'timezone'>): ScheduleFault | undefined {
  if (!isTimeZone(timezone))
    return {
      of: 'timezone',
      message: `\`${timezone.slice(0, 40)}\` is no time zone that is known`,
      hint: 'write UTC or a name such as Europe/Zurich',
    }
  const fields = cron.trim().split(/\s+/)
  if (fields.length !== 5 && !NICKNAMES.has(cron.trim().toLowerCase()))
    return {
      of: 'cron',
      message: cron.trim().startsWith('@') ? `\`${cron.trim().slice(0, 40)}\` is no schedule` : `has ${fields.length} fields and not 5`,
      hint: `write ${FIELDS}`,
    }
  try {
    if (nextTimes({ cron, timezone }, SOON, 1).length > 0) return undefined
    return { of: 'cron', message: 'never comes: no such day is in any year', hint: `write ${FIELDS}` }
  } catch (error) {
    const words = error instanceof Error ? error.message.replace(/^Cron\w*: */, '') : String(error)
    return { of: 'cron', message: `is no cron expression: ${words}`, hint: `write ${FIELDS}` }
  }
}

/**
 * The next times after a moment, milliseconds UTC. When clocks are set forward, a time of the hour that is left out comes at the end
 * of the gap; when they are set back, a time of the hour that comes twice comes once, but for what comes each hour or more often.
 */
export function nextTimes(schedule: Pick<Schedule, 'cron' | 'timezone'>, after: number, count: number): readonly number[] {
  return cronOf(schedule)
    .nextRuns(count, new Date(after))
    .map((time) => time.getTime())
}

/** The last time up to and with a moment; undefined where there was none. */
export function lastTime(schedule: Pick<Schedule, 'cron' | 'timezone'>, upTo: number): number | undefined {
  // A time lies on a whole second, and those before a moment are given without it.
  return cronOf(schedule)
    .previousRuns(1, new Date(Math.floor(upTo / 1_000) * 1_000 + 1_000))[0]
    ?.getTime()
}

/** How many times lie behind one moment, up to and with another; no more than `most` are counted. */
export function countTimes(schedule: Pick<Schedule, 'cron' | 'timezone'>, after: number, upTo: number, most: number): number {
  const cron = cronOf(schedule)
  let count = 0
  for (let time = cron.nextRun(new Date(after)); time && time.getTime() <= upTo && count < most; time = cron.nextRun(time)) count++
  return count
}

function cronOf({ cron, timezone }: Pick<Schedule, 'cron' | 'timezone'>): Cron {
  return new Cron(cron.trim(), { timezone, paused: true, mode: '5-part', fixedTimeRule: 'no-wildcard' })
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
