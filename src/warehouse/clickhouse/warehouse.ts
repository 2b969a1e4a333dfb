import {
  type Claim,
  type Consumer,
  type Counted,
  type Drift,
  type Holder,
  identifier,
  joinSql,
  type LedgerRow,
  type Output,
  quoteIdentifier,
  type Row,
  sql,
  sqlText,
  type Statement,
  type Table,
  type UnitWrite,
  type WorkerRow,
  type WhichUnits,
  type WriteOutcome,
} from '../../sdk/index.js'
import { CHAINS, LEDGER_TABLES, LEDGER_VERSION, TOUCHED, UNITS } from '../ledger.js'
import { LedgerChanges } from '../ledger-changes.js'
import { type Beside, LedgerWarehouse } from '../ledger-warehouse.js'
import { ofStep, text } from '../ledger-where.js'
import { addedSince, upgradedRows } from '../upgrade.js'
import { pause } from './stop.js'
import { columnType, createIndex, createTable, onCluster, type Place, VERSION } from './ddl.js'
import type { Engine, ReadOptions } from './engine.js'
import { Holders } from './holders.js'
import { mayRefuse } from '../drift.js'
import { SqlError } from '../errors.js'
import { checks, COLUMNS, type Existing, type ExistingColumn, POLICIES, TABLES, tableDrift } from './schema.js'
import { STAGE_PREFIX } from './selects.js'
import { SwapUnfinishedError } from './errors.js'
import { single, Sql } from './sql.js'
import { SWAPS } from './swaps.js'
import { MARKS, writeMarks } from './touches.js'
import { bound } from './values.js'
import { generationOf } from './versions.js'
import { Writer } from './writer.js'

/** How often, and at which distance, one that only reads looks whether a swap has ended: it takes milliseconds. */
const LOOKS = 20
const LOOK_MS = 100

export interface ClickhouseWarehouseOptions {
  readonly engine: Engine
  readonly display: string
  readonly mode: 'write' | 'plan'
  readonly place: Place
  /** Whether processes of several machines may write. */
  readonly shared: boolean
  readonly waitsMs: readonly number[]
}

/**
 * A database of ClickHouse with its ledger. Made by `openClickhouse`. It has no transactions: what a commit writes is
 * there exactly once, and the ledger behind it, for those who read with FINAL (`SELECT … FROM t FINAL`, or `SET final = 1`).
 */
export class ClickhouseWarehouse extends LedgerWarehouse {
  readonly kind = 'clickhouse'
  readonly transactional = false
  readonly #sql: Sql
  readonly #writer: Writer
  readonly #holders: Holders
  readonly #place: Place
  readonly #reads: boolean
  /** Missing tables that queries may name, each as an empty one. */
  #pretended: ReadonlyMap<string, Table> = new Map()
  #prepared = false

