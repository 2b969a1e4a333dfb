import ts from 'typescript'

type Schema = Record<string, unknown>

/** A type that becomes a JSON Schema: a name exported by a source file, and what the document is called. */
export interface SchemaSource {
  readonly file: string
  readonly type: string
  readonly title: string
}

/**
 * JSON Schemas of exported TypeScript types, as `JSON.stringify` writes their values: doc comments become descriptions,
 * objects take no further fields, a bigint is text.
 *
 * @param root folder of tsconfig.json; `file`s are relative to it.
 */
export function typeSchemas(root: string, sources: readonly SchemaSource[]): readonly Schema[] {
  const config = ts.parseJsonConfigFileContent(ts.readConfigFile(`${root}/tsconfig.json`, ts.sys.readFile).config, ts.sys, root)
  const program = ts.createProgram(
    sources.map((source) => `${root}/${source.file}`),
    { ...config.options, types: [], noEmit: true },
  )
  const checker = program.getTypeChecker()
  return sources.map((source) => {
    const schema = schemaOf(exportedType(program, checker, root, source), checker, [])
    return { $schema: 'https://json-schema.org/draft/2020-12/schema', title: source.title, ...schema }
  })
}

function exportedType(program: ts.Program, checker: ts.TypeChecker, root: string, { file, type }: SchemaSource): ts.Type {
  const source = program.getSourceFile(`${root}/${file}`)
  const module = source && checker.getSymbolAtLocation(source)
  const found = module && checker.getExportsOfModule(module).find((symbol) => symbol.name === type)
  if (!found) throw new Error(`${file} exports no type ${type}`)
  return checker.getDeclaredTypeOfSymbol(found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found)
}

function schemaOf(type: ts.Type, checker: ts.TypeChecker, within: readonly ts.Type[]): Schema {
  // `Json` holds itself; any value fits it.
  if (type.aliasSymbol?.name === 'Json' || within.includes(type)) return {}
  if (type.flags & (ts.TypeFlags.Unknown | ts.TypeFlags.Any)) return {}
  if (type.isStringLiteral() || type.isNumberLiteral()) return { const: type.value }
  if (type.flags & ts.TypeFlags.BooleanLiteral) return { const: checker.typeToString(type) === 'true' }
  if (type.flags & ts.TypeFlags.Null) return { type: 'null' }
  if (type.flags & ts.TypeFlags.String) return { type: 'string' }
  if (type.flags & ts.TypeFlags.Number) return { type: 'number' }
  if (type.flags & ts.TypeFlags.Boolean) return { type: 'boolean' }
  if (type.flags & ts.TypeFlags.BigInt) return { type: 'string', pattern: '^-?[0-9]+$' }
  if (type.isUnion()) return unionOf(type, checker, within)
  const inside = [...within, type]
  if (checker.isTupleType(type)) {
    const items = checker.getTypeArguments(type as ts.TypeReference).map((item) => schemaOf(item, checker, inside))
    return { type: 'array', prefixItems: items, minItems: items.length, maxItems: items.length }
  }
  if (checker.isArrayType(type)) {
    const [item] = checker.getTypeArguments(type as ts.TypeReference)
    return { type: 'array', items: item ? schemaOf(item, checker, inside) : {} }
  }
  if (type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) return objectOf(type, checker, inside)
  throw new Error(`${checker.typeToString(type)} has no JSON Schema`)
}

function unionOf(type: ts.UnionType, checker: ts.TypeChecker, within: readonly ts.Type[]): Schema {
  const members = type.types.filter((member) => !(member.flags & ts.TypeFlags.Undefined))
  const schemas = members.map((member) => schemaOf(member, checker, within))
  const literals = schemas.filter((schema) => 'const' in schema)
  const rest = schemas.filter((schema) => !('const' in schema))
  const values = literals.map((schema) => schema.const)
  if (values.includes(true) && values.includes(false)) {
    rest.push({ type: 'boolean' })
    literals.splice(0, literals.length, ...literals.filter((schema) => typeof schema.const !== 'boolean'))
  }
  // The compiler's order of a union depends on what it has seen before.
  rest.sort((a, b) => compare(orderOf(a), orderOf(b)))
  const choices =
    literals.length > 0 ? [...rest, { enum: literals.map((schema) => schema.const).sort((a, b) => compare(String(a), String(b))) }] : rest
  const simple = choices.every((choice) => Object.keys(choice).length === 1 && typeof choice.type === 'string')
  if (choices.length === 1 && choices[0]) return choices[0]
  return simple ? { type: choices.map((choice) => choice.type) } : { anyOf: choices }
}

/** By the field that tells the members of a union apart, then by everything. */
function orderOf(schema: Schema): string {
  const properties = Object.values((schema.properties ?? {}) as Record<string, Schema>)
  const constants = properties.filter((property) => 'const' in property).map((property) => property.const)
  return `${JSON.stringify(constants)}${JSON.stringify(schema)}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function objectOf(type: ts.Type, checker: ts.TypeChecker, inside: readonly ts.Type[]): Schema {
  const properties: Record<string, Schema> = {}
  const required: string[] = []
  for (const property of checker.getPropertiesOfType(type)) {
    const propertyType = checker.getTypeOfSymbol(property)
    const schema = schemaOf(propertyType, checker, inside)
    const description = ts.displayPartsToString(property.getDocumentationComment(checker)).replace(/\s+/g, ' ')
    properties[property.name] = description === '' ? schema : { description, ...schema }
    const mayBeUndefined = propertyType.isUnion() && propertyType.types.some((member) => member.flags & ts.TypeFlags.Undefined)
    if (!(property.flags & ts.SymbolFlags.Optional) && !mayBeUndefined) required.push(property.name)
  }
  const index = checker.getIndexInfoOfType(type, ts.IndexKind.String)
  return {
    type: 'object',
    properties: Object.keys(properties).length > 0 ? properties : undefined,
    required: required.length > 0 ? required : undefined,
    additionalProperties: index ? schemaOf(index.type, checker, inside) : false,
  }
}
