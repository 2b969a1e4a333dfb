import type { KeptFields } from '../sdk/index.js'
import { MAX_DEPTH, TooDeepError } from './json-depth.js'

const [QUOTE, COMMA, COLON, SLASH, ZERO] = [0x22, 0x2c, 0x3a, 0x5c, 0x30]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]
/** Longer texts are looked through by memchr, whose call costs as much as a loop over so many bytes. */
const SHORT = 80
/** A name or a bloom that is longer is none. */
const LONGEST = 65_536

/** What is known of an open list or object. */
const LIST = 1
/** An object of which only some fields are kept, none of them so far, one whose logs are not empty. */
const CHOSEN = 2
const BARE = 4
const LOGS = 8
/** An object that may be the answer to a call. */
const ANSWER = 16
/** The name by which an object is judged was there: a result, or logs. */
const HAS = 32

const NO_MORE = -1

/**
 * Takes fields that nobody looks at out of the text of JSON-RPC answers while it comes, without making values of it: of all objects
 * in lists of a `result`. All else stays as it is, byte by byte, and what is left is JSON where the whole was.
 */
export class FieldSieve {
  readonly #names = new Map<number, Buffer[]>()
  readonly #someBlooms: boolean
  /** What came and can't be judged yet: the beginning of a name, of a bloom. */
  #rest: Buffer = Buffer.alloc(0)
  readonly #flags = new Uint8Array(MAX_DEPTH + 1)
  #depth = 0
  #lists = 0
  /** Of the answer whose result is being read; none: 0. */
  #answer = 0
  /** Of the object of which a field is left out; none: 0. */
  #skipped = 0
  #awaitsKey = false
  #copies = true
  #inText = false
  #slash = false

  constructor({ fields, blooms }: KeptFields) {
    this.#someBlooms = blooms === 'unexplained'
    for (const name of fields) {
      const bytes = Buffer.from(name)
      const hash = hashOf(bytes, 0, bytes.length)
      this.#names.set(hash, [...(this.#names.get(hash) ?? []), bytes])
    }
  }

  /** What is kept of what comes next, in memory of its own, or in `room` if that is large enough. @throws {SyntaxError} @throws {TooDeepError} */
  add(chunk: Uint8Array, room?: Buffer): Buffer {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    this.#rest = Buffer.alloc(0)
    // A comma may have come before, whose field is kept only now.
    const kept = room && room.length > bytes.length ? room : Buffer.allocUnsafeSlow(bytes.length + 1)
    return kept.subarray(0, this.#sift(bytes, kept))
  }

  /** What is left at the end, which was cut off where it is not empty. */
  end(): Buffer {
    return this.#copies ? this.#rest : Buffer.alloc(0)
  }

  /** Writes what is kept of `bytes`, and returns how much that is. */
  #sift(bytes: Buffer, kept: Buffer): number {
    const flags = this.#flags
    let end = bytes.length
    let depth = this.#depth
    let lists = this.#lists
    let answer = this.#answer
    let skipped = this.#skipped
    let copies = this.#copies
    let awaitsKey = this.#awaitsKey
    let from = 0
    let filled = 0
    let i = 0
    // Where what is kept ends if the next field is not: neighbours that are kept go together.
    let upTo = 0
    const flush = (to: number): void => {
      if (to > from) filled += bytes.copy(kept, filled, from, to)
    }
    while (i < end) {
      if (this.#inText) {
        i = this.#endOfText(bytes, i)
        if (i === NO_MORE) break
        continue
      }
      const byte = bytes[i] as number
      switch (byte) {
        case QUOTE: {
          const isKey = awaitsKey && ((flags[depth] as number) & (CHOSEN | ANSWER)) !== 0 && skipped === 0
          awaitsKey = false
          const close = closeOf(bytes, i + 1)
          if (!isKey) {
            if (close === NO_MORE) {
              this.#inText = true
              i++
            } else i = close + 1
            continue
          }
          const judged = close === NO_MORE ? undefined : this.#judge(bytes, i, close, depth)
          if (judged === undefined) {
            if (end - i > LONGEST) throw new SyntaxError('a name that does not end')
            awaitsKey = true
            this.#rest = Buffer.from(bytes.subarray(i))
            end = i
            break
          }
          if (((flags[depth] as number) & CHOSEN) !== 0) {
            if (!judged) {
              if (copies) flush(upTo)
              copies = false
              skipped = depth
            } else if (!copies) {
              if (((flags[depth] as number) & BARE) === 0) kept[filled++] = COMMA
              from = i
              copies = true
            }
            if (judged) flags[depth] = (flags[depth] as number) & ~BARE
          } else answer = judged ? depth : 0
          i = close + 1
          break
        }
        case COMMA:
          if (skipped === 0 || skipped === depth) {
            upTo = i
            if (((flags[depth] as number) & ANSWER) !== 0) answer = 0
            skipped = 0
            awaitsKey = ((flags[depth] as number) & LIST) === 0
          }
          i++
          break
        case OPEN_LIST:
        case OPEN_OBJECT: {
          if (depth === MAX_DEPTH) throw new TooDeepError()
          const isList = byte === OPEN_LIST
          const outer = flags[depth] as number
          depth++
          if (skipped > 0) flags[depth] = isList ? LIST : 0
          else if (isList) {
            flags[depth] = LIST
            if (answer > 0) lists++
          } else if (answer > 0 && lists > 0) {
            flags[depth] = CHOSEN | BARE
            upTo = i + 1
          } else flags[depth] = depth === 1 || (depth === 2 && (outer & LIST) !== 0) ? ANSWER : 0
          awaitsKey = !isList
          i++
          break
        }
        case CLOSE_LIST:
        case CLOSE_OBJECT: {
          const closed = flags[depth] as number
          if (depth === 0 || ((closed & LIST) !== 0) !== (byte === CLOSE_LIST)) throw new SyntaxError('a bracket that nothing opened')
          if (skipped === depth) skipped = 0
          if (skipped === 0) {
            if ((closed & CHOSEN) !== 0) {
              if (!copies) from = i
              copies = true
            } else if ((closed & LIST) !== 0 && answer > 0) lists--
            else if ((closed & ANSWER) !== 0) answer = 0
          }
          depth--
          awaitsKey = false
          i++
          break
        }
        default:
          if (awaitsKey && skipped === 0 && byte > 0x20) throw new SyntaxError('a field without a name')
          i++
      }
    }
    if (copies && awaitsKey && ((flags[depth] as number) & CHOSEN) !== 0) {
      flush(upTo)
      copies = false
    } else if (copies) flush(end)
    this.#depth = depth
    this.#lists = lists
    this.#answer = answer
    this.#skipped = skipped
    this.#copies = copies
    this.#awaitsKey = awaitsKey
    return filled
  }

