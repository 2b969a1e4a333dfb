import type { Axis, BlockLink, Coverage, Interval, LedgerChange, UnitWrite } from '../sdk/index.js'
import { nameOf } from './axis.js'
import type { End } from './coverage.js'
import { storedBlocks } from './hashes.js'
import type { NearBlocks } from './near.js'
import { endAt } from './seams.js'

/** What the parts of a unit need to know of it. */
export interface Whole {
  readonly key: string
  readonly axis: Axis
  /** Its ledger row if all of it were done. */
  readonly row: LedgerChange
  readonly blocks: NearBlocks
  /** Of blocks at the ends of what is covered. */
  readonly ends: readonly BlockLink[]
  /** Why it is done again. */
  readonly redo: string | undefined
  /** The moment of the round, for which alone tentative parts are done. */
  readonly now: bigint
  /** How often its step is tried. */
  readonly attempts: number
  /** Takes secrets out of a text. */
  redact(text: string): string
}

/**
 * The ledger rows of a unit at its end, in the terms of the write that ends it. What is covered is done, what is tentative is done for
 * this round, what failed is a unit of its own.
 */
export function partsOf(
  { done, tentative, failed }: End,
  { key, axis, row, blocks, ends, redo, now, attempts, redact }: Whole,
): Pick<UnitWrite, 'ledger' | 'split' | 'replaces'> {
  if (failed.length === 0 && tentative.length === 0) return { ledger: row }
  const named = ([first, last]: Interval) => ({ unit: nameOf(axis, [first, last]), first, last })
  // The hashes of the unit are those at its ends, and say nothing of a part that ends elsewhere.
  const hashes = ([first, last]: Interval) => ({
    parentHash: first === row.first ? row.parentHash : endAt(ends, first)?.parentHash,
    lastHash: last === row.last ? row.lastHash : endAt(ends, last)?.hash,
  })
  // What was counted of the whole unit goes to one part, but to none where only failures lie between done parts.
  const heir = done.length > 1 && tentative.length === 0 ? undefined : (done[0] ?? tentative[0])
  const inherited = (at: Interval) => (at === heir ? row : undefined)
  const failures = failed.map(({ at, error }) => ({
    ...named(at),
    // Older rows are still at the places that failed: `redo` makes the next attempt delete them.
    coverage: redo === undefined ? undefined : { covered: [], redo },
    error: redact(error.message),
    state: error.blame === 'own' ? ('quarantined' as const) : ('failed' as const),
    attempts: error.blame === 'own' ? attempts : undefined,
  }))
  const [only] = failures
  if (only?.unit === key) {
    const { unit: _, ...change } = only
    return { ledger: { ...change, coverage: change.coverage ?? null } }
  }
  const split = [
    ...done.map((at) => ({ coverage: blocksIn(axis, blocks, at), ...inherited(at), ...named(at), ...hashes(at), state: 'done' as const })),
    ...tentative.map((at) => ({
      ...inherited(at),
      ...named(at),
      ...hashes(at),
      state: 'done' as const,
      coverage: { covered: [], tentative: String(now) },
    })),
    ...failures,
  ]
  return { ledger: { state: 'done' }, replaces: [key], split }
}

/** What the ledger keeps of a part of a unit, whose batches were counted together with others. */
function blocksIn({ of }: Axis, blocks: NearBlocks, [first, last]: Interval): Coverage | undefined {
  if (of !== 'numbers') return undefined
  const stored = storedBlocks(blocks.filter(([number]) => first <= number && number <= last))
  return stored && { blocks: stored }
}
