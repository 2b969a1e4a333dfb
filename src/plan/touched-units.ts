import {
  identifier,
  type IntervalInput,
  joinSql,
  type LedgerRow,
  sql,
  type Statement,
  timeUnitStart,
  touchedBounds,
  touchedStarts,
  type Wanted,
  type LedgerReader,
} from '../sdk/index.js'
import { nameOf } from '../ledger/axis.js'
import { redoReason, RESET_FINGERPRINT } from '../ledger/fingerprints.js'
import { type Ledger, mayHaveWritten, newestUnit, type Quarantined } from '../ledger/standing.js'
import { rolledBack } from '../ledger/versions.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { dropping, oldestKept, readsDeleted, timedInputs, writtenLately } from './expired.js'
import { MAX_UNITS, type PlannedUnit, TooManyUnitsError } from './plan.js'
import type { Moment } from './scope.js'
import type { StretchesWanted } from './stretch-units.js'

export type TaskWanted = Extract<Wanted, { kind: 'task' }>

interface Options<W extends Wanted> {
  readonly pipeline: Pipeline
  readonly step: Step
  readonly wanted: W
  readonly ledger: Ledger
  readonly warehouse: LedgerReader
  readonly limit: number | undefined
  readonly moment: Moment
}

interface TouchedCut {
  units: PlannedUnit[]
  done: number
  leftOut: number
  quarantined: Quarantined[]
  expired: string[]
  lost?: string[]
  note?: string
}

/**
 * Stretches of time that are to be computed, newest first: those that a commit touched, those that were never computed and
 * whose inputs have rows, those done under another definition. One that only looks back to rows is due once it has begun. One
 * that is not wholly inside the retention of its inputs is kept as it is: computed from what is left it would be wrong. What was
 * not computed yet still has all its rows, unless it is known that some are gone, or the database drops them by itself: the runner
 * deletes none that it needs. What can't be computed from all that came any more is lost.
 */
export async function touchedUnits(options: Options<StretchesWanted>): Promise<TouchedCut> {
  const { pipeline, step, wanted, ledger, warehouse, limit, moment } = options
  const { axis } = wanted
  const everyUs = axis.cut
  if (everyUs === undefined || axis.of !== 'time')
    throw new Error(`step ${step.id}: what is computed from inputs is cut into units of time`)
  const inputs = timedInputs(step)
  const touched = new Map((await warehouse.touched(pipeline.name, step.id)).map(({ unit, at }) => [unit, at]))
  const rows = new Map(ledger.rows.map((row) => [row.unit, row]))
  const starts = new Set<bigint>()
  const add = (unit: string) => {
    const start = timeUnitStart(unit, everyUs)
    if (start !== undefined && (rows.has(unit) || start <= moment.now)) starts.add(start)
  }
  for (const unit of [...rows.keys(), ...touched.keys()]) add(unit)
  for (const input of inputs) await addRows(starts, { ...input, now: moment.now }, warehouse)
  // Units of another length were done before. Their rows may lie where this definition has no inputs, so intervals with rows are planned, too.
  const otherwise = ledger.rows.some((row) => row.fingerprint !== ledger.fingerprint && timeUnitStart(row.unit, everyUs) === undefined)
  if (otherwise) for (const output of ownRows(step, pipeline, everyUs)) await addRows(starts, { ...output, now: moment.now }, warehouse)
  if (BigInt(starts.size) > MAX_UNITS) throw new TooManyUnitsError(step.id, BigInt(starts.size))

  const oldest = oldestKept(inputs, pipeline, moment.now)
  const isGone = await readsDeleted(inputs, pipeline, warehouse)
  const dropped = await dropping(inputs, pipeline, warehouse)
  const isWritten = writtenLately(inputs, pipeline, moment.now)
  const lost: string[] = []
  const cut: TouchedCut = { units: [], done: 0, leftOut: 0, quarantined: [], expired: [], lost }
  for (const start of [...starts].sort((a, b) => (a < b ? 1 : -1))) {
    const key = nameOf(axis, [start, start + everyUs - 1n])
    const row = rows.get(key)
    const state = stateOf(row, ledger.fingerprint, touched.has(key))
    const isOld = oldest !== undefined && start < oldest
    const since = touched.get(key)
    const isThere = dropped === 'nothing' || (dropped === 'written' && isWritten(start, row, since))
    const isWhole = state.kind === 'due' && state.whole && isThere
    const isExpired = (isOld && !isWhole) || isGone(start, start + everyUs - 1n)
    if (state.kind === 'quarantined') cut.quarantined.push({ key, error: row?.error ?? '', attempts: row?.attempts ?? 0 })
    else if (state.kind === 'done' && (isExpired || wanted.due !== 'always')) cut.done++
    else if (isExpired) {
      cut.expired.push(key)
      if (since !== undefined && (row?.state !== 'done' || dropped !== 'nothing')) lost.push(key)
    } else if (limit !== undefined && cut.units.length >= limit) cut.leftOut++
    else
      cut.units.push({
        key,
        piece: { kind: 'stretch', axis, from: start, to: start + everyUs - 1n, order: wanted.order },
        size: 1,
        redo: false,
        reason: state.kind === 'done' ? USES_NOW : state.reason,
        recompute: state.kind === 'done',
      })
  }
  return cut
}

/**
 * The one unit of a task. With `--limit` one that is computed from inputs gives so many rows, and is not done; one that asks
 * page by page makes so many requests.
 */
