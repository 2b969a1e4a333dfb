import type { Amendment, Amendments, Axis, Coverage, Interval, LedgerRow, LedgerStep } from '../sdk/index.js'
import { nameOf, rowStretch } from './axis.js'
import { mod } from './intervals.js'
import { isStated, stored, tentativeRound } from './standing.js'

/** A done stretch with what the ledger says of it. */
interface Piece {
  readonly at: Interval
  readonly row: LedgerRow
}

/** Units of one joined row: what is found wrong with it, or reset inside of it, concerns no more than these. */
export const UNITS_JOINED = 1_024n

/**
 * Done stretches that touch become one row, up to aligned borders of `UNITS_JOINED` units: a step that follows a head would leave a row for every block. What reaches
 * beyond `horizon` stays as it is, since a reorg may still undo it; so does what has evidence of its own, and neighbours
 * whose hashes do not follow each other, which `pipe verify` names.
 */
export function joined(rows: readonly LedgerRow[], step: LedgerStep, axis: Axis, horizon: bigint | undefined): Amendments {
  const pieces = rows.flatMap((row): Piece[] => {
    if (row.fingerprint !== step.fingerprint || row.state !== 'done' || row.evidence !== undefined) return []
    const at = tentativeRound(row) === undefined ? rowStretch(axis, row) : undefined
    return at && (horizon === undefined || at[1] < horizon) ? [{ at, row }] : []
  })
  pieces.sort((a, b) => (a.at[0] < b.at[0] ? -1 : 1))
  const groups: Piece[][] = []
  for (const piece of pieces) {
    const last = groups.at(-1)?.at(-1)
    if (last && follows(last, piece, axis)) groups.at(-1)?.push(piece)
    else groups.push([piece])
  }
  const whole = groups.filter((group) => group.length > 1)
  const put = whole.map((group) => joinedRow(group, step, axis))
  const kept = new Set(put.map(({ unit }) => unit))
  const drop = whole.flat().flatMap(({ row }) => (kept.has(row.unit) ? [] : [{ step: step.step, unit: row.unit }]))
  return { put, drop }
}

function follows(before: Piece, after: Piece, { cut }: Axis): boolean {
  if (before.at[1] + 1n !== after.at[0]) return false
  if (cut !== undefined && after.at[1] >= borderAbove(before.at[0], cut * UNITS_JOINED)) return false
  const [last, parent] = [before.row.lastHash, after.row.parentHash]
  return last === undefined || parent === undefined || last === parent
}

/** The next aligned border above a place. */
export const borderAbove = (place: bigint, size: bigint): bigint => place - mod(place, size) + size

function joinedRow(group: readonly Piece[], step: LedgerStep, axis: Axis): Amendment {
  const [lowest, highest] = [group[0], group.at(-1)]
  if (!lowest || !highest) throw new Error('a group of no stretches')
  const at: Interval = [lowest.at[0], highest.at[1]]
  const hosts = new Set(group.flatMap(({ row }) => row.endpoint?.split(', ') ?? []))
  const exact = group.every(({ row }) => isStated(row))
  const coverage: Coverage | null = exact ? { covered: stored([at]) } : null
  return {
    step,
    unit: nameOf(axis, at),
    first: at[0],
    last: at[1],
    state: 'done',
    coverage,
    rows: summed(group.map(({ row }) => row.rows)),
    // A list that is read into the past goes on from its lower end, one that is read forward from its upper end.
    cursor: (axis.of === 'time' ? (lowest.row.cursor ?? highest.row.cursor) : (highest.row.cursor ?? lowest.row.cursor)) ?? null,
    endpoint: hosts.size > 0 ? [...hosts].sort().join(', ') : undefined,
    parentHash: lowest.row.parentHash,
    lastHash: highest.row.lastHash,
    attempts: 0,
    error: null,
  }
}

/** Rows by table. A table that one of the units has no count for is left out: its sum would be too low. */
function summed(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const rows: Record<string, number> = { ...counts[0] }
  for (const each of counts.slice(1))
    for (const table of Object.keys(rows)) {
      const n = each[table]
      if (n === undefined) delete rows[table]
      else rows[table] = (rows[table] ?? 0) + n
    }
  return rows
}
