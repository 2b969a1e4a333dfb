import type { DuckDBInstance } from '@duckdb/node-api'
import { machineMemory } from '../machine.js'
import type { Notices } from '../notices.js'
import { outOfMemory } from './errors.js'

/** Bytes that DuckDB may hold in memory before it spills: at first, and by default, which nobody has to be told of. */
const FIRST = 64e6
const DEFAULT = 256e6

/** The limit that a file is opened with, since what was not checkpointed is read then. */
export const OPENING_MEMORY = limitOf(DEFAULT)

/**
 * The memory of one DuckDB. It begins small, so that a run is flat, and is raised where DuckDB says that a statement needs more
 * than can be spilled: doubled up to the default, then once to a quarter of the machine. A limit that the user gave holds.
 */
export class Memory {
  readonly #instance: DuckDBInstance
  readonly #notices: Notices
  readonly #most: number
  #limit: number
  #raised: Promise<void> | undefined

  private constructor(instance: DuckDBInstance, notices: Notices, limit: number, most: number) {
    this.#instance = instance
    this.#notices = notices
    this.#limit = limit
    this.#most = most
  }

  /** @param fixed Whether the user gave the limit. */
  static async of(instance: DuckDBInstance, notices: Notices, fixed: boolean): Promise<Memory> {
    if (fixed) return new Memory(instance, notices, 0, 0)
    await setLimit(instance, FIRST)
    return new Memory(instance, notices, FIRST, Math.max(DEFAULT, machineMemory() / 4))
  }

  /** Runs work, and runs it again from its beginning as often as it fails for want of memory and there is more to be had. */
  async enough<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      const limit = this.#limit
      try {
        return await work()
      } catch (error) {
        if (limit >= this.#most || !outOfMemory(error)) throw error
        if (limit === this.#limit) this.#raised = this.#raise()
        await this.#raised
      }
    }
  }

  /**
   * Gives room to a commit that may add many rows: it joins their keys with the index, which can't be put aside, and where that
   * fails DuckDB keeps some of the keys without their rows.
   */
  async roomToCommit(): Promise<void> {
    if (this.#limit >= this.#most) return
    const connection = await this.#instance.connect()
    try {
      const found = await connection.run("SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'ART_INDEX'")
      const indexes = Number((await found.getRows())[0]?.[0] ?? 0)
      while (this.#limit < this.#most && this.#limit < 4 * indexes) await this.#raise()
    } finally {
      connection.closeSync()
    }
  }

  async #raise(): Promise<void> {
    const before = this.#limit
    this.#limit = before < DEFAULT ? Math.min(before * 2, DEFAULT) : this.#most
    await setLimit(this.#instance, this.#limit)
    if (this.#limit <= DEFAULT) return
    this.#notices.tell(
      `DuckDB needs more than ${size(DEFAULT)} of memory: it may take ${size(this.#most)} now, a quarter of this machine; duckdb:PATH?memory_limit=… sets another limit`,
    )
  }
}

async function setLimit(instance: DuckDBInstance, bytes: number): Promise<void> {
  const connection = await instance.connect()
  try {
    await connection.run(`SET GLOBAL memory_limit = '${limitOf(bytes)}'`)
  } finally {
    connection.closeSync()
  }
}

function limitOf(bytes: number): string {
  return `${Math.floor(bytes / 1e6)}MB`
}

const size = (bytes: number): string => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.floor(bytes / 1e6)} MB`)
