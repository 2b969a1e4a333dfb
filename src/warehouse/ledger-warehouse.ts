import {
  type Claim,
  type Consumer,
  type Counted,
  type DonePlace,
  type Drift,
  type Holder,
  type LedgerRow,
  type LedgerStep,
  type Output,
  PipelineTakenError,
  type QuarantineRow,
  type ResultColumn,
  type Row,
  sql,
  sqlText,
  type Statement,
  type Table,
  type TouchedRow,
  type UnitPage,
  type UnitWrite,
  type VersionRow,
  type Warehouse,
  type WhichUnits,
  type WorkerRow,
  type WriteOutcome,
  unitsApart,
} from '../sdk/index.js'
import { checkCompute } from './compute.js'
import { failedStatement, LedgerVersionError } from './errors.js'
import { checkFilling } from './fill.js'
import { holderOf } from './holders.js'
import {
  CHAINS,
  COUNTS,
  LEDGER,
  LEDGER_VERSION,
  ledgerRows,
  QUARANTINE,
  quarantineRow,
  TOUCHED,
  UNIT_COLUMNS,
  UNITS,
  versionRow,
  VERSIONS,
} from './ledger.js'
import { LedgerChanges } from './ledger-changes.js'
import { donePlaces, newestLinked, ofStep, pageIn, pageOfUnits, placesOfDone, someUnits } from './ledger-where.js'
import { Notices } from './notices.js'
import { countsIn, ofCounted, presentRows, recounted } from './tally.js'
import type { QueryOptions } from './transactional-engine.js'
import type { WarehouseKind } from './types.js'
import { unitColumnsOf, upgradeRow } from './upgrade.js'

type Amend = Parameters<Warehouse['amend']>[1]
/** What a change by hand does beside changing rows of units. */
export type Beside = Required<Pick<Amend, 'release' | 'touch' | 'deletes'>> & Pick<Amend, 'swap'>

/** A database with its ledger: what is the same in all of them. What each does its own way is abstract. */
export abstract class LedgerWarehouse implements Warehouse {
  abstract readonly kind: WarehouseKind
  abstract readonly transactional: boolean
  /** For people: no user, no password. */
  readonly display: string
  /** Those that were declared, by name. */
  protected tables: ReadonlyMap<string, Table> = new Map()
  /** Of which commits keep count. */
  protected counted: readonly Counted[] = []
  readonly #mode: 'write' | 'plan'
  readonly #notices: Notices
  readonly #told = new Set<string>()
  /** Of the ledger as it is: an older one is upgraded by `prepare`, and read as if it were. */
  #version = LEDGER_VERSION
  #claim: Claim | undefined
  #closed = false

  constructor(display: string, mode: 'write' | 'plan', notices = new Notices()) {
    this.display = display
    this.#mode = mode
    this.#notices = notices
  }

  abstract query<R extends Row = Row>(statement: Statement, options?: QueryOptions): AsyncIterable<readonly R[]>
  abstract describe(statement: Statement): Promise<readonly ResultColumn[]>
  abstract drift(tables: readonly Table[]): Promise<readonly Drift[]>
  abstract missing(tables: readonly Table[]): Promise<readonly Table[]>
  abstract assume(tables: readonly Table[]): Promise<void>
  abstract watch(consumers: readonly Consumer[]): void

  /** Makes what is missing of `_pipe_holders` and writes the claim there, over those of before. Resolves to who has it when it can't be. */
  protected abstract take(claim: Claim): Promise<Holder | undefined>
  /** Reads who holds the pipeline, the last one first, and says that we live where nothing else tells. */
  protected abstract holders(claim: Claim): Promise<readonly Row[]>
  /** Makes these tables and those of the ledger where they are missing, and brings an older ledger to this version. */
  protected abstract makeTables(tables: readonly Table[]): Promise<void>
  /** Rows of a ledger table, in pages; none while there is no such table. */
  protected abstract ledger(
    table: Table,
    columns: string,
    where: Statement,
    /** A query over these rows, which is run instead. */
    within?: (rows: Statement) => Statement,
  ): AsyncIterable<readonly Row[]>
  /** Takes units over. Resolves to their rows. */
  protected abstract openUnits(changes: LedgerChanges): Promise<readonly Row[]>
  protected abstract commitWrites(writes: readonly UnitWrite[], worker: WorkerRow | undefined): Promise<readonly WriteOutcome[]>
  /** Resolves to how many rows were changed. */
  protected abstract amendUnits(pipeline: string, changes: LedgerChanges, beside: Beside, at: bigint): Promise<number>
  /** Runs work that runs statements of a migration, all or none of them where there are transactions. */
  protected abstract migrate(work: (run: (statement: Statement) => Promise<unknown>) => Promise<void>): Promise<void>
  /** Writes rows of `_pipe_counts` over those that have their keys. */
  protected abstract putCounts(rows: readonly Row[]): Promise<unknown>
  protected abstract putGenesis(chainId: bigint, hash: string): Promise<unknown>
  /** Waits for what is under way, and ends all connections. */
  protected abstract end(): Promise<void>

