import {
  type DuckDBConnection,
  type DuckDBInstance,
  type DuckDBPreparedStatement,
  type DuckDBResult,
  StatementType,
} from '@duckdb/node-api'
import { native, type ResultColumn, type Row, type Statement } from '../../sdk/index.js'
import { SqlError, SqlTimeoutError } from '../errors.js'
import type { Presence } from '../presence.js'
import type { QueryOptions } from '../transactional-engine.js'
import { statementError } from './errors.js'
import type { Memory } from './memory.js'
import { portableType, prepare, reader } from './values.js'

const INTERRUPT_AGAIN_MS = 20

/** Connections that only read, beside the writer. One query has one of them to itself. */
export class Reads {
  readonly #instance: DuckDBInstance
  readonly #display: string
  readonly #memory: Memory
  /** Undefined: it is no file. */
  readonly #presence: Presence | undefined
  #idle: DuckDBConnection[] = []
  #setup: readonly string[] = []
  #generation = 0

  constructor(instance: DuckDBInstance, display: string, memory: Memory, presence: Presence | undefined) {
    this.#instance = instance
    this.#display = display
    this.#memory = memory
    this.#presence = presence
  }

  /** Statements that every connection runs first: temporary tables are known to their connection only. */
  setup(statements: readonly string[]): void {
    this.#setup = statements
    this.#generation++
    this.close()
  }

  async *query<R extends Row>(statement: Statement, { signal, timeoutMs }: QueryOptions = {}): AsyncGenerator<readonly R[]> {
    signal?.throwIfAborted()
    await this.#presence?.check()
    const run = (connection: DuckDBConnection, prepared: DuckDBPreparedStatement) =>
      interruptible(connection, () => prepared.run(), { signal, timeoutMs })
    const result = await this.#memory.enough(() => this.#with(statement, run))
    yield* readRows<R>(result)
  }

  describe(statement: Statement): Promise<readonly ResultColumn[]> {
    return this.#with(statement, (_, prepared) =>
      Promise.resolve(
        Array.from({ length: prepared.columnCount }, (_, i) => {
          const sqlType = prepared.columnType(i)
          const type = portableType(sqlType)
          return { name: prepared.columnName(i), sqlType: sqlType.alias ?? sqlType.toString(), type, approximate: type.kind === 'float' }
        }),
      ),
    )
  }

  close(): void {
    for (const connection of this.#idle) connection.closeSync()
    this.#idle = []
  }

  async #with<T>(statement: Statement, work: (connection: DuckDBConnection, prepared: DuckDBPreparedStatement) => Promise<T>): Promise<T> {
    const generation = this.#generation
    let connection: DuckDBConnection | undefined
    let prepared: DuckDBPreparedStatement | undefined
    try {
      connection = this.#idle.pop() ?? (await this.#connect())
      // One snapshot for compiling and running: DuckDB builds what it knows of the values into the plan.
      await connection.run('BEGIN TRANSACTION READ ONLY')
      prepared = await prepare(connection, statement)
      if (prepared.statementType !== StatementType.SELECT)
        throw new SqlError('a query must be a SELECT', { hint: 'only steps write, through what they yield' })
      return await work(connection, prepared)
    } catch (error) {
      throw statementError(this.#display, error)
    } finally {
      prepared?.destroySync()
      await connection?.run('ROLLBACK').catch(() => undefined)
      if (connection && generation === this.#generation) this.#idle.push(connection)
      else connection?.closeSync()
    }
  }

  async #connect(): Promise<DuckDBConnection> {
    const connection = await this.#instance.connect()
    for (const statement of this.#setup) await connection.run(statement)
    return connection
  }
}

/**
 * Runs a statement, and interrupts it when its signal is aborted or its time is over.
 *
 * @throws the reason of the signal. @throws {SqlTimeoutError}
 */
export async function interruptible<T>(
  connection: DuckDBConnection,
  run: () => Promise<T>,
  { signal, timeoutMs }: QueryOptions,
): Promise<T> {
  signal?.throwIfAborted()
  // The limit is real time and not the clock's, since the database works in real time.
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs)
  const stops = [signal, timeout]
  let ended = false
  // Again until it has ended: before it has begun, an interrupt is lost.
  const interrupt = (): void => {
    if (ended) return
    connection.interrupt()
    AbortSignal.timeout(INTERRUPT_AGAIN_MS).addEventListener('abort', interrupt, { once: true })
  }
  for (const stop of stops) stop?.addEventListener('abort', interrupt, { once: true })
  try {
    return await native(run)
  } catch (error) {
    signal?.throwIfAborted()
    throw timeout?.aborted ? new SqlTimeoutError(timeoutMs) : error
  } finally {
    ended = true
    for (const stop of stops) stop?.removeEventListener('abort', interrupt)
  }
}

/** Pages of a finished result. */
export async function* readRows<R extends Row = Row>(result: DuckDBResult): AsyncGenerator<readonly R[]> {
  const names = result.deduplicatedColumnNames()
  const readers = result.columnTypes().map(reader)
  // Rows that have all of their fields from the start are of one shape: V8 takes much longer to add twenty fields one by one.
  const empty: Record<string, Row[string]> = Object.fromEntries(names.map((name) => [name, null]))
  for (;;) {
    const chunk = await result.fetchChunk()
    if (!chunk || chunk.rowCount === 0) return
    const rows: Record<string, Row[string]>[] = Array.from({ length: chunk.rowCount }, () => ({ ...empty }))
    names.forEach((name, column) => {
      const read = readers[column]
      const vector = chunk.getColumnVector(column)
      if (!read) return
      try {
        rows.forEach((row, i) => {
          const value = vector.getItem(i)
          if (value !== null) row[name] = read(value)
        })
      } catch (error) {
        throw error instanceof SqlError ? new SqlError(`column ${name}: ${error.message}`, { hint: error.hint }) : error
      }
    })
    // The caller names the row's shape: the columns are those of its own SELECT.
    yield rows as unknown as readonly R[]
  }
}
