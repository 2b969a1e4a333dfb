import { join } from 'node:path'
import { expect, test } from 'vitest'
import { projectFolder } from '../../test/support/folder.js'
import { readPipeline } from '../pipeline/read.js'
import { listsOf } from '../pipeline/steps/lists.js'
import { clockDue } from '../plan/clock-due.js'
import type { RunResult } from '../run/run.js'
import type { StepEnd } from '../run/services.js'
import { PipeError, type RunFact } from '../sdk/index.js'
import { Follow } from './follow.js'
import { createMoment, type SessionMoment } from './moment.js'

class DownError extends PipeError {
  readonly code = 'TEST_DOWN'
  override readonly blame = 'outage'
}

const complete: StepEnd = { outcome: 'complete', missing: 0, quarantined: 0 }
const result = (steps: Record<string, StepEnd>): RunResult => ({ outcome: 'done', steps: new Map(Object.entries(steps)) })

/** A world of chains with heads, in which every round asks all of them. */
function world(heads: Record<string, bigint | Error>, { lists = [] as string[], steps = { s: complete } as Record<string, StepEnd> } = {}) {
  let ms = 0
  const facts: RunFact[] = []
  const polls: string[] = []
  const news = new Set<string>()
  const ask = (chain: string): Promise<bigint> => {
    const head = heads[chain] ?? 0n
    return head instanceof Error ? Promise.reject(head) : Promise.resolve(head)
  }
  const follow = new Follow({
    poll: (chain) => {
      polls.push(chain)
      return ask(chain)
    },
    now: () => ms,
    begin: (known, away) =>
      Promise.resolve(
        createMoment(ms, async (chain) => {
          if (away.has(chain)) throw away.get(chain) as Error
          return known.get(chain) ?? ask(chain)
        }),
      ),
    blockTimeMs: () => 2_000,
    hasNews: (chain) => news.has(chain),
    pollMs: (chain) => (chain === 'slow' ? 12_000 : 0),
    lists: new Set(lists),
    clock: { now: () => ms, monotonic: () => ms, sleep: () => new Promise((resolve) => setImmediate(resolve)) },
    emit: (fact) => facts.push(fact),
  })
  /** What the next round reads up to, or undefined when there is none. */
  const round = async (ends = steps): Promise<Record<string, string> | undefined> => {
    const moment = await follow.next()
    if (!moment) return undefined
    await Promise.allSettled(Object.keys(heads).map((chain) => moment.head(chain)))
    follow.ended(result(ends))
    return moment.heads()
  }
  return { heads, facts, polls, news, follow, round, wait: (by: number) => (ms += by) }
}

test('there is a round when a head has moved, and not for one that lies lower than before', async () => {
  const { heads, polls, round } = world({ a: 10n })
  expect(await round()).toEqual({ a: '10' })
  expect(await round()).toBeUndefined()
  heads.a = 8n
  expect(await round()).toBeUndefined()
  heads.a = 11n
  expect(await round()).toEqual({ a: '11' })
  heads.a = 3n
  expect(await round()).toBeUndefined()
  expect(polls.length).toBe(4)
})

test('a chain that does not answer keeps no other one waiting, and is read up to what it says once it does', async () => {
  const { heads, follow, round } = world({ a: 10n, b: 20n })
  await round()
  let say = (_: bigint): void => undefined
  Object.defineProperty(heads, 'b', { configurable: true, get: () => new Promise<bigint>((resolve) => (say = resolve)) })
  const next = async (): Promise<string> => {
    const moment = await follow.next()
    return `${await moment?.head('a')} and ${await moment?.head('b').catch(() => 'nothing')}`
  }
  heads.a = 11n
  expect(await next()).toBe('11 and nothing')
  expect([...(await follow.heads())]).toEqual([['a', 11n]])
  follow.ended(result({ s: complete }))
  heads.a = 12n
  expect(await next()).toBe('12 and nothing')
  follow.ended(result({ s: complete }))
  say(25n)
  expect(await next()).toBe('12 and 25')
})

test('there is one when something failed that may go well now, when the last did not come to its end, and when the clock makes something due', async () => {
  const { round } = world({ a: 10n })
  const failed: StepEnd = { outcome: 'failed', missing: 0, quarantined: 0 }
  await round({ s: failed })
  expect(await round({ s: { outcome: 'incomplete', missing: 0, quarantined: 1 } })).toEqual({ a: '10' })
  expect(await round()).toBeUndefined()
  const { follow: broken } = world({ a: 10n })
  await broken.next()
  expect(await broken.next()).toBeDefined()
  const { round: timed, wait: later } = world({ a: 10n })
  await timed({ s: { ...complete, dueAt: 5_000_000n } })
  later(4_999)
  expect(await timed()).toBeUndefined()
  later(1)
  expect(await timed()).toEqual({ a: '10' })
})

test('a chain that is away keeps the others not from going on; where all are, it is an outage', async () => {
  const { heads, round } = world({ a: 10n, b: 20n })
  await round()
  heads.b = new DownError('b is down')
  heads.a = 11n
  expect(await round({ s: { outcome: 'failed', missing: 0, quarantined: 0 } })).toEqual({ a: '11' })
  heads.a = new DownError('a is down')
  await expect(round()).rejects.toThrow('a is down')
  Object.assign(heads, { a: 11n, b: 21n })
  expect(await round()).toEqual({ a: '11', b: '21' })
})

