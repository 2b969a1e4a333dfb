import type { ErrorObject } from 'ajv'
import { closest, type Json } from '../../sdk/index.js'
import { locate, type Node, type Path, toJson } from '../yaml/node.js'
import { belongs } from './belongs.js'
import type { Place } from '../pipeline.js'

/** What a schema has against a value, in words. */
export interface SchemaProblem {
  readonly place: Place
  readonly path: Path
  readonly message: string
  readonly hint: string | undefined
}

/**
 * Turns a validator's errors (made with `verbose`, by `schema`) into few and clear problems. Nothing is said about values that
 * nobody knows.
 */
export function explainErrors(errors: readonly ErrorObject[], root: Node, schema: unknown): readonly SchemaProblem[] {
  const settled = settleUnions(errors.filter(({ keyword }) => keyword !== 'if'))
  // `expct` beside a missing `expect` is one mistake, not two.
  const meant = new Set(settled.map((error) => `${error.instancePath}\n${closest(unknownKey(error) ?? '', namedKeys(error)) ?? ''}`))
  return settled
    .filter((error) => error.keyword !== 'required' || !meant.has(`${error.instancePath}\n${missingKey(error)}`))
    .flatMap((error) => explain(error, root, schema) ?? [])
}

function unknownKey({ params }: ErrorObject): string | undefined {
  const { additionalProperty, unevaluatedProperty } = params as {
    readonly additionalProperty?: string
    readonly unevaluatedProperty?: string
  }
  return additionalProperty ?? unevaluatedProperty
}

function missingKey({ params }: ErrorObject): string {
  return String((params as { readonly missingProperty?: string }).missingProperty)
}

/** The keys that the schema of an error names. */
function namedKeys({ parentSchema }: ErrorObject): readonly string[] {
  return Object.keys((parentSchema as { readonly properties?: object } | undefined)?.properties ?? {})
}

/** Pointer of JSON Schema as a path. */
export function pathOf(error: ErrorObject): Path {
  return error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/**
 * Of a union that nothing fits, keeps the errors of the branch that was most likely meant. The branch is the one that has
 * the right kind of value and misses the fewest keys; without such a branch the union itself is reported.
 */
function settleUnions(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const union = errors.filter(isUnion).sort((a, b) => a.schemaPath.length - b.schemaPath.length)[0]
  if (!union) return errors
  const within = (error: ErrorObject): boolean =>
    error !== union &&
    error.schemaPath.startsWith(`${union.schemaPath}/`) &&
    (error.instancePath === union.instancePath || error.instancePath.startsWith(`${union.instancePath}/`))
  const inside = errors.filter(within)
  const others = errors.filter((error) => error !== union && !within(error))
  const branches = new Map<string, ErrorObject[]>()
  for (const error of inside) {
    const branch = error.schemaPath.slice(union.schemaPath.length + 1).split('/')[0] ?? ''
    branches.set(branch, [...(branches.get(branch) ?? []), error])
  }
  const wrongKind = (error: ErrorObject): boolean =>
    error.instancePath === union.instancePath && ['type', 'const', 'enum'].includes(error.keyword)
  const candidates = [...branches.values()].filter((branch) => !branch.some(wrongKind))
  const best = candidates.sort((a, b) => distance(a, union) - distance(b, union))[0]
  return [
    ...settleUnions(others),
    ...(best ? settleUnions(best) : [{ ...union, keyword: 'union', params: { wanted: inside.filter(wrongKind) } }]),
  ]
}

function isUnion({ keyword }: ErrorObject): boolean {
  return keyword === 'anyOf' || keyword === 'oneOf'
}

function distance(branch: readonly ErrorObject[], union: ErrorObject): number {
  let sum = 0
  for (const { keyword, instancePath } of branch) {
    const atTop = instancePath === union.instancePath
    sum += atTop && (keyword === 'required' || keyword === 'additionalProperties' || keyword === 'unevaluatedProperties') ? 10 : 1
  }
  return sum
}

function explain(error: ErrorObject, root: Node, schema: unknown): SchemaProblem | undefined {
  const path = pathOf(error)
  const { node, place, whole } = locate(root, path)
  if (node.kind === 'scalar' && node.unknown) return undefined
  const numbered = path.map((part, i) => (locate(root, path.slice(0, i)).node.kind === 'list' ? Number(part) : part))
  const at = (message: string, hint?: string): SchemaProblem => ({ place, path: numbered, message, hint })
  const is = whole ? ` (is ${shown(node)})` : ''
  // Given by our own schemas, and by `verbose`.
  const parent = (error.parentSchema ?? {}) as { readonly errorMessage?: string }
  const params = error.params as Readonly<Record<string, unknown>>
  switch (error.keyword) {
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const key = unknownKey(error) ?? ''
      const known = namedKeys(error)
      const keyPath = [...numbered, key]
      return {
        place: locate(root, keyPath, true).place,
        path: keyPath,
        message: `unknown key \`${key}\``,
        hint: belongs(schema, toJson(root), numbered, key) ?? suggestion(key, known) ?? listing('known here', known),
      }
    }
    case 'required':
      return at(`\`${missingKey(error)}\` is missing`)
    case 'type':
      if (parent.errorMessage !== undefined) return at(parent.errorMessage + is)
      return at(`must be ${kinds(params['type'])}${is}`, quoteHint(error, node))
    case 'union':
      return unionProblem(error, node, is, at)
    case 'enum':
    case 'const': {
      const wanted = error.keyword === 'const' ? [params['allowedValue']] : (params['allowedValues'] as readonly unknown[])
      return at(
        `must be ${alternatives(wanted)}${is}`,
        typeof error.data === 'string' ? suggestion(error.data, wanted.map(String)) : undefined,
      )
    }
    case 'pattern':
    case 'format':
      return at((parent.errorMessage ?? `must look like ${String(params['pattern'] ?? params['format'])}`) + is)
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return at(`must be ${String(params['comparison'])} ${String(params['limit'])}${is}`)
    case 'minItems':
    case 'minProperties':
      return at(`must have at least ${count(params['limit'], 'entry', 'entries')}`)
    case 'maxItems':
    case 'maxProperties':
      return at(`must have at most ${count(params['limit'], 'entry', 'entries')}`)
    case 'minLength':
      return at(
        params['limit'] === 1 ? 'must not be empty' : `must have at least ${count(params['limit'], 'character', 'characters')}${is}`,
      )
    case 'maxLength':
      return at(`must have at most ${count(params['limit'], 'character', 'characters')}`)
    case 'uniqueItems':
      return at(
        `entries ${Math.min(Number(params['i']), Number(params['j'])) + 1} and ${Math.max(Number(params['i']), Number(params['j'])) + 1} are the same`,
      )
    case 'multipleOf':
      return at(`must be a multiple of ${String(params['multipleOf'])}${is}`)
    case 'false schema':
      return at('must not be given')
    default:
      return at(`${error.message ?? 'does not fit the schema'}${is}`)
  }
}

