import {
  DuckDBBlobValue,
  type DuckDBConnection,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  type DuckDBPreparedStatement,
  DuckDBStructValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
} from '@duckdb/node-api'
import {
  coercer,
  type ColumnType,
  formatDay,
  formatDecimal,
  type Json,
  jsonText,
  type Param,
  type Statement,
  type Value,
} from '../../sdk/index.js'
import { SqlError } from '../errors.js'
import { exactJson } from '../exact-json.js'
import { render } from '../statement.js'

/** Compiles a statement and binds its values exactly. @throws {ValueError} for a value that its type can't hold. */
export async function prepare(connection: DuckDBConnection, statement: Statement): Promise<DuckDBPreparedStatement> {
  const { text, params } = render(statement, 'duckdb')
  const prepared = await connection.prepare(text)
  try {
    params.forEach((param, i) => bind(prepared, i + 1, param))
    return prepared
  } catch (error) {
    prepared.destroySync()
    throw error
  }
}

function bind(prepared: DuckDBPreparedStatement, index: number, { type, value: given }: Param): void {
  const value = coercer({ name: `$${index}`, type, nullable: true })(given)
  if (value === null) return prepared.bindNull(index)
  switch (type.kind) {
    case 'bool':
      return prepared.bindBoolean(index, value as boolean)
    case 'int':
    case 'bigint':
      return prepared.bindBigInt(index, value as bigint)
    case 'float':
      return prepared.bindDouble(index, value as number)
    case 'timestamp':
      return prepared.bindTimestamp(index, new DuckDBTimestampValue(value as bigint))
    case 'json':
      return prepared.bindVarchar(index, jsonText(value))
    default:
      return prepared.bindVarchar(index, String(value))
  }
}

/** The portable type that values of a DuckDB type read back as. */
export function portableType(type: DuckDBType): ColumnType {
  switch (type.typeId) {
    case DuckDBTypeId.BOOLEAN:
      return { kind: 'bool' }
    case DuckDBTypeId.TINYINT:
    case DuckDBTypeId.SMALLINT:
    case DuckDBTypeId.INTEGER:
    case DuckDBTypeId.UTINYINT:
    case DuckDBTypeId.USMALLINT:
      return { kind: 'int' }
    case DuckDBTypeId.BIGINT:
    case DuckDBTypeId.UINTEGER:
      return { kind: 'bigint' }
    case DuckDBTypeId.UBIGINT:
    case DuckDBTypeId.HUGEINT:
    case DuckDBTypeId.UHUGEINT:
    case DuckDBTypeId.BIGNUM:
      return { kind: 'int256' }
    case DuckDBTypeId.FLOAT:
    case DuckDBTypeId.DOUBLE:
      return { kind: 'float' }
    case DuckDBTypeId.DECIMAL: {
      const { width, scale } = type as DuckDBType & { readonly width: number; readonly scale: number }
      return { kind: 'decimal', precision: width, scale }
    }
    case DuckDBTypeId.TIMESTAMP:
    case DuckDBTypeId.TIMESTAMP_S:
    case DuckDBTypeId.TIMESTAMP_MS:
    case DuckDBTypeId.TIMESTAMP_NS:
    case DuckDBTypeId.TIMESTAMP_TZ:
      return { kind: 'timestamp' }
    case DuckDBTypeId.DATE:
      return { kind: 'date' }
    case DuckDBTypeId.BLOB:
      return { kind: 'bytes' }
    case DuckDBTypeId.LIST:
    case DuckDBTypeId.ARRAY:
    case DuckDBTypeId.STRUCT:
    case DuckDBTypeId.MAP:
      return { kind: 'json' }
    default:
      return type.alias === 'JSON' ? { kind: 'json' } : { kind: 'text' }
  }
}

/** Makes values of a DuckDB type as `Row` promises them. */
export function reader(type: DuckDBType): (value: DuckDBValue) => Value {
  const { kind } = portableType(type)
  switch (kind) {
    case 'int':
      return (value) => BigInt(value as number)
    case 'bigint':
      return (value) => (typeof value === 'bigint' ? value : BigInt(value as number))
    case 'int256':
    case 'bool':
    case 'float':
      return (value) => value as Value
    case 'text':
      return (value) => (typeof value === 'string' ? value : String(value))
    case 'json':
      return type.alias === 'JSON' ? (value) => exactJson(value as string) : (value) => nested(value)
    default:
      return simple
  }
}

/** What `infinity` is as a time, in whatever unit, and as a date. */
const INFINITE_TIME = 2n ** 63n - 1n
const INFINITE_DAY = 2 ** 31 - 1

/** @throws {SqlError} for a time without end, which is no instant. */
function simple(value: DuckDBValue): Value {
  const endless = endlessTime(value)
  if (endless !== undefined)
    throw new SqlError(`the query gives the time ${endless}, which is no instant`, { hint: 'leave it out, or cast it to text' })
  if (value instanceof DuckDBDecimalValue) return formatDecimal(value.value, value.scale)
  if (value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue) return value.micros
  if (value instanceof DuckDBTimestampSecondsValue) return value.seconds * 1_000_000n
  if (value instanceof DuckDBTimestampMillisecondsValue) return value.millis * 1_000n
  if (value instanceof DuckDBTimestampNanosecondsValue) {
    if (value.nanos % 1_000n !== 0n)
      throw new SqlError(`the query gives ${String(value)}, which has digits below a microsecond`, { hint: 'cast it to TIMESTAMP' })
    return value.nanos / 1_000n
  }
  if (value instanceof DuckDBDateValue) return formatDay(value.days)
  if (value instanceof DuckDBBlobValue) return `0x${Buffer.from(value.bytes).toString('hex')}`
  return String(value)
}

/** A time that has no end, in words. */
function endlessTime(value: DuckDBValue): 'infinity' | '-infinity' | undefined {
  if (value instanceof DuckDBDateValue) return endless(BigInt(value.days), BigInt(INFINITE_DAY))
  if (value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue) return endless(value.micros)
  if (value instanceof DuckDBTimestampSecondsValue) return endless(value.seconds)
  if (value instanceof DuckDBTimestampMillisecondsValue) return endless(value.millis)
  return value instanceof DuckDBTimestampNanosecondsValue ? endless(value.nanos) : undefined
}

function endless(at: bigint, most = INFINITE_TIME): 'infinity' | '-infinity' | undefined {
  if (at >= most) return 'infinity'
  return at <= -most ? '-infinity' : undefined
}

function nested(value: DuckDBValue): Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return value
  if (typeof value === 'bigint') return String(value)
  if (value instanceof DuckDBListValue || 'items' in value) return value.items.map(nested)
  if (value instanceof DuckDBStructValue)
    return Object.fromEntries(Object.entries(value.entries).map(([name, item]) => [name, nested(item)]))
  if (value instanceof DuckDBMapValue) return value.entries.map(({ key, value: item }) => [nested(key), nested(item)])
  const exact = simple(value)
  return typeof exact === 'bigint' ? String(exact) : exact
}
