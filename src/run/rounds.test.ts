import { describe, expect, test } from 'vitest'
import { type Clock, PipeError, type RunFact } from '../sdk/index.js'
import { type RoundsEnd, type RoundsOptions, runRounds } from './rounds.js'
import type { Moment } from '../plan/scope.js'
import type { RunResult } from './run.js'
import type { StepEnd } from './services.js'

class DownError extends PipeError {
  readonly code = 'TEST_DOWN'
  override readonly blame = 'outage'
}

const minute = 60_000

describe('rounds until nothing is missing', () => {
  test('wait between runs and end with the first that is complete', async () => {
    const world = start([left(5), left(2), done()], { waitMs: minute })
    expect(await world.end).toEqual({ outcome: 'done' })
    expect(world.facts).toEqual([
      { type: 'round:started', round: 1 },
      { type: 'round:ended', round: 1, waitMs: minute },
      { type: 'round:started', round: 2 },
      { type: 'round:ended', round: 2, waitMs: minute },
      { type: 'round:started', round: 3 },
    ])
    expect(world.clock.monotonic()).toBe(2 * minute)
  })

  test('ask for a moment as each round begins, so that who runs them says whether it is kept', async () => {
    const follow = start([left(5), left(2), done()], { waitMs: minute })
    await follow.end
    expect(follow.moments.map(({ now }) => now)).toEqual([0n, 60_000_000n, 120_000_000n])
    const first = momentAt(7)
    const keep = start([left(5), left(2), done()], { waitMs: minute, moment: () => first })
    await keep.end
    expect(keep.moments).toEqual([first, first, first])
  })

  test('go on after a run that an outage ended, and say so', async () => {
    const world = start([new DownError('the node is down'), done()], {})
    expect(await world.end).toEqual({ outcome: 'done' })
    expect(world.facts[1]).toEqual({ type: 'round:ended', round: 1, waitMs: 1_000, reason: 'the node is down' })
  })

  test('stop at an error that is no outage, and without --until-complete at any', async () => {
    await expect(start([new Error('a bug')], {}).end).rejects.toThrow('a bug')
    await expect(start([new DownError('the node is down')], { untilComplete: false }).end).rejects.toThrow('the node is down')
    const once = start([left(5)], { untilComplete: false })
    expect([await once.end, once.facts]).toEqual([{ outcome: 'incomplete' }, []])
  })

  test('end incomplete when their number is used up', async () => {
    const world = start([left(5), left(4), left(3), done()], { maxRuns: 3 })
    expect(await world.end).toEqual({ outcome: 'incomplete', reason: 'its 3 runs are used up (--max-runs)' })
    const down = start([new DownError('the node is down')], { maxRuns: 1 })
    expect(await down.end).toEqual({ outcome: 'incomplete', reason: 'its one run is used up (--max-runs); the node is down' })
  })

  test('end incomplete when no time is left for another wait, without waiting', async () => {
    const world = start([left(5), left(4), left(3)], { waitMs: minute, timeoutMs: 1.5 * minute })
    expect(await world.end).toEqual({ outcome: 'incomplete', reason: 'its time of 1m30s is used up (--timeout)' })
    expect(world.clock.monotonic()).toBe(minute)
  })

  test('a run that is too long is stopped when the time is over', async () => {
    const world = start(['hangs'], { untilComplete: false, timeoutMs: minute })
    expect(await world.end).toEqual({ outcome: 'incomplete', reason: 'its time of 1m is used up (--timeout)' })
    expect(world.clock.monotonic()).toBe(minute)
  })

  test('end at once when another run could not help: quarantine, a closed gate, a mistake', async () => {
    const stuck = start(
      [result({ outcome: 'incomplete', missing: 0, quarantined: 3 }, { outcome: 'closed', missing: 0, quarantined: 0 })],
      {},
    )
    expect(await stuck.end).toEqual({ outcome: 'incomplete', reason: 'another run would find the same' })
    const mistake = start([result({ outcome: 'failed', missing: 0, quarantined: 0, lasting: true })], {})
    expect(await mistake.end).toEqual({ outcome: 'incomplete', reason: 'another run would find the same' })
    expect(await start([result({ outcome: 'failed', missing: 0, quarantined: 0 }), done()], {}).end).toEqual({ outcome: 'done' })
  })

  test('a stop while they wait ends them at once', async () => {
    const stop = new AbortController()
    const world = start([left(5), done()], {
      signal: stop.signal,
      waitMs: minute,
      onFact: ({ type }) => type === 'round:ended' && stop.abort(),
    })
    expect(await world.end).toEqual({ outcome: 'stopped' })
    expect(world.clock.monotonic()).toBe(0)
    const begun = ({ type }: RunFact) => type === 'round:started' && stop.abort()
    // What was under way was let finish, and was all.
    expect(await start([done()], { signal: stop.signal, onFact: begun }).end).toEqual({ outcome: 'done' })
  })
})

