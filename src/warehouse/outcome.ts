import type { Row, UnitWrite } from '../sdk/index.js'
import type { Loaded } from './transaction.js'

/** The part of an outcome that says how many texts of a write were replaced, given the row of each one of the commit. */
export function replacedIn(write: UnitWrite, replaced: readonly Row[]): { readonly replaced?: number } {
  if (replaced.length === 0) return {}
  const own = new Set(write.rows.flatMap(({ rows }) => rows))
  const count = replaced.filter((row) => own.has(row)).length
  return count === 0 ? {} : { replaced: count }
}

/** What an outcome says of rows that met others under their key. */
export interface Moved {
  readonly there: Readonly<Record<string, number>>
  readonly overwritten: Readonly<Record<string, number>>
  readonly unseen: readonly string[]
}

type Met = Pick<Loaded, 'there' | 'overwritten'> & { readonly unseen?: boolean }

/** Notes it with the first of the writes: which of them brought the rows is not known and makes no difference, since they are of one step. */
export function note(
  moved: Map<UnitWrite, Moved>,
  [first]: readonly UnitWrite[],
  table: string,
  { there, overwritten, unseen }: Met,
): void {
  if (!first || (there === 0 && unseen !== true)) return
  const known = moved.get(first) ?? { there: {}, overwritten: {}, unseen: [] }
  const more = (counts: Moved['there'], n: number) => (n > 0 ? { ...counts, [table]: (counts[table] ?? 0) + n } : counts)
  moved.set(first, {
    there: more(known.there, there),
    overwritten: more(known.overwritten, overwritten),
    unseen: unseen === true ? [...known.unseen, table] : known.unseen,
  })
}
