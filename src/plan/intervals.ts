import { formatInstant, parseInstant } from '../sdk/index.js'

/** A stretch of whole numbers, both ends included. */
export type Interval = readonly [from: bigint, to: bigint]

/** The same numbers as sorted stretches that neither touch nor overlap. */
export function union(intervals: Iterable<Interval>): Interval[] {
  const sorted = [...intervals].filter(([from, to]) => from <= to).sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0))
  const result: [bigint, bigint][] = []
  for (const [from, to] of sorted) {
    const last = result.at(-1)
    if (last && from <= last[1] + 1n) {
      if (to > last[1]) last[1] = to
    } else {
      result.push([from, to])
    }
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
  const left = union(a)
  return subtract(left, subtract(left, b))
}

/** How many numbers there are. */
export function count(intervals: Iterable<Interval>): bigint {
  let sum = 0n
  for (const [from, to] of union(intervals)) sum += to - from + 1n
  return sum
}

/** Cuts a stretch at multiples of `size`, oldest first: 500-1500 by 1000 is 500-999, 1000-1500. */
export function* cutAligned([from, to]: Interval, size: bigint): Iterable<Interval> {
  for (let at = from; at <= to;) {
    const end = at - mod(at, size) + size - 1n
    yield [at, end < to ? end : to]
    at = end + 1n
  }
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

/** `18000500-18000999`. */
export function intervalKey([from, to]: Interval): string {
  return `${from}-${to}`
}

/** `2024-03-01T00:00:00Z..2024-03-01T23:59:59.999999Z`: microseconds UTC, both included. */
export function timeKey([from, to]: Interval): string {
  return `${formatInstant(from)}..${formatInstant(to)}`
}

/** The stretch that a key names, in numbers or in microseconds UTC; undefined for another kind of key. */
export function parseIntervalKey(key: string): Interval | undefined {
  const match = /^(-?\d+)-(-?\d+)$/.exec(key)
  if (match) return [BigInt(match[1] ?? ''), BigInt(match[2] ?? '')]
  const [first, last, ...more] = key.split('..')
  if (first === undefined || last === undefined || more.length > 0) return undefined
  const [from, to] = [parseInstant(first), parseInstant(last)]
  if (from === undefined || to === undefined) return undefined
  // Names of other units hold two dots, too, and may look like times.
  return timeKey([from, to]) === key ? [from, to] : undefined
}

/** Names stretches as `key` is named. */
export function namedAs(key: string): (interval: Interval) => string {
  return key.includes('..') ? timeKey : intervalKey
}

function mod(value: bigint, size: bigint): bigint {
  return ((value % size) + size) % size
}
