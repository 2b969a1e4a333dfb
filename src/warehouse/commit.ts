import {
  type Counted,
  identifier,
  type Output,
  type OwnRows,
  type Row,
  sql,
  type Stretch,
  type Table,
  type UnitWrite,
  type WorkerRow,
  type WriteOutcome,
} from '../sdk/index.js'
import { putCounts } from './counts.js'
import { areOwn } from './fill.js'
import { type Moved, note, noteReplaced } from './outcome.js'
import { writeSelect } from './selects.js'
import { changedSwaps, make, swap, withShadows } from './swap.js'
import { Tally } from './tally.js'
import { boundsOf, clearTouched, Touched, type Watched } from './touched.js'
import { ledgerRows } from './ledger.js'
import { unitsOf, untouchedUnits } from './ledger-where.js'
import { doneBefore, refuseLeft, refuseOwned, refuseStanding } from './load.js'
import { type LedgerChanges, unitKey } from './ledger-changes.js'
import type { Placing, Transaction } from './transaction.js'
import type { WarehouseKind } from './types.js'
import { putWorker } from './workers.js'
import { byLoader, changesOf, counts, declared, type Deleted, deletions, fenced, latest } from './writes.js'

export interface CommitOptions {
  readonly tables: ReadonlyMap<string, Table>
  /** Who is to know of changes, by table. */
  readonly watched: ReadonlyMap<string, Watched>
  /** Of which count is kept. */
  readonly counted: readonly Counted[]
  readonly kind: WarehouseKind
  readonly worker: WorkerRow | undefined
}

/**
 * Writes of many units in one transaction. The fence comes first, so that a stale writer finds out before it has written.
 * Then, in this order: tables that are made, deletes, rows, statements, queries, swaps of tables, what all of it touched, the
 * checkpoints and the worker. The
 * checkpoints come last but one, since all who raise an epoch wait for each other from there on.
 */
export async function commit<Loader>(
  tx: Transaction<Loader>,
  writes: readonly UnitWrite[],
  { tables: declaredTables, watched, counted, kind, worker }: CommitOptions,
): Promise<readonly WriteOutcome[]> {
  const tables = withShadows(declaredTables, writes)
  const all = changesOf(writes)
  const { kept: own, taken, there, changes: ownChanges } = fenced(writes, await tx.lockUnits(all.keys), all)
  const changed = await changedSwaps(own, (statement) => tx.rows(statement))
  const kept = changed.size === 0 ? own : own.filter((write) => !changed.has(write))
  const changes = changed.size === 0 ? ownChanges : changesOf(kept)
  const cleared = kept
    .filter(({ clearsTouched }) => clearsTouched)
    .map(({ step, unit, touchedAs = unit }) => ({ ...step, unit: touchedAs }))
  if (cleared.length > 0) await tx.run(clearTouched(cleared))
  const touched = new Touched(watched, (statement) => tx.bounds(statement))
  const tally = new Tally(counted, tables, kind, (statement) => tx.rows(statement))
  for (const { makes } of kept) if (makes) await make(tx, makes)
  for (const deleted of deletions(kept, tables)) {
    await tally.deletes(deleted.own)
    await remove(tx, deleted, touched)
  }
  await tally.rows(kept)
  const moved = new Map<UnitWrite, Moved>()
  const replaced = new Map<UnitWrite, number>()
  for (const [loader, { rows, output, from }] of byLoader(kept, tx.loaders)) {
    const table = declared(output.table, tables)
    const writers = [...new Set(from.map(({ write }) => write))]
    const loaded = await tx.load(loader, rows, touched, placing(tx, writers, output, table), stopOf(rows.length, writers))
    noteReplaced(replaced, from, loaded.replaced)
    note(moved, writers, table.name, loaded)
  }
  for (const write of kept) for (const statement of write.sql) await tx.run(statement, 'step', write.signal)
  const given = new Map<UnitWrite, Record<string, number>>()
  for (const [i, write] of kept.entries())
    given.set(write, await select(tx, write, { tables, touched, moved, before: () => kept.slice(0, i) }))
  for (const write of kept) if (write.swap) await swap(tx, write.swap, touched)
  if (watched.size > 0) await touch(tx, touched, latest(writes))
  await putCounts(tx, await tally.puts())
  await join(tx, kept, changes, there)
  await tx.writeUnits(changes, there)
  if (worker) await tx.run(putWorker(worker))
  return writes.map((write): WriteOutcome =>
    taken.has(write) || changed.has(write)
      ? { written: false, reason: taken.has(write) ? 'taken' : 'changed' }
      : { written: true, rows: given.get(write) ?? {}, ...moved.get(write), replaced: replaced.get(write) },
  )
}

/** From so many rows on a commit takes seconds, and is stopped with its unit. A smaller one ends first, so that nothing of it is lost. */
const MANY_ROWS = 100_000

/** What stops the loading of the rows of some writes; undefined: nothing. */
const stopOf = (rows: number, [write]: readonly UnitWrite[]) => (rows < MANY_ROWS ? undefined : write?.signal)

