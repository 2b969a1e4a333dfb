import { isPipeError, type PipeError, type RpcLog } from '../../sdk/index.js'
import { type AskOptions, askUntil, headerCall, receiptsCall } from './ask.js'
import { matches, type Wanted } from './filter.js'
import { type Header, readHeader } from './header.js'
import { hexOf, quantity, readLog } from './parse.js'
import type { LogsPort } from './port.js'

/** All receipts of a block, as nodes give them, and their logs. */
export interface BlockReceipts {
  readonly receipts: readonly object[]
  /** All of the block, by index: 0, 1, 2, … */
  readonly logs: readonly RpcLog[]
  readonly endpoints: readonly string[]
}

type Check = (given: BlockReceipts) => string | undefined

/** The receipts of a block at once, else each by itself. `check`: in words what more is wrong with them. @throws {PipeError} */
export async function askReceipts(
  port: LogsPort,
  block: bigint,
  header: Header | undefined,
  options: Pick<AskOptions, 'signal' | 'count'>,
  check: Check = () => undefined,
): Promise<BlockReceipts> {
  const judge = (result: unknown, endpoint: string): BlockReceipts | string => {
    const given = readReceipts(result, block, header, endpoint)
    return typeof given === 'string' ? given : (check(given) ?? given)
  }
  try {
    return await askUntil(port, receiptsCall(block), block, options, { judge })
  } catch (error) {
    if (!isPipeError(error) || error.blame === 'outage') throw error
    return oneByOne(port, block, header, options, judge, error)
  }
}

async function oneByOne(
  port: LogsPort,
  block: bigint,
  known: Header | undefined,
  options: Pick<AskOptions, 'signal' | 'count'>,
  judge: (result: unknown, endpoint: string) => BlockReceipts | string,
  why: PipeError,
): Promise<BlockReceipts> {
  const { signal } = options
  const header = known ?? (await askHeader(port, block, options))
  const calls = header.transactions.map((hash) => ({ method: 'eth_getTransactionReceipt', params: [hash] }))
  const { values, errors, endpoints } = await port.batch(calls, { signal, block })
  const error = errors?.values().next().value
  if (error) throw why.blame === 'own' && error.blame === 'own' ? why : error
  const found = judge(values, endpoints[0] ?? '')
  if (typeof found !== 'string') return found
  for (const endpoint of endpoints) port.refuse(endpoint, calls[0] ?? receiptsCall(block), found)
  throw why
}

export function askHeader(port: LogsPort, block: bigint, options: Pick<AskOptions, 'signal' | 'count'>): Promise<Header> {
  return askUntil(port, headerCall(block), block, options, { judge: (result) => readHeader(result, block) })
}

/** Receipts of a block; in words why they are not all of it, or not of it. */
export function readReceipts(result: unknown, block: bigint, header: Header | undefined, endpoint: string): BlockReceipts | string {
  if (!Array.isArray(result)) return `no receipts of block ${block}`
  const receipts = result as readonly Readonly<Record<string, unknown>>[]
  if (header && receipts.length !== header.transactions.length)
    return `${receipts.length} receipts of block ${block}, which has ${header.transactions.length} transactions`
  const logs: RpcLog[] = []
  for (const [i, receipt] of receipts.entries()) {
    const wrong = (problem: string): string => `receipt ${i} of block ${block} ${problem}`
    if (typeof receipt !== 'object' || receipt === null || !Array.isArray(receipt['logs'])) return wrong('is none')
    if (quantity(receipt['transactionIndex']) !== i) return wrong(`is that of transaction ${String(receipt['transactionIndex'])}`)
    if (quantity(receipt['blockNumber']) !== Number(block)) return wrong(`is of block ${String(receipt['blockNumber'])}`)
    const blockHash = hexOf(receipt['blockHash'], 66)
    const transactionHash = hexOf(receipt['transactionHash'], 66)
    if (header && blockHash !== header.hash) return wrong(`is of block ${String(receipt['blockHash'])}, not ${header.hash}`)
    if (header && transactionHash !== header.transactions[i])
      return wrong(`is that of transaction ${String(receipt['transactionHash'])}, not ${header.transactions[i]}`)
    for (const item of receipt['logs'] as readonly unknown[]) {
      const log = readLog(item, logs.at(-1))
      if (typeof log === 'string') return wrong(`has ${log}`)
      if (log.logIndex !== logs.length) return wrong(`has log ${log.logIndex} where log ${logs.length} must be`)
      if (log.blockNumber !== block || log.blockHash !== blockHash) return wrong(`has a log of block ${log.blockNumber}, ${log.blockHash}`)
      if (log.transactionIndex !== i || log.transactionHash !== transactionHash)
        return wrong(`has a log of transaction ${log.transactionIndex}, ${log.transactionHash}`)
      logs.push(log)
    }
  }
  return { receipts, logs, endpoints: [endpoint] }
}

/** Those of the logs of a block that were asked for. */
export const logsIn = ({ logs }: BlockReceipts, wanted: Wanted): readonly RpcLog[] =>
  logs.filter(({ address, topics }) => matches(wanted, address, topics))
