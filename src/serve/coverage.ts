import { type LedgerRow, parseDay, parseInstant } from '../sdk/index.js'
import { coveredBy } from '../ledger/standing.js'
import { RESET_FINGERPRINT } from '../ledger/fingerprints.js'
import { Line } from './line.js'

/** What is known of a place: nothing (`missing`), that it is read, how sure that is, or what keeps it from being read. */
export const COVERAGE_STATES = ['missing', 'done', 'proved', 'empty', 'quarantined', 'running'] as const
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

/** The stretches of units of a step as the ledger has them. */
export function stretchesOf(rows: readonly LedgerRow[], isProved: boolean): Stretch[] {
  return rows.flatMap((row) => partsOf(row, isProved))
}

function partsOf(row: LedgerRow, isProved: boolean): Stretch[] {
  if (row.first === undefined || row.last === undefined || row.fingerprint === RESET_FINGERPRINT) return []
  const [from, to] = [Number(row.first), Number(row.last)]
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to)) return []
  const read = isProved ? 'proved' : 'done'
  if (row.state === 'done') return row.coverage?.tentative === undefined ? [{ from, to, state: isEmpty(row) ? 'empty' : read }] : []
  const covered = coveredBy(row, undefined).map(([first, last]): Stretch => ({ from: Number(first), to: Number(last), state: read }))
  const rest = row.state === 'quarantined' || row.state === 'running' ? row.state : 'missing'
  return [{ from, to, state: rest }, ...covered]
}

/** Nothing was there, and the source said so in a way that is kept. */
function isEmpty({ rows, evidence }: LedgerRow): boolean {
  const counts = Object.values(rows)
  return evidence !== undefined && evidence !== null && counts.length > 0 && counts.every((count) => count === 0)
}

/** What says more of a place wins where stretches overlap. */
const WEIGHT: Readonly<Record<CoverageState, number>> = { missing: 0, running: 1, quarantined: 2, done: 3, empty: 4, proved: 5 }

/** Without overlaps, with neighbours of one state joined. */
export function tidied(stretches: readonly Stretch[]): Line {
  return laid([...stretches].sort(byPlace))
}

/** A line with other stretches laid over it. */
export function overlaid(line: Line, stretches: readonly Stretch[]): Line {
  return stretches.length === 0 ? line : laid(merged(line, [...stretches].sort(byPlace)))
}

const byPlace = (a: Stretch, b: Stretch) => a.from - b.from || WEIGHT[b.state] - WEIGHT[a.state]

function* merged(line: Line, sorted: readonly Stretch[]): Generator<Stretch> {
  let next = 0
  for (const stretch of line) {
    for (let other = sorted[next]; other && byPlace(other, stretch) < 0; other = sorted[++next]) yield other
    yield stretch
  }
  yield* sorted.slice(next)
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
