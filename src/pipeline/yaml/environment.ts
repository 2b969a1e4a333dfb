import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { isTemplated, mapScalars, type Node, type Path, placeOf, type ScalarNode } from './node.js'
import type { Problems } from './problems.js'
import { fillTemplate, isTemplateProblem, parseTemplate } from './template.js'

export type Variables = Readonly<Record<string, string | undefined>>

/**
 * The variables that a pipeline sees: those of the process, then the `.env` beside the pipeline, then the `.env` of the
 * working folder. A variable that the process has set wins, also when it is empty.
 */
export async function readVariables(folder: string, cwd: string, env: Variables): Promise<Variables> {
  const files = [...new Set([cwd, folder])].map((each) => join(each, '.env'))
  const found: Record<string, string | undefined> = Object.create(null) as Record<string, string | undefined>
  for (const file of files) Object.assign(found, parseEnv(await readFile(file, 'utf8').catch(() => '')))
  return Object.assign(found, env)
}

export interface ResolveOptions {
  readonly variables: Variables
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

function resolveScalar(scalar: ScalarNode, path: Path, { variables, missing, problems, references }: ResolveOptions): ScalarNode {
  if (scalar.unknown || scalar.filled || typeof scalar.value !== 'string' || !scalar.value.includes('${')) return scalar
  const template = parseTemplate(scalar.value)
  // Reported when the text was read.
  if (isTemplateProblem(template)) return { ...scalar, unknown: true }
  const filled = fillTemplate(template, variables)
  const where = { place: placeOf(scalar), path }
  for (const { name, message, empty } of filled.missing) {
    const text = `environment variable ${name} is ${empty ? 'empty' : 'not set'}`
    const hint = message !== undefined && message !== '' ? message : `set it, write it into .env, or give a default: \${${name}:-…}`
    if (missing === 'error') problems.error(where, text, hint)
    else problems.warning(where, text, hint)
  }
  for (const name of filled.used) {
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
