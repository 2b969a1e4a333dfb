import { isPipeError, PipeError } from '../sdk/index.js'
import type { Step } from '../pipeline/pipeline.js'
import { askStep, type AskStepOptions } from './plan-step.js'
import { keyTypes } from './rows-units.js'

/** Steps can't run as they are written. Nothing was fetched. */
export class PreflightError extends PipeError {
  readonly code = 'PREFLIGHT'
  override readonly hint = 'nothing was fetched; mend the file and run again'
  constructor(problems: readonly string[], cause: unknown) {
    super(problems.join('\n  '), { cause })
  }
}

/**
 * Looks at every step before the first of them fetches anything: its params, its SQL against the declared tables, the
 * types of what it computes. All problems at once. An endpoint that can't be reached is no problem here: the step that asks it reports it.
 *
 * @throws {PreflightError}
 */
export async function preflight({ steps, ...options }: Omit<AskStepOptions, 'step'> & { readonly steps: readonly Step[] }): Promise<void> {
  const problems: string[] = []
  let first: unknown
  for (const step of steps) {
    try {
      await options.warehouse.checkOutputs(step.outputs, options.pipeline.tables)
      const { wanted } = await askStep({ ...options, step })
      if (wanted.kind === 'rows') await keyTypes(step, wanted, options.warehouse)
    } catch (error) {
      if (!isPipeError(error)) throw error
      if (error.blame === 'outage' || error.code === 'OFFLINE') continue
      const message = error.message.startsWith(`step ${step.id}`) ? error.message : `step ${step.id}: ${error.message}`
      first ??= error
      problems.push(error.hint === undefined ? message : `${message} (${error.hint})`)
    }
  }
  if (problems.length > 0) throw new PreflightError(problems, first)
}
