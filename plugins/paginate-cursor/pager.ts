import type { Json } from '../../src/sdk/authors.js'
import type { PageName } from './check.js'
import type { End } from './config.js'
import type { Page, PageRow } from './page.js'

/**
 * Where a page is: plain data, so that it can be stored. What is in it is the pager's matter, but for `twin`: another place of the
 * same page, by which it is asked for the second time.
 */
export type Place = Readonly<Record<string, Json>>

/** What a page means for the way through the list. */
export interface Verdict {
  /** Pages that follow those taken before without a gap, in their order. None: the page proves nothing and another is asked for. */
  readonly take: readonly Page[]
  /** Where to go on. Undefined: the list seems to end here. The reader believes it when that is proved. */
  readonly next: Place | undefined
  /** What proves the end, where the pager knows. */
  readonly proof?: string
}

/** What the pagers know of the request and the API. */
export interface About {
  /** The parameter of the request that holds a part of the place, as the API calls it. */
  parameter(name: PageName): string
  /** Rows that a page holds at most, where the file says so. */
  readonly limit: number | undefined
  /** Whether the file says it by `page_size`, rather than by what it asks for. */
  readonly sure: boolean
  /** What of the step says how many rows are asked for a page. Undefined: nothing does. */
  readonly asked: { readonly name: string; readonly rows: number } | undefined
  readonly ends: ReadonlySet<End>
  /** Whether the list is a stretch of the past, into which no new rows come. */
  readonly still: boolean
  /** Most rows that a page of the step had in this run, whatever its list. */
  longest(): number
}

/** What an API that gives no more rows than it was asked for may be cut at in silence: none gives fewer a page. */
export const LEAST_CUT = 10

/** Two reads that agree: what an end is proved by where nobody states it. */
export const TWO_READS = 'two agreeing reads'

/** What is remembered of the way so far: the last page that was taken. */
export interface Memory {
  /** Its rows by key. */
  readonly known: ReadonlyMap<string, PageRow>
  /** Lowest time of all that was taken since the list was entered. */
  readonly low: bigint | undefined
}

export interface Pager {
  readonly kind: string
  /** What of a request says the place, as the API calls it. */
  readonly says: string
  /** The beginning of the list. */
  start(): Place
  /** What `$` stands for in the request. */
  values(place: Place): Readonly<Partial<Record<PageName, string | number | undefined>>>
  /** The address of the page, where the source gave one. */
  address?(place: Place): string | undefined
  /** Whether a reply names the next page by itself, so that one without rows is no end. */
  goesOn?(place: Place, page: Page): boolean
  /** Whether a place is asked for to learn of other pages: one without rows, or a refusal, is an answer then. */
  probes?(place: Place): boolean
  /** @throws {PipeError} when the list can't be read on without a gap. */
  judge(place: Place, page: Page, memory: Memory): Verdict
}

export const text = (place: Place, name: string): string | undefined => {
  const value = place[name]
  return typeof value === 'string' ? value : undefined
}

export const number = (place: Place, name: string): number => {
  const value = place[name]
  return typeof value === 'number' ? value : 0
}

/** Whether a row was in the page before; of the page before a new start of the process, only its last row is known. */
export function isKnown(row: PageRow, place: Place, memory: Memory): boolean {
  return memory.known.has(row.key) || row.key === place.last
}

/** Lowest time of a page's rows. */
export function lowest(rows: readonly PageRow[]): bigint | undefined {
  let low: bigint | undefined
  for (const { time } of rows) if (time !== undefined && (low === undefined || time < low)) low = time
  return low
}

/** Whether two answers have the same rows in the same order. */
export const isLike = ({ rows }: Page, other: Page): boolean =>
  rows.length === other.rows.length && rows.every(({ key }, i) => key === other.rows[i]?.key)

/** How many different rows a page has. */
export const distinct = (rows: readonly PageRow[]): number => new Set(rows.map(({ key }) => key)).size

/** Whether a page has the rows of the page before, each as it was and in the same order. */
export function isSame(rows: readonly PageRow[], { known }: Memory): boolean {
  if (rows.length === 0 || distinct(rows) !== known.size) return false
  const before = [...known.values()]
  const here = [...new Map(rows.map((row) => [row.key, row])).values()]
  return here.every((row, i) => row.key === before[i]?.key && JSON.stringify(row.record) === JSON.stringify(before[i]?.record))
}

/** Keys of the rows that were read last, far more than a page has. */
export class Recent {
  static readonly #most = 20_000
  readonly #keys = new Set<string>()

  add(rows: Iterable<PageRow>): void {
    for (const { key } of rows) {
      this.#keys.delete(key)
      this.#keys.add(key)
    }
    for (const oldest of this.#keys) {
      if (this.#keys.size <= Recent.#most) return
      this.#keys.delete(oldest)
    }
  }

  has({ key }: PageRow): boolean {
    return this.#keys.has(key)
  }
}
