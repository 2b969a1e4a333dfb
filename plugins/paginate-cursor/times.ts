import { compilePath, formatInstant } from '../../src/sdk/authors.js'
import type { Config, TimeUnit } from './config.js'
import { ListOrderError, PageOutsideError, PageShapeError, SecondTooFullError } from './errors.js'
import { type Page, type PageRow, pointerOf } from './page.js'
import { isKnown, lowest, type Memory, number, type Pager, type Place, text, type Verdict } from './pager.js'
import { OffsetPager } from './positions.js'
import { STEP_US, writeTime } from './time.js'

/**
 * `$cursor` is a time that bounds the list from above. Nobody says whether rows at the bound are inside, so the next bound is
 * one step above the lowest time that was seen: that second comes again, whole, and no row that shares it is lost. Once rows
 * at a bound were seen, bounds are inclusive, and the step is saved.
 */
export class TimePager implements Pager {
  readonly kind = 'time'
  readonly #unit: TimeUnit
  readonly #step: bigint
  readonly #ties: string | undefined
  readonly #top: bigint
  readonly #offsets = new OffsetPager()
  #inclusive = false
  /** Whether all times are whole steps. */
  #whole = true

  /** `top`: the highest instant that is wanted, microseconds UTC. */
  constructor(cursor: Config['cursor'], top: bigint) {
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
    if (place.offset !== undefined) return this.#byOffset(place, page, memory)
    if (place.tie !== undefined) return this.#byField(place, page, memory)
    if (typeof place.probe === 'number' && low !== undefined) return this.#probed(place, page, low)
    if (min === undefined) return place.empty === true ? { take: [page], next: undefined } : { take: [], next: { ...place, empty: true } }
    if (low === undefined || min < low) {
      const next = this.#below(min)
      if (BigInt(next.bound as string) < boundOf(place)) return { take: [page], next }
      return { take: [page], next: this.#within({ ...place, low: String(min) }, rows) }
    }
    return { take: [page], next: this.#within(place, rows) }
  }

  /** Reads on below an instant. */
  #below(min: bigint): Place {
    const bound = this.#floor(min) + (this.#inclusive && this.#whole ? 0n : this.#step)
    return { bound: String(bound), low: String(min) }
  }

  /** Reads on inside the step that holds the lowest row: a page did not come to its end. */
  #within({ bound, low }: Place, rows: readonly PageRow[]): Place {
    const last = rows.at(-1)
    if (this.#ties === 'offset') return { bound: bound ?? null, low: low ?? null, offset: rows.length - 1, last: last?.key ?? null }
    if (this.#ties !== undefined && last) return { bound: bound ?? null, low: low ?? null, tie: this.#tieOf(last), last: last.key }
    return this.#probe(BigInt(low as string), false)
  }

  /** Asks whether there is anything below the step of an instant; `read`: that step itself was read to its end. */
  #probe(low: bigint, read: boolean): Place {
    return { bound: String(this.#floor(low)), low: String(low), probe: 1, read }
  }

  #probed(place: Place, page: Page, low: bigint): Verdict {
    const floor = this.#floor(low)
    const min = lowest(page.rows)
    if (min !== undefined && min < floor) {
      if (place.read !== true) throw new SecondTooFullError(formatInstant(floor), 'time')
      return { take: [page], next: this.#below(min) }
    }
    // An inclusive bound gives the step again and hides what is below, so one step lower decides.
    if (place.probe === 1) return { take: [], next: { ...place, bound: String(floor - this.#step), probe: 2 } }
    return { take: [], next: undefined }
  }

  #byOffset(place: Place, page: Page, memory: Memory): Verdict {
    const verdict = this.#offsets.judge(place, page, memory)
    const min = lowest(verdict.take.flatMap(({ rows }) => rows))
    const low = BigInt(text(place, 'low') ?? 0)
    return verdict.next && min !== undefined && min < this.#floor(low) ? { take: verdict.take, next: this.#below(min) } : verdict
  }

  #byField(place: Place, page: Page, memory: Memory): Verdict {
    const low = BigInt(text(place, 'low') ?? 0)
    const last = page.rows.at(-1)
    if (!last || page.rows.every((row) => isKnown(row, place, memory))) {
      return place.again === true ? { take: [page], next: this.#probe(low, true) } : { take: [page], next: { ...place, again: true } }
    }
    const min = lowest(page.rows) ?? low
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
      if (time >= bound + this.#step) throw new PageOutsideError(pointer, formatInstant(time), `everything up to ${formatInstant(bound)}`)
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
