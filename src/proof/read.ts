import { PipeError } from '../sdk/index.js'

/** A part of a block, of a receipt or of a proof is not what JSON-RPC says: no hexadecimal text, too short, no list. */
export class BlockUnreadableError extends PipeError {
  readonly code = 'BLOCK_UNREADABLE'
  override readonly blame = 'outage'
  override readonly hint = 'ask another endpoint for the block; this one gives what no node of Ethereum gives'
  constructor(
    /** Where it is: `receipts[3].logs[0].topics[1]`. */
    readonly field: string,
    /** What the node gave, shortened. */
    readonly said: string,
    /** What belongs there, in words. */
    readonly wanted: string,
  ) {
    super(`${field} is ${said}, where ${wanted} belongs`)
  }
}

/** An object of an answer, of which nothing is known yet. */
export type Fields = Readonly<Record<string, unknown>>

const NOTHING = Buffer.alloc(0)

/** @throws {BlockUnreadableError} when it is no object */
export function fieldsOf(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unreadable(name, value, 'an object')
  // The cast holds: an object has fields by name, and each of them is looked at when it is read.
  return value as Fields
}

/** @throws {BlockUnreadableError} when it is no list */
export function listOf(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw unreadable(name, value, 'a list')
  return value
}

/** Bytes in hexadecimal text, `length` of them where it is given. @throws {BlockUnreadableError} */
export function bytes(value: unknown, name: string, length?: number): Buffer {
  if (typeof value === 'string' && value.startsWith('0x')) {
    const read = Buffer.from(value.slice(2), 'hex')
    // Buffer.from stops without a word at the first sign that is no digit.
    if (read.length * 2 === value.length - 2 && (length === undefined || read.length === length)) return read
  }
  throw unreadable(name, value, length === undefined ? 'bytes in hexadecimal' : `${length} bytes in hexadecimal`)
}

/** A number of at most 256 bits as RLP has it: its bytes without leading zeros, none for zero. @throws {BlockUnreadableError} */
export function quantity(value: unknown, name: string): Buffer {
  if (typeof value === 'string' && value.startsWith('0x') && value.length > 2) {
    let first = 2
    while (value.charCodeAt(first) === 48) first++
    if (first === value.length) return NOTHING
    const digits = value.slice(first)
    const read = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
    if (read.length === (digits.length + 1) >> 1 && read.length <= 32) return read
  }
  throw unreadable(name, value, 'a number in hexadecimal')
}

/** The type of an EIP-2718 envelope; 0 where there is none. @throws {BlockUnreadableError} */
export function typeOf({ type }: Fields): number {
  const read = type == null ? NOTHING : quantity(type, 'type')
  const [number = 0] = read
  if (read.length > 1 || number > 0x7f) throw unreadable('type', type, 'a type from 0x0 to 0x7f')
  return number
}

/** @throws {BlockUnreadableError} */
export const numberOf = (value: unknown, name: string): bigint => BigInt(`0x0${quantity(value, name).toString('hex')}`)

/** An address, or nothing where a contract is created. */
export function recipient(value: unknown, name: string): Buffer {
  return value == null ? NOTHING : bytes(value, name, 20)
}

export const hex = (value: Uint8Array): string => `0x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`

/** Whether a node says this hash. It may write it in capitals. */
export const says = (said: unknown, hash: string): boolean => said === hash || (typeof said === 'string' && said.toLowerCase() === hash)

/** Whether a node says this number, in hexadecimal as ever it writes it. */
export function saysNumber(said: unknown, number: number | bigint): boolean {
  if (said === `0x${number.toString(16)}`) return true
  return typeof said === 'string' && /^0x[\da-f]{1,64}$/i.test(said) && BigInt(said) === BigInt(number)
}

/** What a node gave, for people. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > 160 ? `${text.slice(0, 157)}...` : text
}

/** Reads one of a list; what can't be read is named by its place. */
export function at<T>(place: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof BlockUnreadableError) throw new BlockUnreadableError(`${place}.${error.field}`, error.said, error.wanted)
    throw error
  }
}

function unreadable(name: string, value: unknown, wanted: string): BlockUnreadableError {
  return new BlockUnreadableError(name, shown(value), wanted)
}
