import { isUtf8 } from 'node:buffer'
import { PackedList } from '../sdk/index.js'
import { at } from './at.js'
import { MAX_DEPTH, TooDeepError } from './json-depth.js'
import { flawOf } from './json-numbers.js'
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
  /** The number of a list of which elements were taken out. */
  taken: number | undefined
  /** Whether a list within it was taken out, so that it stays as it is itself. */
  holdsTaken: boolean
  /** Of an object: where its last key stands, and whether a text is the next key. */
  keyFrom: number
  keyTo: number
  /** Of an object: the keys below which elements were taken out. */
  takenKeys: Set<unknown> | undefined
  awaitsKey: boolean
}

/** A list whose first elements were taken out, by its number, with the keys and indexes that lead to it. `isWhole`: it has no others. */
export interface TakenList {
  readonly list: number
  readonly path: readonly (string | number)[]
  readonly isWhole: boolean
}

/** What comes of long JSON: lists of whole elements, a piece of a list each, and at the end what is left without them. */
export interface JsonParts {
  /** JSON of a list with the next elements of this list. Valid only until it returns. */
  elements(list: number, bytes: Buffer): void
  rest(bytes: Buffer, lists: readonly TakenList[]): void
}

/**
 * Parses JSON while it comes, so that no answer of tens of megabytes keeps everything else waiting, and none is held as bytes, as text
 * and as values at once. Whole elements of long lists are parsed and taken out, a piece at a time; what is left at the end is short.
 * An answer without a long list is parsed at its end. What `JSON.parse` refuses is refused, if later.
 */
export class JsonStream {
  readonly #parts: JsonSplit
  readonly #value = new JsonValue()
  #problem: Error | undefined

  constructor(piece?: number) {
    this.#parts = new JsonSplit(this.#value, piece)
  }

