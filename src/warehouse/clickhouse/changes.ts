import { quoteIdentifier, type Table } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { sqlType } from '../types.js'

/** Of rows that are about to be written, those that are new or differ from what is there. */
export interface Changes {
  /** Of what a query begins with: makes `pipe_new`, all of the rows, and `pipe_changed` known to it. */
  readonly ctes: string
  /** The same without what is there: makes `pipe_new` alone. */
  readonly given: string
  readonly table: Table
}

/** `rows` is a SELECT of all columns of the table, each under its name. The table is read by the keys of the rows. */
export function changesOf(table: Table, rows: string): Changes {
  const typed = table.columns.map(({ name, type, nullable }) => {
    const quoted = quoteIdentifier(name)
    const wanted = sqlType(type, 'clickhouse')
    return `CAST(${quoted} AS ${nullable ? `Nullable(${wanted})` : wanted}) AS ${quoted}`
  })
  const names = table.columns.map(({ name }) => quoteIdentifier(name))
  const key = identifiers(table.key)
  const same = table.columns.map(({ name }) => {
    const quoted = quoteIdentifier(name)
    return `n.${quoted} ${table.key.includes(name) ? '=' : 'IS NOT DISTINCT FROM'} o.${quoted}`
  })
  const there = `SELECT ${names.join(', ')} FROM ${quoteIdentifier(table.name)} WHERE (${key}) IN (SELECT ${key} FROM pipe_new)`
  const given = `WITH pipe_new AS (SELECT ${typed.join(', ')} FROM (${rows}) AS pipe_rows)`
  return {
    table,
    given,
    ctes: `${given}, pipe_changed AS (SELECT ${names.map((name) => `n.${name} AS ${name}`).join(', ')} FROM pipe_new AS n LEFT ANTI JOIN (${there}) AS o ON ${same.join(' AND ')})`,
  }
}

/** A query that gives a row when the table has one under any of the keys. */
export const anyThere = ({ given, table }: Changes): string =>
  `${given} SELECT 1 AS one FROM ${quoteIdentifier(table.name)} WHERE (${identifiers(table.key)}) IN (SELECT ${identifiers(table.key)} FROM pipe_new) LIMIT 1`

/** A column of all rows. */
export const givenValues = ({ given }: Changes, column: string, as: string): string =>
  `${given} SELECT ${quoteIdentifier(column)} AS ${as} FROM pipe_new`

/** A query that gives a row when there are any. */
export const anyChanged = ({ ctes }: Changes): string => `${ctes} SELECT 1 AS one FROM pipe_changed LIMIT 1`

/** A column of them and of what they overwrite. */
export function changedValues({ ctes, table }: Changes, column: string, as: string): string {
  const [name, key] = [quoteIdentifier(column), identifiers(table.key)]
  return `${ctes} SELECT ${name} AS ${as} FROM pipe_changed UNION ALL SELECT ${name} FROM ${quoteIdentifier(table.name)} WHERE (${key}) IN (SELECT ${key} FROM pipe_changed)`
}
