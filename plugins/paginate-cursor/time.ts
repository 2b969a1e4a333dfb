import { formatInstant, JsonNumber, readTime as timeOf, type TimeRange, type TimeUnit, unitWithin, within } from '../../src/sdk/authors.js'
import { PageTimeError } from './errors.js'

/** Microseconds of one step of a unit, at least one. Of ISO text a second: not every API heeds what is below. */
export const STEP_US: Readonly<Record<TimeUnit, bigint>> = { s: 1_000_000n, ms: 1_000n, us: 1n, ns: 1n, iso: 1_000_000n }

/** What one microsecond is in a unit that is finer. */
const FINER: Partial<Readonly<Record<TimeUnit, bigint>>> = { ns: 1_000n }

/** YAML of a time with one more part: `unit: ms` gives `cover: { unit: ms }`. */
export type WriteField = (part: string) => string

/** Microseconds UTC of a time as a source writes it. `pointer` says where it stands, `write` how a part of its declaration is written. @throws {PageTimeError} */
export function readTime(value: unknown, unit: TimeUnit, range: TimeRange, pointer: string, write: WriteField): bigint {
  const instant = timeOf(value, unit)
  if (instant !== undefined && within(instant, range)) return instant
  const plain = value instanceof JsonNumber ? value.plain : value
  const text = typeof plain === 'string' ? JSON.stringify(plain.slice(0, 60)) : value === undefined ? 'missing' : JSON.stringify(plain)
  throw new PageTimeError(pointer, text, { unit, range, other: unitWithin(value, range), write })
}

/** An instant as a request writes it, rounded down. */
export function writeTime(instant: bigint, unit: TimeUnit): string {
  if (unit === 'iso') return formatInstant(instant - (instant % STEP_US.iso))
  return String((instant / STEP_US[unit]) * (FINER[unit] ?? 1n))
}
