import { describe, expect, test } from 'vitest'
import { type LimitOptions, Limits } from './limits.js'
import { Pace } from '../net/pace.js'

/** An endpoint that takes `latency` milliseconds a request, and what it makes of requests. Virtual time. */
function drive(
  limits: Limits,
  seconds: number,
  latency: (calls: number, under: number) => number,
  refuses: (calls: number) => 'tooMany' | undefined = () => undefined,
): { perSecond: number; refused: number } {
  let now = 0
  let answered = 0
  let refused = 0
  const under: { calls: number; end: number }[] = []
  while (now < seconds * 1000) {
    while (under.length < limits.parallel) under.push({ calls: limits.batch, end: now + latency(limits.batch, under.length + 1) })
    under.sort((a, b) => a.end - b.end)
    const ended = under.shift()!
    now = Math.max(now, ended.end)
    if (refuses(ended.calls)) {
      refused++
      limits.tooMany(now, ended.calls)
    } else {
      if (now > seconds * 500) answered += ended.calls
      limits.answered(now, ended.calls, under.length, true)
    }
  }
  return { perSecond: answered / (seconds * 0.5), refused }
}

const start = (options: LimitOptions = {}) => new Limits(options)

describe('batch and requests in flight', () => {
  test('begin at 10 calls and 5 requests, or where the last run ended', () => {
    expect([start().batch, start().parallel]).toEqual([10, 5])
    const learned = start({ batch: 80, maxBatch: 100, parallel: 12, parallelCeiling: 8 })
    expect([learned.batch, learned.parallel]).toEqual([80, 8])
  })

  test('grow while more comes back', () => {
    const limits = start()
    drive(limits, 30, () => 100)
    expect(limits.batch).toBe(1000)
    expect(limits.parallel).toBeGreaterThanOrEqual(80)
  })

  test('stay where more of them would bring nothing', () => {
    const limits = start()
    // A node that does 5,000 calls a second, whatever comes.
    let free = 0
    let now = 0
    drive(limits, 20, (calls, under) => {
      if (under === 1) now += 1
      free = Math.max(free, now) + calls / 5
      return Math.max(1, (calls / 5) * under)
    })
    expect(limits.batch * limits.parallel).toBeLessThanOrEqual(400)
  })

  test('never exceed a stated limit again', () => {
    const limits = start()
    limits.tooMany(0, 100, 25)
    drive(limits, 20, () => 50)
    expect([limits.batch, limits.maxBatch]).toEqual([25, 25])
  })

  test('close in on a limit that is not stated, with few refusals', () => {
    const limits = start()
    const { refused } = drive(
      limits,
      30,
      () => 50,
      (calls) => (calls > 100 ? 'tooMany' : undefined),
    )
    expect(limits.batch).toBeGreaterThanOrEqual(80)
    expect(limits.batch).toBeLessThanOrEqual(100)
    // At most a round of requests for each size that was tried.
    expect(refused).toBeLessThan(200)
  })

  test('a size that went well is not doubted because a connection broke', () => {
    const limits = start()
    limits.answered(0, 10, 0, true)
    for (let i = 0; i < 10; i++) limits.dropped(i, 10)
    expect(limits.batch).toBe(10)
  })

  test('a node that never answered several calls gets single ones, tries again once, and is believed then', () => {
    const limits = start()
    limits.dropped(0, 10)
    limits.dropped(1, 10)
    expect([limits.batch, limits.maxBatch]).toEqual([1, undefined])
    limits.dropped(6_000, 2)
    limits.dropped(6_001, 2)
    expect([limits.batch, limits.maxBatch]).toEqual([1, 1])
  })

  test('a deadline that passes halves the requests in flight, once for all that were under way', () => {
    const limits = start({ parallel: 16 })
    for (let i = 0; i < 16; i++) limits.tooSlow(60_000, 0)
    limits.tooSlow(120_000, 61_000)
    expect(limits.parallel).toBe(4)
  })
})

describe('requests a second', () => {
  /** A server that refuses what goes beyond `limit` in a second, in virtual time. */
  function run(limit: number, seconds: number): { good: number; refused: number } {
    const pace = new Pace(undefined)
    let now = 1000
    const from = 1000 + seconds * 300
    let second = 0
    let used = 0
    let good = 0
    let refused = 0
    let waitUntil = 0
    while (now < 1000 + seconds * 1000) {
      now = Math.max(now + 5, pace.next(), waitUntil)
      pace.take(now)
      if (Math.floor(now / 1000) !== second) {
        second = Math.floor(now / 1000)
        used = 0
      }
      if (++used > limit) {
        if (now > from) refused++
        pace.refused(now, now)
        waitUntil = now + 250
      } else {
        if (now > from) good++
        pace.answered(now)
      }
    }
    return { good: good / (seconds * 0.7), refused }
  }

  test.each([5, 50, 100])('a limit of %d is found and used to four fifths, with at most one in twenty refused', (limit) => {
    const { good, refused } = run(limit, 120)
    expect(good).toBeGreaterThan(limit * 0.8)
    expect(refused).toBeLessThan(good * 120 * 0.7 * 0.05)
  })

  test('one refusal at the very start costs seconds, not the whole run', () => {
    const pace = new Pace(undefined)
    pace.refused(100, 100)
    let sent = 0
    for (let now = 100; now < 10_100; now += 5) {
      if (now < pace.next()) continue
      pace.take(now)
      pace.answered(now)
      sent++
    }
    expect(sent).toBeGreaterThan(300)
  })

  test('without refusals nothing is held back', () => {
    const pace = new Pace(undefined)
    for (let i = 0; i < 1000; i++) pace.take(i)
    expect(pace.next()).toBe(0)
  })

  test('a stated rate is kept from the first request on', () => {
    const pace = new Pace(4)
    pace.take(0)
    expect(pace.next()).toBeGreaterThanOrEqual(245)
  })

  test('requests that were under way together are one refusal', () => {
    const pace = new Pace(undefined)
    for (let i = 0; i < 100; i++) pace.answered(10)
    for (let i = 0; i < 20; i++) pace.refused(20 + i, 15)
    expect(pace.perSecond).toBeCloseTo(90)
  })
})
