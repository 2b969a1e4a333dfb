import type { Json } from '../../sdk/index.js'
import { fieldSchemas, isSchema, itemSchema, type JsonSchema, listOf, sameJson, SchemaWalk } from './schema-walk.js'

type Path = readonly string[]

/**
 * The fields of a value that its JSON Schema marks `tuning: true`, and those that stand at the schema's default: what is no
 * part of a fingerprint. Where several branches of a union fit the value, a field counts only when all of them say so; what
 * can't be told is left in, since redoing work is cheaper than missing a change.
 */
export function tuningPaths(schema: unknown, value: Json): readonly Path[] {
  return new Marked(schema, 'tuning').paths(schema, value, [])
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

/** The fields of a value that its JSON Schema marks `secret: true`: what the environment puts there is not to be shown. */
export function secretPaths(schema: unknown, value: Json): readonly Path[] {
  return marked(schema, 'secret', value)
}

type Reading = 'url' | 'kept' | 'sql' | 'secret'

function marked(schema: unknown, reading: Reading, value: Json): readonly Path[] {
  return readingsIn(schema).has(reading) ? new Marked(schema, reading).paths(schema, value, []) : []
}

const readings = new WeakMap<object, ReadonlySet<unknown>>()

/**
 * The values of `references` in a schema, `secret` where a field is marked so, and `$ref` where one leads out of it: most parts of most schemas have none, and what
 * they describe need not be walked.
 */
function readingsIn(schema: unknown): ReadonlySet<unknown> {
  if (!isSchema(schema)) return new Set()
  const known = readings.get(schema)
  if (known) return known
  const found = new Set<unknown>()
  const visit = (part: unknown, key: string): void => {
    if (key === 'references') found.add(part)
    if (key === '$ref' || (key === 'secret' && part === true)) found.add(key)
    if (part !== null && typeof part === 'object') for (const [inner, value] of Object.entries(part)) visit(value, inner)
  }
  visit(schema, '')
  readings.set(schema, found)
  return found
}

class Marked {
  readonly #walk: SchemaWalk
  readonly #wanted: 'tuning' | Reading

  constructor(root: unknown, wanted: 'tuning' | Reading) {
    this.#walk = new SchemaWalk(root)
    this.#wanted = wanted
  }

  #isMarked(schema: JsonSchema): boolean {
    const isFlag = this.#wanted === 'tuning' || this.#wanted === 'secret'
    return isFlag ? schema[this.#wanted] === true : schema['references'] === this.#wanted
  }

  paths(schema: unknown, value: Json, seen: readonly JsonSchema[]): readonly Path[] {
    if (!isSchema(schema) || seen.includes(schema)) return []
    if (this.#isMarked(schema)) return [[]]
    if (this.#wanted !== 'tuning' && !readingsIn(schema).has(this.#wanted) && !readingsIn(schema).has('$ref')) return []
    const inner = [...seen, schema]
    const found: Path[] = []
    if (typeof schema['$ref'] === 'string') found.push(...this.paths(this.#walk.resolve(schema['$ref']), value, inner))
    for (const branch of listOf(schema['allOf'])) found.push(...this.paths(branch, value, inner))
    for (const union of ['anyOf', 'oneOf']) {
      const branches = listOf(schema[union]).filter((branch) => this.#walk.fits(branch, value))
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
}

/** Paths that both sides cover: a path covers all that lies below it. */
function both(a: readonly Path[], b: readonly Path[]): readonly Path[] {
  const covered = (path: Path, by: readonly Path[]) => by.some((other) => other.every((key, i) => path[i] === key))
  return [...a.filter((path) => covered(path, b)), ...b.filter((path) => covered(path, a))]
}
