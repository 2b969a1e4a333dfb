/**
 * What a chain's own hashes prove of what its nodes say: pure functions over answers as JSON-RPC has them. A hasher is compiled and
 * viem is loaded when this is, so it is imported where something is to be proved: `await import('../proof/index.js')`.
 */
export { accountProof, type ProvedAccount } from './account.js'
export { bloomMay, type BloomFilter } from './bloom.js'
export { checkBlock } from './check-block.js'
export { checkUsed, isHashed } from './used.js'
export { type Derived, derivedOf } from './derived.js'
export { headerHash } from './header.js'
export { checkPlaces, type BlockOptions } from './places.js'
export { BlockUnreadableError } from './read.js'
export type { Difference, NotRebuildable, Rebuilt } from './rebuilt.js'
export { receiptsRoot } from './receipts.js'
export { hasStateSyncs, isStateSync } from './state-sync.js'
export { transactionsRoot } from './transactions.js'
