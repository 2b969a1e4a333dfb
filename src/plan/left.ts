import { noun } from '../sdk/index.js'
import type { StepPlan } from './plan.js'
import { planStep, type PlanStepOptions } from './plan-step.js'

/** What is not there of a step. */
export interface Left {
  /** Blocks, rows or days. */
  readonly missing: number
  readonly quarantined: number
  /** `1 of 1,048 days missing, 2 in quarantine`; empty when nothing is left. */
  readonly words: string
}

/** What is left of a step by the ledger and the tables, when nothing of it is run. What is only computed again is there. */
export async function leftOf(options: Omit<PlanStepOptions, 'limit' | 'upstream'>): Promise<Left> {
  const plan = await planStep({ ...options, limit: undefined, upstream: [] })
  const missing = plan.pieces - plan.units.filter(({ recompute }) => recompute).length
  const quarantined = plan.quarantined.length
  return { missing, quarantined, words: leftInWords(plan, missing, quarantined) }
}

/** `plan`: of the step as it is now. */
export function leftInWords({ done, word }: Pick<StepPlan, 'done' | 'word'>, missing: number, quarantined: number): string {
  const whole = done + missing + quarantined
  const all = `${amount(missing)} of ${amount(whole)} ${noun(whole, word)} missing`
  return [missing > 0 ? all : '', quarantined > 0 ? `${amount(quarantined)} in quarantine` : ''].filter(Boolean).join(', ')
}

/** Pieces as people read them. Days have fractions: two digits are kept, and what would become 0 becomes 0.01. */
export const amount = (pieces: number): string => Math.max(0.01, Math.round(pieces * 100) / 100).toLocaleString('en-US')

/** What rows came for that it can't be computed from any more; undefined when that is nothing. */
export function lostInWords({ lost, word }: Pick<StepPlan, 'lost' | 'word'>): string | undefined {
  const [newest] = lost
  if (newest === undefined) return undefined
  const which = lost.length === 1 ? newest : `${lost.at(-1)} to ${newest}`
  return `${amount(lost.length)} ${word} not computed from all that came (${which}): the database may have dropped some of it; make its retention and TTL longer, and have it read again with pipe reset`
}
