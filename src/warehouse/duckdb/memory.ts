import type { DuckDBInstance } from '@duckdb/node-api'
import { machineMemory } from '../machine.js'
import type { Notices } from '../notices.js'
import { outOfMemory } from './errors.js'

/** Bytes that DuckDB may hold in memory before it spills: at first, and by default, which nobody has to be told of. */
const FIRST = 40e6
const DEFAULT = 256e6

/** How long freed memory is kept for what comes next. */
const KEEP_MS = 1_000

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
  readonly #given: string | undefined
  #limit: number
  #raised: Promise<void> | undefined
  #keeps = false

  private constructor(instance: DuckDBInstance, notices: Notices, given: string | undefined) {
    this.#instance = instance
    this.#notices = notices
    this.#given = given
    this.#limit = given === undefined ? FIRST : 0
    this.#most = given === undefined ? Math.max(DEFAULT, machineMemory() / 4) : 0
  }

  /** @param given The limit of the user, for example `512MB`, with which the instance was opened. */
  static async of(instance: DuckDBInstance, notices: Notices, given: string | undefined): Promise<Memory> {
    const memory = new Memory(instance, notices, given)
    if (given === undefined) await memory.#setLimit()
    return memory
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

  /**
   * Gives back what was freed and is kept for the next time, at most once a second: DuckDB does so for itself and for all of the
   * process when its limit is set. Without that the threads that work for it keep tens of megabytes that they need no more.
   */
  async giveBack(): Promise<void> {
    if (this.#keeps) return
    this.#keeps = true
    AbortSignal.timeout(KEEP_MS).addEventListener('abort', () => (this.#keeps = false), { once: true })
    // A limit that is exceeded just now is not set anew, and holds as before.
    await this.#setLimit().catch(() => undefined)
  }

  async #raise(): Promise<void> {
    const before = this.#limit
    this.#limit = before < DEFAULT ? Math.min(before * 2, DEFAULT) : this.#most
    await this.#setLimit()
    if (this.#limit <= DEFAULT) return
    this.#notices.tell(
      `DuckDB needs more than ${size(DEFAULT)} of memory: it may take ${size(this.#most)} now, a quarter of this machine; duckdb:PATH?memory_limit=… sets another limit`,
    )
  }

  async #setLimit(): Promise<void> {
    const connection = await this.#instance.connect()
    try {
      await connection.run(`SET GLOBAL memory_limit = '${this.#given ?? limitOf(this.#limit)}'`)
    } finally {
      connection.closeSync()
    }
  }
}

function limitOf(bytes: number): string {
  return `${Math.floor(bytes / 1e6)}MB`
}

const size = (bytes: number): string => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.floor(bytes / 1e6)} MB`)
