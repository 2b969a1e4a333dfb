import type { Batch, BlockLink, Interval, Json, LedgerChange, LedgerRow, UnitState } from '../sdk/index.js'
import { begin, coverageOf, type Reading } from './coverage.js'
import { appendEvidence } from './evidence.js'
import { blocksOf, storedBlocks, storedNumbers } from './hashes.js'
import type { NearBlocks } from './near.js'
import { endAt, restoredEnds, storedEnds } from './seams.js'

/** All that the batches of one unit add up to: what the ledger keeps of it, and what is told of its progress. A pure fold, too. */
export interface UnitSum {
  readonly reading: Reading
  /** Whether a write cleared the unit's touch. */
  readonly touchedCleared: boolean
  readonly cursor: Json | undefined
  /** By table. */
  readonly rows: Readonly<Record<string, number>>
  /** Blocks, rows or days that were done. */
  readonly pieces: number
  /** Of how many, where the step said so. */
  readonly size: number | undefined
  readonly endpoint: string | undefined
  readonly parentHash: string | undefined
  readonly lastHash: string | undefined
  readonly evidence: Json | undefined
  readonly blocks: NearBlocks
  /** Of blocks at the ends of what is covered. */
  readonly ends: readonly BlockLink[]
}

/** A unit as it begins. `kept`: its row, where the unit goes on from it. `blocks`: the coverage that says which are known. */
export function sumOf(
  stretch: Interval | undefined,
  kept: LedgerRow | undefined,
  { cursor, blocks }: { readonly cursor: Json | undefined; readonly blocks: LedgerRow['coverage'] },
): UnitSum {
  return {
    reading: begin(stretch, kept),
    touchedCleared: false,
    cursor: kept?.cursor ?? cursor,
    rows: kept?.rows ?? {},
    pieces: 0,
    size: undefined,
    endpoint: kept?.endpoint,
    parentHash: kept?.parentHash,
    lastHash: kept?.lastHash,
    evidence: kept?.evidence,
    blocks: blocksOf(blocks),
    ends: restoredEnds(kept?.coverage),
  }
}

/** What a batch adds: what it was found to cover, and what was counted of it. */
export type Addend = Pick<UnitSum, 'reading' | 'touchedCleared' | 'rows' | 'pieces' | 'blocks' | 'ends'>

export function plus(sum: UnitSum, batch: Batch, { reading, touchedCleared, rows, pieces, blocks, ends }: Addend): UnitSum {
  return {
    reading,
    touchedCleared: sum.touchedCleared || touchedCleared,
    cursor: batch.cursor ?? sum.cursor,
    rows: summed(sum.rows, rows),
    pieces: sum.pieces + pieces,
    size: batch.progress?.of ?? sum.size,
    endpoint: batch.endpoints ? mergeHosts(sum.endpoint, batch.endpoints) : sum.endpoint,
    parentHash: batch.parentHash ?? sum.parentHash,
    lastHash: batch.lastHash ?? sum.lastHash,
    evidence: appendEvidence(sum.evidence, batch.evidence),
    blocks,
    ends,
  }
}

/** Whether a step that begins here may bring rows that are in the table already: an earlier attempt did not say how far it came. */
export const mayRepeat = ({ rows, reading, cursor }: UnitSum): boolean =>
  Object.keys(rows).length > 0 && !reading.stated && cursor === undefined

/**
 * Every field of the unit's ledger row but its attempts and its error, so that none of an earlier reading stays. `redo`: why the unit is
 * done again, while older rows are left in it. `asks`: it asks for rows of a query, and its numbers are those of its blocks near the head.
 */
export function rowOf(
  sum: UnitSum,
  { state, redo, asks }: { readonly state: UnitState; readonly redo: string | undefined; readonly asks: boolean },
): Omit<LedgerChange, 'attempts' | 'error'> {
  const { reading, cursor, rows, endpoint, parentHash, lastHash, evidence, blocks } = sum
  const [first, last] = reading.stretch ?? []
  const ends = state === 'done' ? undefined : storedEnds(sum.ends)
  const coverage = coverageOf(reading, redo)
  const numbers = asks ? storedNumbers(blocks) : coverage?.numbers
  return {
    state,
    first,
    last,
    coverage: blocks.length === 0 && !ends ? coverage : { ...coverage, numbers, blocks: storedBlocks(blocks), ends },
    cursor: cursor ?? null,
    rows,
    endpoint,
    parentHash: parentHash ?? endAt(sum.ends, first)?.parentHash,
    lastHash: lastHash ?? endAt(sum.ends, last)?.hash,
    evidence,
  }
}

function summed(before: Readonly<Record<string, number>>, counts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const rows = { ...before }
  for (const [table, n] of Object.entries(counts)) rows[table] = (rows[table] ?? 0) + n
  return rows
}

function mergeHosts(known: string | undefined, hosts: readonly string[]): string {
  const all = new Set(known ? known.split(', ') : [])
  for (const host of hosts) all.add(host)
  return [...all].sort().join(', ')
}
