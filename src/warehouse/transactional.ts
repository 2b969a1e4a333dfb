import {
  type Claim,
  type Consumer,
  type Drift,
  type Output,
  type Row,
  sql,
  sqlText,
  type Statement,
  type Table,
  type UnitWrite,
  type WorkerRow,
  type WriteOutcome,
} from '../sdk/index.js'
import { commit, deleteRows, touch as writeTouched } from './commit.js'
import { putCounts } from './counts.js'
import { createIndex, createTable, createTemporary } from './ddl.js'
import { mayRefuse, tableDrift } from './drift.js'
import { holdersOf, takeOver } from './holders.js'
import { HOLDERS, LEDGER_TABLES, UNITS } from './ledger.js'
import type { LedgerChanges } from './ledger-changes.js'
import { type Beside, LedgerWarehouse } from './ledger-warehouse.js'
import { releaseKeys, text } from './ledger-where.js'
import type { Notices } from './notices.js'
import { Touched, touchUnit, type Watched, watchedTables } from './touched.js'
import { swap as swapTables, withShadows } from './swap.js'
import { LoadError, type Transaction } from './transaction.js'
import type { QueryOptions, TransactionalEngine } from './transactional-engine.js'
import { upgradeLedger } from './upgrade.js'
import { declared } from './writes.js'

/** A database with transactions and its ledger: DuckDB and Postgres. */
export class TransactionalWarehouse<Loader = unknown> extends LedgerWarehouse {
  readonly kind: TransactionalEngine['kind']
  readonly transactional = true
  readonly #engine: TransactionalEngine<Loader>
  #watched: ReadonlyMap<string, Watched> = new Map()
  #assumed: ReadonlyMap<string, string> = new Map()
  /** Ledger tables that were found, by name, with what they are called in SQL. None is ever dropped. */
  readonly #ledgerNames = new Map<string, string>()

  constructor(engine: TransactionalEngine<Loader>, mode: 'write' | 'plan', notices?: Notices) {
    super(engine.display, mode, notices)
    this.kind = engine.kind
    this.#engine = engine
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
    const names = new Set(tables.map(({ name }) => catalog.name(name)))
    return tables.flatMap((table) => {
      const there = existing.get(catalog.name(table.name))
      if (!there) return []
      this.tellOnce(mayRefuse(table, there.traps))
      return tableDrift(table, there, catalog, names)
    })
  }

  async missing(tables: readonly Table[]): Promise<readonly Table[]> {
    const { catalog } = this.#engine
    const existing = await this.#engine.existing()
    return tables.filter(({ name }) => !existing.has(catalog.name(name)))
  }

  async assume(tables: readonly Table[]): Promise<void> {
    const { kind } = this.#engine
    const missing = await this.missing([...LEDGER_TABLES, ...tables])
    const temporary = missing.map((table): [string, string] => [table.name, createTemporary(table, kind)])
    this.#assumed = new Map([...this.#assumed, ...temporary])
    await this.#engine.setup([...this.#assumed.values()])
  }

  watch(consumers: readonly Consumer[]): void {
    this.#watched = watchedTables(consumers, this.#engine.kind)
  }

