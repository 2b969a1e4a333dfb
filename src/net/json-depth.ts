/**
 * Levels of lists and objects that an answer may have. The deepest honest ones are traces: calls go 1,024 deep in the EVM, which
 * is two levels each. What is much deeper ends functions that call themselves, ours and those of databases.
 */
export const MAX_DEPTH = 2_500

/** JSON that is nested too deep to be worked with. */
export class TooDeepError extends Error {
  constructor() {
    super(`nested too deep (more than ${MAX_DEPTH} levels)`)
  }
}

/** Texts from this many characters on are looked at before they are parsed: millions of levels take gigabytes as values. */
const LONG = 1_000_000

/** Parsed JSON. Only of a long text the depth is looked at: `isDeep` tells it of every value. @throws {SyntaxError} @throws {TooDeepError} */
export function parseJson(text: string): unknown {
  if (text.length >= LONG && deepText(text)) throw new TooDeepError()
  return JSON.parse(text)
}

export function isDeep(value: unknown, left = MAX_DEPTH): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (left === 0) return true
  for (const key in value) if (isDeep((value as Record<string, unknown>)[key], left - 1)) return true
  return false
}

/** Whether two parsed values are the same, in whatever order their keys are. Neither may be deep. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  const keys = Object.keys(a)
  if (Array.isArray(a) !== Array.isArray(b) || keys.length !== Object.keys(b).length) return false
  return keys.every((key) => Object.hasOwn(b, key) && sameJson(Reflect.get(a, key), Reflect.get(b, key)))
}

function deepText(text: string): boolean {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > MAX_DEPTH) return true
        break
      case 0x5d: // ]
      case 0x7d: // }
        depth--
        break
      case 0x22: // A text, whose brackets count for nothing.
        i = endOfText(text, i + 1)
    }
  }
  return false
}

/** Where the quote is that ends a JSON text. */
function endOfText(text: string, from: number): number {
  for (let end = text.indexOf('"', from); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++
    if (slashes % 2 === 0) return end
  }
  return text.length
}
