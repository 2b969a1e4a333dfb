import type { Row, UnitWrite } from '../sdk/index.js'

/** The part of an outcome that says how many texts of a write were replaced, given the row of each one of the commit. */
export function replacedIn(write: UnitWrite, replaced: readonly Row[]): { readonly replaced?: number } {
  if (replaced.length === 0) return {}
  const own = new Set(write.rows.flatMap(({ rows }) => rows))
  const count = replaced.filter((row) => own.has(row)).length
  return count === 0 ? {} : { replaced: count }
}
