import type { Pipeline } from '../pipeline/pipeline.js'
import { openState } from '../session/open-state.js'
import { demoDisplay } from './demo-warehouse.js'
import { Exit, type Io } from './io.js'
import { openPipeline } from './open-pipeline.js'
import type { StatusOptions } from './options.js'
import { renderStatus, statusReport, type StatusInput } from '../report/status.js'
import type { RunsOf, StateStore } from '../state/store.js'

const watchMs = 2_000
const shownRuns = 5
/** Results of checks that are looked through for the history of each. */
const readChecks = 1_000

/**
 * Prints what the state store knows of the last run of a pipeline. Opens no warehouse, so it works while another process
 * runs. With `watch`, prints again every two seconds until that run has ended.
 */
export async function statusCommand(file: string, options: StatusOptions, io: Io): Promise<number> {
  const pipeline = await openPipeline(file, { environment: 'warn' }, io)
  if (!pipeline) return Exit.notStarted
  for (;;) {
    const input = await lookUp(pipeline, file, options, io)
    io.stdout.write(print(input, options, io))
    if (!options.watch || input.runs[0]?.outcome !== 'running') return Exit.done
    await io.clock.sleep(watchMs, io.signal)
  }
}

async function lookUp(pipeline: Pipeline, file: string, { state, demo }: StatusOptions, io: Io): Promise<StatusInput> {
  const store = await openState(state, io, { readOnly: true })
  const { name } = pipeline
  const own = demoDisplay(pipeline, io)
  const of: RunsOf = demo ? { warehouse: own } : { notInto: own }
  try {
    const runs = await store.runs(name, { ...of, limit: shownRuns })
    const others = runs.length === 0 ? await othersOf(store, name, own, demo) : undefined
    return { pipeline: name, file, demo, others, runs, checks: await store.checks(name, readChecks, of), now: Math.round(io.clock.now()) }
  } finally {
    await store.close()
  }
}

/** Where there is no run of the kind that is asked for: the warehouse of the last one of the other kind. */
async function othersOf(store: StateStore, pipeline: string, own: string | undefined, demo: boolean): Promise<string | undefined> {
  const [last] = own === undefined ? [] : await store.runs(pipeline, { ...(demo ? { notInto: own } : { warehouse: own }), limit: 1 })
  return last?.warehouse
}

/** Watched on a terminal, the text takes the place of the one before; watched as JSON, it is one line each time. */
function print(input: StatusInput, { json, watch }: StatusOptions, io: Io): string {
  if (json) return `${JSON.stringify(statusReport(input), null, watch ? undefined : 2)}\n`
  return watch && io.isTTY ? `\u001b[2J\u001b[H${renderStatus(input)}` : renderStatus(input)
}
