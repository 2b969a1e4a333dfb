import { FIRST_INSTANT, LAST_INSTANT, parseDay, readInstant } from './calendar.js'
import { ValueError } from './errors.js'
import { JsonNumber } from './json-number.js'
import type { Column, ColumnType, Json, Value } from './values.js'

const PLAIN = new Set([
  'bool',
  'int',
  'bigint',
  'uint256',
  'int256',
  'float',
  'text',
  'address',
  'hash',
  'bytes',
  'json',
  'timestamp',
  'date',
] as const)
type PlainKind = Exclude<ColumnType['kind'], 'decimal'>

/** Digits of the widest decimal that every warehouse can hold. */
const MAX_PRECISION = 38
/** Texts longer than this are no number that fits anything. */
const MAX_DIGITS = 400

/** Every kind of integer with its borders, both included. */
const BORDERS = {
  int: [-(2n ** 31n), 2n ** 31n - 1n, '-2^31 to 2^31-1'],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n, '-2^63 to 2^63-1'],
  uint256: [0n, 2n ** 256n - 1n, '0 to 2^256-1'],
  int256: [-(2n ** 255n), 2n ** 255n - 1n, '-2^255 to 2^255-1'],
} as const

/** Column types as a pipeline file writes them. */
export const COLUMN_TYPES: readonly string[] = [...PLAIN, 'decimal(p,s)']

/** Reads `uint256`, `decimal(38,6)`, `text?`. Undefined for anything else, also for a decimal of more than 38 digits. */
export function parseColumnType(text: string): { readonly type: ColumnType; readonly nullable: boolean } | undefined {
  const match = /^\s*([a-z0-9]+)\s*(?:\(\s*(\d{1,3})\s*(?:,\s*(\d{1,3})\s*)?\))?\s*(\?)?\s*$/.exec(text)
  if (!match) return undefined
  const [, kind, precisionText, scaleText, mark] = match
  const nullable = mark !== undefined
  if (kind === 'decimal' && precisionText !== undefined) {
    const precision = Number(precisionText)
    const scale = Number(scaleText ?? 0)
    return precision >= 1 && precision <= MAX_PRECISION && scale <= precision ? { type: { kind, precision, scale }, nullable } : undefined
  }
  return kind !== undefined && precisionText === undefined && isPlain(kind) ? { type: { kind }, nullable } : undefined
}

/** The text that `parseColumnType` reads: `decimal(38,6)`, `text?`. */
export function formatColumnType(type: ColumnType, nullable = false): string {
  const name =
    type.kind !== 'decimal' ? type.kind : type.scale === 0 ? `decimal(${type.precision})` : `decimal(${type.precision},${type.scale})`
  return nullable ? `${name}?` : name
}

/** The type with what it can hold, for messages: `int (-2^31 to 2^31-1)`. */
export function typeLabel(type: ColumnType): string {
  switch (type.kind) {
    case 'int':
    case 'bigint':
    case 'uint256':
    case 'int256':
      return `${type.kind} (${BORDERS[type.kind][2]})`
    case 'address':
      return 'address (0x and 40 hex digits)'
    case 'hash':
    case 'bytes':
      return `${type.kind} (0x and an even number of hex digits)`
    case 'date':
      return 'date (YYYY-MM-DD)'
    default:
      return formatColumnType(type)
  }
}

/** Whether values of the type are exact numbers, which must never pass through a float. */
export function isExactNumber(type: ColumnType): boolean {
  return type.kind in BORDERS || type.kind === 'decimal'
}

/**
 * Makes values of one column exact: integers become bigint, decimals text with all of their fraction digits, timestamps
 * bigint microseconds, hex text lower case, json free of bigints. In text and json, NUL and halves of surrogate pairs
 * become U+FFFD: not every warehouse stores them, and all of them shall hold the same. Compiled once a column; a value
 * that is already in that form is given back as it is. Left out counts as null.
 *
 * @param where What the column belongs to, for messages: a table or a query.
 * @param replaced Called for every text in which U+FFFD took a place.
 * @throws {ValueError} naming the column and the value.
 */
export function coercer(column: Column, where?: string, replaced?: () => void): (value: unknown) => Value {
  return exactly(column, where, () => (text) => storable(text, replaced))
}

/**
 * The same for a value of a record on its way into a row: text is kept as it came, since the warehouse replaces what it can't
 * store and counts it. In a column of the key that is refused: two keys could become one.
 */
export function recordCoercer(column: Column, where: string, inKey: boolean): (value: unknown) => Value {
  const exact = exactly(column, where, (refuse) => (text) => {
    if (inKey && storable(text) !== text)
      refuse(text, 'holds NUL or half a character, which not every warehouse stores, and is part of the key: two keys could become one')
    return text
  })
  if (column.type.kind === 'json') return exact
  return (value) => exact(value instanceof JsonNumber ? value.plain : value)
}