  /** Tells people something, once a message. */
  protected tellOnce(message: string | undefined): void {
    if (message === undefined || this.#told.has(message)) return
    this.#told.add(message)
    this.#notices.tell(message)
  }

  hear(listener: (message: string) => void): void {
    this.#notices.hear(listener)
  }

  async hold(claim: Claim): Promise<Holder | undefined> {
    this.#mustWrite()
    const other = await this.take(claim)
    if (!other) this.#claim = claim
    return other
  }

  async renew(): Promise<void> {
    const claim = this.#claim
    if (claim) this.judge(claim, await this.holders(claim))
  }

  async prepare(tables: readonly Table[]): Promise<void> {
    this.#mustWrite()
    await this.makeTables(tables)
    this.#version = LEDGER_VERSION
    this.#know(tables)
  }

  async checkOutputs(outputs: readonly Output[], tables: ReadonlyMap<string, Table>): Promise<void> {
    this.#know(tables.values())
    for (const output of outputs) {
      const table = tables.get(output.table)
      if (!table) throw new Error(`output ${output.id} names the table ${output.table}, which is not declared`)
      await this.checkOutput(output, table)
    }
  }

  async touched(pipeline: string, step: string): Promise<readonly TouchedRow[]> {
    const where = sql`${ofStep(pipeline, step)} GROUP BY unit ORDER BY unit`
    return read(this.ledger(TOUCHED, 'unit, min("at") AS "at"', where), ({ unit, at }) => ({ unit: String(unit), at: at as bigint }))
  }

  async units(pipeline: string, step?: string, which: WhichUnits = {}): Promise<readonly LedgerRow[]> {
    const make = ledgerRows()
    // An older ledger does not say where its units lie: of it all are read.
    const where = this.#version < LEDGER_VERSION ? ofStep(pipeline, step) : someUnits(pipeline, step, which)
    const rows = await read(this.ledger(UNITS, unitColumnsOf(this.#version), where), (row) => make(upgradeRow(row, this.#version)))
    return unitsApart(rows)
  }

  async unitPage(pipeline: string, step: string, page: UnitPage): Promise<readonly LedgerRow[]> {
    if (this.#version < LEDGER_VERSION) return pageIn(await this.units(pipeline, step), page)
    const make = ledgerRows()
    return read(this.ledger(UNITS, UNIT_COLUMNS, pageOfUnits(pipeline, step, page)), make)
  }

  async *donePlaces(step: LedgerStep): AsyncGenerator<readonly DonePlace[]> {
    if (this.#version < LEDGER_VERSION) return
    const { of, within } = placesOfDone(step, this.kind)
    yield* donePlaces(this.ledger(UNITS, '*', of, within))
  }

  async definitions(pipeline: string, step: string): Promise<readonly string[]> {
    const where = sql`${ofStep(pipeline, step)} GROUP BY fingerprint ORDER BY fingerprint`
    return read(this.ledger(UNITS, 'fingerprint', where), ({ fingerprint }) => String(fingerprint))
  }

  async linked(pipeline: string, step: string, most: number): Promise<readonly LedgerRow[]> {
    const make = ledgerRows()
    return read(this.ledger(UNITS, unitColumnsOf(this.#version), newestLinked(pipeline, step, most)), (row) =>
      make(upgradeRow(row, this.#version)),
    )
  }

  async quarantined(pipeline: string, step?: string): Promise<readonly QuarantineRow[]> {
    return read(this.ledger(QUARANTINE, '*', ofStep(pipeline, step)), quarantineRow)
  }

  async versions(pipeline: string, step?: string): Promise<readonly VersionRow[]> {
    return read(this.ledger(VERSIONS, '*', sql`${ofStep(pipeline, step)} ORDER BY step, version, table_name`), versionRow)
  }

  async open(step: LedgerStep, units: readonly string[], at: bigint): Promise<ReadonlyMap<string, LedgerRow>> {
    this.#mustWrite()
    if (units.length === 0) return new Map()
    const changes = new LedgerChanges()
    for (const unit of units) changes.open(step, unit, at)
    const rows = await this.openUnits(changes)
    const make = ledgerRows()
    return new Map(rows.map((row) => [String(row.unit), make(row)]))
  }

  commit(writes: readonly UnitWrite[], worker?: WorkerRow): Promise<readonly WriteOutcome[]> {
    this.#mustWrite()
    return writes.length === 0 ? Promise.resolve([]) : this.commitWrites(writes, worker)
  }

  amend(pipeline: string, { put = [], drop = [], release = [], touch = [], deletes = [], swap }: Amend, at: bigint): Promise<number> {
    this.#mustWrite()
    const changes = new LedgerChanges()
    for (const { step, unit } of drop) changes.drop(pipeline, step, unit, at)
    for (const { step, unit, ...change } of put) changes.mark(step, unit, change, at)
    return this.amendUnits(pipeline, changes, { release, touch, deletes, swap }, at)
  }

  async execute(statements: readonly Statement[]): Promise<void> {
    this.#mustWrite()
    await this.migrate(async (run) => {
      for (const [i, statement] of statements.entries()) {
        await run(statement).catch((error: unknown) => {
          throw failedStatement(i, error)
        })
      }
    })
  }

  async counts(counted: Counted): Promise<ReadonlyMap<bigint, bigint> | undefined> {
    return countsIn(await read(this.ledger(COUNTS, '"day", "rows"', ofCounted(counted)), (row) => row))
  }

  count(counted: readonly Counted[]): void {
    this.counted = counted
  }

  async present(counted: Counted, table: Table): Promise<ReadonlyMap<bigint, bigint>> {
    return presentRows({ counted, table }, this.kind, (statement) => this.#all(statement))
  }

  async recount(counted: Counted, table: Table, days?: readonly (readonly [bigint, bigint])[]): Promise<void> {
    this.#mustWrite()
    const known = await this.counts(counted)
    if (days && !known) return
    const puts = recounted(counted, await this.present(counted, table), known, days)
    if (puts.length > 0) await this.putCounts(puts)
  }

  async genesis(chainId: number): Promise<string | undefined> {
    const where = sql`chain_id = ${{ type: { kind: 'bigint' }, value: BigInt(chainId) }}`
    const [hash] = await read(this.ledger(CHAINS, 'genesis_hash', where), (row) => String(row.genesis_hash))
    return hash
  }

  async rememberGenesis(chainId: number, hash: string): Promise<void> {
    this.#mustWrite()
    await this.putGenesis(BigInt(chainId), hash)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.end()
  }

  /** @throws {LedgerVersionError} when a newer pipe wrote the ledger. */
  async checkVersion(): Promise<void> {
    const [version = LEDGER_VERSION] = await read(this.ledger(LEDGER, 'version', sqlText('id = 1')), (row) => Number(row.version))
    if (version > LEDGER_VERSION) throw new LedgerVersionError(this.display, version, LEDGER_VERSION)
    this.#version = version
  }

  /** What was taken from here, undefined where nothing was: tests and tools write without it. */
  protected get claim(): Claim | undefined {
    return this.#claim
  }

  /** @throws {PipelineTakenError} when the claim is not among those who hold the pipeline. It was told before. */
  protected judge(claim: Claim, holders: readonly Row[]): void {
    if (holders.some(({ holder }) => holder === claim.id)) return
    const [other] = holders
    const error = new PipelineTakenError(claim.pipeline, other && holderOf(other))
    claim.taken(error)
    throw error
  }

  /** @throws {OutputError} when the output does not fit the table. */
  protected async checkOutput(output: Output, table: Table): Promise<void> {
    checkFilling(output, table)
    await checkCompute(output, table, this, this.kind)
  }

  #know(tables: Iterable<Table>): void {
    const known = new Map(this.tables)
    for (const table of tables) known.set(table.name, table)
    this.tables = known
  }

  #all(statement: Statement): Promise<Row[]> {
    return read(this.query(statement), (row) => row)
  }

  #mustWrite(): void {
    if (this.#mode === 'plan') throw new Error(`${this.display} was opened for planning, which writes nothing`)
  }
}

/** Makes something of each row as it comes: the rows of a page are forgotten with it. */
async function read<T>(pages: AsyncIterable<readonly Row[]>, make: (row: Row) => T): Promise<T[]> {
  const made: T[] = []
  for await (const page of pages) for (const row of page) made.push(make(row))
  return made
}
