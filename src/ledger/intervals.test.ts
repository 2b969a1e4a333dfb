import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { count, cutAligned, intersect, type Interval, subtract, take, union } from './intervals.js'

const intervals = fc.array(
  fc
    .tuple(fc.integer({ min: -50, max: 200 }), fc.integer({ min: 0, max: 30 }))
    .map(([from, size]): Interval => [BigInt(from), BigInt(from + size)]),
  { maxLength: 12 },
)

const numbers = (list: Iterable<Interval>) => {
  const set = new Set<bigint>()
  for (const [from, to] of list) for (let n = from; n <= to; n++) set.add(n)
  return [...set].sort((a, b) => (a < b ? -1 : 1))
}

describe('intervals', () => {
  it('a union holds each number once and its stretches never touch', () => {
    fc.assert(
      fc.property(intervals, (list) => {
        const result = union(list)
        expect(numbers(result)).toEqual(numbers(list))
        result.slice(1).forEach(([from], i) => expect(from > (result[i]?.[1] ?? 0n) + 1n).toBe(true))
      }),
    )
  })

  it('a difference holds exactly the numbers that are wanted and not done', () => {
    fc.assert(
      fc.property(intervals, intervals, (wanted, done) => {
        const gone = new Set(numbers(done))
        expect(numbers(subtract(wanted, done))).toEqual(numbers(wanted).filter((n) => !gone.has(n)))
      }),
    )
  })

  it('an intersection holds exactly the numbers in both', () => {
    fc.assert(
      fc.property(intervals, intervals, (a, b) => {
        const other = new Set(numbers(b))
        expect(numbers(intersect(a, b))).toEqual(numbers(a).filter((n) => other.has(n)))
        expect(count(intersect(a, b))).toBe(BigInt(numbers(a).filter((n) => other.has(n)).length))
      }),
    )
  })

  it('cutting at aligned borders loses and doubles nothing, and equal ranges are cut the same way wherever they begin', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -100, max: 300 }),
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 1, max: 40 }),
        (from, length, size) => {
          const pieces = [...cutAligned([BigInt(from), BigInt(from + length)], BigInt(size))]
          expect(pieces.flatMap((piece) => numbers([piece]))).toEqual(numbers([[BigInt(from), BigInt(from + length)]]))
          for (const [first] of pieces.slice(1)) expect(((first % BigInt(size)) + BigInt(size)) % BigInt(size)).toBe(0n)
        },
      ),
    )
  })

  it('taking from either end keeps that many numbers of that end', () => {
    fc.assert(
      fc.property(intervals, fc.integer({ min: 0, max: 60 }), fc.constantFrom('start' as const, 'end' as const), (list, limit, end) => {
        const sorted = union(list)
        const all = numbers(sorted)
        const kept = end === 'start' ? all.slice(0, limit) : all.slice(Math.max(0, all.length - limit))
        expect(numbers(take(sorted, BigInt(limit), end))).toEqual(kept)
      }),
    )
  })
})
