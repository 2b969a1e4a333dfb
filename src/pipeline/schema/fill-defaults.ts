import { type Json, referenceName } from '../../sdk/index.js'

type Schema = { readonly [keyword: string]: unknown }

/** A copy of a value, which fits its schema, with the schema's defaults put in where nothing is said. Of a union, those of the branch that fits. */
export function fillDefaults(schema: unknown, value: Json): Json {
  if (!isSchema(schema) || !hasDefaults(schema) || referenceName(value) !== undefined) return value
  let filled = value
  for (const part of listOf(schema['allOf'])) filled = fillDefaults(part, filled)
  for (const union of ['anyOf', 'oneOf']) {
    const branch = listOf(schema[union]).find((each) => fits(each, filled))
    if (branch !== undefined) filled = fillDefaults(branch, filled)
  }
  if (Array.isArray(filled)) {
    const tuple = Array.isArray(schema['items']) ? schema['items'] : listOf(schema['prefixItems'])
    const rest = Array.isArray(schema['items']) ? undefined : schema['items']
    return filled.map((item: Json, i) => fillDefaults(tuple[i] ?? rest, item))
  }
  if (filled === null || typeof filled !== 'object') return filled
  const result: Record<string, Json> = {}
  const properties = isSchema(schema['properties']) ? schema['properties'] : {}
  for (const [key, item] of Object.entries(filled)) {
    const patterns = isSchema(schema['patternProperties']) ? Object.entries(schema['patternProperties']) : []
    const own = Object.hasOwn(properties, key)
      ? properties[key]
      : (patterns.find(([pattern]) => new RegExp(pattern, 'u').test(key))?.[1] ?? schema['additionalProperties'])
    result[key] = fillDefaults(own, item as Json)
  }
  for (const [key, property] of Object.entries(properties)) {
    // A default is JSON by the definition of the keyword.
    if (!Object.hasOwn(result, key) && isSchema(property) && 'default' in property) result[key] = property['default'] as Json
  }
  return result
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

/** Whether a value has the kind, the constants and the keys of a branch. Ranges and patterns are not looked at. */
function fits(schema: unknown, value: Json): boolean {
  if (!isSchema(schema)) return schema === true
  if (referenceName(value) !== undefined) return true
  if ('const' in schema) return schema['const'] === value
  if (Array.isArray(schema['enum'])) return schema['enum'].includes(value)
  if (schema['type'] !== undefined && ![schema['type']].flat().some((type) => hasType(value, String(type)))) return false
  for (const union of ['anyOf', 'oneOf']) {
    const branches = listOf(schema[union])
    if (branches.length > 0 && !branches.some((branch) => fits(branch, value))) return false
  }
  if (!listOf(schema['allOf']).every((part) => fits(part, value))) return false
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return true
  if (listOf(schema['required']).some((key) => !Object.hasOwn(value, String(key)))) return false
  const properties = isSchema(schema['properties']) ? schema['properties'] : undefined
  if (!properties) return true
  const open = 'additionalProperties' in schema && schema['additionalProperties'] !== false
  return Object.entries(value).every(([key, item]) => (Object.hasOwn(properties, key) ? fits(properties[key], item as Json) : open))
}

function hasType(value: Json, type: string): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return value !== null && typeof value === 'object' && !Array.isArray(value)
  if (type === 'integer') return typeof value === 'number' && Number.isInteger(value)
  return typeof value === type
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
