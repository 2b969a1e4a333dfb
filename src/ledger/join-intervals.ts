import type { Amendment, Amendments, Axis, LedgerRow, LedgerStep } from '../sdk/index.js'
import { nameOf, rowStretch } from './axis.js'
import { type Interval, mod } from './intervals.js'
import { borderAbove, UNITS_JOINED } from './join.js'
import { isStated, stored } from './standing.js'

/** So many of the newest rows are left apart: they are computed again soon, as what they read goes on. */
const NEWEST = 128

interface Piece {
  readonly at: Interval
  readonly row: LedgerRow
}

/**
 * Intervals of time that were computed, and lie side by side, become one row, up to aligned borders, which keeps of each how many rows it
 * has: a step that follows a head would leave 288 rows a day. `unitsApart` gives them apart again, to whoever reads the ledger. So that it is
 * not done in each round, as many wait for it as are left apart. `keeps`: what needs a row of its own.
 */
export function joinedIntervals(rows: readonly LedgerRow[], step: LedgerStep, axis: Axis, keeps: (row: LedgerRow) => boolean): Amendments {
  const { cut } = axis
  const settled = cut === undefined ? [] : rows.flatMap((row) => pieceOf(row, step, axis, cut, keeps))
  settled.sort((a, b) => (a.at[0] < b.at[0] ? -1 : 1))
  const own = settled.filter(({ row }) => !row.isPart)
  const newest = own.at(-NEWEST)?.at[0]
  if (cut === undefined || newest === undefined || own.length <= 2 * NEWEST) return { put: [], drop: [] }
  const groups: Piece[][] = []
  for (const piece of settled) {
    if (!piece.row.isPart && piece.at[0] >= newest) continue
    const [first, last] = [groups.at(-1)?.[0], groups.at(-1)?.at(-1)]
    const touches = first !== undefined && last !== undefined && last.at[1] + 1n === piece.at[0] && isAlike(last.row, piece.row)
    if (touches && piece.at[1] < borderAbove(first.at[0], cut * UNITS_JOINED)) groups.at(-1)?.push(piece)
    else groups.push([piece])
  }
  const changed = groups.filter((group) => !isAsItWas(group, axis) && (group.length > 1 || group[0]?.row.isPart === true))
  const put = changed.map((group) => joinedRow(group, step, axis, cut))
  const names = new Set(put.map(({ unit }) => unit))
  const inside = new Set(changed.flat().map(({ row }) => row))
  // A joined row stays while it alone says something of a unit.
  const needed = new Set(rows.flatMap((row) => (row.isPart && !inside.has(row) ? (row.joinedIn?.slice(0, 1) ?? []) : [])))
  const gone = [
    ...[...inside].flatMap(({ unit, isPart }) => (isPart ? [] : [unit])),
    ...new Set(rows.flatMap(({ joinedIn = [] }) => joinedIn).filter((unit) => !needed.has(unit))),
  ]
  return { put, drop: gone.flatMap((unit) => (names.has(unit) ? [] : [{ step: step.step, unit }])) }
}

function pieceOf(row: LedgerRow, step: LedgerStep, axis: Axis, cut: bigint, keeps: (row: LedgerRow) => boolean): Piece[] {
  const at = rowStretch(axis, row)
  const { numbers, blocks, redo, tentative } = row.coverage ?? {}
  const isPlain = [row.evidence, row.cursor, row.error, numbers, blocks, redo, tentative].every((one) => one === undefined)
  const isWhole = at !== undefined && mod(at[0], cut) === 0n && at[1] === at[0] + cut - 1n
  const isDone = row.state === 'done' && row.fingerprint === step.fingerprint && row.attempts === 0
  return isDone && isPlain && isWhole && !keeps(row) ? [{ at, row }] : []
}

/** Whether the same is known of both. */
const isAlike = (a: LedgerRow, b: LedgerRow): boolean =>
  isStated(a) === isStated(b) && a.endpoint === b.endpoint && tablesOf(a).join('\0') === tablesOf(b).join('\0')

const tablesOf = ({ rows }: LedgerRow): string[] => Object.keys(rows).sort()

/** Whether they are the units of one joined row, and all of them. */
function isAsItWas(group: readonly Piece[], axis: Axis): boolean {
  const [first, last] = [group[0], group.at(-1)]
  if (!first || !last || !group.every(({ row }) => row.isPart)) return false
  const name = nameOf(axis, [first.at[0], last.at[1]])
  return group.length > 1 && group.every(({ row }) => row.joinedIn?.[0] === name)
}

function joinedRow(group: readonly Piece[], step: LedgerStep, axis: Axis, cut: bigint): Amendment {
  const [lowest, highest] = [group[0], group.at(-1)]
  if (!lowest || !highest) throw new Error('a group of no intervals')
  const at: Interval = [lowest.at[0], highest.at[1]]
  const counts = tablesOf(lowest.row).map((table): [string, number[]] => [table, group.map(({ row }) => row.rows[table] ?? 0)])
  const own = {
    step,
    unit: nameOf(axis, at),
    first: at[0],
    last: at[1],
    state: 'done' as const,
    rows: Object.fromEntries(counts.map(([table, each]) => [table, each.reduce((sum, n) => sum + n, 0)])),
    endpoint: lowest.row.endpoint,
    attempts: 0,
    error: null,
  }
  const covered = isStated(lowest.row) ? stored([at]) : undefined
  if (group.length === 1) return { ...own, coverage: covered ? { covered } : null }
  return { ...own, coverage: { covered, units: { every: String(cut), rows: Object.fromEntries(counts) } } }
}
