/** A value of a log: integers are bigint, addresses and bytes lower-case hex. */
export type AbiValue = bigint | boolean | string | readonly AbiValue[] | { readonly [name: string]: AbiValue }

/** A type as ABI JSON writes it. */
export interface AbiType {
  /** `uint256`, `tuple`, `bytes32[2][]`. */
  readonly type: string
  readonly name?: string
  /** Of a tuple, or of a list of them. */
  readonly components?: readonly AbiType[]
}

/** Reads the values of one type. */
export interface TypeReader {
  /** Bytes that it takes where it stands: of a dynamic type those of an offset. */
  readonly head: number
  /** Whether only an offset stands there. */
  readonly dynamic: boolean
  /** @param position Where it stands, in bytes. @param base What its offset counts from. @throws {Unfit} */
  read(data: AbiData, position: number, base: number): AbiValue
  /** Of a type that is one word: its value, of a text of hex that has the word at this character. @throws {Unfit} */
  readonly ofWord?: OfWord
}

type OfWord = (hex: string, at: number) => AbiValue

/** Data is none of what it is read as. */
export class Unfit extends Error {}

/** A type that no log holds. */
export class UnknownTypeError extends Error {}

const WORD = 32
/** How often places may be read that were read before, as viem has it: data that points to itself would have no end. */
const MOST_REPEATS = 8192
/** Texts and bytes may hold so many times what the data holds, as viem has it. */
const MOST_GROWTH = 32
const HEX = /^0x[0-9a-f]*$/

/** Lower-case `0x` text of what is hex; undefined for what is none. */
export function lowerHex(text: string): string | undefined {
  if (HEX.test(text)) return text
  const lower = text.toLowerCase()
  return HEX.test(lower) ? lower : undefined
}

/** The data of a log, read by place. */
export class AbiData {
  readonly hex: string
  readonly #size: number
  #reads = 0
  #seen: Set<number> | undefined
  #repeats = 0
  #held = 0

