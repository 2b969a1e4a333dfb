import { formatInstant, parseInstant } from '../../src/sdk/authors.js'
import type { StoredCursor } from './config.js'
import type { PageRow } from './page.js'
import type { Place } from './pager.js'

export type Stretch = readonly [bigint, bigint]

/** The unit whose list is read, newest rows first, and how far its source is trusted. */
export interface Frame {
  readonly unit: Stretch
  /** Whether the unit reaches up to the end of what is asked for, where rows may still turn up. */
  readonly head: boolean
  /** Whether the list is asked for by the bounds of the unit. */
  readonly window: boolean
  readonly now: bigint
  readonly overlap: bigint
  /** How far a row may stand out of order. */
  readonly disorder: bigint
}

/** A place with the lowest time of all that comes before it. */
export interface Left {
  readonly place: Place
  readonly low: bigint | undefined
}

/** What the pages of a unit add up to. A pure fold: a coverage and a page give the next coverage. */
export interface Coverage {
  readonly frame: Frame
  /** Newest time seen that is not in the future. */
  readonly newest: bigint | undefined
  /** Up to where coverage reaches. Undefined until rows show it. */
  readonly top: bigint | undefined
  /** Everything from here up to `top` is covered. */
  readonly down: bigint | undefined
  /** Old rows down to here were cleared. */
  readonly cleared: bigint | undefined
  /** The first page with rows below the unit, which are not taken: a unit below it begins there. */
  readonly left: Left | undefined
}

export function begin(frame: Frame): Coverage {
  const top = frame.head || frame.window ? undefined : frame.unit[1]
  return { frame, newest: undefined, top, down: undefined, cleared: undefined, left: undefined }
}

/** A unit that goes on where an earlier run or attempt came to; undefined where that is of no use to it. */
export function resume(frame: Frame, stored: Pick<StoredCursor, 'down' | 'low' | 'top'>): Coverage | undefined {
  const [first, last] = frame.unit
  const [down, low, top] = [instantOf(stored.down), instantOf(stored.low), instantOf(stored.top)]
  const isUseful = down === undefined ? frame.head || frame.window : down > first
  if (!isUseful) return undefined
  const begun = begin(frame)
  // Rows of before were cleared down to there, and those above are not read again.
  const cleared = low !== undefined && low <= last ? low : undefined
  // Of a unit above this one only the place is of use.
  if (down !== undefined && down > last) return { ...begun, cleared }
  return { ...begun, down, top: top ?? begun.top, cleared }
}

/** What was taken: the rows of a page, which of them are new or changed, where it stands, and the lowest time before it. */
export interface Taken extends Left {
  readonly rows: readonly PageRow[]
  readonly fresh: readonly PageRow[]
}

/** Adds what a page shows of the list. */
export function take(coverage: Coverage, { rows, fresh, place, low }: Taken): Coverage {
  const { frame, newest, left } = coverage
  const past = rows.flatMap(({ time }) => (time !== undefined && time <= frame.now ? [time] : []))
  const isBelow = fresh.some(({ time }) => time !== undefined && time < frame.unit[0])
  return {
    ...coverage,
    newest: past.reduce((high, time) => (high === undefined || time > high ? time : high), newest),
    left: left ?? (isBelow ? { place, low } : undefined),
  }
}

/** Whether a row belongs to the unit. */
export const holds = ({ frame: { unit } }: Coverage, { time }: PageRow): boolean =>
  time === undefined || (time >= unit[0] && time <= unit[1])

/** Whether everything down to the lower end of the unit was seen. `low`: lowest time of all that was taken. */
export const isWhole = ({ frame: { unit, disorder } }: Coverage, low: bigint | undefined): boolean =>
  low !== undefined && low < unit[0] - disorder

/** What a page adds. */
export interface Added {
  readonly coverage: Coverage
  readonly covers: readonly Stretch[]
  readonly clears: readonly Stretch[]
  readonly tentative: readonly Stretch[]
}

/**
 * What is covered once a page is taken. `low`: lowest time of all that was taken; `done`: nothing of the unit is left to read;
 * `clock`: when the source gave the page.
 */
export function cover(
  coverage: Coverage,
  { low, done, clock }: { readonly low: bigint | undefined; readonly done: boolean; readonly clock: bigint },
): Added {
  const { frame, down, cleared } = coverage
  const [first, last] = frame.unit
  const top = coverage.top ?? topOf(coverage, clock)
  const bound = done ? first : max(first, (low ?? last) + 1n + frame.disorder)
  const covers = top === undefined ? [] : stretch(bound, down === undefined ? top : down - 1n)
  const clears = stretch(done ? first : max(first, low ?? last + 1n), cleared === undefined ? last : cleared - 1n)
  const tentative = done ? stretch(top === undefined ? first : max(first, top + 1n), last) : []
  return { coverage: { ...coverage, top, down: covers[0]?.[0] ?? down, cleared: clears[0]?.[0] ?? cleared }, covers, clears, tentative }
}

/** Where coverage ends: at the newest row less the overlap. A window is asked for as a whole, so there the clock decides. */
function topOf({ frame: { unit, window, overlap }, newest }: Coverage, clock: bigint): bigint | undefined {
  const known = window ? clock : newest
  // One that is late by just the overlap is inside what is read again.
  return known === undefined ? undefined : min(unit[1], known - overlap - 1n)
}

/** What the cursor stores of a unit that goes on at a place; undefined where no row has shown yet how far coverage reaches. */
export function stored({ top, down, left }: Coverage, at: Left): Pick<StoredCursor, 'place' | 'down' | 'low' | 'top'> | undefined {
  const { place, low } = left ?? at
  return top === undefined ? undefined : { place, down: textOf(down), low: textOf(low), top: textOf(top) }
}

const instantOf = (text: string | undefined): bigint | undefined => (text === undefined ? undefined : parseInstant(text))
const textOf = (instant: bigint | undefined): string | undefined => (instant === undefined ? undefined : formatInstant(instant))
const stretch = (from: bigint, to: bigint): Stretch[] => (from <= to ? [[from, to]] : [])
const min = (a: bigint, b: bigint) => (a < b ? a : b)
const max = (a: bigint, b: bigint) => (a > b ? a : b)
