import { type Coverage, type Interval, type LedgerRow, numberAxis, timeAxis } from '../sdk/index.js'
import { rowStretch } from './axis.js'
import { numbersOf } from './coverage.js'

/** What units of one step say of a block. */
export interface Known {
  /** More than one where units contradict each other. */
  readonly hashes: Set<string>
  /** The block itself was read. Else a unit ends there, and where a chain has heights without a block, the hash may be that of an earlier one. */
  read: boolean
}

/** The blocks whose hashes are known, by number. */
export function hashesOf(rows: readonly LedgerRow[]): Map<bigint, Known> {
  const known = new Map<bigint, Known>()
  const add = (number: bigint, hash: string, read: boolean) => {
    const there = known.get(number)
    if (!there) known.set(number, { hashes: new Set([hash]), read })
    else {
      there.hashes.add(hash)
      there.read ||= read
    }
  }
  for (const row of rows) {
    for (const [number, hash] of blocksOf(row.coverage)) add(number, hash, true)
    for (const { number, hash, parentHash } of row.coverage?.ends ?? []) {
      if (hash !== undefined) add(BigInt(number), hash, false)
      if (parentHash !== undefined && number !== '0') add(BigInt(number) - 1n, parentHash, false)
    }
    const ends = blockEnds(row)
    if (!ends) continue
    if (row.parentHash !== undefined && ends[0] > 0n) add(ends[0] - 1n, row.parentHash, false)
    if (row.lastHash !== undefined) add(ends[1], row.lastHash, false)
  }
  return known
}

/** Whether a unit asked for rows of a query: it lies on no stretch of blocks, and its numbers are those that it asked about near the head. */
export function asksRows(row: LedgerRow): boolean {
  return row.coverage?.numbers !== undefined && (row.first === undefined || rowStretch(timeAxis(), row) === undefined)
}

/** The numbers of blocks, the lowest and the highest, as the ledger keeps them. */
export function storedNumbers(blocks: readonly (readonly [bigint, string])[]): Coverage['numbers'] {
  const sorted = storedBlocks(blocks)
  const [first, last] = [sorted?.[0], sorted?.at(-1)]
  return first && last ? [first[0], last[0]] : undefined
}

/** The first and the last block of a unit, where it is a stretch of them or says which it holds. */
export function blockEnds(row: LedgerRow): Interval | undefined {
  const numbers = numbersOf(row.coverage)
  if (numbers) return numbers[0] <= numbers[1] ? numbers : undefined
  return rowStretch(numberAxis(1), row)
}

/** Blocks that a unit read near the head. */
export function blocksOf(coverage: Coverage | undefined): (readonly [bigint, string])[] {
  return (coverage?.blocks ?? []).map(([number, hash]) => [BigInt(number), hash] as const)
}

/** The same as the ledger keeps them; undefined where there are none. */
export function storedBlocks(blocks: Iterable<readonly [bigint, string]>): Coverage['blocks'] {
  const sorted = [...blocks].sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.length === 0 ? undefined : sorted.map(([number, hash]) => [String(number), hash] as const)
}
