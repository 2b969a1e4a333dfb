import type { Json } from '../../src/sdk/authors.js'
import type { PageName } from './check.js'
import type { Page, PageRow } from './page.js'

/** Where a page is: plain data, so that it can be stored. What is in it is the pager's matter. */
export type Place = Readonly<Record<string, Json>>

/** What a page means for the way through the list. */
export interface Verdict {
  /** Pages that follow those taken before without a gap, in their order. None: the page proves nothing and another is asked for. */
  readonly take: readonly Page[]
  /** Where to go on. Undefined: the list has ended, and that is proved. */
  readonly next: Place | undefined
}

/** What is remembered of the way so far: the last page that was taken. */
export interface Memory {
  /** Its rows by key. */
  readonly known: ReadonlyMap<string, PageRow>
  /** Lowest time of all that was taken since the list was entered. */
  readonly low: bigint | undefined
}

export interface Pager {
  readonly kind: string
  /** The beginning of the list. */
  start(): Place
  /** What `$` stands for in the request. */
  values(place: Place): Readonly<Partial<Record<PageName, string | number | undefined>>>
  /** The address of the page, where the source gave one. */
  address?(place: Place): string | undefined
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
