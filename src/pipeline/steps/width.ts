import type { Width } from '../../sdk/index.js'
import type { Step } from '../pipeline.js'

type Wide = Pick<Step, 'definition' | 'parallel'>

const UNITS_AT_ONCE = 4

/** How much a step does at once. `wanted`: as somebody wants it, in place of what the file says. */
export function widthOf(step: Wide, wanted = step.parallel): Width {
  if (boundsRequests(step)) return { of: 'requests', most: wanted ?? null }
  return { of: 'units', most: unitsAtOnce(step, wanted) }
}

/** How many of its units may be open at once. */
export function unitsAtOnce(step: Wide, wanted = step.parallel): number {
  return (boundsRequests(step) ? undefined : wanted) ?? step.definition.units ?? UNITS_AT_ONCE
}

const boundsRequests = ({ definition }: Wide) => definition.parallel === 'requests'
