import { expect, test } from 'vitest'
import type { Clock, RunEvent } from '../sdk/index.js'
import { createBus } from './bus.js'

const clock: Clock = { now: () => 5, monotonic: () => 0, sleep: () => Promise.resolve() }

test('every subscriber gets every event, stamped, until it leaves', () => {
  const bus = createBus(clock, 'r1')
  const seen: RunEvent[] = []
  const leave = bus.subscribe((event) => seen.push(event))
  bus.emit({ type: 'step:started', step: 'blocks' })
  leave()
  bus.emit({ type: 'step:started', step: 'balances' })
  expect(seen).toEqual([{ run: 'r1', at: 5, type: 'step:started', step: 'blocks' }])
})

test('a subscriber that throws is reported once, and nobody else misses anything', async () => {
  const bus = createBus(clock, 'r1')
  const seen: string[] = []
  let calls = 0
  bus.subscribe(() => {
    calls++
    throw new Error('no room')
  })
  bus.subscribe((event) => seen.push(event.type === 'warning' ? event.message : event.type))
  bus.emit({ type: 'step:started', step: 'blocks' })
  bus.emit({ type: 'step:started', step: 'balances' })
  expect(seen).toEqual(['step:started', 'a reporter failed: no room', 'step:started'])
  expect(calls).toBe(3)

  const later = createBus(clock, 'r2')
  const heard: string[] = []
  later.subscribe(() => Promise.reject(new Error('too late')) as unknown as void)
  later.subscribe((event) => heard.push(event.type))
  later.emit({ type: 'step:started', step: 'blocks' })
  await new Promise((resolve) => setTimeout(resolve, 0))
  expect(heard).toEqual(['step:started', 'warning'])
})

test('what a subscriber emits comes after the event that it was told of, for everyone', () => {
  const bus = createBus(clock, 'r1')
  const seen: string[] = []
  bus.subscribe((event) => {
    if (event.type === 'step:started') bus.emit({ type: 'warning', message: 'second' })
  })
  bus.subscribe((event) => seen.push(event.type))
  bus.emit({ type: 'step:started', step: 'blocks' })
  expect(seen).toEqual(['step:started', 'warning'])
})
