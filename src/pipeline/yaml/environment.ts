import { join, relative } from 'node:path'
import { type DotenvFault, readDotenv } from './dotenv.js'
import { isTemplated, mapScalars, type Node, type Path, placeOf, type ScalarNode } from './node.js'
import type { Problems } from './problems.js'
import { fillTemplate, isTemplateProblem, parseTemplate } from './template.js'

export type Variables = Readonly<Record<string, string | undefined>>

/** Where variables come from. */
export interface Environment {
  readonly variables: Variables
  /** Variables of a `.env` whose value would be another one than its writer saw. */
  readonly doubtful: ReadonlyMap<string, DotenvFault & { readonly file: string }>
}

/**
 * The variables that a pipeline sees: those of the process, then the `.env` beside the pipeline, then the `.env` of the
 * working folder. A variable that the process has set wins, also when it is empty.
 */
export async function readVariables(folder: string, cwd: string, env: Variables, problems: Problems): Promise<Environment> {
  const variables: Record<string, string | undefined> = Object.create(null) as Record<string, string | undefined>
  const doubtful = new Map<string, DotenvFault & { readonly file: string }>()
  for (const path of new Set([cwd, folder].map((each) => join(each, '.env')))) {
    const file = relative(cwd, path)
    const found = await readDotenv(path)
    for (const { line, message, hint } of found.faults) problems.error({ place: { file, line, column: 1 }, path: [] }, message, hint)
    for (const [name, value] of Object.entries(found.values)) {
      variables[name] = value
      doubtful.delete(name)
    }
    for (const [name, fault] of found.doubtful) doubtful.set(name, { ...fault, file })
  }
  for (const name of Object.keys(env)) if (env[name] !== undefined) doubtful.delete(name)
  return { variables: Object.assign(variables, env), doubtful }
}

export interface ResolveOptions {
  readonly environment: Environment
  /** What a missing variable is. */
  readonly missing: 'error' | 'warning'
  readonly problems: Problems
  /** Where the node stands in its file. */
  readonly path: Path
  /** Whether a `$name` has a meaning here, so that none may come from a value. */
  readonly references: boolean
}

/** Puts the environment into all texts of a node. Where a variable is missing, the text is unknown. */
export function resolveEnvironment(node: Node, options: ResolveOptions): Node {
  return mapScalars(node, (scalar, path) => resolveScalar(scalar, path, options), options.path, isTemplated)
}

/** Where what a variable holds is never shown, whatever its name. */
const SECTIONS: ReadonlySet<string> = new Set(['chains', 'sources', 'warehouse'])
const SECRET = /key|secret|token|pass|pwd|auth|cred|private|url|uri|dsn/i

function resolveScalar(scalar: ScalarNode, path: Path, { environment, missing, problems, references }: ResolveOptions): ScalarNode {
  if (scalar.unknown || scalar.filled || typeof scalar.value !== 'string' || !scalar.value.includes('${')) return scalar
  const template = parseTemplate(scalar.value)
  // Reported when the text was read.
  if (isTemplateProblem(template)) return { ...scalar, unknown: true }
  const { variables, doubtful } = environment
  const filled = fillTemplate(template, variables)
  const where = { place: placeOf(scalar), path }
  for (const { name, message, empty } of filled.missing) {
    const text = `environment variable ${name} is ${empty ? 'empty' : 'not set'}`
    const hint = message !== undefined && message !== '' ? message : `set it, write it into .env, or give a default: \${${name}:-…}`
    if (missing === 'error') problems.error(where, text, hint)
    else problems.warning(where, text, hint)
  }
  for (const name of filled.used) {
    const doubt = doubtful.get(name)
    if (doubt)
      problems.error({ place: { file: doubt.file, line: doubt.line, column: 1 }, path: [] }, `${name} ${doubt.message}`, doubt.hint)
    if (SECTIONS.has(String(path[0])) || SECRET.test(name)) problems.hide(name, variables[name] ?? '')
  }
  const reference = references ? filled.used.find((name) => /\$[A-Za-z_]/.test(variables[name] ?? '')) : undefined
  if (reference !== undefined) {
    problems.error(
      where,
      `the value of ${reference} holds a \`$\` before a letter, which would be read as a reference`,
      'leave it out of steps and params',
    )
  }
  if (filled.missing.length > 0 || reference !== undefined)
    return { ...scalar, value: '', unknown: true, unset: filled.missing.map(({ name }) => name) }
  // A text without variables that are set comes from the file alone (its defaults) and may be shown.
  return { ...scalar, value: filled.text, env: filled.used, filled: true }
}
