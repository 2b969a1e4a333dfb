/** Blocks behind a chain's confirmations of which the hashes are kept, with the units that end there. */
export const BLOCKS_KEPT = 64n

/** Reorgs are followed down to the block above this one, and not below. `newest`: the highest block that is known. */
export const horizon = (newest: bigint, confirmations: number): bigint => newest - BigInt(confirmations) - BLOCKS_KEPT
