import type { Json } from './values.js'

let met = false

/**
 * A number of JSON that a JavaScript number would change, with its digits as they came. It stands inside of JSON, where only
 * what stores JSON may meet it: `HttpReply.exact` gives it, a `json` column keeps it, other columns take it as `plain` says.
 */
export class JsonNumber {
  constructor(readonly digits: string) {}

  /** As `HttpReply.body` has it: a whole number above 2^53 as text, any other as the nearest JavaScript number. */
  get plain(): string | number {
    const number = Number(this.digits)
    return /^-?\d+$/.test(this.digits) && !Number.isSafeInteger(number) ? this.digits : number
  }

  toJSON(): string {
    met = true
    return this.digits
  }
}

/** The text of JSON, with numbers digit for digit. */
export function jsonText(value: unknown): string {
  met = false
  // It asks every JsonNumber, so afterwards it is known whether there is one.
  const text = JSON.stringify(value)
  return met ? exactText(value as Json | JsonNumber) : text
}

function exactText(value: Json | JsonNumber): string {
  if (value instanceof JsonNumber) return value.digits
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(exactText).join(',')}]`
  return `{${Object.entries(value)
    .map(([key, item]: [string, Json]) => `${JSON.stringify(key)}:${exactText(item)}`)
    .join(',')}}`
}
