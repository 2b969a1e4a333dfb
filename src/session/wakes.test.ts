import { expect, test } from 'vitest'
import { systemClock } from '../cli/system-clock.js'
import type { Chain } from '../pipeline/pipeline.js'
import { fakeChain } from '../sandbox/index.js'
import { Wakes } from './wakes.js'

/** Waits of a minute, which a WebSocket ends. */
async function world() {
  const chain = fakeChain({ blocks: 10 })
  const node = await chain.serve()
  const sockets = [{ url: `${node.url.replace('http', 'ws')}/v2/key-0123456789abcdef`, headers: {} }]
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
  const close = async () => {
    await wakes.close()
    await node.close()
  }
  return { chain, node, wakes, told, wait, close }
}

test('a block that a WebSocket tells of ends the wait at once; an endpoint that does not have it yet is asked again soon', async () => {
  const { chain, wakes, told, wait, close } = await world()
  expect(wakes.hasNews('fake')).toBe(true)
  // Nobody has asked since.
  expect(await wait(30_000)).toBeLessThan(200)
  wakes.polled('fake', 10n)
  expect(wakes.hasNews('fake')).toBe(false)
  expect(await wait(30_000)).toBeLessThan(5_000)
  wakes.polled('fake', chain.head)
  expect([wakes.hasNews('fake'), told]).toEqual([false, []])
  await close()
})

test('one that looks do not find rests nothing, is named once, and keeps nobody from hearing of the next', async () => {
  const { chain, node, wakes, told, wait, close } = await world()
  wakes.polled('fake', chain.head)
  const fault = node.fault({ kind: 'heads', as: 'made-up', times: 1 })
  chain.add(1)
  await wait(30_000)
  for (let asked = 0; asked < 20; asked++) wakes.polled('fake', chain.head)
  expect([fault.hits, wakes.hasNews('fake')]).toEqual([1, false])
  chain.add(1)
  expect(await wait(30_000)).toBeLessThan(10_000)
  const answered = `it told of block ${2n ** 64n - 1n}, their head is ${chain.head - 1n}`
  const message = `fake: the heads that ${new URL(node.url).host} tells of are not what its endpoints answer (${answered}); heads are asked for until they are`
  expect(told).toEqual([{ type: 'warning', message }])
  await close()
})

test('without a WebSocket a wait is as long as it is said', async () => {
  const waits: number[] = []
  const clock = { ...systemClock, sleep: (ms: number) => Promise.resolve(void waits.push(ms)) }
  const wakes = new Wakes({ chains: [], surroundings: { clock, env: {} }, emit: () => undefined })
  await wakes.wait(2_000, new AbortController().signal)
  expect(waits).toEqual([2_000])
  await wakes.close()
})
