import {
  type ColumnType,
  type Output,
  type Param,
  PipeError,
  type Row,
  type Table,
  type Value,
  type LedgerReader,
  type WarehouseReader,
} from '../sdk/index.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { keyAxis, nameOf, rowStretch } from '../ledger/axis.js'
import { redoReason } from '../ledger/fingerprints.js'
import { type Interval, intersect, subtract } from '../ledger/intervals.js'
import { type Ledger, type Quarantined, standing } from '../ledger/standing.js'
import { KEY_COLUMN, missingCells, missingCount, missingStarts, queryCount, type RowsFilter, type RowsWanted } from './missing.js'
import { MAX_UNITS, type PlannedUnit, TooManyUnitsError } from './plan.js'

/** A query of `over.sql` gives something that can't name its rows. */
export class QueryKeyError extends PipeError {
  readonly code = 'QUERY_KEY'
  override readonly hint = 'name columns of the query in `key`, and copy each of them in `row`'
  constructor(step: string, problem: string) {
    super(`step ${step}: ${problem}`)
  }
}

export interface RowsUnitsOptions {
  readonly pipeline: Pipeline
  readonly step: Step
  readonly wanted: RowsWanted
  readonly ledger: Ledger
  readonly warehouse: LedgerReader
  readonly limit: number | undefined
}

/**
 * Units of the rows of a query that the output lacks, and of those that were read under another fingerprint. The table
 * decides what is missing; the units are cells of progress.
 */
export async function rowsUnits(options: RowsUnitsOptions) {
  const { pipeline, step, wanted, ledger, warehouse, limit } = options
  const into = outputTable(pipeline, step.outputs, wanted)
  const types = await keyTypes(step, wanted, warehouse)
  const quarantined: Quarantined[] = (await warehouse.quarantined(pipeline.name, step.id)).map(({ key, error, attempts }) => ({
    key,
    error,
    attempts,
  }))
  const base: RowsFilter = quarantined.length > 0 ? { notQuarantined: { pipeline: pipeline.name, step: step.id } } : {}
  const integer = types.length === 1 && (types[0]?.kind === 'bigint' || types[0]?.kind === 'int')
  const context = { wanted, into, base, ledger, warehouse }
  const all = integer ? await unitsByCell(context) : await unitsByStart(context, types)
  if (BigInt(all.length) > MAX_UNITS) throw new TooManyUnitsError(step.id, BigInt(all.length))
  const missing = all.reduce((sum, unit) => sum + unit.size, 0)
  const total = Number(await single(warehouse, queryCount(wanted)))
  const { units, leftOut } = cutRows(all, limit)
  return { units, done: Math.max(0, total - missing - quarantined.length), leftOut, quarantined, integerKey: integer }
}

/** The table that decides whether a row is done. */
export function outputTable(pipeline: Pipeline, outputs: readonly Output[], wanted: RowsWanted): Table {
  const output = outputs.find(({ id }) => id === wanted.output)
  const table = output && pipeline.tables.get(output.table)
  if (!table) throw new Error(`no output ${wanted.output}`)
  return table
}

interface Context {
  wanted: RowsWanted
  into: Table
  base: RowsFilter
  ledger: Ledger
  warehouse: WarehouseReader
}

async function unitsByCell({ wanted, into, base, ledger, warehouse }: Context): Promise<PlannedUnit[]> {
  const size = BigInt(wanted.chunk)
  const axis = keyAxis(wanted.chunk)
  const state = standing(axis, ledger)
  // A cell under another fingerprint may hold rows of that definition whatever its state is, so all of it is read again.
  const old = ledger.rows
    .filter((row) => row.fingerprint !== ledger.fingerprint)
    .map((row) => rowStretch(axis, row))
    .filter((key) => key !== undefined)
  const stale = subtract([...state.stale.map(({ interval }) => interval), ...old], state.done)
  const reasonOf = (part: Interval) =>
    state.stale.find(({ interval }) => interval[0] <= part[1] && interval[1] >= part[0])?.reason ?? 'changed'
  const units: PlannedUnit[] = []
  const add = (keys: Interval, rows: number, reason: string, redo: boolean) => {
    if (rows === 0) return
    const filter: RowsFilter = redo ? { ...base, keys, redo } : { ...base, keys }
    units.push({
      key: nameOf(axis, keys),
      piece: { kind: 'rows', order: wanted.order, keys, redo },
      size: rows,
      reason,
      redo: false,
      rows: filter,
    })
  }
  const fresh = stale.length > 0 ? { ...base, except: stale } : base
  for (const { cell, n } of await cells(warehouse, missingCells(wanted, into, fresh))) {
    const parts = subtract([[cell, cell + size - 1n]], stale)
    const reason = ledger.rows.length === 0 ? 'new' : 'missing'
    const [only, ...others] = parts
    if (only && others.length === 0) add(only, Number(n), reason, false)
    else
      for (const part of parts)
        add(part, Number(await single(warehouse, missingCount(wanted, into, { ...base, keys: part }))), reason, false)
  }
  for (const interval of stale) {
    for (const { cell, n } of await cells(warehouse, missingCells(wanted, into, { ...base, keys: interval, redo: true }))) {
      for (const part of intersect([[cell, cell + size - 1n]], [interval])) add(part, Number(n), reasonOf(part), true)
    }
  }
  const sign = wanted.order === 'newest-first' ? -1 : 1
  const start = (unit: PlannedUnit) => (unit.piece.kind === 'rows' ? (unit.piece.keys?.[0] ?? 0n) : 0n)
  return units.sort((a, b) => (start(a) < start(b) ? -sign : sign))
}

