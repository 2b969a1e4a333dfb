import type { Axis, Interval, LedgerRow } from '../sdk/index.js'
import { rowStretch } from './axis.js'
import { subtract, union } from './intervals.js'
import type { Ledger } from './standing.js'

/**
 * Ledger rows that no plan can need again once everything is read: those of older definitions, and those of units that never
 * came to their end, where other units have covered the same stretch since. `asked`: what was wanted of the axis; what lies outside stays.
 * `redone`: units of this plan replaced rows of older definitions. `byTable`: the table itself says what is read.
 */
export function forgotten(
  { rows, fingerprint }: Ledger,
  axis: Axis | undefined,
  {
    asked,
    redone,
    byTable,
    keeps,
  }: { readonly asked: Interval | undefined; readonly redone: boolean; readonly byTable: boolean; keeps(row: LedgerRow): boolean },
): readonly LedgerRow[] {
  const stretchOf = (row: LedgerRow) => axis && rowStretch(axis, row)
  const current = rows.filter((row) => row.fingerprint === fingerprint)
  const open = current.filter((row) => row.state !== 'done' && row.state !== 'quarantined')
  const within = (row: LedgerRow, stretches: readonly Interval[]) => {
    const at = stretchOf(row)
    return at !== undefined && subtract([at], stretches).length === 0
  }
  const replaced = (row: LedgerRow) => !keeps(row) && (!asked || within(row, [asked]))
  const older = redone ? rows.filter((row) => row.fingerprint !== fingerprint && replaced(row)) : []
  if (open.length === 0) return older
  const done = union(current.flatMap((row) => (row.state === 'done' ? (stretchOf(row) ? [stretchOf(row) as Interval] : []) : [])))
  return [...older, ...open.filter((row) => byTable || within(row, done))]
}
