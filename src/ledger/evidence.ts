import type { Json } from '../sdk/index.js'

/** What the ledger keeps of a unit's evidence once a batch gave more: a list with one entry a batch. */
export function appendEvidence(before: Json | undefined, given: Json): Json {
  if (before === undefined) return [given]
  return [...(Array.isArray(before) ? (before as readonly Json[]) : [before]), given]
}
