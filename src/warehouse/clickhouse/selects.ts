import {
  type Column,
  formatInstant,
  identifier,
  joinSql,
  quoteIdentifier,
  type ResultColumn,
  type Row,
  type SelectWrite,
  show,
  sql,
  sqlText,
  type Statement,
  type Stretch,
  type Table,
  typeLabel,
} from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { OutputError, SqlError } from '../errors.js'
import { literal } from '../fill.js'
import { meetingOf } from '../load.js'
import { rowName } from '../row-name.js'
import { givenTwice, notGiven, notSelect, type Selected } from '../selects.js'
import { textPattern } from '../text-values.js'
import type { Meeting, Placing } from '../transaction.js'
import { nullableType } from '../types.js'
import { type Changes, changesOf } from './changes.js'
import { type Computed, computedColumn } from './compute.js'
import { DELETED, onCluster, type Place, VERSION } from './ddl.js'
import type { Params } from './engine.js'
import type { Sql } from './sql.js'
import { areOwn, tombstones } from './stretch.js'
import { checkedSums } from './sums.js'
import type { Touches } from './touches.js'
import { bound, portableType } from './values.js'

/** Tables that hold the result of a query while it is checked and moved. Left by a kill, they are dropped a day later. */
export const STAGE_PREFIX = '_pipe_select_'

export interface SelectOptions {
  readonly select: SelectWrite
  readonly table: Table
  readonly place: Place
  /** Of the rows that are written, and of those that go. */
  readonly version: bigint
  readonly touches: Touches
  /** Called once it is known what will be touched, before any row is written. */
  readonly mark: () => Promise<void>
  /** Asked before rows outside of the stretch that is replaced give their place to rows of the query. @throws {KeyConflictError} */
  readonly judge: Placing['judge']
  /** Stops it while nothing is written into the table yet: from there on it goes to its end. */
  readonly signal: AbortSignal | undefined
}

/**
 * Writes what a query gives: its whole result is put aside first, so that it is the same in every step that follows.
 * Rows that are there as they are stay untouched.
 *
 * @throws {ValueError} for a key that comes twice, a value that does not fit, a row outside of what the unit owns.
 */
