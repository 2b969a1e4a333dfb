import { type DuckDBConnection, type DuckDBPreparedStatement, StatementType } from '@duckdb/node-api'
import type { Row, Statement } from '../../sdk/index.js'
import { SqlError, WriteConflictError } from '../errors.js'
import type { Presence } from '../presence.js'
import { statementError } from './errors.js'
import type { Memory } from './memory.js'
import { interruptible, readRows } from './reads.js'
import type { Stage } from './stage.js'
import { prepare } from './values.js'

/** What a step may run inside a commit, and a migration. Nothing that ends the transaction or reaches outside of the file. */
const STEP_STATEMENTS = new Set([
  StatementType.SELECT,
  StatementType.INSERT,
  StatementType.UPDATE,
  StatementType.DELETE,
  StatementType.CREATE,
  StatementType.ALTER,
  StatementType.DROP,
  StatementType.MERGE_INTO,
])

/** Attempts of a transaction that another writer's came in the way of. */
const ATTEMPTS = 10

/** The one connection that writes. Its transactions wait for each other in a queue. */
export class Transactions {
  readonly connection: DuckDBConnection
  readonly #display: string
  readonly #memory: Memory
  /** Undefined: it is no file. */
  readonly #presence: Presence | undefined
  readonly #compiled = new Map<string, DuckDBPreparedStatement>()
  #tail: Promise<unknown> = Promise.resolve()

  constructor(connection: DuckDBConnection, display: string, memory: Memory, presence: Presence | undefined) {
    this.connection = connection
    this.#display = display
    this.#memory = memory
    this.#presence = presence
  }

  /**
   * Runs work alone and in one transaction: all of it is committed, or nothing when it throws. `before` makes temporary
   * tables that the work needs: made inside of the transaction, a rollback would take them away.
   */
  run<T>(work: () => Promise<T>, before: () => Promise<unknown> = () => Promise.resolve()): Promise<T> {
    const result = this.#tail.then(async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          await before()
          return await this.#memory.enough(() => this.#attempt(work))
        } catch (error) {
          const known = statementError(this.#display, error)
          if (!(known instanceof WriteConflictError) || attempt === ATTEMPTS) throw known
        }
      }
    })
    this.#tail = result.catch(() => undefined)
    return result
  }

  /** Runs one statement of a step or a migration inside the transaction that is open. Resolves to the rows it changed. */
  async execute(statement: Statement, of: 'step' | 'migration' = 'step', signal?: AbortSignal): Promise<number> {
    const prepared = await prepare(this.connection, statement)
    try {
      if (!STEP_STATEMENTS.has(prepared.statementType)) {
        throw new SqlError(`a ${of} may not run ${StatementType[prepared.statementType]} statements`, {
          hint: 'insert, update, delete, create, alter or drop',
        })
      }
      return (await interruptible(this.connection, () => prepared.run(), { signal })).rowsChanged
    } finally {
      prepared.destroySync()
    }
  }

  /** Runs a query of our own inside the transaction that is open. Its columns must be integers. */
  async select(statement: Statement, signal?: AbortSignal): Promise<readonly (readonly (bigint | null)[])[]> {
    const prepared = await prepare(this.connection, statement)
    try {
      return (await (await interruptible(this.connection, () => prepared.run(), { signal })).getRows()) as (bigint | null)[][]
    } finally {
      prepared.destroySync()
    }
  }

  /** Runs a query of our own that reads the ledger inside the transaction that is open. */
  async rows(statement: Statement): Promise<Row[]> {
    const prepared = await prepare(this.connection, statement)
    try {
      const rows: Row[] = []
      for await (const page of readRows(await prepared.run())) for (const row of page) rows.push(row)
      return rows
    } finally {
      prepared.destroySync()
    }
  }

  /** Empties a stage. */
  async clear(stage: Stage): Promise<void> {
    await this.#control(`TRUNCATE ${stage.table}`)
  }

  /** Resolves when no transaction is under way. */
  async settled(): Promise<void> {
    await this.#tail
  }

  close(): void {
    for (const compiled of this.#compiled.values()) compiled.destroySync()
    this.connection.closeSync()
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    await this.#control('BEGIN TRANSACTION')
    try {
      const result = await work()
      await this.#presence?.check()
      await this.#control('COMMIT')
      return result
    } catch (error) {
      // A COMMIT here would report success and store nothing. A failed COMMIT has rolled back, then this one says so.
      await this.#control('ROLLBACK').catch(() => undefined)
      throw error
    }
  }

  /**
   * Runs SQL that reads no table, compiled once. Any other is compiled for each run: DuckDB builds what it knows of the
   * values at that moment into the plan (`epoch > 100` becomes false where no epoch is), and keeps it when they change.
   */
  async #control(text: string): Promise<void> {
    let compiled = this.#compiled.get(text)
    if (!compiled) this.#compiled.set(text, (compiled = await this.connection.prepare(text)))
    await compiled.run()
  }
}
