import type { ColumnType, WarehouseReader } from '../sdk/index.js'

export type WarehouseKind = WarehouseReader['kind']

type Kind = ColumnType['kind']

/** What each warehouse calls a portable type. Every one holds all values of the type exactly. */
const SQL_TYPES: Record<Kind, { readonly duckdb: string }> = {
  bool: { duckdb: 'BOOLEAN' },
  int: { duckdb: 'INTEGER' },
  bigint: { duckdb: 'BIGINT' },
  uint256: { duckdb: 'BIGNUM' },
  int256: { duckdb: 'BIGNUM' },
  decimal: { duckdb: 'DECIMAL' },
  float: { duckdb: 'DOUBLE' },
  text: { duckdb: 'VARCHAR' },
  address: { duckdb: 'VARCHAR' },
  hash: { duckdb: 'VARCHAR' },
  bytes: { duckdb: 'VARCHAR' },
  json: { duckdb: 'JSON' },
  timestamp: { duckdb: 'TIMESTAMP' },
  date: { duckdb: 'DATE' },
}

/** The warehouse's name of a type: `DECIMAL(38,6)`. */
export function sqlType(type: ColumnType, warehouse: keyof (typeof SQL_TYPES)[Kind]): string {
  const name = SQL_TYPES[type.kind][warehouse]
  return type.kind === 'decimal' ? `${name}(${type.precision},${type.scale})` : name
}

/** Warehouses that have a column in the table above. */
export type SqlDialect = Parameters<typeof sqlType>[1]
