import { describe, expect, test } from 'vitest'
import type { Clock } from '../sdk/index.js'
import { dueAt, MOST } from './due.js'
import { keepSchedule } from './keep.js'
import { lastTime, nextTimes, type Schedule, scheduleFault } from './times.js'

const at = (text: string) => Date.parse(`${text}Z`)
const text = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16))
const sixHours: Schedule = { cron: '0 */6 * * *', timezone: 'UTC', missed: 'run' }

describe('times', () => {
  test('come after a moment, never at it, and the last one up to a moment may be it', () => {
    const next = nextTimes(sixHours, at('2026-11-29T06:00'), 3)
    expect(next.map(text)).toEqual(['2026-11-29T12:00', '2026-11-29T18:00', '2026-11-30T00:00'])
    expect(text(lastTime(sixHours, at('2026-11-29T06:00')))).toBe('2026-11-29T06:00')
    expect(text(lastTime(sixHours, at('2026-11-29T06:00') - 1))).toBe('2026-11-29T00:00')
  })

  test('go by the clock of their time zone, in summer and in winter', () => {
    const daily = { cron: '0 7 * * *', timezone: 'Europe/Zurich' }
    expect(text(nextTimes(daily, at('2026-07-01T00:00'), 1)[0])).toBe('2026-07-01T05:00')
    expect(text(nextTimes(daily, at('2026-12-01T00:00'), 1)[0])).toBe('2026-12-01T06:00')
  })

  test('come once a day where clocks change: in the hour that is left out at its end, in the one that comes twice once', () => {
    const night = { cron: '30 2 * * *', timezone: 'Europe/Zurich' }
    expect(nextTimes(night, at('2026-03-28T12:00'), 2).map(text)).toEqual(['2026-03-29T01:00', '2026-03-30T00:30'])
    expect(nextTimes(night, at('2026-10-24T12:00'), 2).map(text)).toEqual(['2026-10-25T00:30', '2026-10-26T01:30'])
    const hourly = { cron: '0 * * * *', timezone: 'Europe/Zurich' }
    expect(nextTimes(hourly, at('2026-10-24T23:30'), 4).map(text)).toEqual([
      '2026-10-25T00:00',
      '2026-10-25T01:00',
      '2026-10-25T02:00',
      '2026-10-25T03:00',
    ])
  })

  test.each([
    ['0 */6 * * *', 'UTC', undefined],
    ['@daily', 'Europe/Zurich', undefined],
    ['0 0 29 2 *', 'UTC', undefined],
    ['0 0 * * MON-FRI', 'America/New_York', undefined],
    ['0 */6 * *', 'UTC', 'cron has 4 fields and not 5'],
    ['*/5 * * * * *', 'UTC', 'cron has 6 fields and not 5'],
    ['@reboot', 'UTC', 'cron `@reboot` is no schedule'],
    ['0 0 30 2 *', 'UTC', 'cron never comes: no such day is in any year'],
    ['0 0 * * *', 'Europe/Zuerich', 'timezone `Europe/Zuerich` is no time zone that is known'],
  ])('%s by %s: %s', (cron, timezone, wrong) => {
    const fault = scheduleFault({ cron, timezone })
    expect(fault && `${fault.of} ${fault.message}`).toBe(wrong)
  })

  test('a field out of range, and what is no cron expression, are named', () => {
    for (const cron of ['0 25 * * *', 'every day at 5 pm', '2026-01-01T00:00:00'])
      expect(scheduleFault({ cron, timezone: 'UTC' })).toMatchObject({
        of: 'cron',
        hint: expect.stringContaining('"0 */6 * * *"') as string,
      })
  })
})

