import { formatInstant } from '../../src/sdk/authors.js'
import { boundsOf, createAsk } from './ask.js'
import { type AskAgain, type Beliefs, beliefsOf, sureOfNothing, withRows } from './beliefs.js'
import { noReply, statusOf } from './ends.js'
import { ListUnstableError, PagesSilentError } from './errors.js'
import { knownBelow } from './known.js'
import type { Context, Page, PageRow } from './page.js'
import { distinct, isSame, type Memory, type Pager, type Place } from './pager.js'
import { target } from './target.js'

/** So many pages with rows of one time are looked at for whether their order holds. */
const TIED_PAGES = 5
/** How far behind a replica may be, which tells nobody. */
const RECENT_US = 86_400_000_000n

/** Status of a reply by which a source refuses what was asked for, rather than the one who asks. */
export const PLACE_REFUSED: ReadonlySet<number> = new Set([400, 404, 410, 422])

/** What the walk knows when it asks for a page. */
interface Asking {
  readonly pager: Pager
  readonly memory: Memory
  /** How often the place was said to be the end. */
  readonly claims: number
  /** The answer that said so last. */
  readonly claimed: Page | undefined
  /** Whether the reading went on where an earlier run ended. */
  readonly resumed: boolean
  /** Whether the beginning of the list is read again, to go on below what is covered. */
  readonly anew: boolean
}

/** Asks for the pages of a unit, each as often as it takes to believe what it says. */
export class Answers {
  readonly #ctx: Context
  readonly #askPage: ReturnType<typeof createAsk>
  readonly #beliefs: Beliefs
  readonly #unit: readonly [bigint, bigint] | undefined
  readonly #bounds: { start?: string; end?: string }
  readonly #window: boolean
  /** The last place that had rows. */
  #full: Place | undefined
  /** The last answer. */
  last: Page | undefined

  constructor(ctx: Context) {
    const { config, unit } = ctx
    this.#ctx = ctx
    this.#askPage = createAsk(ctx)
    this.#beliefs = beliefsOf(ctx)
    this.#unit = unit.piece.kind === 'stretch' ? [unit.piece.from, unit.piece.to] : undefined
    this.#bounds = this.#unit ? boundsOf(this.#unit, config) : {}
    this.#window = config.cursor.window !== undefined
  }

  /** The list is read anew: no page comes before. */
  forget(): void {
    this.#full = undefined
  }

