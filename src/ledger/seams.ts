import type { Axis, BlockLink, Coverage, Interval, LedgerRow } from '../sdk/index.js'
import { nameOf, rowStretch } from './axis.js'
import { asksRows, blocksOf } from './hashes.js'
import { coveredBy, type Ledger } from './standing.js'

/** A stretch that is stored, with the hashes by which it hangs together with what lies beside it. */
export interface Linked {
  readonly unit: string
  readonly at: Interval
  /** Of the block before its first. */
  readonly parentHash: string | undefined
  /** Of its last block. */
  readonly lastHash: string | undefined
}

/** Two stretches that touch and do not go on from each other: one of them is of another fork. */
export interface BrokenSeam {
  readonly lower: Linked
  readonly upper: Linked
}

/** What of the blocks that were read lies at the ends of covered stretches: a neighbour that is read later is compared with it. */
export function endsOf(covered: readonly Interval[], known: readonly BlockLink[]): BlockLink[] {
  const byNumber = new Map<bigint, BlockLink>()
  for (const { number, hash, parentHash } of known) {
    const before = byNumber.get(number)
    byNumber.set(number, { number, hash: hash ?? before?.hash, parentHash: parentHash ?? before?.parentHash })
  }
  return covered.flatMap(([first, last]): BlockLink[] => {
    const [parentHash, hash] = [byNumber.get(first)?.parentHash, byNumber.get(last)?.hash]
    const ends =
      first === last
        ? [{ number: first, hash, parentHash }]
        : [
            { number: first, parentHash },
            { number: last, hash },
          ]
    return ends.filter((end: BlockLink) => end.hash !== undefined || end.parentHash !== undefined)
  })
}

/** What is known of a block where a covered stretch begins or ends. */
export function endAt(ends: readonly BlockLink[], block: bigint | undefined): BlockLink | undefined {
  return ends.find(({ number }) => number === block)
}

/** The same as the ledger keeps them; undefined where there are none. */
export function storedEnds(ends: readonly BlockLink[]): Coverage['ends'] {
  return ends.length === 0 ? undefined : ends.map(({ number, hash, parentHash }) => ({ number: String(number), hash, parentHash }))
}

export function restoredEnds(coverage: Coverage | undefined): BlockLink[] {
  return (coverage?.ends ?? []).map(({ number, ...hashes }) => ({ number: BigInt(number), ...hashes }))
}

/** The hashes at the ends of a part of a unit, as far as its row knows them. Rows of a query hang together with nothing. */
export function hashesAt(row: LedgerRow, [begin, end]: Interval, [first, last]: Interval): Pick<Linked, 'parentHash' | 'lastHash'> {
  if (asksRows(row)) return { parentHash: undefined, lastHash: undefined }
  const ends = new Map(restoredEnds(row.coverage).map((link) => [link.number, link]))
  const read = new Map(blocksOf(row.coverage))
  return {
    parentHash: (first === begin ? row.parentHash : undefined) ?? ends.get(first)?.parentHash ?? read.get(first - 1n),
    lastHash: (last === end ? row.lastHash : undefined) ?? ends.get(last)?.hash ?? read.get(last),
  }
}

/** What is stored of a unit: all of it, or the parts that were committed. */
export function linkedIn(row: LedgerRow, all: Interval): Linked[] {
  return coveredBy(row, all).map((at) => ({ unit: row.unit, at, ...hashesAt(row, all, at) }))
}

/** Where stretches that touch and are done under one definition contradict each other. What knows no hash contradicts nobody. */
export function brokenSeams({ rows, fingerprint }: Ledger, axis: Axis): BrokenSeam[] {
  const all = rows.flatMap((row) => {
    const at = row.fingerprint === fingerprint ? rowStretch(axis, row) : undefined
    return at ? linkedIn(row, at) : []
  })
  const above = new Map(all.flatMap((linked) => (linked.parentHash === undefined ? [] : [[linked.at[0] - 1n, linked] as const])))
  return all.flatMap((lower) => {
    const upper = lower.lastHash === undefined ? undefined : above.get(lower.at[1])
    return upper && upper.parentHash !== lower.lastHash ? [{ lower, upper }] : []
  })
}

export function seamInWords({ lower, upper }: BrokenSeam, axis: Axis): string {
  const last = axis.of === 'numbers' ? `block ${lower.at[1]}, ` : ''
  return `${nameOf(axis, lower.at)} ends with ${last}${lower.lastHash}, and ${nameOf(axis, upper.at)} goes on from ${upper.parentHash}: one of them is of another fork`
}
