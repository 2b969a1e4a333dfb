import { formatProblem } from '../pipeline/yaml/format.js'
import { escapeText } from '../report/escape.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { readPipeline } from '../pipeline/read.js'
import type { Io } from './io.js'
import { UsageError } from './usage-error.js'

/**
 * Reads a pipeline for a command that needs a whole one. Its problems are printed to stderr; undefined means that there
 * are errors among them, and that the command ends with exit code 2.
 *
 * @throws {UsageError} when the file is one that others import.
 */
export async function openPipeline(
  file: string,
  options: { readonly environment: 'require' | 'warn'; readonly params?: Readonly<Record<string, string>> },
  io: Io,
): Promise<Pipeline | undefined> {
  const { pipeline, problems } = await readPipeline(file, { cwd: io.cwd, env: io.env, ...options })
  const errors = problems.filter((problem) => problem.severity === 'error')
  const shown = options.environment === 'warn' ? errors : problems
  for (const problem of shown) io.stderr.write(`${escapeText(formatProblem(problem))}\n`)
  if (errors.length > 0) return undefined
  if (!pipeline) throw new UsageError(`${file} has no steps: it is a shared file`, 'name the pipeline that imports it')
  return pipeline
}