/** For a key that is no integer: runs of `chunk` rows, each from its first key up to the first key of the next. */
async function unitsByStart({ wanted, into, base, ledger, warehouse }: Context, types: readonly ColumnType[]): Promise<PlannedUnit[]> {
  const stale = ledger.rows.filter(
    (row) => row.fingerprint !== ledger.fingerprint || (row.state !== 'done' && row.coverage?.redo !== undefined),
  )
  const redo = stale.length > 0
  const [oldest] = stale
  const reason = oldest ? redoReason(oldest.fingerprint, ledger.fingerprint) : ledger.rows.length === 0 ? 'new' : 'missing'
  const done = new Set(
    redo ? ledger.rows.filter((row) => row.state === 'done' && row.fingerprint === ledger.fingerprint).map((row) => row.unit) : [],
  )
  const filter: RowsFilter = redo ? { ...base, redo } : base
  const total = await single(warehouse, missingCount(wanted, into, filter))
  const starts: { key: string; values: Param[]; n: bigint }[] = []
  for await (const page of warehouse.query(missingStarts(wanted, into, filter))) {
    for (const row of page) {
      starts.push({
        key: String(row[KEY_COLUMN]),
        values: wanted.key.map((name, i): Param => ({ type: types[i] ?? { kind: 'text' }, value: row[name] ?? null })),
        n: big(row.n),
      })
    }
  }
  const units: PlannedUnit[] = []
  for (const [i, { key: first, values, n }] of starts.entries()) {
    const next = starts[i + 1]
    const bounds = { from: values, until: next?.values }
    const size = Number((next?.n ?? total + 1n) - n)
    // A unit of a redo is named by both ends, so that one that is cut at other places does not count as done.
    const key = redo ? `${first}..${next?.key ?? ''}` : first
    if (!done.has(key)) {
      units.push({ key, piece: { kind: 'rows', order: wanted.order, redo }, size, reason, redo: false, rows: { ...filter, ...bounds } })
      continue
    }
    const missing = Number(await single(warehouse, missingCount(wanted, into, { ...base, ...bounds })))
    if (missing > 0)
      units.push({
        key,
        piece: { kind: 'rows', order: wanted.order, redo: false },
        size: missing,
        reason: 'missing',
        redo: false,
        rows: { ...base, ...bounds },
      })
  }
  return units
}

/** The portable types of the key's columns, as the query gives them. @throws {QueryKeyError} */
export async function keyTypes(step: Step, wanted: RowsWanted, warehouse: WarehouseReader): Promise<ColumnType[]> {
  const columns = new Map((await warehouse.describe(wanted.sql)).map((column) => [column.name, column]))
  const needed = [...wanted.key, ...Object.values(wanted.copied)]
  const unknown = needed.find((name) => !columns.has(name))
  if (unknown !== undefined)
    throw new QueryKeyError(step.id, `the query has no column ${unknown}; it has ${[...columns.keys()].join(', ')}`)
  if (columns.has(KEY_COLUMN)) throw new QueryKeyError(step.id, `the column name ${KEY_COLUMN} is taken`)
  return wanted.key.map((name) => columns.get(name)?.type ?? { kind: 'text' })
}

/** Keeps the first `limit` rows; the unit that is cut stays open afterwards. */
function cutRows(all: readonly PlannedUnit[], limit: number | undefined): { units: PlannedUnit[]; leftOut: number } {
  if (limit === undefined) return { units: [...all], leftOut: 0 }
  const units: PlannedUnit[] = []
  let left = limit
  let leftOut = 0
  for (const unit of all) {
    if (left >= unit.size) units.push(unit)
    else if (left > 0) units.push({ ...unit, size: left, limit: left })
    leftOut += Math.max(0, unit.size - Math.max(0, left))
    left -= unit.size
  }
  return { units, leftOut }
}

async function cells(warehouse: WarehouseReader, statement: ReturnType<typeof missingCells>): Promise<{ cell: bigint; n: bigint }[]> {
  const found: { cell: bigint; n: bigint }[] = []
  for await (const page of warehouse.query(statement)) for (const row of page) found.push({ cell: big(row.cell), n: big(row.n) })
  return found
}

/** The one number of a query of one row. */
export async function single(warehouse: WarehouseReader, statement: ReturnType<typeof missingCount>): Promise<bigint> {
  for await (const page of warehouse.query<Row>(statement)) for (const row of page) return big(row.n)
  return 0n
}

const big = (value: Value | undefined): bigint => BigInt(value as bigint)
