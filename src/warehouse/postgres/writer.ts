import type { PostgresAddress } from '../../postgres/address.js'
import type { PostgresSession } from '../../postgres/session.js'
import type { Output, Row, Stretch, Table, UnitWrite, WriteOutcome } from '../../sdk/index.js'
import { deleteStretch } from '../fill.js'
import { epochOf, LedgerChanges, unitKey } from '../ledger-changes.js'
import { replacedIn } from '../outcome.js'
import { diagnose } from './diagnose.js'
import { statementError } from './errors.js'
import { type Lane, LaneError, Lanes, writeLane } from './lanes.js'
import { execute, executeOfStep, type Landed, Transactions } from './transactions.js'
import { lockUnits, writeUnits } from './units.js'

/** The writes of a commit, told apart by whether their unit is still their own. */
interface Fenced {
  readonly kept: readonly UnitWrite[]
  readonly taken: ReadonlySet<UnitWrite>
  /** Ledger rows as they are. */
  readonly there: ReadonlyMap<string, Row>
  readonly changes: LedgerChanges
}

/** What a transaction did, with what it takes to find out whether it is there. */
interface Done<T> {
  readonly value: T
  /** Number of the transaction, as rows carry it. */
  readonly xid: string
  /** A ledger row that it wrote. */
  readonly written: Row | undefined
}

/** Writes rows and ledger, each call in one transaction. */
export class Writer {
  readonly transactions: Transactions
  readonly #display: string
  readonly #lanes = new Lanes()

  constructor(address: PostgresAddress, session: PostgresSession) {
    this.transactions = new Transactions(address, session)
    this.#display = address.display
  }

  /** Writes of many units: fences, deletes, rows, statements and checkpoints, in this order. */
  async commit(writes: readonly UnitWrite[], tables: ReadonlyMap<string, Table>): Promise<readonly WriteOutcome[]> {
    const outputs = new Set(writes.flatMap((write) => write.rows.map(({ output }) => output)))
    const lanes = new Map([...outputs].map((output): [Output, Lane] => [output, this.#lanes.of(output, declared(output.table, tables))]))
    const before = async (session: PostgresSession) => {
      for (const { stage } of new Set(lanes.values())) await stage.ready(session)
    }
    const work = async (session: PostgresSession): Promise<Done<readonly WriteOutcome[]>> => {
      const { kept, taken, there, changes } = await fence(session, writes)
      for (const { stretch, table } of stretches(kept, tables)) await execute(session, deleteStretch(stretch, table))
      const replaced: Row[] = []
      for (const [lane, rows] of byLane(kept, lanes)) replaced.push(...(await writeLane(session, lane, rows)))
      for (const statement of kept.flatMap((write) => write.sql)) await executeOfStep(session, statement)
      const { put } = await writeUnits(session, changes, there)
      const value = writes.map((write): WriteOutcome =>
        taken.has(write) ? { written: false, reason: 'taken' } : { written: true, rows: counts(write), ...replacedIn(write, replaced) },
      )
      return { value, xid: await transactionId(session), written: put[0] }
    }
    try {
      return (await this.transactions.run(work, { before, landed })).value
    } catch (error) {
      throw error instanceof LaneError ? await this.#explain(error) : error
    }
  }

  /** Changes of the ledger alone. */
  async change(
    changes: LedgerChanges,
    also: (session: PostgresSession) => Promise<number> = () => Promise.resolve(0),
  ): Promise<{ readonly put: readonly Row[]; readonly changed: number }> {
    const work = async (session: PostgresSession) => {
      const { put, dropped } = await writeUnits(session, changes, await lockUnits(session, changes.keys))
      const value = { put, changed: put.length + dropped + (await also(session)) }
      return { value, xid: await transactionId(session), written: put[0] }
    }
    return (await this.transactions.run(work, { landed })).value
  }

  async #explain(error: LaneError): Promise<Error> {
    let found: Error | undefined
    const undo = new Error('nothing of this is kept')
    const look = async (session: PostgresSession) => {
      found = await diagnose(session, error)
      throw undo
    }
    await this.transactions.run(look).catch(() => undefined)
    return found ?? statementError(this.#display, error.cause)
  }
}

/** Whether a ledger row carries the number of the transaction. Waits for whoever still holds the row. */
const landed: Landed<Done<unknown>> = async (session, { xid, written }) => {
  // It wrote no row that would tell; done once more it gives the same.
  if (!written) return false
  const { rows } = await session.query(
    'SELECT xmin::text AS xid FROM _pipe_units WHERE pipeline = $1 AND step = $2 AND unit = $3 FOR UPDATE',
    [String(written.pipeline), String(written.step), String(written.unit)],
  )
  return rows[0]?.xid === xid
}

/** The number that rows of the transaction carry: the lower half of the whole one. */
async function transactionId(session: PostgresSession): Promise<string> {
  const { rows } = await session.query('SELECT (pg_current_xact_id_if_assigned()::text::numeric % 4294967296)::text AS xid')
  return rows[0]?.xid ?? ''
}

/** Before anything else: a stale writer must find out without having written. The rows stay locked until the end. */
async function fence(session: PostgresSession, writes: readonly UnitWrite[]): Promise<Fenced> {
  const changes = changesOf(writes)
  const there = await lockUnits(session, changes.keys)
  const kept = writes.filter(({ step, unit, epoch }) => epochOf(there.get(unitKey(step.pipeline, step.step, unit))) === epoch)
  if (kept.length === writes.length) return { kept, taken: new Set(), there, changes }
  const taken = new Set(writes)
  for (const write of kept) taken.delete(write)
  return { kept, taken, there, changes: changesOf(kept) }
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
