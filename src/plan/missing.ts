import {
  identifier,
  joinSql,
  type Output,
  type Param,
  type RecordRule,
  sql,
  sqlText,
  type Statement,
  type Table,
  type Wanted,
} from '../sdk/index.js'
import type { Interval } from '../ledger/intervals.js'

/** Name of the column that carries the text of a row's key. */
export const KEY_COLUMN = '_pipe_key'

export type RowsWanted = Extract<Wanted, { kind: 'rows' }>

/** Which rows of a query to look at. */
export interface RowsFilter {
  /** Stretch of the (single, integer) key. */
  readonly keys?: Interval
  /** Stretches of that key that are left out. */
  readonly except?: readonly Interval[]
  /** Rows from this key on, itself included, in the order of the query. */
  readonly from?: readonly Param[]
  /** Rows before this key, itself left out. */
  readonly until?: readonly Param[]
  /** All rows, also those that the output has. */
  readonly redo?: boolean
  /** With `redo`: only those that the output has. */
  readonly there?: boolean
  /** Leaves out keys that are in quarantine for this step. */
  readonly notQuarantined?: { readonly pipeline: string; readonly step: string }
}

/** A row's key as text, made by the database so that it is the same wherever it is compared. */
function keyText(key: readonly string[]): Statement {
  return joinSql(
    key.map((column) => sql`CAST(q.${identifier(column)} AS VARCHAR)`),
    ` || ',' || `,
  )
}

/** The rows of `wanted` that should exist in `into` and don't: no row there has equal copied columns and constants. */
function missingRows(wanted: RowsWanted, into: Table, filter: RowsFilter): Statement {
  const conditions: Statement[] = []
  const column = (name: string) => sql`q.${identifier(name)}`
  if (filter.keys) {
    const key = column(wanted.key[0] ?? '')
    conditions.push(sql`${key} >= ${big(filter.keys[0])}`, sql`${key} <= ${big(filter.keys[1])}`)
  }
  for (const [from, to] of filter.except ?? []) {
    const key = column(wanted.key[0] ?? '')
    conditions.push(sql`NOT (${key} >= ${big(from)} AND ${key} <= ${big(to)})`)
  }
  if (filter.from) conditions.push(atOrAfter(wanted, filter.from))
  if (filter.until) conditions.push(sql`NOT ${atOrAfter(wanted, filter.until)}`)
  const joins: Statement[] = []
  /** Leaves out the rows that have a partner. DuckDB computes NOT EXISTS by three joins that hold the rows in full, and this by one. */
  const without = (partner: Statement, on: Statement, there: Statement) => {
    joins.push(sql` LEFT JOIN ${partner} ON ${on}`)
    conditions.push(sql`${there} IS NULL`)
  }
  if (!filter.redo)
    without(sql`${identifier(into.name)} AS t`, isRead(into, wanted.copied, wanted.constants), sql`t.${identifier(into.key[0] ?? '')}`)
  if (filter.there)
    conditions.push(sql`EXISTS (SELECT 1 FROM ${identifier(into.name)} AS t WHERE ${isRead(into, wanted.copied, wanted.constants)})`)
  if (filter.notQuarantined) {
    const { pipeline, step } = filter.notQuarantined
    const keys = sql`(SELECT key FROM _pipe_quarantine WHERE pipeline = ${text(pipeline)} AND step = ${text(step)}) AS z`
    without(keys, sql`z.key = ${keyText(wanted.key)}`, sqlText('z.key'))
  }
  const where = conditions.length > 0 ? sql` WHERE ${joinSql(conditions, ' AND ')}` : sqlText('')
  return sql`FROM (${wanted.sql}
) AS q${joinSql(joins, '')}${where}`
}

/** Condition that a row `t` of a table was read for the record `q` as it is: its copied columns and constants are equal. */
function isRead(into: Table, copied: Readonly<Record<string, string>>, constants: Readonly<Record<string, string>>): Statement {
  const equal = [
    ...Object.entries(copied).map(
      ([target, source]) =>
        sql`t.${identifier(target)} ${sqlText(into.key.includes(target) ? '=' : 'IS NOT DISTINCT FROM')} q.${identifier(source)}`,
    ),
    ...Object.entries(constants).map(([target, value]) => sql`t.${identifier(target)} = ${text(value)}`),
  ]
  return joinSql(equal, ' AND ')
}

/** Which record of the query a row of one of its tables was read for, by the columns that are copied from it. */
export function recordRule(wanted: RowsWanted, tables: ReadonlyMap<string, Table>): RecordRule {
  const copiedOf = ({ id }: Output) => (id === wanted.output ? wanted.copied : (wanted.copiedBeside?.[id] ?? {}))
  return {
    columns: (output) => {
      const copied = Object.entries(copiedOf(output))
      const columns = wanted.key.map((column) => copied.find(([, source]) => source === column)?.[0])
      const named = columns.filter((column) => column !== undefined)
      const key = tables.get(output.table)?.key ?? []
      return named.length < columns.length || named.every((column) => key.includes(column)) ? undefined : named
    },
    standing: (output, rows) => {
      const into = tables.get(output.table)
      if (!into) throw new Error(`output ${output.id} names the table ${output.table}, which is not declared`)
      return sql`SELECT ${keyText(wanted.key)} AS ${identifier(KEY_COLUMN)} FROM (${wanted.sql}
) AS q WHERE EXISTS (
        SELECT 1 FROM ${identifier(into.name)} AS t WHERE ${isRead(into, copiedOf(output), output.constants)} AND (${rows})
      ) LIMIT 1`
    },
  }
}