  /** Goes on in a text. Returns where it has ended, or `NO_MORE`. */
  #endOfText(bytes: Buffer, from: number): number {
    const end = bytes.length
    let i = from
    if (this.#slash) {
      this.#slash = false
      i++
    }
    const near = Math.min(end, i + SHORT)
    for (; i < end; i++) {
      if (i === near && near < end) {
        const quote = bytes.indexOf(QUOTE, i)
        const slash = bytes.subarray(i, quote < 0 ? end : quote).indexOf(SLASH)
        if (slash >= 0) i += slash
        else if (quote < 0) return NO_MORE
        else i = quote
      }
      const byte = bytes[i] as number
      if (byte === QUOTE) {
        this.#inText = false
        return i + 1
      }
      if (byte === SLASH && ++i === end) this.#slash = true
    }
    return NO_MORE
  }

  /** Whether a field is kept, or is the result of an answer. Undefined: more has to come. */
  #judge(bytes: Buffer, open: number, close: number, depth: number): boolean | undefined {
    const flags = this.#flags[depth] as number
    const isEscaped = hasSlash(bytes, open + 1, close)
    if ((flags & CHOSEN) === 0) {
      if (isEscaped || !isName(bytes, open + 1, close, RESULT)) return false
      if ((flags & HAS) !== 0) throw new SyntaxError('an answer with two results')
      this.#flags[depth] = flags | HAS
      return true
    }
    // Whatever it means when it is read.
    if (isEscaped) return true
    if (isName(bytes, open + 1, close, LOGS_NAME)) {
      const list = valueAt(bytes, close + 1)
      const inner = list === NO_MORE ? NO_MORE : valueAt(bytes, list + 1)
      if (inner === NO_MORE) return undefined
      // What was judged by the first would be wrong for the second, which counts.
      if ((flags & HAS) !== 0) throw new SyntaxError('a receipt with two lists of logs')
      this.#flags[depth] = flags | HAS | (bytes[list] === OPEN_LIST && bytes[inner] !== CLOSE_LIST ? LOGS : 0)
    } else if (this.#someBlooms && isName(bytes, open + 1, close, BLOOM)) {
      if ((flags & LOGS) !== 0) return false
      const value = valueAt(bytes, close + 1)
      if (value === NO_MORE) return undefined
      const end = bytes[value] === QUOTE ? closeOf(bytes, value + 1) : value
      if (end === NO_MORE) return undefined
      if (end > value && isZero(bytes, value + 1, end)) return false
    }
    return this.#names.get(hashOf(bytes, open + 1, close))?.some((name) => isName(bytes, open + 1, close, name)) ?? false
  }
}

const RESULT = Buffer.from('result')
const LOGS_NAME = Buffer.from('logs')
const BLOOM = Buffer.from('logsBloom')
/** Of a bloom. */
const ZEROS = Buffer.alloc(512, ZERO)

function hasSlash(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] === SLASH) return true
  return false
}

function hashOf(bytes: Buffer, from: number, to: number): number {
  let hash = to - from
  for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0
  return hash
}

function isName(bytes: Buffer, from: number, to: number, name: Buffer): boolean {
  if (to - from !== name.length) return false
  for (let i = 0; i < name.length; i++) if (bytes[from + i] !== name[i]) return false
  return true
}

/** The quote that ends a text. */
function closeOf(bytes: Buffer, from: number): number {
  const near = Math.min(bytes.length, from + SHORT)
  let i = from
  for (; i < near; i++) {
    const byte = bytes[i] as number
    if (byte === QUOTE) return i
    if (byte === SLASH) i++
  }
  for (;;) {
    const quote = bytes.indexOf(QUOTE, i)
    if (quote < 0) return NO_MORE
    let slashes = 0
    while (quote - 1 - slashes >= i && bytes[quote - 1 - slashes] === SLASH) slashes++
    if (slashes % 2 === 0) return quote
    i = quote + 1
  }
}

/** The first byte at or behind a place that is no space and no colon. */
function valueAt(bytes: Buffer, from: number): number {
  let i = from
  while (i < bytes.length && ((bytes[i] as number) <= 0x20 || bytes[i] === COLON)) i++
  return i < bytes.length ? i : NO_MORE
}

/** `0x` and nothing but zeros. */
function isZero(bytes: Buffer, from: number, to: number): boolean {
  const digits = to - from - 2
  return digits >= 0 && digits <= ZEROS.length && bytes[from] === ZERO && ZEROS.compare(bytes, from + 2, to, 0, digits) === 0
}
