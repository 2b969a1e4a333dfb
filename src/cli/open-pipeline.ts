import { staticParams, unknownParams } from '../pipeline/params/params.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { readPipeline } from '../pipeline/read.js'
import { formatProblem } from '../pipeline/yaml/format.js'
import { escapeText } from '../report/escape.js'
import { didYouMean } from '../sdk/index.js'
import type { Io } from './io.js'
import { UsageError } from './usage-error.js'

export interface OpenOptions {
  /** `warn`: the environment that a run needs may be missing, and only errors are printed. */
  readonly environment: 'require' | 'warn'
  /** `--param`. */
  readonly params?: Readonly<Record<string, string>>
  /** `--select`. */
  readonly select?: readonly string[]
}

/**
 * Reads a pipeline for a command that needs a whole one, with every `--param` and `--select` checked. What is wrong is
 * printed to stderr; undefined means that there are errors, and that the command ends with exit code 2.
 *
 * @throws {UsageError} when the file is one that others import.
 */
export async function openPipeline(
  file: string,
  { environment, params = {}, select = [] }: OpenOptions,
  io: Io,
): Promise<Pipeline | undefined> {
  const { pipeline, problems } = await readPipeline(file, { cwd: io.cwd, env: io.env, environment, params })
  const errors = problems.filter(({ severity }) => severity === 'error')
  for (const problem of environment === 'warn' ? errors : problems) io.stderr.write(`${escapeText(formatProblem(problem))}\n`)
  if (errors.length > 0) return undefined
  if (!pipeline) throw new UsageError(`${file} has no steps: it is a shared file`, 'name the pipeline that imports it')
  const wrong = [...wrongParams(pipeline, params), ...wrongSteps(pipeline, select)]
  for (const line of wrong) io.stderr.write(`error: ${line}\n`)
  return wrong.length === 0 ? pipeline : undefined
}

function wrongParams({ params: declared }: Pipeline, params: Readonly<Record<string, string>>): string[] {
  const refused = staticParams(declared, params).problems
  return [
    ...unknownParams(declared, params),
    ...refused.map(({ path, message, hint }) => `${path} ${message}${hint === undefined ? '' : ` (${hint})`}`),
  ]
}

function wrongSteps({ steps }: Pipeline, select: readonly string[]): string[] {
  const ids = steps.flatMap(({ id }) => [id, id.replace(/\[.*\]$/, '')])
  return select
    .filter((id) => !ids.includes(id))
    .map((id) => `--select ${id}: no such step (${didYouMean(id, ids) ?? `it has ${steps.map((step) => step.id).join(', ')}`})`)
}