function exactly(column: Column, where: string | undefined, cleaner: (refuse: Refuse) => Clean): (value: unknown) => Value {
  const name = where === undefined ? column.name : `${where}.${column.name}`
  const refuse: Refuse = (value, problem) => {
    throw new ValueError(name, `${show(value)} ${problem}`)
  }
  const convert = converter(column.type, refuse, cleaner(refuse))
  if (column.nullable) return (value) => (value === null || value === undefined ? null : convert(value))
  return (value) => {
    if (value === null || value === undefined)
      throw new ValueError(
        name,
        `is ${value === null ? 'null' : 'missing'}, and the column is required (write ${formatColumnType(column.type, true)} to allow that)`,
      )
    return convert(value)
  }
}

type Refuse = (value: unknown, problem: string) => never
type Clean = (text: string) => string

function converter(type: ColumnType, refuse: Refuse, clean: Clean): (value: unknown) => Value {
  switch (type.kind) {
    case 'bool':
      return (value) => (typeof value === 'boolean' ? value : toBool(value, refuse))
    case 'int':
    case 'bigint':
    case 'uint256':
    case 'int256': {
      const [least, most] = BORDERS[type.kind]
      const label = typeLabel(type)
      return (value) => {
        const number = typeof value === 'bigint' ? value : toInteger(value, refuse)
        return number >= least && number <= most ? number : refuse(value, `does not fit ${label}`)
      }
    }
    case 'decimal':
      return decimalConverter(type.precision, type.scale, refuse)
    case 'float':
      return (value) => toFloat(value, refuse)
    case 'text':
      return (value) => toText(value, refuse, clean)
    case 'address':
      return hexConverter(/^0x[0-9a-f]{40}$/, /^0x[0-9a-fA-F]{40}$/, `is no ${typeLabel(type)}`, refuse)
    case 'hash':
      return hexConverter(/^0x[0-9a-f]+$/, /^0x[0-9a-fA-F]+$/, `is no ${typeLabel(type)}`, refuse)
    case 'bytes':
      return hexConverter(/^0x[0-9a-f]*$/, /^0x[0-9a-fA-F]*$/, `is no ${typeLabel(type)}`, refuse)
    case 'json':
      return (value) => toJson(value, refuse, clean, 0)
    case 'timestamp':
      return (value) => {
        const instant = typeof value === 'bigint' ? value : toInstant(value, refuse)
        return instant >= FIRST_INSTANT && instant <= LAST_INSTANT
          ? instant
          : refuse(value, 'is outside the years 4713 BC to 294246 that a timestamp holds')
      }
    case 'date':
      return (value) =>
        typeof value === 'string' && value >= '0001' && parseDay(value) !== undefined
          ? value
          : refuse(value, 'is no day of the form YYYY-MM-DD')
  }
}

function toBool(value: unknown, refuse: Refuse): boolean {
  if (value === 'true' || value === '0x1' || value === 1 || value === 1n) return true
  if (value === 'false' || value === '0x0' || value === 0 || value === 0n) return false
  return refuse(value, 'is no bool')
}

function toInteger(value: unknown, refuse: Refuse): bigint {
  if (typeof value === 'string') {
    if (value.length <= MAX_DIGITS && /^(?:0x[0-9a-fA-F]+|-?\d+)$/.test(value)) return BigInt(value)
    return refuse(value, value === '0x' ? 'is an empty quantity, not zero' : 'is no whole number')
  }
  if (typeof value === 'bigint') return value
  if (typeof value !== 'number') return refuse(value, 'is no whole number')
  if (Number.isSafeInteger(value)) return BigInt(value)
  if (Number.isInteger(value)) return refuse(value, 'is a JSON number above 2^53, so it may be rounded already: have the source send text')
  return refuse(value, 'is no whole number')
}

/** Unscaled digits of a decimal, or undefined when the text is no decimal or has more than `scale` fraction digits. */
function unscaled(text: string, scale: number): bigint | undefined {
  if (text.length > MAX_DIGITS) return undefined
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text)
  if (!match) return undefined
  const fraction = (match[3] ?? '').replace(/0+$/, '')
  if (fraction.length > scale) return undefined
  const digits = BigInt(match[2] + fraction.padEnd(scale, '0'))
  return match[1] === '-' ? -digits : digits
}

function decimalConverter(precision: number, scale: number, refuse: Refuse): (value: unknown) => Value {
  const limit = 10n ** BigInt(precision)
  const unit = 10n ** BigInt(scale)
  const canonical = new RegExp(`^-?(?:0|[1-9]\\d{0,${Math.max(precision - scale - 1, 0)}})${scale === 0 ? '' : `\\.\\d{${scale}}`}$`)
  const label = formatColumnType({ kind: 'decimal', precision, scale })
  return (value) => {
    if (typeof value === 'string' && canonical.test(value) && precision > scale && !value.startsWith('-0')) return value
    let digits: bigint
    if (typeof value === 'string' && !value.startsWith('0x')) {
      digits =
        unscaled(value, scale) ??
        (/^-?\d+\.\d+$/.test(value) ? refuse(value, `has more than ${scale} fraction digits`) : refuse(value, 'is no decimal number'))
    } else if (typeof value === 'number' && Number.isFinite(value) && !Number.isInteger(value)) {
      return refuse(value, 'is a JSON number with a fraction, so it may be rounded already: have the source send text, or declare float')
    } else {
      digits = toInteger(value, refuse) * unit
    }
    return digits > -limit && digits < limit ? formatDecimal(digits, scale) : refuse(value, `does not fit ${label}`)
  }
}

