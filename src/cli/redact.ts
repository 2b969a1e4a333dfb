/**
 * Takes secrets out of texts, however they are written: plain, URL-encoded, in base64 or escaped for JSON. Short values
 * (under 6 characters) are no secrets that could be told from ordinary words.
 */
export function createRedactor(secrets: readonly string[]): (text: string) => string {
  const forms = new Set<string>()
  for (const secret of secrets) {
    if (secret.length < 6) continue
    const base64 = Buffer.from(secret).toString('base64')
    for (const form of [
      secret,
      encodeURIComponent(secret),
      encodeURI(secret),
      base64,
      base64.replace(/=+$/, ''),
      JSON.stringify(secret).slice(1, -1),
    ])
      forms.add(form)
  }
  if (forms.size === 0) return (text) => text
  // The longest first: a URL before the key in it.
  const pattern = new RegExp(
    [...forms]
      .sort((a, b) => b.length - a.length)
      .map(escapePattern)
      .join('|'),
    'g',
  )
  return (text) => text.replace(pattern, '***')
}

/** The same for every text inside a plain value. */
export function redactDeep<T>(value: T, redact: (text: string) => string): T {
  if (typeof value === 'string') return redact(value) as T
  if (Array.isArray(value)) return value.map((item: unknown) => redactDeep(item, redact)) as T
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redactDeep(item as unknown, redact)])) as T
  return value
}

const escapePattern = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