/** Whose rows those of some writes may replace. */
function placing(tx: Transaction, writes: readonly UnitWrite[], output: Output, table: Table): Placing {
  const place = output.range ?? table.range
  const [write] = writes.filter(({ owner, records }) => owner !== undefined || records !== undefined)
  if (table.onConflict === 'last' || write === undefined) return { place, once: false, judge: undefined }
  const { owner, records, step } = write
  return {
    place,
    once: write.rereads !== true,
    judge: async (meetings) => {
      if (records) await refuseStanding(meetings, records, (query) => tx.rows(query))
      if (!owner) return
      const ledger = (await tx.rows(unitsOf(step))).map(ledgerRows())
      refuseOwned(meetings, (meeting) => owner(meeting.output, meeting.places, ledger), writes)
    },
  }
}

/** Deletes rows beside any unit's commit: whoever is computed from them is touched, and counts follow. */
export async function deleteRows(
  tx: Transaction,
  deletes: readonly (OwnRows | Stretch)[],
  { tables, watched, counted, kind }: CommitOptions,
  at: bigint,
): Promise<void> {
  const touched = new Touched(watched, (statement) => tx.bounds(statement))
  const tally = new Tally(counted, tables, kind, (statement) => tx.rows(statement))
  for (const own of deletes) {
    await tally.deletes(own)
    await remove(tx, { own, table: declared(own.table, tables) }, touched)
  }
  await touch(tx, touched, at)
  await putCounts(tx, await tally.puts())
}

async function remove(tx: Transaction, { own, table }: Omit<Deleted, 'write'>, touched: Touched): Promise<void> {
  const watched = touched.of(table, own.constants)
  const rows = sql`FROM ${identifier(table.name)} WHERE ${areOwn(own, table)}`
  if (watched) await touched.see(watched, sql`SELECT DISTINCT ${boundsOf(watched, undefined)} ${rows}`)
  await tx.run(sql`DELETE ${rows}`)
  await refuseLeft(tx.selects(), table, sql`${identifier(table.name)} WHERE ${areOwn(own, table)}`)
}

/** Runs the queries of a write. Resolves to all rows that the write brought or made, by table. */
async function select(
  tx: Transaction,
  write: UnitWrite,
  {
    tables,
    touched,
    moved,
    before,
  }: {
    readonly tables: ReadonlyMap<string, Table>
    readonly touched: Touched
    /** Gets what the rows met under their keys. */
    readonly moved: Map<UnitWrite, Moved>
    readonly before: () => readonly UnitWrite[]
  },
): Promise<Record<string, number>> {
  const rows = counts(write)
  for (const each of write.selects ?? []) {
    const table = declared(each.output.table, tables)
    const { owner } = each
    const judge: Placing['judge'] =
      owner === undefined || table.onConflict === 'last'
        ? undefined
        : async (meetings) => {
            if (meetings.length === 0) return
            const ledger = (await tx.rows(untouchedUnits(write.step))).map(ledgerRows())
            refuseOwned(meetings, ({ output, places }) => owner(output, places, [...ledger, ...doneBefore(write, before())]), [write])
          }
    const { rows: n, ...met } = await writeSelect(each, table, tx.selects(write.signal), { touched, judge })
    rows[table.name] = (rows[table.name] ?? 0) + n
    note(moved, [write], table.name, met)
  }
  return rows
}

/**
 * Done units that touch become one row before they are written: a row that goes in and is taken away later costs more than all
 * else that is done for a small unit. A row of the same name that is there already says something else, and both stay as they are.
 */
async function join(tx: Transaction, kept: readonly UnitWrite[], changes: LedgerChanges, there: ReadonlyMap<string, Row>): Promise<void> {
  for (const [rule, writes] of joinable(kept)) {
    const keys = new Set(writes.map(({ step, unit }) => unitKey(step.pipeline, step.step, unit)))
    const rows = [...keys].map((key) => changes.row(key, there)).filter((row) => row !== undefined)
    const amendments = rule(rows.map(ledgerRows()))
    const [first] = writes
    if (!first || amendments.put.length === 0) continue
    const { pipeline } = first.step
    const names = amendments.put.map(({ step, unit }) => ({ pipeline, step: step.step, unit }))
    if ((await tx.lockUnits(names)).size > 0) continue
    const epoch = writes.reduce((highest, write) => (write.epoch > highest ? write.epoch : highest), 0n)
    changes.join(amendments, pipeline, epoch, latest(writes))
  }
}

/** The writes that end their unit, by the rule of their step. */
function joinable(writes: readonly UnitWrite[]): Map<NonNullable<UnitWrite['join']>, UnitWrite[]> {
  const found = new Map<NonNullable<UnitWrite['join']>, UnitWrite[]>()
  for (const write of writes) {
    if (!write.join || write.ledger.state !== 'done' || write.split || write.replaces) continue
    const known = found.get(write.join)
    if (known) known.push(write)
    else found.set(write.join, [write])
  }
  return found
}

/** Writes down what was touched. */
export async function touch(tx: Transaction, touched: Touched, at: bigint): Promise<void> {
  const { rows, more } = touched.rows(at)
  if (rows.length > 0) await tx.touch(rows)
  for (const statement of more) await tx.run(statement)
}
