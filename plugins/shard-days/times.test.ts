import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RpcPool } from '../../src/sdk/authors.js'
import { BlockTimes } from './times.js'

const signal = new AbortController().signal
const hash = (n: number, fork = 'a') => `0x${fork}${n.toString(16).padStart(63, '0')}`

/** Answers headers of a chain with these times in seconds, and counts the calls. */
function poolOf(times: readonly number[], change: (n: number) => object = () => ({})) {
  const asked: number[] = []
  const batch: RpcPool['batch'] = (calls) => {
    const numbers = calls.map(({ params }) => Number(params[0]))
    asked.push(...numbers)
    const values = numbers.map((n) => ({
      number: `0x${n.toString(16)}`,
      timestamp: `0x${(times[n] ?? 0).toString(16)}`,
      hash: hash(n),
      parentHash: hash(n - 1),
      ...change(n),
    }))
    return Promise.resolve({ values, errors: undefined, endpoints: [] })
  }
  return { rpc: { batch } as Partial<RpcPool> as RpcPool, asked }
}

test('a time begins with the first block that is not before it, whatever the times of blocks are', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.constant(0), fc.nat(3), fc.nat(100_000)), { minLength: 1, maxLength: 80 }),
      fc.array(fc.nat(), { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async (steps, wanted, noGenesis) => {
        let time = 1_700_000_000
        const times = steps.map((step) => (time += step))
        if (noGenesis) times[0] = 0
        const { rpc } = poolOf(times)
        const blocks = new BlockTimes(rpc)
        const end = (times.at(-1) ?? 0) + 10
        const all = wanted.map((each) =>
          each % 3 === 0 ? (times[each % times.length] ?? 0) : 1_699_999_990 + (each % (end - 1_699_999_990)),
        )
        // At once, as units ask.
        const found = await Promise.all(
          all.map((each) => blocks.first(BigInt(each) * 1_000_000n, { top: BigInt(times.length - 1), signal })),
        )
        for (const [i, each] of all.entries()) {
          const first = times.findIndex((one) => one >= each)
          expect(found[i]?.at?.number).toBe(first < 0 ? undefined : BigInt(first))
          const before = first < 0 ? times.length - 1 : first - 1
          expect(found[i]?.before?.number).toBe(before < 0 ? undefined : BigInt(before))
        }
      },
    ),
    { numRuns: 150 },
  )
})

test('a day of a long chain is found with a few calls, and the next one with fewer', async () => {
  const times = Array.from({ length: 500_000 }, (_, n) => 1_600_000_000 + 2 * n + (n % 7 === 0 ? 1 : 0) + Math.floor(n / 300_000) * 5_000)
  const { rpc, asked } = poolOf(times)
  const blocks = new BlockTimes(rpc)
  const asking = { top: BigInt(times.length - 1), signal }
  const counts = [7, 8, 9, 10].map((day) => BigInt(1_600_041_600 + day * 86_400) * 1_000_000n)
  const calls: number[] = []
  for (const us of counts) {
    const before = asked.length
    const { at } = await blocks.first(us, asking)
    expect(at?.number).toBe(BigInt(times.findIndex((time) => BigInt(time) * 1_000_000n >= us)))
    calls.push(asked.length - before)
  }
  expect(Math.max(...calls)).toBeLessThan(40)
  const before = asked.length
  await blocks.first(counts[2] as bigint, asking)
  expect(asked.length).toBe(before)
})

test.each([
  ['another block than the one that is asked for', (n: number) => (n === 3 ? { number: '0x2' } : {}), 'asked for block 3 and got 0x2'],
  ['a block that is older than its parent', (n: number) => (n === 3 ? { timestamp: '0x5' } : {}), 'block 3 has an earlier time than block'],
  ['blocks of two forks', (n: number) => (n === 3 ? { parentHash: hash(9, 'b') } : {}), 'block 3 goes on from'],
])('%s is refused by name', async (_, change, words) => {
  const { rpc } = poolOf([100, 200, 300, 400, 500], change)
  await expect(new BlockTimes(rpc).first(350_000_000n, { top: 4n, signal })).rejects.toThrow(words)
})
