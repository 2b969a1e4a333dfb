import { type Column, type ColumnType, jsonText, parseDay, type Value } from '../../sdk/index.js'
import { sqlType } from '../types.js'

/** A column as ClickHouse's Native format has it: the values of all rows, one behind the other, little-endian. */
export interface NativeColumn {
  readonly name: string
  readonly type: string
  readonly bytes: Uint8Array
}

/** One block of rows in the Native format, which a server takes as it is: no number is read from its digits. */
export function nativeBlock(columns: readonly NativeColumn[], rows: number): Buffer {
  const head = Buffer.from(length(columns.length) + length(rows), 'latin1')
  return Buffer.concat([head, ...columns.flatMap(({ name, type, bytes }) => [texts([name, type], utf8), bytes])])
}

/** A column of exact values. */
export function nativeColumn(column: Column, values: readonly Value[]): NativeColumn {
  const bytes = valuesOf(column.type, values)
  const type = nativeType(column)
  if (!column.nullable) return { name: column.name, type, bytes }
  const nulls = Uint8Array.from(values, (value) => (value === null ? 1 : 0))
  return { name: column.name, type, bytes: Buffer.concat([nulls, bytes]) }
}

/** The type of a column in rows that are sent. */
export function nativeType({ type, nullable }: Column): string {
  // Without its zone, which would have to be quoted: ours is UTC.
  const name = type.kind === 'timestamp' ? 'DateTime64(6)' : sqlType(type, 'clickhouse')
  return nullable ? `Nullable(${name})` : name
}

/** A column that has the same text in every row. */
export function constantColumn(name: string, value: string, rows: number): NativeColumn {
  const one = texts([value], utf8)
  return { name, type: 'String', bytes: Buffer.alloc(one.length * rows, one) }
}

/** A column that has the same version in so many rows after another. */
export function versionColumn(name: string, versions: readonly (readonly [version: bigint, rows: number])[]): NativeColumn {
  const bytes = Buffer.concat(versions.map(([version, rows]) => bytesOf(new BigUint64Array(rows).fill(version))))
  return { name, type: 'UInt64', bytes }
}

/** A column that counts the rows, up to, and without, an end. */
export function orderColumn(name: string, from: number, to: number): NativeColumn {
  return { name, type: 'UInt32', bytes: bytesOf(Uint32Array.from({ length: to - from }, (_, i) => from + i)) }
}

const LARGEST_WORD = 2n ** 64n - 1n

/** In place of a null, whose place is told before the values, is a zero or an empty text. */
function valuesOf(type: ColumnType, values: readonly Value[]): Uint8Array {
  // Exact values of a kind are of the type that `coercer` says.
  switch (type.kind) {
    case 'bool':
      return Uint8Array.from(values, (value) => (value === true ? 1 : 0))
    case 'int':
      return bytesOf(Int32Array.from(values, (value) => Number(value as bigint | null)))
    case 'bigint':
    case 'timestamp':
      return integers(values as readonly (bigint | null)[], 1)
    case 'uint256':
    case 'int256':
      return integers(values as readonly (bigint | null)[], 4)
    case 'float':
      return bytesOf(Float64Array.from(values, Number))
    case 'decimal':
      return decimals(values as readonly (string | null)[], type.precision)
    case 'date':
      return bytesOf(Int32Array.from(values, (value) => (value === null ? 0 : (parseDay(value as string) ?? NaN))))
    case 'address':
    case 'hash':
    case 'bytes':
      return texts(values as readonly (string | null)[], (hex) => hex)
    case 'json':
      return texts(values, (value) => utf8(jsonText(value)))
    case 'text':
      return texts(values as readonly (string | null)[], utf8)
  }
}

/** Integers of so many words of 64 bits, negative ones as the complement of two. A word takes the lowest 64 bits of what it is given. */
function integers(values: readonly (bigint | null)[], words: number): Uint8Array {
  const all = new BigUint64Array(values.length * words)
  for (let i = 0; i < values.length; i++) {
    let rest = values[i] ?? 0n
    let word = i * words
    all[word] = rest
    for (const end = word + words; ++word < end && (rest < 0n || rest > LARGEST_WORD);) all[word] = rest >>= 64n
  }
  return bytesOf(all)
}

/** Decimals as integers: without the point, which is at the same place in all of a column. */
function decimals(values: readonly (string | null)[], precision: number): Uint8Array {
  const whole = values.map((value) => BigInt((value ?? '0').replace('.', '')))
  return precision <= 9 ? bytesOf(Int32Array.from(whole, Number)) : integers(whole, precision <= 18 ? 1 : 2)
}

/** Texts, each behind its length, as one string whose characters are bytes: that is made into bytes at once. */
function texts<T>(values: readonly (T | null)[], binary: (value: T) => string): Buffer {
  let all = ''
  for (const value of values) {
    const bytes = value === null ? '' : binary(value)
    all += length(bytes.length)
    all += bytes
  }
  return Buffer.from(all, 'latin1')
}

/** The bytes of a text as characters. */
function utf8(text: string): string {
  return Buffer.byteLength(text) === text.length ? text : Buffer.from(text).toString('latin1')
}

/** A number as groups of seven bits, the lowest first, each a character; all but the last have the eighth bit. */
function length(value: number): string {
  return value < 128 ? String.fromCharCode(value) : String.fromCharCode((value % 128) + 128) + length(Math.floor(value / 128))
}

const bytesOf = ({ buffer, byteOffset, byteLength }: NodeJS.TypedArray): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength)
