import { formatInstant } from '../../src/sdk/authors.js'
import type { Stretch } from './coverage.js'
import { ListOrderError, ListUnstableError, PagesEmptyError } from './errors.js'
import type { Page, PageRow } from './page.js'
import { type Memory, Recent } from './pager.js'

/** Pages without a new row, though there are more, before giving up. */
export const EMPTY_PAGES = 100
/** How much newer than now a row may be without being counted as one from the future. */
const FUTURE_US = 600_000_000n

const NOTHING: Memory = { known: new Map(), low: undefined }

/** Takes the pages of a list, each row once, and remembers what the next ones are compared with. */
export class Intake {
  readonly #now: bigint
  readonly #disorder: bigint
  memory: Memory = NOTHING
  /** What was known before the page that is read. */
  entry: Memory = NOTHING
  /** Key of the first row of the list. */
  first: string | undefined
  /** How many rows were read. */
  read = 0
  /** How many rows were read before the page that is read. */
  entryRead = 0
  #recent = new Recent()
  #barren = 0
  /** Whether the reading went on where an earlier run ended, and down to where that one read the list. */
  #resumed: { readonly low: bigint | undefined } | undefined
  /** Rows that an answer showed and no page that was taken has brought. */
  readonly #shown = new Map<string, PageRow>()
  #counts: Record<string, number> = {}

  /** `disorder`: how far a row may stand out of order. */
  constructor(now: bigint, disorder: bigint) {
    this.#now = now
    this.#disorder = disorder
  }

  /** Goes on in a list of which an earlier run read so many rows. `atStart`: it reads them again, and the list may begin elsewhere by now. */
  resume({ first, read = 0 }: { first?: string | undefined; read?: number | undefined }, low: bigint | undefined, atStart: boolean): void {
    this.first = atStart ? undefined : first
    this.read = read
    this.memory = atStart ? NOTHING : { known: new Map(), low }
    this.#resumed = { low }
  }

  /** Whether no page was taken since the list was entered. */
  get isBare(): boolean {
    return this.memory === NOTHING
  }

  /** Forgets the way so far: nothing that comes is compared with it. */
  forget(): void {
    this.memory = NOTHING
    this.#recent = new Recent()
  }

  /** Begins the list anew, as if nothing of it had been read. */
  restart(): void {
    this.forget()
    this.first = undefined
    this.read = 0
  }

  /** Called before a page is asked for. `again`: for the page of before, whose rows are known; what it has more follows what came before it. */
  enter(again: boolean): void {
    if (again) {
      this.memory = { known: new Map([...this.entry.known, ...this.memory.known]), low: this.entry.low }
      return
    }
    this.entry = this.memory
    this.entryRead = this.read
  }

  /** Takes note of the rows of an answer that are to be read yet: none of them may be covered before a page has brought it. */
  saw({ rows, before, twin }: Page): void {
    const { low, known } = this.memory
    for (const row of [...rows, ...(before?.rows ?? []), ...(twin?.rows ?? [])]) {
      if (this.#recent.has(row) || known.has(row.key)) continue
      const { time } = row
      // What lies further up was read before; what of it an earlier run has read, nobody knows.
      const ahead = time === undefined ? !this.#resumed : low === undefined || time <= low + this.#disorder
      const own = time === undefined || !this.#resumed || (this.#resumed.low !== undefined && time < this.#resumed.low)
      if (ahead && own) this.#shown.set(row.key, row)
    }
  }

  /** @throws {ListUnstableError} when a row of a stretch, or any row, was shown by an answer, and no page has brought it. */
  checkShown(stretch?: Stretch): void {
    for (const { time, pointer } of this.#shown.values()) {
      if (time !== undefined && stretch && (time < stretch[0] || time > stretch[1])) continue
      throw new ListUnstableError(pointer, time === undefined ? undefined : formatInstant(time))
    }
  }

  /**
   * Takes a page that follows those before, or, `again`, the same page once more. `ordered`: it begins below what was taken, which one
   * that was asked for by its position does not. Gives the rows that are new or changed.
   *
   * @throws {ListOrderError}
   */
  take(page: Page, { again, ordered }: { readonly again: boolean; readonly ordered: boolean }): PageRow[] {
    const fresh: PageRow[] = []
    const here = new Map<string, PageRow>()
    let { low } = this.memory
    let order = ordered ? low : undefined
    for (const row of page.rows) {
      this.#shown.delete(row.key)
      const twice = here.get(row.key)
      const before = twice ?? this.memory.known.get(row.key)
      here.set(row.key, row)
      if (row.time !== undefined) {
        if (order !== undefined && row.time > order + this.#disorder && !before)
          throw new ListOrderError(row.pointer, formatInstant(row.time), formatInstant(order))
        if (order === undefined || row.time < order) order = row.time
        if (low === undefined || row.time < low) low = row.time
        if (row.time > this.#now + FUTURE_US) this.count('in the future', 1)
      }
      if (twice) this.count('doubled', 1)
      if (before && JSON.stringify(before.record) === JSON.stringify(row.record)) continue
      if (before) this.count('changed', 1)
      else this.read++
      fresh.push(row)
    }
    this.first ??= page.rows[0]?.key
    const { known } = this.memory
    const last = here.size > 0 ? here : known
    this.memory = { known: again ? new Map([...known, ...here]) : last, low }
    return fresh
  }

  /** Counts pages that lead nowhere: none of their rows was not met lately. @throws {PagesEmptyError} */
  progressed(pages: readonly Page[]): void {
    const all = pages.flatMap(({ rows }) => rows)
    this.#barren = all.some((row) => !this.#recent.has(row)) ? 0 : this.#barren + 1
    this.#recent.add(all)
    if (this.#barren >= EMPTY_PAGES) throw new PagesEmptyError(this.#barren)
  }

  /** Counts what people should know of. */
  count(name: string, by: number): void {
    if (by > 0) this.#counts[name] = (this.#counts[name] ?? 0) + by
  }

  /** What was counted since the last call; undefined: nothing. */
  counted(): Record<string, number> | undefined {
    const counts = this.#counts
    this.#counts = {}
    return Object.keys(counts).length > 0 ? counts : undefined
  }
}
