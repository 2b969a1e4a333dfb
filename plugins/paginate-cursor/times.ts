import { compilePath, formatInstant } from '../../src/sdk/authors.js'
import type { Config, TimeUnit } from './config.js'
import { ListOrderError, PageOutsideError, PageShapeError, ParameterIgnoredError, SecondTooFullError, SecondUnsureError } from './errors.js'
import { type Page, type PageRow, pointerOf } from './page.js'
import {
  type About,
  distinct,
  isKnown,
  LEAST_CUT,
  lowest,
  type Memory,
  number,
  type Pager,
  type Place,
  text,
  type Verdict,
} from './pager.js'
import { OffsetPager } from './positions.js'
import { STEP_US, writeTime } from './time.js'

/** How often a page is asked for again that lacks the rows that should come again, before they are believed to be gone. */
const ABSENT = 2

/**
 * `$cursor` is a time that bounds the list from above. Nobody says whether rows at the bound are inside, so the next bound is
 * one step above the lowest time that was seen: that second comes again, whole, and no row that shares it is lost. Once rows
 * at a bound were seen, bounds are inclusive, and the step is saved.
 */
export class TimePager implements Pager {
  readonly kind = 'time'
  readonly says: string
  readonly #unit: TimeUnit
  readonly #step: bigint
  readonly #ties: string | undefined
  readonly #top: bigint
  readonly #about: About
  readonly #offsets: OffsetPager
  #inclusive = false
  /** Whether all times are whole steps. */
  #whole = true
  /** Most rows of a page that had more than one instant. */
  #longest = 0
  /** Most rows of a page that had more below it. */
  #cut = 0
  #before = 0

  /** `top`: the highest instant that is wanted, microseconds UTC. */
  constructor(cursor: Config['cursor'], top: bigint, about: About) {
    this.#about = about
    this.says = about.parameter('cursor')
    this.#offsets = new OffsetPager(about)
    this.#unit = cursor.time ?? 's'
    this.#step = STEP_US[this.#unit]
    this.#ties = cursor.ties
    this.#top = top
  }

