import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RpcLog } from '../../src/sdk/authors.js'
import { preparing } from './pages.js'
import { type Border, type Part, Seams } from './seams.js'

const log = (block: number, logIndex: number) => ({ blockNumber: BigInt(block), logIndex }) as RpcLog

test('pages in any order become parts that are whole in time: each log once, in the part that covers the time of its block', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(0, 0, 1, 5), { minLength: 1, maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 40 }),
      fc.infiniteStream(fc.nat()),
      (steps, sizes, random) => {
        let at = 100
        const times = steps.map((step) => (at += step))
        const last = times.length - 1
        const borderAt = (block: number): Border =>
          block > last
            ? { number: BigInt(block), time: BigInt(at + 10) }
            : { number: BigInt(times.indexOf(times[block] as number)), time: BigInt(times[block] as number) }
        const pages: Part[] = []
        for (let from = 0, i = 0; from <= last; i++) {
          const to = Math.min(last, from + (sizes[i % sizes.length] as number) - 1)
          const logs = Array.from({ length: to - from + 1 }, (_, j) => [log(from + j, 0), log(from + j, 1)]).flat()
          const ends = { begins: borderAt(from), ends: borderAt(to + 1) }
          pages.push({ from: BigInt(from), to: BigInt(to), logs, headers: new Map(), evidence: {}, endpoints: [], ...ends })
          from = to + 1
        }
        const shuffled = pages.map((page) => ({ page, key: random.next().value as number })).sort((a, b) => a.key - b.key)
        const seams = new Seams()
        const parts = shuffled.flatMap(({ page }) => seams.add(page))
        const inOrder = [...parts].sort((a, b) => (a.from < b.from ? -1 : 1))
        expect(inOrder.flatMap(({ logs }) => logs)).toEqual(pages.flatMap(({ logs }) => logs))
        for (const { logs, begins, ends } of parts)
          for (const { blockNumber } of logs) {
            const time = BigInt(times[Number(blockNumber)] as number)
            expect(time >= begins.time && time < ends.time).toBe(true)
          }
      },
    ),
    { numRuns: 150 },
  )
})

test('what is prepared is given at once, while the next of the list is still waited for', async () => {
  let go: () => void = () => undefined
  async function* list() {
    yield 1
    await new Promise<void>((resolve) => (go = resolve))
    yield 2
  }
  const given: number[] = []
  for await (const item of preparing(list(), (n) => Promise.resolve(10 * n), 5)) {
    given.push(item)
    go()
  }
  expect(given).toEqual([10, 20])
})

test('what was ready before a failure of the list or of a preparation is given, then the failure is thrown', async () => {
  async function* list() {
    yield* [1, 2, 3]
    await Promise.resolve()
    throw new Error('list')
  }
  const read = async (prepare: (n: number) => Promise<number>) => {
    const given: number[] = []
    try {
      for await (const item of preparing(list(), prepare, 2)) given.push(item)
    } catch (error) {
      return [given, (error as Error).message]
    }
    return [given]
  }
  expect(await read((n) => Promise.resolve(n))).toEqual([[1, 2, 3], 'list'])
  expect(await read((n) => (n === 2 ? Promise.reject(new Error('second')) : Promise.resolve(n)))).toEqual([[1], 'second'])
})
