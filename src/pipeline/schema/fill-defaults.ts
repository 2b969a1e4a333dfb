import { type Json, referenceName } from '../../sdk/index.js'
import { fieldSchemas, isSchema, itemSchema, listOf, SchemaWalk } from './schema-walk.js'

/** A copy of a value, which fits its schema, with the schema's defaults put in where nothing is said. Of a union, those of the branch that fits. */
export function fillDefaults(schema: unknown, value: Json): Json {
  return filled(new SchemaWalk(schema), schema, value)
}

function filled(walk: SchemaWalk, schema: unknown, given: Json): Json {
  if (!isSchema(schema) || !hasDefaults(schema) || referenceName(given) !== undefined) return given
  let result = given
  for (const part of listOf(schema['allOf'])) result = filled(walk, part, result)
  for (const union of ['anyOf', 'oneOf']) {
    const branch = listOf(schema[union]).find((each) => walk.fits(each, result, true))
    result = filled(walk, branch, result)
  }
  if (Array.isArray(result)) return result.map((item: Json, i) => filled(walk, itemSchema(schema, i), item))
  if (result === null || typeof result !== 'object') return result
  const entries = Object.entries(result).map(([key, item]) => {
    const parts = fieldSchemas(schema, key)
    return [key, parts.reduce<Json>((value, part) => filled(walk, part, value), item as Json)]
  })
  const whole = Object.fromEntries(entries) as Record<string, Json>
  for (const [key, field] of Object.entries(isSchema(schema['properties']) ? schema['properties'] : {})) {
    // A default is JSON by the definition of the keyword.
    if (!Object.hasOwn(whole, key) && isSchema(field) && 'default' in field) whole[key] = field['default'] as Json
  }
  return whole
}

const withDefaults = new WeakMap<object, boolean>()

/** Whether a schema, or a part of it, has a default: most parts of most schemas have none. */
function hasDefaults(schema: unknown): boolean {
  if (Array.isArray(schema)) return schema.some(hasDefaults)
  if (!isSchema(schema)) return false
  const known = withDefaults.get(schema)
  if (known !== undefined) return known
  const found = 'default' in schema || Object.values(schema).some(hasDefaults)
  withDefaults.set(schema, found)
  return found
}
