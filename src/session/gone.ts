import { RESET_FINGERPRINT } from '../ledger/fingerprints.js'
import { restored } from '../ledger/standing.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { counted, type LedgerReader, type LedgerRow, PipeError, shellWord, type Warehouse } from '../sdk/index.js'

/** A table that is not there, and the steps that filled it. */
export interface Gone {
  readonly table: string
  /** `units`: how many of the step are done, some of them perhaps in part. */
  readonly steps: readonly { readonly id: string; readonly units: number }[]
}

/** A table was dropped. Made anew it would be empty, with all that was in it counting as done. Nothing was made or fetched. */
export class TableGoneError extends PipeError {
  readonly code = 'TABLE_GONE'
  override readonly hint: string
  constructor(gone: readonly Gone[]) {
    super(gone.map(wordsOf).join('\n  '))
    const steps = [...new Set(gone.flatMap((each) => each.steps.map(({ id }) => id)))]
    const commands = steps.map((id) => `pipe reset FILE --step ${shellWord(id)}`)
    this.hint = `restore ${gone.length === 1 ? 'it' : 'them'}, or have everything of the ${steps.length === 1 ? 'step' : 'steps'} done again: ${commands.join(' && ')}`
  }
}

/** `table n is gone, and the ledger says that 12 units of step fill are done`. */
function wordsOf({ table, steps }: Gone): string {
  const units = steps.map(({ id, units: n }) => `${counted(n, 'units')} of step ${id}`).join(' and ')
  return `table ${table} is gone, and the ledger says that ${units} ${steps.length === 1 && steps[0]?.units === 1 ? 'is' : 'are'} done`
}

/** Tables that are not there although the ledger says that steps filled them. The warehouse may not assume them yet. */
export async function goneTables(warehouse: LedgerReader, pipeline: Pipeline): Promise<readonly Gone[]> {
  const tables = [...pipeline.tables.values()]
  if ((await warehouse.missing(tables)).length === 0) return []
  const done = new Map<string, readonly LedgerRow[]>()
  for (const { id } of pipeline.steps) done.set(id, (await warehouse.units(pipeline.name, id)).filter(isDone))
  // Where tables change their names one by one, units are read only after that.
  const missing = await warehouse.missing(tables)
  return missing.flatMap(({ name }): Gone[] => {
    const steps = pipeline.steps.flatMap(({ id, outputs }) => {
      const rows = done.get(id) ?? []
      return outputs.some(({ table }) => table === name) && haveFilled(rows, name) ? [{ id, units: rows.length }] : []
    })
    return steps.length > 0 ? [{ table: name, steps }] : []
  })
}

/** @throws {TableGoneError} */
export async function refuseGone(warehouse: LedgerReader, pipeline: Pipeline): Promise<void> {
  const gone = await goneTables(warehouse, pipeline)
  if (gone.length > 0) throw new TableGoneError(gone)
}

/** Makes what is missing of the declared tables, but for those that are gone. Resolves to the names of both. */
export async function makeUnfilled(
  warehouse: Warehouse,
  pipeline: Pipeline,
  isWanted: (table: string) => boolean = () => true,
): Promise<{ readonly gone: ReadonlySet<string>; readonly made: ReadonlySet<string> }> {
  const gone = new Set((await goneTables(warehouse, pipeline)).map(({ table }) => table))
  const tables = [...pipeline.tables.values()].filter(({ name }) => !gone.has(name) && isWanted(name))
  const made = new Set((await warehouse.missing(tables)).map(({ name }) => name))
  await warehouse.prepare(tables)
  return { gone, made }
}

/** Whether something of a unit counts as done, and was not reset since. */
const isDone = ({ state, coverage, fingerprint }: LedgerRow) =>
  fingerprint !== RESET_FINGERPRINT && (state === 'done' || restored(coverage).length > 0)

/**
 * Whether units counted rows of a table, be it none. Where none of them counted any, as parts of a split unit do not, they may
 * have filled it. A table that a step has only since a change of the file is named by no unit.
 */
function haveFilled(rows: readonly LedgerRow[], table: string): boolean {
  if (rows.length === 0) return false
  return rows.some((row) => table in row.rows) || rows.every((row) => Object.keys(row.rows).length === 0)
}
