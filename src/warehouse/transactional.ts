import {
  type Consumer,
  type Drift,
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
} from '../sdk/index.js'
import { commit } from './commit.js'
import { checkCompute } from './compute.js'
import { createIndex, createTable, createTemporary } from './ddl.js'
import { tableDrift } from './drift.js'
import { failedStatement, LedgerVersionError } from './errors.js'
import { checkFilling } from './fill.js'
import { CHAINS, LEDGER, LEDGER_TABLES, LEDGER_VERSION, ledgerRow, QUARANTINE, quarantineRow, TOUCHED, UNITS } from './ledger.js'
import { LedgerChanges } from './ledger-changes.js'
import { ofStep, releaseKeys, text } from './ledger-where.js'
import { markUnit, type Watched, watchedTables } from './touches.js'
import { LoadError, type Transaction } from './transaction.js'
import type { QueryOptions, TransactionalEngine } from './transactional-engine.js'
import { unitColumnsOf, upgradeLedger, upgradeRow } from './upgrade.js'
import { declared } from './writes.js'

/** A database with transactions and its ledger: DuckDB and Postgres. */
export class TransactionalWarehouse<Loader = unknown> implements Warehouse {
  readonly transactional = true
  readonly #engine: TransactionalEngine<Loader>
  readonly #mode: 'write' | 'plan'
  #watched: ReadonlyMap<string, Watched> = new Map()
  #tables: ReadonlyMap<string, Table> = new Map()
  #pretended: ReadonlyMap<string, string> = new Map()
  /** Of the ledger as it is: an older one is upgraded by `prepare`, and read as if it were. */
  #version = LEDGER_VERSION
  #closed = false

  constructor(engine: TransactionalEngine<Loader>, mode: 'write' | 'plan') {
    this.#engine = engine
    this.#mode = mode
  }

  get kind() {
    return this.#engine.kind
  }

  get display() {
    return this.#engine.display
  }

  query<R extends Row = Row>(statement: Statement, options?: QueryOptions): AsyncIterable<readonly R[]> {
    return this.#engine.query<R>(statement, options)
  }

  describe(statement: Statement) {
    return this.#engine.describe(statement)
  }

  async drift(tables: readonly Table[]): Promise<readonly Drift[]> {
    const { catalog } = this.#engine
    const existing = await this.#engine.existing()
    return tables.flatMap((table) => {
      const there = existing.get(catalog.name(table.name))
      return there ? tableDrift(table, there, catalog) : []
    })
  }

