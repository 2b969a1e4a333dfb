import { newestUnit } from '../ledger/standing.js'
import { rollBack, rolledBack } from '../ledger/versions.js'
import { shadowsOf } from '../run/shadows.js'
import { command, type Json, micros } from '../sdk/index.js'
import { openState } from '../session/open-state.js'
import { withLedger } from './amend.js'
import type { Io } from './io.js'
import type { RollbackOptions } from './options.js'
import { stepNamed } from './step-named.js'
import { UsageError } from './usage-error.js'

/** What was rolled back: what `pipe rollback --json` prints. */
export interface RollbackReport {
  readonly pipeline: string
  readonly step: string
  /** The version that was there. */
  readonly from: number
  /** The version that is there now. 0 is what was there before the first swap. */
  readonly to: number
  /** `kept`: the name under which what was there is kept until the next swap. */
  readonly tables: readonly { readonly table: string; readonly kept: string }[]
}

/**
 * Puts the version before the one that is there into its place again, all tables of the step at once. The unit that published
 * them is marked: no run publishes anew before `pipe reset`.
 */
export async function rollbackCommand(file: string, { step, json, ...options }: RollbackOptions, io: Io): Promise<number> {
  return withLedger(file, { ...options, verb: 'roll back' }, io, async (pipeline, warehouse, about) => {
    const found = stepNamed(pipeline, step)
    const tables = shadowsOf(found.outputs, pipeline.tables).map(({ table }) => table)
    if (tables.length === 0) {
      const others = pipeline.steps.filter(({ outputs }) => outputs.some(({ shadow }) => shadow)).map(({ id }) => id)
      const hint = others.length === 0 ? 'no step of this pipeline does' : `those that do: ${others.join(', ')}`
      throw new UsageError(`--step ${step}: it renews no table as a whole, so there is no version to go back to`, hint)
    }
    const at = micros(io.clock)
    const versions = await warehouse.versions(pipeline.name, step)
    const { from, to, ...swap } = rollBack({ pipeline: pipeline.name, step, versions, at }, tables)
    const row = newestUnit(await warehouse.units(pipeline.name, step))
    const of = { pipeline: pipeline.name, step, fingerprint: row?.fingerprint ?? '' }
    const put = [
      { step: of, unit: row?.unit ?? 'all', state: 'done' as const, coverage: { undone: to }, rows: {}, cursor: null, error: null },
    ]
    // One that is gone is kept as an empty one.
    await warehouse.prepare(tables)
    await warehouse.amend(pipeline.name, { put, swap }, at)
    await tellState({ pipeline: pipeline.name, warehouse: warehouse.display, step }, rolledBack(to), options.state, io)
    const report: RollbackReport = {
      pipeline: pipeline.name,
      step,
      from,
      to,
      tables: swap.moves.map(({ table, goes }) => ({ table: table.name, kept: goes })),
    }
    if (json) {
      io.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
      return
    }
    for (const { table, kept } of report.tables)
      io.stdout.write(`${table}: version ${to} is back; version ${from} is kept as ${kept} until the next swap\n`)
    io.stdout.write(`no run swaps ${step} forward again before: ${command('reset', about, '--step', step)}\n`)
  })
}

/** Has `pipe status` say it, of the last run into this warehouse. It is history: where the state store can't be written, the ledger says it all the same. */
async function tellState(
  { pipeline, warehouse, step }: { readonly pipeline: string; readonly warehouse: string; readonly step: string },
  reason: string,
  state: string,
  io: Io,
): Promise<void> {
  const store = await openState(state, io)
  try {
    const [last] = await store.runs(pipeline, { warehouse, limit: 1 })
    const view = last?.view as { readonly steps?: readonly { readonly [key: string]: Json }[] } | undefined
    if (!last || !view?.steps) return
    const steps = view.steps.map((each) => (each.id === step ? { ...each, reason } : each))
    await store.updateRun(last.id, { view: { ...view, steps } as Json }, Math.round(io.clock.now()))
  } finally {
    await store.close()
  }
}
