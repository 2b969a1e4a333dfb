import { formatInstant, identifier, type Json, parseDuration, parseInstant, type Row, sql, type Value } from '../../src/sdk/authors.js'
import { Answers, meets, PLACE_REFUSED } from './answers.js'
import { beliefsOf, DOUBTS } from './beliefs.js'
import { kindOf, namesIn } from './check.js'
import { type StoredCursor } from './config.js'
import { KeyPager, NextPager } from './cursors.js'
import { endsOf, statusOf } from './ends.js'
import {
  CursorNotUniqueError,
  CursorStuckError,
  ListEndError,
  ListOrderError,
  ListShiftsError,
  ListUnstableError,
  PagesEmptyError,
  PageShapeError,
  ParameterIgnoredError,
  TotalMismatchError,
} from './errors.js'
import { knownBelow } from './known.js'
import { type Context, fieldOf, type Page, type PageBatch, type PageRow, pointerOf, serverNow, tableRows } from './page.js'
import { type About, isSame, type Memory, number, type Pager, type Place, Recent, TWO_READS, type Verdict } from './pager.js'
import { OffsetPager, PagePager } from './positions.js'
import { declaredLimit, isSure, limitOf, parameterOf } from './request.js'
import { target } from './target.js'
import { TimePager } from './times.js'
import { readWindow } from './window.js'

type Stretch = readonly [bigint, bigint]

/** Pages without a new row, though there are more, before giving up. */
const EMPTY_PAGES = 100
/** How often a list that moves away from under the reading is begun anew. */
const BEGINNINGS = 10
/** How much newer than now a row may be without being counted as one from the future. */
const FUTURE_US = 600_000_000n
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

const NOTHING: Memory = { known: new Map(), low: undefined }

/** A place with the lowest time of all that comes before it. */
interface Left {
  readonly place: Place
  readonly low: bigint | undefined
}

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

/** Walks a list page by page, proves that the pages follow each other, and says what of the time is covered. */
class ListReader {
  readonly #ctx: Context
  #pager: Pager
  readonly #answers: Answers
  readonly #outputs: readonly string[]
  /** The unit's stretch; undefined for a whole list. */
  readonly #unit: Stretch | undefined
  /** Whether the unit reaches up to the end of what is asked for, where rows may still turn up. */
  readonly #head: boolean
  readonly #now: bigint
  readonly #overlap: bigint
  /** How far a row may stand out of order. */
  readonly #disorder: bigint
  readonly #window: boolean
  #memory: Memory = NOTHING
  /** Newest time seen that is not in the future. */
  #newest: bigint | undefined
  /** Up to where coverage reaches. Undefined until rows show it. */
  #top: bigint | undefined
  /** Everything from here up to `#top` is covered. */
  #down: bigint | undefined
  /** Old rows down to here were cleared. */
  #cleared: bigint | undefined
  /** How often an end was said that contradicts what is known, since the last row that was new. */
  #doubts = 0
  /** How often the list was read anew. */
  #anew = 0
  /** What was known before the page that is read. */
  #entry: Memory = NOTHING
  /** The first page with rows below the unit, which are not taken. */
  #left: Left | undefined
  /** Whether the reading went on where an earlier run ended. */
  #resumed = false
  /** A page to which a circle would come back, and how many pages ago it was. */
  #mark: string | undefined
  #marked = 0
  #reach = 1
  #firstKey: string | undefined
  /** The last cursor that was given. */
  #kept: StoredCursor | undefined
  /** Of a list without times, keys of its first pages in their order. */
  readonly #newestKeys = new Set<string>()
  /** Rows that an answer showed and no page that was taken has brought. */
  readonly #shown = new Map<string, PageRow>()
  /** What an earlier run read of the list reaches down to here. */
  #readBefore: bigint | undefined
  #read = 0
  /** How many rows were read before the page that is read. */
  #entryRead = 0
  #pages = 0
  #barren = 0
  #recent = new Recent()
  #counts: Record<string, number> = {}