describe('what is due', () => {
  const since = at('2026-11-29T00:00')
  const due = (now: string, more: Partial<Schedule & { running: boolean }> = {}) => {
    const { running = false, ...schedule } = more
    const { start, missed, since: dealt } = dueAt({ ...sixHours, ...schedule }, { now: at(now), since, running })
    return [text(start), missed, text(dealt)]
  }

  test('is nothing before a time, and one run at it', () => {
    expect(due('2026-11-29T05:59:59')).toEqual([undefined, 0, '2026-11-29T00:00'])
    expect(due('2026-11-29T06:00')).toEqual(['2026-11-29T06:00', 0, '2026-11-29T06:00'])
  })

  test('is one run for all times that were missed, or none before the next time', () => {
    expect(due('2026-11-30T01:00')).toEqual(['2026-11-30T00:00', 3, '2026-11-30T00:00'])
    expect(due('2026-11-30T01:00', { missed: 'skip' })).toEqual([undefined, 4, '2026-11-30T00:00'])
    expect(due('2026-11-30T00:00:59', { missed: 'skip' })).toEqual(['2026-11-30T00:00', 3, '2026-11-30T00:00'])
  })

  test('is never a run beside one that is under way: it waits for its end, or is passed over', () => {
    expect(due('2026-11-29T13:00', { running: true })).toEqual([undefined, 0, '2026-11-29T00:00'])
    expect(due('2026-11-29T13:00', { running: true, missed: 'skip' })).toEqual([undefined, 2, '2026-11-29T12:00'])
  })

  test('is counted up to a thousand, however long nobody was there', () => {
    const { start, missed } = dueAt({ ...sixHours, cron: '* * * * *' }, { now: at('2028-01-01T00:00'), since, running: false })
    expect([text(start), missed]).toEqual(['2028-01-01T00:00', MOST - 1])
  })
})

/** A clock whose sleeps pass at once. */
function simulated(from: string): Clock & { pass(ms: number): void } {
  let now = at(from)
  return {
    now: () => now,
    monotonic: () => now,
    pass: (ms) => void (now += ms),
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      await Promise.resolve()
      now += ms
    },
  }
}

describe('a kept schedule', () => {
  /** Four hours of one that begins each hour, with runs of so many minutes. */
  async function fourHours(missed: Schedule['missed'], minutes: number, others: (now: number) => boolean = () => false) {
    const clock = simulated('2026-11-29T00:05')
    const stop = new AbortController()
    const told: string[] = []
    let begun = 0
    let under = 0
    const sleep = async (ms: number, signal?: AbortSignal) => {
      await clock.sleep(ms, signal)
      if (clock.now() >= at('2026-11-29T04:05')) stop.abort()
    }
    await keepSchedule({
      schedule: { cron: '0 * * * *', timezone: 'UTC', missed },
      since: at('2026-11-28T21:30'),
      clock: { ...clock, sleep },
      signal: stop.signal,
      isRunning: () => Promise.resolve(others(clock.now())),
      start: async (due) => {
        expect(++under).toBe(1)
        told.push(`${hour(clock.now())} for ${hour(due.at)}, ${due.missed} missed`)
        await Promise.resolve()
        clock.pass(minutes * 60_000)
        under--
        if (++begun === 2) throw new Error('held')
      },
      skipped: (times) => told.push(`${hour(clock.now())} skipped ${times}`),
      failed: (error) => told.push(String(error)),
    })
    return told
  }
  const hour = (ms: number) => text(ms)?.slice(11)

  test('makes up for what was missed, begins at each time, and goes on after a run that failed', async () => {
    expect(await fourHours('run', 10)).toEqual([
      '00:05 for 00:00, 2 missed',
      '01:00 for 01:00, 0 missed',
      'Error: held',
      '02:00 for 02:00, 0 missed',
      '03:00 for 03:00, 0 missed',
      '04:00 for 04:00, 0 missed',
    ])
  })

  test('begins no run while its own goes on, and says which times are skipped', async () => {
    expect(await fourHours('skip', 70)).toEqual([
      '00:05 skipped 3',
      '01:00 for 01:00, 0 missed',
      '02:10 skipped 1',
      '03:00 for 03:00, 0 missed',
      'Error: held',
    ])
  })

  test('begins no run beside one of somebody else, and makes up for it when that has ended', async () => {
    const others = (now: number) => now >= at('2026-11-29T00:50') && now < at('2026-11-29T02:20')
    expect(await fourHours('run', 10, others)).toEqual([
      '00:05 for 00:00, 2 missed',
      '02:20 for 02:00, 1 missed',
      'Error: held',
      '03:00 for 03:00, 0 missed',
      '04:00 for 04:00, 0 missed',
    ])
  })
})
