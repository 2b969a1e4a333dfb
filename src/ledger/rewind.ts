import { type Amendment, type Amendments, type Interval, type LedgerRow, type LedgerStep, numberAxis, timeAxis } from '../sdk/index.js'
import { nameOf, rowStretch } from './axis.js'
import { RESET_FINGERPRINT } from './fingerprints.js'
import { asksRows, blockEnds, blocksOf, storedBlocks, storedNumbers } from './hashes.js'
import { intersect, mod, subtract, union } from './intervals.js'
import { hashesAt } from './seams.js'
import { coveredBy, mayHaveWritten, stored } from './standing.js'

/** What becomes of the units of a step when all blocks above one are gone. */
export interface Rewind extends Amendments {
  /** Blocks that units held, or may have, above the one that stays. */
  readonly blocks: readonly Interval[]
  /** Of units of time: the stretches that are uncovered, microseconds UTC. */
  readonly times: readonly Interval[]
}

const DAY_US = 86_400_000_000n

/**
 * Uncovers all that was read above a block: what a unit read below stays done, with the hashes that are known there. A unit of
 * time goes as a whole, with all others of its days, since rows may say only their day. Of rows of a query the table says what is done: their units only forget the hashes. `byKey`: the units are
 * of such rows, and named by their keys.
 */
export function rewound(
  { pipeline, step }: Omit<LedgerStep, 'fingerprint'>,
  rows: readonly LedgerRow[],
  ancestor: bigint,
  byKey = false,
): Rewind {
  const put: Amendment[] = []
  const gone = new Set<LedgerRow>()
  const blocks: Interval[] = []
  const timed = rows.flatMap((row) => {
    const at = rowStretch(timeAxis(), row)
    return at && row.first !== undefined ? [{ row, at, ends: blockEnds(row) }] : []
  })
  const hit = timed.filter(({ ends }) => ends !== undefined && ends[1] > ancestor)
  const days = union(hit.map(({ at: [from, to] }): Interval => [from - mod(from, DAY_US), to - mod(to, DAY_US) + DAY_US - 1n]))
  const uncovered = timed.filter(({ at }) => intersect(days, [at]).length > 0)
  for (const { row, ends } of uncovered) {
    gone.add(row)
    if (ends) blocks.push(ends)
  }
  for (const row of rows) {
    if (asksRows(row)) {
      const [first, last] = blockEnds(row) ?? [0n, -1n]
      if (last <= ancestor) continue
      blocks.push([first > ancestor ? first : ancestor + 1n, last])
      const known = blocksOf(row.coverage).filter(([number]) => number <= ancestor)
      const coverage = { covered: [], ...row.coverage, numbers: storedNumbers(known), blocks: storedBlocks(known) }
      put.push({ step: { pipeline, step, fingerprint: row.fingerprint }, unit: row.unit, state: row.state, coverage })
      continue
    }
    const at = byKey ? undefined : rowStretch(numberAxis(1), row)
    if (!at || at[1] <= ancestor) continue
    gone.add(row)
    const held = coveredBy(row, at)
    if (held.length > 0 || mayHaveWritten(row)) blocks.push(...intersect(held.length > 0 ? held : [at], [[ancestor + 1n, at[1]]]))
    put.push(...below({ pipeline, step }, row, at, ancestor))
  }
  const drop = [...gone].map(({ unit }) => ({ step, unit }))
  return { put, drop, blocks: union(blocks), times: union(uncovered.map(({ at }) => at)) }
}

/** What stays of a unit: its done parts up to a block, and those that hold rows of an older reading. */
function below(step: Omit<LedgerStep, 'fingerprint'>, row: LedgerRow, all: Interval, ancestor: bigint): Amendment[] {
  const kept: Interval[] = [[all[0], ancestor]]
  const axis = numberAxis(1)
  const known = blocksOf(row.coverage).filter(([number]) => number <= ancestor)
  const covered = coveredBy(row, all)
  const part = (at: Interval, fingerprint: string): Amendment => ({
    step: { ...step, fingerprint },
    unit: nameOf(axis, at),
    first: at[0],
    last: at[1],
    state: 'done',
  })
  const done = intersect(covered, kept).map((at): Amendment => ({
    ...part(at, row.fingerprint),
    coverage: { covered: stored([at]), blocks: storedBlocks(known.filter(([number]) => at[0] <= number && number <= at[1])) },
    ...hashesAt(row, all, at),
    endpoint: row.endpoint,
  }))
  const older = row.state !== 'done' && row.coverage?.redo !== undefined ? intersect(subtract([all], covered), kept) : []
  return [...done, ...older.map((at) => part(at, RESET_FINGERPRINT))]
}
