import type { Pipeline } from '../pipeline/pipeline.js'
import type { Warehouse } from '../sdk/index.js'
import { stateFolder, warehouseUrl } from './places.js'
import type { Surroundings } from './surroundings.js'

/** A pipeline that nobody else can run or change, with its warehouse open for writing. */
export interface Held {
  readonly warehouse: Warehouse
  /** The file that is locked (`PipelineLock.path`). */
  readonly lockFile: string | undefined
  /** Milliseconds UTC. */
  readonly since: number
  /** Closes the warehouse, then gives the pipeline back. */
  close(): Promise<void>
}

/**
 * Takes the pipeline's lock and opens its warehouse. Nothing of the warehouse is made or changed yet.
 *
 * @throws {PipelineHeldError} naming who has it.
 * @throws {WarehouseOpenError} when the warehouse can't be opened; the lock is given back.
 */
export async function holdPipeline(pipeline: Pipeline, state: string, surroundings: Surroundings): Promise<Held> {
  const [{ lockPipeline }, { openWarehouse }] = await Promise.all([import('../state/lock.js'), import('../warehouse/open.js')])
  const { clock, pid, host } = surroundings
  const url = warehouseUrl(pipeline.warehouse, surroundings)
  const since = Math.round(clock.now())
  const lock = await lockPipeline({
    pipeline: pipeline.name,
    warehouse: url,
    stateDir: stateFolder(state, surroundings),
    clock,
    self: { pid, host, since },
    alive: (other) => surroundings.alive(other),
  })
  try {
    const warehouse = await openWarehouse(url, { mode: 'write' })
    const close = async () => {
      try {
        await warehouse.close()
      } finally {
        await lock.release()
      }
    }
    return { warehouse, lockFile: lock.path, since, close }
  } catch (error) {
    await lock.release()
    throw error
  }
}
