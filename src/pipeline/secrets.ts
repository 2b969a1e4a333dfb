import type { Variables } from './yaml/environment.js'
import type { Registry } from '../registry.js'
import { secretPaths } from './schema/tuning.js'
import { type Field, fieldOf, itemsOf, locate, type Node, textOf, toJson } from './yaml/node.js'
import type { Socket, Source } from './pipeline.js'

/** Shorter ones would blot out ordinary words. */
const MIN_LENGTH = 4

/**
 * What must never be shown of endpoints, sources and the warehouse: URLs that hold more than a host, their passwords, long
 * path parts and query values, headers; and `values`, what environment variables put into such a URL. Each also without URL
 * encoding. The longest first, so that replacing one never leaves a part of another.
 */
export function secretsOf(
  endpoints: readonly Socket[],
  sources: readonly Source[],
  warehouse: string,
  values: readonly string[],
): readonly string[] {
  const found = new Set<string>()
  for (const { url, headers } of [...endpoints, ...sources]) {
    addUrl(found, url)
    addHeaders(found, headers)
  }
  addUrl(found, warehouse)
  for (const value of values) {
    if (value.includes('://')) addUrl(found, value)
    else if (value.length >= MIN_LENGTH) found.add(value)
  }
  return [...found].sort((a, b) => b.length - a.length || (a < b ? -1 : 1))
}

function addUrl(found: Set<string>, text: string): void {
  if (!text.includes('://') || !URL.canParse(text)) return
  const url = new URL(text)
  const parts = [...url.searchParams.values(), ...url.pathname.split('/').filter(looksLikeKey), url.hash.slice(1)].filter(
    (part) => part.length >= MIN_LENGTH,
  )
  // A user beside a password is no secret (`postgres`); one alone is a key.
  if (url.password !== '') parts.push(url.password, `${url.username}:${url.password}`)
  else if (url.username !== '') parts.push(url.username)
  for (const part of parts) addDecoded(found, part)
  if (parts.length > 0) found.add(text).add(url.href)
}

/** `v2`, `mainnet` and `ext` are ways; `a1b2c3d4e5f6…` is a key. */
function looksLikeKey(part: string): boolean {
  return part.length >= 16 || (part.length >= 10 && /\d/.test(part))
}

function addDecoded(found: Set<string>, part: string): void {
  found.add(part)
  try {
    found.add(decodeURIComponent(part))
  } catch {
    // Not encoded, or not well: then it appears as it stands.
  }
}

function addHeaders(found: Set<string>, headers: Readonly<Record<string, string>>): void {
  for (const value of Object.values(headers)) {
    if (value.length >= MIN_LENGTH) found.add(value)
    // `Authorization: Bearer abc`: the token alone as well.
    for (const part of value.split(/\s+/)) if (part.length >= 12) found.add(part)
  }
}

/** The parts of the steps' `with` that their types mark `secret: true`. */
export function secretParts(steps: Field, registry: Registry): readonly Field[] {
  return itemsOf(steps).flatMap((step) => {
    const { node, path, place } = fieldOf(step, 'with')
    const schema = registry.get(textOf(fieldOf(step, 'type')) ?? '')?.config
    if (!node || !schema) return []
    return secretPaths(schema, toJson(node)).map((part): Field => ({ path: [...path, ...part], place, node: locate(node, part).node }))
  })
}

/** The variables that went into texts of these fields, where a variable is only a part of what it went into (a key in a URL). */
export function secretValues(fields: readonly Field[], variables: Variables): readonly string[] {
  const found = new Set<string>()
  const walk = (node: Node): void => {
    if (node.kind === 'list') node.items.forEach(walk)
    else if (node.kind === 'map') for (const entry of node.entries.values()) walk(entry.value)
    else if (typeof node.value === 'string' && !isHost(node.value)) {
      for (const name of node.env) {
        const value = variables[name] ?? ''
        if (value !== '' && !(URL.canParse(node.value) && new URL(node.value).host.includes(value)) && !/^(duckdb|chdb):/.test(node.value))
          found.add(value)
      }
    }
  }
  for (const { node } of fields) if (node) walk(node)
  return [...found]
}

/** A URL without anything but a host holds nothing that may not be shown. */
function isHost(text: string): boolean {
  return URL.canParse(text) && new URL(text).href === `${new URL(text).origin}/`
}
