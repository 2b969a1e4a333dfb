import { formatInstant, parseDuration } from '../../src/sdk/authors.js'
import { type AskAgain, type Beliefs, beliefsOf, sureOfNothing, withRows } from './beliefs.js'
import { noReply, statusOf } from './ends.js'
import { PageOutsideError, SecondTooFullError, SecondUnsureError } from './errors.js'
import { knownBelow } from './known.js'
import { type Context, type Page, type PageBatch, type PageRow, serverNow, tableRows } from './page.js'
import { distinct, LEAST_CUT } from './pager.js'
import { fresher, isRecent } from './answers.js'
import { boundsOf, createAsk } from './ask.js'
import { isSure, parameterOf } from './request.js'
import { target } from './target.js'
import { STEP_US } from './time.js'

type Stretch = readonly [bigint, bigint]

/**
 * Reads a stretch of time with one request, or, where a page may be cut, with as many as it takes: such a one is asked for
 * again in halves. Rows of the steps beside it, which come with bounds that are inclusive, belong to its neighbours.
 */
export function readWindow(ctx: Context): AsyncIterable<PageBatch> {
  return new WindowReader(ctx).read()
}

class WindowReader {
  readonly #ctx: Context
  readonly #ask: ReturnType<typeof createAsk>
  readonly #step: bigint
  readonly #beliefs: Beliefs

  constructor(ctx: Context) {
    const { config } = ctx
    this.#ctx = ctx
    this.#ask = createAsk(ctx)
    this.#step = STEP_US[config.cursor.time ?? config.cover?.unit ?? 's']
    this.#beliefs = beliefsOf(ctx)
  }

