import type { Param, Statement } from '../sdk/index.js'
import { nullableType, sqlType, type WarehouseKind } from './types.js'

/**
 * The text of a statement with `CAST($1 AS BIGINT)` where its values are bound: untyped ones would be guessed. ClickHouse
 * has names and types in its own placeholders: `{p1:Int64}`.
 */
export function render(statement: Statement, dialect: WarehouseKind): { readonly text: string; readonly params: readonly Param[] } {
  const text = statement.parts.reduce((all, part, i) => {
    const param = statement.params[i - 1]
    return param ? all + placeholder(param, i, dialect) + part : all + part
  })
  return { text, params: statement.params }
}

function placeholder({ type, value }: Param, index: number, dialect: WarehouseKind): string {
  if (dialect !== 'clickhouse') return `CAST($${index} AS ${sqlType(type, dialect)})`
  return `{p${index}:${value === null ? nullableType(type, dialect) : sqlType(type, dialect)}}`
}
