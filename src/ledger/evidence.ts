import type { Json } from '../sdk/index.js'

/**
 * What the ledger keeps as proof for a unit, after one more batch: a list with one entry for each batch that gave any, in
 * the order of the batches. What an older ledger holds is one batch's alone, and becomes the first entry.
 */
export function appendEvidence(before: Json | undefined, given: Json | undefined): Json | undefined {
  if (given === undefined) return before
  if (before === undefined || before === null) return [given]
  return Array.isArray(before) ? [...(before as readonly Json[]), given] : [before, given]
}
