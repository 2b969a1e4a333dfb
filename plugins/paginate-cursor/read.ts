import {
  type Batch,
  formatInstant,
  type HttpReply,
  identifier,
  isPipeError,
  type Json,
  parseDuration,
  parseInstant,
  type Row,
  sql,
  type UnfitReply,
  type Value,
} from '../../src/sdk/authors.js'
import { kindOf, namesIn } from './check.js'
import type { StoredCursor } from './config.js'
import { KeyPager, NextPager } from './cursors.js'
import { ListOrderError, PageErrorError, PagesEmptyError, PageShapeError, TotalMismatchError } from './errors.js'
import { type Context, fieldOf, type Page, PageReader, type PageRow, pointerOf } from './page.js'
import type { Memory, Pager, Place } from './pager.js'
import { OffsetPager, PagePager } from './positions.js'
import { compileRequest } from './request.js'
import { target } from './target.js'
import { STEP_US, writeTime } from './time.js'
import { holds, textsOf } from './told.js'
import { TimePager } from './times.js'
import { readWindow } from './window.js'

type Stretch = readonly [bigint, bigint]
export type PageBatch = Batch<StoredCursor>

/** Pages without a new row, though there are more, before giving up. */
const EMPTY_PAGES = 100
/** How much newer than now a row may be without being counted as one from the future. */
const FUTURE_US = 600_000_000n

/** Reads one lane, one window, or one whole list. */
export async function* readUnit(ctx: Context): AsyncIterable<PageBatch> {
  if (kindOf(ctx.config) === 'window') yield* readWindow(ctx)
  else yield* new ListReader(ctx).read()
}

/** What a unit asks the source for. */
export function createAsk(ctx: Context): (values: Parameters<ReturnType<typeof compileRequest>>[0], address?: string) => Promise<Page> {
  const request = compileRequest(ctx.config)
  const reader = new PageReader(ctx)
  return async (values, address) => {
    let page: Page | undefined
    const unfit = (reply: HttpReply): UnfitReply | undefined => {
      try {
        page = reader.read(reply)
        return undefined
      } catch (error) {
        return unfitFor(error, ctx.config.error)
      }
    }
    const reply = await ctx.http.get(address === undefined ? request(values) : { place: address }, { signal: ctx.signal, unfit })
    return page ?? reader.read(reply)
  }
}

/** Whether another try may bring a page, where this one is none. @throws what another try would not change: a value that does not fit. */
function unfitFor(error: unknown, { retry = true, rate_limit: limits }: NonNullable<Context['config']['error']> = {}): UnfitReply {
  if (error instanceof PageErrorError) {
    const { text, status } = error
    const again = typeof retry === 'boolean' ? retry : holds(text, textsOf(retry))
    return { text, status, rated: holds(text, textsOf(limits)), retry: again, error }
  }
  if (error instanceof PageShapeError && error.cause === undefined) return { text: error.message, retry: true, error }
  throw error
}

/** Bounds of a stretch for `$start` and `$end`: one step wider, so that its ends are inside whether bounds are inclusive or not. */
export function boundsOf([from, to]: Stretch, { cursor, cover }: Context['config']): { start: string; end: string } {
  const unit = cursor.time ?? cover?.unit ?? 's'
  return { start: writeTime(from - STEP_US[unit], unit), end: writeTime(to + STEP_US[unit], unit) }
}

/** Walks a list page by page, proves that the pages follow each other, and says what of the time is covered. */
class ListReader {
  readonly #ctx: Context
  readonly #pager: Pager
  readonly #askPage: ReturnType<typeof createAsk>
  readonly #outputs: readonly string[]
  /** The unit's stretch; undefined for a whole list. */
  readonly #unit: Stretch | undefined
  readonly #bounds: { start?: string; end?: string }
  /** Whether the unit reaches up to the end of what is asked for, where rows may still turn up. */
  readonly #head: boolean
  readonly #now: bigint
  readonly #overlap: bigint
  /** How far a row may stand out of order. */
  readonly #disorder: bigint
  readonly #window: boolean
  #memory: Memory = { known: new Map(), low: undefined }
  /** Newest time seen that is not in the future. */
  #newest: bigint | undefined
  /** Up to where coverage reaches. Undefined until rows show it. */
  #top: bigint | undefined
  /** Everything from here up to `#top` is covered. */
  #down: bigint | undefined
  /** Old rows down to here were cleared. */
  #cleared: bigint | undefined
  /** Pages from which the reading may begin again, with the lowest time of all before each. */
  #places: { readonly place: Place; readonly low: bigint | undefined }[] = []
  #firstKey: string | undefined
  #read = 0
  #pages = 0
  #last: Page | undefined
  #barren = 0
  #counts: Record<string, number> = {}

