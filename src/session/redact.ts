import { redactor } from '../net/redactor.js'

type Redact = (text: string) => string

/** Takes secrets out of texts. Short values (under 6 characters) are no secrets that could be told from ordinary words. */
export function createRedactor(secrets: readonly string[]): Redact {
  return redactor(secrets.filter((secret) => secret.length >= 6))
}

/** The same for every text inside a plain value. */
export function redactDeep<T>(value: T, redact: Redact): T {
  if (typeof value === 'string') return redact(value) as T
  if (Array.isArray(value)) return value.map((item: unknown) => redactDeep(item, redact)) as T
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redactDeep(item as unknown, redact)])) as T
  return value
}

/**
 * The same for whatever was thrown. An error stays the object that it is, with its class and `code`, and loses the secrets of its
 * message, its hint, its stack, its other fields and its causes. An object in a field that is neither data nor an error is taken
 * away: nobody knows what it would show. Anything but an error becomes one.
 */
export function redactError(thrown: unknown, redact: Redact): Error {
  const seen = new Map<object, unknown>()
  const redacted = (value: unknown): unknown => {
    if (typeof value === 'string') return redact(value)
    if (typeof value !== 'object' || value === null) return value
    if (seen.has(value)) return seen.get(value)
    if (value instanceof Error) {
      seen.set(value, value)
      for (const key of Reflect.ownKeys(value))
        if (key !== 'code') Object.defineProperty(value, key, { value: redacted(Reflect.get(value, key)) })
      return value
    }
    if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return undefined
    const copy: object = Array.isArray(value) ? [] : {}
    seen.set(value, copy)
    for (const [key, item] of Object.entries(value)) Reflect.set(copy, key, redacted(item))
    return copy
  }
  return redacted(thrown instanceof Error ? thrown : new Error(String(thrown))) as Error
}

/** Does a work. What it throws holds none of the secrets. */
export async function redacting<T>(secrets: readonly string[], work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw redactError(error, createRedactor(secrets))
  }
}