  constructor(ctx: Context) {
    const { config, unit, scope } = ctx
    this.#ctx = ctx
    this.#kept = ctx.cursor
    this.#answers = new Answers(ctx)
    this.#outputs = ctx.outputs.map(({ id }) => id)
    this.#now = (scope.get('now')?.value ?? 0n) as bigint
    this.#unit = unit.piece.kind === 'stretch' ? [unit.piece.from, unit.piece.to] : undefined
    const asked = target(ctx)
    this.#head = this.#unit !== undefined && asked !== undefined && this.#unit[1] === asked.to
    this.#window = config.cursor.window !== undefined
    this.#pager = createPager(ctx, this.#unit?.[1] ?? 0n)
    this.#overlap = BigInt(parseDuration(config.overlap ?? '60s') ?? 0) * 1000n
    this.#disorder = this.#pager.kind === 'time' ? 0n : this.#overlap
    this.#top = this.#unit && (this.#head || this.#window) ? undefined : this.#unit?.[1]
  }

  async *read(): AsyncIterable<PageBatch> {
    try {
      yield* this.#walk()
    } catch (error) {
      // Where no times tell what was read whole, the next run begins anew, and where the order changes, no place is a place.
      if (this.#unit && this.#kept && error instanceof ListUnstableError) {
        const { kind, down, top } = this.#kept
        yield { cursor: { kind, place: this.#pager.start(), ...(down === undefined ? {} : { down, top }) } }
      }
      if (!this.#unit && isMisfit(error)) yield { cursor: { kind: this.#pager.kind, place: this.#pager.start(), read: 0 } }
      throw error
    }
  }

  async *#walk(): AsyncIterable<PageBatch> {
    const stored = this.#stored()
    const late = await this.#lateRows()
    let place = stored ?? this.#pager.start()
    let expired = false
    /** How often this place was said to be the end. */
    let claims = 0
    /** Whether the next page counts, rather than what is asked for to believe one, or was read by an earlier run. */
    let counts = stored === undefined || this.#pager.kind !== 'next' || this.#ctx.cursor?.first === undefined
    let claimed: Page | undefined
    this.#resumed = stored !== undefined
    let entered = this.#unit ? undefined : stored
    for (;;) {
      // The place is stored, and the unit stays open.
      if (counts && !this.#ctx.budget.take()) return
      counts = false
      if (claims === 0) this.#entryRead = this.#read
      const before = claims > 0 ? this.#entry : this.#memory
      this.#entry = before
      // The page of before comes again: what it had is known, and what it has more follows what came before it.
      if (claims > 0) this.#memory = { known: new Map([...before.known, ...this.#memory.known]), low: before.low }
      let page: Page
      let verdict: Verdict
      let rows: readonly PageRow[]
      try {
        page = await this.#answers.page(
          place,
          this.#asking(claims, claimed, this.#memory === NOTHING && (this.#resumed || this.#down !== undefined)),
        )
        this.#pages++
        this.#saw(page)
        if (claims === 0) this.#checkCircle(place, page)
        verdict = this.#pager.judge(place, page, this.#memory)
        if (entered && verdict.take[0] === page) {
          await this.#checkGrown(entered, place, page)
          entered = undefined
        }
        rows = newest(verdict.take.map((taken) => this.#absorb(taken, place, claims > 0)))
      } catch (error) {
        if (expired || !(this.#isExpired(error, place) || this.#isMisfit(error))) throw error
        // The source has forgotten this place: from the beginning down to where the reading was, nothing of which is lost.
        expired = true
        entered = undefined
        claims = 0
        claimed = undefined
        this.#left = undefined
        place = this.#enterAnew()
        this.#count('cursor expired', 1)
        continue
      }
      if (!this.#unit && this.#pages <= TWICE_PAGES) for (const { key } of rows) this.#newestKeys.add(key)
      late?.saw(rows)
      const reached = this.#reached()
      const stated = verdict.take.length > 0 || verdict.next === undefined ? page.end : undefined
      const next = stated === undefined ? verdict.next : undefined
      const agrees = claimed !== undefined && meets(page, claimed)
      const proof = next === undefined && !reached ? await this.#proof(page, stated ?? verdict.proof, agrees) : undefined
      const done = reached || proof !== undefined
      if (done) this.#count('late', late?.count() ?? 0)
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
        this.#memory = NOTHING
        this.#recent = new Recent()
        this.#pager = createPager(this.#ctx, this.#unit?.[1] ?? 0n)
      }
      this.#progressed(verdict.take)
      counts = verdict.take.length > 0
      place = next
    }
    const whole = stored === undefined || (this.#head && this.#ctx.cursor?.down === undefined)
    if (!this.#unit || (this.#head && !this.#window && whole && (this.#pages > 1 || stored !== undefined))) yield* this.#rereadHead()
    if (!this.#unit) yield* this.#checkTotal()
  }

  #asking(claims: number, claimed: Page | undefined, anew: boolean) {
    return { pager: this.#pager, memory: this.#memory, claims, claimed, resumed: this.#resumed, anew }
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
    if (path !== undefined && !this.#unit && page.reply.body !== null && totalOf(page, path) <= this.#read) return 'its total'
    return agrees || page.rows.length === 0 ? TWO_READS : undefined
  }

  async #knownBelow(): Promise<string | undefined> {
    if (!this.#unit || this.#window) return undefined
    const { low } = this.#memory
    const known = await knownBelow(this.#ctx, low === undefined || low > this.#unit[0] ? this.#unit[0] : low)
    if (known === undefined) return undefined
    const [from, to] = [formatInstant(known), formatInstant(low ?? this.#unit[1])]
    return `it ended at ${to}, and rows of ${from} and older are known; nothing between ${from} and ${to} was read`
  }

  /** A circle of pages comes back to one that is remembered, whatever its cursors are. @throws {CursorStuckError} */
  #checkCircle(place: Place, page: Page): void {
    const { kind } = this.#pager
    if ((kind !== 'next' && kind !== 'key') || page.rows.length === 0) return
    const cursor = String(place.cursor ?? place.address ?? '')
    const first = this.#firstKey
    if (
      first !== undefined &&
      cursor !== '' &&
      place.last !== first &&
      !this.#memory.known.has(first) &&
      !isSame(page.rows, this.#memory)
    ) {
      if (page.rows.some(({ key }) => key === first))
        throw new ParameterIgnoredError(this.#pager.says, `the first row of the list for ${cursor}`, false)
    }
    const keys = page.rows
      .map(({ key, record }) => `${key} ${JSON.stringify(record)}`)
      .sort()
      .join('\n')
    if (keys === this.#mark && !isSame(page.rows, this.#memory)) throw new CursorStuckError(cursor)
    // The mark moves on after one page, two, four, …: a circle of any length is met once it is shorter than that.
    if (++this.#marked < this.#reach) return
    this.#mark = keys
    this.#marked = 0
    this.#reach *= 2
  }

  /** Where an earlier run or attempt came to, when that is of use to this unit. */
  #stored(): Place | undefined {
    const { cursor } = this.#ctx
    if (!cursor || cursor.kind !== this.#pager.kind) return undefined
    const down = cursor.down === undefined ? undefined : parseInstant(cursor.down)
    const low = cursor.low === undefined ? undefined : parseInstant(cursor.low)
    if (this.#unit) {
      if (down === undefined ? !this.#head && !this.#window : down <= this.#unit[0]) return undefined
      if (down === undefined || down <= this.#unit[1]) {
        // This unit's own: what is above is committed.
        this.#down = down
        this.#top = cursor.top === undefined ? this.#top : parseInstant(cursor.top)
      }
      // Rows of before were cleared down to here, and those above are not read again.
      if (low !== undefined && low <= this.#unit[1]) this.#cleared = low
    }
    const place = cursor.place as Place
    // The list may begin elsewhere by now.
    this.#firstKey = isStart(place, this.#pager) ? undefined : cursor.first
    this.#read = cursor.read ?? 0
    this.#memory = isStart(place, this.#pager) ? NOTHING : { known: new Map(), low }
    this.#readBefore = low
    return place
  }

  /** The beginning of the list, as if nothing of it had been read. */
  #enterAnew(): Place {
    this.#pager = createPager(this.#ctx, this.#unit?.[1] ?? 0n)
    this.#memory = NOTHING
    this.#recent = new Recent()
    this.#answers.forget()
    this.#mark = undefined
    this.#firstKey = undefined
    this.#read = 0
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
    return this.#resumed && (this.#pages <= ENTRY_PAGES || this.#memory.known.size === 0) && isMisfit(error)
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
    const above = head.rows.findIndex(({ key }) => key === this.#firstKey)
    if (above !== -1 && above < grown) throw new ListUnstableError(rows[0]?.pointer ?? '', undefined)
  }

  /** Takes a page that follows those before, or, `again`, the same page once more. Gives the rows to be written. */
  #absorb(page: Page, place: Place, again: boolean): PageRow[] {
    const wanted: PageRow[] = []
    const here = new Map<string, PageRow>()
    let low = this.#memory.low
    // A page that was asked for by its position begins above what was read before.
    let order = this.#pager.kind === 'next' || this.#pager.kind === 'key' ? low : undefined
    for (const row of page.rows) {
      this.#shown.delete(row.key)
      const twice = here.get(row.key)
      const before = twice ?? this.#memory.known.get(row.key)
      here.set(row.key, row)
      if (row.time !== undefined) {
        if (order !== undefined && row.time > order + this.#disorder && !before)
          throw new ListOrderError(row.pointer, formatInstant(row.time), formatInstant(order))
        if (order === undefined || row.time < order) order = row.time
        if (low === undefined || row.time < low) low = row.time
        if (row.time > this.#now + FUTURE_US) this.#count('in the future', 1)
        if (row.time <= this.#now && (this.#newest === undefined || row.time > this.#newest)) this.#newest = row.time
      }
      if (twice) this.#count('doubled', 1)
      if (before) {
        if (JSON.stringify(before.record) === JSON.stringify(row.record)) continue
        this.#count('changed', 1)
      } else this.#read++
      if (this.#unit && row.time !== undefined && (row.time < this.#unit[0] || row.time > this.#unit[1])) {
        if (row.time < this.#unit[0]) this.#left ??= { place, low: this.#memory.low }
        continue
      }
      wanted.push(row)
    }
    this.#firstKey ??= page.rows[0]?.key
    const { known } = this.#memory
    this.#memory = { known: again ? new Map([...known, ...here]) : here.size > 0 ? here : known, low }
    return wanted
  }

  /** Takes note of the rows of an answer that are to be read yet: none of them may be covered before a page has brought it. */
  #saw({ rows, before, twin }: Page): void {
    const { low, known } = this.#memory
    for (const row of [...rows, ...(before?.rows ?? []), ...(twin?.rows ?? [])]) {
      if (this.#recent.has(row) || known.has(row.key)) continue
      const { time } = row
      // What lies further up was read before; what of it an earlier run has read, nobody knows.
      const ahead = time === undefined ? !this.#resumed : low === undefined || time <= low + this.#disorder
      const own = time === undefined || !this.#resumed || (this.#readBefore !== undefined && time < this.#readBefore)
      if (ahead && own) this.#shown.set(row.key, row)
    }
  }

  /** @throws {ListUnstableError} when a row of what is to be covered was shown by an answer, and no page has brought it. */
  #checkShown(from?: bigint, to?: bigint): void {
    for (const { time, pointer } of this.#shown.values()) {
      if (time !== undefined && from !== undefined && to !== undefined && (time < from || time > to)) continue
      throw new ListUnstableError(pointer, time === undefined ? undefined : formatInstant(time))
    }
  }

  /** Whether everything down to the lower end of the unit was seen. */
  #reached(): boolean {
    const { low } = this.#memory
    return this.#unit !== undefined && low !== undefined && low < this.#unit[0] - this.#disorder
  }

  #batch(rows: readonly PageRow[], page: Page, { at, before, next, took, done, proof }: Step): PageBatch | undefined {
    const covers = this.#unit && this.#covers(this.#unit, page, done)
    if (done && !this.#unit) this.#checkShown()
    if (proof !== undefined) this.#count(`end of list: ${proof}`, 1)
    const counts = Object.keys(this.#counts).length > 0 ? this.#counts : undefined
    this.#counts = {}
    const ended = !done && next === undefined
    // A cursor was given for an order of the list that may be another one by the next run: that one begins with this page again.
    const back = next === undefined || this.#pager.kind === 'next'
    const cursor = this.#cursor(
      back ? { place: at, low: before.low, read: this.#entryRead } : { place: next, low: this.#memory.low, read: this.#read },
      done,
    )
    const idle = rows.length === 0 && covers === undefined && counts === undefined
    // Half the way of a proof: the place before stands.
    if (idle && !done && !ended && (this.#unit || !took)) return undefined
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
    const { low } = this.#memory
    return { end_of_list: proof, ...(low === undefined ? {} : { oldest: formatInstant(low) }) }
  }

  /** What the page adds to what is covered; undefined when it adds nothing. */
  #covers([from, to]: Stretch, page: Page, done: boolean): Pick<PageBatch, 'covers' | 'tentative' | 'clears'> | undefined {
    const { low } = this.#memory
    this.#top ??= this.#topOf(to, page)
    const covers: Stretch[] = []
    const clears: Stretch[] = []
    const tentative: Stretch[] = []
    if (this.#top !== undefined) {
      const bound = done ? from : max(from, (low ?? to) + 1n + this.#disorder)
      const end = this.#down === undefined ? this.#top : this.#down - 1n
      if (bound <= end) {
        this.#checkShown(bound, end)
        covers.push([bound, end])
        this.#down = bound
      }
    }
    const clearTo = done ? from : low === undefined ? undefined : max(from, low)
    const clearFrom = this.#cleared === undefined ? to : this.#cleared - 1n
    if (clearTo !== undefined && clearTo <= clearFrom) {
      clears.push([clearTo, clearFrom])
      this.#cleared = clearTo
    }
    const above = max(from, (this.#top ?? from - 1n) + 1n)
    if (done && above <= to) tentative.push([above, to])
    // Without `clears` a batch replaces what it covers; an empty list would say that it replaces nothing.
    const said = { covers, clears: clears.length > 0 ? clears : undefined, tentative }
    return covers.length + clears.length + tentative.length > 0 ? said : undefined
  }

  /** Where coverage ends: at the newest row less the overlap. A window is asked for as a whole, so there the clock decides. */
  #topOf(to: bigint, page: Page): bigint | undefined {
    // One that is late by just the overlap is inside what is read again.
    if (this.#window) return min(to, serverNow(this.#now, page) - this.#overlap - 1n)
    return this.#newest === undefined ? undefined : min(to, this.#newest - this.#overlap - 1n)
  }

  /** Where the reading goes on. All rows of what comes before are in the table with the commit of this cursor. */
  #cursor(at: Left & { readonly read: number }, done: boolean): StoredCursor | undefined {
    // A page with rows that lie below the unit is where a unit below it begins.
    const { place, low } = this.#left ?? at
    const about = { kind: this.#pager.kind, first: this.#firstKey, place }
    if (!this.#unit) return done ? undefined : { ...about, read: at.read }
    const [down, top] = [this.#down, this.#top]
    if (top === undefined) return undefined
    return {
      ...about,
      ...(down === undefined ? {} : { down: formatInstant(down) }),
      ...(low === undefined ? {} : { low: formatInstant(low) }),
      top: formatInstant(top),
    }
  }

  /** Counts pages that lead nowhere: none of their rows was not met lately. @throws {PagesEmptyError} */
  #progressed(take: readonly Page[]): void {
    const all = take.flatMap(({ rows }) => rows)
    if (all.some((row) => !this.#recent.has(row))) this.#barren = 0
    else this.#barren++
    this.#recent.add(all)
    if (this.#barren >= EMPTY_PAGES) throw new PagesEmptyError(this.#barren)
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
    const until = twice ? [...known].at(-1) : this.#firstKey
    const before = this.#read
    let place = this.#enterAnew()
    let above = 0
    let barren = 0
    let claims = 0
    let claimed: Page | undefined
    for (;;) {
      if (claims === 0) this.#entry = this.#memory
      else this.#memory = { known: new Map([...this.#entry.known, ...this.#memory.known]), low: this.#entry.low }
      const page = await this.#answers.page(place, this.#asking(claims, claimed, false))
      if (claims === 0) this.#checkCircle(place, page)
      const { take, next } = this.#pager.judge(place, page, this.#memory)
      const met = take.some(({ rows }) => rows.some(({ key }) => key === until))
      const rows = newest(take.map((taken) => this.#absorb(taken, place, claims > 0)))
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
    this.#read = before + above
  }

  async *#checkTotal(): AsyncIterable<PageBatch> {
    const { expect_total: path } = this.#ctx.config
    if (path === undefined || !this.#answers.last) return
    const total = totalOf(this.#answers.last, path)
    if (total === this.#read) return
    // The next run begins anew.
    yield { cursor: { kind: this.#pager.kind, place: this.#pager.start(), read: 0 } }
    throw new TotalMismatchError(total, this.#read)
  }

  /**
   * Rows that turned up behind the newest one of an earlier run: of those that lie where both runs looked, how many were not
   * in the table. Undefined where there was no earlier run.
   */
  async #lateRows(): Promise<{ saw(rows: readonly PageRow[]): void; count(): number } | undefined> {
    const { outputs, warehouse } = this.#ctx
    const asked = target(this.#ctx)
    const [output] = outputs
    if (!this.#unit || !asked || !this.#head || !output?.range || this.#unit[0] <= asked.from || this.#ctx.cursor?.down !== undefined)
      return undefined
    const [from, to] = this.#unit
    const time = identifier(output.range)
    const at = (value: bigint) => ({ type: { kind: 'timestamp' as const }, value })
    const statement = sql`SELECT count(*) AS n, max(${time}) AS newest FROM ${identifier(output.table)} WHERE ${time} >= ${at(from)} AND ${time} <= ${at(to)}`
    let found: Row | undefined
    for await (const page of warehouse.query(statement)) found ??= page[0]
    const newest = found?.newest as Value | undefined
    if (typeof newest !== 'bigint' || newest > from + 2n * this.#overlap) return undefined
    const keys = new Set<string>()
    return {
      saw: (rows) => {
        for (const { key, time: instant } of rows) if (instant !== undefined && instant <= newest) keys.add(key)
      },
      count: () => Math.max(0, keys.size - Number(found?.n ?? 0)),
    }
  }

  #count(name: string, by: number): void {
    if (by > 0) this.#counts[name] = (this.#counts[name] ?? 0) + by
  }
}

/** The rows of pages that follow each other, each record as the last page gave it. Two of one page are two records. */
function newest(pages: readonly (readonly PageRow[])[]): readonly PageRow[] {
  return pages.flatMap((page, i) => {
    const later = new Set(pages.slice(i + 1).flatMap((rows) => rows.map(({ key }) => key)))
    return later.size === 0 ? page : page.filter(({ key }) => !later.has(key))
  })
}

function createPager(ctx: Context, top: bigint): Pager {
  const { config } = ctx
  const { cursor } = config
  const beliefs = beliefsOf({ config })
  const about: About = {
    parameter: (name) => parameterOf(config, name),
    limit: declaredLimit(config),
    sure: isSure(config),
    asked: limitOf(config),
    ends: endsOf(config),
    still: cursor.window !== undefined && top !== target(ctx)?.to,
    longest: () => beliefs.longest,
  }
  switch (kindOf(config)) {
    case 'time':
      return new TimePager(cursor, top, about)
    case 'offset':
      return new OffsetPager(about)
    case 'page':
      return new PagePager(cursor.first ?? 1, about)
    case 'key':
      return new KeyPager(cursor.key ?? '', about)
    default:
      return new NextPager(cursor, namesIn(config.request).has('cursor'), about)
  }
}

const isStart = (place: Place, pager: Pager) => JSON.stringify(place) === JSON.stringify(pager.start())

function totalOf({ reply }: Page, path: string): number {
  const header = /^header\.(.+)$/.exec(path)?.[1]
  const keys = path.split('.')
  let value: Json | undefined = header === undefined ? reply.body : reply.headers[header.toLowerCase()]
  if (header === undefined) for (const key of keys) value = fieldOf(value, key)
  const total = typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value)) ? Number(value) : undefined
  if (total === undefined)
    throw new PageShapeError(header === undefined ? pointerOf(keys) : `the header ${header}`, 'is no number (`expect_total`)')
  return total
}

const min = (a: bigint, b: bigint) => (a < b ? a : b)
const max = (a: bigint, b: bigint) => (a > b ? a : b)
