import type { PostgresSession } from '../../postgres/session.js'
import { type Column, isExactNumber, type List, type Output, quoteIdentifier, type Row, sql, sqlText, type Table } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { SqlError } from '../errors.js'
import { broughtColumns, checkFilling, constantColumns, filled, insertSelected } from '../fill.js'
import { type LoadEngine, moveRows } from '../load.js'
import { rowName } from '../row-name.js'
import { boundNames, boundsOf, type Touched, type Watched } from '../touched.js'
import { type Loaded, LoadError, type Placing } from '../transaction.js'
import { sqlType } from '../types.js'
import { statementError } from './errors.js'
import { ORDER, Stage } from './stage.js'
import { execute, select } from './statements.js'

/** An output with its table and the stage that its rows pass through. */
export interface TableLoader {
  readonly output: Output
  readonly table: Table
  readonly stage: Stage
  /** SELECT that gives the staged rows as the table will have them, in the order of its key, each key once. */
  readonly filled: string
  /** The same with every row, where SQL computes a part of the key, so nobody could tell before whether two rows have the same. */
  readonly every: string | undefined
}

/**
 * Stages rows and moves them into their table.
 *
 * @throws {ValueError} for a value that does not fit, before any SQL.
 * @throws {LoadError} when SQL refuses: `diagnose` may know more after the rollback.
 */
export async function load(
  session: PostgresSession,
  loader: TableLoader,
  rows: List<Row>,
  { touched, placing }: { readonly touched: Touched; readonly placing: Placing },
): Promise<Loaded> {
  const { table, stage } = loader
  const replaced = await stage.append(session, rows, rowName(table.name, table.key))
  const engine: LoadEngine = {
    kind: 'postgres',
    change: (statement) => execute(session, statement),
    insertNew: (insert, watched) => insertNew(session, insert, watched, touched),
    rows: (statement) => select(session, statement),
  }
  const moved = await moveRows(loader, rows.length, engine, { touched, placing }).catch((error: unknown) => {
    // No row is to blame for a full disk or a deadlock, so none is looked for.
    throw statementError(table.name, error) instanceof SqlError ? new LoadError(loader, rows, causeOf(error)) : error
  })
  return { replaced, ...moved }
}

/** Adds rows whose key is new and notes what they touch. Resolves to how many they were. */
async function insertNew(session: PostgresSession, insert: string, watched: Watched, touched: Touched): Promise<number> {
  const names = sqlText(boundNames(watched))
  const returning = sql`${sqlText(`${insert} RETURNING `)}${boundsOf(watched, undefined)}`
  const added = await select(
    session,
    sql`WITH added AS (${returning}) SELECT ${names}, count(*) AS pipe_added FROM added GROUP BY ${names}`,
  )
  touched.seeRows(
    watched,
    added.map(({ pipe_added: _, ...row }) => Object.values(row) as (bigint | null)[]),
  )
  return added.reduce((sum, row) => sum + Number(row.pipe_added), 0)
}

const causeOf = (error: unknown): unknown => (error instanceof SqlError ? error.cause : error)

/** How rows of an output get into its table. @throws {OutputError} when it does not fit. */
export function makeLoader(output: Output, table: Table, index: number): TableLoader {
  checkFilling(output, table)
  const computesKey = table.key.some((column) => column in output.compute)
  const stage = new Stage(`_pipe_stage_${index}`, broughtColumns(output, table), { extra: constantColumns(output), ordered: computesKey })
  const rows = withComputed(output, table, stage.source)
  const key = identifiers(table.key)
  // The last of the rows with one key.
  const source = computesKey ? `SELECT DISTINCT ON (${key}) * FROM (${rows}) AS pipe_computed ORDER BY ${key}, ${ORDER} DESC` : rows
  const all = asBrought(output)
  return { output, table, stage, filled: filled(all, table, source, byKey), every: computesKey ? filled(all, table, rows) : undefined }
}

/** `INSERT` of some rows, whose keys may be there. `source` selects what an output brings. */
export function insertOf(output: Output, table: Table, source: string): string {
  return insertSelected(table, filled(asBrought(output), table, withComputed(output, table, source)), 'keep')
}

function withComputed(output: Output, table: Table, source: string): string {
  const computed = computedColumns(output, table)
  return computed.length === 0 ? source : `SELECT *, ${computed.join(', ')} FROM (${source}) AS pipe_row`
}

/** The output as one that brings what it computes, too. */
const asBrought = (output: Output): Output => ({ ...output, columns: [...output.columns, ...Object.keys(output.compute)], compute: {} })

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
