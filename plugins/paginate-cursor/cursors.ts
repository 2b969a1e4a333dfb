import { compilePath, type Json } from '../../src/sdk/authors.js'
import type { Config } from './config.js'
import { CursorNotUniqueError, CursorStuckError, PageShapeError } from './errors.js'
import { fieldOf, type Page, pointerOf } from './page.js'
import { isKnown, type Memory, type Pager, type Place, text, type Verdict } from './pager.js'

/** How many cursors back one that comes again is noticed. Longer circles show by their times. */
const REMEMBERED = 1_000
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

  constructor(cursor: Config['cursor'], usesCursor: boolean) {
    this.#path = cursor.next?.split('.')
    this.#rel = cursor.link ?? 'next'
    this.#optional = cursor.optional === true
    this.#address = !usesCursor || cursor.link !== undefined
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

  judge(_: Place, page: Page): Verdict {
    const next = this.#path ? this.#inBody(page, this.#path) : linkOf(page.reply.headers.link, this.#rel)
    if (next === undefined) return { take: [page], next: undefined }
    this.#followed.add(next)
    return { take: [page], next: this.#address ? { address: page.reply.place(next) } : { cursor: next } }
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

/** The address with a relation in a `Link` header. */
function linkOf(header: string | undefined, rel: string): string | undefined {
  for (const match of (header ?? '').matchAll(/<([^>]*)>((?:\s*;\s*[\w*]+\s*=\s*(?:"[^"]*"|[^\s,;"]+))*)/g)) {
    const relation = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s,;"]+))/i.exec(match[2] ?? '')
    if ((relation?.[1] ?? relation?.[2] ?? '').split(/\s+/).includes(rel)) return match[1]
  }
  return undefined
}

/** `$cursor` is the key of the last row. The rows behind it are asked for, so a list that moves loses none. */
export class KeyPager implements Pager {
  readonly kind = 'key'
  readonly #followed = new Followed()
  readonly #field: string

  constructor(field: string) {
    this.#field = field
  }

  start(): Place {
    return {}
  }

  values(place: Place) {
    return { cursor: text(place, 'cursor') }
  }

  judge(place: Place, page: Page, memory: Memory): Verdict {
    const fresh = page.rows.filter((row) => !isKnown(row, place, memory))
    const last = page.rows.at(-1)
    // Nothing behind the last row, said twice, is the end.
    if (!last || fresh.length === 0)
      return place.again === true ? { take: [page], next: undefined } : { take: [page], next: { ...place, again: true } }
    const value = compilePath(this.#field)(last.record as Readonly<Record<string, unknown>>)
    if (typeof value !== 'string' && typeof value !== 'number')
      throw new PageShapeError(last.pointer + pointerOf(this.#field.split('.')), 'is no key (`cursor.key`)')
    const cursor = String(value)
    if (cursor === place.cursor) throw new CursorNotUniqueError(cursor)
    this.#followed.add(cursor)
    return { take: [page], next: { cursor, last: last.key } }
  }
}
