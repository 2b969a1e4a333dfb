/** A stretch of an axis, both ends included. */
export type Interval = readonly [from: bigint, to: bigint]

/** A line that a step's units lie on: block numbers, lines of a file, instants. A new kind of axis is a value of this type. */
export interface Axis {
  /** What a place on it is: any whole number, or microseconds UTC. */
  readonly of: 'numbers' | 'time'
  /** The length of a unit. Units are cut at its multiples; undefined: each hole is one unit. */
  readonly cut: bigint | undefined
  /** What people count on it, in the plural: `blocks`, `lines`, `days`. */
  readonly word: string
  /** How many places make one of them: 1 for blocks, the microseconds of a day for days. */
  readonly each: bigint
  /**
   * Units of time are named by their start (`2024-03-01`), parts of them by both ends. With `ends`, whole ones are, too: for
   * units whose length may change while what they covered still counts.
   */
  readonly names?: 'ends'
}

/** Whole numbers in units of `cut`: blocks, or what `word` says. */
export function numberAxis(cut: number | bigint, word = 'blocks'): Axis {
  return { of: 'numbers', cut: BigInt(cut), word, each: 1n }
}

/** Microseconds of a UTC day. */
const DAY_US = 86_400_000_000n

/** UTC days, each a unit: `2024-03-01`. */
export const dayAxis: Axis = { of: 'time', cut: DAY_US, word: 'days', each: DAY_US }

/** Stretches of `everyUs` microseconds UTC, counted from 1970, each named by its start. */
export function intervalAxis(everyUs: bigint): Axis {
  return { of: 'time', cut: everyUs, word: 'intervals', each: everyUs }
}

/** Time that is read where it is not read yet, each hole a unit, or in aligned windows. Counted in days. */
export function timeAxis(windowUs?: bigint): Axis {
  return { of: 'time', cut: windowUs, word: 'days', each: DAY_US, names: 'ends' }
}
