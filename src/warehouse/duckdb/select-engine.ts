import { type DuckDBType, DuckDBTypeId, StatementType } from '@duckdb/node-api'
import { type Column, quoteIdentifier, type Row, type Statement, sql, sqlText } from '../../sdk/index.js'
import { outside } from '../ddl.js'
import { type Given, notSelect, type SelectEngine } from '../selects.js'
import { textPattern } from '../text-values.js'
import { sqlType } from '../types.js'
import { interruptible, readRows } from './reads.js'
import type { Transactions } from './transactions.js'
import { prepare } from './values.js'

/** Moves rows of queries inside a transaction of DuckDB. */
export function selectEngine({ connection }: Transactions, signal: AbortSignal | undefined): SelectEngine {
  const run = async (statement: Statement, timeoutMs?: number): Promise<number> => {
    const prepared = await prepare(connection, statement)
    try {
      return (await interruptible(connection, () => prepared.run(), { signal, timeoutMs })).rowsChanged
    } finally {
      prepared.destroySync()
    }
  }
  const temporary = (name: string): string => `temp.${name}`
  return {
    kind: 'duckdb',
    temporary,
    run: (statement) => run(statement),
    async check(query) {
      const prepared = await prepare(connection, query)
      const type = prepared.statementType
      prepared.destroySync()
      if (type !== StatementType.SELECT) throw notSelect()
    },
    async fill(name, select, timeoutMs) {
      await run(sql`CREATE OR REPLACE TEMPORARY TABLE ${sqlText(name)} AS ${select}`, timeoutMs)
    },
    async columns(name) {
      const result = await connection.run(`SELECT * FROM ${temporary(name)} LIMIT 0`)
      const types = result.columnTypes()
      return result.columnNames().map((column, i) => given(column, types[i] as DuckDBType))
    },
    async rows(statement) {
      const prepared = await prepare(connection, statement)
      try {
        const rows: Row[] = []
        for await (const page of readRows(await interruptible(connection, () => prepared.run(), { signal }))) rows.push(...page)
        return rows
      } finally {
        prepared.destroySync()
      }
    },
  }
}

const TEXTS: ReadonlySet<DuckDBTypeId> = new Set([DuckDBTypeId.VARCHAR, DuckDBTypeId.ENUM])

function given(columnName: string, type: DuckDBType): Given {
  const name = quoteIdentifier(columnName)
  const value = (column: Column): string => {
    // DuckDB would turn it by the zone of the session.
    if (column.type.kind === 'timestamp' && type.typeId === DuckDBTypeId.TIMESTAMP_TZ) return `make_timestamp(epoch_us(${name}))`
    const wide = column.type.kind === 'uint256' || column.type.kind === 'int256'
    // DuckDB compares `CAST(int AS BIGNUM) > border` as ints, and fails on the border.
    const from = wide && type.typeId !== DuckDBTypeId.BIGNUM ? `CAST(${name} AS VARCHAR)` : name
    return `TRY_CAST(${from} AS ${sqlType(column.type, 'duckdb')})`
  }
  const misfits = (column: Column): string[] => {
    const border = outside(value(column), column.type, 'duckdb')
    const pattern = TEXTS.has(type.typeId) ? textPattern(column.type) : undefined
    return [
      `(${name} IS NOT NULL AND ${value(column)} IS NULL)`,
      ...(pattern === undefined ? [] : [`NOT regexp_matches(CAST(${name} AS VARCHAR), '${pattern}')`]),
      ...(border === undefined ? [] : [border]),
      // A time without end is no instant, and nobody could read it.
      ...(column.type.kind === 'timestamp' || column.type.kind === 'date' ? [`NOT isfinite(${value(column)})`] : []),
      // Its hour would be cut off in silence.
      ...(column.type.kind === 'date' && type.typeId !== DuckDBTypeId.DATE
        ? [`CAST(${value(column)} AS TIMESTAMP) <> CAST(${name} AS TIMESTAMP)`]
        : []),
      ...(type.typeId === DuckDBTypeId.TIMESTAMP_NS ? [`CAST(${value(column)} AS TIMESTAMP_NS) <> ${name}`] : []),
    ]
  }
  return { name: columnName, value, misfits }
}
