import { ancestors } from '../pipeline/steps/graph.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'

/** Whether `--select` names a step: by its id or, for all steps of a matrix, by the id before the bracket. Without `--select` all are named. */
export function isSelected(step: { readonly id: string }, select: readonly string[] | undefined): boolean {
  return !select || select.includes(step.id) || select.includes(step.id.replace(/\[.*\]$/, ''))
}

/** The steps that a run acts on: those that are selected, and every gate above one of them, since `--select` never jumps a gate. */
export function actingSteps({ steps }: Pick<Pipeline, 'steps'>, select: readonly string[] | undefined): Set<string> {
  const acting = new Set(steps.filter((step) => isSelected(step, select)).map(({ id }) => id))
  const above = ancestors(steps, acting)
  return new Set(steps.filter((step) => acting.has(step.id) || (isGate(step) && above.has(step.id))).map(({ id }) => id))
}

/** Whether a step opens or closes the way to those that need it. */
export const isGate = (step: Pick<Step, 'definition'> | undefined): boolean => step?.definition.closes === true
