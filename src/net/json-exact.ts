import { type Json, JsonNumber } from '../sdk/index.js'

const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/** JSON in which each number that a JavaScript number would write otherwise is a `JsonNumber`. `text` was parsed before without an error. */
export function parseDigits(text: string): Json {
  const altered = (token: string) => !token.startsWith('"') && String(Number(token)) !== token
  let found = false
  for (const [token] of text.matchAll(TOKENS)) if ((found = altered(token))) break
  if (!found) return JSON.parse(text) as Json
  const mark = markFor(text)
  const marked = text.replace(TOKENS, (token) => (altered(token) ? `{"${mark}":"${token}"}` : token))
  return JSON.parse(marked, (_, value: unknown) => {
    const digits: unknown =
      typeof value === 'object' && value !== null && Object.hasOwn(value, mark) ? (value as Record<string, unknown>)[mark] : undefined
    return typeof digits === 'string' ? new JsonNumber(digits) : value
  }) as Json
}

/** A name that no object of the text has, however it is escaped. */
function markFor(text: string): string {
  const plain = JSON.stringify(JSON.parse(text))
  let mark = 'digits'
  while (plain.includes(mark)) mark += '_'
  return mark
}
