import type { LedgerRow, Wanted } from '../sdk/index.js'
import { nameOf } from '../ledger/axis.js'
import { count, hull, type Interval, mod } from '../ledger/intervals.js'
import { numbersOf } from '../ledger/coverage.js'
import { stretchOf } from './stretches.js'

/** Rows of the ledger that are counted as one. */
export interface WholeUnit {
  readonly name: string
  readonly rows: readonly LedgerRow[]
  /** From the first place of them to the last. */
  readonly stretch: Interval
  /** Whether they are all of the unit. */
  readonly whole: boolean
}

/**
 * Done units as their rows can be counted. Of a day that was read in parts, since a run was killed, all parts are one: rows that
 * say only their day do not tell which part they are of.
 */
export function wholeUnits(wanted: Wanted, done: readonly LedgerRow[]): WholeUnit[] {
  const placed = done.flatMap((row) => {
    const stretch = stretchOf(wanted, row)
    return stretch ? [{ row, stretch }] : []
  })
  const axis = wanted.kind === 'stretches' ? wanted.axis : undefined
  if (axis?.of !== 'time' || axis.cut === undefined || axis.names === 'ends')
    return placed.map(({ row, stretch }) => ({ name: row.unit, rows: [row], stretch, whole: true }))
  const { cut } = axis
  const groups: { rows: LedgerRow[]; stretches: Interval[]; all: Interval }[] = []
  for (const { row, stretch } of placed.sort((a, b) => (a.stretch[0] < b.stretch[0] ? -1 : 1))) {
    const all: Interval = [stretch[0] - mod(stretch[0], cut), stretch[1] - mod(stretch[1], cut) + cut - 1n]
    const last = groups.at(-1)
    if (!last || all[0] > last.all[1]) groups.push({ rows: [row], stretches: [stretch], all })
    else {
      last.rows.push(row)
      last.stretches.push(stretch)
      last.all = [last.all[0], all[1] > last.all[1] ? all[1] : last.all[1]]
    }
  }
  return groups.map(({ rows, stretches, all }) => {
    const [only] = rows
    const [from = 0n, to = 0n] = hull(stretches)
    const name = rows.length === 1 && only ? only.unit : nameOf(axis, all)
    return { name, rows, stretch: [from, to], whole: count(stretches) === all[1] - all[0] + 1n }
  })
}

/** The same units, as the numbers that they hold. Those that say none are left out. */
export function numberedUnits(wanted: Wanted, done: readonly LedgerRow[]): WholeUnit[] {
  return wholeUnits(wanted, done).flatMap((unit) => {
    const held = unit.rows.flatMap(({ coverage }) => {
      const numbers = numbersOf(coverage)
      return numbers ? [numbers] : []
    })
    const [first] = held
    if (!first) return []
    const stretch = held.reduce(([from, to], [first, last]): Interval => [first < from ? first : from, last > to ? last : to], first)
    return [{ ...unit, stretch }]
  })
}