  start(): Place {
    return { bound: String(this.#floor(this.#top) + this.#step) }
  }

  values(place: Place) {
    const tie = place.tie
    return {
      cursor: writeTime(boundOf(place), this.#unit),
      offset: number(place, 'offset'),
      tie: typeof tie === 'string' || typeof tie === 'number' ? tie : undefined,
    }
  }

  judge(place: Place, page: Page, memory: Memory): Verdict {
    const { rows } = page
    this.#check(rows, boundOf(place))
    const low = text(place, 'low') === undefined ? undefined : BigInt(text(place, 'low') ?? 0)
    const min = lowest(rows)
    if (low !== undefined && number(place, 'absent') < ABSENT && this.#lacks(place, page, low, memory))
      return { take: [], next: { ...place, absent: number(place, 'absent') + 1 } }
    if (place.offset !== undefined) return this.#byOffset(place, page, memory)
    if (place.tie !== undefined) return this.#byField(place, page, memory)
    if (typeof place.probe === 'number' && low !== undefined) return this.#probed(place, page, low)
    if (min === undefined) return { take: [page], next: undefined }
    if (low === undefined || min < low) {
      this.#cut = Math.max(this.#cut, this.#before)
      this.#before = distinct(rows)
      const next = this.#below(min)
      if (BigInt(next.bound as string) < boundOf(place)) {
        // The one instant of a page comes again with the next bound.
        if (rows.some(({ time }) => time !== undefined && time >= this.#floor(min) + this.#step))
          this.#longest = Math.max(this.#longest, this.#before)
        return { take: [page], next }
      }
      return { take: [page], next: this.#within({ ...place, low: String(min) }, rows) }
    }
    return { take: [page], next: this.#within(place, rows) }
  }

  /** Whether none of the rows of the step that comes again came, so that a replica which is behind may have answered. */
  #lacks({ offset, tie, probe }: Place, { rows }: Page, low: bigint, { known }: Memory): boolean {
    if (offset !== undefined || tie !== undefined || probe !== undefined) return false
    const again = [...known.values()].filter(({ time }) => time !== undefined && this.#floor(time) === this.#floor(low))
    const here = new Set(rows.map(({ key }) => key))
    return again.length > 0 && again.every(({ key }) => !here.has(key))
  }

  /**
   * Whether a page of one instant was read to its end. Not, when it is as long as one that was cut, as what the file says, or as
   * all that were seen. Where none had more rows, and the file only says how many it asks for, nobody knows.
   */
  #wholeness(rows: readonly PageRow[]): 'perhaps' | 'no' | 'unsure' {
    const length = distinct(rows)
    const { limit, sure } = this.#about
    if ((this.#cut > 0 && length >= this.#cut) || (limit !== undefined && length >= limit)) return 'no'
    if (length <= 1 || this.#about.longest() > length) return 'perhaps'
    if (this.#longest > 0 || limit === undefined) return length >= this.#longest ? 'no' : 'perhaps'
    return sure || length < LEAST_CUT ? 'perhaps' : 'unsure'
  }

  /** Reads on below an instant. */
  #below(min: bigint): Place {
    const bound = this.#floor(min) + (this.#inclusive && this.#whole ? 0n : this.#step)
    return { bound: String(bound), low: String(min) }
  }

  /** Reads on inside the step that holds the lowest row: a page did not come to its end. */
  #within({ bound, low }: Place, rows: readonly PageRow[]): Place {
    const last = rows.at(-1)
    if (this.#ties === 'offset') {
      this.#offsets.enter()
      return { bound: bound ?? null, low: low ?? null, offset: rows.length - 1, last: last?.key ?? null }
    }
    if (this.#ties !== undefined && last) return { bound: bound ?? null, low: low ?? null, tie: this.#tieOf(last), last: last.key }
    return this.#probe(BigInt(low as string), this.#wholeness(rows), distinct(rows))
  }

  /**
   * Asks whether there is anything below the step of an instant. `read`: whether that step itself was read to its end;
   * `perhaps`: when nothing lies below it, since its page had room for more. `rows`: how many it gave.
   */
  #probe(low: bigint, read: 'yes' | 'no' | 'perhaps' | 'unsure', rows = 0): Place {
    return { bound: String(this.#floor(low)), low: String(low), probe: 1, read, rows }
  }

  #probed(place: Place, page: Page, low: bigint): Verdict {
    const floor = this.#floor(low)
    const min = lowest(page.rows)
    if (min !== undefined && min < floor) {
      if (place.read !== 'yes') throw new SecondTooFullError(formatInstant(floor), 'time')
      return { take: [page], next: this.#below(min) }
    }
    // An inclusive bound gives the step again and hides what is below, so one step lower decides.
    if (place.probe === 1 && min !== undefined) return { take: [], next: { ...place, bound: String(floor - this.#step), probe: 2 } }
    if (place.read === 'no') throw new SecondTooFullError(formatInstant(floor), 'time')
    if (place.read === 'unsure') throw new SecondUnsureError(formatInstant(floor), number(place, 'rows'), 'time')
    return { take: [], next: undefined }
  }

  #byOffset(place: Place, page: Page, memory: Memory): Verdict {
    const low = BigInt(text(place, 'low') ?? 0)
    try {
      const verdict = this.#offsets.judge(place, page, memory)
      const min = lowest(verdict.take.flatMap(({ rows }) => rows))
      return verdict.next && min !== undefined && min < this.#floor(low) ? { take: verdict.take, next: this.#below(min) } : verdict
    } catch (error) {
      if (!(error instanceof ParameterIgnoredError)) throw error
      throw new SecondTooFullError(formatInstant(this.#floor(low)), 'time', error.parameter)
    }
  }

  #byField(place: Place, page: Page, memory: Memory): Verdict {
    const low = BigInt(text(place, 'low') ?? 0)
    const { rows } = page
    const last = rows.at(-1)
    if (!last) return { take: [page], next: this.#probe(low, 'yes') }
    if (rows.every((row) => isKnown(row, place, memory))) {
      // Read on behind its last row, the step may give that one again, and no other.
      const ignored = rows.some(({ key }) => key !== place.last) || this.#wholeness(rows) === 'no'
      if (ignored) throw new SecondTooFullError(formatInstant(this.#floor(low)), 'time', this.#about.parameter('tie'))
      return place.again === true ? { take: [page], next: this.#probe(low, 'yes') } : { take: [page], next: { ...place, again: true } }
    }
    const min = lowest(rows) ?? low
    if (min < this.#floor(low)) return { take: [page], next: this.#below(min) }
    return { take: [page], next: { bound: place.bound ?? null, low: place.low ?? null, tie: this.#tieOf(last), last: last.key } }
  }

  #tieOf(row: PageRow): string | number {
    const path = this.#ties ?? ''
    const value = compilePath(path)(row.record as Readonly<Record<string, unknown>>)
    if (typeof value !== 'string' && typeof value !== 'number')
      throw new PageShapeError(row.pointer + pointerOf(path.split('.')), 'is nothing to read on by (`cursor.ties`)')
    return value
  }

  /** The page must be what was asked for: nothing above the bound, newest first. */
  #check(rows: readonly PageRow[], bound: bigint): void {
    let before: bigint | undefined
    const seen = new Set<string>()
    for (const { time, pointer, key } of rows) {
      // One that comes twice in a page says nothing about its order.
      if (time === undefined || seen.has(key)) continue
      seen.add(key)
      if (time >= bound + this.#step)
        throw new PageOutsideError(pointer, formatInstant(time), `everything up to ${formatInstant(bound)}`, this.says)
      if (before !== undefined && time > before) throw new ListOrderError(pointer, formatInstant(time), formatInstant(before))
      before = time
      if (time % this.#step !== 0n) this.#whole = false
      if (time === bound) this.#inclusive = true
    }
  }

  #floor(instant: bigint): bigint {
    return instant - (instant % this.#step)
  }
}

const boundOf = (place: Place): bigint => BigInt(text(place, 'bound') ?? 0)