  /**
   * The page of a place. One without rows is given when two reads agree, some time apart, and a page that had rows still had
   * them in between; one of recent rows is asked for twice.
   */
  async page(place: Place, asking: Asking): Promise<Page> {
    const { pager, memory, claims, claimed, resumed } = asking
    if (pager.probes?.(place) === true) return await this.look(place, pager)
    const ask = (again: number) => this.#ask(place, pager, again)
    let page = await ask(claims)
    // One page without rows proves nothing, whatever it says of the next one.
    if (page.rows.length === 0 && goesOn(place, page, pager)) page = await ask(1)
    if (page.rows.length === 0 && page.end === undefined && !goesOn(place, page, pager)) {
      const own = this.#full
      const start = resumed && !this.#window ? pager.start() : undefined
      const mine = own ?? start
      if (!mine) this.#beliefs.full ??= await this.#knownRows(pager)
      const full = () => (mine ? (again: number) => this.#ask(mine, pager, again) : this.#beliefs.full)
      const found = await sureOfNothing(page, ask, full, this.#window && isRecent(this.#ctx, this.#unit?.[1] ?? 0n))
      // Only the page that was read last comes before this one.
      page = own ? found : { ...found, before: undefined }
      // A key that the list does not have any more is refused, too: only one that is still there has nothing behind it.
      const there = own !== undefined && page.before?.rows.some(({ key }) => key === place.last) === true
      if (pager.kind === 'key' && page.refused !== undefined && !there) throw page.refused as Error
      if (place.twin !== undefined && page.rows.length === 0) page = await this.#withHigher(place.twin as Place, page, pager)
    }
    if (page.rows.length > 0) {
      this.#full = place
      this.#beliefs.longest = Math.max(this.#beliefs.longest, distinct(page.rows))
      const [values, address] = [{ ...this.#bounds, ...pager.values(place) }, pager.address?.(place)]
      this.#beliefs.full = (again) => this.#askPage(values, { address, again })
    }
    if (claimed && isElsewhere(claimed, page, pager)) {
      const { best, third } = await settled(claimed, page, ask)
      return best === page ? { ...page, twin: third } : { ...third, twin: page }
    }
    if (claims > 0 || !this.#mayDiffer(page, asking)) return page
    const { twin } = place
    if (twin === undefined) return await this.#agreed(place, page, pager, memory, ask)
    try {
      return await this.#agreed(place, page, pager, memory, (again) => this.#ask(twin as Place, pager, again))
    } catch (error) {
      // The row further up has nothing behind it: it does not stand further up any more.
      if (error instanceof PagesSilentError) throw new ListUnstableError(page.rows[0]?.pointer ?? '', timeOf(page.rows[0]))
      throw error
    }
  }

  /** Nothing behind a row, and what stands behind the one above it: a row that changed places with it was behind neither. */
  async #withHigher(twin: Place, page: Page, pager: Pager): Promise<Page> {
    const { rows, reply } = await this.look(twin, pager)
    return { ...page, before: { reply, ...page.before, rows: [...(page.before?.rows ?? []), ...rows] } }
  }

  async #ask(place: Place, pager: Pager, again: number): Promise<Page> {
    const values = { ...this.#bounds, ...pager.values(place) }
    // A page that does not say where the next one is, and should, is no page.
    const check = (page: Page) => void pager.goesOn?.(place, page)
    this.last = await this.#askPage(values, { address: pager.address?.(place), again, check })
    return this.last
  }

  /**
   * Whether another answer may give other rows, which the next page would not show: a replica that is behind lacks the newest
   * ones, which on the first page are read when the list is ended, and rows of one time may stand in another order.
   */
  #mayDiffer({ rows }: Page, { pager: { kind }, memory, anew }: Asking): boolean {
    if (rows.length === 0 || isSame(rows, memory)) return false
    if (this.#window) return isRecent(this.#ctx, this.#unit?.[1] ?? 0n)
    // Pages by their position are read with what comes before them.
    if (kind === 'offset' || kind === 'page') return false
    const { low } = memory
    if (anew || (low !== undefined && isRecent(this.#ctx, low))) return true
    return kind !== 'time' && mayBeTied(rows) && ++this.#beliefs.tied <= TIED_PAGES
  }

  /** The right one of two answers that differ. @throws {ListUnstableError} @throws {PagesSilentError} */
  async #agreed(place: Place, page: Page, { kind }: Pager, { known }: Memory, ask: AskAgain): Promise<Page> {
    const other = await withRows(ask)
    const chosen = (best: Page): Page =>
      best === page ? { ...page, twin: other } : { ...other, twin: page, higher: place.twin !== undefined }
    if (kind !== 'next' && kind !== 'key') return chosen(fresher(page, other))
    if (!meets(page, other)) return chosen((await settled(page, other, ask)).best)
    const moved = contradiction(page, other)
    if (moved) throw new ListUnstableError(moved.pointer, timeOf(moved))
    const here = new Set(page.rows.map(({ key }) => key))
    const adds = other.rows.some(({ key }) => !here.has(key) && !known.has(key))
    return chosen(adds ? fresher(page, other) : page)
  }

  /** Asks for rows of a window that an earlier run has read. */
  async #knownRows(pager: Pager): Promise<AskAgain | undefined> {
    const asked = target(this.#ctx)
    const known = asked && this.#window ? await knownBelow(this.#ctx, asked.to + 1n) : undefined
    if (known === undefined) return undefined
    const values = { ...boundsOf([known, known], this.#ctx.config), ...pager.values(pager.start()) }
    return (again) => this.#askPage(values, { again })
  }

  /** A page that is only asked for to learn of others: that it is refused is all that it says then. */
  async look(place: Place, pager: Pager): Promise<Page> {
    try {
      return await this.#ask(place, pager, 0)
    } catch (error) {
      const status = statusOf(error)
      if (status === undefined || !PLACE_REFUSED.has(status)) throw error
      return { rows: [], reply: noReply(status), refused: error }
    }
  }
}

/**
 * Which of two answers of one place, that share no row, a third one agrees with: one of the two is elsewhere, and no time tells which,
 * where a parameter is not heeded. @throws {ListUnstableError} when it agrees with none. @throws {PagesSilentError}
 */
async function settled(one: Page, other: Page, ask: AskAgain): Promise<{ readonly best: Page; readonly third: Page }> {
  const third = await withRows(ask)
  const best = [one, other].find((each) => meets(each, third))
  if (!best) throw new ListUnstableError(third.rows[0]?.pointer ?? '', timeOf(third.rows[0]))
  return { best, third }
}

/** Whether a page that was said to be the last one has other rows when it is asked for again: what lies between them would be lost. */
const isElsewhere = ({ rows }: Page, page: Page, { kind }: Pager): boolean =>
  (kind === 'next' || kind === 'key') && rows.length > 0 && page.rows.length > 0 && !meets({ rows }, page)

/** Whether a page without rows says itself where the next one is. */
const goesOn = (place: Place, page: Page, pager: Pager): boolean => page.more === true || pager.goesOn?.(place, page) === true

/** Whether an instant is so near to now that a replica may not have got there. */
export function isRecent({ scope }: Context, at: bigint): boolean {
  return at > ((scope.get('now')?.value ?? 0n) as bigint) - RECENT_US
}

/**
 * The first row at which two answers of one place contradict each other. The newest rows may lack in one of them; from the first
 * row that both have, they are the same as far as the shorter one goes.
 */
function contradiction({ rows }: Page, other: Page): PageRow | undefined {
  const [mine, others] = [rows, other.rows].map((each) => [...new Map(each.map((row) => [row.key, row])).values()])
  if (!mine || !others) return undefined
  const here = new Set(mine.map(({ key }) => key))
  const from = others.findIndex(({ key }) => here.has(key))
  if (from === -1) return undefined
  const at = mine.findIndex(({ key }) => key === others[from]?.key)
  if (at > 0 && from > 0) return others[0]
  return others.slice(from).find(({ key }, i) => at + i < mine.length && key !== mine[at + i]?.key)
}

const timeOf = (row: PageRow | undefined): string | undefined => (row?.time === undefined ? undefined : formatInstant(row.time))

/** Whether rows may have one time: those without a time, too. */
const mayBeTied = (rows: readonly PageRow[]): boolean => rows.some(({ time }, i) => time === rows[i + 1]?.time)

/**
 * Of two answers of one place, the one by a replica that is less behind: it has the newer rows, so its page begins with an
 * older one only where nothing is missing.
 */
export function fresher(one: Page, other: Page): Page {
  if (beginsAbove(other, one)) return other
  if (beginsAbove(one, other)) return one
  const [a, b] = [one, other].map(({ rows }) => rows[0]?.time)
  if (a !== undefined && b !== undefined && a !== b) return a > b ? one : other
  return distinct(other.rows) > distinct(one.rows) ? other : one
}

/** Whether two answers of the last place tell of the same end. */
export const meets = ({ rows }: Pick<Page, 'rows'>, other: Pick<Page, 'rows'>): boolean =>
  (rows.length === 0 && other.rows.length === 0) || rows.some(({ key }) => other.rows.some((row) => row.key === key))

const beginsAbove = ({ rows }: Page, { rows: [first] }: Page): boolean => rows.findIndex(({ key }) => key === first?.key) > 0
