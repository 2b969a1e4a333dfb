import { ListShiftsError } from './errors.js'
import type { Page, PageRow } from './page.js'
import { isKnown, type Memory, number, type Pager, type Place, type Verdict } from './pager.js'

/** How often a list that shifts is gone after, without one new row, before giving up. */
const SHIFTS = 30

/**
 * `$offset` counts rows from the newest. A list that is read so may shift between two requests, so each page begins with the
 * last row of the page before: only a row that is met again proves that nothing was missed. When none is, the reading goes
 * on (rows came in above) or back (rows went away) until one is.
 */
export class OffsetPager implements Pager {
  readonly kind = 'offset'
  #held: Page | undefined
  #shifts = 0

  start(): Place {
    return { offset: 0 }
  }

  values(place: Place) {
    return { offset: number(place, 'offset') }
  }

  judge(place: Place, page: Page, memory: Memory): Verdict {
    const { offset: _, last, back: __, ahead: ___, probe, verify, ...rest } = place
    const offset = number(place, 'offset')
    const { rows } = page
    const end = rows.at(-1)
    const at = (to: number, more: Place = {}): Place => ({ ...rest, offset: to, ...(last === undefined ? {} : { last }), ...more })
    if (last === undefined) return this.#first(page, place)
    const held = this.#held
    this.#held = undefined
    if (probe === true) {
      if (!end) return { take: [page], next: undefined }
      // More rows than the page before let see. They follow it when its last row is still where it was.
      this.#held = page
      return { take: [], next: at(offset - 1, { verify: true }) }
    }
    if (verify === true && held && rows[0]?.key === last) {
      this.#shifts = 0
      return { take: [held], next: at(offset + held.rows.length, { last: held.rows.at(-1)?.key ?? last }) }
    }
    const known = rows.findLastIndex((row) => isKnown(row, place, memory))
    if (end && known >= 0 && known < rows.length - 1) {
      this.#shifts = 0
      return { take: [page], next: at(offset + rows.length - 1, { last: end.key }) }
    }
    if (end && known >= 0) {
      if (rows.length === 1 && end.key === last) return { take: [page], next: at(offset + 1, { probe: true }) }
      if (rows.length > 1 && end.key !== last) this.#shifted(offset)
      return { take: [page], next: at(offset + Math.max(1, rows.length - 1)) }
    }
    // By their times it shows when this was too far, so the steps may double.
    if (end && isAbove(rows, memory)) {
      const step = Math.max(rows.length, number(place, 'ahead') * 2)
      return { take: [], next: at(offset + step, { ahead: step }) }
    }
    this.#shifted(offset)
    if (offset === 0) return { take: [], next: { ...rest, offset: 0 } }
    const step = memory.low === undefined ? Math.max(1, memory.known.size - 1) : Math.max(1, number(place, 'back') * 2)
    return { take: [], next: at(Math.max(0, offset - step), { back: step }) }
  }

  /** The beginning of the list. Empty twice is empty. */
  #first(page: Page, place: Place): Verdict {
    const end = page.rows.at(-1)
    if (!end) return place.empty === true ? { take: [page], next: undefined } : { take: [], next: { ...place, empty: true } }
    const { empty: _, ...rest } = place
    return { take: [page], next: { ...rest, offset: number(place, 'offset') + page.rows.length - 1, last: end.key } }
  }

  #shifted(offset: number): void {
    if (++this.#shifts > SHIFTS) throw new ListShiftsError(`offset ${offset}`)
  }
}

/**
 * `$page` counts pages. They can't overlap, so a page without a row of the one before is believed only when the one before,
 * read again, still ends as it did.
 */
export class PagePager implements Pager {
  readonly kind = 'page'
  readonly #first: number
  #held: Page | undefined
  #shifts = 0

  constructor(first: number) {
    this.#first = first
  }

  start(): Place {
    return { page: this.#first }
  }

  values(place: Place) {
    return { page: number(place, 'page') }
  }

  judge(place: Place, page: Page, memory: Memory): Verdict {
    const { rows } = page
    const end = rows.at(-1)
    const current = number(place, 'page')
    const { last } = place
    const held = this.#held
    this.#held = undefined
    if (last === undefined) {
      if (end) return { take: [page], next: { page: current + 1, last: end.key } }
      return place.empty === true ? { take: [page], next: undefined } : { take: [], next: { ...place, empty: true } }
    }
    if (place.verify === true && held && end?.key === last) {
      this.#shifts = 0
      const next = held.rows.at(-1)
      return { take: [held], next: next && { page: current + 2, last: next.key } }
    }
    const known = rows.findLastIndex((row) => isKnown(row, place, memory))
    if (end && known >= 0 && known < rows.length - 1) {
      this.#shifts = 0
      return { take: [page], next: { page: current + 1, last: end.key } }
    }
    if (++this.#shifts > SHIFTS) throw new ListShiftsError(`page ${current}`)
    if (end && known >= 0) return { take: [page], next: { page: current + 1, last } }
    if (end && isAbove(rows, memory)) {
      const step = Math.max(1, number(place, 'ahead') * 2)
      return { take: [], next: { page: current + step, last, ahead: step } }
    }
    if (current === this.#first) return { take: [], next: { page: this.#first } }
    if (place.verify !== true && place.back === undefined) {
      this.#held = page
      return { take: [], next: { page: current - 1, last, verify: true } }
    }
    const step = memory.low === undefined ? 1 : Math.max(1, number(place, 'back') * 2)
    return { take: [], next: { page: Math.max(this.#first, current - step), last, back: step } }
  }
}

/** Whether a page lies above all that was read: the list grew by so much. */
function isAbove(rows: readonly PageRow[], { low }: Memory): boolean {
  return low !== undefined && rows.every(({ time }) => time !== undefined && time > low)
}
