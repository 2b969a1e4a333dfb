import { PipeError } from './errors.js'
import type { WarehouseReader } from './stores.js'

/** A SQL text has no version for this warehouse. */
export class DialectError extends PipeError {
  readonly code = 'SQL_DIALECT'
  override readonly hint = 'add one, or `default`'
  constructor(where: string, kind: string, known: readonly string[]) {
    super(`${where} has no text for ${kind}, only for ${known.join(', ')}`)
  }
}

/** A SQL text as a file gives it: one for all warehouses, or a map by warehouse with `default` for the others. */
export type SqlByWarehouse = string | Readonly<Record<string, string>>

/** The text for a warehouse. `where` names the field. @throws {DialectError} */
export function sqlFor(sql: SqlByWarehouse, kind: WarehouseReader['kind'], where: string): string {
  const text = typeof sql === 'string' ? sql : (sql[kind] ?? sql.default)
  if (text === undefined) throw new DialectError(where, kind, Object.keys(sql))
  return text
}

/** All texts of it, whatever the warehouse. */
export function sqlTexts(sql: SqlByWarehouse): readonly string[] {
  return typeof sql === 'string' ? [sql] : Object.values(sql)
}
