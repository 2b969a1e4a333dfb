import {
  type Column,
  identifier,
  joinSql,
  type Output,
  type OwnRows,
  quoteIdentifier,
  sql,
  sqlText,
  type Statement,
  type Stretch,
  type Table,
} from '../sdk/index.js'
import { identifiers } from './ddl.js'
import { OutputError } from './errors.js'
import { sqlType, type WarehouseKind } from './types.js'

/** The columns that rows of an output bring, as the table declares them. @throws {OutputError} when the table lacks one. */
export function broughtColumns(output: Output, table: Table): readonly Column[] {
  return output.columns.map((name) => declared(name, table, `output ${output.id}`))
}

/** Where each column of the table comes from, by the output's own words. @throws {OutputError} for what can't be filled. */
export function checkFilling(output: Output, table: Table): void {
  const where = `output ${output.id}`
  const seen = new Set<string>()
  for (const name of [...output.columns, ...Object.keys(output.compute), ...Object.keys(output.constants)]) {
    declared(name, table, where)
    if (seen.has(name))
      throw new OutputError(where, `column ${name} of ${table.name} is filled twice`, 'keep one of row, compute and constants')
    seen.add(name)
  }
  const missing = table.columns.filter((column) => !column.nullable && !seen.has(column.name)).map(({ name }) => name)
  if (missing.length > 0) {
    throw new OutputError(
      where,
      `nothing fills ${missing.join(', ')} of ${table.name}`,
      'name it in row or compute, or write ? after its type',
    )
  }
}

/** Moves staged rows into their table: computes, adds constants, and overwrites what has the same key. See `filled`. */
export function fill(output: Output, table: Table, source: string, only?: (select: string, key: readonly string[]) => string): string {
  return insertSelected(table, filled(output, table, source, only))
}

/** `INSERT` of what a SELECT gives for all columns of a table in their order. What has the same key is overwritten, or kept. */
export function insertSelected(table: Table, select: string, conflict: 'overwrite' | 'keep' = 'overwrite'): string {
  const rest = table.columns.filter(({ name }) => !table.key.includes(name)).map(({ name }) => quoteIdentifier(name))
  const action =
    rest.length === 0 || conflict === 'keep' ? 'DO NOTHING' : `DO UPDATE SET ${rest.map((name) => `${name} = excluded.${name}`).join(', ')}`
  const names = identifiers(table.columns.map(({ name }) => name))
  return `INSERT INTO ${quoteIdentifier(table.name)} (${names}) ${select} ON CONFLICT (${identifiers(table.key)}) ${action}`
}

/**
 * Staged rows as the table will have them: a SELECT of all its columns in their order, each under its name. `source`
 * selects the brought columns and the constants with their declared types. `only` may narrow the SELECT, given the key as
 * SQL.
 */
export function filled(
  output: Output,
  table: Table,
  source: string,
  only: (select: string, key: readonly string[]) => string = (select) => select,
): string {
  const compute = new Map(Object.entries(output.compute))
  const brought = new Set(output.columns)
  const valueOf = (name: string): string => {
    const expression = compute.get(name)
    // On a line of its own: the expression may end in a comment.
    if (expression !== undefined) return `(${expression}\n)`
    return brought.has(name) || name in output.constants ? quoteIdentifier(name) : 'NULL'
  }
  const columns = table.columns.map(({ name }) => `${valueOf(name)} AS ${quoteIdentifier(name)}`)
  return only(`SELECT ${columns.join(', ')} FROM (${source}) AS pipe_row`, table.key.map(valueOf))
}

/** A SELECT of all columns of a table, each cast to its declared type. */
export function typed(table: Table, select: string, kind: WarehouseKind): string {
  const columns = table.columns.map(
    ({ name, type }) => `CAST(${quoteIdentifier(name)} AS ${sqlType(type, kind)}) AS ${quoteIdentifier(name)}`,
  )
  return `SELECT ${columns.join(', ')} FROM (${select}) AS pipe_filled`
}

/** Condition that rows under two aliases have the same key. */
export function sameKey(table: Table, a: string, b: string): string {
  return table.key.map((name) => `${a}.${quoteIdentifier(name)} = ${b}.${quoteIdentifier(name)}`).join(' AND ')
}

/** Condition that they differ beside the key. */
export function differ(table: Table, a: string, b: string, kind: WarehouseKind): string {
  const rest = table.columns.filter(({ name }) => !table.key.includes(name))
  const value = (row: string, { name, type }: Column) =>
    // A table that was there before may have the type `json`, whose values Postgres does not compare.
    kind === 'postgres' && type.kind === 'json' ? `CAST(${row}.${quoteIdentifier(name)} AS jsonb)` : `${row}.${quoteIdentifier(name)}`
  return rest.length === 0 ? 'FALSE' : `(${rest.map((column) => `${value(a, column)} IS DISTINCT FROM ${value(b, column)}`).join(' OR ')})`
}

/** The constants of an output as columns of a SELECT. */
export function constantColumns(output: Output, dialect: WarehouseKind = 'duckdb'): string[] {
  return Object.entries(output.constants).map(([name, value]) => `${literal(value, dialect)} AS ${quoteIdentifier(name)}`)
}

/** A text as SQL. */
export function literal(text: string, dialect: WarehouseKind): string {
  // ClickHouse reads backslashes in a text as escapes.
  return `'${(dialect === 'clickhouse' ? text.replaceAll('\\', '\\\\') : text).replaceAll("'", "''")}'`
}

/** Rows of a step's own, as a condition. */
export function areOwn(own: OwnRows | Stretch, table: Table): Statement {
  const constants = Object.entries(own.constants).map(([name, value]) => sql`${identifier(name)} = ${{ type: { kind: 'text' }, value }}`)
  return joinSql(['column' in own ? inStretch(own, table) : sqlText('TRUE'), ...constants], ' AND ')
}

/** The rows of a stretch, as a condition. Its ends are numbers, or microseconds UTC where the column is a time or a date. */
function inStretch(stretch: Stretch, table: Table): Statement {
  const { type } = declared(stretch.column, table, `range of ${table.name}`)
  // In the column's own width: comparing in a wider type reads the whole table.
  const wide = type.kind === 'uint256' || type.kind === 'int256' ? 'int256' : 'bigint'
  const at = (value: bigint) =>
    type.kind === 'date'
      ? sql`CAST(${{ type: { kind: 'timestamp' }, value }} AS DATE)`
      : sql`${{ type: { kind: type.kind === 'timestamp' ? type.kind : wide }, value }}`
  const column = identifier(stretch.column)
  return sql`${column} >= ${at(stretch.from)} AND ${column} <= ${at(stretch.to)}`
}

function declared(name: string, table: Table, where: string): Column {
  const column = table.columns.find((candidate) => candidate.name === name)
  if (!column)
    throw new OutputError(where, `${table.name} has no column ${name}; it has ${table.columns.map((known) => known.name).join(', ')}`)
  return column
}