  constructor({ engine, display, mode, place, shared, waitsMs }: ClickhouseWarehouseOptions) {
    super(display, mode)
    this.#place = place
    this.#reads = mode === 'plan'
    this.#sql = new Sql(engine, display, waitsMs)
    this.#holders = new Holders(this.#sql, place, shared)
    this.#writer = new Writer(
      this.#sql,
      place,
      () => this.#mine(),
      (message) => this.tellOnce(message),
    )
  }

  query<R extends Row = Row>(statement: Statement, { signal, timeoutMs }: ReadOptions = {}): AsyncIterable<readonly R[]> {
    const { text, params } = bound(statement)
    const run = (): AsyncIterable<readonly R[]> => {
      single(text)
      return this.#sql.query<R>(this.#withPretended(text), {
        params,
        signal,
        timeoutMs,
      })
    }
    return (async function* () {
      yield* run()
    })()
  }

  async describe(statement: Statement) {
    const { text, params } = bound(statement)
    return this.#sql.describe(this.#withPretended(text), params)
  }

  async drift(tables: readonly Table[]): Promise<readonly Drift[]> {
    const existing = await this.#existing()
    return tables.flatMap((table) => {
      const there = existing.get(table.name)
      if (!there) return []
      this.tellOnce(mayRefuse(table, checks(there)))
      return tableDrift(table, there, this.#place)
    })
  }

  async missing(tables: readonly Table[]): Promise<readonly Table[]> {
    const existing = await this.#existing()
    return tables.filter(({ name }) => !existing.has(name))
  }

  async assume(tables: readonly Table[]): Promise<void> {
    const missing = await this.missing([...LEDGER_TABLES, ...tables])
    this.#pretended = new Map([...this.#pretended, ...missing.map((table): [string, Table] => [table.name, table])])
  }

  watch(consumers: readonly Consumer[]): void {
    this.#writer.watch(consumers)
  }

  override count(counted: readonly Counted[]): void {
    this.#writer.count(counted)
  }

  protected async take(claim: Claim): Promise<Holder | undefined> {
    const other = await this.#holders.take(claim)
    if (other) return other
    for (const message of await this.#writer.swaps.finish(claim.pipeline)) this.tellOnce(message)
    return undefined
  }

  /** Not while a swap of another process is under way, or was cut off. @throws {SwapUnfinishedError} */
  override async units(pipeline: string, step?: string, which?: WhichUnits): Promise<readonly LedgerRow[]> {
    for (let left = this.#reads ? LOOKS : 0; left > 0; left--) {
      const begun = await this.#writer.swaps.begun(pipeline)
      if (begun.length === 0) break
      if (left === 1) throw new SwapUnfinishedError(this.display, [...new Set(begun.map((row) => String(row.step)))])
      await pause(LOOK_MS, undefined)
    }
    return super.units(pipeline, step, which)
  }

  protected holders(claim: Claim): Promise<readonly Row[]> {
    return this.#holders.renew(claim)
  }

  protected async makeTables(tables: readonly Table[]): Promise<void> {
    await this.#mine()
    const existing = await this.#existing()
    for (const table of [...LEDGER_TABLES, SWAPS, ...tables].filter(({ name }) => !existing.has(name)))
      await this.#sql.write(createTable(table, this.#place, table === TOUCHED ? MARKS : {}))
    // IF NOT EXISTS would take the right to make them also where there is nothing to make.
    const indexes = await this.#sql.all('SELECT table, name FROM system.data_skipping_indices WHERE database = currentDatabase()')
    const known = (table: Table, name: string) => indexes.some((index) => index.table === table.name && index.name === name)
    for (const table of tables) {
      for (const [name, columns] of Object.entries(table.indexes)) {
        const index = known(table, name) ? undefined : createIndex(table, name, columns, this.#place)
        if (index !== undefined) await this.#sql.write(index)
      }
    }
    await this.#dropStages()
    // Rows outlive a ledger that somebody deletes: what is written next must count more than they do.
    for (const { name, columns } of existing.values()) {
      if (!columns.has(VERSION)) continue
      const [row] = await this.#sql.all(`SELECT max(${VERSION}) AS v FROM ${quoteIdentifier(name)}`, { versions: true })
      this.#writer.raise(generationOf(BigInt((row?.v as bigint | null) ?? 0n)))
    }
    await this.#upgrade(!existing.has(UNITS.name))
    this.#pretended = new Map()
    this.#prepared = true
  }

  protected override async checkOutput(output: Output, table: Table): Promise<void> {
    await super.checkOutput(output, table)
    await this.#writer.loader(output, table)
  }

  protected openUnits(changes: LedgerChanges): Promise<readonly Row[]> {
    return this.#writer.open(changes, [...this.tables.values()])
  }

  protected commitWrites(writes: readonly UnitWrite[], worker: WorkerRow | undefined): Promise<readonly WriteOutcome[]> {
    return this.#writer.commit(writes, this.tables, worker)
  }

  protected amendUnits(pipeline: string, changes: LedgerChanges, { release, touch, deletes, swap }: Beside, at: bigint): Promise<number> {
    const also = async (version: bigint) => {
      let changed = 0
      for (const { step, keys } of release) changed += await this.#release(pipeline, step, keys, version)
      const marks = touch.flatMap(({ step, units }) => units.map((unit) => ({ pipeline, step, unit })))
      await writeMarks(this.#sql, marks, version, at)
      return changed + marks.length
    }
    return this.#writer.change(changes, also, { swap, deletes, tables: this.tables, time: at })
  }

  protected migrate(work: (run: (statement: Statement) => Promise<unknown>) => Promise<void>): Promise<void> {
    return work(async (statement) => {
      await this.#mine()
      await this.#sql.execute(statement)
    })
  }

  protected putCounts(rows: readonly Row[]): Promise<unknown> {
    return this.#writer.putCounts(rows)
  }

  protected putGenesis(chainId: bigint, hash: string): Promise<unknown> {
    return this.#writer.change(new LedgerChanges(), async (version) => {
      await this.#sql.insert(CHAINS, [[{ chain_id: chainId, genesis_hash: hash }, version]])
      return 1
    })
  }

  protected async end(): Promise<void> {
    await this.#writer.settled()
    // A server that is away lets the lease run out.
    if (this.claim) await this.#holders.release(this.claim).catch(() => undefined)
    await this.#sql.close()
  }

  /**
   * Brings a ledger of an earlier version to this one. Killed half-way, it does the same again: rows that are upgraded
   * stay as they are, and the version is the last thing that is written.
   */
  async #upgrade(fresh: boolean): Promise<void> {
    const there = async () => (await this.#sql.all('SELECT version FROM _pipe_ledger WHERE id = 1'))[0]?.version
    const found = await there()
    const version = Number(found ?? (fresh ? LEDGER_VERSION : 1))
    if (found !== undefined && version >= LEDGER_VERSION) return
    for (const { table, column } of addedSince(version)) {
      const add = `ADD COLUMN IF NOT EXISTS ${quoteIdentifier(column.name)} ${columnType(column)}`
      await this.#sql.write(`ALTER TABLE ${quoteIdentifier(table.name)}${onCluster(this.#place)} ${add}`)
    }
    const [highest] = await this.#sql.all('SELECT max(epoch) AS epoch FROM _pipe_units')
    this.#writer.raise(BigInt((highest?.epoch as bigint | null) ?? 0n))
    const rows = upgradedRows(version, (statement) => this.#sql.select(statement), `, ${VERSION} AS row_version`)
    await this.#writer.upgrade(fresh ? [] : rows, async () => (await there()) === found)
  }

  /** @throws {PipelineTakenError} when somebody else took the pipeline that is held from here. */
  async #mine(): Promise<void> {
    const { claim } = this
    if (claim) this.judge(claim, await this.#holders.of(claim))
  }

  async #release(pipeline: string, step: string, keys: readonly string[] | undefined, version: bigint): Promise<number> {
    const named =
      keys &&
      (keys.length === 0
        ? sqlText('0')
        : sql`key IN (${joinSql(
            keys.map((key) => sql`${text(key)}`),
            ', ',
          )})`)
    const which = named ? sql`${ofStep(pipeline, step)} AND ${named}` : ofStep(pipeline, step)
    const [count] = await this.#sql.select(sql`SELECT count(*) AS n FROM _pipe_quarantine WHERE ${which}`)
    if (count?.n === 0n) return 0
    const columns = sqlText('pipeline, step, key, error, attempts, at')
    await this.#sql.execute(
      sql`INSERT INTO _pipe_quarantine (${columns}, _pipe_version, _pipe_deleted) SELECT ${columns}, ${sqlText(String(version))}, 1 FROM _pipe_quarantine WHERE ${which}`,
    )
    return Number(count?.n ?? 0n)
  }

  protected async *ledger(
    table: Table,
    columns: string,
    where: Statement,
    within = (rows: Statement) => rows,
  ): AsyncGenerator<readonly Row[]> {
    if (!this.#prepared) {
      const [there] = await this.#sql.select(
        sql`SELECT count(*) AS n FROM system.tables WHERE database = currentDatabase() AND name = ${text(table.name)}`,
      )
      if (there?.n === 0n) return
    }
    yield await this.#sql.select(within(sql`SELECT ${sqlText(columns)} FROM ${identifier(table.name)} WHERE ${where}`))
  }

  async #existing(): Promise<ReadonlyMap<string, Existing>> {
    const [tables, columns, policies] = await Promise.all([this.#sql.all(TABLES), this.#sql.all(COLUMNS), this.#policies()])
    const byTable = new Map<string, Map<string, ExistingColumn>>()
    for (const { table, name, type, default_kind, partitioned } of columns) {
      let known = byTable.get(String(table))
      if (!known) byTable.set(String(table), (known = new Map()))
      known.set(String(name), { type: String(type), default: String(default_kind), inPartitionKey: partitioned === 1n })
    }
    return new Map(
      tables.map(({ name, engine, engine_full, create_table_query, sorting_key, partition_key }): [string, Existing] => [
        String(name),
        {
          name: String(name),
          engine: String(engine),
          definition: String(engine_full),
          statement: String(create_table_query),
          sortingKey: String(sorting_key),
          partitionKey: String(partition_key),
          policies: policies.filter(({ table }) => table === '' || table === name).map((policy) => String(policy.name)),
          columns: byTable.get(String(name)) ?? new Map<string, ExistingColumn>(),
        },
      ]),
    )
  }

  /** Whoever may not look at policies is shown none. */
  async #policies(): Promise<readonly Row[]> {
    try {
      return await this.#sql.all(POLICIES)
    } catch (error) {
      if (error instanceof SqlError && error.denied) return []
      throw error
    }
  }

  /** Puts the tables that are missing before a query, each as an empty one: nothing is made on the server. */
  #withPretended(query: string): string {
    if (this.#pretended.size === 0) return query
    const empty = [...this.#pretended.values()].map((table) => {
      const columns = table.columns.map(
        (column) =>
          `CAST(defaultValueOfTypeName('${columnType(column).replaceAll("'", "\\'")}') AS ${columnType(column)}) AS ${quoteIdentifier(column.name)}`,
      )
      return `${quoteIdentifier(table.name)} AS (SELECT ${columns.join(', ')} WHERE 0)`
    })
    const own = /^(?:\s|--[^\n]*\n|\/\*[^]*?\*\/)*WITH\b(\s+RECURSIVE\b)?/i.exec(query)
    return own ? `WITH${own[1] ?? ''} ${empty.join(', ')}, ${query.slice(own[0].length)}` : `WITH ${empty.join(', ')} ${query}`
  }

  /** Drops results of queries that a kill left behind. After a day no process works with them any more. */
  async #dropStages(): Promise<void> {
    const left = await this.#sql.select(
      sql`SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, ${text(STAGE_PREFIX)}) AND metadata_modification_time < now() - INTERVAL 1 DAY`,
    )
    for (const { name } of left) await this.#sql.write(`DROP TABLE IF EXISTS ${quoteIdentifier(String(name))}`)
  }
}
