import {
  PipeError,
  type Json,
  type LedgerRow,
  type Order,
  type Output,
  type Piece,
  type Scope,
  type TimeCoverage,
  type Unit,
  type Wanted,
} from '../sdk/index.js'
import { changedParts } from '../pipeline/steps/fingerprint.js'
import type { Step } from '../pipeline/pipeline.js'
import type { RowsFilter } from './missing.js'
import { count, cutAligned, type Interval, intersect, intervalKey, parseIntervalKey, subtract, take, timeKey, union } from './intervals.js'

/** A unit with the reason it is there. */
export interface PlannedUnit extends Unit {
  readonly reason: string
  /** Rows that an earlier unit wrote here are deleted in the transaction that writes new ones. */
  readonly redo: boolean
  /** It is done by the ledger, and computed again all the same: it uses `$now`. */
  readonly again?: boolean
  /** For `rows`: which of them. */
  readonly rows?: RowsFilter
  /** How many rows it may take or make, when `--limit` cut it. */
  readonly limit?: number
  /** For `time`: where a list that can't be entered anywhere is begun, when that was stored. */
  readonly near?: Json
  /** For `time`: days above it that must be read again to come to it. */
  readonly againDays?: number
}

export type PieceWord = 'blocks' | 'rows' | 'days' | 'intervals' | 'units' | 'checks'

/** What one step would do, with nothing left to decide. */
export interface StepPlan {
  readonly step: Step
  /** `with` with every param put in, checked. */
  readonly config: Json
  readonly scope: Scope
  readonly wanted: Wanted
  readonly outputs: readonly Output[]
  readonly fingerprint: string
  readonly unitWord: PieceWord
  readonly units: readonly PlannedUnit[]
  /** Blocks, rows or days in `units`. */
  readonly pieces: number
  /** Blocks, rows or days that are done already. */
  readonly done: number
  /** Units and keys that are left out because their attempts are used up. */
  readonly quarantined: readonly Quarantined[]
  /** Units that are due and stay as they are: rows that they are computed from have expired. */
  readonly kept: readonly string[]
  /** Pieces left out by `--limit`. */
  readonly leftOut: number
  /** Calls that `units` take; undefined when nobody knows. */
  readonly requests: number | undefined
  /** Of a step that walks through time. */
  readonly time?: TimeCoverage
  /** Steps that may bring more input before this one runs, with how many pieces. */
  readonly waitsFor: readonly { readonly step: string; readonly pieces: number; readonly word: PieceWord }[]
}

export interface Quarantined {
  readonly key: string
  readonly error: string
  readonly attempts: number
}

/** More units than anyone can follow. */
export class TooManyUnitsError extends PipeError {
  readonly code = 'TOO_MANY_UNITS'
  override readonly hint = 'raise `chunk`, or ask for less at a time'
  constructor(step: string, units: bigint) {
    super(`step ${step} would have ${units} units; ${MAX_UNITS} is the most`)
  }
}

export const MAX_UNITS = 1_000_000n

/** Units of one step as the ledger has them, under the fingerprint that counts now. */
export interface Ledger {
  readonly rows: readonly LedgerRow[]
  readonly fingerprint: string
}

/** What the ledger says is read of a range, by meaning. All sorted. */
export interface RangeState {
  readonly done: readonly Interval[]
  /** Read under another fingerprint, or uncovered by `pipe reset`: there may be rows to delete. */
  readonly stale: readonly { readonly interval: Interval; readonly reason: string }[]
  readonly quarantined: readonly (Quarantined & { readonly interval: Interval })[]
  readonly failed: readonly Interval[]
}

/** Fingerprint of rows that `pipe reset` uncovered: no step has it, so they are done again. */
export const RESET_FINGERPRINT = 'reset'

/** Put before the fingerprint of an older definition when the first row of the new one is about to be written: no way back without a redo. */
const CHANGED = 'changed '

