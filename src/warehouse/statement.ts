import type { Param, Statement } from '../sdk/index.js'
import { sqlType, type WarehouseKind } from './types.js'

/** The text of a statement with `CAST($1 AS BIGINT)` where its values are bound: untyped ones would be guessed. */
export function render(statement: Statement, dialect: WarehouseKind): { readonly text: string; readonly params: readonly Param[] } {
  const text = statement.parts.reduce((all, part, i) => {
    const param = statement.params[i - 1]
    return param ? `${all}CAST($${i} AS ${sqlType(param.type, dialect)})${part}` : all + part
  })
  return { text, params: statement.params }
}
