import { type DuckDBConnection, type DuckDBType, DuckDBTypeId, StatementType } from '@duckdb/node-api'
import {
  type Column,
  formatInstant,
  identifier,
  isExactNumber,
  quoteIdentifier,
  type SelectWrite,
  show,
  sql,
  sqlText,
  type Statement,
  type Stretch,
  type Table,
  typeLabel,
  ValueError,
} from '../../sdk/index.js'
import { identifiers, outside } from '../ddl.js'
import { SqlError, SqlTimeoutError } from '../errors.js'
import { constantColumns, filled, insertSelected, inStretch } from '../fill.js'
import { rowName } from '../row-name.js'
import { sqlType } from '../types.js'
import { differ, sameKey } from './lanes.js'
import { interruptible, readRows } from './reads.js'
import { boundNames, boundsOf, type Marks } from './touches.js'
import type { Transactions } from './transactions.js'
import { prepare } from './values.js'

/** What the query gives, as it gives it. */
const GIVEN = '_pipe_given'
/** The same as the table will have it: all of its columns, with their types. */
const ROWS = '_pipe_rows'
/** Of those, the ones that are not there yet or differ from what is there. */
const CHANGED = '_pipe_changed'

/** A column that the query gives, with the type that it gives. */
interface Given {
  readonly column: Column
  readonly type: DuckDBType
}

/**
 * Moves what a query gives into its table, inside the transaction that is open. Only rows that are new or differ from what
 * is there are written and marked, so that the same result once more wakes up nobody. Resolves to how many rows the query
 * gave.
 *
 * @throws {ValueError} naming the row and the column: a value that does not fit, a row that is not the step's own, one key
 * given twice.
 * @throws {SqlTimeoutError}
 */
export async function writeSelect(select: SelectWrite, table: Table, transactions: Transactions, marks: Marks): Promise<number> {
  const given = await stage(select, table, transactions)
  const refuse = refuser(table, transactions.connection)
  const wrong = misfits(given)
  // One look at all of them; which one it was is asked when there is something to say.
  const [any] = await transactions.select(
    sqlText(`SELECT count(*) FROM ${temp(GIVEN)} WHERE ${wrong.map(({ where }) => where).join(' OR ')}`),
  )
  for (const { column, where } of any?.[0] === 0n ? [] : wrong)
    await refuse(GIVEN, sqlText(where), column.name, (value) =>
      value === null ? 'is NULL, and the column is required' : `${show(value)} does not fit ${typeLabel(column.type)}`,
    )
  for (const [name, constant] of Object.entries(select.output.constants))
    if (given.some(({ column }) => column.name === name))
      await refuse(
        GIVEN,
        sqlText(`${quoteIdentifier(name)} <> ${literal(constant)}`),
        name,
        (value) => `is ${show(value)}, and the rows of this step have ${show(constant)}`,
      )
  await fillRows(select, table, given, transactions)
  await refuseDoubles(table, transactions)
  const { replace } = select
  if (replace !== undefined && replace !== 'all')
    await refuse(
      ROWS,
      sql`(${inStretch(replace, table)}) IS NOT TRUE`,
      replace.column,
      () => `lies outside of the interval ${stretchText(replace)}`,
    )
  await writeChanges(select, table, transactions, marks)
  const [count] = await transactions.select(sqlText(`SELECT count(*) FROM ${temp(GIVEN)}`))
  return Number(count?.[0] ?? 0)
}

/** Runs the query, once, into a temporary table. */
async function stage({ sql: query, timeoutMs }: SelectWrite, table: Table, { connection }: Transactions): Promise<readonly Given[]> {
  const prepared = await prepare(connection, query)
  let given: Given[]
  try {
    if (prepared.statementType !== StatementType.SELECT)
      throw new SqlError('only a SELECT may run here', { hint: 'the step itself writes what the query gives' })
    given = Array.from({ length: prepared.columnCount }, (_, i) => {
      const name = prepared.columnName(i)
      const column = table.columns.find((candidate) => candidate.name === name)
      if (!column)
        throw new SqlError(`the query gives a column ${name}, and ${table.name} has none`, {
          hint: `it has ${table.columns.map((known) => known.name).join(', ')}`,
        })
      return { column, type: prepared.columnType(i) }
    })
  } finally {
    prepared.destroySync()
  }
  await makeTable(
    GIVEN,
    sql`SELECT * FROM (
${query}
) AS pipe_query`,
    connection,
    timeoutMs,
  )
  return given
}

