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
