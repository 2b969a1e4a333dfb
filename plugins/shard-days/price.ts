import type { Belief } from '../../src/sdk/authors.js'

/** Calls that find where a day begins: the day behind it begins where it ends. */
export const SEARCH = 16

/** Blocks that one eth_getLogs takes: what most public endpoints allow. */
const RANGE = 2_000

type Calls = Readonly<Record<string, number>>

/** Calls that believing takes, for each block: headers of ranges without a log, of all blocks, receipts, or receipts beside headers. */
const BELIEVING: Readonly<Record<Belief, Calls>> = {
  none: {},
  empty: { eth_getBlockByNumber: 0.05 / RANGE },
  bloom: { eth_getBlockByNumber: 1 },
  receipts: { eth_getBlockReceipts: 1 },
  proof: { eth_getBlockByNumber: 1, eth_getBlockReceipts: 1 },
}

/**
 * Calls that a block takes, by method: those that read it, and those that find out whether to believe what was read. `headers`: its
 * header is read in any case. An estimate, before an endpoint was asked.
 */
export function callsPerBlock(belief: Belief, headers: boolean): Calls {
  const { eth_getBlockByNumber = 0, ...believing } = BELIEVING[belief]
  return { eth_getLogs: 2 / RANGE, ...believing, eth_getBlockByNumber: eth_getBlockByNumber + (headers ? 1 : 0) }
}

/** All of them together. */
export const sum = (calls: Calls): number => Object.values(calls).reduce((all, count) => all + count, 0)
