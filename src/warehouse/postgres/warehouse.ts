import type { PostgresAddress } from '../../postgres/address.js'
import type { PostgresSession } from '../../postgres/session.js'
import {
  type Consumer,
  type Drift,
  type LedgerRow,
  type LedgerStep,
  type Output,
  type QuarantineRow,
  quoteIdentifier,
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
import { markUnit } from '../touches.js'
import { type QueryOptions, Reads } from './reads.js'
import { CATALOG, POSTGRES_CATALOG, UNIQUE_SETS } from './schema.js'
import { execute, select } from './statements.js'
import { updateWhole } from './units.js'
import { unitColumnsOf, upgradeLedger, upgradeRow } from '../upgrade.js'
import { Writer } from './writer.js'

/** A schema of a Postgres database with its ledger. Made by `openPostgres`. */
export class PostgresWarehouse implements Warehouse {
  readonly kind = 'postgres'
  readonly transactional = true
  readonly display: string
  readonly #schema: string
  readonly #reads: Reads
  /** Undefined when it was opened for planning. */
  readonly #writer: Writer | undefined
  #tables: ReadonlyMap<string, Table> = new Map()
  #pretended: ReadonlyMap<string, string> = new Map()
  /** Of the ledger as it is: an older one is upgraded by `prepare`, and read as if it were. */
  #version = LEDGER_VERSION
  #closed = false

  constructor(options: { address: PostgresAddress; schema: string; session: PostgresSession | undefined }) {
    this.display = options.address.display
    this.#schema = options.schema
    this.#reads = new Reads(options.address)
    this.#writer = options.session && new Writer(options.address, options.session)
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
      const there = existing.get(table.name)
      return there ? tableDrift(table, there, POSTGRES_CATALOG) : []
    })
  }

  async prepare(tables: readonly Table[]): Promise<void> {
    const { transactions } = this.#writing()
    const indexes = tables.flatMap((table) => Object.entries(table.indexes).map(([name, columns]) => createIndex(table, name, columns)))
    await transactions.run(async (session) => {
      // Of those who start at once one makes the tables, the others wait and find them.
      await session.query("SELECT pg_advisory_xact_lock(hashtextextended('pipe prepares ' || $1, 0))", [this.#schema])
      await session.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(this.#schema)}`)
      const { rows } = await session.query(
        "SELECT c.relname AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        [this.#schema],
      )
      const there = new Set(rows.map(({ name }) => name))
      const missing = [...LEDGER_TABLES, ...tables].filter((table) => !there.has(table.name))
      for (const table of missing) await session.query(createTable(table, 'postgres'))
      for (const index of indexes) await session.query(index)
      await upgradeLedger(
        {
          kind: 'postgres',
          rows: (statement) => select(session, statement),
          run: (statement) => execute(session, statement),
          update: (rows) => updateWhole(session, rows),
        },
        missing.includes(UNITS),
      )
    })
    this.#version = LEDGER_VERSION
    this.#know(tables)
    this.#pretended = new Map()
    await this.#reads.setup([])
  }

  async pretend(tables: readonly Table[]): Promise<void> {
    const existing = await this.#existing()
    const missing = [...LEDGER_TABLES, ...tables].filter((table) => !existing.has(table.name))
    this.#pretended = new Map([
      ...this.#pretended,
      ...missing.map((table): [string, string] => [table.name, createTemporary(table, 'postgres')]),
    ])
    await this.#reads.setup([...this.#pretended.values()])
  }

  async checkOutputs(outputs: readonly Output[], tables: ReadonlyMap<string, Table>): Promise<void> {
    this.#know(tables.values())
    for (const output of outputs) {
      const table = tables.get(output.table)
      if (!table) throw new Error(`output ${output.id} names the table ${output.table}, which is not declared`)
      checkFilling(output, table)
      await checkCompute(output, table, this, 'postgres')
    }
  }

  watch(consumers: readonly Consumer[]): void {
    this.#writing().watch(consumers)
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
    const writer = this.#writing()
    const changes = new LedgerChanges()
    for (const unit of units) changes.open(step, unit, at)
    if (units.length === 0) return new Map()
    const { put } = await writer.change(changes)
    return new Map(put.map((row) => [String(row.unit), ledgerRow(row)]))
  }

  commit(writes: readonly UnitWrite[], worker?: WorkerRow): Promise<readonly WriteOutcome[]> {
    const writer = this.#writing()
    return writes.length === 0 ? Promise.resolve([]) : writer.commit(writes, this.#tables, worker)
  }

  async amend(
    pipeline: string,
    { put = [], drop = [], release = [], touch = [] }: Parameters<Warehouse['amend']>[1],
    at: bigint,
  ): Promise<number> {
    const writer = this.#writing()
    const changes = new LedgerChanges()
    for (const { step, unit } of drop) changes.drop(pipeline, step, unit, at)
    for (const { step, unit, ...change } of put) changes.mark(step, unit, change, at)
    const { changed } = await writer.change(changes, async (session) => {
      let released = 0
      for (const { step, keys } of release) released += await execute(session, releaseKeys(pipeline, step, keys))
      for (const { step, units } of touch)
        for (const unit of units) released += await execute(session, markUnit(pipeline, step, unit, at, 'postgres'))
      return released
    })
    return changed
  }

  async execute(statements: readonly Statement[]): Promise<void> {
    await this.#writing().transactions.run(async (session) => {
      for (const [i, statement] of statements.entries()) {
        await execute(session, statement).catch((error: unknown) => {
          throw failedStatement(i, error)
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
    const id = sql`${{ type: { kind: 'bigint' }, value: BigInt(chainId) }}`
    await this.#writing().transactions.run((session) =>
      execute(
        session,
        sql`INSERT INTO _pipe_chains (chain_id, genesis_hash) VALUES (${id}, ${text(hash)}) ON CONFLICT (chain_id) DO UPDATE SET genesis_hash = excluded.genesis_hash`,
      ),
    )
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#writer?.transactions.settled()
    await Promise.all([this.#reads.close(), this.#writer?.transactions.close()])
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
    // By its schema, so that it is never one that is only pretended.
    const name = `${quoteIdentifier(this.#schema)}.${quoteIdentifier(table.name)}`
    const [there] = await this.#all(sql`SELECT to_regclass(${text(name)}) IS NOT NULL AS found`)
    return there?.found === true ? this.#all(sql`SELECT ${columns} FROM ${sqlText(name)} WHERE ${where}`) : []
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
    for (const row of await this.#reads.ask(CATALOG, [this.#schema])) {
      const name = String(row.table_name)
      let table = tables.get(name)
      if (!table) tables.set(name, (table = { view: row.is_view === 't', columns: new Map(), unique: [] }))
      const column = String(row.column_name)
      table.columns.set(column, { name: column, type: String(row.data_type), required: row.required === 't' })
    }
    for (const row of await this.#reads.ask(UNIQUE_SETS, [this.#schema]))
      tables.get(String(row.table_name))?.unique.push(JSON.parse(row.names ?? '[]') as string[])
    return tables
  }

  #know(tables: Iterable<Table>): void {
    const known = new Map(this.#tables)
    for (const table of tables) known.set(table.name, table)
    this.#tables = known
  }

  #writing(): Writer {
    if (!this.#writer) throw new Error(`${this.display} was opened for planning, which writes nothing`)
    return this.#writer
  }
}
