import { coercer, type ColumnType, formatDay, jsonText, type Param, parseInstant, type Value } from '../../sdk/index.js'
import { SqlError } from '../errors.js'
import { exactJson } from '../exact-json.js'

/** How values of a type, made exact, are written for Postgres: the text that it reads back as the same value. */
export function writer(type: ColumnType): (value: Value) => string {
  switch (type.kind) {
    case 'bool':
      return (value) => (value === true ? 't' : 'f')
    case 'timestamp':
      return (value) => instantText(value as bigint)
    case 'json':
      return (value) => jsonText(value)
    default:
      return String
  }
}

/** A bound value as text. @throws {ValueError} for one that its type can't hold. */
export function paramText({ type, value }: Param, index: number): string | null {
  const exact = coercer({ name: `$${index + 1}`, type, nullable: true })(value)
  return exact === null ? null : writer(type)(exact)
}

const DAY_SECONDS = 86_400
let lastDay = NaN
let lastDayText = ''

/** `2024-03-01 00:00:00.000001`, or with more digits of the year, or with ` BC` behind. */
function instantText(us: bigint): string {
  let seconds = Number(us / 1_000_000n)
  let micros = Number(us % 1_000_000n)
  if (micros < 0) {
    micros += 1_000_000
    seconds--
  }
  const day = Math.floor(seconds / DAY_SECONDS)
  const rest = seconds - day * DAY_SECONDS
  if (day !== lastDay) {
    lastDay = day
    lastDayText = formatDay(day)
  }
  const time = `${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`
  const fraction = micros === 0 ? '' : `.${String(micros).padStart(6, '0')}`
  const signed = /^([+-])(\d{6})(.*)$/.exec(lastDayText)
  if (!signed && !lastDayText.startsWith('0000')) return `${lastDayText} ${time}${fraction}`
  const year = signed ? Number(`${signed[1]}${signed[2]}`) : 0
  const monthAndDay = signed?.[3] ?? lastDayText.slice(4)
  return year > 0 ? `${year}${monthAndDay} ${time}${fraction}` : `${String(1 - year).padStart(4, '0')}${monthAndDay} ${time}${fraction} BC`
}

const two = (number: number): string => (number < 10 ? `0${number}` : String(number))

const BOOL = 16
const BYTEA = 17
const INT8 = 20
const INT2 = 21
const INT4 = 23
const JSON_TEXT = 114
const FLOAT4 = 700
const FLOAT8 = 701
const DATE = 1082
const TIMESTAMP = 1114
const TIMESTAMPTZ = 1184
const NUMERIC = 1700
const JSONB = 3802

/** A column of a result, as the server announces it. */
export interface Field {
  readonly name: string
  readonly dataTypeID: number
  readonly dataTypeModifier: number
}

/**
 * The portable type that values of a column read back as. A `numeric` of no stated size (a sum, a difference) is an
 * int256; its values with a fraction read as text all the same.
 */
export function portableType({ dataTypeID, dataTypeModifier }: Field): ColumnType {
  switch (dataTypeID) {
    case BOOL:
      return { kind: 'bool' }
    case INT2:
    case INT4:
      return { kind: 'int' }
    case INT8:
      return { kind: 'bigint' }
    case FLOAT4:
    case FLOAT8:
      return { kind: 'float' }
    case NUMERIC: {
      if (dataTypeModifier < 0) return { kind: 'int256' }
      const precision = ((dataTypeModifier - 4) >> 16) & 0xffff
      // Eleven bits with a sign.
      const scale = (((dataTypeModifier - 4) & 0x7ff) ^ 1024) - 1024
      return scale < 0 || (scale === 0 && precision > 38) ? { kind: 'int256' } : { kind: 'decimal', precision, scale }
    }
    case TIMESTAMP:
    case TIMESTAMPTZ:
      return { kind: 'timestamp' }
    case DATE:
      return { kind: 'date' }
    case BYTEA:
      return { kind: 'bytes' }
    case JSON_TEXT:
    case JSONB:
      return { kind: 'json' }
    default:
      return { kind: 'text' }
  }
}

/** Makes the texts of a column as `Row` promises them. */
export function reader(field: Field): (text: string) => Value {
  switch (portableType(field).kind) {
    case 'bool':
      return (text) => text === 't'
    case 'int':
    case 'bigint':
      return BigInt
    case 'int256':
      return (text) => (/^-?\d+$/.test(text) ? BigInt(text) : text)
    case 'float':
      return Number
    case 'timestamp':
      return (text) => readInstant(text, field.name)
    case 'date':
      return (text) => readDay(text, field.name)
    case 'bytes':
      return (text) => `0x${text.slice(2)}`
    case 'json':
      return exactJson
    default:
      return (text) => text
  }
}

const INSTANT = /^(\d{4,6})(-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:\+00)?( BC)?$/

function readInstant(text: string, column: string, shown = text): bigint {
  const match = INSTANT.exec(text)
  const [, year = '', day = '', time = '', bc] = match ?? []
  const instant = match && parseInstant(`${isoYear(year, bc)}${day}T${time}Z`)
  if (instant === null || instant === undefined)
    throw new SqlError(`column ${column}: the query gives the time ${shown}, which is no instant`, {
      hint: 'leave it out, or cast it to text',
    })
  return instant
}

function readDay(text: string, column: string): string {
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return text
  const [, day = '', bc = ''] = /^(\d{4,6}-\d\d-\d\d)( BC)?$/.exec(text) ?? []
  return formatDay(Number(readInstant(`${day} 00:00:00${bc}`, column, text) / 86_400_000_000n))
}

function isoYear(year: string, bc: string | undefined): string {
  if (bc !== undefined) return `-${String(Number(year) - 1).padStart(6, '0')}`
  return year.length === 4 ? year : `+${year.padStart(6, '0')}`
}