  protected async take(claim: Claim): Promise<undefined> {
    const { kind, catalog } = this.#engine
    await this.#engine.transaction(async (tx) => {
      const there = await this.#engine.alone(tx)
      if (!there.has(catalog.name(HOLDERS.name))) await tx.run(sqlText(createTable(HOLDERS, kind)))
      for (const statement of takeOver(claim)) await tx.run(statement)
    })
  }

  protected async holders({ pipeline }: Claim): Promise<readonly Row[]> {
    const rows: Row[] = []
    for await (const page of this.query(holdersOf(pipeline, this.kind))) for (const row of page) rows.push(row)
    return rows
  }

  protected async makeTables(tables: readonly Table[]): Promise<void> {
    const { kind, catalog } = this.#engine
    await this.#transaction(async (tx) => {
      const there = await this.#engine.alone(tx)
      const missing = [...LEDGER_TABLES, ...tables].filter(({ name }) => !there.has(catalog.name(name)))
      for (const table of missing) await tx.run(sqlText(createTable(table, kind)))
      const indexes = await this.#engine.indexes(tx)
      for (const table of tables)
        for (const [name, columns] of Object.entries(table.indexes))
          if (!indexes.has(catalog.name(name))) await tx.run(sqlText(createIndex(table, name, columns)))
      await upgradeLedger(kind, tx, missing.includes(UNITS))
    })
    this.#assumed = new Map()
    await this.#engine.setup([])
  }

  protected override async checkOutput(output: Output, table: Table): Promise<void> {
    await super.checkOutput(output, table)
    await this.#engine.mayFill([table], false)
  }

  protected async openUnits(changes: LedgerChanges): Promise<readonly Row[]> {
    return (await this.#change(changes)).put
  }

  protected async commitWrites(writes: readonly UnitWrite[], worker: WorkerRow | undefined): Promise<readonly WriteOutcome[]> {
    const { tables, counted } = this
    const watched = this.#watched
    const outputs = new Map<Output, Table>()
    const all = withShadows(tables, writes)
    for (const { output } of writes.flatMap(({ rows }) => rows)) outputs.set(output, declared(output.table, all))
    try {
      return await this.#transaction((tx) => commit(tx, writes, { tables, watched, counted, kind: this.kind, worker }), outputs)
    } catch (error) {
      // Only loaders of this engine throw it.
      throw error instanceof LoadError ? await this.#engine.explain(error as LoadError<Loader>) : error
    }
  }

  protected async amendUnits(
    pipeline: string,
    changes: LedgerChanges,
    { release, touch, deletes, swap }: Beside,
    at: bigint,
  ): Promise<number> {
    const { changed } = await this.#change(changes, async (tx) => {
      let others = 0
      for (const { step, keys } of release) others += await tx.run(releaseKeys(pipeline, step, keys))
      for (const { step, units } of touch) for (const unit of units) others += await tx.run(touchUnit(pipeline, step, unit, at, this.kind))
      if (deletes.length > 0) {
        const { tables, counted, kind } = this
        await deleteRows(tx, deletes, { tables, watched: this.#watched, counted, kind, worker: undefined }, at)
      }
      if (swap) {
        const touched = new Touched(this.#watched, (statement) => tx.bounds(statement))
        await swapTables(tx, swap, touched)
        await writeTouched(tx, touched, at)
      }
      return others
    })
    return changed
  }

  protected migrate(work: (run: (statement: Statement) => Promise<unknown>) => Promise<void>): Promise<void> {
    return this.#transaction((tx) => work((statement) => tx.run(statement, 'migration')))
  }

  protected putCounts(rows: readonly Row[]): Promise<unknown> {
    return this.#engine.transaction((tx) => putCounts(tx, rows))
  }

  protected putGenesis(chainId: bigint, hash: string): Promise<unknown> {
    const row = sql`(${{ type: { kind: 'bigint' }, value: chainId }}, ${text(hash)})`
    return this.#transaction((tx) =>
      tx.run(
        sql`INSERT INTO _pipe_chains (chain_id, genesis_hash) VALUES ${row}
        ON CONFLICT (chain_id) DO UPDATE SET genesis_hash = excluded.genesis_hash`,
      ),
    )
  }

  protected end(): Promise<void> {
    return this.#engine.close()
  }

  protected async *ledger(
    table: Table,
    columns: string,
    where: Statement,
    within = (rows: Statement) => rows,
  ): AsyncGenerator<readonly Row[]> {
    const name = this.#ledgerNames.get(table.name) ?? (await this.#engine.ledgerTable(table))
    if (name === undefined) return
    this.#ledgerNames.set(table.name, name)
    yield* this.query(within(sql`SELECT ${sqlText(columns)} FROM ${sqlText(name)} WHERE ${where}`))
  }

  /** A transaction of the pipeline that is held: whoever takes it over waits until this ends, or this finds out and writes nothing. */
  #transaction<T>(work: (tx: Transaction<Loader>) => Promise<T>, outputs?: ReadonlyMap<Output, Table>): Promise<T> {
    return this.#engine.transaction(async (tx) => {
      const { claim } = this
      if (claim) {
        const rows = await tx.rows(holdersOf(claim.pipeline, this.kind, { locked: true }))
        // Whoever took it while we waited is not in what this statement sees: the next one names him.
        this.judge(claim, rows.length > 0 ? rows : await tx.rows(holdersOf(claim.pipeline, this.kind)))
      }
      return work(tx)
    }, outputs)
  }

  /** Changes of the ledger alone. `also` resolves to how many further rows it changed. */
  #change(
    changes: LedgerChanges,
    also: (tx: Transaction) => Promise<number> = () => Promise.resolve(0),
  ): Promise<{ readonly put: readonly Row[]; readonly changed: number }> {
    return this.#transaction(async (tx) => {
      const there = await tx.lockUnits(changes.staying)
      const others = await also(tx)
      const { put, dropped } = await tx.writeUnits(changes, there)
      return { put, changed: put.length + dropped + others }
    })
  }
}
