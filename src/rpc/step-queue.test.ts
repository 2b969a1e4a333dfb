import { assert, array, constantFrom, integer, nat, property, record } from 'fast-check'
import { expect, test } from 'vitest'
import type { RpcAnswers } from '../sdk/index.js'
import { RpcCallError, RpcClosedError } from './errors.js'
import type { Segment } from './segment.js'
import { type Choice, StepQueue, type Taken } from './step-queue.js'

const STEP = { id: 'step', attempts: 5, waitMs: 500, maxWaitMs: 8_000 }
/** Bytes of an answer. */
const WEIGHT = 100
const WRONG = new RpcCallError('eth_call()', 'a.example', 'no', 1)
const calls = (count: number, method = 'eth_call') => Array.from({ length: count }, () => ({ method, params: [] }))

const move = record({
  kind: constantFrom('add', 'take', 'answer', 'fail', 'back', 'later', 'wake', 'reject'),
  size: integer({ min: 1, max: 6 }),
  which: nat(20),
  choices: array(constantFrom<Choice>('take', 'take', 'alone', 'leave', WRONG), { minLength: 3, maxLength: 3 }),
  takesAny: constantFrom(true, false),
})

/** Plays moves on a queue, with all that is on its way kept beside it. */
class World {
  readonly queue = new StepQueue(STEP)
  readonly ends = new Map<Segment, RpcAnswers | Error>()
  readonly segments: Segment[] = []
  readonly ended = new Map<Segment, number>()
  underWay: { segment: Segment; index: number }[] = []
  now = 0

  constructor() {
    this.queue.weights.answered(1, () => ({ method: 'eth_call', params: [] }), WEIGHT)
  }

  add(size: number): void {
    const segment: Segment = this.queue.add(calls(size), undefined, (end) => {
      expect(this.ends.has(segment)).toBe(false)
      this.ends.set(segment, end)
    })
    this.segments.push(segment)
    this.ended.set(segment, 0)
  }

  take(most: number, choices: readonly Choice[], takesAny: boolean): void {
    let asked = 0
    const choose = (segment: Segment): Choice => {
      const choice = choices[asked++ % choices.length] as Choice
      if (choice instanceof Error) this.#end(segment)
      return choice
    }
    const { segments, indexes }: Taken = this.queue.take({ most, budget: undefined, takesAny, has: () => true, choose }, this.now)
    expect(segments.length).toBeLessThanOrEqual(most)
    segments.forEach((segment, i) => this.underWay.push({ segment, index: indexes[i] as number }))
  }

  #end(segment: Segment): void {
    this.ended.set(segment, (this.ended.get(segment) ?? 0) + 1)
  }

  settle(which: number, size: number, how: 'answer' | 'fail' | 'back' | 'later'): void {
    const some = this.underWay.splice(which % Math.max(1, this.underWay.length), size)
    const taken = { segments: some.map(({ segment }) => segment), indexes: some.map(({ index }) => index) }
    if (how === 'back') return this.queue.giveBack(taken)
    if (how === 'later') return this.queue.giveBackAt(this.now + size, taken)
    for (const { segment, index } of some) {
      if (!segment.settled) this.#end(segment)
      if (how === 'answer') segment.answer(index, 1, 'a.example')
      else segment.fail(index, WRONG)
    }
  }

  /** Waiting calls are those of open segments that are neither under way nor ended, and no call is in two places. Held are all calls of open segments. */
  check(): void {
    const open = this.segments.filter((segment) => !this.ends.has(segment))
    expect(this.queue.open).toEqual(open)
    const places = this.underWay
      .filter(({ segment }) => !segment.settled)
      .map(({ segment, index }) => `${this.segments.indexOf(segment)}:${index}`)
    expect(new Set(places).size).toBe(places.length)
    const wanted = open.reduce((sum, segment) => sum + segment.calls.length - (this.ended.get(segment) ?? 0), 0)
    expect(this.queue.waiting).toBe(wanted - places.length)
    expect(this.queue.waitingBytes).toBe(this.queue.waiting * WEIGHT)
    expect(this.queue.held).toBe(open.reduce((sum, segment) => sum + segment.calls.length, 0))
  }
}

test('whatever happens, each call of an open segment is in one place and the counter tells those that wait', () => {
  assert(
    property(array(move, { maxLength: 40 }), (moves) => {
      const world = new World()
      for (const { kind, size, which, choices, takesAny } of moves) {
        if (kind === 'add') world.add(size)
        else if (kind === 'take') world.take(size, choices, takesAny)
        else if (kind === 'wake') world.queue.wake((world.now += size))
        else if (kind === 'reject') {
          const segment = world.segments[which % Math.max(1, world.segments.length)]
          if (segment) world.queue.reject(segment, new RpcClosedError('base'))
        } else world.settle(which, size, kind)
        world.check()
      }
      // What is left can be taken and answered, and nothing waits any more.
      world.queue.wake(Infinity)
      world.settle(0, Infinity, 'back')
      while (world.queue.waiting > 0) {
        world.take(5, ['take'], false)
        world.settle(0, 5, 'answer')
      }
      world.check()
      expect(world.ends.size).toBe(world.segments.length)
      expect(world.queue.ready).toBe(false)
    }),
    { numRuns: 500 },
  )
})

test('a call that must go alone goes alone', () => {
  const world = new World()
  world.add(3)
  world.take(3, ['take'], true)
  world.settle(0, 3, 'back')
  world.take(3, ['take', 'alone', 'take'], false)
  expect(world.underWay.map(({ index }) => index)).toEqual([0, 2])
  world.take(3, ['alone'], false)
  expect(world.underWay.map(({ index }) => index)).toEqual([0, 2, 1])
})

test('a request takes as many calls as its answers may weigh, whatever else they are asked with, and one at least', () => {
  const { queue } = new World()
  queue.weights.answered(1, () => ({ method: 'eth_getLogs', params: [] }), 3_000_000)
  queue.weights.answered(1, () => ({ method: 'trace_block', params: [] }), 90_000_000)
  for (const [count, method] of [
    [3, 'eth_getLogs'],
    [30_000, 'eth_call'],
    [1, 'trace_block'],
  ] as const)
    queue.add(calls(count, method), undefined, () => undefined)
  expect(queue.waitingBytes).toBe(3 * 3_000_000 + 30_000 * WEIGHT + 90_000_000)
  const take = () => {
    const { segments, bytes } = queue.take({ most: 100_000, budget: undefined, takesAny: true, has: () => true, choose: () => 'take' }, 0)
    return [segments.length, bytes]
  }
  expect(take()).toEqual([2, 6_000_000])
  expect(take()).toEqual([1 + 30_000, 6_000_000])
  expect(take()).toEqual([1, 90_000_000])
  expect([take(), queue.waitingBytes]).toEqual([[0, 0], 0])
})

test('calls that are given back go before those that were never sent', () => {
  const world = new World()
  world.add(2)
  world.take(1, ['take'], true)
  world.settle(0, 1, 'back')
  world.take(2, ['take'], true)
  expect(world.underWay.map(({ index }) => index)).toEqual([0, 1])
})
