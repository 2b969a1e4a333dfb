import {
  type Column,
  identifier,
  joinSql,
  type Output,
  quoteIdentifier,
  sql,
  type Statement,
  type Stretch,
  type Table,
} from '../sdk/index.js'
import { identifiers } from './ddl.js'
import { OutputError } from './errors.js'
import type { WarehouseKind } from './types.js'

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

/**
 * Moves staged rows into their table: computes, adds constants, and overwrites what has the same key. `source` selects
 * the brought columns and the constants with their declared types. `only` may narrow the SELECT, given the key as SQL.
 */
export function fill(
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
  const rest = table.columns.filter(({ name }) => !table.key.includes(name)).map(({ name }) => quoteIdentifier(name))
  const action = rest.length === 0 ? 'DO NOTHING' : `DO UPDATE SET ${rest.map((name) => `${name} = excluded.${name}`).join(', ')}`
  const names = table.columns.map(({ name }) => name)
  const select = only(`SELECT ${names.map(valueOf).join(', ')} FROM (${source}) AS pipe_row`, table.key.map(valueOf))
  return `INSERT INTO ${quoteIdentifier(table.name)} (${identifiers(names)}) ${select} ON CONFLICT (${identifiers(table.key)}) ${action}`
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

/** Deletes the rows of a stretch. Its ends are numbers, or microseconds UTC where the column is a time or a date. */
export function deleteStretch(stretch: Stretch, table: Table): Statement {
  const { type } = declared(stretch.column, table, `range of ${table.name}`)
  // In the column's own width: comparing in a wider type reads the whole table.
  const wide = type.kind === 'uint256' || type.kind === 'int256' ? 'int256' : 'bigint'
  const at = (value: bigint) =>
    type.kind === 'date'
      ? sql`CAST(${{ type: { kind: 'timestamp' }, value }} AS DATE)`
      : sql`${{ type: { kind: type.kind === 'timestamp' ? type.kind : wide }, value }}`
  const column = identifier(stretch.column)
  const conditions = [
    sql`${column} >= ${at(stretch.from)}`,
    sql`${column} <= ${at(stretch.to)}`,
    ...Object.entries(stretch.constants).map(([name, value]) => sql`${identifier(name)} = ${{ type: { kind: 'text' }, value }}`),
  ]
  return sql`DELETE FROM ${identifier(table.name)} WHERE ${joinSql(conditions, ' AND ')}`
}

function declared(name: string, table: Table, where: string): Column {
  const column = table.columns.find((candidate) => candidate.name === name)
  if (!column)
    throw new OutputError(where, `${table.name} has no column ${name}; it has ${table.columns.map((known) => known.name).join(', ')}`)
  return column
}
