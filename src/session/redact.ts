import { redactor } from '../net/redactor.js'

/** Takes secrets out of texts. Short values (under 6 characters) are no secrets that could be told from ordinary words. */
export function createRedactor(secrets: readonly string[]): (text: string) => string {
  return redactor(secrets.filter((secret) => secret.length >= 6))
}

/** The same for every text inside a plain value. */
export function redactDeep<T>(value: T, redact: (text: string) => string): T {
  if (typeof value === 'string') return redact(value) as T
  if (Array.isArray(value)) return value.map((item: unknown) => redactDeep(item, redact)) as T
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redactDeep(item as unknown, redact)])) as T
  return value
}
