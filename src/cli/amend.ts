import { consumersOf } from '../pipeline/steps/inputs.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import type { Warehouse } from '../sdk/index.js'
import type { Io } from './io.js'
import { openPipeline } from './open-pipeline.js'
import { refuseMissing } from './nothing-run.js'
import { inDemo, refusePending, stateFolder, warehouseUrl } from './wire.js'

type Work = (pipeline: Pipeline, warehouse: Warehouse) => Promise<number>

/** What `retry` and `reset` share: the pipeline, held, with its warehouse open and prepared. A file that is not there is not made. */
export async function withLedger(
  file: string,
  { state, demo, verb }: { readonly state: string; readonly demo: boolean; readonly verb: string },
  io: Io,
  work: Work,
): Promise<number | undefined> {
  const begin = async (pipeline: Pipeline, warehouse: Warehouse) => {
    await warehouse.prepare([])
    await refusePending(warehouse, pipeline)
    await warehouse.prepare([...pipeline.tables.values()])
    warehouse.watch(consumersOf(pipeline))
    return work(pipeline, warehouse)
  }
  return withWarehouse(file, state, io, begin, (found) => {
    const pipeline = demo ? inDemo(found, io) : found
    refuseMissing(pipeline, verb, io)
    return pipeline
  })
}

/** The pipeline, held, with its warehouse open. Resolves to the exit code of `work`, or undefined when the file has mistakes. */
export async function withWarehouse(
  file: string,
  state: string,
  io: Io,
  work: Work,
  choose: (pipeline: Pipeline) => Pipeline = (pipeline) => pipeline,
): Promise<number | undefined> {
  const found = await openPipeline(file, { environment: 'warn' }, io)
  if (!found) return undefined
  const pipeline = choose(found)
  const [{ lockPipeline }, { openWarehouse }] = await Promise.all([import('../state/lock.js'), import('../warehouse/open.js')])
  const url = warehouseUrl(pipeline.warehouse, io)
  const self = { pid: io.pid, host: io.host, since: Math.round(io.clock.now()) }
  const lock = await lockPipeline({
    pipeline: pipeline.name,
    warehouse: url,
    stateDir: stateFolder(state, io),
    clock: io.clock,
    self,
    alive: (pid) => io.alive(pid),
  })
  let warehouse: Warehouse | undefined
  try {
    warehouse = await openWarehouse(url, { mode: 'write' })
    return await work(pipeline, warehouse)
  } finally {
    await warehouse?.close()
    await lock.release()
  }
}
