import {
  type Axis,
  formatInstant,
  type Interval,
  type LedgerRow,
  parseInstant,
  timeUnit,
  timeUnitStart,
  type Wanted,
} from '../sdk/index.js'
import { mod } from './intervals.js'

/** The name of a stretch: `18000000-18000999`, `2024-03-01`, `2024-03-01T05:00:00Z..2024-03-01T05:59:59.999999Z`. */
export function nameOf({ of, cut, names }: Axis, [from, to]: Interval): string {
  if (of === 'numbers') return `${from}-${to}`
  const whole = cut !== undefined && mod(from, cut) === 0n && to === from + cut - 1n
  return whole && names !== 'ends' ? timeUnit(from, cut) : `${formatInstant(from)}..${formatInstant(to)}`
}

/** The stretch that a name says on this axis; undefined for what names none. */
export function stretchOf({ of, cut, names }: Axis, name: string): Interval | undefined {
  if (of === 'numbers') {
    const match = /^(-?\d+)-(-?\d+)$/.exec(name)
    return match ? [BigInt(match[1] ?? ''), BigInt(match[2] ?? '')] : undefined
  }
  const start = names !== 'ends' && cut !== undefined ? timeUnitStart(name, cut) : undefined
  if (start !== undefined && cut !== undefined) return [start, start + cut - 1n]
  const [first = '', last = '', ...more] = name.split('..')
  const [from, to] = [parseInstant(first), parseInstant(last)]
  return from === undefined || to === undefined || more.length > 0 ? undefined : [from, to]
}

const NUMBERS = /^-?\d+--?\d+$/

/** The stretch of a ledger row, by its own columns; by its name where an earlier version wrote none. Undefined for a row of another kind of axis. */
export function rowStretch(axis: Axis, { first, last, unit }: Pick<LedgerRow, 'first' | 'last' | 'unit'>): Interval | undefined {
  if (first === undefined || last === undefined) return stretchOf(axis, unit)
  return NUMBERS.test(unit) === (axis.of === 'numbers') ? [first, last] : undefined
}

/** The axis that units of an integer key lie on. */
export function keyAxis(chunk: number): Axis {
  return { of: 'numbers', cut: BigInt(chunk), word: 'rows', each: 1n }
}

/** The axis that the units of what is wanted lie on, or undefined where they are known by name only. `integerKey`: of `rows`. */
export function axisOf(wanted: Wanted, integerKey: boolean): Axis | undefined {
  switch (wanted.kind) {
    case 'stretches':
      return wanted.axis
    case 'rows':
      return integerKey ? keyAxis(wanted.chunk) : undefined
    case 'task':
      return undefined
  }
}
