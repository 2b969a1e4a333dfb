import type { ColumnType, WarehouseReader } from '../sdk/index.js'

export type WarehouseKind = WarehouseReader['kind']

type Kind = ColumnType['kind']

/** What each warehouse calls a portable type. Every one holds all values of the type exactly. */
const SQL_TYPES: Record<Kind, Record<WarehouseKind, string>> = {
  bool: { duckdb: 'BOOLEAN', postgres: 'boolean', clickhouse: 'Bool' },
  int: { duckdb: 'INTEGER', postgres: 'integer', clickhouse: 'Int32' },
  bigint: { duckdb: 'BIGINT', postgres: 'bigint', clickhouse: 'Int64' },
  uint256: { duckdb: 'BIGNUM', postgres: 'numeric(78,0)', clickhouse: 'UInt256' },
  int256: { duckdb: 'BIGNUM', postgres: 'numeric(78,0)', clickhouse: 'Int256' },
  decimal: { duckdb: 'DECIMAL', postgres: 'numeric', clickhouse: 'Decimal' },
  float: { duckdb: 'DOUBLE', postgres: 'double precision', clickhouse: 'Float64' },
  text: { duckdb: 'VARCHAR', postgres: 'text', clickhouse: 'String' },
  address: { duckdb: 'VARCHAR', postgres: 'text', clickhouse: 'String' },
  hash: { duckdb: 'VARCHAR', postgres: 'text', clickhouse: 'String' },
  bytes: { duckdb: 'VARCHAR', postgres: 'text', clickhouse: 'String' },
  json: { duckdb: 'JSON', postgres: 'jsonb', clickhouse: 'String' },
  timestamp: { duckdb: 'TIMESTAMP', postgres: 'timestamp', clickhouse: "DateTime64(6, 'UTC')" },
  date: { duckdb: 'DATE', postgres: 'date', clickhouse: 'Date32' },
}

/** The warehouse's name of a type: `DECIMAL(38,6)`. */
export function sqlType(type: ColumnType, warehouse: WarehouseKind): string {
  const name = SQL_TYPES[type.kind][warehouse]
  return type.kind === 'decimal' ? `${name}(${type.precision},${type.scale})` : name
}

/** The type with room for NULL, which ClickHouse wants said. */
export function nullableType(type: ColumnType, warehouse: WarehouseKind): string {
  const name = sqlType(type, warehouse)
  return warehouse === 'clickhouse' ? `Nullable(${name})` : name
}