function unionProblem(error: ErrorObject, node: Node, is: string, at: (message: string, hint?: string) => SchemaProblem): SchemaProblem {
  // Put there by `settleUnions`.
  const wanted = (error.params as { readonly wanted: readonly ErrorObject[] }).wanted
  const constants = wanted.flatMap(({ keyword, params }) =>
    keyword === 'const'
      ? [(params as { allowedValue: unknown }).allowedValue]
      : keyword === 'enum'
        ? (params as { allowedValues: unknown[] }).allowedValues
        : [],
  )
  const types = [
    ...new Set(wanted.filter(({ keyword }) => keyword === 'type').flatMap(({ params }) => words((params as { type: unknown }).type))),
  ]
  // A branch of constants also says that they are text: that much is known.
  const kindsLeft = constants.length > 0 ? types.filter((type) => type !== 'text') : types
  const options = [...constants.map((constant) => `\`${String(constant)}\``), ...kindsLeft]
  if (options.length === 0) return at('has none of the allowed forms', undefined)
  const text = node.kind === 'scalar' && typeof node.value === 'string' ? node.value : undefined
  return at(`must be ${or(options)}${is}`, text === undefined ? undefined : suggestion(text, constants.map(String)))
}

function quoteHint(error: ErrorObject, node: Node): string | undefined {
  const wanted = [(error.params as { readonly type: unknown }).type].flat()
  if (node.kind !== 'scalar') return undefined
  if (wanted.includes('string') && (typeof node.value === 'number' || typeof node.value === 'boolean'))
    return `quote it: "${String(node.value)}"`
  if (wanted.includes('array') && node.value !== null && node.env.length === 0) return `write [${String(node.value)}]`
  return undefined
}

const WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of keys and values',
  null: 'empty',
}

function words(types: unknown): readonly string[] {
  return [types].flat().map((type) => WORDS[String(type)] ?? String(type))
}

function kinds(types: unknown): string {
  return or(words(types))
}

function alternatives(values: readonly unknown[]): string {
  const names = values.map((value) => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``)
  return names.length === 1 ? (names[0] ?? '') : `one of ${names.join(', ')}`
}

function or(options: readonly string[]): string {
  return options.length < 2 ? (options[0] ?? '') : `${options.slice(0, -1).join(', ')} or ${options.at(-1)}`
}

function count(limit: unknown, one: string, many: string): string {
  return `${String(limit)} ${limit === 1 ? one : many}`
}

/** A value as a message shows it. What came from the environment is never shown. */
function shown(node: Node): string {
  if (node.kind === 'list') return 'a list'
  if (node.kind === 'map') return 'a map'
  if (node.env.length > 0) return `the value of ${[...new Set(node.env)].join(', ')}`
  return shownJson(node.value)
}

function shownJson(value: Json): string {
  if (value === null) return 'empty'
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

/** `did you mean `batch`?`, when something is near. */
export function suggestion(name: string, known: Iterable<string>): string | undefined {
  const found = closest(name, known)
  return found === undefined ? undefined : `did you mean \`${found}\`?`
}

/** All names, when they are few. */
export function listing(label: string, names: readonly string[]): string | undefined {
  return names.length > 0 && names.length <= 20 ? `${label}: ${names.join(', ')}` : undefined
}
