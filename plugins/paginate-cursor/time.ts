import { formatInstant, parseInstant } from '../../src/sdk/authors.js'
import type { TimeUnit } from './config.js'
import { PageTimeError } from './errors.js'

/** 2009-01-01 and 2100-01-01: before the first block there is nothing, and a time beyond is in another unit. */
const FIRST = parseInstant('2009-01-01') ?? 0n
const LAST = parseInstant('2100-01-01') ?? 0n

/** Microseconds of one step of a unit. Of ISO text a second: not every API heeds what is below. */
export const STEP_US: Readonly<Record<TimeUnit, bigint>> = { s: 1_000_000n, ms: 1_000n, iso: 1_000_000n }

/** Microseconds UTC of a time as a source writes it. `pointer` says where it stands. @throws {PageTimeError} */
export function readTime(value: unknown, unit: TimeUnit, pointer: string): bigint {
  const instant = convert(value, unit)
  if (instant !== undefined && instant >= FIRST && instant < LAST) return instant
  const other = (['s', 'ms', 'iso'] as const).find((candidate) => {
    const there = candidate === unit ? undefined : convert(value, candidate)
    return there !== undefined && there >= FIRST && there < LAST
  })
  const text = typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : value === undefined ? 'missing' : JSON.stringify(value)
  throw new PageTimeError(pointer, text, unit, other)
}

function convert(value: unknown, unit: TimeUnit): bigint | undefined {
  // Below a microsecond there is nothing that a timestamp could hold.
  if (unit === 'iso') return typeof value === 'string' ? parseInstant(value.replace(/([.,]\d{6})\d+/, '$1')) : undefined
  const match = typeof value === 'number' || typeof value === 'string' ? /^(\d{1,16})(?:\.(\d+))?$/.exec(String(value)) : null
  if (!match) return undefined
  const digits = unit === 's' ? 6 : 3
  return BigInt(match[1] ?? '') * STEP_US[unit] + BigInt((match[2] ?? '').slice(0, digits).padEnd(digits, '0'))
}

/** An instant as a request writes it, rounded down. */
export function writeTime(instant: bigint, unit: TimeUnit): string {
  return unit === 'iso' ? formatInstant(instant - (instant % STEP_US.iso)) : String(instant / STEP_US[unit])
}
