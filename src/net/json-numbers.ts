import { PackedList } from '../sdk/index.js'
import { isDeep, MAX_DEPTH, parseJson, TooDeepError } from './json-depth.js'

/** What makes a parsed value useless: a number above 2^53, which JSON.parse may have rounded, or levels beyond `MAX_DEPTH`. */
export function flawOf(value: unknown, left = MAX_DEPTH): 'rounded' | 'deep' | undefined {
  if (typeof value === 'number') return Math.abs(value) > Number.MAX_SAFE_INTEGER ? 'rounded' : undefined
  if (typeof value !== 'object' || value === null) return undefined
  // Its depth was judged as it came.
  if (value instanceof PackedList) return value.isRounded ? 'rounded' : undefined
  if (left === 0) return 'deep'
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const inner: unknown = value[i]
      const flaw = typeof inner === 'string' ? undefined : flawOf(inner, left - 1)
      if (flaw !== undefined) return flaw
    }
    return undefined
  }
  // Objects that JSON.parse made inherit nothing enumerable, and for-in over them is several times faster than Object.values.
  for (const key in value) {
    const inner = (value as Record<string, unknown>)[key]
    const flaw = typeof inner === 'string' ? undefined : flawOf(inner, left - 1)
    if (flaw !== undefined) return flaw
  }
  return undefined
}

const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/** JSON with every integer exact: those above 2^53, which a JavaScript number would round, become text. @throws {SyntaxError} @throws {TooDeepError} */
export function parseExact(text: string): unknown {
  const parsed = parseJson(text)
  const flaw = flawOf(parsed)
  if (flaw === undefined) return parsed
  if (flaw === 'deep' || isDeep(parsed)) throw new TooDeepError()
  const quoted = text.replace(TOKENS, (token) => (/^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token))
  return JSON.parse(quoted)
}
