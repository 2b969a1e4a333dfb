import type { DuckDBConnection } from '@duckdb/node-api'
import {
  type Consumer,
  identifier,
  type Output,
  type Row,
  sql,
  type Stretch,
  type Table,
  type UnitWrite,
  type WorkerRow,
  type ValueError,
  type WriteOutcome,
} from '../../sdk/index.js'
import { deleteStretch, inStretch } from '../fill.js'
import { replacedIn } from '../outcome.js'
import { type LedgerChanges } from '../ledger-changes.js'
import { TOUCHED } from '../ledger.js'
import { writeSelect } from '../selects.js'
import { boundsOf, clearMarks, Marks, type Watched, watchedTables } from '../touches.js'
import { putWorker } from '../workers.js'
import { byLane, changesOf, counts, declared, type Fenced, fenced, latest, stretches } from '../writes.js'
import { statementError } from './errors.js'
import { type Lane, LaneError, Lanes } from './lanes.js'
import { selectEngine } from './select-engine.js'
import { Transactions } from './transactions.js'
import { Units } from './units.js'

const markOutput = { id: TOUCHED.name, table: TOUCHED.name, columns: TOUCHED.columns.map(({ name }) => name), compute: {}, constants: {} }

/** Writes rows and ledger, each call in one transaction. */
export class Writer {
  readonly transactions: Transactions
  readonly #display: string
  readonly units: Units
  readonly #lanes: Lanes
  #watched: ReadonlyMap<string, Watched> = new Map()

  constructor(connection: DuckDBConnection, display: string) {
    this.transactions = new Transactions(connection, display)
    this.#display = display
    this.#lanes = new Lanes(this.transactions)
    this.units = new Units(this.transactions, this.#lanes)
  }

  /** From now on, commits mark what they touch for these. */
  watch(consumers: readonly Consumer[]): void {
    this.#watched = watchedTables(consumers, 'duckdb')
  }

  /** Writes of many units: fences, deletes, rows, statements, selects, marks and checkpoints, in this order. */
  async commit(writes: readonly UnitWrite[], tables: ReadonlyMap<string, Table>, worker?: WorkerRow): Promise<readonly WriteOutcome[]> {
    const lanes = new Map<Output, Lane>()
    const makeLanes = async () => {
      await this.units.ready()
      for (const { output } of writes.flatMap((write) => write.rows)) {
        if (!lanes.has(output)) lanes.set(output, await this.#lanes.of(output, declared(output.table, tables)))
      }
      if (this.#watched.size > 0) await this.#lanes.of(markOutput, TOUCHED)
    }
    try {
      return await this.transactions.run(async () => {
        const { kept, taken, there, changes } = await this.#fence(writes)
        const cleared = kept.filter(({ clearsTouch }) => clearsTouch).map(({ step, unit }) => ({ ...step, unit }))
        if (cleared.length > 0) await this.transactions.execute(clearMarks(cleared))
        const marks = new Marks(this.#watched, (statement) => this.transactions.select(statement))
        for (const { stretch, table } of stretches(kept, tables)) await this.#delete(stretch, table, marks)
        const replaced: Row[] = []
        for (const [lane, rows] of byLane(kept, lanes)) replaced.push(...(await this.#lanes.write(lane, rows, marks)))
        for (const statement of kept.flatMap((write) => write.sql)) await this.transactions.execute(statement)
        const given = new Map<UnitWrite, Record<string, number>>()
        for (const write of kept) given.set(write, await this.#select(write, tables, marks))
        await this.units.write(changes, there)
        if (this.#watched.size > 0) await this.#mark(marks, latest(writes))
        if (worker) await this.transactions.execute(putWorker(worker))
        return writes.map((write): WriteOutcome =>
          taken.has(write)
            ? { written: false, reason: 'taken' }
            : { written: true, rows: given.get(write) ?? {}, ...replacedIn(write, replaced) },
        )
      }, makeLanes)
    } catch (error) {
      throw error instanceof LaneError ? await this.#explain(error) : error
    }
  }

  /** Changes of the ledger alone. */
  change(
    changes: LedgerChanges,
    also: () => Promise<number> = () => Promise.resolve(0),
  ): Promise<{ readonly put: readonly Row[]; readonly changed: number }> {
    return this.transactions.run(
      async () => {
        const { put, dropped } = await this.units.write(changes, await this.units.read(changes.keys))
        return { put, changed: put.length + dropped + (await also()) }
      },
      () => this.units.ready(),
    )
  }

  async #delete(stretch: Stretch, table: Table, marks: Marks): Promise<void> {
    const watched = marks.of(table.name)
    if (watched)
      await marks.see(
        watched,
        sql`SELECT DISTINCT ${boundsOf(watched, undefined)} FROM ${identifier(table.name)} WHERE ${inStretch(stretch, table)}`,
      )
    await this.transactions.execute(deleteStretch(stretch, table))
  }

  /** Runs the queries of a write. Resolves to all rows that the write brought or made, by table. */
  async #select(write: UnitWrite, tables: ReadonlyMap<string, Table>, marks: Marks): Promise<Record<string, number>> {
    const rows = counts(write)
    for (const select of write.selects ?? []) {
      const { table } = select.output
      rows[table] = (rows[table] ?? 0) + (await writeSelect(select, declared(table, tables), selectEngine(this.transactions), marks))
    }
    return rows
  }

  /** Before anything else: a stale writer must find out without having written. */
  async #fence(writes: readonly UnitWrite[]): Promise<Fenced> {
    const changes = changesOf(writes)
    const there = await this.units.read(changes.keys)
    return fenced(writes, there, changes)
  }

  async #mark(marks: Marks, at: bigint): Promise<void> {
    const { rows, more } = marks.rows(at)
    if (rows.length > 0) await this.#lanes.insert(await this.#lanes.of(markOutput, TOUCHED), rows)
    for (const statement of more) await this.transactions.execute(statement)
  }

  async #explain({ lane, rows, cause }: LaneError): Promise<Error> {
    let found: ValueError | undefined
    const undo = new Error('nothing of this is kept')
    await this.transactions
      .run(async () => {
        found = await this.#lanes.diagnose(lane, rows)
        throw undo
      })
      .catch(() => undefined)
    return found ?? statementError(this.#display, cause)
  }
}
