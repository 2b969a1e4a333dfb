import { type Json, referenceName } from '../../sdk/index.js'

/** A JSON Schema as plain data. */
export type JsonSchema = { readonly [keyword: string]: unknown }

/** What readers of a schema beside a value ask about it, whatever they look for: where a reference leads, and which branch is meant. */
export class SchemaWalk {
  readonly #root: unknown
  #named: ReadonlyMap<string, JsonSchema> | undefined

  constructor(root: unknown) {
    this.#root = root
  }

  /** The schema behind a `$ref`: `#`, a pointer into the root, or the `$id` of a part of it. */
  resolve(reference: string): JsonSchema | undefined {
    if (reference === '#') return isSchema(this.#root) ? this.#root : undefined
    if (!reference.startsWith('#/')) {
      this.#named ??= new Map(withIds(this.#root))
      return this.#named.get(reference)
    }
    let at: unknown = this.#root
    for (const part of reference.slice(2).split('/')) {
      const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
      at = at !== null && typeof at === 'object' && Object.hasOwn(at, key) ? (at as JsonSchema)[key] : undefined
    }
    return isSchema(at) ? at : undefined
  }

  /**
   * Whether a value could be meant by a branch of a union: its kind, its constants and the names of its fields, not its ranges
   * or patterns. `closed`: a field that the branch does not name speaks against it.
   */
  fits(schema: unknown, value: Json, closed = false, seen: readonly JsonSchema[] = []): boolean {
    if (schema === false) return false
    if (!isSchema(schema) || seen.includes(schema)) return true
    const inner = [...seen, schema]
    if (typeof schema['$ref'] === 'string' && !this.fits(this.resolve(schema['$ref']), value, closed, inner)) return false
    // A `$name` of a unit or row field stands for a value of any kind.
    if (referenceName(value) !== undefined) return true
    if ('const' in schema && !sameJson(schema['const'], value)) return false
    if (Array.isArray(schema['enum']) && !schema['enum'].some((option) => sameJson(option, value))) return false
    if (schema['type'] !== undefined && ![schema['type']].flat().some((type) => hasType(value, type))) return false
    // Each part names some of the fields only.
    if (!listOf(schema['allOf']).every((part) => this.fits(part, value, false, inner))) return false
    for (const union of ['anyOf', 'oneOf']) {
      const branches = listOf(schema[union])
      if (branches.length > 0 && !branches.some((branch) => this.fits(branch, value, closed, inner))) return false
    }
    if (Array.isArray(value)) return value.every((item: Json, i) => this.fits(itemSchema(schema, i), item, closed))
    if (value === null || typeof value !== 'object') return true
    if (listOf(schema['required']).some((key) => !Object.hasOwn(value, String(key)))) return false
    return Object.entries(value).every(([key, item]) => {
      const fields = fieldSchemas(schema, key)
      if (fields.length === 0) return !closed || !('properties' in schema)
      return fields.every((field) => this.fits(field, item as Json, closed))
    })
  }
}

/** The schemas that speak about a field: its own, those of matching patterns, else the one for all others. */
export function fieldSchemas(schema: JsonSchema, key: string): readonly unknown[] {
  const properties = schema['properties']
  const patterns = schema['patternProperties']
  const found: unknown[] = []
  if (isSchema(properties) && Object.hasOwn(properties, key)) found.push(properties[key])
  if (isSchema(patterns)) for (const [pattern, field] of Object.entries(patterns)) if (new RegExp(pattern, 'u').test(key)) found.push(field)
  if (found.length === 0 && schema['additionalProperties'] !== undefined) found.push(schema['additionalProperties'])
  return found
}

/** The schema of an element of a list. */
export function itemSchema(schema: JsonSchema, index: number): unknown {
  const prefix = listOf(schema['prefixItems'])
  if (index < prefix.length) return prefix[index]
  // TypeBox writes tuples in the older form, with a list in `items`.
  return Array.isArray(schema['items']) ? (schema['items'][index] ?? schema['additionalItems']) : schema['items']
}

export function isSchema(value: unknown): value is JsonSchema {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson((a as JsonSchema)[key], (b as JsonSchema)[key]))
  )
}

function hasType(value: Json, type: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null
    case 'array':
      return Array.isArray(value)
    case 'object':
      return value !== null && typeof value === 'object' && !Array.isArray(value)
    case 'integer':
      return typeof value === 'number' && Number.isInteger(value)
    default:
      return typeof value === type
  }
}

function* withIds(schema: unknown): Iterable<[string, JsonSchema]> {
  if (Array.isArray(schema)) for (const item of schema) yield* withIds(item)
  if (!isSchema(schema)) return
  if (typeof schema['$id'] === 'string') yield [schema['$id'], schema]
  for (const inner of Object.values(schema)) yield* withIds(inner)
}
