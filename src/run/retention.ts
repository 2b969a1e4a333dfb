import {
  floorTo,
  identifier,
  type IntervalInput,
  isPipeError,
  joinSql,
  maySame,
  type Param,
  sql,
  sqlText,
  type Statement,
  type Table,
  timeUnitStart,
  touchedBounds,
} from '../sdk/index.js'
import type { Step } from '../pipeline/pipeline.js'
import { ancestors } from '../pipeline/steps/graph.js'
import { dropsByItself, instantOf } from '../plan/expired.js'
import type { StepPlan } from '../plan/plan.js'
import { planStep } from '../plan/plan-step.js'
import { isGate } from '../plan/select.js'
import { whenHolds } from '../plan/when.js'
import type { RunServices, StepEnd } from './services.js'

/** Rows that one transaction deletes, and those of the same instant as its last one. */
const ROWS_AT_ONCE = 20_000
const HOUR_US = 3_600_000_000n
const DAY_US = 24n * HOUR_US

/** Rows of a table that go by one retention: those that steps write with the same constants. */
interface Kept {
  readonly table: Table
  readonly retention: NonNullable<Table['retention']>
  readonly constants: Readonly<Record<string, string>>
  readonly writers: readonly Step[]
}

/** How far rows may be deleted, in microseconds UTC (`before` is not deleted), and the times by which consumers find them. */
interface Cut {
  readonly before: bigint
  readonly everyUs: bigint
  readonly columns: readonly string[]
}

/**
 * Carries out the `retention` of tables: deletes what is older, whole units of those who read it at a time, so far as none of them
 * still has to compute something from it. What is deleted is written down in the same transaction, so that nothing is ever computed
 * again from what is left. Where the database drops rows by itself, nothing is done here.
 */
export class Retention {
  /** Up to where each was looked through: it need not be again before the next unit has grown old. */
  readonly #looked = new Map<string, bigint>()