  async prepare(tables: readonly Table[]): Promise<void> {
    this.#mustWrite()
    const { kind, catalog } = this.#engine
    await this.#engine.transaction(async (tx) => {
      const there = await this.#engine.alone(tx)
      const missing = [...LEDGER_TABLES, ...tables].filter(({ name }) => !there.has(catalog.name(name)))
      for (const table of missing) await tx.run(sqlText(createTable(table, kind)))
      for (const table of tables)
        for (const [name, columns] of Object.entries(table.indexes)) await tx.run(sqlText(createIndex(table, name, columns)))
      await upgradeLedger(kind, tx, missing.includes(UNITS))
    })
    this.#version = LEDGER_VERSION
    this.#know(tables)
    this.#pretended = new Map()
    await this.#engine.setup([])
  }

  async pretend(tables: readonly Table[]): Promise<void> {
    const { kind, catalog } = this.#engine
    const existing = await this.#engine.existing()
    const missing = [...LEDGER_TABLES, ...tables].filter(({ name }) => !existing.has(catalog.name(name)))
    const temporary = missing.map((table): [string, string] => [table.name, createTemporary(table, kind)])
    this.#pretended = new Map([...this.#pretended, ...temporary])
    await this.#engine.setup([...this.#pretended.values()])
  }

  async checkOutputs(outputs: readonly Output[], tables: ReadonlyMap<string, Table>): Promise<void> {
    this.#know(tables.values())
    for (const output of outputs) {
      const table = tables.get(output.table)
      if (!table) throw new Error(`output ${output.id} names the table ${output.table}, which is not declared`)
      checkFilling(output, table)
      await checkCompute(output, table, this, this.#engine.kind)
    }
  }

  watch(consumers: readonly Consumer[]): void {
    this.#watched = watchedTables(consumers, this.#engine.kind)
  }

  async touched(pipeline: string, step: string): Promise<readonly TouchedRow[]> {
    const rows = await this.#ledger(TOUCHED, 'unit, "at"', ofStep(pipeline, step))
    return rows.map(({ unit, at }) => ({ unit: String(unit), at: at as bigint }))
  }

  async units(pipeline: string, step?: string): Promise<readonly LedgerRow[]> {
    const rows = await this.#ledger(UNITS, unitColumnsOf(this.#version), ofStep(pipeline, step))
    return rows.map((row) => ledgerRow(upgradeRow(row, this.#version)))
  }

  async quarantined(pipeline: string, step?: string): Promise<readonly QuarantineRow[]> {
    const rows = await this.#ledger(QUARANTINE, '*', ofStep(pipeline, step))
    return rows.map(quarantineRow)
  }

  async open(step: LedgerStep, units: readonly string[], at: bigint): Promise<ReadonlyMap<string, LedgerRow>> {
    this.#mustWrite()
    if (units.length === 0) return new Map()
    const changes = new LedgerChanges()
    for (const unit of units) changes.open(step, unit, at)
    const { put } = await this.#change(changes)
    return new Map(put.map((row) => [String(row.unit), ledgerRow(row)]))
  }

  commit(writes: readonly UnitWrite[], worker?: WorkerRow): Promise<readonly WriteOutcome[]> {
    this.#mustWrite()
    return writes.length === 0 ? Promise.resolve([]) : this.#commit(writes, worker)
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
    const { changed } = await this.#change(changes, async (tx) => {
      let others = 0
      for (const { step, keys } of release) others += await tx.run(releaseKeys(pipeline, step, keys))
      for (const { step, units } of touch)
        for (const unit of units) others += await tx.run(markUnit(pipeline, step, unit, at, this.#engine.kind))
      return others
    })
    return changed
  }

  async execute(statements: readonly Statement[]): Promise<void> {
    this.#mustWrite()
    await this.#engine.transaction(async (tx) => {
      for (const [i, statement] of statements.entries()) {
        await tx.run(statement, 'migration').catch((error: unknown) => {
          throw failedStatement(i, error)
        })
      }
    })
  }

  async genesis(chainId: number): Promise<string | undefined> {
    const [row] = await this.#ledger(CHAINS, 'genesis_hash', sql`chain_id = ${chain(chainId)}`)
    return row && String(row.genesis_hash)
  }

  async rememberGenesis(chainId: number, hash: string): Promise<void> {
    this.#mustWrite()
    const row = sql`(${chain(chainId)}, ${text(hash)})`
    await this.#engine.transaction((tx) =>
      tx.run(
        sql`INSERT INTO _pipe_chains (chain_id, genesis_hash) VALUES ${row}
        ON CONFLICT (chain_id) DO UPDATE SET genesis_hash = excluded.genesis_hash`,
      ),
    )
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#engine.close()
  }

  /** @throws {LedgerVersionError} when a newer pipe wrote the ledger. */
  async checkVersion(): Promise<void> {
    const [row] = await this.#ledger(LEDGER, 'version', sqlText('id = 1'))
    const version = Number(row?.version ?? LEDGER_VERSION)
    if (version > LEDGER_VERSION) throw new LedgerVersionError(this.display, version, LEDGER_VERSION)
    this.#version = version
  }

  async #commit(writes: readonly UnitWrite[], worker: WorkerRow | undefined): Promise<readonly WriteOutcome[]> {
    const [tables, watched] = [this.#tables, this.#watched]
    const outputs = new Map<Output, Table>()
    for (const { output } of writes.flatMap(({ rows }) => rows)) outputs.set(output, declared(output.table, tables))
    try {
      return await this.#engine.transaction((tx) => commit(tx, writes, { tables, watched, worker }), outputs)
    } catch (error) {
      // Only loaders of this engine throw it.
      throw error instanceof LoadError ? await this.#engine.explain(error as LoadError<Loader>) : error
    }
  }

  /** Changes of the ledger alone. `also` resolves to how many further rows it changed. */
  #change(
    changes: LedgerChanges,
    also: (tx: Transaction) => Promise<number> = () => Promise.resolve(0),
  ): Promise<{ readonly put: readonly Row[]; readonly changed: number }> {
    return this.#engine.transaction(async (tx) => {
      const there = await tx.lockUnits(changes.staying)
      const others = await also(tx)
      const { put, dropped } = await tx.writeUnits(changes, there)
      return { put, changed: put.length + dropped + others }
    })
  }

  /** Rows of a ledger table; none while there is no such table. */
  async #ledger(table: Table, columns: string, where: Statement): Promise<readonly Row[]> {
    const name = await this.#engine.ledgerTable(table)
    if (name === undefined) return []
    const rows: Row[] = []
    for await (const page of this.query(sql`SELECT ${sqlText(columns)} FROM ${sqlText(name)} WHERE ${where}`))
      for (const row of page) rows.push(row)
    return rows
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

const chain = (chainId: number) => ({ type: { kind: 'bigint' }, value: BigInt(chainId) }) as const
