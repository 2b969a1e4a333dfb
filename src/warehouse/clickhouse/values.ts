import {
  coercer,
  type ColumnType,
  formatInstant,
  type Json,
  jsonText,
  type Param,
  parseInstant,
  type Statement,
  type Value,
  ValueError,
} from '../../sdk/index.js'
import { SqlError } from '../errors.js'
import { exactJson } from '../exact-json.js'
import { render } from '../statement.js'
import type { Params } from './engine.js'

/** First and last instant of a DateTime64, microseconds UTC: 1900 to the end of 2299. */
export const FIRST_TIME = parseInstant('1900-01-01T00:00:00Z') ?? 0n
export const LAST_TIME = parseInstant('2299-12-31T23:59:59.999999Z') ?? 0n
/** First and last day of a Date32. */
export const FIRST_DAY = '1900-01-01'
export const LAST_DAY = '2299-12-31'

/** A statement with its values as text beside it. @throws {ValueError} for a value that its type can't hold. */
export function bound(statement: Statement): { readonly text: string; readonly params: Params } {
  const { text, params } = render(statement, 'clickhouse')
  return { text, params: Object.fromEntries(params.map((param, i) => [`p${i + 1}`, paramText(param, `$${i + 1}`)])) }
}

function paramText({ type, value: given }: Param, name: string): string | null {
  const value = held({ name, type })(given)
  if (value === null) return null
  switch (type.kind) {
    case 'json':
      return jsonText(value)
    case 'timestamp':
      return formatInstant(value as bigint)
        .replace('T', ' ')
        .replace('Z', '')
    default:
      return String(value)
  }
}

/** Makes values of a type exact, null among them. @throws {ValueError} also for times that ClickHouse can't hold. */
export function held(column: { readonly name: string; readonly type: ColumnType }, replaced?: () => void): (value: unknown) => Value {
  const coerce = coercer({ ...column, nullable: true }, undefined, replaced)
  const refuse = (value: Value, what: string): never => {
    const shown = typeof value === 'bigint' ? formatInstant(value) : String(value)
    throw new ValueError(column.name, `${shown} is outside of the years 1900 to 2299 that a ${what} of ClickHouse holds`)
  }
  switch (column.type.kind) {
    case 'timestamp':
      return (value) => {
        const exact = coerce(value)
        return exact === null || ((exact as bigint) >= FIRST_TIME && (exact as bigint) <= LAST_TIME) ? exact : refuse(exact, 'timestamp')
      }
    case 'date':
      return (value) => {
        const exact = coerce(value)
        return exact === null || ((exact as string) >= FIRST_DAY && (exact as string) <= LAST_DAY) ? exact : refuse(exact, 'date')
      }
    default:
      return coerce
  }
}

/** JSON columns hold text. Its type says so, so that it reads back as JSON; every function takes it for the String that it is. */
export const JSON_TYPE = 'SimpleAggregateFunction(anyLast, String)'
export const NULLABLE_JSON_TYPE = 'SimpleAggregateFunction(anyLast, Nullable(String))'

/** The type inside of Nullable and LowCardinality. */
export function innerType(type: string): string {
  const match = /^(?:Nullable|LowCardinality)\((.*)\)$/s.exec(type)
  return match ? innerType(match[1] ?? '') : type
}

/** The portable type that values of a ClickHouse type read back as. */
export function portableType(sqlType: string): ColumnType {
  const type = innerType(sqlType)
  if (type === JSON_TYPE || type === NULLABLE_JSON_TYPE) return { kind: 'json' }
  if (type.startsWith('SimpleAggregateFunction(')) return portableType(type.slice(type.indexOf(',') + 1, -1).trim())
  const [, name = '', args = ''] = /^(\w+)(?:\((.*)\))?$/s.exec(type) ?? []
  switch (name) {
    case 'Bool':
      return { kind: 'bool' }
    case 'Int8':
    case 'Int16':
    case 'Int32':
    case 'UInt8':
    case 'UInt16':
      return { kind: 'int' }
    case 'Int64':
    case 'UInt32':
      return { kind: 'bigint' }
    case 'UInt64':
    case 'UInt128':
    case 'Int128':
    case 'Int256':
      return { kind: 'int256' }
    case 'UInt256':
      return { kind: 'uint256' }
    case 'Float32':
    case 'Float64':
    case 'BFloat16':
      return { kind: 'float' }
    case 'Decimal': {
      const [precision = 0, scale = 0] = args.split(',').map(Number)
      return { kind: 'decimal', precision, scale }
    }
    case 'DateTime':
    case 'DateTime64':
      return { kind: 'timestamp' }
    case 'Date':
    case 'Date32':
      return { kind: 'date' }
    case 'Array':
    case 'Tuple':
    case 'Map':
    case 'Nested':
    case 'JSON':
    case 'Object':
      return { kind: 'json' }
    default:
      return { kind: 'text' }
  }
}

/** Makes values of a ClickHouse type, as JSONCompactEachRow writes them, what `Row` promises. */
export function reader(sqlType: string): (value: Json) => Value {
  const { kind } = portableType(sqlType)
  const read = readerOf(kind, innerType(sqlType))
  return (value) => (value === null ? null : read(value))
}

function readerOf(kind: ColumnType['kind'], type: string): (value: Json) => Value {
  switch (kind) {
    case 'int':
    case 'bigint':
    case 'int256':
    case 'uint256':
      return (value) => BigInt(value as string | number)
    case 'float':
      return (value) => (typeof value === 'number' ? value : numberNamed(String(value)))
    case 'timestamp':
      return (value) => {
        const instant = parseInstant(String(value))
        if (instant === undefined)
          throw new SqlError(`the query gives ${String(value)}, which has digits below a microsecond`, { hint: 'cast it to DateTime64(6)' })
        return instant
      }
    case 'json':
      return type.startsWith('SimpleAggregateFunction') ? (value) => exactJson(String(value)) : (value) => value
    case 'bool':
      return (value) => value
    default:
      return (value) => (typeof value === 'string' ? value : JSON.stringify(value))
  }
}

function numberNamed(text: string): number {
  return text === 'inf' ? Infinity : text === '-inf' ? -Infinity : Number(text)
}
