import type { Amendment, Amendments, Axis, Interval, LedgerRow, LedgerStep } from '../sdk/index.js'
import { nameOf, rowStretch } from './axis.js'
import { outdated, RESET_FINGERPRINT } from './fingerprints.js'
import { asksRows } from './hashes.js'
import { subtract } from './intervals.js'
import { hashesAt } from './seams.js'
import { coveredBy, type Ledger, stored, tentativeRound } from './standing.js'

/** What the ledger is brought in line with. */
export interface Target {
  readonly step: LedgerStep
  /** Of the units; undefined where they are known by name only. */
  readonly axis: Axis | undefined
  /** Whether a unit of this name is about to be done. */
  planned(unit: string): boolean
  /** Rows of an older definition are about to be overwritten. */
  readonly redoes: boolean
  /** Names of open units change with the clock: a row that an earlier run left under such a name is dropped, unless it is planned again. */
  readonly moves: boolean
  /** When this round began, microseconds UTC. */
  readonly round: bigint
}

/**
 * Brings the ledger into the shape that the plan speaks of: a unit that an earlier run left half done becomes done parts
 * and open parts, and rows of an older definition lose their fingerprint before the first of them is overwritten. Only the
 * one who plans does this.
 */
export function reconcile({ rows, fingerprint }: Ledger, target: Target): Amendments {
  const { axis, step } = target
  const put: Amendment[] = []
  const drop: { step: string; unit: string }[] = []
  const there = new Set(rows.map(({ unit }) => unit))
  for (const row of rows) {
    if (row.fingerprint !== fingerprint) {
      if (target.redoes && row.fingerprint !== outdated(row.fingerprint))
        put.push({ step: { ...step, fingerprint: outdated(row.fingerprint) }, unit: rowNameOf(row), state: row.state })
      continue
    }
    const all = axis && rowStretch(axis, row)
    if (!axis || !all) continue
    const tentative = tentativeRound(row)
    if (tentative !== undefined && tentative !== target.round) drop.push({ step: step.step, unit: row.unit })
    if (row.state === 'done') continue
    const parts = partsOf(row, all, axis, target)
    if (!parts) continue
    if (parts.gone) drop.push({ step: step.step, unit: row.unit })
    put.push(...parts.put)
    // A part keeps nothing of a row that has its name by chance: that one speaks of another reading.
    for (const { unit } of parts.put) if (unit !== row.unit && there.has(unit)) drop.push({ step: step.step, unit })
  }
  return { put, drop }
}

/** The row that says it. */
const rowNameOf = ({ unit, isPart, joinedIn }: LedgerRow): string => (isPart ? (joinedIn?.[0] ?? unit) : unit)

/** What becomes of a unit that is not done; undefined: it stays as it is. */
function partsOf(row: LedgerRow, all: Interval, axis: Axis, target: Target): { put: Amendment[]; gone: boolean } | undefined {
  const { step, moves } = target
  const covered = coveredBy(row, all)
  const redo = row.coverage?.redo
  const renamed = moves && row.state !== 'quarantined' && !target.planned(row.unit)
  if (covered.length === 0 && !renamed) return undefined
  const placed = ([from, to]: Interval) => ({ unit: nameOf(axis, [from, to]), first: from, last: to })
  // Parts of a unit that is named by its start are counted together, so what one commit wrote to several of them may stand with the first.
  const named = axis.of === 'time' && axis.cut !== undefined && axis.names !== 'ends'
  const done = covered.map((at, i): Amendment => ({
    step,
    ...placed(at),
    ...hashesAt(row, all, at),
    state: 'done',
    // `covered` says that batches named what they read, so that `pipe verify` may compare `rows` with the table.
    coverage: moves
      ? null
      : {
          covered: stored([at]),
          numbers: i === 0 || asksRows(row) ? row.coverage?.numbers : undefined,
          blocks: row.coverage?.blocks?.filter(
            ([number]) => axis.of === 'time' || asksRows(row) || (BigInt(number) >= at[0] && BigInt(number) <= at[1]),
          ),
        },
    // The cursor belongs to the place where the reading stopped: the lowest part of time, the highest part of numbers.
    cursor: i === (moves ? 0 : covered.length - 1) ? row.cursor : undefined,
    rows: covered.length === 1 || named ? rowsOf(row, i) : undefined,
    endpoint: row.endpoint,
    evidence: i === 0 ? row.evidence : undefined,
  }))
  const open = subtract([all], covered).flatMap((at): Amendment[] => {
    // Older rows are still there, so the part gets a fingerprint that no definition has: it is redone, which deletes them.
    if (redo !== undefined) {
      const fingerprint = redo === 'reset' ? RESET_FINGERPRINT : outdated('')
      return [{ step: { ...step, fingerprint }, ...placed(at), state: 'done' }]
    }
    if (renamed) return []
    return [
      {
        step,
        ...placed(at),
        state: row.state === 'running' ? 'pending' : row.state,
        coverage: row.coverage?.cleared === true ? { cleared: true } : null,
        attempts: row.attempts,
        error: row.error ?? null,
      },
    ]
  })
  return { put: [...done, ...open], gone: covered.length > 0 || redo === undefined }
}

/** Of a unit that becomes parts: all that it wrote with the first, nothing with the others. */
function rowsOf({ rows }: LedgerRow, i: number): LedgerRow['rows'] {
  return i === 0 ? rows : Object.fromEntries(Object.keys(rows).map((table) => [table, 0]))
}
