import type { StepDefinition } from '../sdk/index.js'

/**
 * The step definitions that a module exports, by default (one or a list) or by name, and what is wrong with those that are
 * none. Other exports are left alone.
 */
export async function definitionsOf(
  module: Readonly<Record<string, unknown>>,
): Promise<{ readonly definitions: readonly StepDefinition[]; readonly mistakes: readonly string[] }> {
  const definitions = new Set<StepDefinition>()
  const mistakes: string[] = []
  try {
    const candidates = candidatesOf(module)
    if (candidates.size === 0) mistakes.push('exports no step definition')
    for (const [candidate, name] of candidates) {
      const wrong = await mistakesOf(candidate)
      mistakes.push(...wrong.map((mistake) => `export ${name}: ${mistake}`))
      // `mistakesOf` found nothing: it has every field of a definition.
      if (wrong.length === 0) definitions.add(candidate as StepDefinition)
    }
  } catch (error) {
    mistakes.push(`an export can't be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  return { definitions: [...definitions], mistakes }
}

/** What is exported by default, alone or in a list, and what is exported by name and has a `run` or `plan`; each once. */
function candidatesOf(module: Readonly<Record<string, unknown>>): Map<unknown, string> {
  const found = new Map<unknown, string>()
  const byName = (exports: Readonly<Record<string, unknown>>) => {
    for (const [name, value] of Object.entries(exports)) if (looksLikeStep(value) && !found.has(value)) found.set(value, name)
  }
  const main = module['default']
  // CommonJS: Node gives all that it exports as the default, beside the names that it can guess.
  if (isObject(main) && !looksLikeStep(main) && Object.values(main).some(looksLikeStep)) byName(main)
  else if (Array.isArray(main)) main.forEach((item, i) => found.set(item, `default[${i}]`))
  else if ('default' in module) found.set(main, 'default')
  byName(Object.fromEntries(Object.entries(module).filter(([name]) => name !== 'default')))
  return found
}

function looksLikeStep(value: unknown): boolean {
  return isObject(value) && (typeof value['run'] === 'function' || typeof value['plan'] === 'function')
}

async function mistakesOf(value: unknown): Promise<readonly string[]> {
  if (!isObject(value)) return [`is no step definition (it is ${value === null ? 'null' : typeof value})`]
  const wrong: string[] = []
  const need = (holds: boolean, mistake: string) => {
    if (!holds) wrong.push(mistake)
  }
  const { type, version, summary, config, cursor, example, requires, units } = value
  need(
    typeof type === 'string' && type.length <= 63 && /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(type),
    `type must be like my-step: small letters, digits, single dashes (is ${show(type)})`,
  )
  need(version === undefined || isCount(version), `version must be a whole number from 1 (is ${show(version)})`)
  need(typeof summary === 'string' && summary.trim() !== '', 'summary must be a sentence about the result')
  need(typeof example === 'string' && example.trim() !== '', 'example must be a small pipeline as YAML text')
  need(units === undefined || isCount(units), `units must be a whole number from 1 (is ${show(units)})`)
  need(
    requires === undefined ||
      (Array.isArray(requires) && requires.every((name) => name === 'chain' || name === 'source' || name === 'into')),
    `requires must be a list of chain, source, into (is ${show(requires)})`,
  )
  for (const name of ['plan', 'run'] as const)
    need(typeof value[name] === 'function', `${name} must be a function (is ${show(value[name])})`)
  for (const name of ['names', 'check', 'inputs', 'outputs', 'rpc'] as const)
    need(value[name] === undefined || typeof value[name] === 'function', `${name} must be a function (is ${show(value[name])})`)
  wrong.push(...(await schemaMistakes('config', config)))
  if (cursor !== undefined) wrong.push(...(await schemaMistakes('cursor', cursor)))
  return wrong
}

async function schemaMistakes(name: string, schema: unknown): Promise<readonly string[]> {
  if (!isObject(schema)) return [`${name} must be a JSON Schema (is ${show(schema)})`]
  const { Ajv2020 } = await import('./ajv.js')
  const ajv = new Ajv2020({ strict: false, allErrors: true, logger: false, validateFormats: false })
  if (!ajv.validateSchema(schema)) return [`${name} is no JSON Schema: ${ajv.errorsText(ajv.errors, { dataVar: name })}`]
  try {
    ajv.compile(schema)
    return []
  } catch (error) {
    return [`${name} is no usable JSON Schema: ${error instanceof Error ? error.message : String(error)}`]
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}

function show(value: unknown): string {
  if (value === undefined) return 'missing'
  if (typeof value === 'function') return 'a function'
  const text = typeof value === 'bigint' ? `${value}n` : (JSON.stringify(value) ?? typeof value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
