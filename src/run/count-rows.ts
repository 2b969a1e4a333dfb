import type { Pipeline } from '../pipeline/pipeline.js'
import { countedOf } from '../pipeline/steps/counted.js'
import type { Warehouse } from '../sdk/index.js'

/**
 * Has commits keep count of rows. A table that this ledger speaks of and that was never counted was filled by an older version:
 * what it should hold is not known, and it stays uncounted until everything of its steps is reset.
 */
export async function countRows(pipeline: Pipeline, warehouse: Warehouse): Promise<void> {
  const known = []
  for (const { counted, table, steps } of countedOf(pipeline)) {
    if ((await warehouse.counts(counted)) === undefined) {
      const units = await Promise.all(steps.map(({ id }) => warehouse.units(pipeline.name, id)))
      if (units.some((rows) => rows.length > 0)) continue
      await warehouse.recount(counted, table)
    }
    known.push(counted)
  }
  warehouse.count(known)
}

/**
 * Takes what is there for what should be, where a step was marked to be done again: its rows are replaced. `marked`: stretches of
 * time, of which whole days are taken; undefined: everything of the step. Of tables that are gone nothing is taken, of those that
 * were made everything.
 */
export async function recountMarked(
  pipeline: Pipeline,
  step: string,
  warehouse: Warehouse,
  marked?: readonly (readonly [bigint, bigint])[],
  { gone, made }: { readonly gone: ReadonlySet<string>; readonly made: ReadonlySet<string> } = { gone: new Set(), made: new Set() },
): Promise<void> {
  for (const { counted, table, steps } of countedOf(pipeline)) {
    if (gone.has(table.name) || !steps.some(({ id }) => id === step)) continue
    if (marked === undefined || made.has(table.name)) await warehouse.recount(counted, table)
    else if (counted.column !== undefined) await warehouse.recount(counted, table, marked)
  }
}
