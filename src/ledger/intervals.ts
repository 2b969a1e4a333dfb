import type { Interval } from '../sdk/index.js'

export type { Interval }

/** The same numbers as sorted stretches that neither touch nor overlap. */
export function union(intervals: Iterable<Interval>): Interval[] {
  const sorted = [...intervals].filter(([from, to]) => from <= to).sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0))
  const result: Interval[] = []
  for (const interval of sorted) {
    const last = result.at(-1)
    // Those that stay as they are are not made anew: a ledger may have very many, and a plan asks for many unions.
    if (!last || interval[0] > last[1] + 1n) result.push(interval)
    else if (interval[1] > last[1]) result[result.length - 1] = [last[0], interval[1]]
  }
  return result
}

/** The numbers of `wanted` that are not in `done`, sorted. */
export function subtract(wanted: Iterable<Interval>, done: Iterable<Interval>): Interval[] {
  const holes = union(done)
  const result: Interval[] = []
  let next = 0
  for (const [from, to] of union(wanted)) {
    let at = from
    while (next > 0 && (holes[next - 1]?.[1] ?? -1n) >= from) next--
    for (; next < holes.length; next++) {
      const hole = holes[next]
      if (!hole || hole[0] > to) break
      if (hole[1] < at) continue
      if (hole[0] > at) result.push([at, hole[0] - 1n])
      if (hole[1] + 1n > at) at = hole[1] + 1n
      if (at > to) break
    }
    if (at <= to) result.push([at, to])
  }
  return result
}

/** The numbers that are in both. */
export function intersect(a: Iterable<Interval>, b: Iterable<Interval>): Interval[] {
  const [left, right] = [union(a), union(b)]
  const result: Interval[] = []
  for (let i = 0, j = 0; i < left.length && j < right.length;) {
    const [one, other] = [left[i] as Interval, right[j] as Interval]
    const from = one[0] > other[0] ? one[0] : other[0]
    const to = one[1] < other[1] ? one[1] : other[1]
    if (from <= to) result.push([from, to])
    if (one[1] < other[1]) i++
    else j++
  }
  return result
}

/** How many numbers there are. */
export function count(intervals: Iterable<Interval>): bigint {
  let sum = 0n
  for (const [from, to] of union(intervals)) sum += to - from + 1n
  return sum
}

/** Cuts a stretch at multiples of `size`, oldest first: 500-1500 by 1000 is 500-999, 1000-1500. */
export function* cutAligned(interval: Interval, size: bigint): Iterable<Interval> {
  const parts = partsOf(interval, size)
  for (let i = 0n; i < parts; i++) yield partAt(interval, size, i)
}

/** How many parts a stretch is cut into. */
export function partsOf([from, to]: Interval, size: bigint): bigint {
  return from > to ? 0n : (to - (from - mod(from, size))) / size + 1n
}

/** One of the parts of a stretch that is cut at multiples of `size`, counted from 0. */
export function partAt([from, to]: Interval, size: bigint, index: bigint): Interval {
  const start = from - mod(from, size) + index * size
  const end = start + size - 1n
  return [index === 0n ? from : start, end < to ? end : to]
}

/** The first numbers, or the last ones, of sorted stretches, at most `limit`. */
export function take(intervals: readonly Interval[], limit: bigint, from: 'start' | 'end'): Interval[] {
  const result: Interval[] = []
  let left = limit
  const ordered = from === 'start' ? intervals : [...intervals].reverse()
  for (const [first, last] of ordered) {
    if (left <= 0n) break
    const size = last - first + 1n
    const kept = size < left ? size : left
    result.push(from === 'start' ? [first, first + kept - 1n] : [last - kept + 1n, last])
    left -= kept
  }
  return from === 'start' ? result : result.reverse()
}

/** Whether a stretch shares a number with one of these. */
export function overlaps(intervals: readonly Interval[], [from, to]: Interval): boolean {
  return intervals.some((other) => other[0] <= to && other[1] >= from)
}

/** The first and the last number of sorted stretches; empty where there are none. */
export function hull(intervals: readonly Interval[]): Interval | [] {
  const first = intervals[0]
  const last = intervals.at(-1)
  return first && last ? [first[0], last[1]] : []
}

/** The remainder that is never negative. */
export function mod(value: bigint, size: bigint): bigint {
  return ((value % size) + size) % size
}
