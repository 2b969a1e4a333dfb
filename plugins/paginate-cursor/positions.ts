import { formatInstant } from '../../src/sdk/authors.js'
import { ListEndError, ListShiftsError, ListUnstableError, PageCutError, ParameterIgnoredError } from './errors.js'
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
/** How often a page that follows those that were read is looked for among pages that stand still, before the list is read anew. */
const LOOKED_FOR = 10

/** What the pagers that count rows or pages remember of the way: which rows were read, and how long pages are. */
class Trail {
  #recent = new Recent()
  /** Most rows that a page had. */
  longest = 0
  /** Times in a row that the page before came again. */
  same = 0

  enter(): void {
    this.#recent = new Recent()
  }

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
    if (back) throw unstable(back)
  }

  /**
   * A page that was read, and is read again. A list that grows or shrinks moves it as a whole. A row that nobody gave before in
   * the place of one that was there says that rows change places, so that others of them may be met nowhere.
   *
   * @throws {ListUnstableError}
   */
  checkAgain(rows: readonly PageRow[], { known }: Memory): void {
    const shared = rows.findLastIndex(({ key }) => known.has(key))
    const above = new Set(rows.slice(0, Math.max(shared, 0)).map(({ key }) => key))
    const strange = rows.find((row) => above.has(row.key) && !known.has(row.key) && !this.#recent.has(row))
    if (!strange) return
    const keys = [...known.keys()]
    const gone = keys.slice(0, keys.indexOf(rows[shared]?.key ?? '')).some((key) => !above.has(key))
    if (gone) throw unstable(strange)
  }
}

const unstable = ({ pointer, time }: PageRow) => new ListUnstableError(pointer, time === undefined ? undefined : formatInstant(time))

/**
 * `$offset` counts rows from the newest. A list that is read so may shift between two requests, so each page begins with the
 * last row of the page before: only a row that is met again proves that nothing was missed. When none is, the reading goes
 * on (rows came in above) or back (rows went away) until one is.
 */
export class OffsetPager implements Pager {
  readonly kind = 'offset'
  readonly says: string
  readonly #trail = new Trail()
  readonly #still: boolean
  #held: Page | undefined
  #shifts = 0

  constructor(about: About) {
    this.says = about.parameter('offset')
    this.#still = about.still
  }

  start(): Place {
    return { offset: 0 }
  }