/** A fingerprint that no step has, which remembers what it was. */
export function outdated(fingerprint: string): string {
  return fingerprint === RESET_FINGERPRINT || fingerprint.startsWith(CHANGED) ? fingerprint : CHANGED + fingerprint
}

/** Why something done under `before` is to be done again under `now`. */
export function redoReason(before: string, now: string): string {
  if (before === RESET_FINGERPRINT) return 'reset'
  const parts = changedParts(before.startsWith(CHANGED) ? before.slice(CHANGED.length) : before, now)
  return parts.length > 0 ? `changed: ${parts.join(', ')}` : 'changed'
}

/** What a unit's commits covered, as the ledger's cursor keeps it. */
export interface CoveredCursor {
  readonly covered: readonly (readonly [string, string])[]
  /** Set when the rest of the unit holds rows of an earlier reading. */
  readonly redo?: string
  /** The step's own cursor, at the lower end of what is covered. */
  readonly at?: Json
  /** Set on a stretch of time where rows may still turn up: when its round began, microseconds UTC. Done in that round only. */
  readonly tentative?: string
}

export function coveredCursor(covered: readonly Interval[], redo: string | undefined, at?: Json): Json {
  return {
    covered: covered.map(([from, to]) => [String(from), String(to)]),
    ...(redo === undefined ? {} : { redo }),
    ...(at === undefined ? {} : { at }),
  }
}

/** The round in which a stretch counts as done, where it does so in one only. */
export function tentativeRound(row: LedgerRow): bigint | undefined {
  if (row.state !== 'done' || !isCoveredCursor(row.cursor) || row.cursor.tentative === undefined) return undefined
  return BigInt(row.cursor.tentative)
}

export function isCoveredCursor(cursor: Json | undefined): cursor is CoveredCursor & Json {
  return typeof cursor === 'object' && cursor !== null && 'covered' in cursor && Array.isArray((cursor as { covered: unknown }).covered)
}

/** What a ledger row covers: all of it when done, else the stretches that its commits covered. */
export function coveredBy(row: LedgerRow): Interval[] {
  if (tentativeRound(row) !== undefined) return []
  if (row.state === 'done') {
    const all = parseIntervalKey(row.unit)
    return all ? [all] : []
  }
  if (!isCoveredCursor(row.cursor)) return []
  return row.cursor.covered.map(([from, to]): Interval => [BigInt(from), BigInt(to)])
}

/** `round`: when this round began, microseconds UTC. Stretches of time that were tentative in it count as done. */
export function rangeState({ rows, fingerprint }: Ledger, round?: bigint): RangeState {
  const done: Interval[] = []
  const stale: { interval: Interval; reason: string }[] = []
  const quarantined: (Quarantined & { interval: Interval })[] = []
  const failed: Interval[] = []
  for (const row of rows) {
    const all = parseIntervalKey(row.unit)
    const tentative = tentativeRound(row)
    if (all && tentative !== undefined) {
      if (row.fingerprint !== fingerprint) stale.push({ interval: all, reason: redoReason(row.fingerprint, fingerprint) })
      else if (tentative === round) done.push(all)
      continue
    }
    const covered = coveredBy(row)
    const rest = all ? subtract([all], covered) : []
    const redo = isCoveredCursor(row.cursor) && row.state !== 'done' ? row.cursor.redo : undefined
    for (const interval of redo === undefined ? [] : rest) stale.push({ interval, reason: redo ?? '' })
    if (row.fingerprint !== fingerprint) {
      const reason = redoReason(row.fingerprint, fingerprint)
      for (const interval of covered) stale.push({ interval, reason })
      continue
    }
    done.push(...covered)
    for (const interval of rest) {
      if (row.state === 'quarantined') quarantined.push({ key: row.unit, error: row.error ?? '', attempts: row.attempts, interval })
      if (row.state === 'failed') failed.push(interval)
    }
  }
  return { done: union(done), stale, quarantined, failed: union(failed) }
}

