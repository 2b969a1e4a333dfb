import type { RpcCall } from '../sdk/index.js'
import type { BlockRange } from './classify.js'

/** Place of the block among the parameters. */
const BLOCK_AT: Readonly<Record<string, number>> = {
  eth_getBlockByNumber: 0,
  eth_getBlockReceipts: 0,
  eth_getBlockTransactionCountByNumber: 0,
  eth_getTransactionByBlockNumberAndIndex: 0,
  eth_getUncleByBlockNumberAndIndex: 0,
  eth_getUncleCountByBlockNumber: 0,
  trace_block: 0,
  trace_replayBlockTransactions: 0,
  debug_traceBlockByNumber: 0,
  eth_getBalance: 1,
  eth_getCode: 1,
  eth_getTransactionCount: 1,
  eth_call: 1,
  eth_estimateGas: 1,
  eth_getStorageAt: 2,
  eth_getProof: 2,
}

const MUST_EXIST = new Set([
  'eth_getBlockByNumber',
  'eth_getBlockByHash',
  'eth_getBlockReceipts',
  'eth_getTransactionReceipt',
  'eth_getBlockTransactionCountByNumber',
])

/** The block that a call is about, where its parameters say so by number. */
export function blockOf(call: RpcCall): bigint | undefined {
  const at = BLOCK_AT[call.method]
  return at === undefined ? undefined : quantity(call.params[at])
}

/** The blocks that a call for logs covers, where both ends are numbers. */
export function rangeOf(call: RpcCall): BlockRange | undefined {
  const filter = call.params[0]
  if (typeof filter !== 'object' || filter === null) return undefined
  const { fromBlock, toBlock } = filter as { fromBlock?: unknown; toBlock?: unknown }
  const from = quantity(fromBlock)
  const to = quantity(toBlock)
  return from === undefined || to === undefined ? undefined : { from, to }
}

/** Whether `null` can't be the answer, given that all up to `block` exists. */
export function mustExist(call: RpcCall, block: bigint): boolean {
  return call.nullable !== true && MUST_EXIST.has(call.method) && (blockOf(call) ?? block) <= block
}

function quantity(value: unknown): bigint | undefined {
  return typeof value === 'string' && /^0x[\da-f]{1,16}$/i.test(value) ? BigInt(value) : undefined
}
