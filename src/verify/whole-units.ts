import type { LedgerRow, Wanted } from '../sdk/index.js'
import { nameOf } from '../ledger/axis.js'
import { count, hull, type Interval, mod } from '../ledger/intervals.js'
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
  const axis = wanted.kind === 'stretches' ? wanted.axis : undefined
  const cut = axis?.of === 'time' && axis.names !== 'ends' ? axis.cut : undefined
  const groups = new Map<string, { name: string; rows: LedgerRow[]; stretches: Interval[] }>()
  for (const row of done) {
    const stretch = stretchOf(wanted, row)
    if (!stretch) continue
    const start = cut === undefined ? undefined : stretch[0] - mod(stretch[0], cut)
    const name = axis && cut !== undefined && start !== undefined ? nameOf(axis, [start, start + cut - 1n]) : row.unit
    const known = groups.get(name) ?? { name, rows: [], stretches: [] }
    groups.set(name, known)
    known.rows.push(row)
    known.stretches.push(stretch)
  }
  return [...groups.values()].map(({ name, rows, stretches }) => {
    const [first = 0n, last = 0n] = hull([...stretches].sort((a, b) => (a[0] < b[0] ? -1 : 1)))
    return { name, rows, stretch: [first, last], whole: cut === undefined || count(stretches) === cut }
  })
}