export async function writeSelect(sqls: Sql, options: SelectOptions): Promise<Selected> {
  const { select, table, place, version, signal } = options
  const { text, params } = bound(select.sql)
  if (!/^(?:\s|--[^\n]*\n|\/\*[^]*?\*\/|\()*(?:SELECT|WITH|VALUES)\b/i.test(text)) throw notSelect()
  const given = await sqls.describe(text, params)
  const typed = new Map<string, Computed>()
  for (const { name, sqlType } of given) {
    const column = table.columns.find((candidate) => candidate.name === name)
    if (!column)
      throw new SqlError(`the query gives a column ${name}, and ${table.name} has none`, {
        hint: `it has ${table.columns.map((known) => known.name).join(', ')}`,
      })
    typed.set(name, givenColumn(column, storedType(sqlType, column)))
  }
  const { constants } = select.output
  const lacking = table.columns
    .filter(({ name, nullable }) => !nullable && !typed.has(name) && !(name in constants))
    .map(({ name }) => name)
  if (lacking.length > 0)
    throw new OutputError(`output ${select.output.id}`, `the query gives no column ${lacking.join(', ')}, which ${table.name} requires`)
  const stage = quoteIdentifier(`${STAGE_PREFIX}${version}`)
  const drop = () => sqls.write(`DROP TABLE IF EXISTS ${stage}${onCluster(place)} SYNC`)
  const definitions = [...typed].map(([name, { column }]) => {
    const type = given.find((candidate) => candidate.name === name)?.sqlType ?? ''
    return `${quoteIdentifier(name)} ${storedType(type, column)}`
  })
  await drop()
  await sqls.write(`CREATE TABLE ${stage}${onCluster(place)} (${definitions.join(', ')}) ENGINE = MergeTree ORDER BY tuple()`, {
    once: true,
  })
  try {
    const names = identifiers([...typed.keys()])
    await sqls.write(
      `INSERT INTO ${stage} (${names}) SELECT ${names} FROM (\n${await withChecks(sqls, text, params, given)}\n) AS pipe_query`,
      {
        params,
        once: true,
        timeoutMs: select.timeoutMs,
        signal,
      },
    )
    return await move(sqls, stage, typed, options)
  } finally {
    await drop()
  }
}

/** The query with its sums checked, where it gives the same columns then. */
async function withChecks(sqls: Sql, text: string, params: Params, given: readonly ResultColumn[]): Promise<string> {
  const checked = checkedSums(text)
  if (checked === text) return text
  const columns = await sqls.describe(checked, params).catch((error: unknown) => {
    if (error instanceof SqlError) return []
    throw error
  })
  const same =
    columns.length === given.length && columns.every(({ name, sqlType }, i) => name === given[i]?.name && sqlType === given[i]?.sqlType)
  return same ? checked : text
}

/** A column of the query. Unlike what `compute` gives, a text is only taken for what it says in full. */
function givenColumn(column: Column, type: string): Computed {
  const name = quoteIdentifier(column.name)
  const computed = computedColumn(column, name, type)
  const pattern = portableType(type).kind === 'text' ? textPattern(column.type) : undefined
  return pattern === undefined ? computed : { ...computed, bad: `${computed.bad} OR ifNull(NOT match(toString(${name}), '${pattern}'), 0)` }
}

/** A bare NULL has a type that no table can have. */
const storedType = (sqlType: string, column: Computed['column']): string =>
  sqlType.includes('Nothing') ? nullableType(column.type, 'clickhouse') : sqlType

async function move(
  sqls: Sql,
  stage: string,
  typed: ReadonlyMap<string, Computed>,
  { select, table, version, touches, mark, judge, signal }: SelectOptions,
): Promise<Selected> {
  const { constants } = select.output
  const values = table.columns.map(({ name }) => {
    const constant = constants[name]
    const value = constant === undefined ? (typed.get(name)?.value ?? 'NULL') : literal(constant, 'clickhouse')
    return `${value} AS ${quoteIdentifier(name)}`
  })
  const rows = `SELECT ${values.join(', ')} FROM ${stage}`
  await check(sqls, stage, rows, typed, select, table, signal)
  const changes = changesOf(table, rows)
  if (judge) await judge(await strangers(sqls, changes, select))
  const met = await metBy(sqls, changes, select)
  const gone = goneRows(select, table, rows)
  if (touches.watched(table, constants)) {
    await touches.seeChanges(changes, constants)
    if (gone) {
      const from = sql`FROM ${identifier(table.name)} WHERE ${gone}`
      await touches.see(
        { table, constants },
        sql`SELECT 1 AS one ${from} LIMIT 1`,
        (column) => sql`SELECT ${identifier(column)} AS pipe_time ${from}`,
      )
    }
  }
  signal?.throwIfAborted()
  await mark()
  const names = table.columns.map(({ name }) => name)
  await sqls.write(
    `INSERT INTO ${quoteIdentifier(table.name)} (${identifiers([...names, VERSION, DELETED])}) ${changes.ctes} SELECT ${identifiers(names)}, ${version}, 0 FROM pipe_changed`,
  )
  if (gone) await sqls.execute(tombstones(table, gone, version))
  const [count] = await sqls.all(`SELECT count(*) AS n FROM ${stage}`)
  return { rows: Number(count?.n ?? 0), ...met }
}

/** What of the rows that the query does not replace has the key of one of its own. */
async function metBy(sqls: Sql, { ctes, table }: Changes, { replace, output }: SelectWrite): Promise<Omit<Selected, 'rows'>> {
  const own = [...Object.keys(output.constants), ...(typeof replace === 'object' ? [replace.column] : [])]
  // A row of the same key is then one that the query replaces.
  if (replace !== undefined && own.every((name) => table.key.includes(name))) return { there: 0, overwritten: 0 }
  const key = identifiers(table.key)
  const others = replace === undefined ? sqlText('TRUE') : sql`ifNull(NOT (${areOwn(replace === 'all' ? output : replace, table)}), 1)`
  const meeting = (rows: string) =>
    sql`SELECT count() FROM ${identifier(table.name)} WHERE (${sqlText(key)}) IN (SELECT ${sqlText(key)} FROM ${sqlText(rows)}) AND ${others}`
  const [found] = await sqls.select(
    sql`${sqlText(ctes)} SELECT (${meeting('pipe_new')}) AS there, (${meeting('pipe_changed')}) AS overwritten`,
  )
  return { there: Number(found?.there ?? 0), overwritten: Number(found?.overwritten ?? 0) }
}

/** Rows of the query, and rows outside of the stretch that it replaces whose keys they have. */
async function strangers(sqls: Sql, { ctes, table }: Changes, { replace, output }: SelectWrite): Promise<readonly Meeting[]> {
  if (replace === undefined || replace === 'all' || table.onConflict === 'last') return []
  const key = identifiers(table.key)
  const columns = table.columns.flatMap(({ name }, i) =>
    ['o', 'n'].map((of) => `toString(${of}.${quoteIdentifier(name)}) AS pipe_${of}_${i}`),
  )
  const [there, given] = ['o', 'n'].map((of) => `${of}.${quoteIdentifier(replace.column)}`)
  const rows = await sqls.select(
    sql`${sqlText(ctes)} SELECT ${sqlText(`${there} AS pipe_there, ${given} AS pipe_given, ${columns.join(', ')}`)}
      FROM pipe_changed AS n
      INNER JOIN (
        SELECT * FROM ${identifier(table.name)} WHERE (${sqlText(key)}) IN (SELECT ${sqlText(key)} FROM pipe_changed) AND ifNull(NOT (${areOwn(replace, table)}), 1)
      ) AS o ON ${sqlText(table.key.map((name) => `n.${quoteIdentifier(name)} = o.${quoteIdentifier(name)}`).join(' AND '))}
      LIMIT 1000`,
  )
  return rows.map((row) => meetingOf(row, output, table))
}

/** Rows of what the select replaces that it does not give, as a condition. */
function goneRows({ replace, output }: SelectWrite, table: Table, rows: string): Statement | undefined {
  if (replace === undefined) return undefined
  const own = areOwn(replace === 'all' ? output : replace, table)
  const key = joinSql(table.key.map(identifier), ', ')
  return sql`${own} AND (${key}) NOT IN (SELECT ${key} FROM (${sqlText(rows)}) AS pipe_rows)`
}

async function check(
  sqls: Sql,
  stage: string,
  rows: string,
  typed: ReadonlyMap<string, Computed>,
  { output, replace }: SelectWrite,
  table: Table,
  signal: AbortSignal | undefined,
): Promise<void> {
  const given = table.key.filter((name) => typed.has(name))
  const first = async (shown: string, condition: string): Promise<Row | undefined> => {
    const list = [...given.map((key) => `pipe_given.${quoteIdentifier(key)} AS ${quoteIdentifier(key)}`), `${shown} AS pipe_shown`]
    const [row] = await sqls.all(`SELECT ${list.join(', ')} FROM ${stage} AS pipe_given WHERE ${condition} LIMIT 1`, { signal })
    return row
  }
  for (const [column, { bad, text, column: declared }] of typed) {
    const found = await first(text, bad)
    if (!found) continue
    const shown = found.pipe_shown ?? null
    throw notGiven(
      `${rowName(table.name, given)(found)}, column ${column}`,
      shown === null ? 'is NULL, and the column is required' : `${show(shown)} does not fit ${typeLabel(declared.type)}`,
    )
  }
  for (const [column, constant] of Object.entries(output.constants)) {
    const text = typed.get(column)?.text
    const found = text && (await first(text, `${text} IS DISTINCT FROM ${literal(constant, 'clickhouse')}`))
    if (found)
      throw notGiven(
        `${rowName(table.name, given)(found)}, column ${column}`,
        `is ${show(found.pipe_shown)}, and the rows of this step have ${show(constant)}`,
      )
  }
  const [twice] = await sqls.all(
    `SELECT ${identifiers(table.key)}, count(*) AS pipe_times FROM (${rows}) AS pipe_rows GROUP BY ${identifiers(table.key)} HAVING count(*) > 1 LIMIT 1`,
    { signal },
  )
  if (twice) throw givenTwice(table, twice, twice.pipe_times)
  if (replace === undefined || replace === 'all') return
  const outside = sql`ifNull(NOT (${areOwn({ ...replace, constants: {} }, table)}), 1)`
  const [stray] = await sqls.select(
    sql`SELECT ${sqlText(identifiers(table.key))} FROM (${sqlText(rows)}) AS pipe_rows WHERE ${outside} LIMIT 1`,
    { signal },
  )
  if (stray)
    throw notGiven(
      `${rowName(table.name, table.key)(stray)}, column ${replace.column}`,
      `lies outside of the interval ${stretchText(replace)}`,
    )
}

const stretchText = ({ from, to }: Stretch): string => `${formatInstant(from)} to ${formatInstant(to + 1n)}`
