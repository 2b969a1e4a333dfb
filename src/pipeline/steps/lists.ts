import type { Step } from '../pipeline.js'

/** Whether a step asks a list outside, and no chain: one that it has only names what it asks for (`$chain.about.coingecko`). */
export const isList = ({ source, definition }: Pick<Step, 'source' | 'definition'>): boolean =>
  source !== undefined && definition.requires?.includes('chain') !== true

export const listsOf = (steps: readonly Step[]): ReadonlySet<string> => new Set(steps.filter(isList).map(({ id }) => id))