  /** `ends`: how the steps of this round ended. */
  async carryOut(services: RunServices, ends: ReadonlyMap<string, StepEnd>): Promise<void> {
    if (dropsByItself(services.warehouse)) return
    for (const kept of keptRows(services)) {
      const readers = readersOf(kept, services)
      const everyUs = stepOf(kept, readers)
      const oldest = floorTo(services.moment.now - BigInt(kept.retention.ms) * 1000n, everyUs)
      const name = JSON.stringify([kept.table.name, kept.constants])
      if (this.#looked.get(name) === oldest || services.signal.aborted) continue
      if (!knowsItsReaders(kept, services, ends)) continue
      const first = await firstRow(kept, services)
      const before = first === undefined || first >= oldest ? undefined : await needed(readers, oldest, services)
      if (first !== undefined && before !== undefined && first < before) {
        const columns = [...new Set([kept.retention.column, ...readers.flatMap(({ inputs }) => inputs.map(({ column }) => column))])]
        await deleteRows(kept, { before: floorTo(before, everyUs), everyUs, columns }, services)
      }
      // Where something was still needed, it is looked at again in the next round.
      if (before === undefined || before === oldest) this.#looked.set(name, oldest)
    }
  }
}

/** A step that reads rows, with the times that it goes by; none where it reads all of them. */
interface Reader {
  readonly step: Step
  readonly inputs: readonly IntervalInput[]
}

function keptRows({ pipeline }: RunServices): readonly Kept[] {
  const found = new Map<string, { kept: Omit<Kept, 'writers'>; writers: Step[] }>()
  for (const step of pipeline.steps) {
    for (const { table: name, constants } of step.outputs) {
      const table = pipeline.tables.get(name)
      if (!table?.retention) continue
      const own = JSON.stringify([name, Object.entries(constants).sort()])
      const known = found.get(own)
      if (!known) found.set(own, { kept: { table, retention: table.retention, constants }, writers: [step] })
      else if (!known.writers.includes(step)) known.writers.push(step)
    }
  }
  return [...found.values()].map(({ kept, writers }) => ({ ...kept, writers }))
}

function readersOf({ table, constants }: Kept, services: RunServices): readonly Reader[] {
  return services.pipeline.steps
    .filter((step) => whenHolds(step, services))
    .map((step) => ({
      step,
      inputs: step.inputs.filter((input) => input.table === table.name && maySame(input.constants ?? {}, constants)),
    }))
    .filter(({ inputs }) => inputs.length > 0)
    .map(({ step, inputs }) => ({ step, inputs: inputs.flatMap(({ interval }) => (typeof interval === 'object' ? [interval] : [])) }))
}

/** Rows are deleted in stretches of this length: the longest unit of their readers, and whole days where the column has no hours. */
function stepOf({ table, retention }: Kept, readers: readonly Reader[]): bigint {
  const lengths = readers.flatMap(({ inputs }) => inputs.map(({ everyUs }) => everyUs))
  const longest = lengths.reduce((a, b) => (a > b ? a : b), lengths.length === 0 ? HOUR_US : 1n)
  return typeOf(table, retention.column) === 'date' && longest < DAY_US ? DAY_US : longest
}

/** Whether every step below that may read the rows without saying so has nothing left to do. */
function knowsItsReaders({ writers }: Kept, services: RunServices, ends: ReadonlyMap<string, StepEnd>): boolean {
  const { steps } = services.pipeline
  const from = new Set(writers.map(({ id }) => id))
  return steps
    .filter((step) => step.inputs.length === 0 && !isGate(step) && whenHolds(step, services))
    .filter((step) => [...ancestors(steps, [step.id])].some((id) => from.has(id)))
    .every(({ id }) => ['complete', 'skipped'].includes(ends.get(id)?.outcome ?? ''))
}

/** Up to where nobody has anything to compute from rows older than `oldest`. Undefined: somebody needs all of them. */
async function needed(readers: readonly Reader[], oldest: bigint, services: RunServices): Promise<bigint | undefined> {
  let before = oldest
  for (const { step, inputs } of readers) {
    const plan = await planOf(step, services)
    if (!plan) return undefined
    const due = [...plan.units.filter(({ recompute }) => !recompute).map(({ key }) => key), ...plan.quarantined.map(({ key }) => key)]
    if (due.length === 0) continue
    for (const { everyUs, lookbackUs } of inputs) {
      for (const key of due) {
        const start = timeUnitStart(key, everyUs)
        if (start === undefined) return undefined
        if (start - lookbackUs < before) before = start - lookbackUs
      }
    }
    if (inputs.length === 0) return undefined
  }
  return before
}

/** What a step has left to do; undefined where that can't be found out, which its own line says. */
async function planOf(step: Step, services: RunServices): Promise<StepPlan | undefined> {
  try {
    return await planStep({ ...services, step, limit: undefined, upstream: [] })
  } catch (error) {
    if (isPipeError(error)) return undefined
    throw error
  }
}

async function firstRow({ table, retention, constants }: Kept, { warehouse }: RunServices): Promise<bigint | undefined> {
  const { first } = touchedBounds(sql`min(${identifier(retention.column)})`, { everyUs: 1n, lookbackUs: 0n }, warehouse.kind)
  for await (const page of warehouse.query(sql`SELECT ${first} AS first FROM ${identifier(table.name)} WHERE ${own(constants)}`))
    for (const row of page) if (typeof row.first === 'bigint') return row.first
  return undefined
}

async function deleteRows(kept: Kept, cut: Cut, services: RunServices): Promise<void> {
  const { table, retention, constants } = kept
  const { warehouse, signal, emit } = services
  const name = identifier(table.name)
  const column = identifier(retention.column)
  const old = sql`${own(constants)} AND ${column} < ${instantOf(table, retention.column, cut.before)}`
  let rows = 0
  while (!signal.aborted) {
    const us = (of: string) => touchedBounds(identifier(of), { everyUs: 1n, lookbackUs: 0n }, warehouse.kind).first
    const oldest = sql`SELECT ${column} FROM ${name} WHERE ${old} ORDER BY ${column} LIMIT ${sqlText(String(ROWS_AT_ONCE))}`
    const [slice] = await all(services, sql`SELECT count(*) AS n, max(${us(retention.column)}) AS last FROM (${oldest}) AS oldest`)
    const n = Number(slice?.n ?? 0)
    if (n === 0) break
    // The last slice reaches up to where the next one will begin.
    const last = n < ROWS_AT_ONCE ? cut.before - 1n : BigInt(slice?.last as bigint)
    const gone = sql`${own(constants)} AND ${column} <= ${instantOf(table, retention.column, last)}`
    const bounds = cut.columns.map(
      (each, i) => sql`min(${us(each)}) AS ${sqlText(`first_${i}`)}, max(${us(each)}) AS ${sqlText(`last_${i}`)}`,
    )
    const [found] = await all(services, sql`SELECT count(*) AS n, ${joinSql(bounds, ', ')} FROM ${name} WHERE ${gone}`)
    const records = cut.columns.flatMap((each, i) => {
      const [from, to] = [found?.[`first_${i}`], found?.[`last_${i}`]]
      if (typeof from !== 'bigint' || typeof to !== 'bigint') return []
      const stretch = each === retention.column ? ([floorTo(from, cut.everyUs), last] as const) : ([from, to] as const)
      return writeDown(services.pipeline.name, kept, each, stretch)
    })
    await warehouse.execute([sql`DELETE FROM ${name} WHERE ${gone}`, ...records])
    rows += Number(found?.n ?? 0)
    if (n < ROWS_AT_ONCE) break
  }
  if (rows > 0) emit({ type: 'rows:expired', table: table.name, rows })
}

/** A stretch that goes on where another one ends makes that one longer. */
function writeDown(pipeline: string, { table, constants }: Kept, column: string, [first, last]: readonly [bigint, bigint]): Statement[] {
  const named = {
    pipeline,
    expired: table.name,
    constants: JSON.stringify(Object.fromEntries(Object.entries(constants).sort())),
    time_column: column,
  }
  const same = joinSql(
    Object.entries(named).map(([name, value]) => sql`${identifier(name)} = ${text(value)}`),
    ' AND ',
  )
  return [
    sql`UPDATE _pipe_expired SET last = greatest(last, ${int(last)}) WHERE ${same} AND first <= ${int(first)} AND last >= ${int(first - 1n)}`,
    sql`
      INSERT INTO _pipe_expired (pipeline, expired, constants, time_column, first, last)
      SELECT ${joinSql([...Object.values(named).map((value) => sql`${text(value)}`), sql`${int(first)}`, sql`${int(last)}`], ', ')}
      WHERE NOT EXISTS (SELECT 1 FROM _pipe_expired WHERE ${same} AND first <= ${int(first)} AND last >= ${int(last)})`,
  ]
}

async function all({ warehouse }: RunServices, statement: Statement) {
  const rows = []
  for await (const page of warehouse.query(statement)) rows.push(...page)
  return rows
}

const own = (constants: Readonly<Record<string, string>>): Statement =>
  joinSql([sql`1 = 1`, ...Object.entries(constants).map(([name, value]) => sql`${identifier(name)} = ${text(value)}`)], ' AND ')

const typeOf = ({ columns }: Table, name: string) => columns.find((column) => column.name === name)?.type.kind

const text = (value: string): Param => ({ type: { kind: 'text' }, value })
const int = (value: bigint): Param => ({ type: { kind: 'bigint' }, value })
