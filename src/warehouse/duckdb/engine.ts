import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { type Output, type Row, sql, sqlText, type Statement, type Table, type ValueError } from '../../sdk/index.js'
import { identifiers, OWN_BORDERS } from '../ddl.js'
import type { Existing, Found } from '../drift.js'
import { text } from '../ledger-where.js'
import type { Presence } from '../presence.js'
import type { LoadError, Transaction } from '../transaction.js'
import type { QueryOptions, TransactionalEngine } from '../transactional-engine.js'
import { statementError } from './errors.js'
import { type TableLoader, TableLoaders } from './loader.js'
import type { Memory } from './memory.js'
import { Reads } from './reads.js'
import { CATALOG, DUCKDB_CATALOG, traps, RULES, UNIQUE_SETS } from './schema.js'
import { selectEngine } from './select-engine.js'
import { Swaps } from './swaps.js'
import { Transactions } from './transactions.js'
import { Units } from './units.js'

/** A DuckDB file: one connection that writes, and others that read. */
export class DuckdbEngine implements TransactionalEngine<TableLoader> {
  readonly kind = 'duckdb'
  readonly catalog = DUCKDB_CATALOG
  readonly display: string
  readonly #instance: DuckDBInstance
  readonly #reads: Reads
  readonly #transactions: Transactions
  readonly #loaders: TableLoaders
  readonly #units: Units
  readonly #memory: Memory

  constructor({
    instance,
    connection,
    display,
    memory,
    presence,
  }: {
    instance: DuckDBInstance
    connection: DuckDBConnection
    display: string
    memory: Memory
    presence: Presence | undefined
  }) {
    this.display = display
    this.#instance = instance
    this.#memory = memory
    this.#reads = new Reads(instance, display, memory, presence)
    this.#transactions = new Transactions(connection, display, memory, presence)
    this.#loaders = new TableLoaders(this.#transactions)
    this.#units = new Units(this.#transactions, this.#loaders)
  }

  query<R extends Row>(statement: Statement, options?: QueryOptions): AsyncIterable<readonly R[]> {
    return this.#reads.query<R>(statement, options)
  }

  describe(statement: Statement) {
    return this.#reads.describe(statement)
  }

  setup(statements: readonly string[]): void {
    this.#reads.setup(statements)
  }

  async existing(): Promise<ReadonlyMap<string, Existing>> {
    const tables = new Map<string, Found>()
    for (const row of await this.#all(sqlText(CATALOG))) {
      const name = String(row.table_name)
      let table = tables.get(name)
      if (!table) {
        table = { other: row.is_view === true ? 'a view' : undefined, columns: new Map(), unique: [], traps: traps(String(row.sql)) }
        tables.set(name, table)
      }
      const column = String(row.column_name)
      table.columns.set(column.toLowerCase(), { name: column, type: String(row.data_type), required: row.required === true })
    }
    for (const { table_name: name, rule } of await this.#all(sqlText(RULES)))
      if (!OWN_BORDERS.some((border) => String(rule).includes(border)))
        tables.get(String(name))?.traps.push({ minor: true, problem: String(rule) })
    for (const row of await this.#all(sqlText(UNIQUE_SETS))) tables.get(String(row.table_name))?.unique.push(row.names as string[])
    return tables
  }

  async ledgerTable({ name }: Table): Promise<string | undefined> {
    const [there] = await this.#all(
      sql`SELECT count(*) AS n FROM duckdb_tables()
      WHERE database_name = current_database() AND NOT temporary AND table_name = ${text(name)}`,
    )
    return there?.n === 0n ? undefined : `main.${identifiers([name])}`
  }

  async transaction<T>(work: (tx: Transaction<TableLoader>) => Promise<T>, outputs: ReadonlyMap<Output, Table> = new Map()): Promise<T> {
    const [transactions, units] = [this.#transactions, this.#units]
    const loaders = new Map<Output, TableLoader>()
    const swaps = new Swaps(transactions)
    /** SQL of a step may add any number of rows. */
    let ownSql = false
    const tx: Transaction<TableLoader> = {
      loaders,
      selects: (signal) => {
        ownSql = true
        return selectEngine(transactions, signal)
      },
      lockUnits: (keys) => units.read(keys),
      writeUnits: (changes, there) => units.write(changes, there),
      updateUnits: (rows) => units.update(rows),
      touch: (rows) => units.touch(rows),
      load: (loader, rows, touched, placing, signal) => this.#loaders.write(loader, rows, { touched, placing, signal }),
      run: (statement, of, signal) => {
        ownSql = true
        return transactions.execute(statement, of === 'migration' ? of : 'step', signal).catch((error: unknown) => {
          throw statementError(this.display, error)
        })
      },
      makeLike: (table, name) => swaps.makeLike(table, name),
      move: (moves) => swaps.move(moves),
      rows: (statement) => transactions.rows(statement),
      bounds: (statement) => transactions.select(statement),
    }
    const done = await transactions.run(
      async () => {
        const result = await work(tx)
        if (ownSql) await this.#memory.roomToCommit()
        return result
      },
      async () => {
        await units.ready()
        for (const [output, table] of outputs) loaders.set(output, await this.#loaders.of(output, table))
      },
    )
    await this.#memory.giveBack()
    return done
  }

  async alone(): Promise<ReadonlySet<string>> {
    // DuckDB lets one process open the file, so nobody else can make tables meanwhile.
    return new Set((await this.existing()).keys())
  }

  async indexes(tx: Transaction): Promise<ReadonlySet<string>> {
    const rows = await tx.rows(
      sql`SELECT lower(index_name) AS name FROM duckdb_indexes() WHERE database_name = current_database() AND schema_name = 'main'`,
    )
    return new Set(rows.map(({ name }) => String(name)))
  }

  mayFill(): Promise<void> {
    // A file has no users.
    return Promise.resolve()
  }

  async explain({ loader, rows, cause }: LoadError<TableLoader>): Promise<Error> {
    const undo = new Error('nothing of this is kept')
    /** What work fails with, in a transaction of its own: DuckDB ends one that an error was in. */
    const failure = async (work: () => Promise<unknown>): Promise<Error | undefined> => {
      const error: unknown = await this.#transactions
        .run(async () => {
          await work()
          throw undo
        })
        .catch((failed: unknown) => failed)
      return error === undo || !(error instanceof Error) ? undefined : error
    }
    let found: ValueError | undefined
    await failure(async () => {
      found = await this.#loaders.diagnose(loader, rows)
    })
    return found ?? (await this.#loaders.refusedRow(loader, [...rows], failure)) ?? statementError(this.display, cause)
  }

  async close(): Promise<void> {
    await this.#transactions.settled()
    this.#reads.close()
    this.#transactions.close()
    this.#instance.closeSync()
  }

  async #all(statement: Statement): Promise<Row[]> {
    const rows: Row[] = []
    for await (const page of this.query(statement)) for (const row of page) rows.push(row)
    return rows
  }
}
