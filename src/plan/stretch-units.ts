import type { Interval, Json, Order, Piece, TimeCoverage, Wanted } from '../sdk/index.js'
import { nameOf, rowStretch } from '../ledger/axis.js'
import { count, cutAligned, hull, intersect, mod, overlaps, partAt, partsOf, subtract, take } from '../ledger/intervals.js'
import { coveredBy, type Ledger, type Quarantined, type Standing, standing } from '../ledger/standing.js'
import { MAX_UNITS, type PlannedUnit, TooManyUnitsError } from './plan.js'

export type StretchesWanted = Extract<Wanted, { kind: 'stretches' }>

/** Units of stretches, with how many places are done and left out. */
export interface StretchCut {
  readonly units: PlannedUnit[]
  readonly done: bigint
  readonly leftOut: bigint
  readonly quarantined: Quarantined[]
}

/** What the cutting goes by. */
export interface CutOptions {
  readonly step: string
  /** At most so many pieces; undefined: all. */
  readonly limit: number | undefined
  /** When the round began, microseconds UTC. */
  readonly now: bigint
}

/** Cuts what is wanted of an axis, less what is done, into units with their reasons. One function for blocks, days, windows and lanes. */
export function stretchUnits(wanted: StretchesWanted & { readonly domain: Interval }, ledger: Ledger, options: CutOptions): StretchCut {
  const { axis, domain, order, whenOver } = wanted
  const { step, now } = options
  const limit = options.limit === undefined ? undefined : BigInt(options.limit) * axis.each
  const state = standing(axis, ledger, now)
  const all: Interval[] = domain[0] <= domain[1] ? [domain] : []
  const held = state.quarantined.filter(({ interval }) => count(intersect(all, [interval])) > 0n)
  const closed = whenOver === true && axis.cut !== undefined ? over(all, axis.cut, now) : all
  const open = subtract(
    subtract(closed, state.done),
    held.map(({ interval }) => interval),
  )
  const kept = limit === undefined ? open : take(open, limit, order === 'newest-first' ? 'end' : 'start')
  const number = count(kept)
  if (axis.cut !== undefined && number / axis.cut > MAX_UNITS) throw new TooManyUnitsError(step, number / axis.cut)

  const units: PlannedUnit[] = []
  for (const { interval, reason } of layers(kept, redone(axis, state.stale, kept))) {
    const reasonAt = (at: Interval) => reason ?? (overlaps(state.failed, at) ? 'retry' : reasonOf(at, wanted, state))
    const redo = reason !== undefined
    if (axis.cut !== undefined && wanted.seeks === undefined) {
      for (const unit of alignedUnits({ axis, cut: axis.cut, order, interval, redo }, reasonAt)) units.push(unit)
    } else {
      for (const at of axis.cut === undefined ? [interval] : cutAligned(interval, axis.cut))
        units.push(soughtUnit(at, wanted, ledger, reasonAt(at), redo))
    }
  }
  if (order === 'newest-first') units.reverse()
  return {
    units,
    done: count(intersect(all, state.done)),
    leftOut: count(open) - number,
    quarantined: held.map(({ key, error, attempts }) => ({ key, error, attempts })),
  }
}

/**
 * What is redone of the open stretches. A unit that is named by its start is redone with all of it that is open: rows that
 * say only their day can't be deleted for a part of it.
 */
function redone({ of, cut, names }: StretchesWanted['axis'], stale: Standing['stale'], open: readonly Interval[]): Standing['stale'] {
  if (of === 'numbers' || cut === undefined || names === 'ends') return stale
  return stale.flatMap(({ interval, reason }) => {
    const whole = intersect(open, [interval]).map(([from, to]): Interval => [from - mod(from, cut), to - mod(to, cut) + cut - 1n])
    return intersect(open, whole).map((part) => ({ interval: part, reason }))
  })
}

/** A stretch whose units have one reason; undefined: nothing was done there before. */
interface Layer {
  readonly interval: Interval
  readonly reason: string | undefined
}