  /** Another list is read, among rows that may have been read. */
  enter(): void {
    this.#trail.enter()
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
    // Only what follows shows that the reading goes on, so the count of shifts does, too.
    if (end && isEntry(place, rows, memory)) return { take: [page], next: at(offset + Math.max(1, rows.length - 1), { last: end.key }) }
    if (offset > 0 && isSearch(place, memory) && isTied(rows, known)) return this.#back(place, memory)
    // In a stretch of the past no rows come in above: this is another order, or a row that is late.
    if (this.#still && end && known >= 0 && rows[0]?.key !== last) return { take: [], next: this.start() }
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
  #back({ offset: from, last, back, ahead: _, probe: __, verify: ___, ...rest }: Place, memory: Memory): Verdict {
    const offset = Number(from)
    this.#shifted(offset)
    if (offset === 0) return { take: [], next: { ...rest, offset: 0 } }
    const step = memory.low === undefined ? Math.max(1, memory.known.size - 1) : Math.max(1, Number(back ?? 0) * 2)
    return { take: [], next: { ...rest, offset: Math.max(0, offset - step), last: last ?? null, back: step } }
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

/** Two pages of which the second seems to follow the first. */
interface Joint {
  readonly before: readonly PageRow[]
  readonly behind: Page
  /** What is taken when nothing lies between them. */
  readonly take: readonly Page[]
  /** Where the reading goes on then; undefined: the list ends. */
  readonly next: Place | undefined
  /** Where `behind` was asked for. */
  readonly place: Place
  /** The first page of the list, which was not taken yet. */
  readonly first?: boolean
}

/**
 * `$page` counts pages. They can't overlap, so a page is believed only when the one before, read again, still ends as it did.
 * One that begins with rows of the one before says that the list grew or that rows changed places: then the one before is
 * read again, too, and both are taken.
 *
 * A page with fewer rows than were asked for may be cut, by an API that counts its pages by what was asked for. So what lies
 * behind it is asked for in pages of as many rows as came. When these have rows that the next page did not begin with, the
 * list is read on in such pages (`size` of the place).
 */
export class PagePager implements Pager {
  readonly kind = 'page'
  readonly says: string
  readonly #first: number
  readonly #about: About
  readonly #trail = new Trail()
  #held: Page | undefined
  #joint: Joint | undefined
  /** Whether a shorter page was whole, in an API whose pages are not all of one length: it leaves rows out of each. */
  #uneven = false
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
    return { page: number(place, 'page'), size: place.size === undefined ? undefined : number(place, 'size') }
  }

  probes(place: Place): boolean {
    return place.probe !== undefined && place.size !== (place.probe as Place).size
  }

  judge(place: Place, page: Page, memory: Memory): Verdict {
    const { rows } = page
    const end = rows.at(-1)
    const current = number(place, 'page')
    const last = text(place, 'last')
    const held = this.#held
    const trail = this.#trail
    const at = (to: number, more: Place = {}): Place => ({ ...sizeOf(place), page: to, last: last ?? null, ...more })
    if (place.probe !== undefined) return this.#probed(place, page)
    trail.saw(page, memory, place.verify === true)
    this.#held = undefined
    if (last === undefined) {
      const next = end && at(current + 1, { last: end.key })
      if (!next || page.end === undefined) return { take: [page], next }
      return this.#joined({ before: rows, behind: { ...page, rows: [] }, take: [page], next: undefined, place: next, first: true })
    }
    if (end && place.verify !== true && isEntry(place, rows, memory)) return { take: [page], next: at(current + 1, { last: end.key }) }
    const known = rows.findLastIndex((row) => isKnown(row, place, memory))
    if (current > this.#first && isSearch(place, memory) && isTied(rows, known)) return this.#back(place, memory)
    const verified = place.verify === true && held ? this.#verified(place, page, held, memory) : undefined
    if (verified) return verified
    const verify = at(current - 1, { verify: true })
    if (end && known === rows.length - 1 && place.verify !== true) return this.#again(page, place, memory, at(current + 1))
    if (end && known >= 0 && known < rows.length - 1) {
      trail.checkOrder(rows, known, memory)
      if (place.back === undefined && place.verify !== true) {
        this.#held = page
        return { take: [], next: verify }
      }
      this.#shifts = 0
      return { take: [page], next: at(current + 1, { last: end.key }) }
    }
    if (!end && (page.end !== undefined || page.before?.rows.at(-1)?.key === last)) {
      const before = page.before?.rows ?? [...memory.known.values()]
      trail.checkAgain(before, memory)
      const missed = before.filter((row) => !isKnown(row, place, memory))
      return this.#joined({ before, behind: page, take: [{ ...page, rows: missed }], next: undefined, place: at(current) })
    }
    this.#shifted(current)
    if (this.#shifts > LOOKED_FOR && current > this.#first) return { take: [], next: this.start() }
    if (end && known >= 0) return { take: [], next: at(current + 1) }
    if (end && isAbove(rows, memory)) {
      const step = Math.max(1, number(place, 'ahead') * 2)
      return { take: [], next: at(current + step, { ahead: step }) }
    }
    if (current === this.#first) return { take: [], next: this.start() }
    if (place.verify !== true && place.back === undefined) {
      this.#held = page
      return { take: [], next: verify }
    }
    return this.#back(place, memory)
  }

  /** What was read last is not here, or not all of it: further up. */
  #back(place: Place, memory: Memory): Verdict {
    const step = memory.low === undefined ? 1 : Math.max(1, number(place, 'back') * 2)
    const page = Math.max(this.#first, number(place, 'page') - step)
    return { take: [], next: { ...sizeOf(place), page, last: place.last ?? null, back: step } }
  }

  /** `page` is the one before `held`, read again. Undefined: the two do not fit each other. */
  #verified(place: Place, page: Page, held: Page, memory: Memory): Verdict | undefined {
    const { verify: _, ...at } = place
    const current = number(place, 'page')
    const before = page.rows.at(-1)
    const end = held.rows.at(-1)
    const next = end && { ...at, page: current + 2, last: end.key }
    const here = new Set(held.rows.map(({ key }) => key))
    const overlaps = held.rows.some((row) => isKnown(row, place, memory))
    if (overlaps ? !before || here.has(before.key) : before?.key !== place.last) return undefined
    this.#trail.checkAgain(page.rows, memory)
    if (!overlaps) this.#trail.checkOrder(held.rows, -1, memory)
    this.#shifts = 0
    // Read for the first time, it came from a replica that was behind.
    const missed = page.rows.filter((row) => !here.has(row.key) && !isKnown(row, place, memory))
    const take = [{ ...held, rows: [...missed, ...held.rows] }]
    return overlaps ? { take, next } : this.#joined({ before: page.rows, behind: held, take, next, place: { ...at, page: current + 1 } })
  }

  /**
   * Two pages of which the second seems to follow the first. It is asked for once more, since one that comes from a replica that
   * is behind lies further down than its number says; where the first is short, in pages of as many rows.
   */
  #joined(joint: Joint): Verdict {
    const { before, behind, place, next } = joint
    const { asked } = this.#about
    const rows = before.length
    const limit = asked && (number(place, 'size') || asked.rows)
    const ends = behind.rows.length === 0
    // Where a page was as long as it may be, the last one is short because the list ends.
    const whole = limit === undefined || rows === 0 || rows >= limit || (ends && this.#about.longest() >= limit)
    if (whole && ends) return { take: joint.take, next, proof: behind.end ?? TWO_READS }
    this.#joint = joint
    if (whole) return { take: [], next: { ...place, probe: place } }
    // An API with pages of its own gives the same page whatever is asked for.
    const [same, behindIt] = [number(place, 'page') - this.#first, Math.floor(this.#position(joint, limit) / rows)]
    const own = !ends && !this.#uneven && same !== behindIt
    const index = own ? same : behindIt
    return { take: [], next: { page: this.#first + index, last: place.last ?? null, size: rows, probe: place, own } }
  }

  /** How many rows stand before the one that follows the first page of two, when pages begin where `limit` says. */
  #position({ before, place }: Joint, limit: number): number {
    return (number(place, 'page') - this.#first - 1) * limit + before.length
  }

  /** `page` shows what stands where two pages meet. */
  #probed(place: Place, page: Page): Verdict {
    const joint = this.#joint
    // An earlier run asked for it.
    if (!joint) return { take: [], next: place.probe as Place }
    const { before, behind, take, next } = joint
    const { asked } = this.#about
    const size = before.length
    const limit = number(joint.place, 'size') || (asked?.rows ?? size)
    const ends = behind.rows.length === 0
    const beyond = new Set(behind.rows.map(({ key }) => key))
    const known = new Set(before.map(({ key }) => key))
    const at = page.rows.findIndex(({ key }) => beyond.has(key))
    const between = (at === -1 ? page.rows : page.rows.slice(0, at)).filter(({ key }) => !known.has(key))
    const same = at === 0 && page.rows.length === behind.rows.length && page.rows.every(({ key }, i) => key === behind.rows[i]?.key)
    if (place.size === joint.place.size) {
      const strange = page.rows.some(({ key }) => !beyond.has(key) && !known.has(key))
      return this.#confirmed(joint, at >= 0 && !strange)
    }
    if (!ends && page.refused !== undefined && page.reply.status !== 404)
      throw new PageCutError(number(joint.place, 'page') - 1, { name: asked?.name ?? '', rows: size, asked: limit })
    const position = this.#position(joint, limit)
    if (place.own === true && !(at >= 0 && between.length === 0))
      return { take: [], next: { ...place, page: this.#first + Math.floor(position / size), own: false } }
    if (between.length === 0 && !ends && at === -1) {
      // Rows came in above, and this page lies before the place where the two meet.
      if (page.rows.length > 0) return { take: [], next: { ...place, page: number(place, 'page') + 1 } }
      // What would be there is left out by the API, when it is so twice.
      if (place.again !== true) return { take: [], next: { ...place, again: true } }
    }
    this.#joint = undefined
    if (between.length === 0) {
      this.#uneven = !same
      if (!next) return { take, next, proof: behind.end ?? TWO_READS }
      return { take, next: same ? { ...next, size } : next }
    }
    // The first page was cut: from here on in pages of as many rows. They may begin before the last row that was read.
    this.#trail.longest = 0
    if (joint.first === true) return { take: [], next: { page: this.#first, size } }
    const cut: Place = { page: number(place, 'page'), last: joint.place.last ?? null, size }
    return { take: [], next: position % size === 0 ? cut : { ...cut, back: 1 } }
  }

  /** A page was asked for once more. */
  #confirmed({ take, next, place }: Joint, same: boolean): Verdict {
    this.#joint = undefined
    if (same) return { take, next }
    this.#shifted(number(place, 'page'))
    return { take: [], next: place }
  }

  /** A page without a row that is new: the list grew by a page, or it ends, or the parameter changes nothing. */
  #again(page: Page, place: Place, memory: Memory, next: Place): Verdict {
    const current = number(place, 'page')
    if (isSame(page.rows, memory)) {
      if (this.#about.ends.has('same')) return { take: [page], next: undefined, proof: 'same page again, stated in the YAML' }
      const heeded = current - 1 > this.#first
      if (heeded && distinct(page.rows) < this.#trail.longest) return { take: [page], next: undefined }
      if (this.#trail.same > 1) throw new ParameterIgnoredError(this.says, 'the same page three times', true)
    } else if (distinct(page.rows) < Math.max(this.#trail.longest, this.#about.asked?.rows ?? 0)) {
      // The list has grown, or rows have changed places: then the page before has what is not here.
      this.#held = page
      return { take: [], next: { ...next, page: current - 1, verify: true } }
    }
    this.#shifted(current)
    return { take: [], next }
  }

  #shifted(page: number): void {
    if (++this.#shifts > SHIFTS) throw new ListShiftsError(`page ${page}`)
  }
}

/** How many rows the pages have by which a place is counted, where it is not what the file says. */
const sizeOf = ({ size }: Place): Place => (size === undefined ? {} : { size })

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