describe('rounds that follow', () => {
  const follow = { untilComplete: false, follow: true } as const
  /** Moments of which those of `idle` (counted from 1) are none. */
  const idle = (...none: readonly number[]) => {
    let asked = 0
    return () => (none.includes(++asked) ? undefined : momentAt(asked))
  }

  test('go on after everything is complete; one that finds nothing new is none, and is not told', async () => {
    const world = start([done(), done(), done()], { ...follow, waitMs: minute, moment: idle(2, 3), maxRuns: 3 })
    expect(await world.end).toEqual({ outcome: 'done' })
    expect(world.facts.map((fact) => [fact.type, 'round' in fact && fact.round])).toEqual([
      ['round:started', 1],
      ['round:ended', 1],
      ['round:started', 2],
      ['round:ended', 2],
      ['round:started', 3],
    ])
    expect(world.clock.monotonic()).toBe(4 * minute)
  })

  test('begin as far apart as they wait, however long each takes, and at once after one that took longer', async () => {
    const world = start([after(20_000, done()), after(100_000, done()), done(), done()], { ...follow, waitMs: minute, maxRuns: 4 })
    expect(await world.end).toEqual({ outcome: 'done' })
    expect(world.began).toEqual([0, 60_000, 160_000, 220_000])
  })

  test('go on at once for what --limit left', async () => {
    const world = start([result({ outcome: 'limited', missing: 5, quarantined: 0 }), done(), done()], {
      ...follow,
      waitMs: minute,
      maxRuns: 3,
    })
    expect(await world.end).toEqual({ outcome: 'done' })
    expect(world.began).toEqual([0, 0, 60_000])
  })

  test('go on after quarantine, a closed gate, a failed step and an outage, which is told when it is another one', async () => {
    const down = new DownError('the node is down')
    const stuck = result({ outcome: 'incomplete', missing: 0, quarantined: 3 }, { outcome: 'closed', missing: 0, quarantined: 0 })
    const failed = result(
      { outcome: 'failed', missing: 0, quarantined: 0, lasting: true },
      { outcome: 'complete', missing: 0, quarantined: 0 },
    )
    const world = start([stuck, failed, down, down, new DownError('it is another one'), done(), down, done()], { ...follow, maxRuns: 8 })
    expect(await world.end).toEqual({ outcome: 'done' })
    expect(world.facts.flatMap((fact) => (fact.type === 'round:ended' ? [fact.reason] : []))).toEqual([
      undefined,
      undefined,
      'the node is down',
      undefined,
      'it is another one',
      undefined,
      'the node is down',
    ])
  })

  test('go on when the head can not be asked for: told once, and no round', async () => {
    let asked = 0
    const moment = () => {
      asked++
      if (asked === 2 || asked === 3) throw new DownError('the node is down')
      return momentAt(asked)
    }
    const world = start([done(), done()], { ...follow, moment, maxRuns: 2 })
    expect(await world.end).toEqual({ outcome: 'done' })
    expect(world.facts.map((fact) => [fact.type, 'reason' in fact && fact.reason])).toEqual([
      ['round:started', false],
      ['round:ended', undefined],
      ['round:ended', 'the node is down'],
      ['round:started', false],
    ])
  })

  test('end where whatever comes in changes nothing: all that ran made a mistake', async () => {
    const mistake = { outcome: 'failed', missing: 0, quarantined: 0, lasting: true } as const
    const world = start([result(mistake, { outcome: 'blocked', missing: 0, quarantined: 0 })], follow)
    expect(await world.end).toEqual({ outcome: 'incomplete', reason: 'another run would find the same' })
    await expect(start([new Error('a bug')], follow).end).rejects.toThrow('a bug')
  })

  test('end complete when the time is over between two of them, and incomplete when something is missing or one is under way', async () => {
    const over = { outcome: 'incomplete', reason: 'its time of 1m30s is used up (--timeout)' }
    const timed = { ...follow, waitMs: minute, timeoutMs: 1.5 * minute }
    expect(await start([done(), done()], timed).end).toEqual({ outcome: 'done' })
    expect(await start([done(), left(1)], timed).end).toEqual(over)
    expect(await start([done(), 'hangs'], timed).end).toEqual(over)
    expect(await start([done(), new DownError('the node is down')], timed).end).toEqual(over)
  })
})