/** The missing rows in the wanted order, at most `limit`, with the text of each key. */
export function missingPage(wanted: RowsWanted, into: Table, filter: RowsFilter, limit: number | undefined): Statement {
  const end = sqlText(limit === undefined ? '' : ` LIMIT ${limit}`)
  return sql`SELECT q.*, ${keyText(wanted.key)} AS ${identifier(KEY_COLUMN)} ${missingRows(wanted, into, filter)}
    ORDER BY ${orderBy(wanted)}${end}`
}

/** Those of the page that have these places in it, counted from 0. */
export function missingAt(wanted: RowsWanted, into: Table, filter: RowsFilter, places: readonly bigint[]): Statement {
  return sql`SELECT * FROM (
  SELECT q.*, ${keyText(wanted.key)} AS ${identifier(KEY_COLUMN)}, row_number() OVER (ORDER BY ${orderBy(wanted)}) - 1 AS pipe_place ${missingRows(wanted, into, filter)}
) AS s WHERE pipe_place IN (${sqlText(places.join(', '))}) ORDER BY pipe_place`
}

/** How many rows are missing. */
export function missingCount(wanted: RowsWanted, into: Table, filter: RowsFilter): Statement {
  return sql`SELECT count(*) AS n ${missingRows(wanted, into, filter)}`
}

/** All rows of the query, done or not. */
export function queryCount(wanted: RowsWanted): Statement {
  return sql`SELECT count(*) AS n FROM (${wanted.sql}
) AS q`
}

/** How many rows are missing in each aligned stretch of `chunk` numbers of an integer key, by the first number of the stretch. */
export function missingCells(wanted: RowsWanted, into: Table, filter: RowsFilter): Statement {
  const key = sql`CAST(q.${identifier(wanted.key[0] ?? '')} AS BIGINT)`
  const chunk = sqlText(String(wanted.chunk))
  const cell = sql`(${key} - ((${key} % ${chunk}) + ${chunk}) % ${chunk})`
  return sql`SELECT ${cell} AS cell, count(*) AS n ${missingRows(wanted, into, filter)}
    GROUP BY 1
    ORDER BY 1`
}

/** The same cells, each with the first and the last key that is missing in it. */
export function missingEnds(wanted: RowsWanted, into: Table): Statement {
  const key = sql`CAST(q.${identifier(wanted.key[0] ?? '')} AS BIGINT)`
  const chunk = sqlText(String(wanted.chunk))
  return sql`SELECT min(${key}) AS "first", max(${key}) AS "last" ${missingRows(wanted, into, {})}
    GROUP BY ${key} - ((${key} % ${chunk}) + ${chunk}) % ${chunk}
    ORDER BY 1`
}

/** The key of each `chunk`th missing row in the wanted order: where units of a key that is no integer begin. */
export function missingStarts(wanted: RowsWanted, into: Table, filter: RowsFilter): Statement {
  const keys = joinSql(
    wanted.key.map((column) => identifier(column)),
    ', ',
  )
  const selected = joinSql(
    wanted.key.map((column) => sql`q.${identifier(column)}`),
    ', ',
  )
  const chunk = sqlText(String(wanted.chunk))
  return sql`SELECT ${keys}, ${identifier(KEY_COLUMN)}, n FROM (
  SELECT ${selected}, ${keyText(wanted.key)} AS ${identifier(KEY_COLUMN)}, row_number() OVER (ORDER BY ${orderBy(wanted)}) AS n ${missingRows(wanted, into, filter)}
) AS s WHERE (n - 1) % ${chunk} = 0 ORDER BY n`
}

function orderBy(wanted: RowsWanted): Statement {
  const direction = wanted.order === 'newest-first' ? 'DESC' : 'ASC'
  return joinSql(
    wanted.key.map((column) => sql`q.${identifier(column)} ${sqlText(direction)}`),
    ', ',
  )
}

/** Comparison by all key columns in turn, spelt out: not every warehouse compares rows. */
function atOrAfter(wanted: RowsWanted, key: readonly Param[]): Statement {
  const last = wanted.key.length - 1
  const alternatives = wanted.key.map((column, i) => {
    const equal = wanted.key.slice(0, i).map((name, j) => sql`q.${identifier(name)} = ${at(key, j)}`)
    const sign = (wanted.order === 'newest-first' ? '<' : '>') + (i === last ? '=' : '')
    return sql`(${joinSql([...equal, sql`q.${identifier(column)} ${sqlText(sign)} ${at(key, i)}`], ' AND ')})`
  })
  return sql`(${joinSql(alternatives, ' OR ')})`
}

function at(params: readonly Param[], index: number): Param {
  const param = params[index]
  if (!param) throw new Error(`key has ${params.length} values, ${index + 1} wanted`)
  return param
}

const big = (value: bigint): Param => ({ type: { kind: 'bigint' }, value })
const text = (value: string): Param => ({ type: { kind: 'text' }, value })
