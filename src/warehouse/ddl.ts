import { type Column, type ColumnType, quoteIdentifier, type Table } from '../sdk/index.js'
import { sqlType, type WarehouseKind } from './types.js'

/** Borders of the types that a warehouse's own type does not check, as SQL. */
const BORDERS: Partial<Record<ColumnType['kind'], readonly [string, string]>> = {
  uint256: ['0', String(2n ** 256n - 1n)],
  int256: [String(-(2n ** 255n)), String(2n ** 255n - 1n)],
}

/** Numbers that stand in the checks of our own tables, and hardly in those of others. */
export const OWN_BORDERS: readonly string[] = Object.values(BORDERS).map(([, most]) => most)

/** `CREATE TABLE` with its key. Every required column is NOT NULL, and 256-bit columns refuse what is wider. */
export function createTable(table: Table, dialect: WarehouseKind): string {
  return `CREATE TABLE ${quoteIdentifier(table.name)} (${definitions(table, dialect)}, PRIMARY KEY (${identifiers(table.key)}))`
}

/** A temporary table of the same columns, without key and checks. */
export function createTemporary(table: Table, dialect: WarehouseKind): string {
  const columns = table.columns.map((column) => `${quoteIdentifier(column.name)} ${sqlType(column.type, dialect)}`)
  return `CREATE TEMPORARY TABLE ${quoteIdentifier(table.name)} (${columns.join(', ')})`
}

export function createIndex(table: Table, name: string, columns: readonly string[]): string {
  return `CREATE INDEX IF NOT EXISTS ${quoteIdentifier(name)} ON ${quoteIdentifier(table.name)} (${identifiers(columns)})`
}

/** A condition that is true where a value is outside of its type, or undefined when the warehouse's type sees to that. */
export function outside(expression: string, type: ColumnType, dialect: WarehouseKind): string | undefined {
  const borders = BORDERS[type.kind]
  if (!borders) return undefined
  const [least, most] = borders.map((border) => `CAST('${border}' AS ${sqlType(type, dialect)})`)
  return `(${expression} < ${least} OR ${expression} > ${most})`
}

/** `"a", "b"`. */
export function identifiers(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(', ')
}

function definitions(table: Table, dialect: WarehouseKind): string {
  return table.columns.map((column) => definition(column, dialect)).join(', ')
}

function definition(column: Column, dialect: WarehouseKind): string {
  const name = quoteIdentifier(column.name)
  const refused = outside(name, column.type, dialect)
  return `${name} ${sqlType(column.type, dialect)}${column.nullable ? '' : ' NOT NULL'}${refused === undefined ? '' : ` CHECK (NOT ${refused})`}`
}
