import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { didYouMean } from '../sdk/index.js'
import { UsageError } from './usage-error.js'

/** The step that `--step` names. @throws {UsageError} */
export function stepNamed({ steps }: Pipeline, step: string): Step {
  const ids = steps.map(({ id }) => id)
  const found = steps.find(({ id }) => id === step)
  if (!found) throw new UsageError(`--step ${step}: no such step`, didYouMean(step, ids) ?? `it has ${ids.join(', ')}`)
  return found
}
