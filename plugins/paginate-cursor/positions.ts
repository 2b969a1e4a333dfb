import { formatInstant } from '../../src/sdk/authors.js'
import { ListEndError, ListShiftsError, ListUnstableError, ParameterIgnoredError } from './errors.js'
import type { Page, PageRow } from './page.js'
import {
  type About,
  distinct,
  isKnown,
  isSame,
  type Memory,
  number,
  type Pager,
  type Place,
  Recent,
  text,
  TWO_READS,
  type Verdict,
} from './pager.js'

/** How often a list that shifts is gone after, without one new row, before giving up. */
const SHIFTS = 30

/** What the pagers that count rows or pages remember of the way: which rows were read, and how long pages are. */
class Trail {
  readonly #recent = new Recent()
  /** Most rows that a page had. */
  longest = 0
  /** Times in a row that the page before came again. */
  same = 0

  /** Takes note of a page before it is judged. `again`: it is one that was read, asked for once more. */
  saw(page: Page, memory: Memory, again = false): void {
    this.#recent.add(memory.known.values())
    this.longest = Math.max(this.longest, distinct(page.rows))
    if (!again) this.same = isSame(page.rows, memory) ? this.same + 1 : 0
  }

  /**
   * Rows behind the last one that was read are rows that were not. One that was says that the order has changed, so that
   * another row may stand where nothing is read any more.
   *
   * @throws {ListUnstableError}
   */
  checkOrder(rows: readonly PageRow[], known: number, memory: Memory): void {
    const here = new Set(rows.slice(0, known + 1).map(({ key }) => key))
    const back = rows.slice(known + 1).find((row) => !here.has(row.key) && (this.#recent.has(row) || memory.known.has(row.key)))
    if (back) throw new ListUnstableError(back.pointer, back.time === undefined ? undefined : formatInstant(back.time))
  }
}

/**
 * `$offset` counts rows from the newest. A list that is read so may shift between two requests, so each page begins with the
 * last row of the page before: only a row that is met again proves that nothing was missed. When none is, the reading goes
 * on (rows came in above) or back (rows went away) until one is.
 */
export class OffsetPager implements Pager {
  readonly kind = 'offset'
  readonly says: string
  readonly #trail = new Trail()
  #held: Page | undefined
  #shifts = 0

  constructor(about: About) {
    this.says = about.parameter('offset')
  }

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
    const trail = this.#trail
    trail.saw(page, memory)
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
      trail.checkOrder(held.rows, -1, memory)
      this.#shifts = 0
      return { take: [held], next: at(offset + held.rows.length, { last: held.rows.at(-1)?.key ?? last }) }
    }
    if (!end && page.before?.rows.at(-1)?.key === last)
      throw new ListEndError(`the page at offset ${offset} is empty, and the last row that was read is there`)
    const known = rows.findLastIndex((row) => isKnown(row, place, memory))
    // Another row of the page before in the place of its last one: whether that went away or elsewhere is seen one page back.
    const astray = place.back === undefined && !rows.some(({ key }) => key === last)
    if (end && isEntry(place, rows, memory)) {
      this.#shifts = 0
      return { take: [page], next: at(offset + Math.max(1, rows.length - 1), { last: end.key }) }
    }
    if (offset > 0 && isSearch(place, memory) && isTied(rows, known)) return this.#back(place, memory)
    if (end && known >= 0 && known < rows.length - 1 && !astray) {
      trail.checkOrder(rows, known, memory)
      this.#shifts = 0
      return { take: [page], next: at(offset + rows.length - 1, { last: end.key }) }
    }
    if (end && known === rows.length - 1) {
      if (rows.length === 1 && end.key === last) return { take: [page], next: at(offset + 1, { probe: true }) }
      // The list grows while its end is read: a page with room for more ends where the list does.
      if (end.key === last && distinct(rows) < trail.longest) return { take: [page], next: undefined }
      if (trail.same > 1) throw new ParameterIgnoredError(this.says, 'the same page at three offsets', false)
      if (rows.length > 1 && end.key !== last) this.#shifted(offset)
      return { take: [page], next: at(offset + Math.max(1, rows.length - 1)) }
    }
    // By their times it shows when this was too far, so the steps may double.
    if (end && isAbove(rows, memory)) {
      const step = Math.max(rows.length, number(place, 'ahead') * 2)
      return { take: [], next: at(offset + step, { ahead: step }) }
    }
    return this.#back(place, memory)
  }

  /** What was read last is not here, or not all of it: further up. */
  #back({ last, ...place }: Place, memory: Memory): Verdict {
    const offset = number(place, 'offset')
    this.#shifted(offset)
    if (offset === 0) return { take: [], next: { offset: 0 } }
    const step = memory.low === undefined ? Math.max(1, memory.known.size - 1) : Math.max(1, number(place, 'back') * 2)
    return { take: [], next: { offset: Math.max(0, offset - step), last: last ?? null, back: step } }
  }

  /** The beginning of the list. */
  #first(page: Page, place: Place): Verdict {
    const end = page.rows.at(-1)
    if (!end) return { take: [page], next: undefined }
    return { take: [page], next: { ...place, offset: number(place, 'offset') + page.rows.length - 1, last: end.key } }
  }

  #shifted(offset: number): void {
    if (++this.#shifts > SHIFTS) throw new ListShiftsError(`offset ${offset}`)
  }
}

/**
 * `$page` counts pages. They can't overlap, so a page is believed only when the one before, read again, still ends as it did.
 * One that begins with rows of the one before says that the list grew or that rows changed places: then the one before is
 * read again, too, and both are taken.
 */
export class PagePager implements Pager {
  readonly kind = 'page'
  readonly says: string
  readonly #first: number
  readonly #about: About
  readonly #trail = new Trail()
  #held: Page | undefined
  #shifts = 0

