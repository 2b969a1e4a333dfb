import type { Pipeline } from '../pipeline/pipeline.js'
import { isPipeError, PipelineTakenError, type Warehouse } from '../sdk/index.js'
import { stateFolder, warehouseUrl } from './places.js'
import type { Surroundings } from './surroundings.js'

/** A pipeline that nobody else can run or change, with its warehouse open for writing. */
export interface Held {
  readonly warehouse: Warehouse
  /** The file that is locked (`PipelineLock.path`). */
  readonly lockFile: string | undefined
  /** Milliseconds UTC. */
  readonly since: number
  /** Aborted when somebody else took the pipeline, with a `PipelineTakenError` as its reason: nothing more can be written. */
  readonly taken: AbortSignal
  /** Closes the warehouse, then gives the pipeline back. */
  close(): Promise<void>
}

/** How often a server is asked whether the pipeline is still held, in milliseconds. */
const LOOK_MS = 2_000

/** A database of one process is tried so often, with so long between: a server or a command that only looks has it for a moment. */
const TRIES = 50
const TRY_MS = 100

/**
 * Takes the pipeline's lock, opens its warehouse and writes down there who holds it: from then on, whoever held it before writes
 * nothing more. A lock can be lost, and can be another one than that of another machine; what the warehouse says can't, since
 * it is compared in each commit. Nothing else of the warehouse is made or changed yet.
 *
 * @throws {PipelineHeldError} naming who has it.
 * @throws {WarehouseOpenError} when the warehouse can't be opened; the lock is given back.
 */
export async function holdPipeline(pipeline: Pipeline, state: string, surroundings: Surroundings): Promise<Held> {
  const [{ lockPipeline, PipelineHeldError }, { openWarehouse }] = await Promise.all([
    import('../state/lock.js'),
    import('../warehouse/open.js'),
  ])
  const { clock, pid, host } = surroundings
  const { name } = pipeline
  const url = warehouseUrl(pipeline.warehouse, surroundings)
  const self = { pid, host, since: Math.round(clock.now()) }
  const alive = (other: number) => surroundings.alive(other)
  const taken = new AbortController()
  const lock = await lockPipeline({
    pipeline: name,
    warehouse: url,
    stateDir: stateFolder(state, surroundings),
    clock,
    self,
    alive,
    taken: (by) => taken.abort(new PipelineTakenError(name, by)),
  })
  let warehouse: Warehouse | undefined
  try {
    warehouse = await whenFree(() => openWarehouse(url, { mode: 'write' }), surroundings)
    const claim = { pipeline: name, id: surroundings.newId(), self, alive, taken: (error: PipelineTakenError) => taken.abort(error) }
    const holder = await warehouse.hold(claim)
    if (holder) throw new PipelineHeldError(name, holder)
  } catch (error) {
    await warehouse?.close()
    await lock.release()
    throw error
  }
  const held = warehouse
  const ended = new AbortController()
  const looking = isOneProcess(url) ? undefined : look()
  return {
    warehouse: held,
    lockFile: lock.path,
    since: self.since,
    taken: taken.signal,
    async close() {
      ended.abort()
      try {
        await settled(looking)
        await held.close()
      } finally {
        await lock.release()
      }
    },
  }

  /** Waits for a look that is under way, but not for a server that answers nothing. */
  async function settled(work: Promise<void> | undefined): Promise<void> {
    const late = new AbortController()
    await Promise.race([work, clock.sleep(LOOK_MS, late.signal).catch(() => undefined)])
    late.abort()
  }

  /** Looks now and then whether the pipeline is still held, also while nothing is written. */
  async function look(): Promise<void> {
    const signal = AbortSignal.any([ended.signal, taken.signal])
    while (!signal.aborted) {
      await clock.sleep(LOOK_MS, signal).catch(() => undefined)
      // Where the server is away, the commits say so.
      if (!signal.aborted) await Promise.allSettled([lock.check(), held.renew()])
    }
  }
}

/** @throws {WarehouseHeldError} when another process still has it after five seconds. */
async function whenFree(open: () => Promise<Warehouse>, { clock, signal }: Surroundings): Promise<Warehouse> {
  for (let tries = 1; ; tries++) {
    try {
      return await open()
    } catch (error) {
      const isHeld = isPipeError(error) && error.code === 'WAREHOUSE_HELD'
      if (!isHeld || tries >= TRIES || signal.aborted) throw error
      await clock.sleep(TRY_MS, signal).catch(() => undefined)
    }
  }
}

/** Whether the database lets one process in, which no other can take it from. */
const isOneProcess = (url: string) => /^(duckdb|chdb):/.test(url)
