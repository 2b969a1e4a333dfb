import type { Row } from '../../src/sdk/index.js'
import { output, table } from '../support/warehouse.js'
import type { Figure } from './goals.js'
import type { Pairs } from './measure.js'

/** The table that loads fill on every warehouse. */
export const balances = table(
  'miners_balance',
  {
    block_number: 'bigint',
    miner: 'address',
    block_hash: 'hash',
    at: 'timestamp',
    balance_before: 'uint256',
    balance_after: 'uint256',
    balance_increase: 'int256',
  },
  ['block_number'],
)
export const columns = balances.columns.map(({ name }) => name)
export const plain = output(balances)

/** Rows of one commit, as the runner groups them. */
export const COMMIT = 10_000

export function makeRows(count: number, from = 0): Row[] {
  return Array.from({ length: count }, (_, i) => {
    const n = BigInt(from + i)
    const before = 10n ** 21n + n * 1_234_567_891_011n
    return {
      block_number: 18_000_000n + n,
      miner: `0x${(n % 977n).toString(16).padStart(40, 'a')}`,
      block_hash: `0x${n.toString(16).padStart(64, '7')}`,
      at: 1_700_000_000_000_000n + n * 12_000_000n,
      balance_before: before,
      balance_after: before + 2n * 10n ** 18n,
      balance_increase: 2n * 10n ** 18n,
    }
  })
}

/** Goal G4 in rows a second. */
export function loadFigure(what: string, count: number, { ours, theirs, speed }: Pairs, wanted: number | undefined): Figure {
  const perSecond = (ms: number) => `${Math.round((count / ms) * 1000).toLocaleString('en')} rows/s`
  return {
    goal: 'G4',
    what,
    ours: perSecond(ours.ms),
    theirs: perSecond(theirs.ms),
    ratio: speed,
    wanted: wanted === undefined ? '' : `>= ${wanted}`,
    met: wanted === undefined ? undefined : speed >= wanted,
  }
}
