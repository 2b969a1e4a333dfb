import type { PipeError } from './errors.js'
import type { List } from './packed-list.js'
import type { RpcCall } from './rpc.js'

/** Outages in which a node says nothing of the receipts one by one: it gives none together, or who does is away. */
const TOGETHER = new Set(['RPC_AWAY', 'RPC_NULL_RESULT', 'RPC_LOGS_UNBELIEVED'])

/** Whether the receipts of a block may be had one by one (`receiptCalls`) where all of them together ended with this error. */
export const mayBeApart = ({ blame, code }: PipeError): boolean => blame === 'own' || TOGETHER.has(code)

/** A call for the receipt of each of a block's transactions, which are given whole or by hash: what `eth_getBlockReceipts` gives together. */
export function receiptCalls(transactions: List<unknown>): RpcCall[] {
  return Array.from(transactions, (one) => ({
    method: 'eth_getTransactionReceipt',
    params: [typeof one === 'object' && one !== null && 'hash' in one ? one.hash : one],
  }))
}
