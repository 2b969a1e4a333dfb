import { expect, test } from 'vitest'
import { systemClock } from '../cli/system-clock.js'
import type { Chain } from '../pipeline/pipeline.js'
import { fakeChain } from '../sandbox/index.js'
import { Wakes } from './wakes.js'

test('a block that a WebSocket tells of ends the wait at once; an endpoint that does not have it yet is asked again soon, and not for ever', async () => {
  const chain = fakeChain({ blocks: 10 })
  const node = await chain.serve()
  const sockets = [{ url: node.url.replace('http', 'ws'), headers: {} }]
  const about = { name: 'fake', id: 1, blockTimeMs: 60_000, confirmations: 0, multicall: undefined, about: null }
  const fake: Chain = { ...about, endpoints: [], sockets }
  const told: unknown[] = []
  const wakes = new Wakes({ chains: [fake], surroundings: { clock: systemClock, env: {} }, emit: (fact) => told.push(fact) })
  const wait = async (ms: number): Promise<number> => {
    const began = systemClock.monotonic()
    await wakes.wait(ms, new AbortController().signal)
    return systemClock.monotonic() - began
  }
  wakes.polled('fake', 10n)
  const growing = setInterval(() => chain.add(1), 100)
  expect(await wait(30_000)).toBeLessThan(10_000)
  clearInterval(growing)
  expect(wakes.hasNews('fake')).toBe(true)
  // Nobody has asked since.
  expect(await wait(30_000)).toBeLessThan(200)
  wakes.polled('fake', 10n)
  expect(await wait(30_000)).toBeLessThan(5_000)
  wakes.polled('fake', chain.head)
  expect(wakes.hasNews('fake')).toBe(false)

  chain.add(1)
  await wait(30_000)
  for (let asked = 0; asked < 8; asked++) wakes.polled('fake', 10n)
  expect(wakes.hasNews('fake')).toBe(false)
  expect(told).toEqual([])
  await wakes.close()
  await node.close()
})

test('without a WebSocket a wait is as long as it is said', async () => {
  const waits: number[] = []
  const clock = { ...systemClock, sleep: (ms: number) => Promise.resolve(void waits.push(ms)) }
  const wakes = new Wakes({ chains: [], surroundings: { clock, env: {} }, emit: () => undefined })
  await wakes.wait(2_000, new AbortController().signal)
  expect(waits).toEqual([2_000])
  await wakes.close()
})