describe('following that is stopped', () => {
  /** By a signal, as the fact of this type is told for the `times`th time. */
  const stop = async (rounds: readonly Round[], type: RunFact['type'], times = 1, given: Given = {}) => {
    const stopping = new AbortController()
    let seen = 0
    const onFact = (fact: RunFact) => fact.type === type && ++seen === times && stopping.abort()
    const follow = { untilComplete: false, follow: true, signal: stopping.signal, onFact } as const
    return (await start(rounds, { ...follow, ...given }).end).outcome
  }
  const cut: Round = { outcome: 'stopped', steps: new Map() }

  test('is done where the stop comes between two rounds and nothing is missing', async () => {
    expect(await stop([done()], 'round:ended')).toBe('done')
    expect(await stop([left(1), done()], 'round:ended', 2)).toBe('done')
    const idle = [momentAt(0), undefined, undefined]
    expect(await stop([done()], 'round:ended', 1, { moment: () => idle.shift() })).toBe('done')
  })

  test('is stopped where it cuts a round off, something is missing, or nobody knows whether it is', async () => {
    expect(await stop([done(), cut], 'round:started', 2)).toBe('stopped')
    expect(await stop([done(), left(1)], 'round:ended', 2)).toBe('stopped')
    const down = () => Promise.reject(new DownError('the node is down'))
    const polls = [() => momentAt(0), down]
    expect(await stop([done()], 'round:ended', 2, { moment: () => polls.shift()?.() })).toBe('stopped')
  })
})

describe('a run in which nothing moves', () => {
  test('is given up with what it waits for', async () => {
    const world = start(['hangs'], { stallMs: 5 * minute })
    expect(await world.end).toEqual({ outcome: 'incomplete', reason: 'nothing moved for 5m; it waits for the moon' })
    expect(world.clock.monotonic()).toBe(5 * minute)
  })

  test('is counted from what moved last', async () => {
    const world = start(['hangs'], { stallMs: 5 * minute, moved: (now) => Math.min(now, 3 * minute) })
    expect(await world.end).toMatchObject({ reason: 'nothing moved for 5m; it waits for the moon' })
    expect(world.clock.monotonic()).toBe(8 * minute)
  })

  test('is none while a statement runs that can not tell', async () => {
    const world = start(['hangs'], { stallMs: minute, timeoutMs: 60 * minute, moved: () => undefined })
    expect(await world.end).toMatchObject({ reason: 'its time of 1h is used up (--timeout)' })
  })

  test('is given up over rounds and waits, when one of them ends and none has brought anything', async () => {
    const world = start([left(5), left(5), left(5), left(5), left(5)], { stallMs: 5 * minute, waitMs: 2 * minute, gained: () => 0 })
    expect(await world.end).toEqual({ outcome: 'incomplete', reason: 'nothing moved for 5m; it waits for the moon' })
    expect([world.clock.monotonic(), world.moments.length]).toEqual([6 * minute, 4])
    const down = new DownError('the node is down')
    const late = start([left(5), down, left(4), down, down, down], {
      stallMs: 5 * minute,
      waitMs: 4 * minute,
      gained: (now) => Math.min(now, 8 * minute),
    })
    expect(await late.end).toMatchObject({ reason: 'nothing moved for 5m; it waits for the moon' })
    expect(late.clock.monotonic()).toBe(16 * minute)
  })

  test('is none in a wait that is longer than it, when the round after it brings something', async () => {
    const world = start([left(5), left(4), done()], {
      stallMs: minute,
      waitMs: 10 * minute,
      gained: (now) => Math.floor(now / (10 * minute)),
    })
    expect(await world.end).toEqual({ outcome: 'done' })
  })

  test('is none while it is paused, in a round and between two of them, however long that is', async () => {
    const held = start(['hangs'], { stallMs: minute, timeoutMs: 60 * minute, isAtRest: () => true })
    expect(await held.end).toMatchObject({ reason: 'its time of 1h is used up (--timeout)' })
    const between = start([left(5), left(5), done()], {
      stallMs: 5 * minute,
      gained: () => 0,
      pauses: [0, 60 * minute],
      isAtRest: (now) => now < 60 * minute,
    })
    expect(await between.end).toEqual({ outcome: 'done' })
    expect(between.began).toEqual([0, 1_000 + 60 * minute, 2_000 + 60 * minute])
  })

  test('is none when the machine slept', async () => {
    const world = start(['hangs'], { stallMs: minute, timeoutMs: 700 * minute, jumpAt: 2_000, jumpMs: 600 * minute })
    expect(await world.end).toMatchObject({ reason: 'nothing moved for 1m; it waits for the moon' })
    expect(world.clock.monotonic()).toBe(600 * minute + 60_000)
  })
})

