import { createRequire } from 'node:module'
import type { FakeBlock } from './chain.js'
import { blockJson, receiptsJson } from './json.js'
import type { FakeTransaction, Roots } from './json.js'
import type { Hex } from './source.js'

/** What makes hashes and roots as Ethereum does: the functions of src/proof have this form. Given, since to load them takes a while. */
export interface ChainHasher {
  /** Of a block as eth_getBlockByNumber gives it, whatever hash it says it has. */
  headerHash(block: unknown): unknown
  receiptsRoot(receipts: unknown): unknown
  transactionsRoot(transactions: unknown): unknown
}

/** What a block's contents come to. */
export interface Seal {
  readonly hash: Hex
  /** Of its transactions, in order. */
  readonly transactions: readonly Hex[]
  readonly roots: Roots
}

/** Hashes and roots that are right, so that what they prove can be proved. `block.hash` and the transactions' hashes are not looked at. */
export function seal(hasher: ChainHasher, block: FakeBlock, drawn: readonly FakeTransaction[], state: Hex, chainId: number): Seal {
  const none: Roots = { state, transactions: state, receipts: state }
  // What `blockJson` has just written.
  const { transactions } = JSON.parse(blockJson(block, drawn, none, true, chainId)) as { readonly transactions: readonly Sent[] }
  const hashes = transactions.map(hashOf)
  const sealed = drawn.map((transaction, i) => ({ ...transaction, hash: hashes[i]! }))
  const roots: Roots = {
    state,
    transactions: text(hasher.transactionsRoot(transactions)),
    receipts: text(hasher.receiptsRoot(JSON.parse(receiptsJson(block, sealed)))),
  }
  const hash = text(hasher.headerHash(JSON.parse(blockJson(block, sealed, roots, false, chainId))))
  return { hash, transactions: hashes, roots }
}

/** A transaction as nodes give it, of type 2 and with an empty access list. */
type Sent = Readonly<
  Record<'nonce' | 'value' | 'gas' | 'maxFeePerGas' | 'maxPriorityFeePerGas' | 'chainId' | 'to' | 'input' | 'r' | 's', Hex>
>

interface Viem {
  keccak256(value: Hex): Hex
  serializeTransaction(transaction: object, signature: object): Hex
}

let viem: Viem | undefined

function hashOf({ nonce, value, gas, maxFeePerGas, maxPriorityFeePerGas, chainId, to, input, r, s }: Sent): Hex {
  // The cast holds for viem's documented signatures; `require` gives no types.
  viem ??= createRequire(import.meta.url)('viem') as Viem
  const numbers = {
    value: BigInt(value),
    gas: BigInt(gas),
    maxFeePerGas: BigInt(maxFeePerGas),
    maxPriorityFeePerGas: BigInt(maxPriorityFeePerGas),
  }
  const transaction = { type: 'eip1559', chainId: Number(chainId), nonce: Number(nonce), to, data: input, ...numbers }
  return viem.keccak256(viem.serializeTransaction(transaction, { r, s, yParity: 0 }))
}

function text(hash: unknown): Hex {
  if (typeof hash !== 'string') throw new Error(`a block of the fake chain has no hash: ${JSON.stringify(hash)}`)
  return hash
}
