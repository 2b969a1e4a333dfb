import type { RpcCall } from '../sdk/index.js'
import { type BlockRange, isLogs } from './classify.js'

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
  debug_getRawBlock: 0,
  debug_getRawHeader: 0,
  debug_getRawReceipts: 0,
  eth_getBalance: 1,
  eth_getCode: 1,
  eth_getTransactionCount: 1,
  eth_call: 1,
  eth_estimateGas: 1,
  eth_createAccessList: 1,
  debug_traceCall: 1,
  trace_call: 2,
  eth_getStorageAt: 2,
  eth_getProof: 2,
}

/** What nodes keep and prune together. A method that is not here is a kind of its own. */
const KIND: Readonly<Record<string, string>> = {
  eth_getBalance: 'state',
  eth_getCode: 'state',
  eth_getTransactionCount: 'state',
  eth_call: 'state',
  eth_estimateGas: 'state',
  eth_createAccessList: 'state',
  eth_getStorageAt: 'state',
  eth_getProof: 'state',
  eth_getBlockByNumber: 'headers',
  eth_getBlockByHash: 'headers',
  eth_getBlockTransactionCountByNumber: 'headers',
  eth_getTransactionByBlockNumberAndIndex: 'headers',
  eth_getUncleByBlockNumberAndIndex: 'headers',
  eth_getUncleCountByBlockNumber: 'headers',
  debug_getRawBlock: 'headers',
  debug_getRawHeader: 'headers',
  eth_getBlockReceipts: 'receipts',
  debug_getRawReceipts: 'receipts',
}

const MUST_EXIST = new Set([
  'eth_getBlockByNumber',
  'eth_getBlockByHash',
  'eth_getBlockReceipts',
  'eth_getTransactionReceipt',
  'eth_getBlockTransactionCountByNumber',
])

/** The kind of what a method reads: state, headers, receipts, logs, traces, or the method itself. */
export function kindOf(method: string): string {
  return KIND[method] ?? (isLogs(method) ? 'logs' : /^(trace|debug_trace|arbtrace)/.test(method) ? 'traces' : method)
}

/** The oldest block that an endpoint must have to answer a call, where its parameters say so by number. */
export function oldestOf(call: RpcCall): bigint | undefined {
  return blockOf(call) ?? rangeOf(call)?.from
}

/** Kinds of which a node whose head is lower gives nothing, or a part, as if that were all. */
const SILENT = new Set(['logs', 'receipts', 'traces'])

/** The highest block that calls read of a kind that a node gives in part: one whose head is lower can't be asked. */
export function silentReach(calls: readonly RpcCall[]): bigint | undefined {
  let highest: bigint | undefined
  for (const call of calls) {
    if (!SILENT.has(kindOf(call.method))) continue
    const block = blockOf(call) ?? rangeOf(call)?.to
    if (block !== undefined && (highest === undefined || block > highest)) highest = block
  }
  return highest
}

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

/** Whether the result is a block of another number than the asked one. */
export function isOther(call: RpcCall, result: unknown): boolean {
  if (call.method !== 'eth_getBlockByNumber' || typeof result !== 'object' || result === null) return false
  const asked = blockOf(call)
  const { number } = result as { number?: unknown }
  return asked !== undefined && typeof number === 'string' && quantity(number) !== asked
}

function quantity(value: unknown): bigint | undefined {
  return typeof value === 'string' && /^0x[\da-f]{1,16}$/i.test(value) ? BigInt(value) : undefined
}
