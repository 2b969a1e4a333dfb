import { type Json, referenceName } from '../../sdk/index.js'

type Path = readonly string[]
type Schema = { readonly [keyword: string]: unknown }

/**
 * The fields of a value that its JSON Schema marks `tuning: true`, and those that stand at the schema's default: what is no
 * part of a fingerprint. Where several branches of a union fit the value, a field counts only when all of them say so; what
 * can't be told is left in, since redoing work is cheaper than missing a change.
 */
export function tuningPaths(schema: unknown, value: Json): readonly Path[] {
  return new Walk(schema, 'tuning').paths(schema, value, [])
}

/** The fields of a value that its JSON Schema marks `references: 'url'`: texts in which `$name` stands for an URL-encoded value. */
export function urlPaths(schema: unknown, value: Json): readonly Path[] {
  return marked(schema, 'url', value)
}

/** The fields of a value that its JSON Schema marks `references: 'kept'`: a bare text there means something else than `$name` does. */
export function keptPaths(schema: unknown, value: Json): readonly Path[] {
  return marked(schema, 'kept', value)
}

/** The fields of a value that its JSON Schema marks `references: 'sql'`: texts of SQL, in which `$name` is a bound value. */
export function sqlPaths(schema: unknown, value: Json): readonly Path[] {
  return marked(schema, 'sql', value)
}

type Reading = 'url' | 'kept' | 'sql'

function marked(schema: unknown, reading: Reading, value: Json): readonly Path[] {
  return readingsIn(schema).has(reading) ? new Walk(schema, reading).paths(schema, value, []) : []
}

const readings = new WeakMap<object, ReadonlySet<unknown>>()

/** The values of `references` in a schema: most have one or none, and a value need not be walked for the others. */
function readingsIn(schema: unknown): ReadonlySet<unknown> {
  if (!isSchema(schema)) return new Set()
  const known = readings.get(schema)
  if (known) return known
  const found = new Set<unknown>()
  const visit = (part: unknown, key: string): void => {
    if (key === 'references') found.add(part)
    if (part !== null && typeof part === 'object') for (const [inner, value] of Object.entries(part)) visit(value, inner)
  }
  visit(schema, '')
  readings.set(schema, found)
  return found
}

class Walk {
  readonly #root: unknown
  #named: ReadonlyMap<string, Schema> | undefined

  readonly #wanted: 'tuning' | Reading

  constructor(root: unknown, wanted: 'tuning' | Reading) {
    this.#root = root
    this.#wanted = wanted
  }