/** The text of a decimal given by its unscaled digits: `(12345n, 3)` is `12.345`. */
export function formatDecimal(digits: bigint, scale: number): string {
  if (scale === 0) return String(digits)
  const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0')
  return `${digits < 0n ? '-' : ''}${text.slice(0, -scale)}.${text.slice(-scale)}`
}

function toFloat(value: unknown, refuse: Refuse): number {
  if (typeof value === 'number') return Number.isFinite(value) ? value : refuse(value, 'is no finite number')
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'string' && value.length <= MAX_DIGITS) {
    if (/^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$/.test(value) || /^0x[0-9a-fA-F]+$/.test(value)) {
      const number = Number(value)
      if (Number.isFinite(number)) return number
    }
  }
  return refuse(value, 'is no number')
}

function toText(value: unknown, refuse: Refuse, clean: Clean): string {
  if (typeof value === 'string') return clean(value)
  if (typeof value === 'bigint' || typeof value === 'boolean' || Number.isSafeInteger(value)) return String(value)
  return refuse(value, 'is no text')
}

function hexConverter(lower: RegExp, any: RegExp, problem: string, refuse: Refuse): (value: unknown) => Value {
  return (value) => {
    if (typeof value !== 'string' || value.length % 2 !== 0) return refuse(value, problem)
    if (lower.test(value)) return value
    return any.test(value) ? value.toLowerCase() : refuse(value, problem)
  }
}

function toInstant(value: unknown, refuse: Refuse): bigint {
  if (typeof value === 'number')
    return refuse(value, 'is a bare number, which may be seconds or milliseconds: say which where the row is mapped ({ path: …, unit: s })')
  if (typeof value !== 'string') return refuse(value, 'is no timestamp')
  if (value.startsWith('0x')) return toInteger(value, refuse) * 1_000_000n
  return readInstant(value) ?? refuse(value, 'is no timestamp of the form 2024-03-01T12:30:00.000000Z')
}

/** The same object unless something inside must change. */
function toJson(value: unknown, refuse: Refuse, clean: Clean, depth: number): Json {
  if (typeof value === 'string') return clean(value)
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : refuse(value, 'is no JSON number')
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object') return refuse(value, 'is no JSON')
  // Only what writes JSON asks what it is.
  if (value instanceof JsonNumber) return value as unknown as Json
  if (depth > 200) return refuse(null, 'is nested more than 200 deep')
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => toJson(item === undefined ? null : item, refuse, clean, depth + 1))
    return items.every((item, i) => item === value[i]) ? (value as Json[]) : items
  }
  const entries = Object.entries(value)
  // A Map, a Set, a Date: what they hold is in none of their fields, and would be lost as `{}`.
  const plain: unknown = Object.getPrototypeOf(value)
  if (ArrayBuffer.isView(value) || (entries.length === 0 && plain !== Object.prototype && plain !== null))
    return refuse(value, `is a ${value.constructor.name}, and no plain data`)
  const converted = entries
    .filter(([, item]) => item !== undefined)
    .map(([key, item]): [string, Json] => [clean(key), toJson(item, refuse, clean, depth + 1)])
  const names = new Set(converted.map(([key]) => key))
  if (names.size < converted.length)
    refuse(value, 'has two names that become one without the NUL or half character in them, which not every warehouse stores')
  // Every value was found to be JSON, so the object itself is.
  return converted.length === entries.length && converted.every(([key, item], i) => key === entries[i]?.[0] && item === entries[i][1])
    ? (value as Json)
    : Object.fromEntries(converted)
}

/** The text as every warehouse stores it. `replaced` is called when that is another one. */
export function storable(text: string, replaced?: () => void): string {
  // Node 20 has it; the library types of ES2023 don't say so.
  const { isWellFormed } = text as string & { isWellFormed(): boolean }
  if (isWellFormed.call(text) && !text.includes('\0')) return text
  replaced?.()
  return text.replace(/\p{Surrogate}|\0/gu, '\ufffd')
}

function isPlain(kind: string): kind is PlainKind {
  return (PLAIN as ReadonlySet<string>).has(kind)
}

/** A value as it is shown in a message, at most 80 characters. */
export function show(value: unknown): string {
  const text =
    typeof value === 'string' || (typeof value === 'object' && value !== null)
      ? (JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item)) ?? typeof value)
      : typeof value === 'function' || typeof value === 'symbol'
        ? typeof value
        : String(value)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}
