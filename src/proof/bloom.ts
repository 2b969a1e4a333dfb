import { keccak } from './keccak.js'
import { bytes } from './read.js'

/** What a bloom is asked for: the part of a log filter that it knows of. */
export interface BloomFilter {
  /** Any of these, in lower-case hex; none: of any contract. */
  readonly addresses: readonly string[]
  /** By position: any of these, or anything (null). */
  readonly topics: readonly (readonly string[] | null)[]
}

/** The three bits, of 2,048, that an address or topic sets. */
type Bits = readonly [number, number, number]

/** An address or topic that was read, with its bits. */
interface BloomItem {
  readonly value: Uint8Array
  readonly bits: Bits
}

/** What was read of a block already, by its text: a block has many logs of few contracts and events. */
export type BloomItems = Map<string, BloomItem>

/** Reads an address or topic of so many bytes and sets its bits in a bloom of 256 (Yellow Paper, 4.3.1). @throws {BlockUnreadableError} */
export function addToBloom(bloom: Uint8Array, known: BloomItems, text: unknown, name: string, length: number): Uint8Array {
  let item = typeof text === 'string' ? known.get(text) : undefined
  if (!item || item.value.length !== length) {
    const value = bytes(text, name, length)
    item = { value, bits: bitsOf(value) }
    known.set(String(text), item)
  }
  for (const bit of item.bits) bloom[255 - (bit >> 3)] = (bloom[255 - (bit >> 3)] ?? 0) | (1 << (bit & 7))
  return item.value
}

function bitsOf(value: Uint8Array): Bits {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = keccak(value)
  return [((a << 8) | b) & 2047, ((c << 8) | d) & 2047, ((e << 8) | f) & 2047]
}

/** For each condition of a filter the bits of its alternatives. A filter is asked of thousands of headers. */
const asked = new WeakMap<BloomFilter, readonly (readonly Bits[])[]>()

/**
 * Whether a block with this `logsBloom` may hold a log of the filter. False is certain for a header whose hash is believed;
 * true is not: a bloom takes some logs for others. A text that is no bloom may hold anything, so that it is never proof.
 *
 * The blooms of Polygon's headers know nothing of the logs of state syncs before its Madhugiri fork (`isStateSync`), and some chains
 * whose headers can't be rebuilt give a bloom of zeros always: there, false is no proof.
 *
 * @throws {BlockUnreadableError} when an address or topic of the filter is none
 */
export function bloomMay(bloom: unknown, filter: BloomFilter): boolean {
  if (typeof bloom !== 'string' || !/^0x[\da-f]{512}$/i.test(bloom)) return true
  let conditions = asked.get(filter)
  if (!conditions) asked.set(filter, (conditions = conditionsOf(filter)))
  if (conditions.length === 0) return /[^0]/.test(bloom.slice(2))
  return conditions.every((alternatives) => alternatives.some((bits) => bits.every((bit) => isSet(bloom, bit))))
}

function conditionsOf({ addresses, topics }: BloomFilter): readonly (readonly Bits[])[] {
  const ofAddresses = addresses.map((address) => bitsOf(bytes(address, 'address', 20)))
  const ofTopics = topics.map((any) => (any ?? []).map((topic) => bitsOf(bytes(topic, 'topic', 32))))
  return [ofAddresses, ...ofTopics].filter(({ length }) => length > 0)
}

/** The highest bit of a bloom is the first of its text; four of them are a digit. */
function isSet(bloom: string, bit: number): boolean {
  const sign = bloom.charCodeAt(513 - (bit >> 2))
  const digit = (sign & 15) + (sign > 57 ? 9 : 0)
  return ((digit >> (bit & 3)) & 1) === 1
}
