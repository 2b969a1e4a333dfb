import { parseDay, parseInstant } from '../sdk/index.js'
import { Line } from './line.js'

/**
 * What is known of a place: nothing (`missing`), that it is read, how sure that is, or what keeps it from being read. `stale`: it was
 * read, and a run will read it again.
 */
export const COVERAGE_STATES = ['missing', 'done', 'proved', 'empty', 'quarantined', 'running', 'stale'] as const
export type CoverageState = (typeof COVERAGE_STATES)[number]

/** A stretch of blocks, lines or microseconds UTC, both ends included. */
export interface Stretch {
  readonly from: number
  readonly to: number
  readonly state: CoverageState
}

/** A part of the line with how many of its places are in each state. */
export interface Bucket {
  readonly from: number
  readonly to: number
  readonly places: Readonly<Partial<Record<CoverageState, number>>>
}

/** What counts of a place wins where stretches overlap: what is stale hides nothing but what is missing. */
const WEIGHT: Readonly<Record<CoverageState, number>> = { missing: 0, stale: 1, running: 2, quarantined: 3, done: 4, empty: 5, proved: 6 }

/** Without overlaps, with neighbours of one state joined. */
export function tidied(stretches: readonly Stretch[]): Line {
  return laid([...stretches].sort(byPlace))
}

/** A line with other stretches laid over it. */
export function overlaid(line: Line, stretches: readonly Stretch[] | Line): Line {
  if (stretches.length === 0) return line
  return laid(merged(line, stretches instanceof Line ? stretches : [...stretches].sort(byPlace)))
}

/** A line without the places of another one. */
export function without(line: Line, places: Line): Line {
  const left = new Line()
  for (const { from, to, state } of line) {
    let next = from
    for (let i = places.firstAt(from); ; i++) {
      const cut = places.at(i)
      if (!cut || cut.from > to) break
      if (cut.from > next) left.add({ from: next, to: cut.from - 1, state })
      next = cut.to + 1
    }
    if (next <= to) left.add({ from: next, to, state })
  }
  return left
}

const byPlace = (a: Stretch, b: Stretch) => a.from - b.from || WEIGHT[b.state] - WEIGHT[a.state]

function* merged(line: Iterable<Stretch>, sorted: Iterable<Stretch>): Generator<Stretch> {
  const others = sorted[Symbol.iterator]()
  let other = others.next()
  for (const stretch of line) {
    for (; other.done !== true && byPlace(other.value, stretch) < 0; other = others.next()) yield other.value
    yield stretch
  }
  for (; other.done !== true; other = others.next()) yield other.value
}

/** What comes sorted by where it begins. */
function laid(sorted: Iterable<Stretch>): Line {
  const line = new Line()
  // Stretches that hang together: nearly always one, since units do not overlap.
  let group: Stretch[] = []
  let to = -Infinity
  const put = () => {
    const [only] = group
    for (const part of group.length === 1 && only ? [only] : layered(group)) line.add(part)
    group = []
  }
  for (const stretch of sorted) {
    if (stretch.from > to) put()
    group.push(stretch)
    to = Math.max(to, stretch.to)
  }
  put()
  return line
}

function layered(group: readonly Stretch[]): Stretch[] {
  const edges = [...new Set(group.flatMap(({ from, to }) => [from, to + 1]))].sort((a, b) => a - b)
  return edges.slice(0, -1).flatMap((from, i): Stretch[] => {
    const to = (edges[i + 1] ?? from + 1) - 1
    const over = group.filter((stretch) => stretch.from <= from && stretch.to >= to)
    const top = over.reduce<Stretch | undefined>(
      (best, next) => (best && WEIGHT[best.state] >= WEIGHT[next.state] ? best : next),
      undefined,
    )
    return top ? [{ from, to, state: top.state }] : []
  })
}

export interface Window {
  readonly from: number
  readonly to: number
}

/** The stretches in a window, with those between them that nothing is known of as missing; undefined where they are more than `most`. */
export function inWindow(line: Line, { from, to }: Window, most = Infinity): Stretch[] | undefined {
  const result: Stretch[] = []
  let next = from
  for (let i = line.firstAt(from); ; i++) {
    const stretch = line.at(i)
    if (!stretch || stretch.from > to) break
    if (result.length > most) return undefined
    if (stretch.from > next) result.push({ from: next, to: stretch.from - 1, state: 'missing' })
    result.push({ ...stretch, from: Math.max(stretch.from, from), to: Math.min(stretch.to, to) })
    next = stretch.to + 1
  }
  if (next <= to) result.push({ from: next, to, state: 'missing' })
  return result.length > most ? undefined : result
}

/** The window in at most `most` parts of one length. */
export function buckets(line: Line, { from, to }: Window, most: number): Bucket[] {
  const length = Math.max(1, Math.ceil((to - from + 1) / most))
  const result: { from: number; to: number; places: Partial<Record<CoverageState, number>> }[] = []
  for (let start = from; start <= to; start += length) result.push({ from: start, to: Math.min(to, start + length - 1), places: {} })
  for (let n = line.firstAt(from); ; n++) {
    const stretch = line.at(n)
    if (!stretch || stretch.from > to) break
    for (let i = Math.floor((Math.max(stretch.from, from) - from) / length); i < result.length; i++) {
      const bucket = result[i]
      if (!bucket || bucket.from > stretch.to) break
      count(bucket.places, stretch.state, Math.min(bucket.to, stretch.to) - Math.max(bucket.from, stretch.from) + 1)
    }
  }
  for (const { from: first, to: last, places } of result) {
    const unknown = Object.values(places).reduce((left, known) => left - known, last - first + 1)
    if (unknown > 0) count(places, 'missing', unknown)
  }
  return result
}

function count(places: Partial<Record<CoverageState, number>>, state: CoverageState, more: number): void {
  places[state] = (places[state] ?? 0) + more
}

const NUMBERS = /^(-?\d+)-(-?\d+)$/
const DAY_US = 86_400_000_000

/** Where a unit lies, by its name; undefined for one whose name does not say it. */
export function placeOf(unit: string): Window | undefined {
  const [, first, last] = NUMBERS.exec(unit) ?? []
  if (first !== undefined && last !== undefined) return { from: Number(first), to: Number(last) }
  const day = parseDay(unit)
  if (day !== undefined) return { from: day * DAY_US, to: (day + 1) * DAY_US - 1 }
  const [from, to] = unit.split('..').map((text) => parseInstant(text))
  return from === undefined || to === undefined ? undefined : { from: Number(from), to: Number(to) }
}

export const isNumbers = (unit: string): boolean => NUMBERS.test(unit)
