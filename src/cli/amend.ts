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
import type { AmendOptions } from './options.js'

/**
 * What `retry`, `reset` and `rollback` share: the pipeline, held, with its warehouse open and prepared. A file that is not there
 * is not made, and neither is a table that is gone. Resolves to the exit code. It is read with the params of the last run, where
 * `--param` says nothing else: its steps are those that were run, and the run that does what is marked must want the same.
 */
export async function withLedger(
  file: string,
  { params: given, state, demo, verb }: AmendOptions & { readonly verb: string },
  io: Io,
  work: (pipeline: Pipeline, warehouse: Warehouse, about: About) => Promise<void>,
): Promise<number> {
  const open = async (params: AmendOptions['params']) => {
    const pipeline = await openPipeline(file, { environment: 'warn', params }, io)
    return pipeline && demo ? inDemo(pipeline, io) : pipeline
  }
  // Read without the params of the last run first: which warehouse it is decides which run was the last.
  const named = await open(given)
  if (!named) return Exit.notStarted
  refuseMissing(named, verb, io)
  const held = await holdPipeline(named, state, io)
  try {
    const { warehouse } = held
    const params = { ...(await lastParams(named, warehouse.display, state, io)), ...given }
    const pipeline = await open(params)
    if (!pipeline) return Exit.notStarted
    await warehouse.prepare([])
    await refusePending(warehouse, pipeline)
    await makeUnfilled(warehouse, pipeline)
    warehouse.watch(consumersOf(pipeline))
    await work(pipeline, warehouse, aboutOf(file, { demo, params, state }, io))
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