test('of several chains each is looked at as often as it has blocks', async () => {
  const { polls, news, round, wait } = world({ quick: 10n, slow: 20n })
  await round()
  for (let i = 0; i < 24; i++) {
    await round()
    wait(1_000)
  }
  expect([polls.filter((chain) => chain === 'quick').length, polls.filter((chain) => chain === 'slow').length]).toEqual([24, 3])
  // And at once where a new head was told of.
  news.add('slow')
  await round()
  expect(polls.slice(-2)).toEqual(['quick', 'slow'])
})

test('a chain that stands still is named once, and once when it moves again', async () => {
  const { heads, facts, round, wait } = world({ a: 10n })
  await round()
  const hour = async () => {
    for (let i = 0; i < 1_800; i++) {
      wait(2_000)
      await round()
    }
  }
  await hour()
  heads.a = 11n
  await hour()
  expect(facts).toEqual([
    { type: 'warning', message: 'a has had no new block for 1m; its head is still 10' },
    { type: 'warning', message: 'a goes on: block 11, after 1h2s without one' },
    { type: 'warning', message: 'a has had no new block for 1m; its head is still 11' },
  ])
})

test('a list that only the clock brings anything new rests between', async () => {
  const { follow, round, wait } = world({ a: 10n }, { lists: ['prices'] })
  const prices: StepEnd = { ...complete, dueAt: 60_000_000n }
  await round({ prices, heads: { ...complete, dueAt: 60_000_000n } })
  const at = (now: bigint): SessionMoment => ({ ...createMoment(0, () => Promise.resolve(0n)), now })
  expect([...follow.rest(at(59_999_999n))]).toEqual([['prices', prices]])
  expect([...follow.rest(at(60_000_000n))]).toEqual([])
  // And it has read up to the last round in which it did not.
  wait(59_000)
  await round({ prices: { ...complete, dueAt: 120_000_000n } })
  expect([...follow.readUpTo(at(59_000_000n))]).toEqual([['prices', 0n]])
})

test('a list that failed rests as long as one that went well, costs no round until then, and is told of once, as is that it goes well again', async () => {
  const { heads, follow, round, wait } = world({ a: 10n }, { lists: ['prices'] })
  const failed = (dueAt: bigint): StepEnd => ({ outcome: 'incomplete', missing: 1, quarantined: 0, reason: '1 day missing', dueAt })
  await round({ prices: failed(300_000_000n), heads: complete })
  const asked: number[] = []
  for (let ms = 0; ms < 900_000; ms += 2_000) {
    const now = BigInt(ms) * 1000n
    // Every tenth look finds a block.
    if (ms % 20_000 === 0) heads.a = (heads.a as bigint) + 1n
    const rests = follow.rest({ now })
    const isAsked = !rests.has('prices')
    const moment = await round({ prices: rests.get('prices') ?? failed(now + 300_000_000n), heads: complete })
    if (moment && isAsked) asked.push(ms)
    expect([ms, moment !== undefined]).toEqual([ms, ms % 20_000 === 0 || isAsked])
    wait(2_000)
  }
  expect(asked).toEqual([300_000, 600_000])
  // What failed elsewhere is tried again in the next round, as is what had requests left.
  const others: readonly Record<string, StepEnd>[] = [{ s: failed(10n ** 12n) }, { prices: { ...failed(10n ** 12n), goesOn: true } }]
  for (const end of others) {
    const other = world({ a: 10n }, { lists: ['prices'], steps: end })
    await other.round()
    expect(await other.round()).toEqual({ a: '10' })
  }
})

test('a list is what asks a source: a chain of which it only takes a fact makes it none that moves with the head', async () => {
  const file = join(projectFolder, 'pipelines/chain-metrics.yaml')
  const { pipeline } = await readPipeline(file, { cwd: projectFolder, env: {}, environment: 'warn', params: { chain: 'base' } })
  expect([...listsOf(pipeline?.steps ?? [])]).toEqual(['prices[base]'])
})

test('a list is due again when its `every` is over', async () => {
  const { pipeline } = await readPipeline(join(projectFolder, 'pipelines/chain-metrics.yaml'), {
    cwd: projectFolder,
    env: {},
    environment: 'warn',
  })
  const prices = pipeline?.steps.find(({ id }) => id === 'prices[ethereum]')
  if (!pipeline || !prices) throw new Error('the pipeline has mistakes')
  const wanted = {
    kind: 'stretches',
    axis: { of: 'time', word: 'days', each: 1n, cut: undefined },
    domain: [0n, 1n],
    due: 'uncovered',
    order: 'newest-first',
  } as const
  const at = { pipeline, given: {}, moment: { now: 7n } }
  expect(clockDue(at, { step: prices, wanted })).toBe(300_000_007n)
  expect(clockDue(at, { step: { ...prices, everyMs: undefined }, wanted })).toBe(60_000_007n)
})

test('that nothing in a pipeline follows anything is said', async () => {
  const { facts, round } = world({})
  await round()
  expect(await round()).toBeUndefined()
  expect(facts).toEqual([
    { type: 'warning', message: 'nothing in this pipeline follows a head or the clock: no round will find anything new' },
  ])
})
