/** Whether a parsed value has a number in it above 2^53, which JSON.parse may have rounded. */
export function unsafeNumber(value: unknown): boolean {
  if (typeof value === 'number') return Math.abs(value) > Number.MAX_SAFE_INTEGER
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const inner: unknown = value[i]
      if (typeof inner !== 'string' && unsafeNumber(inner)) return true
    }
    return false
  }
  // Objects that JSON.parse made inherit nothing enumerable, and for-in over them is several times faster than Object.values.
  for (const key in value) {
    const inner = (value as Record<string, unknown>)[key]
    if (typeof inner !== 'string' && unsafeNumber(inner)) return true
  }
  return false
}

const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/** JSON with every integer exact: those above 2^53, which a JavaScript number would round, become text. @throws {SyntaxError} */
export function parseExact(text: string): unknown {
  const parsed: unknown = JSON.parse(text)
  if (!unsafeNumber(parsed)) return parsed
  const quoted = text.replace(TOKENS, (token) => (/^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token))
  return JSON.parse(quoted)
}