/** Stale and fresh stretches are cut apart, so that a unit has one reason and deletes only where something may be. Oldest first. */
function layers(kept: readonly Interval[], stale: Standing['stale']): Layer[] {
  const byReason = new Map<string, Interval[]>()
  for (const { interval, reason } of stale) {
    const known = byReason.get(reason)
    if (known) known.push(interval)
    else byReason.set(reason, [interval])
  }
  const found: Layer[] = []
  let rest: Interval[] = [...kept]
  for (const [reason, intervals] of byReason) {
    for (const interval of intersect(rest, intervals)) found.push({ interval, reason })
    rest = subtract(rest, intervals)
  }
  for (const interval of rest) found.push({ interval, reason: undefined })
  return found.sort((a, b) => (a.interval[0] < b.interval[0] ? -1 : 1))
}

/** What of stretches lies in units that are over. */
function over(all: readonly Interval[], cut: bigint, now: bigint): Interval[] {
  const last = now - mod(now, cut) - 1n
  return all.flatMap(([from, to]): Interval[] => (from > last ? [] : [[from, to < last ? to : last]]))
}

/** A stretch that is cut into units side by side. */
interface Cutting {
  readonly axis: StretchesWanted['axis']
  readonly cut: bigint
  readonly order: Order
  readonly interval: Interval
  readonly redo: boolean
}

/** The units of a stretch, oldest first. */
function* alignedUnits(cutting: Cutting, reasonAt: (at: Interval) => string): Iterable<PlannedUnit> {
  const { cut, interval } = cutting
  const byReason = new Map<string, Cutting & { readonly reason: string }>()
  const parts = Number(partsOf(interval, cut))
  for (let part = 0; part < parts; part++) {
    const reason = reasonAt(partAt(interval, cut, BigInt(part)))
    let shared = byReason.get(reason)
    if (!shared) byReason.set(reason, (shared = { ...cutting, reason }))
    yield new AlignedUnit(shared, part)
  }
}

/** One of up to a million units that lie side by side: it holds its number alone, and says from it what it is. */
class AlignedUnit implements PlannedUnit {
  readonly #of: Cutting & { readonly reason: string }
  readonly #part: number

  constructor(of: Cutting & { readonly reason: string }, part: number) {
    this.#of = of
    this.#part = part
  }

  get #at(): Interval {
    return partAt(this.#of.interval, this.#of.cut, BigInt(this.#part))
  }