  paths(schema: unknown, value: Json, seen: readonly Schema[]): readonly Path[] {
    if (!isSchema(schema) || seen.includes(schema)) return []
    if (this.#wanted === 'tuning' ? schema['tuning'] === true : schema['references'] === this.#wanted) return [[]]
    const inner = [...seen, schema]
    const found: Path[] = []
    if (typeof schema['$ref'] === 'string') found.push(...this.paths(this.#resolve(schema['$ref']), value, inner))
    for (const branch of listOf(schema['allOf'])) found.push(...this.paths(branch, value, inner))
    for (const union of ['anyOf', 'oneOf']) {
      const branches = listOf(schema[union]).filter((branch) => this.#fits(branch, value, []))
      if (branches.length > 0) found.push(...branches.map((branch) => this.paths(branch, value, inner)).reduce(both))
    }
    if (Array.isArray(value)) {
      value.forEach((item: Json, i) => found.push(...this.paths(itemSchema(schema, i), item, []).map((path) => [String(i), ...path])))
    } else if (value !== null && typeof value === 'object') {
      for (const [key, item] of Object.entries(value)) {
        const fields = fieldSchemas(schema, key)
        if (this.#wanted === 'tuning' && fields.some((field) => isSchema(field) && 'default' in field && sameJson(field['default'], item)))
          found.push([key])
        for (const field of fields) found.push(...this.paths(field, item, []).map((path) => [key, ...path]))
      }
    }
    return found
  }

  /** Whether a value could be meant by a branch of a union: its kind, its constants and the names of its fields, not its ranges or patterns. */
  #fits(schema: unknown, value: Json, seen: readonly Schema[]): boolean {
    if (schema === false) return false
    if (!isSchema(schema) || seen.includes(schema)) return true
    const inner = [...seen, schema]
    if (typeof schema['$ref'] === 'string' && !this.#fits(this.#resolve(schema['$ref']), value, inner)) return false
    // A `$name` of a unit or row field stands for a value of any kind.
    if (referenceName(value) !== undefined) return true
    if ('const' in schema && !sameJson(schema['const'], value)) return false
    if (Array.isArray(schema['enum']) && !schema['enum'].some((option) => sameJson(option, value))) return false
    if (schema['type'] !== undefined && ![schema['type']].flat().some((type) => hasType(value, type))) return false
    if (!listOf(schema['allOf']).every((branch) => this.#fits(branch, value, inner))) return false
    for (const union of ['anyOf', 'oneOf']) {
      const branches = listOf(schema[union])
      if (branches.length > 0 && !branches.some((branch) => this.#fits(branch, value, inner))) return false
    }
    if (Array.isArray(value)) return value.every((item: Json, i) => this.#fits(itemSchema(schema, i), item, []))
    if (value === null || typeof value !== 'object') return true
    if (listOf(schema['required']).some((key) => !Object.hasOwn(value, String(key)))) return false
    return Object.entries(value).every(([key, item]) => fieldSchemas(schema, key).every((field) => this.#fits(field, item, [])))
  }

  #resolve(reference: string): Schema | undefined {
    if (reference === '#') return isSchema(this.#root) ? this.#root : undefined
    if (!reference.startsWith('#/')) {
      this.#named ??= new Map(withIds(this.#root))
      return this.#named.get(reference)
    }
    let at: unknown = this.#root
    for (const part of reference.slice(2).split('/')) {
      const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
      at = at !== null && typeof at === 'object' && Object.hasOwn(at, key) ? (at as Schema)[key] : undefined
    }
    return isSchema(at) ? at : undefined
  }
}

/** Paths that both sides cover: a path covers all that lies below it. */
function both(a: readonly Path[], b: readonly Path[]): readonly Path[] {
  const covered = (path: Path, by: readonly Path[]) => by.some((other) => other.every((key, i) => path[i] === key))
  return [...a.filter((path) => covered(path, b)), ...b.filter((path) => covered(path, a))]
}

/** The schemas that speak about a field: its own, those of matching patterns, else the one for all others. */
function fieldSchemas(schema: Schema, key: string): readonly unknown[] {
  const properties = schema['properties']
  const patterns = schema['patternProperties']
  const found: unknown[] = []
  if (isSchema(properties) && Object.hasOwn(properties, key)) found.push(properties[key])
  if (isSchema(patterns)) for (const [pattern, field] of Object.entries(patterns)) if (new RegExp(pattern, 'u').test(key)) found.push(field)
  if (found.length === 0 && schema['additionalProperties'] !== undefined) found.push(schema['additionalProperties'])
  return found
}

function itemSchema(schema: Schema, index: number): unknown {
  const prefix = listOf(schema['prefixItems'])
  if (index < prefix.length) return prefix[index]
  // TypeBox writes tuples in the older form, with a list in `items`.
  return Array.isArray(schema['items']) ? (schema['items'][index] ?? schema['additionalItems']) : schema['items']
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

function* withIds(schema: unknown): Iterable<[string, Schema]> {
  if (Array.isArray(schema)) for (const item of schema) yield* withIds(item)
  if (!isSchema(schema)) return
  if (typeof schema['$id'] === 'string') yield [schema['$id'], schema]
  for (const inner of Object.values(schema)) yield* withIds(inner)
}

function isSchema(schema: unknown): schema is Schema {
  return schema !== null && typeof schema === 'object' && !Array.isArray(schema)
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && sameJson((a as Schema)[key], (b as Schema)[key]))
  )
}
