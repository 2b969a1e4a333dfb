import { type Batch, type BlockLink, formatInstant, type Interval, type LogsPage, type RunContext } from '../../src/sdk/authors.js'
import type { Config } from './config.js'
import { DayOpenError, HeaderRefusedError } from './errors.js'
import { filtersOf } from './filters.js'
import { nearHead } from './near-head.js'
import { isFields, pagesOf, preparing } from './pages.js'
import { dayOf, type KeptAside, RowsOfLogs } from './rows.js'
import { type Border, type Part, Seams } from './seams.js'
import { type Asking, BlockTimes, type Found, type Header } from './times.js'

type Context = RunContext<Config, never>

/** Pages whose times and headers are asked for at once. All of them may wait for one commit. */
const PAGES_AT_ONCE = 5

const DAY_US = 86_400_000_000n

export async function* readUnit(ctx: Context): AsyncIterable<Batch<never>> {
  const { piece } = ctx.unit
  if (piece.kind !== 'stretch') return
  const { from, to } = piece
  const reader = new Reader(ctx)
  if (piece.axis.of === 'numbers') {
    yield* reader.blocks(from, to)
    return
  }
  for (let start = from; start <= to; start = startOfDay(start) + DAY_US) {
    const end = startOfDay(start) + DAY_US - 1n
    yield* reader.day(start, end < to ? end : to)
  }
}

const startOfDay = (us: bigint) => us - (((us % DAY_US) + DAY_US) % DAY_US)

class Reader {
  readonly #ctx: Context
  readonly #rows: RowsOfLogs
  readonly #times: BlockTimes

  constructor(ctx: Context) {
    this.#ctx = ctx
    this.#rows = new RowsOfLogs(ctx)
    this.#times = BlockTimes.of(ctx.rpc)
  }

