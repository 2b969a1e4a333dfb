import type { DuckDBConnection } from '@duckdb/node-api'
import type { Output, Row, Stretch, Table, UnitWrite, ValueError, WriteOutcome } from '../../sdk/index.js'
import { deleteStretch } from '../fill.js'
import { replacedIn } from '../outcome.js'
import { epochOf, LedgerChanges, unitKey } from '../ledger-changes.js'
import { statementError } from './errors.js'
import { type Lane, LaneError, Lanes } from './lanes.js'
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

  constructor(connection: DuckDBConnection, display: string) {
    this.transactions = new Transactions(connection, display)
    this.#display = display
    this.#lanes = new Lanes(this.transactions)
    this.#units = new Units(this.transactions, this.#lanes)
  }

  /** Writes of many units: fences, deletes, rows, statements and checkpoints, in this order. */
  async commit(writes: readonly UnitWrite[], tables: ReadonlyMap<string, Table>): Promise<readonly WriteOutcome[]> {
    const lanes = new Map<Output, Lane>()
    const makeLanes = async () => {
      await this.#units.ready()
      for (const { output } of writes.flatMap((write) => write.rows)) {
        if (!lanes.has(output)) lanes.set(output, await this.#lanes.of(output, declared(output.table, tables)))
      }
    }
    try {
      return await this.transactions.run(async () => {
        const { kept, taken, there, changes } = await this.#fence(writes)
        for (const { stretch, table } of stretches(kept, tables)) await this.transactions.execute(deleteStretch(stretch, table))
        const replaced: Row[] = []
        for (const [lane, rows] of byLane(kept, lanes)) replaced.push(...(await this.#lanes.write(lane, rows)))
        for (const statement of kept.flatMap((write) => write.sql)) await this.transactions.execute(statement)
        await this.#units.write(changes, there)
        return writes.map((write): WriteOutcome =>
          taken.has(write) ? { written: false, reason: 'taken' } : { written: true, rows: counts(write), ...replacedIn(write, replaced) },
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

function counts(write: UnitWrite): Record<string, number> {
  const rows: Record<string, number> = {}
  for (const part of write.rows) rows[part.output.table] = (rows[part.output.table] ?? 0) + part.rows.length
  return rows
}
