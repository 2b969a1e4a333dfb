import { openState } from '../session/open-state.js'
import { Exit, type Io } from './io.js'
import { openPipeline } from './open-pipeline.js'
import type { StatusOptions } from './options.js'
import { renderStatus, statusReport, type StatusInput } from '../report/status.js'

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
    const input = await lookUp(pipeline.name, file, options.state, io)
    io.stdout.write(print(input, options, io))
    if (!options.watch || input.runs[0]?.outcome !== 'running') return Exit.done
    await io.clock.sleep(watchMs, io.signal)
  }
}

async function lookUp(pipeline: string, file: string, state: string, io: Io): Promise<StatusInput> {
  const store = await openState(state, io, { readOnly: true })
  try {
    const runs = await store.runs(pipeline, { limit: shownRuns })
    return { pipeline, file, runs, checks: await store.checks(pipeline, readChecks), now: Math.round(io.clock.now()) }
  } finally {
    await store.close()
  }
}

/** Watched on a terminal, the text takes the place of the one before; watched as JSON, it is one line each time. */
function print(input: StatusInput, { json, watch }: StatusOptions, io: Io): string {
  if (json) return `${JSON.stringify(statusReport(input), null, watch ? undefined : 2)}\n`
  return watch && io.isTTY ? `\u001b[2J\u001b[H${renderStatus(input)}` : renderStatus(input)
}
