import type { Belief } from '../../src/sdk/authors.js'

/** Calls that find where a day begins: the day behind it begins where it ends. */
export const SEARCH = 16

/** Blocks that one eth_getLogs takes: what most public endpoints allow. */
const RANGE = 2_000

/** Calls that believing takes, for each block: headers of ranges without a log, of all blocks, receipts, or receipts beside headers. */
const BELIEVING: Readonly<Record<Belief, number>> = { none: 0, empty: 0.05 / RANGE, bloom: 1, receipts: 1, proof: 2 }

/** Calls that a block takes: those that read it, and those that find out whether to believe what was read. An estimate, before an endpoint was asked. */
export const perBlock = (belief: Belief): number => 2 / RANGE + BELIEVING[belief]
