import type { Pipeline } from '../pipeline/pipeline.js'
import { consumersOf } from '../pipeline/steps/inputs.js'
import type { About, Warehouse } from '../sdk/index.js'
import { makeUnfilled } from '../session/gone.js'
import { holdPipeline } from '../session/hold.js'
import { lastRun } from '../session/last-run.js'
import { openState } from '../session/open-state.js'
import { refusePending } from '../session/ready.js'
import { aboutOf } from './about.js'
import { inDemo } from './demo-warehouse.js'
import { Exit, type Io } from './io.js'
import { refuseMissing } from './nothing-run.js'
import { openPipeline } from './open-pipeline.js'

/**
 * What `retry` and `reset` share: the pipeline, held, with its warehouse open and prepared. A file that is not there is not
 * made, and neither is a table that is gone. Resolves to the exit code. `work` gets what the last run was about: the run that
 * does what is marked must want the same.
 */
export async function withLedger(
  file: string,
  { state, demo, verb }: { readonly state: string; readonly demo: boolean; readonly verb: string },
  io: Io,
  work: (pipeline: Pipeline, warehouse: Warehouse, about: About) => Promise<void>,
): Promise<number> {
  const found = await openPipeline(file, { environment: 'warn' }, io)
  if (!found) return Exit.notStarted
  const pipeline = demo ? inDemo(found, io) : found
  refuseMissing(pipeline, verb, io)
  const held = await holdPipeline(pipeline, state, io)
  try {
    const { warehouse } = held
    await warehouse.prepare([])
    await refusePending(warehouse, pipeline)
    await makeUnfilled(warehouse, pipeline)
    warehouse.watch(consumersOf(pipeline))
    await work(pipeline, warehouse, {
      ...aboutOf(file, { demo, state }, io),
      params: await lastParams(pipeline, warehouse.display, state, io),
    })
    return Exit.done
  } finally {
    await held.close()
  }
}

/** The params of the last run. Where the state store can't be read, nothing is known of it. */
async function lastParams(pipeline: Pipeline, warehouse: string, state: string, io: Io): Promise<About['params']> {
  const store = await openState(state, io, { readOnly: true }).catch(() => undefined)
  try {
    return store && (await lastRun(store, pipeline, warehouse)).params
  } finally {
    await store?.close()
  }
}
