import {
  type Column,
  formatInstant,
  identifier,
  isExactNumber,
  quoteIdentifier,
  type Row,
  type SelectWrite,
  show,
  sql,
  sqlText,
  type Statement,
  type Stretch,
  type Table,
  typeLabel,
  ValueError,
} from '../sdk/index.js'
import { identifiers } from './ddl.js'
import { RowsNotTakenError, SqlError } from './errors.js'
import { meet, refuseChanged, refuseLeft } from './load.js'
import type { Placing } from './transaction.js'
import { constantColumns, differ, filled, insertSelected, areOwn, sameKey, typed } from './fill.js'
import { rowName } from './row-name.js'
import { boundNames, boundsOf, type Touched } from './touched.js'
import type { WarehouseKind } from './types.js'

/** A column that a query gives. */
export interface Given {
  readonly name: string
  /** SQL of its value as the column has it. Only used where `misfits` are false. */
  value(column: Column): string
  /** Conditions that are true where a value would be lost or changed on its way into the column. NULL is no misfit. */
  misfits(column: Column): readonly string[]
}

/** What moving a query's rows takes of a warehouse, inside the transaction that is open. */
export interface SelectEngine {
  readonly kind: WarehouseKind
  /** Compiles a statement of a step. @throws {SqlError} for what is not one SELECT. */
  check(query: Statement): Promise<void>
  /** Fills a temporary table of that name, which there may be already, with what a SELECT gives. @throws {SqlTimeoutError} */
  fill(name: string, select: Statement, timeoutMs?: number): Promise<void>
  /** The name of a temporary table for SQL. */
  temporary(name: string): string
  /** The columns of a temporary table. */
  columns(name: string): Promise<readonly Given[]>
  /** Runs a query of ours. */
  rows(statement: Statement): Promise<readonly Row[]>
  /** Runs a statement. Resolves to the rows that it changed. */
  run(statement: Statement): Promise<number>
}

/** What became of the rows of a query. */
export interface Selected {
  /** How many the query gave. */
  readonly rows: number
  /** Of these, those whose key the table had before, in rows that the query does not replace: they make it no longer. */
  readonly there: number
  /** Of these, those that took the place of a different row. */
  readonly overwritten: number
}

/** A statement of a step is something else than a query. */
export const notSelect = (): SqlError => new SqlError('only a SELECT may run here', { hint: 'the step itself writes what the query gives' })

/** What the query gives, as it gives it. */
const GIVEN = '_pipe_given'
/** The same as the table will have it: all of its columns, with their types. */
const ROWS = '_pipe_rows'
/** Of those, the ones that are not there yet or differ from what is there. */
const CHANGED = '_pipe_changed'

/**
 * Moves what a query gives into its table, inside the transaction that is open. Only rows that are new or differ from what
 * is there are written and touch units, so that the same result once more wakes up nobody.
 *
 * `judge` is asked before a row outside of the stretch that is replaced gives its place to one of the query.
 *
 * @throws {ValueError} naming the row and the column: a value that does not fit, a row that is not the step's own, one key
 * given twice.
 * @throws {KeyConflictError} from `judge`. @throws {SqlTimeoutError}
 */
export async function writeSelect(
  select: SelectWrite,
  table: Table,
  engine: SelectEngine,
  { touched, judge }: { readonly touched: Touched; readonly judge: Placing['judge'] },
): Promise<Selected> {
  const given = await stage(select, table, engine)
  const refuse = refuser(table, engine)
  const wrong = given.map(({ column, of }) => {
    const nulls = column.nullable ? [] : [`${quoteIdentifier(column.name)} IS NULL`]
    return { column, where: [...nulls, ...of.misfits(column)].join(' OR ') || 'FALSE' }
  })
  // One look at all of them; which one it was is asked when there is something to say.
  const from = sqlText(engine.temporary(GIVEN))
  const [found] = await engine.rows(
    sql`SELECT count(*) AS n, count(CASE WHEN ${sqlText(wrong.map(({ where }) => where).join(' OR '))} THEN 1 END) AS wrong FROM ${from}`,
  )
  for (const { column, where } of found?.wrong === 0n ? [] : wrong)
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
  await fillRows(select, table, given, engine)
  await refuseDoubles(table, engine)
  const { replace } = select
  if (replace !== undefined && replace !== 'all')
    await refuse(
      ROWS,
      sql`(${areOwn(replace, table)}) IS NOT TRUE`,
      replace.column,
      () => `lies outside of the interval ${stretchText(replace)}`,
    )
  const rows = Number(found?.n ?? 0)
  const { added, overwritten } = await writeChanges(select, table, engine, { touched, judge })
  // What lies outside of the stretch that is replaced differs from each row inside, so it is all among the overwritten.
  return { rows, there: replace === undefined ? rows - added : overwritten, overwritten }
}

