import { identifier, joinSql, quoteIdentifier, type Row, type SelectWrite, sql, sqlText, type Statement, type Stretch, type Table, typeLabel, ValueError } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { OutputError } from '../errors.js'
import { checkFilling, literal } from '../fill.js'
import { nullableType } from '../types.js'
import { type Computed, computedColumn } from './compute.js'
import { onCluster, type Place } from './ddl.js'
import { rowName } from './lanes.js'
import type { Sql } from './sql.js'
import { equal, inStretch, keyRow, tombstones } from './stretch.js'
import type { Touches } from './touches.js'
import { bound } from './values.js'

/** Tables that hold the result of a query while it is checked and moved. Left by a kill, they are dropped a day later. */
export const STAGE_PREFIX = '_pipe_select_'

export interface SelectOptions {
  readonly select: SelectWrite
  readonly table: Table
  readonly place: Place
  /** Of the rows that are written; those that go get the one before it. */
  readonly version: bigint
  readonly touches: Touches
  /** Called once it is known what will be touched, before any row is written. */
  readonly mark: () => Promise<void>
}

/**
 * Writes what a query gives: its whole result is put aside first, so that it is the same in every step that follows.
 * Rows that are there as they are stay untouched. Resolves to how many rows the query gave.
 *
 * @throws {ValueError} for a key that comes twice, a value that does not fit, a row outside of what the unit owns.
 */
export async function writeSelect(sqls: Sql, options: SelectOptions): Promise<number> {
  const { select, table, place, version } = options
  checkFilling(select.output, table)
  const { text, params } = bound(select.sql)
  const given = await sqls.describe(text, params)
  const columns = select.output.columns.map((name) => {
    const found = given.find((column) => column.name === name)
    if (!found) throw new OutputError(`output ${select.output.id}`, `the query gives no column ${name}; it gives ${given.map((column) => column.name).join(', ')}`)
    const declared = table.columns.find((column) => column.name === name)
    // A bare NULL has a type that no table can have.
    return { name, type: found.sqlType.includes('Nothing') && declared ? nullableType(declared.type, 'clickhouse') : found.sqlType }
  })
  const stage = quoteIdentifier(`${STAGE_PREFIX}${version}`)
  const names = identifiers(columns.map(({ name }) => name))
  await sqls.write(`DROP TABLE IF EXISTS ${stage}${onCluster(place)} SYNC`)
  await sqls.write(
    `CREATE TABLE ${stage}${onCluster(place)} (${columns.map(({ name, type }) => `${quoteIdentifier(name)} ${type}`).join(', ')}) ENGINE = MergeTree ORDER BY tuple()`,
    { once: true },
  )
  try {
    await sqls.write(`INSERT INTO ${stage} (${names}) SELECT ${names} FROM (${text}\n) AS pipe_query`, {
      params,
      once: true,
      ...(select.timeoutMs === undefined ? {} : { timeoutMs: select.timeoutMs }),
    })
    return await move(sqls, stage, columns, options)
  } finally {
    await sqls.write(`DROP TABLE IF EXISTS ${stage}${onCluster(place)} SYNC`)
  }
}

async function move(
  sqls: Sql,
  stage: string,
  columns: readonly { readonly name: string; readonly type: string }[],
  { select, table, version, touches, mark }: SelectOptions,
): Promise<number> {
  const typed = new Map<string, Computed>()
  for (const { name, type } of columns) {
    const column = table.columns.find((candidate) => candidate.name === name)
    if (column) typed.set(name, computedColumn(column, quoteIdentifier(name), type))
  }
  await check(sqls, stage, typed, select, table)
  const rows = `SELECT ${table.columns
    .map(({ name }) => {
      const constant = select.output.constants[name]
      const value = typed.get(name)?.value ?? (constant === undefined ? 'NULL' : literal(constant, 'clickhouse'))
      return `${value} AS ${quoteIdentifier(name)}`
    })
    .join(', ')} FROM ${stage}`
  const key = identifiers(table.key)
  const same = table.columns
    .map(({ name }) => {
      const quoted = quoteIdentifier(name)
      return `n.${quoted} ${table.key.includes(name) ? '=' : 'IS NOT DISTINCT FROM'} o.${quoted}`
    })
    .join(' AND ')
  const changed = `(${rows}) AS n LEFT ANTI JOIN ${quoteIdentifier(table.name)} AS o ON ${same}`
  const gone = goneRows(select, table, `SELECT ${key} FROM (${rows})`)
  const newTimes = (column: string) => sqlText(`SELECT n.${quoteIdentifier(column)} AS pipe_time FROM ${changed}`)
  const changedKeys = `SELECT ${table.key.map((name) => `n.${quoteIdentifier(name)}`).join(', ')} FROM ${changed}`
  if (touches.watched(table.name)) {
    const anyNew = sqlText(`SELECT 1 AS one FROM ${changed} LIMIT 1`)
    await touches.see(table, anyNew, (column) =>
      sql`${newTimes(column)} UNION ALL SELECT ${identifier(column)} FROM ${identifier(table.name)} WHERE (${sqlText(key)}) IN (${sqlText(changedKeys)})`,
    )
    if (gone) {
      const from = sql`FROM ${identifier(table.name)} WHERE ${gone}`
      await touches.see(table, sql`SELECT 1 AS one ${from} LIMIT 1`, (column) => sql`SELECT ${identifier(column)} AS pipe_time ${from}`)
    }
  }
  await mark()
  const names = table.columns.map(({ name }) => name)
  await sqls.write(
    `INSERT INTO ${quoteIdentifier(table.name)} (${identifiers([...names, '_pipe_version', '_pipe_deleted'])}) SELECT ${names.map((name) => `n.${quoteIdentifier(name)}`).join(', ')}, ${version}, 0 FROM ${changed}`,
  )
  if (gone) await sqls.execute(tombstones(table, gone, version))
  const [count] = await sqls.all(`SELECT count(*) AS n FROM ${stage}`)
  return Number(count?.n ?? 0)
}

