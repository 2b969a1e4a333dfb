import { formatInstant, type Json, parseDuration, parseInstant } from '../../src/sdk/authors.js'
import { Answers, meets, PLACE_REFUSED } from './answers.js'
import { DOUBTS } from './beliefs.js'
import { kindOf } from './check.js'
import { Circle } from './circle.js'
import type { StoredCursor } from './config.js'
import { begin, cover, type Coverage, holds, isWhole, type Left, resume, stored, take } from './coverage.js'
import { createPager } from './create-pager.js'
import { statusOf } from './ends.js'
import {
  CursorNotUniqueError,
  CursorStuckError,
  ListEndError,
  ListOrderError,
  ListShiftsError,
  ListUnstableError,
  PagesEmptyError,
  ParameterIgnoredError,
  TotalMismatchError,
} from './errors.js'
import { EMPTY_PAGES, Intake } from './intake.js'
import { knownBelow } from './known.js'
import { lateRows } from './late.js'
import { type Context, type Page, type PageBatch, type PageRow, serverNow, tableRows } from './page.js'
import { type Memory, number, type Pager, type Place, TWO_READS, type Verdict } from './pager.js'
import { target } from './target.js'
import { totalOf } from './total.js'
import { readWindow } from './window.js'

/** How often a list that moves away from under the reading is begun anew. */
const BEGINNINGS = 10
/** A stored place that is none any more shows within so many pages, or before the first one is taken. */
const ENTRY_PAGES = 3
/** So many pages of a list without times are read once more at its end. */
const TWICE_PAGES = 10

/** What is said of a list that contradicts itself, or what is remembered of it. */
const MISFITS = [
  CursorNotUniqueError,
  CursorStuckError,
  ListEndError,
  ListOrderError,
  ListShiftsError,
  ListUnstableError,
  ParameterIgnoredError,
]

const isMisfit = (error: unknown): boolean => MISFITS.some((kind) => error instanceof kind)

/** What a page was for the way: where it stands, what was known before it, and what it says. */
interface Step {
  readonly at: Place
  readonly before: Memory
  readonly next: Place | undefined
  /** Whether something of it is taken, rather than that it shows where to look next. */
  readonly took: boolean
  readonly done: boolean
  /** What proves that the list ends here. */
  readonly proof: string | undefined
}

/** Reads one lane, one window, or one whole list. */
export async function* readUnit(ctx: Context): AsyncIterable<PageBatch> {
  if (kindOf(ctx.config) === 'window') yield* readWindow(ctx)
  else yield* new ListReader(ctx).read()
}

/** Walks a list page by page, proves that the pages follow each other, and hands over what each of them adds. */
class ListReader {
  readonly #ctx: Context
  #pager: Pager
  readonly #answers: Answers
  readonly #intake: Intake
  readonly #circle = new Circle()
  readonly #outputs: readonly string[]
  readonly #now: bigint
  readonly #window: boolean
  /** What of the unit is covered; undefined for a whole list, which has no times. */
  #coverage: Coverage | undefined
  /** How often an end was said that contradicts what is known, since the last row that was new. */
  #doubts = 0
  /** How often the list was read anew. */
  #anew = 0
  /** Whether the reading went on where an earlier run ended. */
  #resumed = false
  /** The last cursor that was given. */
  #kept: StoredCursor | undefined
  /** Of a list without times, keys of its first pages in their order. */
  readonly #newestKeys = new Set<string>()
  #pages = 0

  constructor(ctx: Context) {
    const { config, unit, scope } = ctx
    this.#ctx = ctx
    this.#kept = ctx.cursor
    this.#answers = new Answers(ctx)
    this.#outputs = ctx.outputs.map(({ id }) => id)
    this.#now = (scope.get('now')?.value ?? 0n) as bigint
    this.#window = config.cursor.window !== undefined
    this.#pager = createPager(ctx)
    const overlap = BigInt(parseDuration(config.overlap ?? '60s') ?? 0) * 1000n
    const disorder = this.#pager.kind === 'time' ? 0n : overlap
    this.#intake = new Intake(this.#now, disorder)
    if (unit.piece.kind !== 'stretch') return
    const { from, to } = unit.piece
    const head = to === target(ctx)?.to
    this.#coverage = begin({ unit: [from, to], head, window: this.#window, now: this.#now, overlap, disorder })
  }

