import { keccak } from './keccak.js'
import { at, bytes, fieldsOf, hex, quantity, says } from './read.js'

/** Chains of bor: Polygon, its test chains Mumbai and Amoy, BitTorrent Chain. */
const borChains = new Set([137, 80_001, 80_002, 199])

const prefix = Buffer.from('matic-bor-receipt-')

/** Whether blocks of this chain may have state syncs behind them. */
export const hasStateSyncs = (chainId: number | undefined): boolean => chainId !== undefined && borChains.has(chainId)

/**
 * Whether a receipt, log or transaction is what a state sync of Polygon left in a block: bor appends it to the block's own, and it
 * is no part of transactionsRoot, receiptsRoot and logsBloom. So nothing in the block proves what it says, and a bloom does not
 * know of it. From block 80,084,800 on (the Madhugiri fork, PIP-74) a state sync is a transaction of type 0x7f, a part of all
 * three, and has a hash like any other.
 *
 * Zeros in `from`, `to` and gas are no sign, since anybody may give zeros. It is known by its hash, which follows from the block:
 * keccak("matic-bor-receipt-" ++ number as 8 bytes ++ hash of the block), core/types/bor_receipt.go of bor.
 *
 * @throws {BlockUnreadableError}
 */
export function isStateSync(found: unknown): boolean {
  const { blockNumber, blockHash, transactionHash, hash = transactionHash } = fieldsOf(found, 'receipt')
  // What does not say its block is none of bor's.
  if (blockNumber == null || blockHash == null) return false
  const number = quantity(blockNumber, 'blockNumber')
  if (number.length > 8) return false
  const place = Buffer.concat([Buffer.alloc(8 - number.length), number])
  return says(hash, hex(keccak(Buffer.concat([prefix, place, bytes(blockHash, 'blockHash', 32)]))))
}

/** Receipts or transactions without the state sync that may stand behind them. */
export function withoutStateSync(list: readonly unknown[], name: string): readonly unknown[] {
  const last = list.length - 1
  return last >= 0 && at(`${name}[${last}]`, () => isStateSync(list[last])) ? list.slice(0, last) : list
}
