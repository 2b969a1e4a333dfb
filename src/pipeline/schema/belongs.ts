import type { Json } from '../../sdk/index.js'
import type { Path } from '../yaml/node.js'
import { fieldSchemas, isSchema, itemSchema, type JsonSchema, listOf, SchemaWalk } from './schema-walk.js'

/** Levels of maps that are looked up and down. Farther away the same name mostly means something else. */
const LEVELS = 2

/**
 * Where a key is known that is unknown at a path, in words (it belongs into `over`), or undefined. `root` is the schema of the file,
 * `value` what stands in it.
 */
export function belongs(root: unknown, value: Json, path: Path, key: string): string | undefined {
  const walk = new SchemaWalk(root)
  const levels: { readonly schemas: readonly JsonSchema[]; readonly value: Json | undefined }[] = [
    { schemas: parts(walk, [root], value), value },
  ]
  for (const part of path) {
    const { schemas, value: holder } = levels.at(-1) ?? { schemas: [], value: undefined }
    const inner = valueAt(holder, part)
    const next = schemas.flatMap((schema) => (typeof part === 'number' ? [itemSchema(schema, part)] : fieldSchemas(schema, part)))
    levels.push({ schemas: parts(walk, next, inner), value: inner })
  }
  const within = below(walk, levels.at(-1)?.schemas ?? [], key, LEVELS)
  if (within) return `it belongs into \`${within.join('.')}\``
  let up = 0
  for (let i = path.length - 1; i >= 0 && up < LEVELS; i--) {
    // A list is no level of its own.
    if (typeof path[i] === 'number') continue
    up++
    // The top of a file has names like `name` that mean something else elsewhere.
    if (i === 0 && path.length > 1) break
    if (!levels[i]?.schemas.some((schema) => knows(schema, key))) continue
    const holder = path[i - 1]
    return typeof holder === 'string' ? `it belongs into \`${holder}\`` : `it belongs beside \`${String(path[i])}\``
  }
  return undefined
}

/** The way down to a map that knows the key. */
function below(walk: SchemaWalk, schemas: readonly JsonSchema[], key: string, levels: number): readonly string[] | undefined {
  const inner = schemas.flatMap((schema) =>
    Object.entries(isSchema(schema['properties']) ? schema['properties'] : {}).map(([name, field]) => ({
      name,
      fields: withItems(walk, parts(walk, [field], undefined)),
    })),
  )
  const direct = inner.find(({ fields }) => fields.some((field) => knows(field, key)))
  if (direct) return [direct.name]
  if (levels === 1) return undefined
  for (const { name, fields } of inner) {
    const found = below(walk, fields, key, levels - 1)
    if (found) return [name, ...found]
  }
  return undefined
}

/** Schemas with those of their items: a list is no level of its own. */
function withItems(walk: SchemaWalk, schemas: readonly JsonSchema[]): readonly JsonSchema[] {
  const items = schemas.flatMap((schema) => [...listOf(schema['items']), schema['items']].filter(isSchema))
  return [...schemas, ...parts(walk, items, undefined)]
}

function knows(schema: JsonSchema, key: string): boolean {
  return isSchema(schema['properties']) && Object.hasOwn(schema['properties'], key)
}

/**
 * Schemas with all that they are made of: references, all parts, each branch, and what a condition adds to this value, or may add
 * where there is none.
 */
function parts(walk: SchemaWalk, schemas: readonly unknown[], value: Json | undefined): readonly JsonSchema[] {
  const found = new Set<JsonSchema>()
  const add = (schema: unknown): void => {
    if (!isSchema(schema) || found.has(schema)) return
    found.add(schema)
    if (typeof schema['$ref'] === 'string') add(walk.resolve(schema['$ref']))
    for (const union of ['allOf', 'anyOf', 'oneOf']) listOf(schema[union]).forEach(add)
    if ('if' in schema && value !== undefined) add(walk.fits(schema['if'], value) ? schema['then'] : schema['else'])
    else [schema['then'], schema['else']].forEach(add)
  }
  schemas.forEach(add)
  return [...found]
}

function valueAt(holder: Json | undefined, part: string | number): Json | undefined {
  if (holder === null || typeof holder !== 'object') return undefined
  return Array.isArray(holder) ? (holder as readonly Json[])[Number(part)] : (holder as Readonly<Record<string, Json>>)[part]
}