  async *read(): AsyncIterable<PageBatch> {
    try {
      yield* this.#walk()
    } catch (error) {
      const start = { kind: this.#pager.kind, place: this.#pager.start() }
      // Where no times tell what was read whole, the next run begins anew, and where the order changes, no place is a place.
      if (this.#coverage && this.#kept && error instanceof ListUnstableError) {
        const { kind, down, top } = this.#kept
        yield { cursor: { ...start, kind, down, top: down === undefined ? undefined : top } }
      }
      if (!this.#coverage && isMisfit(error)) yield { cursor: { ...start, read: 0 } }
      throw error
    }
  }

  async *#walk(): AsyncIterable<PageBatch> {
    const from = this.#resume()
    const late = this.#coverage && (await lateRows(this.#ctx, this.#coverage.frame))
    let place = from ?? this.#pager.start()
    let expired = false
    /** How often this place was said to be the end. */
    let claims = 0
    /** Whether the next page counts, rather than what is asked for to believe one, or was read by an earlier run. */
    let counts = from === undefined || this.#pager.kind !== 'next' || this.#ctx.cursor?.first === undefined
    let claimed: Page | undefined
    let entered = this.#coverage ? undefined : from
    for (;;) {
      // The place is stored, and the unit stays open.
      if (counts && !this.#ctx.budget.take()) return
      counts = false
      this.#intake.enter(claims > 0)
      const before = this.#intake.entry
      let page: Page
      let verdict: Verdict
      let rows: readonly PageRow[]
      try {
        const anew = this.#intake.isBare && (this.#resumed || this.#coverage?.down !== undefined)
        page = await this.#answers.page(place, this.#asking(claims, claimed, anew))
        this.#pages++
        this.#intake.saw(page)
        if (claims === 0) this.#circle.check(place, page, this.#pager, this.#intake)
        verdict = this.#pager.judge(place, page, this.#intake.memory)
        if (entered && verdict.take[0] === page) {
          await this.#checkGrown(entered, place, page)
          entered = undefined
        }
        rows = newest(verdict.take.map((taken) => this.#take(taken, place, claims > 0)))
      } catch (error) {
        if (expired || !(this.#isExpired(error, place) || this.#isMisfit(error))) throw error
        // The source has forgotten this place: from the beginning down to where the reading was, nothing of which is lost.
        expired = true
        entered = undefined
        claims = 0
        claimed = undefined
        this.#coverage &&= { ...this.#coverage, left: undefined }
        place = this.#enterAnew()
        this.#intake.count('cursor expired', 1)
        continue
      }
      if (!this.#coverage && this.#pages <= TWICE_PAGES) for (const { key } of rows) this.#newestKeys.add(key)
      late?.saw(rows)
      const reached = this.#reached()
      const stated = verdict.take.length > 0 || verdict.next === undefined ? page.end : undefined
      const next = stated === undefined ? verdict.next : undefined
      const agrees = claimed !== undefined && meets(page, claimed)
      const proof = next === undefined && !reached ? await this.#proof(page, stated ?? verdict.proof, agrees) : undefined
      const done = reached || proof !== undefined
      if (done) this.#intake.count('late', late?.count() ?? 0)
      const batch = this.#batch(rows, page, { at: place, before, next, took: verdict.take.length > 0, done, proof })
      if (batch) yield batch
      if (done) break
      if (next === undefined) {
        claims++
        claimed = page
        continue
      }
      claims = 0
      claimed = undefined
      if (rows.length > 0) this.#doubts = 0
      // Nothing that was read is met any more: the list is read anew. What is covered stays so.
      if (verdict.take.length === 0 && isStart(next, this.#pager) && !isStart(place, this.#pager)) {
        if (++this.#anew > BEGINNINGS) throw new ListShiftsError(`its beginning, for the ${this.#anew}th time,`)
        this.#intake.forget()
        this.#pager = createPager(this.#ctx)
      }
      this.#intake.progressed(verdict.take)
      counts = verdict.take.length > 0
      place = next
    }
    if (!this.#coverage) {
      yield* this.#rereadHead()
      yield* this.#checkTotal()
      return
    }
    const fromAbove = from === undefined || this.#ctx.cursor?.down === undefined
    const isMoving = this.#coverage.frame.head && !this.#window
    if (isMoving && fromAbove && (this.#pages > 1 || from !== undefined)) yield* this.#rereadHead()
  }

  #asking(claims: number, claimed: Page | undefined, anew: boolean) {
    return { pager: this.#pager, memory: this.#intake.memory, claims, claimed, resumed: this.#resumed, anew }
  }

  /** What proves that the list ends at a page; undefined: nothing yet. `agrees`: with what it said before. @throws {ListEndError} */
  async #proof(page: Page, stated: string | undefined, agrees: boolean): Promise<string | undefined> {
    const contradiction = page.more === true ? 'the reply says that there are more (`cursor.more`)' : await this.#knownBelow()
    if (contradiction !== undefined) {
      if (++this.#doubts >= DOUBTS) throw new ListEndError(`${contradiction}; asked ${DOUBTS} times`)
      return undefined
    }
    if (stated !== undefined) return stated
    const { expect_total: path } = this.#ctx.config
    if (path !== undefined && !this.#coverage && page.reply.body !== null && totalOf(page, path) <= this.#intake.read) return 'its total'
    return agrees || page.rows.length === 0 ? TWO_READS : undefined
  }

  async #knownBelow(): Promise<string | undefined> {
    if (!this.#coverage || this.#window) return undefined
    const [first, last] = this.#coverage.frame.unit
    const { low } = this.#intake.memory
    const known = await knownBelow(this.#ctx, low === undefined || low > first ? first : low)
    if (known === undefined) return undefined
    const [from, to] = [formatInstant(known), formatInstant(low ?? last)]
    return `it ended at ${to}, and rows of ${from} and older are known; nothing between ${from} and ${to} was read`
  }

  /** Where an earlier run or attempt came to, when that is of use to this unit. */
  #resume(): Place | undefined {
    const { cursor } = this.#ctx
    if (!cursor || cursor.kind !== this.#pager.kind) return undefined
    if (this.#coverage) {
      const resumed = resume(this.#coverage.frame, cursor)
      if (!resumed) return undefined
      this.#coverage = resumed
    }
    const place = cursor.place as Place
    const low = cursor.low === undefined ? undefined : parseInstant(cursor.low)
    this.#intake.resume(cursor, low, isStart(place, this.#pager))
    this.#resumed = true
    return place
  }

  /** The beginning of the list, as if nothing of it had been read. */
  #enterAnew(): Place {
    this.#pager = createPager(this.#ctx)
    this.#intake.restart()
    this.#answers.forget()
    this.#circle.forget()
    return this.#pager.start()
  }

  /** The source does not know a place that it gave out, or that was stored. */
  #isExpired(error: unknown, place: Place): boolean {
    const status = statusOf(error)
    const { kind } = this.#pager
    if (status === undefined || kind === 'time' || isStart(place, this.#pager)) return false
    const given = kind === 'next' || kind === 'key' || (this.#resumed && this.#pages === 0)
    return given && PLACE_REFUSED.has(status)
  }

  /** The list does not fit what is stored of it: another one than this source's, or one that it showed while it was wrong. */
  #isMisfit(error: unknown): boolean {
    return this.#resumed && (this.#pages <= ENTRY_PAGES || this.#intake.memory.known.size === 0) && isMisfit(error)
  }

  /**
   * Rows that came in above push all others down by as many. Where the last row of an earlier run stands further down than that, rows
   * behind it have moved to above it, and without times nothing else would tell. @throws {ListUnstableError}
   */
  async #checkGrown(stored: Place, place: Place, { rows }: Page): Promise<void> {
    if (this.#pager.kind !== 'offset') return
    const grown = number(place, 'offset') + rows.findIndex(({ key }) => key === stored.last) - number(stored, 'offset')
    if (grown <= 0) return
    const head = await this.#answers.look(this.#pager.start(), this.#pager)
    const above = head.rows.findIndex(({ key }) => key === this.#intake.first)
    if (above !== -1 && above < grown) throw new ListUnstableError(rows[0]?.pointer ?? '', undefined)
  }

  /** Takes a page that follows those before, or, `again`, the same page once more. Gives the rows to be written. */
  #take(page: Page, place: Place, again: boolean): PageRow[] {
    const { low } = this.#intake.memory
    // A page that was asked for by its position begins above what was read before.
    const ordered = this.#pager.kind === 'next' || this.#pager.kind === 'key'
    const fresh = this.#intake.take(page, { again, ordered })
    if (!this.#coverage) return fresh
    const coverage = take(this.#coverage, { rows: page.rows, fresh, place, low })
    this.#coverage = coverage
    return fresh.filter((row) => holds(coverage, row))
  }

  /** Whether everything down to the lower end of the unit was seen. */
  #reached(): boolean {
    return this.#coverage !== undefined && isWhole(this.#coverage, this.#intake.memory.low)
  }

  #batch(rows: readonly PageRow[], page: Page, { at, before, next, took, done, proof }: Step): PageBatch | undefined {
    const covers = this.#cover(page, done)
    if (done && !this.#coverage) this.#intake.checkShown()
    if (proof !== undefined) this.#intake.count(`end of list: ${proof}`, 1)
    const counts = this.#intake.counted()
    const ended = !done && next === undefined
    const { memory, read, entryRead } = this.#intake
    // A cursor was given for an order of the list that may be another one by the next run: that one begins with this page again.
    const back = next === undefined || this.#pager.kind === 'next'
    const cursor = this.#cursor(back ? { place: at, low: before.low, read: entryRead } : { place: next, low: memory.low, read }, done)
    const idle = rows.length === 0 && covers === undefined && counts === undefined
    // Half the way of a proof: the place before stands.
    if (idle && !done && !ended && (this.#coverage || !took)) return undefined
    this.#kept = cursor
    return {
      rows: tableRows(rows, this.#outputs),
      ...covers,
      counts,
      cursor,
      evidence: proof === undefined || this.#window ? undefined : this.#evidence(proof),
    }
  }

  /** What the ledger keeps of an end that was believed. */
  #evidence(proof: string): Json {
    const { low } = this.#intake.memory
    return low === undefined ? { end_of_list: proof } : { end_of_list: proof, oldest: formatInstant(low) }
  }

  /** What a page adds to what is covered; undefined when it adds nothing. @throws {ListUnstableError} */
  #cover(page: Page, done: boolean): Pick<PageBatch, 'covers' | 'tentative' | 'clears'> | undefined {
    if (!this.#coverage) return undefined
    const at = { low: this.#intake.memory.low, done, clock: serverNow(this.#now, page) }
    const { coverage, covers, clears, tentative } = cover(this.#coverage, at)
    for (const stretch of covers) this.#intake.checkShown(stretch)
    this.#coverage = coverage
    if (covers.length + clears.length + tentative.length === 0) return undefined
    // Without `clears` a batch replaces what it covers; an empty list would say that it replaces nothing.
    return { covers, clears: clears.length > 0 ? clears : undefined, tentative }
  }

  /** Where the reading goes on. All rows of what comes before are in the table with the commit of this cursor. */
  #cursor(at: Left & { readonly read: number }, done: boolean): StoredCursor | undefined {
    const list = { kind: this.#pager.kind, first: this.#intake.first }
    if (!this.#coverage) return done ? undefined : { ...list, place: at.place, read: at.read }
    const unit = stored(this.#coverage, at)
    return unit && { ...list, ...unit }
  }

  /**
   * What came in above while the list was read: its beginning once more, until the row that was first is met. Where that one is
   * gone, until the end of the list or of the unit. Of a list without times, its first pages are read again, since nothing else
   * shows that one of them came from a replica that is behind, or that rows changed places.
   *
   * @throws {PagesEmptyError}
   */
  async *#rereadHead(): AsyncIterable<PageBatch> {
    const known = this.#newestKeys
    const { kind } = this.#pager
    const twice = known.size > 0 && !this.#resumed && (kind === 'next' || kind === 'key')
    const until = twice ? [...known].at(-1) : this.#intake.first
    const before = this.#intake.read
    let place = this.#enterAnew()
    let above = 0
    let barren = 0
    let claims = 0
    let claimed: Page | undefined
    for (;;) {
      this.#intake.enter(claims > 0)
      const page = await this.#answers.page(place, this.#asking(claims, claimed, false))
      if (claims === 0) this.#circle.check(place, page, this.#pager, this.#intake)
      const { take: taken, next } = this.#pager.judge(place, page, this.#intake.memory)
      const met = taken.some(({ rows }) => rows.some(({ key }) => key === until))
      const rows = newest(taken.map((each) => this.#take(each, place, claims > 0)))
      const at = rows.findIndex(({ key }) => key === until)
      const fresh = (at === -1 ? rows : rows.slice(0, at)).filter(({ key }) => !twice || !known.has(key))
      above += fresh.length
      if (fresh.length > 0) yield { rows: tableRows(fresh, this.#outputs) }
      if (met || this.#reached()) break
      if (next === undefined || page.end !== undefined) {
        if (page.end !== undefined || page.rows.length === 0 || claims++ > 0) break
        claimed = page
        continue
      }
      claims = 0
      claimed = undefined
      barren = rows.length > 0 ? 0 : barren + 1
      if (barren >= EMPTY_PAGES) throw new PagesEmptyError(barren)
      place = next
    }
    this.#intake.read = before + above
  }

  async *#checkTotal(): AsyncIterable<PageBatch> {
    const { expect_total: path } = this.#ctx.config
    if (path === undefined || !this.#answers.last) return
    const total = totalOf(this.#answers.last, path)
    if (total === this.#intake.read) return
    // The next run begins anew.
    yield { cursor: { kind: this.#pager.kind, place: this.#pager.start(), read: 0 } }
    throw new TotalMismatchError(total, this.#intake.read)
  }
}

/** The rows of pages that follow each other, each record as the last page gave it. Two of one page are two records. */
function newest(pages: readonly (readonly PageRow[])[]): readonly PageRow[] {
  return pages.flatMap((page, i) => {
    const later = new Set(pages.slice(i + 1).flatMap((rows) => rows.map(({ key }) => key)))
    return later.size === 0 ? page : page.filter(({ key }) => !later.has(key))
  })
}

const isStart = (place: Place, pager: Pager) => JSON.stringify(place) === JSON.stringify(pager.start())
