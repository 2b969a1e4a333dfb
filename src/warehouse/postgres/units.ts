import type { PostgresSession } from '../../postgres/session.js'
import { type Column, type Row, type Table } from '../../sdk/index.js'
import { WriteConflictError } from '../errors.js'
import { filled, insertSelected } from '../fill.js'
import {
  dropUnits,
  insertUnits,
  QUARANTINE,
  RAISE_EPOCH,
  raisedEpoch,
  STAGED_KEYS,
  STAGED_UNITS,
  stagedUnits,
  UNITS,
  updateUnits,
} from '../ledger.js'
import { type LedgerChanges, unitKey } from '../ledger-changes.js'
import { toRows } from './statements.js'
import { unnested } from './unnest.js'

/** The types that rows of `_pipe_units` have in the end: their JSON comes as text. */
const stored: readonly Column[] = STAGED_UNITS.map((staged) => UNITS.columns.find(({ name }) => name === staged.name) ?? staged)

/** The rows of units as they are, by `unitKey`, and nobody else changes them until the transaction ends. */
export async function lockUnits(session: PostgresSession, keys: readonly Row[]): Promise<ReadonlyMap<string, Row>> {
  const found = new Map<string, Row>()
  if (keys.length === 0) return found
  const { rows: source, values } = unnested(STAGED_KEYS, keys)
  // In one order for all, so that two who lock the same units wait and do not block each other.
  const locked = await session.query(`${stagedUnits(source)} ORDER BY u.pipeline, u.step, u.unit FOR UPDATE OF u`, values)
  for (const row of toRows(locked)) found.set(unitKey(String(row.pipeline), String(row.step), String(row.unit)), row)
  return found
}

/** Writes changes, given the rows as they are. Resolves to the rows as they will be, and how many were dropped. */
export async function writeUnits(
  session: PostgresSession,
  changes: LedgerChanges,
  there: ReadonlyMap<string, Row>,
): Promise<{ readonly put: readonly Row[]; readonly dropped: number }> {
  const raised = changes.raises ? raisedEpoch(toRows(await session.query(RAISE_EPOCH))) : undefined
  const { put, drop } = changes.resolve(there, raised)
  const dropped = drop.length > 0 ? await run(session, STAGED_KEYS, drop, dropUnits) : 0
  const fresh = put.filter((row) => row.is_new === true).length
  if (put.length > fresh) await run(session, STAGED_UNITS, put, updateUnits, stored)
  if (fresh > 0) {
    const inserted = await run(session, STAGED_UNITS, put, (staged) => `${insertUnits(staged)} ON CONFLICT DO NOTHING`, stored)
    // Between our look and our write somebody opened one of them: with his epoch in sight it must be done again.
    if (inserted !== fresh) throw new WriteConflictError('the ledger', new Error('a unit was opened twice at the same time'))
  }
  if (changes.quarantine.length > 0) await upsert(session, QUARANTINE, changes.quarantine)
  return { put, dropped }
}

/** Writes whole rows of units over those that are there. */
export async function updateWhole(session: PostgresSession, rows: readonly Row[]): Promise<void> {
  const known = rows.map((row) => ({ ...row, is_new: false }))
  await run(session, STAGED_UNITS, known, updateUnits, stored)
}

/** Writes rows of a table of the ledger over those of the same key. */
export async function upsert(session: PostgresSession, table: Table, rows: readonly Row[]): Promise<void> {
  const names = table.columns.map(({ name }) => name)
  const output = { id: table.name, table: table.name, columns: names, compute: {}, constants: {} }
  await run(session, table.columns, rows, (staged) =>
    insertSelected(table, filled(output, table, `SELECT * FROM ${staged} AS s`, ordered), 'overwrite'),
  )
}

const ordered = (select: string, key: readonly string[]): string => `${select} ORDER BY ${key.join(', ')}`

async function run(
  session: PostgresSession,
  columns: readonly Column[],
  rows: readonly Row[],
  text: (staged: string) => string,
  types = columns,
): Promise<number> {
  const { rows: staged, values } = unnested(columns, rows, types)
  return (await session.query(text(staged), values)).rowCount ?? 0
}
