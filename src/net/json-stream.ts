import { isUtf8 } from 'node:buffer'
import { at } from './at.js'
import { MAX_DEPTH, TooDeepError } from './json-depth.js'
import { UnreadableError } from './charset.js'

/** Bytes of elements that are parsed at once: a millisecond of work. */
const PIECE = 262_144

const [QUOTE, COMMA, COLON, SLASH] = [0x22, 0x2c, 0x3a, 0x5c]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/** A list or an object whose end has not come yet. Numbers are places among the bytes that are held. */
interface Level {
  readonly isList: boolean
  /** Of a list: where its elements begin that were not taken out, and how many of these there are before the current one. */
  from: number
  elements: number
  /** Of a list: the comma behind the last of its whole elements. */
  upTo: number
  /** The elements that were taken out of a list. */
  taken: unknown[] | undefined
  /** Whether a list within it was taken out, so that it stays as it is itself. */
  holdsTaken: boolean
  /** Of an object: where its last key stands, and whether a text is the next key. */
  keyFrom: number
  keyTo: number
  awaitsKey: boolean
}

/** The first elements of a list, which were taken out, with the keys and indexes that lead to it. `isWhole`: it has no others. */
interface Taken {
  readonly path: readonly (string | number)[]
  readonly elements: unknown[]
  readonly isWhole: boolean
}

/**
 * Parses JSON while it comes, so that no answer of tens of megabytes keeps everything else waiting, and none is held as bytes, as text
 * and as values at once. Whole elements of long lists are parsed and taken out, a piece at a time; what is left at the end is short.
 * An answer without a long list is parsed at its end. What `JSON.parse` refuses is refused, if later.
 */
export class JsonStream {
  readonly #piece: number
  #bytes: Buffer
  #length = 0
  /** How far the bytes were looked at, and where the next piece is looked for. */
  #seen = 0
  #due: number
  #inText = false
  #levels: Level[] = []
  #found: Taken[] = []
  #problem: Error | undefined

  constructor(piece = PIECE) {
    this.#piece = piece
    this.#due = piece
    this.#bytes = Buffer.allocUnsafeSlow(2 * piece)
  }

