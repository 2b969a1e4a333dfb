import { RESET_FINGERPRINT } from '../ledger/fingerprints.js'
import { resetRows } from '../ledger/reset.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { isSelected } from '../plan/select.js'
import { whenHolds } from '../plan/when.js'
import { recountMarked } from '../run/count-rows.js'
import { type Clock, micros, type Warehouse } from '../sdk/index.js'
import { refuseGone } from './gone.js'
import type { PartRequest } from './plan.js'

/**
 * Marks everything that the chosen steps have done as not done, as `pipe reset` does. Deletes no row, and makes tables that are gone.
 *
 * @throws {TableGoneError} when another step filled one of these.
 */
export async function forgetDone(pipeline: Pipeline, { select, params }: PartRequest, warehouse: Warehouse, clock: Clock): Promise<void> {
  // What is switched off would be done again when it is switched on, and nobody asked for that.
  const forgotten = pipeline.steps.filter((step) => isSelected(step, select) && whenHolds(step, { pipeline, given: params }))
  for (const { id } of forgotten) {
    const rows = await warehouse.units(pipeline.name, id)
    const change = resetRows({ pipeline: pipeline.name, step: id, fingerprint: RESET_FINGERPRINT }, rows, undefined)
    await warehouse.amend(pipeline.name, { ...change, release: [{ step: id }] }, micros(clock))
  }
  await refuseGone(warehouse, pipeline)
  await warehouse.prepare([...pipeline.tables.values()])
  for (const { id } of forgotten) await recountMarked(pipeline, id, warehouse)
}