  async *read(): AsyncIterable<PageBatch> {
    const { config, unit, outputs, scope } = this.#ctx
    if (unit.piece.kind !== 'stretch') throw new Error(`unit ${unit.key} is no stretch of time`)
    const ids = outputs.map(({ id }) => id)
    const overlap = BigInt(parseDuration(config.overlap ?? '60s') ?? 0) * 1000n
    const now = (scope.get('now')?.value ?? 0n) as bigint
    const open: Stretch[] = [[unit.piece.from, unit.piece.to]]
    for (let stretch = open.pop(); stretch; stretch = open.pop()) {
      // The unit stays open.
      if (!this.#ctx.budget.take()) return
      const [from, to] = stretch
      const page = await this.#page(stretch)
      if (await this.#isCut(stretch, page)) {
        const middle = from + (to - from) / 2n
        const cut = middle - (middle % this.#step) + this.#step
        if (cut <= from || cut > to) throw new SecondTooFullError(formatInstant(this.#tied(page) ?? from), 'window')
        // The newer half is read first.
        open.push([from, cut - 1n], [cut, to])
        continue
      }
      const firm = serverNow(now, page) - overlap - 1n
      const end = min(firm, to)
      yield {
        rows: tableRows(rowsIn(page, stretch), ids),
        covers: end >= from ? [[from, end]] : undefined,
        tentative: end < to ? [[max(from, end + 1n), to]] : undefined,
        clears: [stretch],
      }
    }
  }

  /**
   * The page of a stretch; one without rows when two reads agree, and one that had rows still had them in between. One that is
   * recent is asked for twice, since a replica that is behind has a part of it.
   */
  async #page(stretch: Stretch): Promise<Page> {
    const ask = (again: number) => this.#asked(stretch, again)
    let page = await ask(0)
    if (page.rows.length > 0) this.#beliefs.full = ask
    if (page.rows.length === 0 && page.end === undefined) {
      this.#beliefs.full ??= await this.#known()
      page = await sureOfNothing(page, ask, () => this.#beliefs.full, isRecent(this.#ctx, stretch[1]))
      if (page.rows.length > 0) this.#beliefs.full = ask
    } else if (page.rows.length > 0 && isRecent(this.#ctx, stretch[1])) page = fresher(page, await withRows(ask))
    return page
  }

  /** A stretch whose rows an earlier run has read. */
  async #known(): Promise<AskAgain | undefined> {
    const asked = target(this.#ctx)
    const known = asked && (await knownBelow(this.#ctx, asked.to + 1n))
    return known === undefined ? undefined : (again) => this.#asked([known, known], again)
  }

  async #asked(stretch: Stretch, again: number): Promise<Page> {
    const [from, to] = stretch
    const page = await this.#ask(boundsOf(stretch, this.#ctx.config), { again })
    // Bounds that are inclusive give the steps beside the stretch, too.
    const [lowest, highest] = [from - (from % this.#step) - this.#step, to - (to % this.#step) + 2n * this.#step - 1n]
    const stray = page.rows.find(({ time }) => time !== undefined && (time < lowest || time > highest))
    if (stray) {
      // That it has rows is known none the less.
      this.#beliefs.full ??= (more) => this.#asked(stretch, more)
      const { config } = this.#ctx
      const parameter = parameterOf(config, (stray.time ?? 0n) < from ? 'start' : 'end')
      throw new PageOutsideError(
        stray.pointer,
        formatInstant(stray.time ?? 0n),
        `${formatInstant(from)} to ${formatInstant(to)}`,
        parameter,
      )
    }
    return page
  }

  /** A page of two windows. That it is refused says nothing of the windows. */
  async #wide(stretch: Stretch): Promise<Page> {
    try {
      return await this.#asked(stretch, 0)
    } catch (error) {
      if (statusOf(error) === undefined) throw error
      return { rows: [], reply: noReply(200) }
    }
  }

  /**
   * Whether a page may lack rows of its stretch. Nobody says how many rows a page holds at most, so one that is as long as
   * any before it is believed only when a wider stretch gives more, or when nothing lies between its last row and the end.
   */
  async #isCut(stretch: Stretch, page: Page): Promise<boolean> {
    const { config } = this.#ctx
    const beliefs = this.#beliefs
    const length = distinct(page.rows)
    if (page.more !== undefined) return page.more
    if (length === 0 || page.end !== undefined) return false
    if (config.page_size !== undefined && length >= config.page_size) return true
    if (length >= beliefs.cut) return true
    if (length < beliefs.longest) return false
    const [from, to] = stretch
    // Once for windows of this width: a page of two shows whether a page can hold more than one.
    if (to - from > beliefs.widest) {
      beliefs.widest = to - from
      beliefs.wide = this.#wide([from - (to - from) - 1n, to])
    }
    beliefs.longest = Math.max(beliefs.longest, distinct((await beliefs.wide)?.rows ?? []))
    if (length < beliefs.longest) return false
    beliefs.longest = Math.max(beliefs.longest, length)
    const rest = restOf(page.rows, stretch, this.#step)
    const here = new Set(page.rows.map(({ key }) => key))
    for (const { part, past, behind } of rest) {
      // The outermost row is asked for with what lies beyond it, so a page without any shows nothing.
      let beyond = await withRows((again) => this.#asked(part, again))
      const isNew = ({ key }: PageRow) => !here.has(key)
      // One that is as long as the page may be cut within that step, and hide what lies past it; inclusive bounds give it twice.
      for (const narrower of [past, behind]) {
        if (rowsIn(beyond, stretch).some(isNew) || distinct(beyond.rows) < length || narrower[0] > narrower[1]) break
        beyond = await this.#page(narrower)
      }
      if (!rowsIn(beyond, stretch).some(isNew)) continue
      beliefs.cut = Math.min(beliefs.cut, length)
      return true
    }
    await this.#checkTied(page, length)
    return false
  }

  /**
   * Rows of one instant look the same whether they are all or a page that was cut. Where no page had more, all that is to be
   * covered is asked for at once, which shows whether one can.
   *
   * @throws {SecondUnsureError}
   */
  async #checkTied(page: Page, length: number): Promise<void> {
    const beliefs = this.#beliefs
    const tied = this.#tied(page)
    if (tied === undefined || length < LEAST_CUT || isSure(this.#ctx.config)) return
    const asked = target(this.#ctx)
    if (asked) beliefs.whole ??= this.#wide([asked.from, asked.to])
    beliefs.longest = Math.max(beliefs.longest, distinct((await beliefs.whole)?.rows ?? []))
    if (length >= beliefs.longest) throw new SecondUnsureError(formatInstant(tied), length, 'window')
  }

  /** The one step in which all rows of a page lie. */
  #tied({ rows }: Page): bigint | undefined {
    const [first, ...more] = new Set(rows.map(({ time = 0n }) => time - (time % this.#step)))
    return more.length === 0 ? first : undefined
  }
}

/** Rows of a page that lie in a stretch. */
const rowsIn = ({ rows }: Page, [from, to]: Stretch): PageRow[] =>
  rows.filter(({ time }) => time !== undefined && time >= from && time <= to)

/** What of a stretch lies on one side of the rows of its page: with the step of the outermost one, without, and behind the next one. */
interface Rest {
  readonly part: Stretch
  readonly past: Stretch
  readonly behind: Stretch
}

function restOf(rows: readonly PageRow[], [from, to]: Stretch, step: bigint): Rest[] {
  const times = rows.flatMap(({ time }) => (time === undefined ? [] : [time]))
  const [low, high] = times.reduce(([a, b], time): [bigint, bigint] => [time < a ? time : a, time > b ? time : b], [to, from])
  const lowest = low - (low % step)
  const highest = high - (high % step)
  const parts: Rest[] = []
  // Where the lowest row has the first step, that one may have been cut, too.
  if (lowest + step <= to)
    parts.push({ part: [from, min(lowest + step - 1n, to)], past: [from, lowest - 1n], behind: [from, lowest - step - 1n] })
  if (high < to) parts.push({ part: [max(highest, from), to], past: [highest + step, to], behind: [highest + 2n * step, to] })
  return parts
}

const min = (a: bigint, b: bigint) => (a < b ? a : b)
const max = (a: bigint, b: bigint) => (a > b ? a : b)