export async function taskUnits({ pipeline, step, wanted, ledger, warehouse, limit }: Options<TaskWanted>): Promise<TouchedCut> {
  const everyRound = wanted.due === 'every-round'
  const touched = wanted.due !== 'once' && (await warehouse.touched(pipeline.name, step.id)).some(({ unit }) => unit === 'all')
  const named = wanted.named === 'inputs'
  const row = named ? newestUnit(ledger.rows) : ledger.rows.find(({ unit }) => unit === 'all')
  const state = stateOf(row, ledger.fingerprint, touched)
  const none = { units: [], done: 0, leftOut: 0, quarantined: [], expired: [] }
  const undone = row?.fingerprint === RESET_FINGERPRINT ? undefined : row?.coverage?.undone
  if (undone !== undefined) return { ...none, done: 1, note: rolledBack(undone) }
  if (state.kind === 'quarantined' && !everyRound)
    return { ...none, quarantined: [{ key: row?.unit ?? 'all', error: row?.error ?? '', attempts: row?.attempts ?? 0 }] }
  if (state.kind === 'done' && wanted.due !== 'always' && !everyRound) return { ...none, done: 1 }
  const rows = wanted.due === 'once' || named || wanted.whole === true ? undefined : limit
  const older = row && olderRows(row, ledger.fingerprint)
  const unit: PlannedUnit = {
    key: named ? await inputsKey(row, { pipeline, step, ledger, warehouse }) : 'all',
    piece: { kind: 'task' },
    size: 1,
    // A task that is done once deletes what it wrote under another definition. A query replaces its rows by itself.
    redo: wanted.due === 'once' && older !== undefined,
    reason: everyRound ? EVERY_ROUND : state.kind === 'due' ? (older ?? state.reason) : USES_NOW,
    recompute: state.kind === 'done',
    limit: rows,
  }
  return { ...none, units: [unit], leftOut: rows === undefined ? 0 : 1 }
}

/**
 * The name of a unit that is named by its inputs: the highest epoch of what filled them, since each opening of a unit gives one that
 * was never given before. One that was begun and has something left to do keeps its name.
 */
async function inputsKey(
  row: LedgerRow | undefined,
  { pipeline, step, ledger, warehouse }: Pick<Options<TaskWanted>, 'pipeline' | 'step' | 'ledger' | 'warehouse'>,
): Promise<string> {
  if (row && row.state !== 'done' && row.cursor !== undefined && row.fingerprint === ledger.fingerprint) return row.unit
  const inputs = new Set(step.inputs.map(({ table }) => table))
  const fill = new Set(pipeline.steps.filter(({ outputs }) => outputs.some(({ table }) => inputs.has(table))).map(({ id }) => id))
  const rows = fill.size === 0 ? [] : await warehouse.units(pipeline.name)
  return String(rows.reduce((highest, { step: of, epoch }) => (fill.has(of) && epoch > highest ? epoch : highest), 0n))
}

/** Why the table may still hold what the task wrote under another definition; undefined when it doesn't. */
function olderRows(row: LedgerRow, now: string): string | undefined {
  if (row.fingerprint !== now) return mayHaveWritten(row) ? redoReason(row.fingerprint, now) : undefined
  return row.state === 'done' ? undefined : row.coverage?.redo
}

const USES_NOW = 'uses $now'
/** Why a unit is computed again that was done. */
export const TOUCHED = 'inputs touched'
const EVERY_ROUND = 'runs every time'

type State =
  | { readonly kind: 'done' }
  | { readonly kind: 'quarantined' }
  /** `whole`: it was not computed since its inputs last changed, so none of its rows may have been deleted since. */
  | { readonly kind: 'due'; readonly reason: string; readonly whole: boolean }

/** How a unit stands that is done when it was computed under this definition and since its inputs last changed. */
function stateOf(row: LedgerRow | undefined, fingerprint: string, touched: boolean): State {
  const due = (reason: string, whole = true): State => ({ kind: 'due', reason, whole })
  if (!row) return due('new')
  if (row.fingerprint !== fingerprint) return due(redoReason(row.fingerprint, fingerprint), row.state !== 'done' || touched)
  if (row.state === 'quarantined') return { kind: 'quarantined' }
  if (row.state === 'failed') return due('retry')
  if (touched) return due(row.state === 'done' ? TOUCHED : 'missing')
  return row.state === 'done' ? { kind: 'done' } : due('missing')
}

interface TimedRows {
  readonly table: string
  readonly input: IntervalInput
  readonly constants?: Readonly<Record<string, string>>
  readonly now: bigint
}

/** Adds the stretches that rows of a table fall into, and of those that look back to them the ones that have begun. */
async function addRows(starts: Set<bigint>, { table, input, constants = {}, now }: TimedRows, warehouse: LedgerReader): Promise<void> {
  const column = identifier(input.column)
  const { first, last } = touchedBounds(column, input, warehouse.kind)
  const own: Statement[] = Object.entries(constants).map(([name, value]) => sql`${identifier(name)} = ${{ type: { kind: 'text' }, value }}`)
  const where = joinSql([sql`${column} IS NOT NULL`, ...own], ' AND ')
  const query = sql`
    SELECT DISTINCT ${first} AS first_start, ${last} AS last_start
    FROM ${identifier(table)}
    WHERE ${where}`
  for await (const page of warehouse.query(query)) {
    for (const row of page) {
      // Both are integers by their own SQL.
      const [from, to] = [BigInt(row.first_start as bigint), BigInt(row.last_start as bigint)]
      for (const start of touchedStarts({ first: from, last: to }, input.everyUs)) if (start === from || start <= now) starts.add(start)
    }
  }
}

function ownRows(step: Step, pipeline: Pipeline, everyUs: bigint) {
  return step.outputs.flatMap(({ table, range, constants }) => {
    const column = range ?? pipeline.tables.get(table)?.range
    return column === undefined ? [] : [{ table, constants, input: { column, everyUs, lookbackUs: 0n } }]
  })
}