  constructor(ctx: Context) {
    const { config, unit, scope } = ctx
    this.#ctx = ctx
    this.#askPage = createAsk(ctx)
    this.#outputs = ctx.outputs.map(({ id }) => id)
    this.#now = (scope.get('now')?.value ?? 0n) as bigint
    this.#unit = unit.piece.kind === 'stretch' ? [unit.piece.from, unit.piece.to] : undefined
    const asked = target(ctx)
    this.#head = this.#unit !== undefined && asked !== undefined && this.#unit[1] === asked.to
    this.#window = config.cursor.window !== undefined
    this.#pager = createPager(ctx, this.#unit?.[1] ?? 0n)
    this.#overlap = BigInt(parseDuration(config.overlap ?? '60s') ?? 0) * 1000n
    this.#disorder = this.#pager.kind === 'time' ? 0n : this.#overlap
    this.#bounds = this.#unit ? boundsOf(this.#unit, config) : {}
    this.#top = this.#unit && (this.#head || this.#window) ? undefined : this.#unit?.[1]
  }

  async *read(): AsyncIterable<PageBatch> {
    const stored = this.#stored()
    const late = await this.#lateRows()
    let place = stored ?? this.#pager.start()
    let expired = false
    this.#places = [{ place, low: this.#memory.low }]
    for (;;) {
      if (!this.#ctx.budget.take()) return
      let page: Page
      this.#pages++
      try {
        page = await this.#ask(place)
      } catch (error) {
        if (!isExpired(error) || expired || isStart(place, this.#pager)) throw error
        // The source has forgotten this place: from the beginning down to where the reading was, nothing of which is lost.
        expired = true
        place = this.#pager.start()
        this.#enter(place)
        this.#count('cursor expired', 1)
        continue
      }
      const { take, next } = this.#pager.judge(place, page, this.#memory)
      const rows = newest(take.map((taken) => this.#absorb(taken)))
      late?.saw(rows)
      const done = next === undefined || this.#reached()
      if (done) this.#count('late', late?.count() ?? 0)
      const batch = this.#batch(rows, page, next, done)
      if (batch) yield batch
      if (done) break
      // Nothing that was read is met any more: the list is read anew. What is covered stays so.
      if (take.length === 0 && isStart(next, this.#pager) && !isStart(place, this.#pager)) this.#enter(next)
      this.#progressed(take, rows, next)
      place = next
      this.#places.push({ place, low: this.#memory.low })
    }
    if (!this.#unit || (this.#head && !this.#window && stored === undefined && this.#pages > 1)) yield* this.#rereadHead()
    if (!this.#unit) yield* this.#checkTotal()
  }

  async #ask(place: Place): Promise<Page> {
    this.#last = await this.#askPage({ ...this.#bounds, ...this.#pager.values(place) }, this.#pager.address?.(place))
    return this.#last
  }

  /** Where an earlier run or attempt came to, when that is of use to this unit. */
  #stored(): Place | undefined {
    const { cursor } = this.#ctx
    if (!cursor || cursor.kind !== this.#pager.kind) return undefined
    this.#firstKey = cursor.first
    this.#read = cursor.read ?? 0
    if (!this.#unit) return cursor.place as Place
    const down = cursor.down === undefined ? undefined : parseInstant(cursor.down)
    if (down === undefined || down <= this.#unit[0]) return undefined
    if (down <= this.#unit[1]) {
      // This unit's own: what is above is committed.
      this.#down = down
      this.#cleared = down
      this.#top = cursor.top === undefined ? this.#top : parseInstant(cursor.top)
    }
    this.#memory = { known: new Map(), low: cursor.low === undefined ? undefined : parseInstant(cursor.low) }
    return cursor.place as Place
  }

  #enter(place: Place): void {
    this.#memory = { known: new Map(), low: undefined }
    this.#places = [{ place, low: undefined }]
  }

  /** Takes a page that follows those before. Gives the rows to be written. */
  #absorb(page: Page): PageRow[] {
    const wanted: PageRow[] = []
    const here = new Map<string, PageRow>()
    let low = this.#memory.low
    // A page that was asked for by its position begins above what was read before.
    let order = this.#pager.kind === 'next' || this.#pager.kind === 'key' ? low : undefined
    for (const row of page.rows) {
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
      if (this.#unit && row.time !== undefined && (row.time < this.#unit[0] || row.time > this.#unit[1])) continue
      wanted.push(row)
    }
    this.#firstKey ??= page.rows[0]?.key
    this.#memory = { known: here.size > 0 ? here : this.#memory.known, low }
    return wanted
  }

  /** Whether everything down to the lower end of the unit was seen. */
  #reached(): boolean {
    const { low } = this.#memory
    return this.#unit !== undefined && low !== undefined && low < this.#unit[0] - this.#disorder
  }

  #batch(rows: readonly PageRow[], page: Page, next: Place | undefined, done: boolean): PageBatch | undefined {
    const covers = this.#unit && this.#covers(this.#unit, page, done)
    const counts = Object.keys(this.#counts).length > 0 ? this.#counts : undefined
    this.#counts = {}
    const cursor = this.#cursor(next)
    const idle = rows.length === 0 && covers === undefined && counts === undefined
    // Half the way of a proof: the place before stands.
    if (idle && !done && this.#unit) return undefined
    return {
      rows: tableRows(rows, this.#outputs),
      ...covers,
      counts,
      cursor,
    }
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

  /** The last page from which all rows that are not covered yet can be read again. */
  #cursor(next: Place | undefined): StoredCursor | undefined {
    const about = { kind: this.#pager.kind, first: this.#firstKey }
    if (!this.#unit) return next && { ...about, place: next, read: this.#read }
    const down = this.#down
    if (down === undefined) return undefined
    while (this.#places.length > 1) {
      const low = this.#places[1]?.low
      if (low !== undefined && low < down) break
      this.#places.shift()
    }
    const [begin] = this.#places
    const top = this.#top
    return (
      begin && {
        ...about,
        place: begin.place,
        down: formatInstant(down),
        ...(begin.low === undefined ? {} : { low: formatInstant(begin.low) }),
        ...(top === undefined ? {} : { top: formatInstant(top) }),
      }
    )
  }

  /** Counts pages that lead nowhere. @throws {PagesEmptyError} */
  #progressed(take: readonly Page[], rows: readonly PageRow[], next: Place): void {
    if (take.some((page) => page.rows.length > 0) && (rows.length > 0 || this.#memory.low !== this.#barrenLow)) this.#barren = 0
    else this.#barren++
    this.#barrenLow = this.#memory.low
    if (this.#barren >= EMPTY_PAGES && next) throw new PagesEmptyError(this.#barren)
  }

  #barrenLow: bigint | undefined

  /**
   * What came in above while the list was read: its beginning once more, until the row that was first is met. Where that one is
   * gone, until the end of the list or of the unit.
   *
   * @throws {PagesEmptyError}
   */
  async *#rereadHead(): AsyncIterable<PageBatch> {
    const first = this.#firstKey
    const before = this.#read
    const pager = createPager(this.#ctx, this.#unit?.[1] ?? 0n)
    let place: Place | undefined = pager.start()
    let above = 0
    let barren = 0
    this.#memory = { known: new Map(), low: undefined }
    while (place) {
      if (!this.#ctx.budget.take()) return
      const page = await this.#ask(place)
      const { take, next } = pager.judge(place, page, this.#memory)
      const met = take.some(({ rows }) => rows.some(({ key }) => key === first))
      const rows = newest(take.map((taken) => this.#absorb(taken)))
      const at = rows.findIndex(({ key }) => key === first)
      const fresh = at === -1 ? rows : rows.slice(0, at)
      above += fresh.length
      if (fresh.length > 0) yield { rows: tableRows(fresh, this.#outputs) }
      if (met || this.#reached()) break
      barren = rows.length > 0 ? 0 : barren + 1
      if (barren >= EMPTY_PAGES && next) throw new PagesEmptyError(barren)
      place = next
    }
    this.#read = before + above
  }

  async *#checkTotal(): AsyncIterable<PageBatch> {
    const { expect_total: path } = this.#ctx.config
    if (path === undefined || !this.#last) return
    const total = totalOf(this.#last, path)
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

/** Rows by output. */
export function tableRows(rows: readonly PageRow[], outputs: readonly string[]): Record<string, readonly Row[]> {
  return Object.fromEntries(outputs.map((id, i) => [id, rows.flatMap(({ made }) => made[i] ?? [])]))
}

/** Our clock or the source's, whichever is behind: what the source does not know yet may still turn up. */
export function serverNow(now: bigint, { reply }: Page): bigint {
  const date = Date.parse(reply.headers.date ?? '')
  return Number.isNaN(date) ? now : min(now, BigInt(date) * 1000n)
}

function createPager({ config }: Context, top: bigint): Pager {
  const { cursor } = config
  switch (kindOf(config)) {
    case 'time':
      return new TimePager(cursor, top)
    case 'offset':
      return new OffsetPager()
    case 'page':
      return new PagePager(cursor.first ?? 1)
    case 'key':
      return new KeyPager(cursor.key ?? '')
    default:
      return new NextPager(cursor, namesIn(config.request).has('cursor'))
  }
}

/** The source does not know a cursor that it gave out. */
function isExpired(error: unknown): boolean {
  return isPipeError(error) && 'status' in error && (error.status === 404 || error.status === 410)
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
