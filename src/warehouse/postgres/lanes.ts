import type { PostgresSession } from '../../postgres/session.js'
import { codeOf } from '../../postgres/faults.js'
import { type Column, isExactNumber, type Output, quoteIdentifier, type Row, type Table } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { SqlError } from '../errors.js'
import { broughtColumns, checkFilling, constantColumns, fill } from '../fill.js'
import { rowName } from '../row-name.js'
import { sqlType } from '../types.js'
import { statementError } from './errors.js'
import { ORDER, Stage } from './stage.js'

/** An output with its table and the stage that its rows pass through. */
export interface Lane {
  readonly output: Output
  readonly table: Table
  readonly stage: Stage
  readonly sql: string
  /** SQL computes a part of the key, so nobody could tell before whether two rows have the same. */
  readonly computesKey: boolean
}

/** Rows that SQL refused on their way from a stage to their table. */
export class LaneError extends Error {
  constructor(
    readonly lane: Lane,
    readonly rows: readonly Row[],
    cause: unknown,
  ) {
    super('a lane failed', { cause })
  }
}

/** The ways of rows into tables, one an output, made when first used. */
export class Lanes {
  readonly #byOutput = new WeakMap<Output, Lane>()
  readonly #byContent = new Map<string, Lane>()

  /** @throws {OutputError} when the output does not fit the table. */
  of(output: Output, table: Table): Lane {
    const known = this.#byOutput.get(output)
    if (known?.table === table) return known
    const content = JSON.stringify([output, table])
    let lane = this.#byContent.get(content)
    if (!lane) this.#byContent.set(content, (lane = makeLane(output, table, `_pipe_stage_${this.#byContent.size}`)))
    this.#byOutput.set(output, lane)
    return lane
  }
}

/**
 * Stages rows and moves them into their table. Resolves to the row of each text in which U+FFFD took a place.
 *
 * @throws {ValueError} for a value that does not fit, before any SQL.
 * @throws {LaneError} when SQL refuses: `diagnose` may know more after the rollback.
 */
export async function writeLane(session: PostgresSession, lane: Lane, rows: readonly Row[]): Promise<readonly Row[]> {
  const { table, stage, sql, computesKey } = lane
  const replaced = await stage.append(session, rows, rowName(table.name, table.key))
  const { rowCount } = await session.query(sql).catch((error: unknown) => {
    // A full disk or a deadlock is nobody's row.
    throw statementError(table.name, error) instanceof SqlError ? new LaneError(lane, rows, error) : error
  })
  const overwrites = table.columns.length > table.key.length
  if (overwrites && !computesKey && rowCount !== rows.length)
    throw new Error(`${rows.length} rows for ${table.name} became ${rowCount}: a computation gives several rows or none`)
  return replaced
}

/** Whether Postgres refused two rows of one key in one statement. */
export function isDoubleKey(error: unknown): boolean {
  return codeOf(error) === '21000'
}

function makeLane(output: Output, table: Table, name: string): Lane {
  checkFilling(output, table)
  const computesKey = table.key.some((column) => column in output.compute)
  const stage = new Stage(name, broughtColumns(output, table), { extra: constantColumns(output), ordered: computesKey })
  const computed = computedColumns(output, table)
  const rows = computed.length === 0 ? stage.source : `SELECT *, ${computed.join(', ')} FROM (${stage.source}) AS pipe_row`
  const key = identifiers(table.key)
  // The last of the rows with one key.
  const source = computesKey ? `SELECT DISTINCT ON (${key}) * FROM (${rows}) AS pipe_computed ORDER BY ${key}, ${ORDER} DESC` : rows
  const filled = { ...output, columns: [...output.columns, ...Object.keys(output.compute)], compute: {} }
  return { output, table, stage, computesKey, sql: fill(filled, table, source, byKey) }
}

/** In one order for all, so that two who write the same rows wait and do not block each other. */
const byKey = (select: string, key: readonly string[]): string => `${select} ORDER BY ${key.join(', ')}`

function computedColumns(output: Output, table: Table): string[] {
  return Object.entries(output.compute).flatMap(([name, expression]) => {
    const column = table.columns.find((candidate) => candidate.name === name)
    return column ? [`${exactly(expression, column)} AS ${quoteIdentifier(name)}`] : []
  })
}

/**
 * A computed value as its column has it. Postgres rounds `1.5` into a whole number without a word, so a value with more
 * fraction digits than the column is turned into one that no number is.
 */
export function exactly(expression: string, column: Column): string {
  const type = sqlType(column.type, 'postgres')
  // On a line of its own: the expression may end in a comment.
  if (!isExactNumber(column.type)) return `CAST((${expression}\n) AS ${type})`
  const scale = column.type.kind === 'decimal' ? column.type.scale : 0
  return `(SELECT CAST(CASE WHEN v IS NULL OR v = round(v, ${scale}) THEN v ELSE CAST('not exact: ' || v AS numeric) END AS ${type}) FROM (SELECT CAST((${expression}\n) AS numeric) AS v) AS pipe_value)`
}