/** Rows of what the select replaces that it does not give, as a condition. */
function goneRows({ replace, output }: SelectWrite, table: Table, keys: string): Statement | undefined {
  if (replace === undefined) return undefined
  const own = replace === 'all' ? equal(output.constants) : [inStretch(owned(replace, output.constants), table)]
  const key = joinSql(table.key.map(identifier), ', ')
  return joinSql([...own, sql`(${key}) NOT IN (${sqlText(keys)})`], ' AND ')
}

const owned = (stretch: Stretch, constants: Readonly<Record<string, string>>): Stretch => ({ ...stretch, constants: { ...constants, ...stretch.constants } })

async function check(sqls: Sql, stage: string, typed: ReadonlyMap<string, Computed>, { output, replace }: SelectWrite, table: Table): Promise<void> {
  const keys = table.key.filter((name) => typed.has(name))
  const name = rowName(table.name, keys)
  const first = async (shown: string, condition: Statement): Promise<Row | undefined> => {
    const list = [...keys.map((key) => `${typed.get(key)?.value ?? 'NULL'} AS ${quoteIdentifier(key)}`), `${shown} AS pipe_shown`]
    const [row] = await sqls.select(sql`SELECT ${sqlText(list.join(', '))} FROM ${sqlText(stage)} WHERE ${condition} LIMIT 1`)
    return row
  }
  for (const [column, { bad, text, column: declared }] of typed) {
    const found = await first(text, sqlText(`(${bad})`))
    if (!found) continue
    const shown = found.pipe_shown
    const problem = shown === null ? 'is NULL, and the column is required:' : `is ${String(shown)}, which does not fit`
    throw new ValueError(`${name(keyRow(found, keys))}, column ${column}`, `${problem} ${typeLabel(declared.type)}`)
  }
  for (const [column, constant] of Object.entries(output.constants)) {
    const value = typed.get(column)?.value
    if (value === undefined) continue
    const found = await first(value, sqlText(`${value} IS DISTINCT FROM ${literal(constant, 'clickhouse')}`))
    if (found)
      throw new ValueError(
        `${name(keyRow(found, keys))}, column ${column}`,
        `is ${JSON.stringify(found.pipe_shown)}, and the step's own rows have ${JSON.stringify(constant)}`,
      )
  }
  if (replace !== undefined && replace !== 'all' && typed.has(replace.column)) {
    const value = typed.get(replace.column)?.value ?? 'NULL'
    const inside = inStretch({ ...replace, constants: {} }, table)
    const [found] = await sqls.select(
      sql`SELECT ${sqlText(keys.map((key) => `${quoteIdentifier(`pipe_${key}`)} AS ${quoteIdentifier(key)}`).join(', '))} FROM (SELECT ${sqlText([...keys.map((key) => `${typed.get(key)?.value ?? 'NULL'} AS ${quoteIdentifier(`pipe_${key}`)}`), `${value} AS ${quoteIdentifier(replace.column)}`].join(', '))} FROM ${sqlText(stage)}) AS pipe_rows WHERE ifNull(NOT (${inside}), 1) LIMIT 1`,
    )
    if (found)
      throw new ValueError(`${name(keyRow(found, keys))}, column ${replace.column}`, 'lies outside of the interval that the query was run for')
  }
  const values = keys.map((key) => `${typed.get(key)?.value ?? 'NULL'} AS ${quoteIdentifier(key)}`).join(', ')
  const [twice] = await sqls.all(
    `SELECT ${identifiers(keys)} FROM (SELECT ${values} FROM ${stage}) AS pipe_rows GROUP BY ${identifiers(keys)} HAVING count(*) > 1 LIMIT 1`,
  )
  if (twice) throw new ValueError(name(twice), 'is given more than once by the query')
}

