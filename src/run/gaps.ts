import type { Step } from '../pipeline/pipeline.js'
import { ancestors } from '../pipeline/steps/graph.js'
import { isGate } from '../plan/select.js'
import { closedBecause } from './checks.js'
import type { StepEnd } from './services.js'

/** What is incomplete above a step. */
export interface Gaps {
  /** `1 of 1,048 days missing (transfers)`. */
  readonly words: string
  /** A gate above did not open: what is missing may be allowed, a check that did not pass is not. */
  readonly closed: boolean
}

/**
 * What keeps all that a step needs, and all that this needs, from being complete; undefined when nothing does. A gate looks
 * through other gates; any other step trusts one that opened, since it may allow gaps.
 */
export function gapsAbove(step: Step, steps: readonly Step[], ends: ReadonlyMap<string, StepEnd>): Gaps | undefined {
  const opened = (above: Step) => isGate(above) && ends.get(above.id)?.outcome === 'complete'
  const above = ancestors(steps, [step.id], (need) => isGate(step) || !opened(need))
  const openGates = new Set(steps.filter(opened).map(({ id }) => id))
  const open = steps.flatMap(({ id }) => {
    const end = above.has(id) ? (ends.get(id) ?? UNKNOWN) : undefined
    return end && lacks(end) && !openGates.has(id) ? [{ id, end }] : []
  })
  if (open.length === 0) return undefined
  // That a step was not run comes of another one, which is among them.
  const causes = open.filter(({ end }) => end.outcome !== 'blocked')
  return {
    words: closedBecause((causes.length > 0 ? causes : open).map(({ id, end }) => inWords(id, end))),
    closed: open.some(({ end }) => end.outcome === 'closed'),
  }
}

/** Whether a step is not complete, or is and says what it will never have. */
const lacks = ({ outcome, gaps }: StepEnd): boolean => (outcome !== 'complete' && outcome !== 'skipped') || gaps !== undefined

const UNKNOWN: StepEnd = { outcome: 'incomplete', missing: 0, quarantined: 0, reason: 'not looked at' }

function inWords(id: string, { outcome, reason }: StepEnd): string {
  switch (outcome) {
    case 'complete':
    case 'incomplete':
    case 'limited':
      return reason === undefined ? `${id} is ${outcome}` : `${reason} (${id})`
    case 'failed':
      return `${id} failed${reason === undefined ? '' : `: ${reason}`}`
    default:
      return `${id} is ${outcome}`
  }
}