interface Filled {
  readonly column: Column
  readonly of: Given
}

/** Runs the query, once, into a temporary table. */
async function stage({ sql: query, timeoutMs }: SelectWrite, table: Table, engine: SelectEngine): Promise<readonly Filled[]> {
  // By itself, so that no bracket in it leads out of ours.
  await engine.check(query)
  await engine.fill(
    GIVEN,
    // On the line of the bracket, so that the lines of messages are those of the query.
    sql`SELECT * FROM (${query}
) AS pipe_query`,
    timeoutMs,
  )
  return (await engine.columns(GIVEN)).map((of) => {
    const column = table.columns.find(({ name }) => name === of.name)
    if (!column)
      throw new SqlError(`the query gives a column ${of.name}, and ${table.name} has none`, {
        hint: `it has ${table.columns.map((known) => known.name).join(', ')}`,
      })
    return { column, of }
  })
}

async function fillRows({ output }: SelectWrite, table: Table, given: readonly Filled[], engine: SelectEngine): Promise<void> {
  const constants = Object.keys(output.constants)
  const columns = given.filter(({ column }) => !constants.includes(column.name))
  const values = [...columns.map(({ column, of }) => `${of.value(column)} AS ${quoteIdentifier(column.name)}`), ...constantColumns(output)]
  const brought = { ...output, columns: columns.map(({ column }) => column.name), compute: {} }
  await engine.fill(
    ROWS,
    sqlText(typed(table, filled(brought, table, `SELECT ${values.join(', ')} FROM ${engine.temporary(GIVEN)}`), engine.kind)),
  )
}

async function refuseDoubles(table: Table, engine: SelectEngine): Promise<void> {
  const [row] = await engine.rows(
    sqlText(`
      SELECT ${keyTexts(table)}, count(*) AS pipe_times
      FROM ${engine.temporary(ROWS)}
      GROUP BY ${identifiers(table.key)}
      HAVING count(*) > 1
      LIMIT 1`),
  )
  if (row) throw givenTwice(table, row, row.pipe_times)
}

/** A query gives a key in several rows, and nothing says which of them was meant. `times`: in how many. */
export function givenTwice({ name, key }: Table, row: Row, times: unknown): ValueError {
  const one = `have the query give one row a key: GROUP BY ${key.join(', ')}, with sum(), max() or the like for the other columns`
  return new ValueError(
    rowName(name, key)(row),
    `is given more than once by the query (in ${String(times)} rows)`,
    `${one}; where all of these rows are meant, add to \`key\` of the table the columns that tell them apart`,
  )
}

/**
 * Deletes, inserts and updates what is not as it should be, and notes what that touches. Resolves to how many keys are new to the
 * table, and how many rows that the query does not replace gave way.
 */
