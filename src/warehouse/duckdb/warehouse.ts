import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import {
  type Consumer,
  type Drift,
  identifier,
  type LedgerRow,
  type LedgerStep,
  type Output,
  type QuarantineRow,
  type Row,
  sql,
  sqlText,
  type Statement,
  type Table,
  type TouchedRow,
  type UnitWrite,
  type Warehouse,
  type WorkerRow,
  type WriteOutcome,
} from '../../sdk/index.js'
import { checkCompute } from '../compute.js'
import { createIndex, createTable, createTemporary } from '../ddl.js'
import { type Existing, tableDrift } from '../drift.js'
import { failedStatement, LedgerVersionError } from '../errors.js'
import { checkFilling } from '../fill.js'
import { CHAINS, LEDGER, LEDGER_TABLES, LEDGER_VERSION, ledgerRow, QUARANTINE, quarantineRow, TOUCHED, UNITS } from '../ledger.js'
import { LedgerChanges } from '../ledger-changes.js'
import { ofStep, releaseKeys, text } from '../ledger-where.js'
import { statementError } from './errors.js'
import { type QueryOptions, Reads } from './reads.js'
import { CATALOG, DUCKDB_CATALOG, UNIQUE_SETS } from './schema.js'
import { markUnit } from '../touches.js'
import { unitColumnsOf, upgradeLedger, upgradeRow } from '../upgrade.js'
import { Writer } from './writer.js'

/** A DuckDB file with its ledger. Made by `openDuckdb`. */
export class DuckdbWarehouse implements Warehouse {
  readonly kind = 'duckdb'
  readonly transactional = true
  readonly display: string
  readonly #instance: DuckDBInstance
  readonly #reads: Reads
  readonly #writer: Writer
  readonly #mode: 'write' | 'plan'
  #tables: ReadonlyMap<string, Table> = new Map()
  #pretended: ReadonlyMap<string, string> = new Map()
  /** Of the ledger as it is: an older one is upgraded by `prepare`, and read as if it were. */
  #version = LEDGER_VERSION
  #closed = false

  constructor(options: { instance: DuckDBInstance; connection: DuckDBConnection; display: string; mode: 'write' | 'plan' }) {
    this.display = options.display
    this.#instance = options.instance
    this.#mode = options.mode
    this.#reads = new Reads(options.instance, options.display)
    this.#writer = new Writer(options.connection, options.display)
  }

  query<R extends Row = Row>(statement: Statement, options?: QueryOptions): AsyncIterable<readonly R[]> {
    return this.#reads.query<R>(statement, options)
  }

  describe(statement: Statement) {
    return this.#reads.describe(statement)
  }

  async drift(tables: readonly Table[]): Promise<readonly Drift[]> {
    const existing = await this.#existing()
    return tables.flatMap((table) => {
      const there = existing.get(table.name.toLowerCase())
      return there ? tableDrift(table, there, DUCKDB_CATALOG) : []
    })
  }

  async prepare(tables: readonly Table[]): Promise<void> {
    this.#mustWrite()
    const existing = await this.#existing()
    const missing = [...LEDGER_TABLES, ...tables].filter((table) => !existing.has(table.name.toLowerCase()))
    const indexes = tables.flatMap((table) => Object.entries(table.indexes).map(([name, columns]) => createIndex(table, name, columns)))
    const { transactions, units } = this.#writer
    const { connection } = transactions
    const work = async () => {
      for (const table of missing) await connection.run(createTable(table, 'duckdb'))
      for (const index of indexes) await connection.run(index)
      await upgradeLedger(
        {
          kind: 'duckdb',
          rows: (statement) => transactions.rows(statement),
          run: (statement) => transactions.execute(statement),
          update: (rows) => units.update(rows),
        },
        missing.includes(UNITS),
      )
    }
    await transactions.run(work, () => (missing.includes(UNITS) ? Promise.resolve() : units.ready()))
    this.#version = LEDGER_VERSION
    this.#know(tables)
    this.#pretended = new Map()
    this.#reads.setup([])
  }

