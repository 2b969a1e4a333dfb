import { CursorStuckError, ParameterIgnoredError } from './errors.js'
import type { Intake } from './intake.js'
import type { Page } from './page.js'
import { isSame, type Pager, type Place } from './pager.js'

/** Notices pages that come back in a circle, whatever their cursors are. */
export class Circle {
  /** A page to which a circle would come back, and how many pages ago it was. */
  #mark: string | undefined
  #marked = 0
  #reach = 1

  /** The list is read anew. */
  forget(): void {
    this.#mark = undefined
  }

  /** @throws {CursorStuckError} {ParameterIgnoredError} */
  check(place: Place, { rows }: Page, { kind, says }: Pager, { first, memory }: Pick<Intake, 'first' | 'memory'>): void {
    if ((kind !== 'next' && kind !== 'key') || rows.length === 0) return
    const cursor = String(place.cursor ?? place.address ?? '')
    const again = isSame(rows, memory)
    if (first !== undefined && cursor !== '' && place.last !== first && !memory.known.has(first) && !again) {
      if (rows.some(({ key }) => key === first)) throw new ParameterIgnoredError(says, `the first row of the list for ${cursor}`, false)
    }
    const keys = rows
      .map(({ key, record }) => `${key} ${JSON.stringify(record)}`)
      .sort()
      .join('\n')
    if (keys === this.#mark && !again) throw new CursorStuckError(cursor)
    // The mark moves on after one page, two, four, …: a circle of any length is met once it is shorter than that.
    if (++this.#marked < this.#reach) return
    this.#mark = keys
    this.#marked = 0
    this.#reach *= 2
  }
}