  /** What comes next. Holds nothing of `chunk`. */
  add(chunk: Buffer): void {
    if (this.#problem) return
    this.#hold(chunk)
    try {
      this.#look()
    } catch (error) {
      this.drop(error as Error)
    }
  }

  /** The value. @throws {SyntaxError} @throws {TooDeepError} @throws {UnreadableError} */
  end(): unknown {
    if (this.#problem) throw this.#problem
    let value = this.#parse(0, this.#length)
    for (const taken of this.#found) value = withTaken(value, taken)
    this.drop()
    return value
  }

  /** Lets go of all that came. `end` throws the error from now on. */
  drop(problem = new Error('the value was given up')): void {
    this.#problem = problem
    this.#bytes = Buffer.alloc(0)
    this.#levels = []
    this.#found = []
  }

  #hold(chunk: Buffer): void {
    if (this.#length + chunk.length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (this.#length + chunk.length))
      this.#bytes.copy(larger, 0, 0, this.#length)
      this.#bytes = larger
    }
    chunk.copy(this.#bytes, this.#length)
    this.#length += chunk.length
  }

  #look(): void {
    const bytes = this.#bytes
    const levels = this.#levels
    let i = this.#seen
    let length = this.#length
    let inText = this.#inText
    let level = levels.at(-1)
    while (i < length) {
      if (inText) {
        // Most bytes are those of texts.
        let byte = bytes[i]
        while (byte !== QUOTE && byte !== SLASH && ++i < length) byte = bytes[i]
        if (i >= length) break
        if (byte === SLASH) {
          i += 2
          continue
        }
        inText = false
        i++
        if (level?.awaitsKey === true) level.keyTo = i
        continue
      }
      const byte = bytes[i] as number
      switch (byte) {
        case QUOTE:
          inText = true
          if (level?.awaitsKey === true) level.keyFrom = i
          break
        case COLON:
          if (level) level.awaitsKey = false
          break
        case COMMA:
          if (level?.isList === true) {
            level.upTo = i
            level.elements++
            if (i >= this.#due) {
              i = this.#takeOut(i)
              length = this.#length
            }
          } else if (level) level.awaitsKey = true
          break
        case OPEN_LIST:
        case OPEN_OBJECT:
          if (levels.length === MAX_DEPTH) throw new TooDeepError()
          levels.push((level = levelAt(i + 1, byte === OPEN_LIST)))
          break
        case CLOSE_LIST:
        case CLOSE_OBJECT:
          if (level?.taken && byte === CLOSE_LIST) {
            i = this.#closeTaken(level, level.taken, i)
            length = this.#length
          }
          levels.pop()
          level = levels.at(-1)
      }
      i++
    }
    this.#seen = i
    this.#inText = inText
  }

  /** Takes whole elements out of the outermost list that has a piece of them. Returns where the byte at `place` is now. */
  #takeOut(place: number): number {
    const level = this.#levels.find(({ isList, holdsTaken, from, upTo }) => isList && !holdsTaken && upTo - from >= this.#piece / 2)
    if (!level) {
      this.#due = place + this.#piece
      return place
    }
    const depth = this.#levels.indexOf(level)
    for (let i = 0; i < depth; i++) at(this.#levels, i).holdsTaken = true
    const { from, upTo } = level
    this.#parseInto((level.taken ??= []), from, upTo)
    const less = upTo + 1 - from
    this.#cut(from, upTo + 1)
    for (let i = depth + 1; i < this.#levels.length; i++) {
      const inner = at(this.#levels, i)
      inner.from -= less
      inner.upTo -= less
      inner.keyFrom -= less
      inner.keyTo -= less
    }
    level.upTo = from
    level.elements = 0
    this.#due = place - less + this.#piece
    return place - less
  }

  /** Notes a list of which elements were taken out. Takes those that are left, unless some was taken out of them. Returns where its end is now. */
  #closeTaken({ from, holdsTaken }: Level, elements: unknown[], end: number): number {
    const path = this.#levels.slice(0, -1).map((outer) => this.#keyOf(outer))
    this.#found.push({ path, elements, isWhole: !holdsTaken })
    if (holdsTaken) return end
    const before = elements.length
    this.#parseInto(elements, from, end)
    if (elements.length === before) throw new SyntaxError('a list ends in a comma')
    this.#cut(from, end)
    return from
  }

  #keyOf({ isList, elements, keyFrom, keyTo }: Level): string | number {
    return isList ? elements : (this.#parse(keyFrom, keyTo) as string)
  }

  #parseInto(list: unknown[], from: number, to: number): void {
    // The opening bracket stands before, as what was taken out is cut out. One that is added to the text would copy all of it.
    const bytes = this.#bytes
    const behind = bytes[to] as number
    bytes[to] = CLOSE_LIST
    const elements = this.#parse(from - 1, to + 1) as unknown[]
    bytes[to] = behind
    for (const element of elements) list.push(element)
  }

  #parse(from: number, to: number): unknown {
    const bytes = this.#bytes.subarray(from, to)
    if (!isUtf8(bytes)) throw new UnreadableError('its bytes are no UTF-8')
    return JSON.parse(bytes.toString('utf8'))
  }

  #cut(from: number, to: number): void {
    this.#bytes.copyWithin(from, to, this.#length)
    this.#length -= to - from
  }
}

const levelAt = (from: number, isList: boolean): Level => ({
  isList,
  from,
  elements: 0,
  upTo: from,
  taken: undefined,
  holdsTaken: false,
  keyFrom: from,
  keyTo: from,
  awaitsKey: !isList,
})

/** The value, with its taken elements back in their list. Of a key that comes twice the last one counts. */
function withTaken(value: unknown, { path, elements, isWhole }: Taken): unknown {
  const joined = (list: unknown): unknown => {
    if (!Array.isArray(list) || (isWhole && list.length > 0)) return list
    return isWhole ? elements : elements.concat(list)
  }
  const key = path.at(-1)
  if (key === undefined) return joined(value)
  const parent = path.slice(0, -1).reduce<unknown>((outer, each) => (has(outer, each) ? Reflect.get(outer, each) : undefined), value)
  // Not assigned: `__proto__` is a key like any other here.
  if (has(parent, key))
    Object.defineProperty(parent, key, {
      value: joined(Reflect.get(parent, key)),
      writable: true,
      enumerable: true,
      configurable: true,
    })
  return value
}

const has = (value: unknown, key: string | number): value is object =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
