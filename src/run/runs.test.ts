import { array, assert, bigInt, constantFrom, oneof, property } from 'fast-check'
import { expect, test } from 'vitest'
import { type Compare, Runs } from './runs.js'

const integers: Compare<unknown> = (a, b) => (typeof a === 'bigint' && typeof b === 'bigint' ? Number(a - b) : undefined)

const apart = (lists: readonly (readonly unknown[])[]): boolean => {
  const runs = new Runs(integers)
  for (const list of lists) {
    runs.begin()
    for (const value of list) if (!runs.add(value)) return false
  }
  return runs.apart()
}

test('runs that are apart have no value twice', () => {
  const value = bigInt({ min: -20n, max: 20n })
  const list = oneof(
    array(value, { maxLength: 4 }),
    array(value, { maxLength: 6 }).map((all) => all.sort((a, b) => Number(a - b))),
  )
  assert(
    property(array(list, { maxLength: 4 }), (lists) => {
      const all = lists.flat()
      if (apart(lists)) expect(new Set(all).size).toBe(all.length)
    }),
    { numRuns: 2_000 },
  )
})

test('lists in order, up or down and in any order of each other, are seen to be apart', () => {
  expect(apart([[7n, 8n, 9n], [], [3n, 2n, 1n], [5n]])).toBe(true)
})

test('nothing is said of what is no integer, and of too many runs', () => {
  assert(property(constantFrom('1', 1, undefined, null), (value) => void expect(apart([[1n, value]])).toBe(false)))
  expect(apart(Array.from({ length: 1_001 }, (_, i) => [BigInt(i)]))).toBe(false)
})
