import { type Static, Type } from '@sinclair/typebox'
import { formatInstant, parseInstant, readInstant } from './calendar.js'
import { show } from './columns.js'
import { PipeError } from './errors.js'
import { JsonNumber } from './json-number.js'

export const timeUnitSchema = Type.Union(
  ['s', 'ms', 'us', 'ns', 'iso'].map((unit) => Type.Literal(unit as 's' | 'ms' | 'us' | 'ns' | 'iso')),
)

/** What a time is in: seconds, milliseconds, microseconds, nanoseconds since 1970, or ISO text. */
export type TimeUnit = Static<typeof timeUnitSchema>

export const timeRangeSchema = Type.Object(
  {
    from: Type.Optional(Type.String({ description: 'First instant that may come. Default: 2009-01-01.' })),
    to: Type.Optional(Type.String({ description: 'Last instant that may come. Default: 2100-01-01, on a chain a day from now.' })),
  },
  { additionalProperties: false, tuning: true, description: 'Which times may come: others are refused by name.' },
)

/** A column of `row` that gets a time. */
export const timeFieldSchema = Type.Object(
  {
    path: Type.String({ minLength: 1, description: 'Path into a record.' }),
    unit: Type.Optional(
      Type.Unsafe<TimeUnit>({
        ...timeUnitSchema,
        description: 'What the time there is in: `s`, `ms`, `us`, `ns` since 1970, or `iso` text. Digits below a microsecond are cut off.',
      }),
    ),
    range: Type.Optional(timeRangeSchema),
  },
  { additionalProperties: false, description: 'A time, for a timestamp column.' },
)

export type TimeField = Static<typeof timeFieldSchema>

/** Instants from one to another, microseconds UTC, both included. */
export interface TimeRange {
  readonly from: bigint
  readonly to: bigint
}

const DAY_US = 86_400_000_000n

/** 2009 to 2100: before the first block of any chain there is nothing, and a time beyond is in another unit. */
export const USUAL_TIMES: TimeRange = { from: parseInstant('2009-01-01') ?? 0n, to: (parseInstant('2100-01-01') ?? 0n) - 1n }

/** Times of blocks: nobody makes one that is more than a day ahead. `nowUs`: microseconds UTC. */
export function blockTimes(nowUs: bigint): TimeRange {
  return { from: USUAL_TIMES.from, to: nowUs + DAY_US }
}

/** A declared range; what it leaves open is as `usual`. Its texts are checked where the file is. */
export function timeRange(declared: TimeField['range'], usual: TimeRange = USUAL_TIMES): TimeRange {
  const at = (text: string | undefined, otherwise: bigint) => (text === undefined ? otherwise : (parseInstant(text) ?? otherwise))
  return { from: at(declared?.from, usual.from), to: at(declared?.to, usual.to) }
}

/** Powers of ten by which a number of a unit is more than microseconds. */
const POWER = { s: 6, ms: 3, us: 0, ns: -3 } as const

/**
 * Microseconds UTC of a time as a source writes it: a number, decimal or hex text, or ISO text. What is below a microsecond
 * is cut off, whatever the unit: no timestamp holds it. Undefined for what is no time in that unit.
 */
export function readTime(value: unknown, unit: TimeUnit): bigint | undefined {
  if (unit === 'iso') return typeof value === 'string' ? readInstant(value) : undefined
  const text = value instanceof JsonNumber ? value.digits : ['number', 'bigint', 'string'].includes(typeof value) ? String(value) : ''
  const power = POWER[unit]
  if (/^0x[0-9a-f]{1,20}$/i.test(text)) return scaled(BigInt(text), power)
  const match = /^(-?)(\d{1,20})(?:\.(\d+))?$/.exec(text)
  if (!match) return undefined
  const [, sign, whole = '', fraction = ''] = match
  const digits = Math.max(power, 0)
  const us = scaled(BigInt(whole), power) + BigInt(fraction.slice(0, digits).padEnd(digits, '0') || 0)
  return sign === '' ? us : -us
}

const scaled = (number: bigint, power: number): bigint => (power < 0 ? number / 10n ** BigInt(-power) : number * 10n ** BigInt(power))

/** The unit in which a value would be a time of a range. */
export function unitWithin(value: unknown, range: TimeRange): TimeUnit | undefined {
  return (['s', 'ms', 'us', 'ns', 'iso'] as const).find((unit) => {
    const there = readTime(value, unit)
    return there !== undefined && within(there, range)
  })
}

export function within(instant: bigint, { from, to }: TimeRange): boolean {
  return instant >= from && instant <= to
}

/** `2009-01-01T00:00:00Z to 2100-01-01T00:00:00Z`. */
export function showRange({ from, to }: TimeRange): string {
  return `${formatInstant(from)} to ${formatInstant(to)}`
}

/** A time is not in the unit that it is read in, or lies where none may lie. */
export class TimeRefusedError extends PipeError {
  readonly code = 'TIME_REFUSED'
  override readonly hint: string
  constructor(where: string, value: unknown, instant: bigint | undefined, range: TimeRange, { column, path, unit }: Asked) {
    const other = unitWithin(value, range)
    const read = instant === undefined ? `is no time in ${unit ?? 's'}` : `is the time ${formatInstant(instant)}`
    const there = other === undefined || other === unit ? undefined : readTime(value, other)
    const instead = there === undefined ? '' : `; in ${other} it would be ${formatInstant(there)}`
    super(`${where}: ${show(value)} (${path}) ${read}, and none outside of ${showRange(range)} may come${instead}`)
    this.hint =
      there === undefined
        ? `if it is right, say which times may come: row: { ${column}: { path: ${path}, unit: ${unit ?? 's'}, range: { from: 1970-01-01, to: 2200-01-01 } } }`
        : `say what it is in: row: { ${column}: { path: ${path}, unit: ${other} } }`
  }
}

interface Asked {
  readonly column: string
  readonly path: string
  readonly unit: TimeUnit | undefined
}
