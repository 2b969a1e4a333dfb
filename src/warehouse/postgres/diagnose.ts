import type { PostgresSession } from '../../postgres/session.js'
import { type Column, type Output, quoteIdentifier, type Row, show, type Table, typeLabel, ValueError } from '../../sdk/index.js'
import { outside } from '../ddl.js'
import { broughtColumns, constantColumns } from '../fill.js'
import { OWN_RULE } from '../errors.js'
import { firstPrefix } from '../first-prefix.js'
import { rowName } from '../row-name.js'
import type { LoadError } from '../transaction.js'
import { exactly, insertOf, type TableLoader } from './loader.js'
import { ORDER, Stage } from './stage.js'

/**
 * The row that SQL failed on, by name, or undefined when no single row is to blame. Inside a transaction that is rolled
 * back afterwards.
 */
export async function diagnose(session: PostgresSession, { loader, rows: given }: LoadError<TableLoader>): Promise<Error | undefined> {
  const { output, table } = loader
  const rows = [...given]
  const stage = new Stage('_pipe_stage_diagnosis', broughtColumns(output, table), { extra: constantColumns(output), ordered: true })
  await session.query('DROP TABLE IF EXISTS pg_temp._pipe_stage_diagnosis')
  await stage.create(session)
  await stage.append(session, rows, rowName(table.name, table.key))
  for (const [name, expression] of Object.entries(output.compute)) {
    const column = table.columns.find((candidate) => candidate.name === name)
    const bad = column && (await firstBad(session, stage, expression, column, rows.length))
    if (column && bad !== undefined)
      return misfit(session, stage, { output, table, column, expression, row: rows[bad] as Row, number: bad })
  }
  return refusedRow(session, stage, { output, table, rows })
}

/** The number of the first row whose value can't be stored. The half that holds one is searched on. */
async function firstBad(
  session: PostgresSession,
  stage: Stage,
  expression: string,
  column: Column,
  count: number,
): Promise<number | undefined> {
  const value = exactly(expression, column)
  const wrong = [outside('v', column.type, 'postgres'), column.nullable ? undefined : 'v IS NULL'].filter(
    (condition) => condition !== undefined,
  )
  const isBad = async (from: number, to: number): Promise<boolean> => {
    await session.query('SAVEPOINT pipe_look')
    const found = await session
      .query(
        `SELECT count(*) FILTER (WHERE ${wrong.length > 0 ? wrong.join(' OR ') : 'FALSE'}) AS bad, count(v)
        FROM (
          SELECT ${value} AS v
          FROM (${stage.source}) AS pipe_row
          WHERE ${ORDER} >= ${from} AND ${ORDER} < ${to}
        ) AS pipe_values`,
      )
      .then(
        ({ rows: [row] }) => row?.bad !== '0',
        () => true,
      )
    await session.query('ROLLBACK TO pipe_look')
    return found
  }
  if (!(await isBad(0, count))) return undefined
  let [from, to] = [0, count]
  while (to - from > 1) {
    const middle = (from + to) >> 1
    if (await isBad(from, middle)) to = middle
    else from = middle
  }
  return from
}

interface Misfit {
  readonly output: Output
  readonly table: Table
  readonly column: Column
  readonly expression: string
  readonly row: Row
  readonly number: number
}

async function misfit(
  session: PostgresSession,
  stage: Stage,
  { output, table, column, expression, row, number }: Misfit,
): Promise<ValueError> {
  const keys = output.columns.filter((name) => table.key.includes(name))
  await session.query('SAVEPOINT pipe_look')
  const computed = await session
    .query(`SELECT CAST((${expression}\n) AS text) AS value FROM (${stage.source}) AS pipe_row WHERE ${ORDER} = ${number}`)
    .then(
      ({ rows: [only] }) => only?.value ?? null,
      () => null,
    )
  await session.query('ROLLBACK TO pipe_look')
  const named = Object.fromEntries(keys.map((name) => [name, row[name] ?? null]))
  const problem = computed === null ? 'is computed as null or not at all, and is' : `is computed as ${computed}, which does not fit`
  return new ValueError(`${rowName(table.name, keys)(named)}, column ${column.name}`, `${problem} ${typeLabel(column.type)}`)
}

interface Refused {
  readonly output: Output
  readonly table: Table
  readonly rows: readonly Row[]
}

/** The row that the table itself refuses: by a check, a narrower type, another unique index. It is the last of the fewest that fail. */
async function refusedRow(session: PostgresSession, stage: Stage, { output, table, rows }: Refused): Promise<ValueError | undefined> {
  const some = (from: number, to: number) => `SELECT * FROM (${stage.source}) AS pipe_some WHERE ${ORDER} >= ${from} AND ${ORDER} < ${to}`
  const failure = (statement: string) => failureOf(session, statement)
  if (!(await failure(insertOf(output, table, some(0, rows.length))))) return undefined
  const last = await firstPrefix(rows.length, async (n) => (await failure(insertOf(output, table, some(0, n)))) !== undefined)
  const error = await failure(insertOf(output, table, some(0, last)))
  const row = rows[last - 1]
  if (!row || !error) return undefined
  const column =
    error.column ?? (await constrained(session, table, error)) ?? (await tooNarrow(session, { output, table, one: some(last - 1, last) }))
  const where = `${rowName(table.name, table.key)(row)}${column === undefined ? '' : `, column ${column}`}`
  const value = column === undefined || row[column] === undefined ? '' : `${show(row[column])} `
  return new ValueError(where, `${value}is refused by the table (${error.message})`, /^(?:23|P0)/.test(error.code) ? OWN_RULE : undefined)
}

interface Failure {
  readonly message: string
  readonly code: string
  readonly column?: string
  readonly constraint?: string
}

/** What a statement fails with; nothing of it stays. */
async function failureOf(session: PostgresSession, statement: string): Promise<Failure | undefined> {
  await session.query('SAVEPOINT pipe_look')
  const failed = await session.query(statement).then(
    () => undefined,
    (error: unknown) => error as Failure,
  )
  await session.query('ROLLBACK TO pipe_look')
  return failed
}

/** The column of a constraint. */
async function constrained(session: PostgresSession, table: Table, { constraint }: Failure): Promise<string | undefined> {
  if (constraint === undefined) return undefined
  const { rows } = await session.query(
    `SELECT a.attname AS name
    FROM pg_constraint AS c
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    WHERE c.conname = $1 AND c.conrelid = to_regclass($2)`,
    [constraint, quoteIdentifier(table.name)],
  )
  return rows[0]?.name ?? undefined
}

/** The column of the table that does not take the value of a row by itself. */
async function tooNarrow(
  session: PostgresSession,
  { output, table, one }: { readonly output: Output; readonly table: Table; readonly one: string },
): Promise<string | undefined> {
  for (const name of output.columns) {
    const quoted = quoteIdentifier(name)
    await session.query('SAVEPOINT pipe_column')
    await session.query(`CREATE TEMPORARY TABLE pipe_column AS SELECT ${quoted} FROM ${quoteIdentifier(table.name)} WITH NO DATA`)
    const failed = await failureOf(session, `INSERT INTO pg_temp.pipe_column SELECT ${quoted} FROM (${one}) AS pipe_one`)
    await session.query('ROLLBACK TO pipe_column')
    if (failed) return name
  }
  return undefined
}
