import type { RpcLog } from '../../sdk/index.js'
import { matches, type Wanted } from './filter.js'

/**
 * The logs of an answer to eth_getLogs for a range, in the order of blocks and log indexes; in words why the answer is refused,
 * when a log is none, lies outside of the range or the filter, was removed, or is there twice.
 */
export function readLogs(result: unknown, from: bigint, to: bigint, wanted: Wanted): readonly RpcLog[] | string {
  if (!Array.isArray(result)) return `no list of logs but ${kindOf(result)}`
  const logs: RpcLog[] = []
  let before: RpcLog | undefined
  let sorted = true
  for (const item of result as readonly unknown[]) {
    const log = readLog(item, before)
    if (typeof log === 'string') return log
    if (log.blockNumber < from || log.blockNumber > to) return `a log of block ${log.blockNumber}, which was not asked for`
    if (!matches(wanted, log.address, log.topics)) return `log ${log.logIndex} of block ${log.blockNumber} is none that was asked for`
    if (before && compareLogs(before, log) >= 0) sorted = false
    logs.push(log)
    before = log
  }
  if (!sorted) logs.sort(compareLogs)
  return doubled(logs) ?? logs
}

export function compareLogs(a: RpcLog, b: RpcLog): number {
  if (a.blockNumber !== b.blockNumber) return a.blockNumber < b.blockNumber ? -1 : 1
  return a.logIndex - b.logIndex
}

/** What is wrong between logs in order: one that is there twice, or a block with two hashes. */
export function doubled(logs: readonly RpcLog[]): string | undefined {
  for (let i = 1; i < logs.length; i++) {
    const [before, log] = [logs[i - 1], logs[i]]
    if (!before || log?.blockNumber !== before.blockNumber) continue
    if (log.logIndex === before.logIndex) return `log ${log.logIndex} of block ${log.blockNumber} is there twice`
    if (log.blockHash !== before.blockHash) return `block ${log.blockNumber} has two hashes, ${before.blockHash} and ${log.blockHash}`
  }
  return undefined
}

/** A log as nodes give it, in words what is wrong with it. */
export function readLog(item: unknown, before: RpcLog | undefined): RpcLog | string {
  if (typeof item !== 'object' || item === null) return `no log but ${kindOf(item)}`
  const given = item as Readonly<Record<string, unknown>>
  if (given['removed'] === true || given['removed'] === 'true') return `a log that was removed from the chain: ${shown(given)}`
  const blockNumber = quantity(given['blockNumber'])
  const logIndex = quantity(given['logIndex'])
  const transactionIndex = quantity(given['transactionIndex'])
  // What stands in the log before was looked at there, and is shared with it.
  const address = given['address'] === before?.address ? before?.address : hexOf(given['address'], 42)
  const blockHash = given['blockHash'] === before?.blockHash ? before?.blockHash : hexOf(given['blockHash'], 66)
  const transactionHash =
    given['transactionHash'] === before?.transactionHash ? before?.transactionHash : hexOf(given['transactionHash'], 66)
  const data = given['data'] === null ? '0x' : hexOf(given['data'])
  const topics = readTopics(given['topics'], before?.topics ?? [])
  if (
    blockNumber === undefined ||
    logIndex === undefined ||
    transactionIndex === undefined ||
    address === undefined ||
    blockHash === undefined ||
    transactionHash === undefined ||
    data === undefined ||
    topics === undefined
  )
    return `a log that is none: ${shown(given)}`
  return {
    address,
    topics,
    data,
    blockNumber: before && Number(before.blockNumber) === blockNumber ? before.blockNumber : BigInt(blockNumber),
    blockHash,
    transactionHash,
    transactionIndex,
    logIndex,
  }
}

function readTopics(value: unknown, before: readonly string[]): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > 4) return undefined
  const topics: string[] = []
  for (let i = 0; i < value.length; i++) {
    const item: unknown = value[i]
    const topic = item === before[i] ? before[i] : hexOf(item, 66)
    if (topic === undefined) return undefined
    topics.push(topic)
  }
  return topics
}

const LOWER = /^0x[\da-f]*$/
const ANY = /^0x[\da-f]*$/i

/** Bytes as lower-case text; undefined for what is none. `length` counts the `0x`. */
export function hexOf(value: unknown, length?: number): string | undefined {
  if (typeof value !== 'string' || (length === undefined ? value.length % 2 !== 0 : value.length !== length)) return undefined
  if (LOWER.test(value)) return value
  return ANY.test(value) ? value.toLowerCase() : undefined
}

/** A small quantity: a block number, an index. */
export function quantity(value: unknown): number | undefined {
  if (typeof value !== 'string' || value.length > 15 || !value.startsWith('0x')) return undefined
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : undefined
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`
}

function shown(item: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(item)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