/** For each column a condition that is true where a value would be lost or changed on its way into the table. */
function misfits(given: readonly Given[]): { readonly column: Column; readonly where: string }[] {
  return given.flatMap(({ column, type }) => {
    const name = quoteIdentifier(column.name)
    const value = valueOf({ column, type })
    const wrong = [
      ...(column.nullable ? [] : [`${name} IS NULL`]),
      `(${name} IS NOT NULL AND ${value} IS NULL)`,
      outside(value, column.type, 'duckdb'),
      // Its hour would be cut off in silence.
      ...(column.type.kind === 'date' && type.typeId !== DuckDBTypeId.DATE
        ? [`CAST(${value} AS TIMESTAMP) <> CAST(${name} AS TIMESTAMP)`]
        : []),
      ...(type.typeId === DuckDBTypeId.TIMESTAMP_NS ? [`CAST(${value} AS TIMESTAMP_NS) <> ${name}`] : []),
    ]
    return { column, where: wrong.filter((condition) => condition !== undefined).join(' OR ') }
  })
}

/** A given value as the column has it, NULL when that can't be. */
function valueOf({ column, type }: Given): string {
  const name = quoteIdentifier(column.name)
  // DuckDB would turn it by the zone of the session.
  if (column.type.kind === 'timestamp' && type.typeId === DuckDBTypeId.TIMESTAMP_TZ) return `make_timestamp(epoch_us(${name}))`
  const wide = column.type.kind === 'uint256' || column.type.kind === 'int256'
  // DuckDB compares `CAST(int AS BIGNUM) > border` as ints, and fails on the border.
  const from = wide && type.typeId !== DuckDBTypeId.BIGNUM ? `CAST(${name} AS VARCHAR)` : name
  return `TRY_CAST(${from} AS ${sqlType(column.type, 'duckdb')})`
}

async function fillRows({ output }: SelectWrite, table: Table, given: readonly Given[], { connection }: Transactions): Promise<void> {
  const constants = Object.keys(output.constants)
  const columns = given.filter(({ column }) => !constants.includes(column.name))
  const values = [...columns.map((each) => `${valueOf(each)} AS ${quoteIdentifier(each.column.name)}`), ...constantColumns(output)]
  const brought = { ...output, columns: columns.map(({ column }) => column.name), compute: {} }
  await makeTable(ROWS, sqlText(filled(brought, table, `SELECT ${values.join(', ')} FROM ${temp(GIVEN)}`)), connection)
}

async function refuseDoubles(table: Table, { connection }: Transactions): Promise<void> {
  const found = await connection.run(
    `SELECT ${keyTexts(table)} FROM ${temp(ROWS)} GROUP BY ${identifiers(table.key)} HAVING count(*) > 1 LIMIT 1`,
  )
  for await (const [row] of readRows(found))
    if (row) throw new ValueError(rowName(table.name, table.key)(row), 'is given more than once by the query')
}

