import { redactor } from './redactor.js'

const HTML = /<[a-z!/][^>]*>/i

/** Takes secrets out of a text that came from outside. */
export type Scrub = (text: string) => string

/**
 * What a provider said, fit to be shown: without secrets, without tags, one line, control characters and those that turn
 * the direction of writing spelt out, at most `max` characters.
 */
export function showText(text: string, scrub: Scrub, max = 200): string {
  // A text of megabytes is cut first, with room for a secret that lies across the border.
  let shown = scrub(text.slice(0, max * 20))
  if (HTML.test(shown)) shown = shown.replace(/<(script|style)\b[\s\S]*?(<\/\1\s*>|$)/gi, ' ').replace(/<[^>]*(>|$)/g, ' ')
  shown = shown
    .replace(/[ \t\r\n]+/g, ' ')
    .trim()
    .replace(
      /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
  return shown.length > max ? `${shown.slice(0, max - 1)}…` : shown
}

/**
 * Knows what is secret in an endpoint (path, query, user, password, header values) and in the login of a proxy, and replaces it by `***`,
 * however it comes back.
 */
export function scrubber(url: URL, headers: Readonly<Record<string, string>>, proxy?: URL): Scrub {
  const secrets = new Set<string>()
  const add = (secret: string, least: number): void => {
    if (secret.length >= least) secrets.add(secret).add(decoded(secret))
  }
  add(url.href, 8)
  add(url.pathname + url.search, 8)
  add(url.pathname, 8)
  // Words that are no keys turn up in every message.
  for (const part of url.pathname.split('/')) if (mayBeKey(part)) add(part, 6)
  for (const value of url.searchParams.values()) add(value, 4)
  for (const { username, password } of proxy ? [url, proxy] : [url]) {
    add(username, 4)
    add(password, 1)
    if (username || password) add(`${decoded(username)}:${decoded(password)}`, 3)
  }
  for (const value of Object.values(headers)) {
    add(value, 4)
    for (const word of value.split(/\s+/)) add(word, 8)
  }
  return redactor(secrets)
}

/** Rather too much than too little: a word of 16 letters, such as the name of a chain, may be one. */
export function mayBeKey(part: string): boolean {
  return part.length >= (/\d/.test(part) ? 6 : 16)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
