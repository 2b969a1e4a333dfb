import type { InputPage, Piece, Row, RunContext } from '../../src/sdk/authors.js'
import type { Config } from './config.js'

/** Items of one batch. */
const GROUP = 200
/** Rows of one batch, unless a single item makes more. */
const ROWS = 10_000
/** Batches under way at once in a unit, whatever the pool would take. All of them may wait for one commit, in each of the units at once. */
const AT_ONCE = 5

/**
 * How many items the next group of a unit has. Where each makes one row, always as many; where it makes rows of a list, one at first, and
 * then as many as make `ROWS` by the largest item so far. It depends on the data alone: what an endpoint can do changes no batch.
 */
export class GroupSizes {
  #most: number
  #isKnown: boolean
  #isHeavy = false
  #rows = 1

  /** @param walks Whether rows are made of a list. */
  constructor(walks: boolean) {
    this.#isKnown = !walks
    this.#most = walks ? 1 : GROUP
  }

  get next(): number {
    return this.#most
  }

  /** Groups that may be under way at once. */
  get atOnce(): number {
    if (!this.#isKnown) return 1
    return this.#isHeavy ? 3 : AT_ONCE
  }

  /** A group of so many items made so many rows. */
  made(items: number, rows: number): void {
    if (this.#isKnown && this.#most === GROUP && rows <= items * (ROWS / GROUP)) return
    this.#isKnown = true
    this.#rows = Math.max(this.#rows, rows / items)
    this.#isHeavy = this.#rows >= ROWS
    this.#most = Math.max(1, Math.min(GROUP, Math.floor(ROWS / this.#rows)))
  }
}

/** Puts the fields of an item into a record. */
export type Fill = (i: number, record: Record<string, unknown>) => void

/**
 * Items that are asked for together. It makes their fields and does not hold them: the loop that gives the groups keeps
 * the last one until there is room for the next.
 */
export interface Group {
  readonly size: number
  readonly fields: () => Fill
  /** Names an item in errors and quarantine. */
  key(i: number): string
  readonly covers: readonly [bigint, bigint] | undefined
}

/** The items of a unit, in the order of its piece. */
export async function* groups(ctx: RunContext<Config, never>, sizes: GroupSizes): AsyncIterable<Group> {
  const { piece } = ctx.unit
  if (piece.kind === 'stretch') {
    const newest = piece.order === 'newest-first'
    let size: bigint
    for (let begin = newest ? piece.to : piece.from; newest ? begin >= piece.from : begin <= piece.to; begin += newest ? -size : size) {
      const first = begin
      size = BigInt(sizes.next)
      const edge = newest ? first - size + 1n : first + size - 1n
      const last = newest ? larger(edge, piece.from) : smaller(edge, piece.to)
      const key = (i: number) => String(newest ? first - BigInt(i) : first + BigInt(i))
      const [from, to] = newest ? [last, first] : [first, last]
      yield { size: Number(to - from) + 1, fields: () => numbered(first, last), key, covers: [from, to] }
    }
    return
  }
  // Only the last one also covers the numbers behind it, which the query does not have, so each waits until the next is there.
  const rows = rowGroups(piece)
  let waiting: InputPage | undefined
  for await (const page of ctx.input()) {
    let size: number
    for (let from = 0; from < page.rows.length; from += size) {
      if (waiting) yield rows(waiting, false)
      size = sizes.next
      waiting = { keys: page.keys.slice(from, from + size), rows: page.rows.slice(from, from + size) }
    }
  }
  if (waiting) yield rows(waiting, true)
}

/** Makes groups of rows, one after the other. Those of a stretch of keys cover it without a hole. */
function rowGroups(piece: Piece): (page: InputPage, isLast: boolean) => Group {
  const keys = piece.kind === 'rows' ? piece.keys : undefined
  const newest = piece.kind === 'rows' && piece.order === 'newest-first'
  let edge = keys?.[newest ? 1 : 0] ?? 0n
  return (page, isLast) => {
    const size = page.rows.length
    const fields = (): Fill => (i, record) => {
      const row = page.rows[i] as Row
      for (const name in row) record[name] = row[name]
    }
    const key = (i: number) => page.keys[i] ?? ''
    if (!keys) return { size, fields, key, covers: undefined }
    const last = isLast ? keys[newest ? 0 : 1] : BigInt(key(size - 1))
    const covers: [bigint, bigint] = newest ? [last, edge] : [edge, last]
    edge = newest ? last - 1n : last + 1n
    return { size, fields, key, covers }
  }
}

const smaller = (a: bigint, b: bigint) => (a < b ? a : b)
const larger = (a: bigint, b: bigint) => (a > b ? a : b)

/** An item for each number from `first` to `last`, whichever is larger. */
function numbered(first: bigint, last: bigint): Fill {
  const numbers: bigint[] = []
  const step = first <= last ? 1n : -1n
  for (let number = first; number !== last + step; number += step) numbers.push(number)
  return (i, record) => {
    record.number = numbers[i]
  }
}

/** Some items of a group, as a group. */
export function partOf(group: Group, items: readonly number[]): Group {
  const place = (i: number): number => items[i] as number
  return {
    size: items.length,
    fields: () => {
      const fill = group.fields()
      return (i, record) => fill(place(i), record)
    },
    key: (i) => group.key(place(i)),
    covers: undefined,
  }
}
