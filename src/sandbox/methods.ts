import type { Json } from '../sdk/index.js'
import { quantity } from './source.js'
import type { ChainSource, LogFilter } from './source.js'
import type { Dialect, RpcError } from './wordings.js'

/** A node's own view of a chain: its head, its past, its words. */
export interface NodeView {
  readonly source: ChainSource
  readonly head: bigint
  readonly chainId: number
  readonly dialect: Dialect
  /** State below this block is gone. */
  readonly archiveFrom: bigint
  /** Methods of the test's own, asked first. */
  readonly methods: Readonly<Record<string, (params: readonly unknown[]) => Json>>
}

/** Answers one call truthfully: the result as JSON text, or the error a node would give. */
export function answerCall(view: NodeView, method: string, params: readonly unknown[]): string | RpcError {
  const own = Object.hasOwn(view.methods, method) ? view.methods[method] : undefined
  if (own) return JSON.stringify(own(params))
  switch (method) {
    case 'eth_getBlockByNumber': {
      const number = resolveBlock(view, params[0])
      if (typeof number === 'object') return number
      return number === undefined ? 'null' : (view.source.blockJson(number, params[1] === true) ?? 'null')
    }
    case 'eth_getBalance': {
      const number = resolveState(view, params[1])
      if (typeof number === 'object') return number
      if (!isHex(params[0], 40)) return invalid(0, 'an address of 20 bytes is needed')
      return `"${quantity(view.source.balance(params[0], number))}"`
    }
    case 'eth_getBlockByHash': {
      if (!isHex(params[0], 64)) return invalid(0, 'a hash of 32 bytes is needed')
      const number = view.source.numberOf(params[0])
      return number === undefined || number > view.head ? 'null' : (view.source.blockJson(number, params[1] === true) ?? 'null')
    }
    case 'eth_call': {
      const number = resolveState(view, params[1] ?? 'latest')
      return typeof number === 'object' ? number : callContract(view, params[0], number)
    }
    case 'eth_getBlockReceipts': {
      const number = resolveBlock(view, params[0])
      if (typeof number === 'object') return number
      return number === undefined ? 'null' : (view.source.receiptsJson(number) ?? view.dialect.noMethod(method))
    }
    case 'eth_getTransactionReceipt':
      if (!isHex(params[0], 64)) return invalid(0, 'a hash of 32 bytes is needed')
      return view.source.receiptJson(params[0], view.head) ?? 'null'
    case 'eth_getLogs':
      return getLogs(view, params[0])
    case 'eth_blockNumber':
      return `"${quantity(view.head)}"`
    case 'eth_chainId':
      return `"${quantity(view.chainId)}"`
    case 'net_version':
      return `"${view.chainId}"`
    case 'web3_clientVersion':
      return JSON.stringify(view.dialect.version)
    default:
      return view.dialect.noMethod(method)
  }
}

/** A block tag, number, hash or object as a number; undefined when this node has no such block. */
function resolveBlock(view: NodeView, block: unknown): bigint | undefined | RpcError {
  const number = parseBlock(view, block)
  return typeof number === 'bigint' && number > view.head ? undefined : number
}

/** As above, for state: an unknown or pruned block is an error. */
function resolveState(view: NodeView, block: unknown): bigint | RpcError {
  const number = parseBlock(view, block)
  if (typeof number === 'object') return number
  if (number === undefined || number > view.head) return view.dialect.unknownBlock(number ?? 0n)
  if (number >= view.archiveFrom) return number
  const stateRoot = /"stateRoot":"(0x[0-9a-f]{64})"/.exec(view.source.blockJson(number, false) ?? '')?.[1]
  return view.dialect.noState(number, stateRoot ?? '0x' + '0'.repeat(64))
}

function parseBlock(view: NodeView, block: unknown): bigint | undefined | RpcError {
  if (typeof block === 'string') {
    if (/^0x(0|[1-9a-f][0-9a-f]*)$/i.test(block) && block.length < 20) return BigInt(block)
    if (isHex(block, 64)) return view.source.numberOf(block)
    switch (block) {
      case 'latest':
      case 'pending':
        return view.head
      case 'safe':
        return view.head > 32n ? view.head - 32n : 0n
      case 'finalized':
        return view.head > 64n ? view.head - 64n : 0n
      case 'earliest':
        return 0n
    }
  }
  if (typeof block === 'object' && block !== null) {
    if ('blockNumber' in block) return parseBlock(view, block.blockNumber)
    if ('blockHash' in block && isHex(block.blockHash, 64)) return view.source.numberOf(block.blockHash)
  }
  return invalid(0, `a block is needed, not ${JSON.stringify(block) ?? 'nothing'}`)
}

function callContract(view: NodeView, call: unknown, number: bigint): string | RpcError {
  if (typeof call !== 'object' || call === null || !('to' in call) || !isHex(call.to, 40)) return invalid(0, 'a call with `to` is needed')
  const data = 'data' in call ? call.data : 'input' in call ? call.input : '0x'
  const from = 'from' in call && isHex(call.from, 40) ? call.from : undefined
  const answer = view.source.call({ to: call.to, data: typeof data === 'string' ? data : '0x', from }, number) ?? '0x'
  return typeof answer === 'string' ? `"${answer}"` : reverted(answer.revert)
}

/** As nodes tell of `require(false, reason)`: with the reason as text, and as ABI data of `Error(string)`. */
function reverted(reason: string): RpcError {
  const bytes = Buffer.from(reason)
  const words = [32n, BigInt(bytes.length)].map((word) => word.toString(16).padStart(64, '0')).join('')
  const text = bytes.toString('hex').padEnd(Math.ceil(bytes.length / 32) * 64, '0')
  return { code: 3, message: `execution reverted: ${reason}`, data: `0x08c379a0${words}${text}` }
}

function getLogs(view: NodeView, filter: unknown): string | RpcError {
  if (typeof filter !== 'object' || filter === null) return invalid(0, 'a filter is needed')
  const wanted = filter as Readonly<Record<string, unknown>> // any object: unknown fields are ignored, as nodes do
  const byHash = wanted.blockHash !== undefined
  const from = parseBlock(view, byHash ? wanted.blockHash : (wanted.fromBlock ?? 'latest'))
  const to = byHash ? from : parseBlock(view, wanted.toBlock ?? 'latest')
  if (typeof from === 'object') return from
  if (typeof to === 'object') return to
  if (from === undefined || to === undefined) return { code: -32000, message: 'unknown block' }
  if (from > to) return { code: -32000, message: 'invalid block range params' }
  const last = to < view.head ? to : view.head
  const parsed: LogFilter = {
    addresses: oneOrMany(wanted.address),
    topics: Array.isArray(wanted.topics) ? wanted.topics.map(oneOrMany) : [],
  }
  const found: string[] = []
  for (let number = from; number <= last; number++) found.push(...view.source.logsJson(number, parsed))
  return `[${found.join(',')}]`
}

function oneOrMany(value: unknown): ReadonlySet<string> | undefined {
  if (value === undefined || value === null) return undefined
  const list = (Array.isArray(value) ? value : [value]).map((item) => String(item).toLowerCase())
  return list.length === 0 ? undefined : new Set(list)
}

function isHex(value: unknown, digits: number): value is string {
  return typeof value === 'string' && value.length === digits + 2 && /^0x[0-9a-f]*$/i.test(value)
}

function invalid(argument: number, problem: string): RpcError {
  return { code: -32602, message: `invalid argument ${argument}: ${problem}` }
}