  get key(): string {
    return nameOf(this.#of.axis, this.#at)
  }

  get piece(): Piece {
    const { axis, order } = this.#of
    const [from, to] = this.#at
    return { kind: 'stretch', axis, from, to, order }
  }

  get size(): number {
    const [from, to] = this.#at
    return pieces(to - from + 1n, this.#of.axis.each)
  }

  get reason(): string {
    return this.#of.reason
  }

  get redo(): boolean {
    return this.#of.redo
  }
}

/** A unit of a list that is walked: where a cursor leads into it, it begins with that. */
function soughtUnit(
  at: Interval,
  { axis, order, seeks, domain }: StretchesWanted & { readonly domain: Interval },
  ledger: Ledger,
  reason: string,
  redo: boolean,
): PlannedUnit {
  const piece: Piece = { kind: 'stretch', axis, from: at[0], to: at[1], order }
  const unit = { key: nameOf(axis, at), piece, size: pieces(at[1] - at[0] + 1n, axis.each), reason, redo }
  if (seeks === undefined) return unit
  const walks = axis.cut === undefined
  const nearest = walks ? nearestCursor(ledger, axis, order, at) : undefined
  // Where reading may begin anywhere, a cursor helps only when it was left just beside the unit.
  const touches = nearest !== undefined && (order === 'newest-first' ? nearest.edge === at[1] + 1n : nearest.edge === at[0] - 1n)
  const beside = seeks === false || touches ? nearest : undefined
  const begun = walks ? begunCursor(ledger, axis, order, at) : undefined
  return {
    ...unit,
    // What was begun at the very beginning of the unit says what the cursor beside it does, and more.
    resumeFrom: begun?.atStart === true ? begun.cursor : (beside?.cursor ?? begun?.cursor),
    againDays: seeks === false ? pieces(distance(beside?.edge, order, at, domain), axis.each) || undefined : undefined,
  }
}

/** Numbers of blocks, lines or days in so many places. Days may be parts of one. */
export function pieces(places: bigint, each: bigint): number {
  return each === 1n ? Number(places) : Number(places) / Number(each)
}

/** Why a unit is due that was never read. */
function reasonOf([from, to]: Interval, { axis, domain }: StretchesWanted, { done }: Standing): string {
  const [first, last] = hull(done)
  if (first === undefined || last === undefined) return 'new'
  // A list that grows with the clock: its newest end is `recent`, what lies before all that was read is `history`.
  const walks = axis.of === 'time' && axis.names === 'ends'
  if (!walks) return from > first && to < last ? 'missing' : 'new'
  if (domain !== 'inputs' && to === domain[1]) return 'recent'
  return to < first ? 'history' : 'hole'
}

/** The cursor that was stored nearest on the side from which a unit is read, and where its stretch ends there. */
export function nearestCursor(
  { rows, fingerprint }: Ledger,
  axis: StretchesWanted['axis'],
  order: Order,
  [from, to]: Interval,
): { readonly cursor: Json; readonly edge: bigint } | undefined {
  let nearest: { cursor: Json; edge: bigint } | undefined
  for (const row of rows) {
    if (row.fingerprint !== fingerprint || row.cursor === undefined) continue
    const covered = coveredBy(row, rowStretch(axis, row))
    const edge = order === 'newest-first' ? covered[0]?.[0] : covered.at(-1)?.[1]
    if (edge === undefined) continue
    if (order === 'newest-first' && edge > to && (!nearest || edge < nearest.edge)) nearest = { cursor: row.cursor, edge }
    if (order === 'oldest-first' && edge < from && (!nearest || edge > nearest.edge)) nearest = { cursor: row.cursor, edge }
  }
  return nearest
}

/**
 * The cursor of a unit that was left before it had covered anything. Its ends move with the clock, so it has another name
 * now; where its reading began is still inside.
 */
function begunCursor(
  { rows, fingerprint }: Ledger,
  axis: StretchesWanted['axis'],
  order: Order,
  [from, to]: Interval,
): { readonly cursor: Json; readonly atStart: boolean } | undefined {
  for (const row of rows) {
    if (row.fingerprint !== fingerprint || row.cursor === undefined || row.coverage !== undefined || row.state === 'done') continue
    const all = rowStretch(axis, row)
    const start = order === 'newest-first' ? all?.[1] : all?.[0]
    if (start === undefined || start < from || start > to) continue
    return { cursor: row.cursor, atStart: start === (order === 'newest-first' ? to : from) }
  }
  return undefined
}

/** Places between where a reading begins and where its unit does. */
function distance(edge: bigint | undefined, order: Order, [from, to]: Interval, domain: Interval): bigint {
  const between = order === 'newest-first' ? (edge ?? domain[1] + 1n) - 1n - to : from - (edge ?? domain[0] - 1n) - 1n
  return between > 0n ? between : 0n
}

/** What is covered of the time that is wanted. */
export function timeCoverage({ axis, domain }: StretchesWanted & { readonly domain: Interval }, ledger: Ledger, now: bigint): TimeCoverage {
  const covered = intersect([domain], standing(axis, ledger, now).done)
  const [oldest, newest] = hull(covered)
  return {
    oldest: oldest === undefined ? null : Number(oldest / 1000n),
    newest: newest === undefined ? null : Number(newest / 1000n),
    coveredDays: pieces(count(covered), axis.each),
    targetDays: pieces(domain[1] - domain[0] + 1n, axis.each),
  }
}