/** Cuts what is wanted of a range, less what is done, into units with their reasons. */
export function rangeUnits(
  step: string,
  wanted: Extract<Wanted, { kind: 'range' }>,
  ledger: Ledger,
  limit: number | undefined,
): StretchCut {
  const size = BigInt(wanted.chunk)
  return stretchUnits(step, wanted, rangeState(ledger), limit === undefined ? undefined : BigInt(limit), size, (piece, done) => {
    const [first, last] = hull(done)
    return {
      key: intervalKey(piece),
      piece: { kind: 'range', from: piece[0], to: piece[1], order: wanted.order } satisfies Piece,
      size: Number(piece[1] - piece[0] + 1n),
      reason: first !== undefined && last !== undefined && piece[0] > first && piece[1] < last ? 'missing' : 'new',
    }
  })
}

const DAY_US = 86_400_000_000

/** Days of a number of microseconds. */
export function daysOf(us: bigint): number {
  return Number(us) / DAY_US
}

/** Cuts what is wanted of time, less what is covered, into lanes or windows with their reasons. */
export function timeUnits(
  step: string,
  wanted: Extract<Wanted, { kind: 'time' }>,
  ledger: Ledger,
  round: bigint,
): StretchCut & { time: TimeCoverage } {
  const state = rangeState(ledger, round)
  const cut = stretchUnits(step, { ...wanted, order: 'newest-first' }, state, undefined, wanted.windowUs, (piece, done) => {
    const near = wanted.seeks ? undefined : nearestCursor(ledger, piece[1])
    const again = wanted.seeks || wanted.windowUs !== undefined ? 0 : daysOf((near?.from ?? wanted.to + 1n) - 1n - piece[1])
    const [first] = hull(done)
    return {
      key: timeKey(piece),
      piece: { kind: 'time', from: piece[0], to: piece[1] } satisfies Piece,
      size: daysOf(piece[1] - piece[0] + 1n),
      reason: first === undefined ? 'new' : piece[1] === wanted.to ? 'recent' : piece[1] < first ? 'history' : 'hole',
      ...(near ? { near: near.at } : {}),
      ...(again > 0 ? { againDays: again } : {}),
    }
  })
  const covered = intersect([[wanted.from, wanted.to]], state.done)
  const [oldest, newest] = hull(covered)
  return {
    ...cut,
    time: {
      oldest: oldest === undefined ? null : Number(oldest / 1000n),
      newest: newest === undefined ? null : Number(newest / 1000n),
      coveredDays: daysOf(count(covered)),
      targetDays: daysOf(wanted.to - wanted.from + 1n),
    },
  }
}

/** The stored cursor of the lowest stretch above an instant. */
function nearestCursor({ rows, fingerprint }: Ledger, above: bigint): { readonly at: Json; readonly from: bigint } | undefined {
  let nearest: { at: Json; from: bigint } | undefined
  for (const row of rows) {
    if (row.fingerprint !== fingerprint || !isCoveredCursor(row.cursor) || row.cursor.at === undefined) continue
    const from = coveredBy(row)[0]?.[0]
    if (from !== undefined && from > above && (!nearest || from < nearest.from)) nearest = { at: row.cursor.at, from }
  }
  return nearest
}

/** Units of stretches, with how many numbers (blocks, microseconds) are done and left out. */
export interface StretchCut {
  readonly units: PlannedUnit[]
  readonly done: bigint
  readonly leftOut: bigint
  readonly quarantined: Quarantined[]
}

