import { counted } from '../report/words.js'
import { RESET_FINGERPRINT } from '../ledger/fingerprints.js'
import { resetRows } from '../ledger/reset.js'
import { recountMarked } from '../run/count-rows.js'
import { command, micros } from '../sdk/index.js'
import { makeUnfilled } from '../session/gone.js'
import { withLedger } from './amend.js'
import type { Io } from './io.js'
import type { ResetOptions } from './options.js'
import { stepNamed } from './step-named.js'

/** Marks units as not done, split where the range begins and ends. Deletes nothing: the next run replaces what they wrote. */
export async function resetCommand(file: string, { step, range, ...options }: ResetOptions, io: Io): Promise<number> {
  return withLedger(file, { ...options, verb: 'reset' }, io, async (pipeline, warehouse, about) => {
    const found = stepNamed(pipeline, step)
    const rows = await warehouse.units(pipeline.name, step)
    const counts = found.outputs.some(({ table, range: column }) => {
      const kind = pipeline.tables.get(table)?.columns.find(({ name }) => name === column)?.type.kind
      return kind !== undefined && kind !== 'timestamp' && kind !== 'date'
    })
    const change = resetRows({ pipeline: pipeline.name, step, fingerprint: RESET_FINGERPRINT }, rows, range, counts)
    await warehouse.amend(pipeline.name, { ...change, release: range === undefined ? [{ step }] : undefined }, micros(io.clock))
    // A table that was gone is made when nothing that filled it counts as done any more.
    await recountMarked(pipeline, step, warehouse, change.days, await makeUnfilled(warehouse, pipeline))
    const { names, open, unknown } = change
    for (const unit of names) io.stdout.write(`${step} ${unit}: will be done again\n`)
    for (const unit of open) io.stdout.write(`${step} ${unit}: is not done yet, and begins anew\n`)
    for (const unit of unknown)
      io.stdout.write(
        `${step} ${unit}: was never done, so there is nothing to reset; a run that asks for it replaces what rows lie there\n`,
      )
    io.stdout.write(
      names.length === 0
        ? `nothing of ${step} is done${range === undefined ? '' : ` in ${range}`} (${warehouse.display})\n`
        : `${counted(names.length, 'units')} in ${warehouse.display} will be replaced by: ${command('run', about)}\n`,
    )
  })
}