  /** @param data `0x` text. @throws {Unfit} */
  constructor(data: string) {
    const hex = lowerHex(data)
    if (hex === undefined || hex.length % 2 === 1) throw new Unfit('the data is no hex')
    this.hex = hex
    this.#size = (hex.length - 2) / 2
    if (this.#size < WORD) throw new Unfit(this.#size === 0 ? 'there is no data' : 'the data is shorter than a word')
  }

  /** The character at which so many bytes are. @throws {Unfit} when the data ends before them. */
  at(position: number, bytes: number): number {
    if (position + bytes > this.#size) throw new Unfit('the data ends before it')
    this.#count(position)
    return 2 + 2 * position
  }

  /** An offset or a length. @throws {Unfit} */
  number(position: number): number {
    const at = this.at(position, WORD)
    // More than 48 bits, and it is longer than any text can be.
    if (!this.hex.startsWith(ZEROS, at)) throw new Unfit('it lies behind the data')
    return parseInt(this.hex.slice(at + ZEROS.length, at + 2 * WORD), 16)
  }

  /** Bytes behind their length, as hex without `0x`. @throws {Unfit} */
  bytes(start: number): string {
    const length = this.number(start)
    if (length === 0) return ''
    this.#held += length
    if (this.#held > MOST_GROWTH * this.#size) throw new Unfit('its parts overlap')
    const at = this.at(start + WORD, length)
    return this.hex.slice(at, at + 2 * length)
  }

  /** That something follows the word at which a dynamic value stands, as viem has it. @throws {Unfit} */
  settle(base: number): void {
    if (base + WORD >= this.#size) throw new Unfit('it lies in its own place')
  }

  /** Which places were read is looked at only once there were too many reads for all to be of different ones. */
  #count(position: number): void {
    if (this.#seen) {
      if (this.#repeats >= MOST_REPEATS) throw new Unfit('its parts overlap')
      if (this.#seen.has(position)) this.#repeats++
      else this.#seen.add(position)
      return
    }
    PLACES[this.#reads++] = position
    if (this.#reads < PLACES.length) return
    this.#seen = new Set(PLACES)
    this.#repeats = PLACES.length - this.#seen.size
  }
}

/** Of the data that is read now, in common: nothing is read between the reads of one log. */
const PLACES = new Uint32Array(MOST_REPEATS)
const ZEROS = '0'.repeat(52)

/** The reader of a type. @throws {UnknownTypeError} */
export function compileType({ type, components = [] }: AbiType): TypeReader {
  const list = /^(.*)\[(\d*)\]$/.exec(type)
  if (list) {
    const [, of = '', length = ''] = list
    const item = compileType({ type: of, components })
    if (length === '') return listOf(item)
    if (Number(length) === 0) throw new UnknownTypeError(`${type} is a list of nothing`)
    return fixedListOf(item, Number(length))
  }
  if (type === 'tuple') return tupleOf(components)
  return { string: text, bytes, address, bool }[type] ?? numbered(type)
}

function listOf(item: TypeReader): TypeReader {
  return {
    head: WORD,
    dynamic: true,
    read(data, position, base) {
      const start = base + data.number(position)
      const length = data.number(start)
      const first = start + WORD
      const values: AbiValue[] = []
      for (let i = 0; i < length; i++) values.push(item.read(data, first + i * item.head, first))
      data.settle(base)
      return values
    },
  }
}

function fixedListOf(item: TypeReader, length: number): TypeReader {
  const readAll = (data: AbiData, start: number, base: number): AbiValue => {
    const values: AbiValue[] = []
    for (let i = 0; i < length; i++) values.push(item.read(data, start + i * item.head, base))
    return values
  }
  return item.dynamic ? pointed(readAll) : { head: length * item.head, dynamic: false, read: readAll }
}

/** An object by the names of its parts; an array where one has none. */
function tupleOf(components: readonly AbiType[]): TypeReader {
  let head = 0
  const parts = components.map((component) => {
    const { read, head: width, dynamic } = compileType(component)
    head += width
    return { name: component.name ?? '', at: head - width, read, dynamic }
  })
  const named = parts.every(({ name }) => name !== '')
  const readAll: TypeReader['read'] = (data, start, base) => {
    if (!named) return parts.map(({ at, read }) => read(data, start + at, base))
    const value: Record<string, AbiValue> = {}
    for (const { name, at, read } of parts) value[name] = read(data, start + at, base)
    return value
  }
  return parts.some(({ dynamic }) => dynamic) ? pointed(readAll) : { head, dynamic: false, read: readAll }
}

/** What stands where an offset says, with parts whose offsets count from there. */
function pointed(read: TypeReader['read']): TypeReader {
  return {
    head: WORD,
    dynamic: true,
    read(data, position, base) {
      const start = base + data.number(position)
      const value = read(data, start, start)
      data.settle(base)
      return value
    },
  }
}

function held(make: (hex: string) => AbiValue): TypeReader {
  return {
    head: WORD,
    dynamic: true,
    read(data, position, base) {
      const value = data.bytes(base + data.number(position))
      data.settle(base)
      return make(value)
    },
  }
}

const word = (ofWord: OfWord, length = WORD): TypeReader => ({
  head: WORD,
  dynamic: false,
  read: (data, position) => ofWord(data.hex, data.at(position, length)),
  ofWord,
})

const decoder = new TextDecoder()
const bytes = held((hex) => `0x${hex}`)
/** UTF-8; what is none becomes U+FFFD. */
const text = held((hex) => decoder.decode(Buffer.from(hex, 'hex')))
const address = word((hex, at) => `0x${hex.slice(at + 24, at + 64)}`)
const bool = word((hex, at) => {
  const value = unsigned(hex, at)
  if (value > 1n) throw new Unfit('it is neither true nor false')
  return value === 1n
})

/** `uint8` to `uint256`, `int8` to `int256`, `bytes1` to `bytes32`. */
function numbered(type: string): TypeReader {
  const [, kind, digits] = /^(uint|int|bytes)(\d+)$/.exec(type) ?? []
  const number = Number(digits)
  switch (kind) {
    case 'bytes':
      return word((hex, at) => `0x${hex.slice(at, at + 2 * number)}`, number)
    case 'uint':
      return number > 48 ? word(unsigned) : word((hex, at) => small(unsigned(hex, at)))
    case 'int':
      return number > 48 ? word(signed) : word((hex, at) => small(signed(hex, at)))
    default:
      throw new UnknownTypeError(`${type} is no type of a log`)
  }
}

/** A small number takes a way that is faster. */
function unsigned(hex: string, at: number): bigint {
  return hex.startsWith(ZEROS, at) ? BigInt(parseInt(hex.slice(at + 52, at + 64), 16)) : BigInt(`0x${hex.slice(at, at + 64)}`)
}

const signed = (hex: string, at: number): bigint => BigInt.asIntN(256, unsigned(hex, at))

/** An integer of at most 48 bits is, to viem, a number: what that can't hold does not fit. */
function small(value: bigint): bigint {
  if (!Number.isSafeInteger(Number(value))) throw new Unfit('it is beyond its type')
  return value
}