  async pretend(tables: readonly Table[]): Promise<void> {
    const existing = await this.#existing()
    const missing = [...LEDGER_TABLES, ...tables].filter((table) => !existing.has(table.name.toLowerCase()))
    this.#pretended = new Map([
      ...this.#pretended,
      ...missing.map((table): [string, string] => [table.name, createTemporary(table, 'duckdb')]),
    ])
    this.#reads.setup([...this.#pretended.values()])
  }

  async checkOutputs(outputs: readonly Output[], tables: ReadonlyMap<string, Table>): Promise<void> {
    this.#know(tables.values())
    for (const output of outputs) {
      const table = tables.get(output.table)
      if (!table) throw new Error(`output ${output.id} names the table ${output.table}, which is not declared`)
      checkFilling(output, table)
      await checkCompute(output, table, this, 'duckdb')
    }
  }

  watch(consumers: readonly Consumer[]): void {
    this.#writer.watch(consumers)
  }

  async touched(pipeline: string, step: string): Promise<readonly TouchedRow[]> {
    const rows = await this.#ledger(TOUCHED, sqlText('unit, "at"'), ofStep(pipeline, step))
    return rows.map(({ unit, at }) => ({ unit: String(unit), at: at as bigint }))
  }

  async units(pipeline: string, step?: string): Promise<readonly LedgerRow[]> {
    const rows = await this.#ledger(UNITS, sqlText(unitColumnsOf(this.#version)), ofStep(pipeline, step))
    return rows.map((row) => ledgerRow(upgradeRow(row, this.#version)))
  }

  async quarantined(pipeline: string, step?: string): Promise<readonly QuarantineRow[]> {
    const rows = await this.#ledger(QUARANTINE, sqlText('*'), ofStep(pipeline, step))
    return rows.map(quarantineRow)
  }

  async open(step: LedgerStep, units: readonly string[], at: bigint): Promise<ReadonlyMap<string, LedgerRow>> {
    this.#mustWrite()
    const changes = new LedgerChanges()
    for (const unit of units) changes.open(step, unit, at)
    if (units.length === 0) return new Map()
    const { put } = await this.#writer.change(changes)
    return new Map(put.map((row) => [String(row.unit), ledgerRow(row)]))
  }

  commit(writes: readonly UnitWrite[], worker?: WorkerRow): Promise<readonly WriteOutcome[]> {
    this.#mustWrite()
    return writes.length === 0 ? Promise.resolve([]) : this.#writer.commit(writes, this.#tables, worker)
  }

  async amend(
    pipeline: string,
    { put = [], drop = [], release = [], touch = [] }: Parameters<Warehouse['amend']>[1],
    at: bigint,
  ): Promise<number> {
    this.#mustWrite()
    const changes = new LedgerChanges()
    for (const { step, unit } of drop) changes.drop(pipeline, step, unit, at)
    for (const { step, unit, ...change } of put) changes.mark(step, unit, change, at)
    const { changed } = await this.#writer.change(changes, async () => {
      let released = 0
      for (const { step, keys } of release) released += await this.#writer.transactions.execute(releaseKeys(pipeline, step, keys))
      for (const { step, units } of touch)
        for (const unit of units) released += await this.#writer.transactions.execute(markUnit(pipeline, step, unit, at, 'duckdb'))
      return released
    })
    return changed
  }

  async execute(statements: readonly Statement[]): Promise<void> {
    this.#mustWrite()
    const { transactions } = this.#writer
    await transactions.run(async () => {
      for (const [i, statement] of statements.entries()) {
        await transactions.execute(statement, 'migration').catch((error: unknown) => {
          throw failedStatement(i, statementError(this.display, error))
        })
      }
    })
  }

  async genesis(chainId: number): Promise<string | undefined> {
    const [row] = await this.#ledger(
      CHAINS,
      sqlText('genesis_hash'),
      sql`chain_id = ${{ type: { kind: 'bigint' }, value: BigInt(chainId) }}`,
    )
    return row && String(row.genesis_hash)
  }

  async rememberGenesis(chainId: number, hash: string): Promise<void> {
    this.#mustWrite()
    const id = sql`${{ type: { kind: 'bigint' }, value: BigInt(chainId) }}`
    const { transactions } = this.#writer
    await transactions.run(() =>
      transactions.execute(
        sql`INSERT INTO _pipe_chains (chain_id, genesis_hash) VALUES (${id}, ${text(hash)}) ON CONFLICT (chain_id) DO UPDATE SET genesis_hash = excluded.genesis_hash`,
      ),
    )
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#writer.transactions.settled()
    this.#reads.close()
    this.#writer.transactions.close()
    this.#instance.closeSync()
  }

  /** @throws {LedgerVersionError} when a newer pipe wrote the ledger. */
  async checkVersion(): Promise<void> {
    const [row] = await this.#ledger(LEDGER, sqlText('version'), sqlText('id = 1'))
    const version = Number(row?.version ?? LEDGER_VERSION)
    if (version > LEDGER_VERSION) throw new LedgerVersionError(this.display, version, LEDGER_VERSION)
    this.#version = version
  }

  /** Rows of a ledger table; none while there is no such table. */
  async #ledger(table: Table, columns: Statement, where: Statement): Promise<Row[]> {
    const [there] = await this.#all(
      sql`SELECT count(*) AS n FROM duckdb_tables() WHERE database_name = current_database() AND NOT temporary AND table_name = ${text(table.name)}`,
    )
    if (there?.n === 0n) return []
    return this.#all(sql`SELECT ${columns} FROM main.${identifier(table.name)} WHERE ${where}`)
  }

  async #all(statement: Statement): Promise<Row[]> {
    const rows: Row[] = []
    for await (const page of this.query(statement)) for (const row of page) rows.push(row)
    return rows
  }

  async #existing(): Promise<ReadonlyMap<string, Existing>> {
    const tables = new Map<
      string,
      { view: boolean; columns: Map<string, { name: string; type: string; required: boolean }>; unique: string[][] }
    >()
    for (const row of await this.#all(sqlText(CATALOG))) {
      const name = String(row.table_name)
      let table = tables.get(name)
      if (!table) tables.set(name, (table = { view: row.is_view === true, columns: new Map(), unique: [] }))
      const column = String(row.column_name)
      table.columns.set(column.toLowerCase(), { name: column, type: String(row.data_type), required: row.required === true })
    }
    for (const row of await this.#all(sqlText(UNIQUE_SETS))) tables.get(String(row.table_name))?.unique.push(row.names as string[])
    return tables
  }

  #know(tables: Iterable<Table>): void {
    const known = new Map(this.#tables)
    for (const table of tables) known.set(table.name, table)
    this.#tables = known
  }

  #mustWrite(): void {
    if (this.#mode === 'plan') throw new Error(`${this.display} was opened for planning, which writes nothing`)
  }
}
