import { PipeError } from '../sdk/index.js'
import { mayHaveWritten } from '../ledger/standing.js'
import { baseOf, isApart } from '../pipeline/steps/writers.js'
import type { StepPlan } from '../plan/plan.js'
import type { RunServices } from './services.js'

/** A task is done again, and its table also holds rows of another step, which nothing tells from its own. */
export class RedoSharedError extends PipeError {
  readonly code = 'REDO_SHARED'
  override readonly hint = 'give each step a table of its own, or the key a column that each sets to another constant, such as $chain.name'
  constructor(step: string, table: string, other: string) {
    super(
      `step ${step} is done again, which deletes its rows of before: table ${table} also has rows of ${other}, and no key column tells them apart`,
    )
  }
}

/**
 * Makes sure that a task which is done again deletes no rows but its own. `validate` leaves steps into one table that never
 * run together (`when`), and a matrix may have had other values: the ledger knows whether one of them was at work.
 *
 * @throws {RedoSharedError}
 */
export async function checkRedo({ pipeline, warehouse }: RunServices, { step, outputs, units }: StepPlan): Promise<void> {
  if (!units.some(({ redo, piece }) => redo && piece.kind === 'task')) return
  const rows = await warehouse.units(pipeline.name)
  const wrote = new Set(rows.filter((row) => row.step !== step.id && mayHaveWritten(row)).map((row) => row.step))
  for (const output of outputs) {
    const key = pipeline.tables.get(output.table)?.key ?? []
    const other = [...wrote].find((id) => {
      const known = pipeline.steps.find((each) => each.id === id)
      if (known) return known.outputs.some((each) => each.table === output.table && !isApart(each, output, key))
      return baseOf({ id }) === baseOf(step) && !key.some((column) => output.constants[column] !== undefined)
    })
    if (other !== undefined) throw new RedoSharedError(step.id, output.table, other)
  }
}