async function writeChanges(
  { replace, output }: SelectWrite,
  table: Table,
  engine: SelectEngine,
  { touched, judge }: { readonly touched: Touched; readonly judge: Placing['judge'] },
): Promise<{ readonly added: number; readonly overwritten: number }> {
  const name = identifier(table.name)
  const watched = touched.of(table, output.constants)
  const [rows, changed] = [engine.temporary(ROWS), engine.temporary(CHANGED)]
  const before = watched ? sql`, ${boundsOf(watched, 'o', 'pipe_old')}` : sqlText('')
  const others = replace === undefined ? sqlText('TRUE') : sql`(${areOwn(replace === 'all' ? output : replace, table)}) IS NOT TRUE`
  await engine.fill(
    CHANGED,
    sql`
      SELECT n.*${before}, o.pipe_other
      FROM ${sqlText(rows)} AS n
      LEFT JOIN (SELECT *, ${others} AS pipe_other FROM ${name}) AS o ON ${sqlText(sameKey(table, 'o', 'n'))}
      WHERE o.${identifier(table.key[0] ?? '')} IS NULL OR ${sqlText(differ(table, 'o', 'n', engine.kind))}`,
  )
  if (watched)
    await touched.see(
      watched,
      sql`
        SELECT DISTINCT ${sqlText(boundNames(watched, 'pipe_old'))}, ${boundsOf(watched, 'n', 'pipe_new')}
        FROM ${sqlText(changed)} AS n`,
    )
  if (judge && replace !== undefined && replace !== 'all') {
    const strange = sql`(SELECT * FROM ${name} WHERE (${areOwn(replace, table)}) IS NOT TRUE)`
    const meeting = sql`FROM ${sqlText(changed)} AS n JOIN ${strange} AS o ON ${sqlText(sameKey(table, 'o', 'n'))} LIMIT 1000`
    await judge(await meet({ output, table }, meeting, engine, replace.column))
  }
  if (replace !== undefined) {
    const ungiven = sqlText(`NOT EXISTS (SELECT 1 FROM ${rows} AS n WHERE ${sameKey(table, 'o', 'n')})`)
    const gone = sql`${areOwn(replace === 'all' ? output : replace, table)} AND ${ungiven}`
    if (watched) await touched.see(watched, sql`SELECT DISTINCT ${boundsOf(watched, 'o')} FROM ${name} AS o WHERE ${gone}`)
    await engine.run(sql`DELETE FROM ${name} AS o WHERE ${gone}`)
    await refuseLeft(engine, table, sql`${name} AS o WHERE ${gone}`)
  }
  const columns = identifiers(table.columns.map((column) => column.name))
  const [given] = await engine.rows(
    sqlText(
      `SELECT count(*) AS n, count(CASE WHEN pipe_other IS NULL THEN 1 END) AS added, count(CASE WHEN pipe_other THEN 1 END) AS others FROM ${changed}`,
    ),
  )
  const taken = await engine.run(sqlText(insertSelected(table, `SELECT ${columns} FROM ${changed} ORDER BY ${identifiers(table.key)}`)))
  if (taken !== Number(given?.n)) throw new RowsNotTakenError(table.name, Number(given?.n), taken)
  await refuseChanged(table, `SELECT ${columns} FROM ${changed}`, engine)
  return { added: Number(given?.added), overwritten: Number(given?.others) }
}

/** What a query gives does not fit: what is to be mended is the query, and no source. */
export const notGiven = (where: string, problem: string): ValueError =>
  new ValueError(
    where,
    problem,
    'mend the query (WHERE leaves rows out, coalesce() fills NULL, CAST changes a type), or the column in `tables` (`TYPE?` may be null)',
  )

/** Throws for the first row of a temporary table that a condition is true for. */
function refuser(table: Table, engine: SelectEngine) {
  return async (from: string, where: Statement, column: string, problem: (value: string | null) => string): Promise<void> => {
    const there = new Set((await engine.columns(from)).map(({ name }) => name))
    const key = table.key.filter((name) => there.has(name))
    const texts = [`CAST(${quoteIdentifier(column)} AS VARCHAR) AS pipe_value`, ...key.map((name) => keyText(table, name))]
    const [row] = await engine.rows(sql`SELECT ${sqlText(texts.join(', '))} FROM ${sqlText(engine.temporary(from))} WHERE ${where} LIMIT 1`)
    if (row) throw notGiven(`${rowName(table.name, key)(row)}, column ${column}`, problem(row.pipe_value as string | null))
  }
}

const keyTexts = (table: Table): string => table.key.map((name) => keyText(table, name)).join(', ')

/** A column of the key for messages: numbers as they are, all else as text. */
function keyText(table: Table, name: string): string {
  const type = table.columns.find((column) => column.name === name)?.type
  return type && isExactNumber(type) ? quoteIdentifier(name) : `CAST(${quoteIdentifier(name)} AS VARCHAR) AS ${quoteIdentifier(name)}`
}

const stretchText = ({ from, to }: Stretch): string => `${formatInstant(from)} to ${formatInstant(to + 1n)}`

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
