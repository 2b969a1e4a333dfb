import type { Axis, Batch, Coverage, Interval, LedgerRow, PipeError } from '../sdk/index.js'
import { nameOf, stretchOf } from './axis.js'
import { intersect, subtract, union } from './intervals.js'
import { restored, stored } from './standing.js'

/** A place of a unit that failed for good. */
export interface Failed {
  readonly key: string
  readonly error: PipeError
  /** The place on the unit's axis; undefined for a unit that lies on none. */
  readonly at: Interval | undefined
}

/** What the batches of one unit add up to. A pure fold: a state and a batch give the next state. */
export interface Reading {
  /** The stretch of the unit; undefined for one that lies on no axis. */
  readonly stretch: Interval | undefined
  readonly covered: readonly Interval[]
  readonly tentative: readonly Interval[]
  readonly failed: readonly Failed[]
  /** Where older rows were deleted. */
  readonly cleared: readonly Interval[]
  /** Of a unit that lies on no axis: whether nothing is left to do about its older rows. */
  readonly emptied: boolean
  /** Of a unit of time: the numbers that it holds, where a batch said so. */
  readonly numbers: Interval | undefined
  /** Whether a batch said what it covers, or what failed. Then the unit is done when they add up to all of it. */
  readonly stated: boolean
}

/** What a batch adds. */
export interface Added {
  readonly reading: Reading
  /** What it covers that no batch covered before. */
  readonly fresh: readonly Interval[]
  /** Where a unit that is redone deletes older rows before those of the batch are written. */
  readonly clears: readonly Interval[]
  /** Whether a unit that lies on no axis and is redone does away with its older rows by this batch. */
  readonly empties: boolean
  /** What it says of places that its unit does not hold. */
  readonly outside: string | undefined
}

/** A unit as it begins. `row`: what the ledger knows of it from an earlier run, under the definition that counts now. */
export function begin(stretch: Interval | undefined, row: Pick<LedgerRow, 'coverage' | 'state'> | undefined): Reading {
  const coverage = row === undefined || row.state === 'done' ? undefined : row.coverage
  const covered = restored(coverage)
  return {
    stretch,
    covered,
    tentative: [],
    failed: [],
    cleared: coverage?.cleared === true && stretch ? [stretch] : covered,
    emptied: false,
    numbers: numbersOf(coverage),
    stated: covered.length > 0,
  }
}

/** The numbers that a unit of time holds, as the ledger keeps them. */
export function numbersOf(coverage: Coverage | undefined): Interval | undefined {
  return coverage?.numbers && [BigInt(coverage.numbers[0]), BigInt(coverage.numbers[1])]
}

type Said = Pick<Batch, 'covers' | 'tentative' | 'clears' | 'numbers' | 'failed' | 'rows' | 'sql' | 'selects'>

/**
 * How older rows go: not at all; where the batches say that they replace them; or all of the unit's with its first batch,
 * where the rows do not tell which part of the unit they belong to.
 */
export type Clearing = 'none' | 'said' | 'whole'

/** Adds a batch. `axis`: of the unit, where it lies on one. */
export function add(reading: Reading, batch: Said, axis: Axis | undefined, clearing: Clearing): Added {
  const { stretch } = reading
  const { covers = [], tentative = [] } = batch
  const failed = (batch.failed ?? []).map(({ key, error }): Failed => ({ key, error, at: axis && placeOf(axis, key) }))
  const named = axis === undefined ? [] : failed.map(({ key, at }) => ({ name: key, at }))
  const said = [...covers, ...tentative, ...(batch.clears ?? [])].map((at) => ({ name: axis ? nameOf(axis, at) : at.join('-'), at }))
  const outside = [...said, ...named].find(({ at }) => !at || !within(at, stretch))
  const stated = reading.stated || covers.length > 0 || tentative.length > 0 || (axis !== undefined && failed.length > 0)
  const clears = subtract(clearedBy(reading, batch, { clearing, stated }), reading.cleared)
  const empties = clearing !== 'none' && !stretch && !reading.emptied && writes(batch)
  return {
    reading: {
      stretch,
      covered: covers.length > 0 ? union([...reading.covered, ...covers]) : reading.covered,
      tentative: tentative.length > 0 ? union([...reading.tentative, ...tentative]) : reading.tentative,
      failed: failed.length > 0 ? [...reading.failed, ...failed] : reading.failed,
      cleared: clears.length > 0 ? union([...reading.cleared, ...clears]) : reading.cleared,
      emptied: reading.emptied || empties,
      numbers: batch.numbers ?? reading.numbers,
      stated,
    },
    fresh: stated ? subtract([...covers, ...tentative], [...reading.covered, ...reading.tentative]) : [],
    clears,
    empties,
    outside: outside?.name,
  }
}

/** What a batch replaces: what it says; else what it covers; else, where no batch says anything, the whole unit at once. */
function clearedBy(
  { stretch }: Reading,
  { clears, covers, rows }: Said,
  { clearing, stated }: { readonly clearing: Clearing; readonly stated: boolean },
): readonly Interval[] {
  if (clearing === 'none') return []
  if (clearing === 'whole') return stretch ? [stretch] : []
  if (clears) return clears
  if (covers && covers.length > 0) return covers
  return stated || !stretch || rows === undefined ? [] : [stretch]
}

/** Whether a batch changes tables. One that holds a cursor or evidence alone does not. */
function writes({ rows = {}, sql = [], selects = [] }: Said): boolean {
  return sql.length > 0 || selects.length > 0 || Object.values(rows).some((some) => some.length > 0)
}

/** How a unit ends, by what its batches said. */
export interface End {
  readonly done: readonly Interval[]
  /** Done in this round only. */
  readonly tentative: readonly Interval[]
  readonly failed: readonly (Failed & { readonly at: Interval })[]
  /** What no batch spoke of. */
  readonly missing: readonly Interval[]
}

/** Undefined for a unit whose batches named no places: it is known of it only that `run` ended. */
export function end({ stretch, covered, tentative, failed, stated }: Reading): End | undefined {
  if (!stated || !stretch) return undefined
  const places = failed.flatMap((each) => (each.at ? [{ ...each, at: each.at }] : []))
  const done = intersect([stretch], covered)
  const spoken = [...covered, ...tentative, ...places.map(({ at }) => at)]
  return { done, tentative: subtract(intersect([stretch], tentative), done), failed: places, missing: subtract([stretch], spoken) }
}

/** What the ledger keeps of a unit under way. `redo`: why the unit is done again, while older rows are left in it. */
export function coverageOf(reading: Reading, redo: string | undefined): Coverage | null {
  const { stretch, covered, cleared, emptied } = reading
  const numbers: Coverage['numbers'] = reading.numbers && [String(reading.numbers[0]), String(reading.numbers[1])]
  if (redo === undefined) return covered.length > 0 ? { covered: stored(covered), numbers } : null
  if (emptied) return null
  if (!stretch || subtract([stretch], cleared).length > 0) return { covered: stored(covered), redo, numbers }
  return { covered: stored(covered), cleared: subtract([stretch], covered).length > 0 ? true : undefined, numbers }
}

function placeOf(axis: Axis, key: string): Interval | undefined {
  if (axis.of === 'numbers' && /^-?\d+$/.test(key)) return [BigInt(key), BigInt(key)]
  return stretchOf(axis, key)
}

function within([from, to]: Interval, stretch: Interval | undefined): boolean {
  return stretch !== undefined && from <= to && from >= stretch[0] && to <= stretch[1]
}
