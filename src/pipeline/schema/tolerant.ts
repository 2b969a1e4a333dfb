import { NAME } from '../../sdk/index.js'
import { isSchema, type JsonSchema, listOf } from './schema-walk.js'

/** What a `$name` looks like where it stands for a whole value. */
export const referencePattern = `^\\$${NAME}$`

/**
 * The schema of a step's `with` as a pipeline file is checked by it: every field that is no plain text also takes a `$name`
 * (the value is checked again when it is known), and keys that the schema does not know are refused.
 */
export function tolerant(schema: unknown): unknown {
  return inner(schema, true)
}

/** A value in a field: itself or a `$name`. */
function field(schema: unknown): unknown {
  const strict = inner(schema, true)
  if (!isSchema(schema) || !isSchema(strict) || takesText(schema)) return strict
  const about = Object.fromEntries(ABOUT.filter((keyword) => keyword in strict).map((keyword) => [keyword, strict[keyword]]))
  return { ...about, if: { type: 'string', pattern: referencePattern }, else: strict }
}

/** Keywords that say something to people, and so must be seen from outside. */
const ABOUT = ['title', 'description', 'default', 'tuning', 'examples'] as const

/** The same schema with its parts made tolerant. `closed`: keys that it does not name are refused. */
function inner(schema: unknown, closed: boolean): unknown {
  if (!isSchema(schema)) return schema
  const result: Record<string, unknown> = {}
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === 'properties' || keyword === 'patternProperties') result[keyword] = mapValues(value, field)
    else if (keyword === '$defs' || keyword === 'definitions') result[keyword] = mapValues(value, (part) => inner(part, true))
    else if (keyword === 'additionalProperties' || keyword === 'unevaluatedProperties' || keyword === 'contains')
      result[keyword] = field(value)
    else if (keyword === 'prefixItems') result[keyword] = mapList(value, field)
    else if (keyword === 'items') {
      // The older form of a tuple, which this draft calls `prefixItems`.
      if (Array.isArray(value)) {
        result['prefixItems'] = value.map(field)
        if (schema['additionalItems'] !== undefined) result['items'] = field(schema['additionalItems'])
      } else result[keyword] = field(value)
    } else if (keyword === 'anyOf' || keyword === 'oneOf') result[keyword] = mapList(value, (branch) => inner(branch, true))
    else if (keyword === 'allOf') result[keyword] = mapList(value, (branch) => inner(branch, false))
    else if (keyword === 'if' || keyword === 'then' || keyword === 'else' || keyword === 'not') result[keyword] = inner(value, false)
    else if (keyword !== 'additionalItems') result[keyword] = value
  }
  if (closed) close(schema, result)
  return result
}

function close(schema: JsonSchema, result: Record<string, unknown>): void {
  if ('additionalProperties' in schema || 'unevaluatedProperties' in schema) return
  if ('allOf' in schema || 'if' in schema || '$ref' in schema) {
    if (namesKeys(schema)) result['unevaluatedProperties'] = false
  } else if ('properties' in schema) result['additionalProperties'] = false
}

function namesKeys(schema: unknown): boolean {
  if (!isSchema(schema)) return false
  const parts = [...listOf(schema['allOf']), schema['then'], schema['else']]
  return 'properties' in schema || parts.some(namesKeys)
}

/** Whether any text fits, and so a `$name` does. */
function takesText(schema: JsonSchema): boolean {
  for (const union of ['anyOf', 'oneOf']) {
    const branches = schema[union]
    if (Array.isArray(branches)) return branches.some((branch) => isSchema(branch) && takesText(branch))
  }
  if ('const' in schema || 'enum' in schema || 'pattern' in schema || 'format' in schema || 'maxLength' in schema) return false
  if (CONSTRAINTS.every((keyword) => !(keyword in schema))) return true
  return schema['type'] === 'string' || (Array.isArray(schema['type']) && schema['type'].includes('string'))
}

const CONSTRAINTS = ['type', '$ref', 'allOf', 'if', 'not', 'properties', 'items', 'required'] as const

function mapValues(value: unknown, change: (schema: unknown) => unknown): unknown {
  return isSchema(value) ? Object.fromEntries(Object.entries(value).map(([key, part]) => [key, change(part)])) : value
}

function mapList(value: unknown, change: (schema: unknown) => unknown): unknown {
  return Array.isArray(value) ? value.map(change) : value
}
