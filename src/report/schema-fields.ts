import { isSchema, type JsonSchema, listOf, SchemaWalk } from '../pipeline/schema/schema-walk.js'

/** A field of a step's `with`, for people. */
export interface Field {
  /** `over.blocks.from`; `calls.*` is any name, `rows[]` an element. */
  readonly path: string
  readonly depth: number
  /** `integer from 1 to 1000`, `newest-first | oldest-first`, `list of text`. */
  readonly type: string
  readonly required: boolean
  /** As JSON text. */
  readonly default: string | undefined
  readonly description: string | undefined
  /** Whether it, with all inside it, can be changed without any row being fetched again. Said at the outermost such field only. */
  readonly tuning: boolean
}

/** The fields of a JSON Schema of an object, each followed by the fields inside it. Where a union has several shapes, those of all of them. */
export function fieldsOf(schema: unknown): readonly Field[] {
  const fields: Field[] = []
  new Reader(schema, fields).inside(schema, '', 0, false, [])
  return fields
}

class Reader {
  readonly #walk: SchemaWalk
  readonly #fields: Field[]
  readonly #known = new Set<string>()

  constructor(root: unknown, fields: Field[]) {
    this.#walk = new SchemaWalk(root)
    this.#fields = fields
  }

  /** Adds the fields below a schema. `seen` stops schemas that contain themselves. */
  inside(given: unknown, path: string, depth: number, tuning: boolean, seen: readonly JsonSchema[]): void {
    const schema = this.#follow(given)
    if (!schema || seen.includes(schema)) return
    const below = [...seen, schema]
    const required = listOf(schema['required'])
    for (const [name, field] of entriesOf(schema['properties'])) {
      this.#add(field, path === '' ? name : `${path}.${name}`, depth, required.includes(name), tuning, below)
    }
    const other = Object.values(objectOf(schema['patternProperties']) ?? {})[0] ?? schema['additionalProperties']
    // A map of plain values is said by its type: `names to text`.
    if (objectOf(other) && /object|\{/.test(this.#type(other, [])))
      this.#add(other, path === '' ? '*' : `${path}.*`, depth, false, tuning, below)
    const items = Array.isArray(schema['items']) ? undefined : schema['items']
    if (items !== undefined) this.inside(items, `${path}[]`, depth, tuning, below)
    for (const branch of branchesOf(schema)) this.inside(branch, path, depth, tuning, below)
  }

  #add(given: unknown, path: string, depth: number, required: boolean, tuning: boolean, seen: readonly JsonSchema[]): void {
    const schema = this.#follow(given)
    if (!schema) return
    const outer = objectOf(given) ?? schema
    const isTuning = outer['tuning'] === true || schema['tuning'] === true
    const fallback = outer['default'] ?? schema['default']
    const field: Field = {
      path,
      depth,
      type: this.#type(schema, []),
      required,
      default: fallback === undefined ? undefined : JSON.stringify(fallback),
      description: textOf(outer['description']) ?? textOf(schema['description']),
      tuning: isTuning && !tuning,
    }
    // Two shapes of a union may share a field: it is shown again only where it is not the same.
    const text = JSON.stringify(field)
    if (this.#known.has(text)) return
    this.#known.add(text)
    this.#fields.push(field)
    this.inside(schema, path, depth + 1, tuning || isTuning, seen)
  }

  #type(given: unknown, seen: readonly JsonSchema[]): string {
    const schema = this.#follow(given)
    if (!schema || seen.includes(schema)) return 'anything'
    const below = [...seen, schema]
    if ('const' in schema) return plain(schema['const'])
    if (Array.isArray(schema['enum'])) return schema['enum'].map(plain).join(' | ')
    const branches = branchesOf(schema)
    if (branches.length > 0 && schema['type'] === undefined) {
      const shapes = branches.filter((branch) => this.#follow(branch)?.['required'] !== undefined)
      const names = (branch: unknown) => listOf(this.#follow(branch)?.['required']).map(plain).join(', ')
      // What tells several shapes of an object apart is what each requires.
      const typeOf = (branch: unknown) =>
        shapes.length > 1 && shapes.includes(branch) ? `{ ${names(branch)} }` : this.#type(branch, below)
      return [...new Set(branches.map(typeOf))].join(' | ')
    }
    const kind = [schema['type']].flat().map(plain).join(' | ')
    switch (kind) {
      case 'string':
        return 'text'
      case 'integer':
      case 'number':
        return kind + range(schema)
      case 'array': {
        const inner = this.#type(schema['items'], below)
        return `list of ${inner.includes(' | ') ? `(${inner})` : inner}${range({ minimum: schema['minItems'], maximum: schema['maxItems'] })}`
      }
      case 'object': {
        if (objectOf(schema['properties'])) return 'object'
        const other = Object.values(objectOf(schema['patternProperties']) ?? {})[0] ?? schema['additionalProperties']
        return objectOf(other) ? `names to ${this.#type(other, below)}` : 'object'
      }
      case 'undefined':
        return 'anything'
      default:
        return kind
    }
  }

  /** A schema with its references followed. */
  #follow(given: unknown): JsonSchema | undefined {
    let schema = isSchema(given) ? given : undefined
    for (let step = 0; step < 20 && typeof schema?.['$ref'] === 'string'; step++) schema = this.#walk.resolve(schema['$ref'])
    return schema
  }
}

function branchesOf(schema: JsonSchema): readonly unknown[] {
  return [...listOf(schema['anyOf']), ...listOf(schema['oneOf']), ...listOf(schema['allOf'])]
}

function range(schema: JsonSchema): string {
  const [from, to, above, below] = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'].map((keyword) => schema[keyword])
  if (from !== undefined && to !== undefined) return ` (${plain(from)} to ${plain(to)})`
  const words = { 'at least': from, above, 'at most': to, below }
  const said = Object.entries(words).flatMap(([word, limit]) => (limit === undefined ? [] : `${word} ${plain(limit)}`))
  return said.length === 0 ? '' : ` (${said.join(', ')})`
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined')
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function objectOf(value: unknown): JsonSchema | undefined {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as JsonSchema) : undefined
}

function entriesOf(value: unknown): readonly (readonly [string, unknown])[] {
  return Object.entries(objectOf(value) ?? {})
}
