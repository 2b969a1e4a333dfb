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
  type ValueError,
  type WriteOutcome,
} from '../../sdk/index.js'
import { deleteStretch, inStretch } from '../fill.js'
import { replacedIn } from '../outcome.js'
import { epochOf, LedgerChanges, unitKey } from '../ledger-changes.js'
import { statementError } from './errors.js'
import { type Lane, LaneError, Lanes } from './lanes.js'
import { writeSelect } from './selects.js'
import { boundsOf, clearMarks, markLane, Marks, type Watched, watchedTables } from './touches.js'
import { Transactions } from './transactions.js'
import { Units } from './units.js'

/** The writes of a commit, told apart by whether their unit is still their own. */
interface Fenced {
  readonly kept: readonly UnitWrite[]
  readonly taken: ReadonlySet<UnitWrite>
  /** Ledger rows as they are. */
  readonly there: ReadonlyMap<string, Row>
  readonly changes: LedgerChanges
}

/** Writes rows and ledger, each call in one transaction. */
export class Writer {
  readonly transactions: Transactions
  readonly #display: string
  readonly #lanes: Lanes
  readonly #units: Units
  #watched: ReadonlyMap<string, Watched> = new Map()

  constructor(connection: DuckDBConnection, display: string) {
    this.transactions = new Transactions(connection, display)
    this.#display = display
    this.#lanes = new Lanes(this.transactions)
    this.#units = new Units(this.transactions, this.#lanes)
  }

  /** From now on, commits mark what they touch for these. */
  watch(consumers: readonly Consumer[]): void {
    this.#watched = watchedTables(consumers)
  }

  /** Writes of many units: fences, deletes, rows, statements, selects, marks and checkpoints, in this order. */
  async commit(writes: readonly UnitWrite[], tables: ReadonlyMap<string, Table>): Promise<readonly WriteOutcome[]> {
    const lanes = new Map<Output, Lane>()
    const makeLanes = async () => {
      await this.#units.ready()
      for (const { output } of writes.flatMap((write) => write.rows)) {
        if (!lanes.has(output)) lanes.set(output, await this.#lanes.of(output, declared(output.table, tables)))
      }
      if (this.#watched.size > 0) await markLane(this.#lanes)
    }
    try {
      return await this.transactions.run(async () => {
        const { kept, taken, there, changes } = await this.#fence(writes)
        const cleared = kept.filter(({ clearsTouch }) => clearsTouch).map(({ step, unit }) => ({ ...step, unit }))
        if (cleared.length > 0) await this.transactions.execute(clearMarks(cleared))
        const marks = new Marks(this.#watched, this.transactions)
        for (const { stretch, table } of stretches(kept, tables)) await this.#delete(stretch, table, marks)
        const replaced: Row[] = []
        for (const [lane, rows] of byLane(kept, lanes)) replaced.push(...(await this.#lanes.write(lane, rows, marks)))
        for (const statement of kept.flatMap((write) => write.sql)) await this.transactions.execute(statement)
        const given = new Map<UnitWrite, Record<string, number>>()
        for (const write of kept) given.set(write, await this.#select(write, tables, marks))
        await this.#units.write(changes, there)
        if (this.#watched.size > 0) await marks.write(this.#lanes, await markLane(this.#lanes), latest(writes))
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
        const { put, dropped } = await this.#units.write(changes, await this.#units.read(changes.keys))
        return { put, changed: put.length + dropped + (await also()) }
      },
      () => this.#units.ready(),
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
      rows[table] = (rows[table] ?? 0) + (await writeSelect(select, declared(table, tables), this.transactions, marks))
    }
    return rows
  }

  /** Before anything else: a stale writer must find out without having written. */
  async #fence(writes: readonly UnitWrite[]): Promise<Fenced> {
    const changes = changesOf(writes)
    const there = await this.#units.read(changes.keys)
    const kept = writes.filter(({ step, unit, epoch }) => epochOf(there.get(unitKey(step.pipeline, step.step, unit))) === epoch)
    if (kept.length === writes.length) return { kept, taken: new Set(), there, changes }
    const taken = new Set(writes)
    for (const write of kept) taken.delete(write)
    return { kept, taken, there, changes: changesOf(kept) }
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

function changesOf(writes: readonly UnitWrite[]): LedgerChanges {
  const changes = new LedgerChanges()
  for (const write of writes) changes.write(write)
  return changes
}

function declared(name: string, tables: ReadonlyMap<string, Table>): Table {
  const table = tables.get(name)
  if (!table) throw new Error(`table ${name} was not declared to the warehouse`)
  return table
}

/** Each stretch once. */
function stretches(writes: readonly UnitWrite[], tables: ReadonlyMap<string, Table>): { stretch: Stretch; table: Table }[] {
  const found = new Map<string, { stretch: Stretch; table: Table }>()
  for (const stretch of writes.flatMap((write) => write.deletes)) {
    const { table, column, from, to, constants } = stretch
    found.set(JSON.stringify([table, column, String(from), String(to), constants]), { stretch, table: declared(table, tables) })
  }
  return [...found.values()]
}

function byLane(writes: readonly UnitWrite[], lanes: ReadonlyMap<Output, Lane>): Map<Lane, Row[]> {
  const grouped = new Map<Lane, Row[]>()
  for (const { output, rows } of writes.flatMap((write) => write.rows)) {
    const lane = lanes.get(output)
    if (!lane || rows.length === 0) continue
    const all = grouped.get(lane)
    if (all) for (const row of rows) all.push(row)
    else grouped.set(lane, [...rows])
  }
  return grouped
}

const latest = (writes: readonly UnitWrite[]): bigint => writes.reduce((last, { at }) => (at > last ? at : last), 0n)

function counts(write: UnitWrite): Record<string, number> {
  const rows: Record<string, number> = {}
  for (const part of write.rows) rows[part.output.table] = (rows[part.output.table] ?? 0) + part.rows.length
  return rows
}
