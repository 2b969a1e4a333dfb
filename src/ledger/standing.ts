import type { Axis, Coverage, Interval, LedgerRow } from '../sdk/index.js'
import { rowStretch } from './axis.js'
import { redoReason } from './fingerprints.js'
import { subtract, union } from './intervals.js'

/** Units of one step as the ledger has them, and the fingerprint that counts now. */
export interface Ledger {
  readonly rows: readonly LedgerRow[]
  readonly fingerprint: string
}

/** A unit or a key that is left out because its attempts are used up. */
export interface Quarantined {
  readonly key: string
  readonly error: string
  readonly attempts: number
}

/** How an axis stands by the ledger. All lists are sorted. */
export interface Standing {
  readonly done: readonly Interval[]
  /** Read under another fingerprint, or uncovered by `pipe reset`: there may be rows to delete. */
  readonly stale: readonly { readonly interval: Interval; readonly reason: string }[]
  readonly quarantined: readonly (Quarantined & { readonly interval: Interval })[]
  readonly failed: readonly Interval[]
}

/** Stretches as the ledger keeps them. */
export function stored(stretches: readonly Interval[]): [string, string][] {
  return stretches.map(([from, to]) => [String(from), String(to)])
}

/** The stretches of a stored list. */
export function restored(coverage: Coverage | undefined): Interval[] {
  return (coverage?.covered ?? []).map(([from, to]): Interval => [BigInt(from), BigInt(to)])
}

/** The row of whichever unit was opened or marked last. */
export function newestUnit(rows: readonly LedgerRow[]): LedgerRow | undefined {
  return rows.reduce<LedgerRow | undefined>((last, row) => (last && last.epoch > row.epoch ? last : row), undefined)
}

/** Whether batches said what they cover of a unit. Then no row of it was counted twice, however often it was tried. */
export function isStated({ coverage }: Pick<LedgerRow, 'coverage'>): boolean {
  return (coverage?.covered ?? []).length > 0
}

/** Whether a table may hold rows of a unit: one that came to no end counted those that it wrote. */
export function mayHaveWritten({ state, rows, coverage }: LedgerRow): boolean {
  return state === 'done' || Object.keys(rows).length > 0 || coverage?.redo !== undefined
}

/** The round in which a stretch counts as done, where it does so in one only. */
export function tentativeRound({ state, coverage }: Pick<LedgerRow, 'state' | 'coverage'>): bigint | undefined {
  return state === 'done' && coverage?.tentative !== undefined ? BigInt(coverage.tentative) : undefined
}

/** What a ledger row covers: all of it when done, else the stretches that its commits covered. */
export function coveredBy(row: Pick<LedgerRow, 'state' | 'coverage'>, all: Interval | undefined): Interval[] {
  if (tentativeRound(row) !== undefined) return []
  if (row.state === 'done') return all ? [all] : []
  return restored(row.coverage)
}

/** `round`: when this round began, microseconds UTC. Stretches that were tentative in it count as done. */
export function standing(axis: Axis, { rows, fingerprint }: Ledger, round?: bigint): Standing {
  const done: Interval[] = []
  const stale: { interval: Interval; reason: string }[] = []
  const cleared: Interval[] = []
  const quarantined: (Quarantined & { interval: Interval })[] = []
  const failed: Interval[] = []
  const outdated = (intervals: readonly Interval[], reason: string) => {
    for (const interval of intervals) stale.push({ interval, reason })
  }
  for (const row of rows) {
    const all = rowStretch(axis, row)
    if (!all) continue
    const current = row.fingerprint === fingerprint
    const tentative = tentativeRound(row)
    if (tentative !== undefined) {
      if (!current) outdated([all], redoReason(row.fingerprint, fingerprint))
      else if (tentative === round) done.push(all)
      continue
    }
    const covered = coveredBy(row, all)
    if (row.state === 'done' && current) {
      done.push(all)
      continue
    }
    const rest = subtract([all], covered)
    if (row.state !== 'done' && row.coverage?.redo !== undefined) outdated(rest, row.coverage.redo)
    if (!current) {
      // An unfinished unit that did not say what it covers may have written anywhere in its stretch.
      const wrote = covered.length === 0 && Object.keys(row.rows).length > 0
      outdated(wrote ? [all] : covered, redoReason(row.fingerprint, fingerprint))
      continue
    }
    if (row.coverage?.cleared === true) cleared.push(...rest)
    done.push(...covered)
    for (const interval of rest) {
      if (row.state === 'quarantined') quarantined.push({ key: row.unit, error: row.error ?? '', attempts: row.attempts, interval })
      if (row.state === 'failed') failed.push(interval)
    }
  }
  return { done: union(done), stale: without(stale, cleared), quarantined, failed: union(failed) }
}

function without(stale: Standing['stale'], cleared: readonly Interval[]): Standing['stale'] {
  if (cleared.length === 0) return stale
  return stale.flatMap(({ interval, reason }) => subtract([interval], cleared).map((part) => ({ interval: part, reason })))
}
