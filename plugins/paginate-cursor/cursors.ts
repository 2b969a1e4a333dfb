import { compilePath, formatInstant, type Json } from '../../src/sdk/authors.js'
import type { Config } from './config.js'
import { CursorNotUniqueError, CursorStuckError, ListUnstableError, PageShapeError, ParameterIgnoredError } from './errors.js'
import { linkOf } from './links.js'
import { fieldOf, type Page, type PageRow, pointerOf } from './page.js'
import { type About, isKnown, isLike, isSame, type Memory, type Pager, type Place, text, type Verdict } from './pager.js'

/** How many cursors back one that comes again is noticed. Longer circles show by their pages. */
const REMEMBERED = 100_000
/** Cursors that were followed. */
class Followed {
  readonly #seen = new Set<string>()

  /** @throws {CursorStuckError} when it was followed before. */
  add(cursor: string): void {
    if (this.#seen.has(cursor)) throw new CursorStuckError(cursor)
    this.#seen.add(cursor)
    if (this.#seen.size > REMEMBERED) for (const oldest of this.#seen) return void this.#seen.delete(oldest)
  }
}

const textOf = (value: Json): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** The reply says where the next page is: a cursor for `$cursor`, or an address. */
export class NextPager implements Pager {
  readonly kind = 'next'
  readonly #followed = new Followed()
  readonly #path: readonly string[] | undefined
  readonly #rel: string
  readonly #optional: boolean
  readonly #address: boolean
  readonly says: string
  /** Times that the page before came again under another cursor. */
  #same = 0
  /** Where the page was whose order was looked at last. */
  #checked: Json | undefined

  constructor(cursor: Config['cursor'], usesCursor: boolean, about: About) {
    this.#path = cursor.next?.split('.')
    this.#rel = cursor.link ?? 'next'
    this.#optional = cursor.optional === true
    this.#address = !usesCursor || cursor.link !== undefined
    this.says = this.#address ? 'the address of the next page' : about.parameter('cursor')
  }

  start(): Place {
    return {}
  }

  values(place: Place) {
    return { cursor: text(place, 'cursor') }
  }

  address(place: Place): string | undefined {
    return text(place, 'address')
  }

  judge(place: Place, page: Page, memory: Memory): Verdict {
    const twin = page.twin && isLike(page, page.twin) ? this.#nextOf(place, page.twin) : undefined
    const next = this.#nextOf(place, page) ?? twin
    if (!next) {
      this.#checkOrder(place, page, memory)
      return { take: [page], next: undefined }
    }
    this.#followed.add(String(next.cursor ?? next.address))
    this.#same = isSame(page.rows, memory) ? this.#same + 1 : 0
    if (this.#same > 1) throw new ParameterIgnoredError(this.says, 'the page before again, twice', false)
    this.#checkOrder(place, page, memory)
    // In an order that changes, two answers of a page may name cursors that stand before different rows of one time.
    const differs = twin !== undefined && (twin.cursor ?? twin.address) !== (next.cursor ?? next.address)
    return { take: [page], next: differs ? { ...next, twin } : next }
  }

  /** A page may begin with rows of the one before. Behind a row that is new, one says that the order has changed. @throws {ListUnstableError} */
  #checkOrder(place: Place, { rows }: Page, { known }: Memory): void {
    const at = place.cursor ?? place.address
    // A page that is read again may have got rows meanwhile.
    if (at === undefined || at === this.#checked) return
    this.#checked = at
    const fresh = rows.findIndex(({ key }) => !known.has(key))
    const back = fresh === -1 ? undefined : rows.slice(fresh).find(({ key }) => known.has(key))
    if (back) throw new ListUnstableError(back.pointer, back.time === undefined ? undefined : formatInstant(back.time))
  }

  goesOn(place: Place, page: Page): boolean {
    return this.#nextOf(place, page) !== undefined
  }

  #nextOf(place: Place, page: Page): Place | undefined {
    // A 204 has no body that could name it.
    if (page.end !== undefined || page.reply.body === null) return undefined
    const next = this.#path ? this.#inBody(page, this.#path) : linkOf(page.reply.headers.link, this.#rel)
    if (next === undefined) return undefined
    const to: Place = this.#address ? { address: page.reply.place(next) } : { cursor: next }
    // A cursor that leads to itself and to no row is how some say that this was the last page.
    const stays = (to.cursor ?? to.address) === (place.cursor ?? place.address)
    return stays && page.rows.length === 0 ? undefined : to
  }

  #inBody(page: Page, path: readonly string[]): string | undefined {
    let value: Json | undefined = page.reply.body
    for (const [i, key] of path.entries()) {
      const next: Json | undefined = fieldOf(value, key)
      if (next === undefined) {
        // An API that drops the field on its last page and one that renamed it look the same.
        if (this.#optional && i === path.length - 1) return undefined
        throw new PageShapeError(
          pointerOf(path.slice(0, i + 1)),
          `is missing (\`cursor.next\`); if the API leaves it out on the last page: cursor: { next: ${path.join('.')}, optional: true }`,
        )
      }
      value = next
    }
    if (value === null || value === '' || value === false) return undefined
    if (typeof value === 'string' || typeof value === 'number') return textOf(value)
    throw new PageShapeError(pointerOf(path), `is ${Array.isArray(value) ? 'a list' : 'an object'}, not a cursor`)
  }
}

/** `$cursor` is the key of the last row. The rows behind it are asked for, so a list that moves loses none. */
export class KeyPager implements Pager {
  readonly kind = 'key'
  readonly #followed = new Followed()
  readonly #field: string
  readonly says: string

  constructor(field: string, about: About) {
    this.#field = field
    this.says = about.parameter('cursor')
  }

  start(): Place {
    return {}
  }

  values(place: Place) {
    return { cursor: text(place, 'cursor') }
  }

  judge(place: Place, page: Page, memory: Memory): Verdict {
    const { rows } = page
    const last = rows.at(-1)
    if (!last) return this.#behindLast(place, page, memory)
    const cursor = this.#keyOf(last)
    this.#checkUnique(rows)
    if (place.cursor !== undefined) {
      const twin = page.higher === true ? (place.twin as Place).cursor : undefined
      const above = rows.find((row) => row.key !== place.last && memory.known.has(row.key) && this.#keyOf(row) !== twin)
      if (above && this.#keyOf(above) === place.cursor) throw new CursorNotUniqueError(String(place.cursor))
      if (above) throw new ParameterIgnoredError(this.says, `rows from above the key ${String(place.cursor)}`, false)
    }
    // An API may count the row with the key in.
    if (rows.every((row) => isKnown(row, place, memory))) return { take: [page], next: undefined }
    if (cursor === place.cursor) throw new CursorNotUniqueError(cursor)
    this.#followed.add(cursor)
    const before = rows.at(-2)
    // From one row further up, the last one comes again: with what has moved there meanwhile.
    return { take: [page], next: { cursor, last: last.key, ...(before ? { twin: { cursor: this.#keyOf(before) } } : {}) } }
  }

  /** Nothing stands behind the last row. The page before, which was asked for again, shows what has moved to above it meanwhile. */
  #behindLast(place: Place, page: Page, { known }: Memory): Verdict {
    const before = page.before?.rows ?? []
    const missed = before.filter(({ key }) => key !== place.last && !known.has(key))
    const end = missed.length === 0 ? undefined : before.at(-1)
    if (!end || this.#keyOf(end) === place.cursor) return { take: [{ ...page, rows: missed }], next: undefined }
    return { take: [{ ...page, rows: missed }], next: { cursor: this.#keyOf(end), last: end.key } }
  }

  #keyOf(row: PageRow): string {
    const value = compilePath(this.#field)(row.record as Readonly<Record<string, unknown>>)
    if (typeof value === 'string' || typeof value === 'number') return String(value)
    throw new PageShapeError(row.pointer + pointerOf(this.#field.split('.')), 'is no key (`cursor.key`)')
  }

  #checkUnique(rows: readonly PageRow[]): void {
    const seen = new Map<string, string>()
    for (const row of rows) {
      const value = this.#keyOf(row)
      if ((seen.get(value) ?? row.key) !== row.key) throw new CursorNotUniqueError(value)
      seen.set(value, row.key)
    }
  }
}
