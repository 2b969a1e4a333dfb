import { formatInstant, identifier, type Json, parseInstant, type Row, type Statement, sql, sqlText, type Table } from '../sdk/index.js'
import { LEDGER, LEDGER_VERSION, unitColumns, UNITS } from './ledger.js'
import { text } from './ledger-where.js'
import type { Transaction } from './transaction.js'
import { sqlType, type WarehouseKind } from './types.js'

/** Columns that came with a version. */
const ADDED: Readonly<Record<number, readonly (readonly [table: Table, columns: readonly string[]])[]>> = {
  2: [
    [UNITS, ['first', 'last', 'coverage']],
    [LEDGER, ['epoch']],
  ],
}

/**
 * What makes a row of one version a row of the next. Each must leave a row alone that it was given before. Version 3 changed no row:
 * it keeps count in `_pipe_counts`, which an older pipe would not.
 */
const UPGRADES: Readonly<Record<number, (row: Row) => Row>> = { 1: toVersion2 }

/**
 * Brings the ledger to this version, and says so in `_pipe_ledger`. What no row says the version of is of version 1,
 * unless it is `fresh`: made in this very transaction.
 */
export async function upgradeLedger(kind: WarehouseKind, tx: Transaction, fresh: boolean): Promise<void> {
  const [found] = await tx.rows(sqlText('SELECT version FROM _pipe_ledger WHERE id = 1'))
  const version = Number(found?.version ?? (fresh ? LEDGER_VERSION : 1))
  if (found && version >= LEDGER_VERSION) return
  for (const { table, column } of addedSince(version))
    await tx.run(
      sql`ALTER TABLE ${identifier(table.name)} ADD COLUMN IF NOT EXISTS ${identifier(column.name)} ${sqlText(sqlType(column.type, kind))}`,
    )
  if (!fresh) for await (const rows of upgradedRows(version, (statement) => tx.rows(statement))) await tx.updateUnits(rows)
  const highest = sqlText('(SELECT coalesce(max(epoch), 0) FROM _pipe_units)')
  const current = sqlText(String(LEDGER_VERSION))
  // An epoch that was given to a row which is gone is not given again.
  if (found) await tx.run(sql`UPDATE _pipe_ledger SET version = ${current}, epoch = greatest(coalesce(epoch, 0), ${highest}) WHERE id = 1`)
  else await tx.run(sql`INSERT INTO _pipe_ledger (id, version, epoch) SELECT 1, ${current}, ${highest}`)
}

/** The columns that a ledger of that version lacks. */
export function addedSince(version: number) {
  return Object.entries(ADDED)
    .filter(([added]) => Number(added) > version)
    .flatMap(([, tables]) => tables)
    .flatMap(([table, names]) => table.columns.filter(({ name }) => names.includes(name)).map((column) => ({ table, column })))
}

/** The columns of `_pipe_units` as a ledger of that version has them, with NULL for those that came later. */
export function unitColumnsOf(version: number): string {
  const later = addedSince(version).filter(({ table }) => table === UNITS)
  return unitColumns(new Set(later.map(({ column }) => column.name)))
}

/** A row of `_pipe_units` (JSON as text) of a ledger of that version, as it is in this one. */
export function upgradeRow(row: Row, version: number): Row {
  let upgraded = row
  for (let from = version; from < LEDGER_VERSION; from++) upgraded = UPGRADES[from]?.(upgraded) ?? upgraded
  return upgraded
}

/** Rows of one round trip. */
const PAGE = 10_000

/**
 * Every row of `_pipe_units` that the upgrade changes, as it is afterwards, in pages. `read` runs a query; whatever else
 * it selects beside the columns of the ledger (`extra`) stays in the row.
 */
export async function* upgradedRows(
  version: number,
  read: (statement: Statement) => Promise<readonly Row[]>,
  extra = '',
): AsyncGenerator<readonly Row[]> {
  let after: Row | undefined
  for (;;) {
    const beyond = after
      ? sql`WHERE (pipeline, step, unit) > (${text(String(after.pipeline))}, ${text(String(after.step))}, ${text(String(after.unit))})`
      : sqlText('')
    const page = await read(
      sql`
        SELECT ${sqlText(unitColumnsOf(LEDGER_VERSION))}${sqlText(extra)}
        FROM _pipe_units
        ${beyond}
        ORDER BY pipeline, step, unit
        LIMIT ${sqlText(String(PAGE))}`,
    )
    const changed = page.flatMap((row) => {
      const upgraded = upgradeRow(row, version)
      return upgraded === row ? [] : [upgraded]
    })
    if (changed.length > 0) yield changed
    if (page.length < PAGE) return
    after = page.at(-1)
  }
}

/**
 * Version 1 kept what a unit covers in its name, and the core's own state in the cursor of the step: `{ covered, redo,
 * tentative, at }`, `at` being the step's. A cursor with other fields beside these was the step's.
 */
function toVersion2(row: Row): Row {
  const stretch = stretchNamed(String(row.unit))
  const known = row.coverage === null || row.coverage === undefined ? version1Cursor(row.cursor) : undefined
  if (!known && (!stretch || typeof row.first === 'bigint')) return row
  const placed = stretch ? { ...row, first: stretch[0], last: stretch[1] } : row
  if (!known) return placed
  const { at, ...coverage } = known
  return { ...placed, coverage: JSON.stringify(coverage), cursor: at === undefined ? null : JSON.stringify(at) }
}

interface Version1Cursor {
  readonly covered: readonly (readonly [string, string])[]
  readonly redo?: string
  readonly tentative?: string
  readonly at?: Json
}

const VERSION_1_FIELDS = new Set(['covered', 'redo', 'tentative', 'at'])

function version1Cursor(cursor: Row[string] | undefined): Version1Cursor | undefined {
  if (typeof cursor !== 'string') return undefined
  const value = JSON.parse(cursor) as Json
  if (typeof value !== 'object' || value === null || !('covered' in value) || !Array.isArray(value.covered)) return undefined
  const isPair = (pair: Json) =>
    Array.isArray(pair) && pair.length === 2 && pair.every((end) => typeof end === 'string' && /^-?\d+$/.test(end))
  const own = Object.keys(value).every((name) => VERSION_1_FIELDS.has(name)) && (value.covered as readonly Json[]).every(isPair)
  // The fields are those that version 1 wrote, which gave each of them its type.
  return own ? (value as unknown as Version1Cursor) : undefined
}

/** The stretch that version 1 read out of the name of a unit: `0-999`, or `instant..instant` as `formatInstant` writes them. */
function stretchNamed(unit: string): readonly [bigint, bigint] | undefined {
  const numbers = /^(-?\d+)-(-?\d+)$/.exec(unit)
  if (numbers) return inRange(BigInt(numbers[1] ?? ''), BigInt(numbers[2] ?? ''))
  const [first, last, ...more] = unit.split('..')
  if (first === undefined || last === undefined || more.length > 0) return undefined
  const [from, to] = [parseInstant(first), parseInstant(last)]
  if (from === undefined || to === undefined) return undefined
  return `${formatInstant(from)}..${formatInstant(to)}` === unit ? [from, to] : undefined
}

/** Numbers that a bigint column holds. Names of units that are keys may look like larger ones. */
function inRange(first: bigint, last: bigint): readonly [bigint, bigint] | undefined {
  const holds = (value: bigint) => BigInt.asIntN(64, value) === value
  return holds(first) && holds(last) ? [first, last] : undefined
}