  async *blocks(from: bigint, to: bigint): AsyncIterable<Batch<never>> {
    const asking = { top: to, signal: this.#ctx.signal }
    const placed = await nearHead(this.#ctx, to)
    const prepare = async (read: LogsPage) => {
      const page = placed ? await placed(read) : read
      return { page, headers: await this.#headersOf(page, asking) }
    }
    for await (const { page, headers } of preparing(this.#pages(from, to), prepare, PAGES_AT_ONCE))
      yield {
        ...this.#batch(page, headers, undefined),
        covers: [[page.from, page.to]],
        parentHash: page.from === from ? page.parentHash : undefined,
        lastHash: page.to === to ? page.lastHash : undefined,
      }
  }

  /** A day, or what is left of one: from and to are of the same day. */
  async *day(from: bigint, to: bigint): AsyncIterable<Batch<never>> {
    const { signal, chain } = this.#ctx
    const safe = (await this.#ctx.head()) - BigInt(chain?.confirmations ?? 0)
    const asking: Asking = { top: safe < 0n ? 0n : safe, signal }
    const [begin, end] = await Promise.all([this.#times.first(from, asking), this.#times.first(to + 1n, asking)])
    if (!end.at) throw new DayOpenError(to, asking.top, end.before.time)
    // What begins later is there, so this is, too.
    const first = (begin.at ?? end.at).number
    const last = end.at.number - 1n
    if (first > last) {
      yield { covers: [[from, to]], numbers: [first, last], rows: this.#rows.make([], new Map(), undefined).rows, ...noBlocks(begin, end) }
      return
    }
    const borders = new Map<bigint, Promise<Border>>()
    const border = (number: bigint): Promise<Border> => {
      const known = borders.get(number)
      if (known) return known
      const asked = this.#times.border(number, asking)
      borders.set(number, asked)
      return asked
    }
    const ends = { from: { number: first, time: from }, to: { number: last + 1n, time: to + 1n } }
    const placed = await nearHead(this.#ctx, last)
    const prepare = async (read: LogsPage): Promise<Part> => {
      const page = placed ? await placed(read) : read
      checkLink(page.from === first, page.parentHash, begin.before?.hash, `block ${first} goes on from`)
      checkLink(page.to === last, page.lastHash, end.before?.hash, `block ${last} is`)
      const [begins, behind, headers] = await Promise.all([
        page.from === first ? ends.from : border(page.from),
        page.to === last ? ends.to : border(page.to + 1n),
        this.#headersOf(page, asking),
      ])
      return { ...page, headers, begins, ends: behind }
    }
    const seams = new Seams()
    const day = dayOf(from)
    for await (const read of preparing(this.#pages(first, last), prepare, PAGES_AT_ONCE))
      for (const part of seams.add(read)) {
        const covers: Interval[] = part.begins.time < part.ends.time ? [[part.begins.time, part.ends.time - 1n]] : []
        yield {
          ...this.#batch(part, part.headers, day),
          covers,
          numbers: [first, last],
          parentHash: part.from === first ? begin.before?.hash : undefined,
          lastHash: part.to === last ? end.before?.hash : undefined,
        }
      }
  }

  #pages(from: bigint, to: bigint): AsyncIterable<LogsPage> {
    const { rpc, signal, config } = this.#ctx
    return pagesOf(rpc, filtersOf(this.#rows.asked), { from, to, block: to, verify: config.verify ?? 'empty', signal })
  }

  async #headersOf({ logs }: LogsPage, asking: Asking): Promise<ReadonlyMap<bigint, Header>> {
    if (!this.#rows.needsHeaders || logs.length === 0) return new Map()
    const numbers = [...new Set(logs.map((log) => log.blockNumber))]
    return new Map((await this.#times.headers(numbers, asking)).map((header) => [header.number, header]))
  }

  #batch(page: LogsPage | Part, headers: ReadonlyMap<bigint, Header>, day: string | undefined): Batch<never> {
    const { from, to, logs, evidence, endpoints } = page
    const { rows, misfits, aside } = this.#rows.make(logs, headers, day)
    return {
      rows,
      endpoints,
      blocks: endsOf(page),
      evidence: {
        ...(isFields(evidence) ? evidence : { page: evidence }),
        blocks: `${from}-${to}`,
        ...(misfits > 0 ? { kept_aside: aside } : {}),
      },
      counts: misfits > 0 ? countsOf(aside, this.#ctx.config.misfits !== undefined) : undefined,
    }
  }
}

/**
 * Logs that fit none of their events, by event and reason: a run tells the sum of each. `kept`: a table has them. An example of
 * each is in the evidence.
 */
function countsOf(aside: KeptAside, kept: boolean): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const [event, reasons] of Object.entries(aside))
    for (const [reason, { logs }] of Object.entries(reasons)) {
      const name = `logs of ${event.replace(/^\s*(?:event\s+)?(\w+)[^]*$/, '$1')} ${kept ? 'kept aside' : 'not stored'}, which do not fit: ${reason}`
      counts[name] = (counts[name] ?? 0) + logs
    }
  return counts
}

/** What is known of the blocks at the ends of a page. */
function endsOf({ from, to, parentHash, lastHash }: LogsPage | Part): BlockLink[] {
  if (from === to) return [{ number: from, hash: lastHash, parentHash }]
  return [
    { number: from, parentHash },
    { number: to, hash: lastHash },
  ]
}

/** A stretch of time in which there is no block: the blocks around it prove it. */
function noBlocks({ before }: Found, { at }: Found): Pick<Batch<never>, 'evidence' | 'counts' | 'parentHash' | 'lastHash'> {
  const shown = ({ number, time, hash }: NonNullable<Found['before']>) => ({ number: String(number), time: formatInstant(time), hash })
  return {
    evidence: {
      logs: 0,
      blocks: 'none',
      before: before ? shown(before) : 'nothing: the chain begins later',
      next: at ? shown(at) : null,
    },
    ...(before ? { parentHash: before.hash, lastHash: before.hash } : { counts: { 'days before the first block': 1 } }),
  }
}

/** @throws {HeaderRefusedError} when a page is of another fork than the headers that bound the day. */
function checkLink(isEnd: boolean, said: string | undefined, known: string | undefined, words: string): void {
  if (isEnd && said !== undefined && known !== undefined && said !== known)
    throw new HeaderRefusedError(`${words} ${said} by the answer with its logs, and ${known} by its header`)
}