/** Deletes, inserts and updates what is not as it should be, and marks what that touches. */
async function writeChanges({ replace, output }: SelectWrite, table: Table, transactions: Transactions, marks: Marks): Promise<void> {
  const { connection } = transactions
  const name = identifier(table.name)
  const watched = marks.of(table.name)
  await makeTable(
    CHANGED,
    sql`SELECT n.*${watched ? sql`, ${boundsOf(watched, 'o', 'pipe_old')}` : sqlText('')} FROM ${sqlText(temp(ROWS))} AS n LEFT JOIN ${name} AS o ON ${sqlText(sameKey(table, 'o', 'n'))} WHERE o.${identifier(table.key[0] ?? '')} IS NULL OR ${sqlText(differ(table, 'o', 'n'))}`,
    connection,
  )
  if (watched)
    await marks.see(
      watched,
      sql`SELECT DISTINCT ${sqlText(boundNames(watched, 'pipe_old'))}, ${boundsOf(watched, 'n', 'pipe_new')} FROM ${sqlText(temp(CHANGED))} AS n`,
    )
  if (replace !== undefined) {
    const others = sqlText(`NOT EXISTS (SELECT 1 FROM ${temp(ROWS)} AS n WHERE ${sameKey(table, 'o', 'n')})`)
    const gone = sql`${ownRows(replace, output.constants, table)} AND ${others}`
    if (watched) await marks.see(watched, sql`SELECT DISTINCT ${boundsOf(watched, 'o')} FROM ${name} AS o WHERE ${gone}`)
    await run(sql`DELETE FROM ${name} AS o WHERE ${gone}`, connection)
  }
  const columns = identifiers(table.columns.map((column) => column.name))
  await connection.run(insertSelected(table, `SELECT ${columns} FROM ${temp(CHANGED)}`))
}

/** The rows that the step may delete. */
function ownRows(replace: Stretch | 'all', constants: Readonly<Record<string, string>>, table: Table): Statement {
  if (replace !== 'all') return inStretch(replace, table)
  return sqlText(
    ['TRUE', ...Object.entries(constants).map(([name, value]) => `${quoteIdentifier(name)} = ${literal(value)}`)].join(' AND '),
  )
}

/** Throws for the first row of a temporary table that a condition is true for. */
function refuser(table: Table, connection: DuckDBConnection) {
  return async (from: string, where: Statement, column: string, problem: (value: string | null) => string): Promise<void> => {
    const there = new Set((await connection.run(`SELECT * FROM ${temp(from)} LIMIT 0`)).columnNames())
    const key = table.key.filter((name) => there.has(name))
    const prepared = await prepare(
      connection,
      sql`SELECT ${sqlText([`CAST(${quoteIdentifier(column)} AS VARCHAR) AS pipe_value`, ...key.map((name) => keyText(table, name))].join(', '))} FROM ${sqlText(temp(from))} WHERE ${where} LIMIT 1`,
    )
    try {
      for await (const [row] of readRows(await prepared.run()))
        if (row) throw new ValueError(`${rowName(table.name, key)(row)}, column ${column}`, problem(row.pipe_value as string | null))
    } finally {
      prepared.destroySync()
    }
  }
}

const keyTexts = (table: Table): string => table.key.map((name) => keyText(table, name)).join(', ')

/** A column of the key for messages: numbers as they are, all else as text. */
function keyText(table: Table, name: string): string {
  const type = table.columns.find((column) => column.name === name)?.type
  return type && isExactNumber(type) ? quoteIdentifier(name) : `CAST(${quoteIdentifier(name)} AS VARCHAR) AS ${quoteIdentifier(name)}`
}

const stretchText = ({ from, to }: Stretch): string => `${formatInstant(from)} to ${formatInstant(to + 1n)}`

const temp = (name: string): string => `temp.${name}`

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

async function makeTable(name: string, select: Statement, connection: DuckDBConnection, timeoutMs?: number): Promise<void> {
  await run(sql`CREATE OR REPLACE TEMPORARY TABLE ${sqlText(name)} AS ${select}`, connection, timeoutMs)
}

async function run(statement: Statement, connection: DuckDBConnection, timeoutMs?: number): Promise<void> {
  const prepared = await prepare(connection, statement)
  // The database runs in real time, so its limit does, too.
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs)
  try {
    await interruptible(connection, prepared.run(), [timeout])
  } catch (error) {
    throw timeout?.aborted ? new SqlTimeoutError(timeoutMs ?? 0) : error
  } finally {
    prepared.destroySync()
  }
}