  /** What comes next. Holds nothing of `chunk`. */
  add(chunk: Buffer): void {
    if (this.#problem) return
    try {
      this.#parts.add(chunk)
    } catch (error) {
      this.drop(error as Error)
    }
  }

  /** The value. @throws {SyntaxError} @throws {TooDeepError} @throws {UnreadableError} */
  end(): unknown {
    if (this.#problem) throw this.#problem
    this.#parts.end()
    this.#problem = new Error('the value was given already')
    return this.#value.end()
  }

  /** Lets go of all that came. `end` throws the error from now on. */
  drop(problem = new Error('the value was given up')): void {
    this.#problem = problem
    this.#parts.drop()
    this.#value.drop(problem)
  }
}

/** One value, made of long lists and of what is left without them. `L`: how a list is held while it comes. */
abstract class PartedValue<L extends Iterable<unknown>> {
  readonly #lists = new Map<number, L>()
  #value: unknown
  #problem: Error | undefined

  protected abstract empty(): L
  /** What stands for a list in the value. */
  protected abstract asValue(list: L, taken: TakenList): unknown[] | PackedList

  /** A list that gets more elements; undefined when nobody waits for the value any more. */
  protected list(number: number): L | undefined {
    if (this.#problem) return undefined
    let list = this.#lists.get(number)
    if (!list) this.#lists.set(number, (list = this.empty()))
    return list
  }

  /** @throws {SyntaxError} @throws {UnreadableError} */
  rest(bytes: Buffer, lists: readonly TakenList[]): void {
    if (this.#problem) return
    this.#value = parsed(bytes)
    for (const taken of lists) {
      const list = this.#lists.get(taken.list) ?? this.empty()
      this.#value = withTaken(this.#value, taken, this.asValue(list, taken))
    }
  }

  /** The value, once. @throws what `drop` was given */
  end(): unknown {
    if (this.#problem) throw this.#problem
    const value = this.#value
    this.drop()
    return value
  }

  /** Lets go of all that came. `end` throws the error from now on. */
  drop(problem = new Error('the value was given up')): void {
    this.#problem = problem
    this.#lists.clear()
    this.#value = undefined
  }
}

/** Makes one value of the parts of long JSON. */
export class JsonValue extends PartedValue<unknown[]> implements JsonParts {
  readonly #texts = new Map<string, string>()

  /** @throws {SyntaxError} @throws {UnreadableError} */
  elements(list: number, bytes: Buffer): void {
    const elements = this.list(list)
    if (!elements) return
    for (const element of parsed(bytes) as unknown[]) {
      shareTexts(element, this.#texts)
      elements.push(element)
    }
  }

  protected empty(): unknown[] {
    return []
  }

  protected asValue(list: unknown[]): unknown[] {
    return list
  }
}

/** Names of which texts are remembered: a list of objects has few. */
const NAMES = 64

/**
 * A text that a field of this name had just before is that one: elements of a list have much in common, hashes of their block above all.
 * What is dropped at once costs the collector nothing.
 */
function shareTexts(value: unknown, texts: Map<string, string>): void {
  if (typeof value !== 'object' || value === null) return
  const fields = value as Record<string, unknown>
  for (const name in fields) {
    const field = fields[name]
    if (typeof field !== 'string') shareTexts(field, texts)
    else {
      const before = texts.get(name)
      if (before === field) fields[name] = before
      else if (before !== undefined || texts.size < NAMES) texts.set(name, field)
    }
  }
}

/** Elements of a list as bytes that `packed` made, and whether a number of them may have been rounded. */
export interface PackedPage {
  readonly bytes: Uint8Array
  readonly count: number
  readonly isRounded: boolean
}

/** Makes one value of parts whose lists come packed: those of a `result` stay so. */
export class PackedValue extends PartedValue<PackedList> {
  /** The next elements of a list. */
  page(list: number, { bytes, count, isRounded }: PackedPage): void {
    const elements = this.list(list)
    if (!elements) return
    elements.addPage(bytes, count)
    elements.isRounded ||= isRounded
  }

  protected empty(): PackedList {
    return new PackedList()
  }

  protected asValue(list: PackedList, { path }: TakenList): unknown[] | PackedList {
    // The answers themselves, where one request has many, are looked at as they always are.
    return path.includes('result') ? list : [...list]
  }
}

/** @throws {SyntaxError} @throws {UnreadableError} */
export function parsed(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new UnreadableError('its bytes are no UTF-8')
  return JSON.parse(bytes.toString('utf8'))
}

/** Tells the parts of long JSON while it comes, and makes no values of them. */
export class JsonSplit {
  readonly #parts: JsonParts
  readonly #piece: number
  #bytes: Buffer
  #length = 0
  /** How far the bytes were looked at, and where the next piece is looked for. */
  #seen = 0
  #due: number
  #inText = false
  #levels: Level[] = []
  #found: TakenList[] = []
  #lists = 0

  constructor(parts: JsonParts, piece = PIECE) {
    this.#parts = parts
    this.#piece = piece
    this.#due = piece
    this.#bytes = Buffer.allocUnsafeSlow(2 * piece)
  }

  /** What comes next. Holds nothing of `chunk`. @throws {SyntaxError} @throws {TooDeepError} @throws {UnreadableError} */
  add(chunk: Buffer): void {
    this.#hold(chunk)
    this.#look()
  }

  /** All has come. @throws as `add` */
  end(): void {
    this.#parts.rest(this.#bytes.subarray(0, this.#length), this.#found)
    this.drop()
  }

  /** Lets go of what came. */
  drop(): void {
    this.#bytes = Buffer.alloc(0)
    this.#length = 0
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
        if (level?.awaitsKey === true) this.#endKey(level, i)
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
          if (level?.taken !== undefined && byte === CLOSE_LIST) {
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
    this.#tell((level.taken ??= this.#lists++), from, upTo)
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
  #closeTaken({ from, holdsTaken }: Level, list: number, end: number): number {
    const path = this.#levels.slice(0, -1).map((outer) => this.#keyOf(outer))
    for (const [i, key] of path.entries()) (at(this.#levels, i).takenKeys ??= new Set()).add(key)
    this.#found.push({ path, list, isWhole: !holdsTaken })
    if (holdsTaken) return end
    if (isBlank(this.#bytes, from, end)) throw new SyntaxError('a list ends in a comma')
    this.#tell(list, from, end)
    this.#cut(from, end)
    return from
  }

  /** A key has come. One that comes twice counts the last time, and what was taken out of the first is told already. */
  #endKey(level: Level, end: number): void {
    level.keyTo = end
    if (level.takenKeys?.has(this.#keyOf(level))) throw new SyntaxError('a key that comes twice')
  }

  #keyOf({ isList, elements, keyFrom, keyTo }: Level): string | number {
    return isList ? elements : (parsed(this.#bytes.subarray(keyFrom, keyTo)) as string)
  }

  #tell(list: number, from: number, to: number): void {
    // The opening bracket stands before, as what was taken out is cut out.
    const bytes = this.#bytes
    const behind = bytes[to] as number
    bytes[to] = CLOSE_LIST
    this.#parts.elements(list, bytes.subarray(from - 1, to + 1))
    bytes[to] = behind
  }

  #cut(from: number, to: number): void {
    this.#bytes.copyWithin(from, to, this.#length)
    this.#length -= to - from
  }
}

/** Whether there is nothing but space. */
function isBlank(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if ((bytes[i] as number) > 0x20) return false
  return true
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
  takenKeys: undefined,
  awaitsKey: !isList,
})

/** The value, with its taken elements back in their list. Of a key that comes twice the last one counts. */
function withTaken(value: unknown, { path, isWhole }: TakenList, elements: unknown[] | PackedList): unknown {
  const joined = (list: unknown): unknown => {
    if (!Array.isArray(list) || (isWhole && list.length > 0)) return list
    for (const element of list as unknown[]) elements.push(element)
    if (elements instanceof PackedList && flawOf(list) !== undefined) elements.isRounded = true
    return elements
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