type Round = RunResult | Error | 'hangs' | { readonly tookMs: number; readonly result: RunResult }
type Given = Omit<Partial<RoundsOptions>, 'moved' | 'gained' | 'mayBegin' | 'isAtRest'> & {
  readonly gained?: (now: number) => number
  readonly moved?: (now: number) => number | undefined
  readonly isAtRest?: (now: number) => boolean
  /** How long it is paused before each round. */
  readonly pauses?: readonly number[]
  readonly onFact?: (fact: RunFact) => unknown
  /** The machine sleeps for `jumpMs` in a wait that ends after this time. */
  readonly jumpAt?: number
  readonly jumpMs?: number
}

function start(rounds: readonly Round[], { moved = () => 0, gained = (now) => now, onFact, jumpAt, jumpMs, ...others }: Given) {
  const { isAtRest = () => false, pauses = [], ...given } = others
  const clock = virtualClock(jumpAt, jumpMs)
  const facts: RunFact[] = []
  let next = 0
  const limit = new AbortController()
  const moments: Moment[] = []
  const began: number[] = []
  const round = async (moment: Moment): Promise<RunResult> => {
    moments.push(moment)
    began.push(clock.monotonic())
    const what = rounds[next++]
    if (what === undefined) throw new Error('a round too many')
    if (what instanceof Error) throw what
    if (what !== 'hangs' && 'tookMs' in what) {
      await clock.sleep(what.tookMs)
      return what.result
    }
    if (what !== 'hangs') return what
    await new Promise<void>((resolve) => limit.signal.addEventListener('abort', () => resolve(), { once: true }))
    return { outcome: 'stopped', steps: new Map() }
  }
  const end: Promise<RoundsEnd> = runRounds({
    moment: () => momentAt(clock.now()),
    mayBegin: () => clock.sleep(pauses[began.length] ?? 0),
    isAtRest: () => isAtRest(clock.monotonic()),
    round,
    untilComplete: true,
    follow: false,
    maxRuns: undefined,
    waitMs: 1_000,
    timeoutMs: undefined,
    stallMs: undefined,
    moved: () => moved(clock.monotonic()),
    gained: () => gained(clock.monotonic()),
    waitsFor: () => 'the moon',
    wait: (ms, signal) => clock.sleep(ms, signal).catch(() => undefined),
    clock,
    emit: (fact) => {
      facts.push(fact)
      onFact?.(fact)
    },
    signal: new AbortController().signal,
    limit,
    ...given,
  })
  return { clock, facts, moments, began, end }
}

/** Time that goes on to the next who waits for it as soon as nothing else happens. */
function virtualClock(jumpAt = Infinity, jumpMs = 0): Clock {
  const sleepers = new Set<{ readonly at: number; wake(): void }>()
  let now = 0
  const goOn = (): void => {
    const next = [...sleepers].sort((a, b) => a.at - b.at)[0]
    if (!next) return
    now = Math.max(now, next.at)
    if (now > jumpAt) [now, jumpAt] = [now + jumpMs, Infinity]
    next.wake()
  }
  return {
    now: () => now,
    monotonic: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = {
          at: now + ms,
          wake: () => {
            sleepers.delete(sleeper)
            signal?.removeEventListener('abort', leave)
            resolve()
          },
        }
        sleepers.add(sleeper)
        const leave = (): void => {
          sleepers.delete(sleeper)
          reject(new Error('aborted'))
        }
        if (signal?.aborted) leave()
        signal?.addEventListener('abort', leave, { once: true })
        setImmediate(goOn)
      }),
  }
}

const momentAt = (ms: number): Moment => ({ now: BigInt(ms) * 1_000n, head: () => Promise.reject(new Error('no chain')) })

function result(...ends: readonly StepEnd[]): RunResult {
  return { outcome: 'incomplete', steps: new Map(ends.map((end, i) => [`step${i}`, end])) }
}
const left = (missing: number): RunResult => result({ outcome: 'incomplete', missing, quarantined: 0 })
const after = (tookMs: number, of: RunResult): Round => ({ tookMs, result: of })
const done = (): RunResult => ({ outcome: 'done', steps: new Map() })
