import type { DuckDBInstance } from '@duckdb/node-api'
import { machineMemory } from '../machine.js'
import type { Notices } from '../notices.js'
import { outOfMemory } from './errors.js'

/** What DuckDB may hold in memory by default, before it spills. */
export const DEFAULT_MEMORY = '256MB'
const DEFAULT_BYTES = 256e6

/**
 * The memory of one DuckDB. Its default is small, so that a run is flat; it is raised once, where DuckDB says that a statement
 * needs more than can be spilled. A limit that the user gave holds.
 */
export class Memory {
  readonly #instance: DuckDBInstance
  readonly #notices: Notices
  readonly #most: number
  #raised: boolean

  /** @param fixed Whether the user gave the limit. */
  constructor(instance: DuckDBInstance, notices: Notices, fixed: boolean, most = machineMemory() / 4) {
    this.#instance = instance
    this.#notices = notices
    this.#most = most
    this.#raised = fixed || most <= DEFAULT_BYTES
  }

  /** Runs work, and runs it again from its beginning where it failed for want of memory and there is more now. */
  async enough<T>(work: () => Promise<T>): Promise<T> {
    const raised = this.#raised
    try {
      return await work()
    } catch (error) {
      if (raised || !outOfMemory(error)) throw error
      await this.#raise()
      return work()
    }
  }

  async #raise(): Promise<void> {
    if (this.#raised) return
    this.#raised = true
    const connection = await this.#instance.connect()
    try {
      await connection.run(`SET GLOBAL memory_limit = '${Math.floor(this.#most / 1e6)}MB'`)
    } finally {
      connection.closeSync()
    }
    this.#notices.tell(
      `DuckDB needs more than ${DEFAULT_MEMORY.replace('MB', ' MB')} of memory: it may take ${size(this.#most)} now, a quarter of this machine; duckdb:PATH?memory_limit=… sets another limit`,
    )
  }
}

const size = (bytes: number): string => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.floor(bytes / 1e6)} MB`)
