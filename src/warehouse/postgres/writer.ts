import type { PostgresAddress } from '../../postgres/address.js'
import type { PostgresSession } from '../../postgres/session.js'
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
  type WriteOutcome,
} from '../../sdk/index.js'
import { deleteStretch, inStretch } from '../fill.js'
import type { LedgerChanges } from '../ledger-changes.js'
import { TOUCHED } from '../ledger.js'
import { replacedIn } from '../outcome.js'
import { writeSelect } from '../selects.js'
import { type Bounds, boundsOf, clearMarks, Marks, type Watched, watchedTables } from '../touches.js'
import { putWorker } from '../workers.js'
import { byLane, changesOf, counts, declared, type Fenced, fenced, latest, stretches } from '../writes.js'
import { diagnose } from './diagnose.js'
import { statementError } from './errors.js'
import { type Lane, LaneError, Lanes, writeLane } from './lanes.js'
import { selectEngine } from './select-engine.js'
import { execute, executeOfStep, select } from './statements.js'
import { type Landed, Transactions } from './transactions.js'
import { lockUnits, upsert, writeUnits } from './units.js'

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
  #watched: ReadonlyMap<string, Watched> = new Map()

  constructor(address: PostgresAddress, session: PostgresSession) {
    this.transactions = new Transactions(address, session)
    this.#display = address.display
  }

  /** From now on, commits mark what they touch for these. */
  watch(consumers: readonly Consumer[]): void {
    this.#watched = watchedTables(consumers, 'postgres')
  }

  /** Writes of many units: fences, deletes, rows, statements, selects, checkpoints and marks, in this order. */
  async commit(writes: readonly UnitWrite[], tables: ReadonlyMap<string, Table>, worker?: WorkerRow): Promise<readonly WriteOutcome[]> {
    const outputs = new Set(writes.flatMap((write) => write.rows.map(({ output }) => output)))
    const lanes = new Map([...outputs].map((output): [Output, Lane] => [output, this.#lanes.of(output, declared(output.table, tables))]))
    const before = async (session: PostgresSession) => {
      for (const { stage } of new Set(lanes.values())) await stage.ready(session)
    }
    const work = async (session: PostgresSession): Promise<Done<readonly WriteOutcome[]>> => {
      const { kept, taken, there, changes } = await fence(session, writes)
      const cleared = kept.filter(({ clearsTouch }) => clearsTouch).map(({ step, unit }) => ({ ...step, unit }))
      if (cleared.length > 0) await execute(session, clearMarks(cleared))
      const marks = new Marks(
        this.#watched,
        async (statement) => (await select(session, statement)).map((row) => Object.values(row)) as Bounds,
      )
      for (const { stretch, table } of stretches(kept, tables)) await deleteMarked(session, stretch, table, marks)
      const replaced: Row[] = []
      for (const [lane, rows] of byLane(kept, lanes)) replaced.push(...(await writeLane(session, lane, rows, marks)))
      for (const statement of kept.flatMap((write) => write.sql)) await executeOfStep(session, statement)
      const given = new Map<UnitWrite, Record<string, number>>()
      for (const write of kept) given.set(write, await writeSelects(session, write, tables, marks))
      const { put } = await writeUnits(session, changes, there)
      if (this.#watched.size > 0) await writeMarks(session, marks, latest(writes))
      if (worker) await execute(session, putWorker(worker))
      const value = writes.map((write): WriteOutcome =>
        taken.has(write)
          ? { written: false, reason: 'taken' }
          : { written: true, rows: given.get(write) ?? {}, ...replacedIn(write, replaced) },
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

async function deleteMarked(session: PostgresSession, stretch: Stretch, table: Table, marks: Marks): Promise<void> {
  const watched = marks.of(table.name)
  if (watched)
    await marks.see(
      watched,
      sql`SELECT DISTINCT ${boundsOf(watched, undefined)} FROM ${identifier(table.name)} WHERE ${inStretch(stretch, table)}`,
    )
  await execute(session, deleteStretch(stretch, table))
}

/** Runs the queries of a write. Resolves to all rows that the write brought or made, by table. */
async function writeSelects(
  session: PostgresSession,
  write: UnitWrite,
  tables: ReadonlyMap<string, Table>,
  marks: Marks,
): Promise<Record<string, number>> {
  const rows = counts(write)
  for (const each of write.selects ?? []) {
    const { table } = each.output
    rows[table] = (rows[table] ?? 0) + (await writeSelect(each, declared(table, tables), selectEngine(session), marks))
  }
  return rows
}

async function writeMarks(session: PostgresSession, marks: Marks, at: bigint): Promise<void> {
  const { rows, more } = marks.rows(at)
  if (rows.length > 0) await upsert(session, TOUCHED, rows)
  for (const statement of more) await execute(session, statement)
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
  return fenced(writes, there, changes)
}
