import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { missingEnds, type RowsWanted } from '../plan/missing.js'
import { askStep } from '../plan/plan-step.js'
import type { Moment } from '../plan/scope.js'
import { identifier, isPipeError, type LedgerReader, type Row, sql, type Statement, type Table } from '../sdk/index.js'
import { overlaid, without } from './coverage.js'
import { Line } from './line.js'

/** A map that takes longer says what the ledger says. */
const MOST_MS = 500

interface KeysOptions {
  readonly pipeline: Pipeline
  readonly step: Step
  readonly given: Readonly<Record<string, string>>
  readonly moment: Moment
  readonly warehouse: LedgerReader
  /** A run is at work: what is missing is not looked up beside it. */
  readonly isRunning: boolean
}

/**
 * The line of a step that wants each row of a query. Its units are stretches of keys of which most are no row, and the table decides
 * what is done: so the line ends where the rows of the table do, and what a plan would miss is missing.
 */
export async function ofKeys(line: Line, options: KeysOptions): Promise<Line> {
  try {
    const rows = await rowsWanted(options)
    return rows ? await lineOfRows(line, rows, options) : line
  } catch (error) {
    // What can't be asked now (a table that is gone, a query that takes long) is said by a plan.
    if (isPipeError(error)) return line
    throw error
  }
}

interface Rows {
  readonly wanted: RowsWanted
  readonly into: Table
  /** The column of the table that holds the key. */
  readonly column: string
}

async function rowsWanted({ pipeline, step, given, moment, warehouse }: KeysOptions): Promise<Rows | undefined> {
  const { wanted } = await askStep({ pipeline, step, given, moment, warehouse, rows: [] })
  if (wanted.kind !== 'rows') return undefined
  const into = pipeline.tables.get(step.outputs.find(({ id }) => id === wanted.output)?.table ?? '')
  const [column] = Object.entries(wanted.copied).find(([, source]) => source === wanted.key[0]) ?? []
  return into && column !== undefined ? { wanted, into, column } : undefined
}

async function lineOfRows(line: Line, { wanted, into, column }: Rows, { warehouse, isRunning }: KeysOptions): Promise<Line> {
  const key = identifier(column)
  const [there] = await all(warehouse, sql`SELECT min(${key}) AS "first", max(${key}) AS "last" FROM ${identifier(into.name)}`)
  const present = new Line()
  const [first, last] = [Number(there?.first), Number(there?.last)]
  if (there?.first !== null && Number.isSafeInteger(first))
    for (const { from, to, state } of line) {
      const part = { from: Math.max(from, first), to: Math.min(to, last), state }
      // What is not done says where something is wanted, also where no row is.
      if (!READ.has(state)) present.add({ from, to, state })
      else if (part.from <= part.to) present.add(part)
    }
  if (isRunning) return present
  const missing = new Line()
  for (const row of await all(warehouse, missingEnds(wanted, into)))
    missing.add({ from: Number(row.first), to: Number(row.last), state: 'missing' })
  const read = new Line()
  for (const stretch of present) if (READ.has(stretch.state)) read.add(stretch)
  const rest = [...present].filter(({ state }) => !READ.has(state))
  return overlaid(overlaid(without(read, missing), missing), rest)
}

const READ: ReadonlySet<string> = new Set(['done', 'proved', 'empty'])

async function all(warehouse: LedgerReader, statement: Statement): Promise<readonly Row[]> {
  const rows: Row[] = []
  for await (const page of warehouse.query(statement, { timeoutMs: MOST_MS })) rows.push(...page)
  return rows
}
