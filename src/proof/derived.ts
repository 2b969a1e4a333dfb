import { at, type Fields, fieldsOf, hex, numberOf, recipient, typeOf } from './read.js'
import { DEPOSIT } from './receipts.js'
import { encodeTransactions } from './transactions.js'

/** What no root holds of a transaction and its receipt, and what follows from those that do. Lower-case hex. */
export interface Derived {
  /** The signer. */
  readonly from: string
  /** Null where a contract is created. */
  readonly to: string | null
  /** Wei, as JSON-RPC has it. */
  readonly effectiveGasPrice: string
  /** Null where none is created. */
  readonly contractAddress: string | null
}

/**
 * The sender by the signature, the price by EIP-1559, the address of a new contract by sender and nonce (Yellow Paper, 7).
 * Undefined for what nobody signed, and for a type whose form is not known.
 *
 * @param baseFeePerGas Of the block's header; undefined before London.
 * @throws {BlockUnreadableError}
 */
export async function derivedOf(transaction: unknown, baseFeePerGas: unknown): Promise<Derived | undefined> {
  const fields = fieldsOf(transaction, 'transaction')
  const type = typeOf(fields)
  const encoded = encodeTransactions([fields])
  const [first] = 'rebuildable' in encoded ? [] : encoded
  if (!first || type === DEPOSIT) return undefined
  const { getContractAddress, recoverTransactionAddress } = await import('viem')
  // The cast is viem's own form of a text that is hexadecimal.
  const serialized = hex(first.envelope) as `0x02${string}`
  const from = (await recoverTransactionAddress({ serializedTransaction: serialized })).toLowerCase() as `0x${string}`
  const to = recipient(fields.to, 'to')
  const created = to.length === 0 ? getContractAddress({ from, nonce: numberOf(fields.nonce, 'nonce') }).toLowerCase() : null
  const price = at('transaction', () => priceOf(fields, baseFeePerGas))
  return { from, to: to.length === 0 ? null : hex(to), effectiveGasPrice: `0x${price.toString(16)}`, contractAddress: created }
}

/** Wei a gas, of what somebody signed. @throws {BlockUnreadableError} */
export function priceOf(transaction: Fields, baseFeePerGas: unknown): bigint {
  if (typeOf(transaction) < 2) return numberOf(transaction.gasPrice, 'gasPrice')
  const offered = numberOf(baseFeePerGas, 'baseFeePerGas') + numberOf(transaction.maxPriorityFeePerGas, 'maxPriorityFeePerGas')
  const most = numberOf(transaction.maxFeePerGas, 'maxFeePerGas')
  return offered < most ? offered : most
}