function stretchUnits(
  step: string,
  wanted: { readonly from: bigint; readonly to: bigint; readonly order: Order },
  state: RangeState,
  limit: bigint | undefined,
  size: bigint | undefined,
  unit: (piece: Interval, done: readonly Interval[]) => Omit<PlannedUnit, 'redo'>,
): StretchCut {
  const all: Interval[] = wanted.from <= wanted.to ? [[wanted.from, wanted.to]] : []
  const held = state.quarantined.filter(({ interval }) => count(intersect(all, [interval])) > 0n)
  const open = subtract(
    subtract(all, state.done),
    held.map(({ interval }) => interval),
  )
  const end = wanted.order === 'newest-first' ? 'end' : 'start'
  const kept = limit === undefined ? open : take(open, limit, end)
  const number = count(kept)
  if (size !== undefined && number / size > MAX_UNITS) throw new TooManyUnitsError(step, number / size)

  const stale = new Map<string, Interval[]>()
  for (const { interval, reason } of state.stale) stale.set(reason, [...(stale.get(reason) ?? []), interval])
  const units: PlannedUnit[] = []
  // Stale and fresh stretches are cut apart, so that a unit has one reason and deletes only where something may be.
  const layers: { intervals: Interval[]; reason: string | undefined }[] = []
  let rest = kept
  for (const [reason, intervals] of stale) {
    layers.push({ intervals: intersect(rest, intervals), reason })
    rest = subtract(rest, intervals)
  }
  layers.push({ intervals: rest, reason: undefined })
  for (const { intervals, reason } of layers) {
    for (const interval of intervals) {
      for (const piece of size === undefined ? [interval] : cutAligned(interval, size)) {
        const fresh = unit(piece, state.done)
        units.push({ ...fresh, reason: reason ?? (overlaps(state.failed, piece) ? 'retry' : fresh.reason), redo: reason !== undefined })
      }
    }
  }
  const sign = wanted.order === 'newest-first' ? -1 : 1
  units.sort((a, b) => (start(a) < start(b) ? -sign : sign))
  return {
    units,
    done: count(intersect(all, state.done)),
    leftOut: count(open) - number,
    quarantined: held.map(({ key, error, attempts }) => ({ key, error, attempts })),
  }
}

/** Units that are known by name only: days, `all`. A unit under another fingerprint is done again. */
export function namedUnits(
  wanted: readonly { readonly key: string; readonly piece: Piece; readonly size: number }[],
  { rows, fingerprint }: Ledger,
  limit: number | undefined,
): { units: PlannedUnit[]; done: number; leftOut: number; quarantined: Quarantined[] } {
  const known = new Map(rows.map((row) => [row.unit, row]))
  const units: PlannedUnit[] = []
  const quarantined: Quarantined[] = []
  let done = 0
  let leftOut = 0
  for (const unit of wanted) {
    const row = known.get(unit.key)
    const current = row?.fingerprint === fingerprint
    if (row && current && row.state === 'done') done += unit.size
    else if (row && current && row.state === 'quarantined')
      quarantined.push({ key: unit.key, error: row.error ?? '', attempts: row.attempts })
    else if (limit !== undefined && units.length >= limit) leftOut += unit.size
    else units.push({ reason: reasonOf(row, fingerprint), redo: row !== undefined && !current && row.state !== 'pending', ...unit })
  }
  return { units, done, leftOut, quarantined }
}

/** Every UTC day from `from` to `to`, both included. */
export function* daysBetween(from: string, to: string): Iterable<string> {
  const last = Date.parse(`${to}T00:00:00Z`)
  for (let at = Date.parse(`${from}T00:00:00Z`); at <= last; at += 86_400_000) yield new Date(at).toISOString().slice(0, 10)
}

function reasonOf(row: LedgerRow | undefined, fingerprint: string): string {
  if (!row) return 'new'
  if (row.fingerprint !== fingerprint) return redoReason(row.fingerprint, fingerprint)
  return row.state === 'failed' ? 'retry' : 'missing'
}

function hull(intervals: readonly Interval[]): [bigint, bigint] | [] {
  const first = intervals[0]
  const last = intervals.at(-1)
  return first && last ? [first[0], last[1]] : []
}

const overlaps = (intervals: readonly Interval[], [from, to]: Interval) => intervals.some((other) => other[0] <= to && other[1] >= from)
const start = ({ piece }: PlannedUnit) => (piece.kind === 'range' || piece.kind === 'time' ? piece.from : 0n)
