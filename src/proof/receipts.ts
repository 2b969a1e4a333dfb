import { addToBloom, type BloomItems } from './bloom.js'
import { at, bytes, fieldsOf, hex, listOf, quantity, typeOf, type Fields } from './read.js'
import { withoutStateSync } from './state-sync.js'
import { encode, orderedRoot } from './trie.js'

/** An OP stack's deposit: a transaction that the chain itself puts into a block. */
export const DEPOSIT = 0x7e

/** Types whose receipts have the form that is written here. */
export const KNOWN_TYPES: ReadonlySet<number> = new Set([0, 1, 2, 3, 4, DEPOSIT])

/** A receipt as its block's receiptsRoot holds it. */
export interface EncodedReceipt {
  /** Of the EIP-2718 envelope: 0 for a receipt without one. */
  readonly type: number
  readonly envelope: Uint8Array
  /** Made of the logs, whatever the node says of it. 256 bytes. */
  readonly bloom: Uint8Array
}

/**
 * The receiptsRoot of a block with these receipts, all of them, in the order of their transactions, as `eth_getBlockReceipts`
 * gives them: a hash of 32 bytes in hex. It holds of each receipt its type, its status (or the state root of before Byzantium), the
 * gas used up to it, and all logs with address, topics and data. It knows nothing of hashes, indexes, senders and prices: see
 * `checkBlock`.
 *
 * A state sync of Polygon that stands behind the block's own receipts is left out (`isStateSync`). A type that is not known is taken
 * as Ethereum would write it, which is right where its root is the header's.
 *
 * @throws {BlockUnreadableError}
 */
export function receiptsRoot(receipts: unknown): string {
  return hex(orderedRoot(encodeReceipts(withoutStateSync(listOf(receipts, 'receipts'), 'receipts')).map(({ envelope }) => envelope)))
}

/** @throws {BlockUnreadableError} */
export function encodeReceipts(receipts: readonly unknown[]): readonly EncodedReceipt[] {
  const items: BloomItems = new Map()
  return receipts.map((receipt, i) => at(`receipts[${i}]`, () => encodeReceipt(fieldsOf(receipt, 'receipt'), items)))
}

function encodeReceipt(receipt: Fields, items: BloomItems): EncodedReceipt {
  const type = typeOf(receipt)
  const bloom = new Uint8Array(256)
  const logs = listOf(receipt.logs, 'logs').map((log, i) => at(`logs[${i}]`, () => encodeLog(fieldsOf(log, 'log'), bloom, items)))
  const encoded = encode([
    outcome(receipt),
    quantity(receipt.cumulativeGasUsed, 'cumulativeGasUsed'),
    bloom,
    logs,
    ...deposit(type, receipt),
  ])
  return { type, envelope: type === 0 ? encoded : Buffer.concat([Buffer.of(type), encoded]), bloom }
}

/** Whether a receipt is of before Byzantium: its hash holds the state root after the transaction, not its status. */
export const hasRoot = ({ root }: Fields): boolean => typeof root === 'string' && root.length === 66

/** Before Byzantium the state root after the transaction, later whether it succeeded (EIP-658). */
function outcome(receipt: Fields): Uint8Array {
  return hasRoot(receipt) ? bytes(receipt.root, 'root', 32) : quantity(receipt.status, 'status')
}

/**
 * What a deposit's receipt has besides. Nodes tell the nonce of older deposits, too, and their root knows nothing of it: only from
 * Canyon on, when the version came, both are a part of the receipt (specs.optimism.io, Canyon; op-geth: core/types/receipt.go).
 */
function deposit(type: number, receipt: Fields): readonly Uint8Array[] {
  if (type !== DEPOSIT || receipt.depositReceiptVersion == null) return []
  return [quantity(receipt.depositNonce, 'depositNonce'), quantity(receipt.depositReceiptVersion, 'depositReceiptVersion')]
}

function encodeLog(log: Fields, bloom: Uint8Array, items: BloomItems) {
  const topics = listOf(log.topics, 'topics').map((topic, i) => addToBloom(bloom, items, topic, `topics[${i}]`, 32))
  return [addToBloom(bloom, items, log.address, 'address', 20), topics, bytes(log.data, 'data')]
}
