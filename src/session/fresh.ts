import { RESET_FINGERPRINT } from '../ledger/fingerprints.js'
import { resetRows } from '../ledger/reset.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { isSelected } from '../plan/select.js'
import { whenHolds } from '../plan/when.js'
import { recountMarked } from '../run/count-rows.js'
import { type Clock, micros, type Warehouse } from '../sdk/index.js'
import type { PartRequest } from './plan.js'

/** Marks everything that the chosen steps have done as not done, as `pipe reset` does. Deletes no row. */
export async function forgetDone(pipeline: Pipeline, { select, params }: PartRequest, warehouse: Warehouse, clock: Clock): Promise<void> {
  for (const step of pipeline.steps) {
    // What is switched off would be done again when it is switched on, and nobody asked for that.
    if (!isSelected(step, select) || !whenHolds(step, { pipeline, given: params })) continue
    const rows = await warehouse.units(pipeline.name, step.id)
    const change = resetRows({ pipeline: pipeline.name, step: step.id, fingerprint: RESET_FINGERPRINT }, rows, undefined)
    await warehouse.amend(pipeline.name, { ...change, release: [{ step: step.id }] }, micros(clock))
    await recountMarked(pipeline, step.id, warehouse)
  }
}
