import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { type CountedBy, countedOf } from '../pipeline/steps/counted.js'
import type { TableFigures } from '../report/status-file.js'
import { identifier, parseDay, type Row, sql, sqlText, type Value, type WarehouseReader } from '../sdk/index.js'

const DAY_MS = 86_400_000

/**
 * What the table holds that a pipeline covers time in, as SQL says it now. `step`: of several, the one that is meant. Of a pipeline
 * that covers none, how many rows all tables hold that its chains and sources fill.
 */
export async function tableFigures(pipeline: Pipeline, warehouse: WarehouseReader, step: string | undefined): Promise<TableFigures> {
  const covered = countedOf(pipeline).filter(({ counted }) => counted.column !== undefined)
  const meant = covered.find(({ steps }) => steps.some(({ id }) => id === step)) ?? covered[0]
  if (meant) return coveredFigures(warehouse, mainOf(covered, meant))
  const fetched = pipeline.steps.filter(({ chain, source }) => chain !== undefined || source !== undefined)
  let rows = 0
  for (const table of tablesOf(fetched.length > 0 ? fetched : pipeline.steps))
    rows += Number((await one(warehouse, sql`SELECT count(*) AS n FROM ${identifier(table)}`)).n)
  return { rows, oldest: null, newest: null }
}

/** Where a step fills several tables, its first one. */
function mainOf(covered: readonly CountedBy[], meant: CountedBy): CountedBy {
  const main = meant.steps[0]?.outputs[0]?.table
  return covered.find(({ table }) => table.name === main) ?? meant
}

async function coveredFigures(warehouse: WarehouseReader, { table, counted }: CountedBy): Promise<TableFigures> {
  const column = counted.column === undefined ? sqlText('NULL') : identifier(counted.column)
  const row = await one(
    warehouse,
    sql`SELECT count(*) AS n, min(${column}) AS oldest, max(${column}) AS newest FROM ${identifier(table.name)}`,
  )
  const none = Number(row.n) === 0
  return { rows: Number(row.n), oldest: none ? null : milliseconds(row.oldest), newest: none ? null : milliseconds(row.newest) }
}

function milliseconds(value: Value | undefined): number | null {
  if (typeof value === 'bigint') return Math.floor(Number(value) / 1000)
  const day = typeof value === 'string' ? parseDay(value) : undefined
  return day === undefined ? null : day * DAY_MS
}

const tablesOf = (steps: readonly Step[]) => new Set(steps.flatMap(({ outputs }) => outputs.map(({ table }) => table)))

async function one(warehouse: WarehouseReader, statement: Parameters<WarehouseReader['query']>[0]): Promise<Row> {
  for await (const [row] of warehouse.query(statement)) if (row) return row
  return { n: 0n }
}