  constructor(first: number, about: About) {
    this.#first = first
    this.#about = about
    this.says = about.parameter('page')
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
    const last = text(place, 'last')
    const held = this.#held
    const trail = this.#trail
    trail.saw(page, memory, place.verify === true)
    this.#held = undefined
    if (last === undefined) return { take: [page], next: end && { page: current + 1, last: end.key } }
    const verified = place.verify === true && held ? this.#verified(place, page, held, memory) : undefined
    if (verified) return verified
    if (end && place.verify !== true && isEntry(place, rows, memory)) {
      this.#shifts = 0
      return { take: [page], next: { page: current + 1, last: end.key } }
    }
    const known = rows.findLastIndex((row) => isKnown(row, place, memory))
    if (current > this.#first && place.verify !== true && isSearch(place, memory) && isTied(rows, known)) return this.#back(place, memory)
    const verify: Place = { page: current - 1, last, verify: true }
    if (end && known === rows.length - 1 && place.verify !== true) return this.#again(page, place, memory)
    if (end && known >= 0 && known < rows.length - 1) {
      trail.checkOrder(rows, known, memory)
      if (place.back === undefined && place.verify !== true) {
        this.#held = page
        return { take: [], next: verify }
      }
      this.#shifts = 0
      return { take: [page], next: { page: current + 1, last: end.key } }
    }
    if (!end && (page.end !== undefined || page.before?.rows.at(-1)?.key === last)) {
      const missed = page.before?.rows.filter((row) => !isKnown(row, place, memory)) ?? []
      return { take: [{ ...page, rows: missed }], next: undefined, proof: TWO_READS }
    }
    this.#shifted(current)
    if (end && known >= 0) return { take: [], next: { page: current + 1, last } }
    if (end && isAbove(rows, memory)) {
      const step = Math.max(1, number(place, 'ahead') * 2)
      return { take: [], next: { page: current + step, last, ahead: step } }
    }
    if (current === this.#first) return { take: [], next: { page: this.#first } }
    if (place.verify !== true && place.back === undefined) {
      this.#held = page
      return { take: [], next: verify }
    }
    return this.#back(place, memory)
  }

  /** What was read last is not here, or not all of it: further up. */
  #back({ last, ...place }: Place, memory: Memory): Verdict {
    const step = memory.low === undefined ? 1 : Math.max(1, number(place, 'back') * 2)
    return { take: [], next: { page: Math.max(this.#first, number(place, 'page') - step), last: last ?? null, back: step } }
  }

  /** `page` is the one before `held`, read again. Undefined: the two do not fit each other. */
  #verified(place: Place, page: Page, held: Page, memory: Memory): Verdict | undefined {
    const current = number(place, 'page')
    const before = page.rows.at(-1)
    const next = held.rows.at(-1)
    const goesOn = next && { page: current + 2, last: next.key }
    const here = new Set(held.rows.map(({ key }) => key))
    const overlaps = held.rows.some((row) => isKnown(row, place, memory))
    if (overlaps ? !before || here.has(before.key) : before?.key !== place.last) return undefined
    if (!overlaps) this.#trail.checkOrder(held.rows, -1, memory)
    this.#shifts = 0
    // Read for the first time, it came from a replica that was behind.
    const missed = page.rows.filter((row) => !here.has(row.key) && !isKnown(row, place, memory))
    const take = [{ ...held, rows: [...missed, ...held.rows] }]
    return goesOn ? { take, next: goesOn } : { take, next: undefined, proof: TWO_READS }
  }

  /** A page without a row that is new: the list grew by a page, or it ends, or the parameter changes nothing. */
  #again(page: Page, place: Place, memory: Memory): Verdict {
    const current = number(place, 'page')
    const ends = page.rows.at(-1)?.key === place.last
    if (isSame(page.rows, memory)) {
      if (this.#about.ends.has('same')) return { take: [page], next: undefined, proof: 'same page again, stated in the YAML' }
      const heeded = current - 1 > this.#first
      if (heeded && distinct(page.rows) < this.#trail.longest) return { take: [page], next: undefined }
      if (this.#trail.same > 1) throw new ParameterIgnoredError(this.says, 'the same page three times', true)
    } else if (ends && distinct(page.rows) < this.#trail.longest) return { take: [page], next: undefined }
    this.#shifted(current)
    return { take: [page], next: { page: current + 1, last: place.last ?? null } }
  }

  #shifted(page: number): void {
    if (++this.#shifts > SHIFTS) throw new ListShiftsError(`page ${page}`)
  }
}

/** Whether the place of what was read last is looked for. */
const isSearch = ({ back, ahead }: Place, { known }: Memory): boolean => back !== undefined || ahead !== undefined || known.size === 0

/**
 * Whether the reading may go on with a page while it looks for its place: all rows above the lowest time were read, whatever the
 * order is of those that have that time.
 */
function isEntry(place: Place, rows: readonly PageRow[], memory: Memory): boolean {
  const { low } = memory
  const [first, last] = [rows[0]?.time, rows.at(-1)?.time]
  if (low === undefined || first === undefined || last === undefined || first <= low || !isSearch(place, memory)) return false
  return last <= low || place.back !== undefined
}

/**
 * Whether a page begins in the middle of rows that have the time of a known one. In another order than before, some of those
 * above it were not read.
 */
function isTied(rows: readonly PageRow[], known: number): boolean {
  const time = rows[known]?.time
  return time !== undefined && rows[0]?.time === time
}

/** Whether a page lies above all that was read: the list grew by so much. */
function isAbove(rows: readonly PageRow[], { low }: Memory): boolean {
  return low !== undefined && rows.every(({ time }) => time !== undefined && time > low)
}
