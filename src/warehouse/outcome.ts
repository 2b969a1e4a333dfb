import type { UnitWrite } from '../sdk/index.js'
import type { Loaded } from './transaction.js'
import { type Brought, counts } from './writes.js'

/** Notes how many texts of each write were replaced, given for each the place of its row among those that the writes bring, in their order. */
export function noteReplaced(noted: Map<UnitWrite, number>, from: readonly Brought[], replaced: readonly number[]): void {
  for (const place of replaced) {
    let left = place
    const brought = from.find(({ rows }) => (left -= rows) < 0)
    if (brought) noted.set(brought.write, (noted.get(brought.write) ?? 0) + 1)
  }
}

/** What an outcome says of rows that met others under their key. */
export interface Moved {
  readonly there: Readonly<Record<string, number>>
  readonly overwritten: Readonly<Record<string, number>>
  readonly unseen: readonly string[]
}

type Met = Pick<Loaded, 'there' | 'overwritten'> & { readonly unseen?: boolean }

/**
 * Notes it with the writes that brought the rows. Which row was there is not known, so each write is said to have as many of them as
 * it brought rows, in order, and the last one what is left: their sum is right. What was overwritten is noted with the first.
 */
export function note(
  moved: Map<UnitWrite, Moved>,
  writes: readonly UnitWrite[],
  table: string,
  { there, overwritten, unseen = false }: Met,
): void {
  if (there === 0 && !unseen) return
  let left = there
  writes.forEach((write, i) => {
    const known = moved.get(write) ?? { there: {}, overwritten: {}, unseen: [] }
    const room = Math.max(0, (counts(write)[table] ?? 0) - (known.there[table] ?? 0))
    const own = i === writes.length - 1 ? left : Math.min(left, room)
    left -= own
    const more = (numbers: Moved['there'], n: number) => (n > 0 ? { ...numbers, [table]: (numbers[table] ?? 0) + n } : numbers)
    moved.set(write, {
      there: more(known.there, own),
      overwritten: more(known.overwritten, i === 0 ? overwritten : 0),
      unseen: unseen && i === 0 ? [...known.unseen, table] : known.unseen,
    })
  })
}
