import type { RpcCall } from '../../src/sdk/authors.js'

type Fields = Record<string, unknown>

/** Those that `contradiction` compares, and those that say where a block hangs. */
const COMPARED = [
  ...['number', 'hash', 'parentHash', 'transactions', 'transactionsRoot', 'gasUsed', 'logsBloom'],
  ...['blockNumber', 'blockHash', 'transactionHash', 'transactionIndex', 'logs', 'logIndex'],
]
/** What a list of logs is compared with, where one is asked for. */
const OF_LOGS = ['address', 'topics']

/**
 * What is kept of elements of long lists: the fields that are compared, at any depth, and those that `taken` names in any of its
 * words. A bloom is only looked at where there are no logs, and what all elements have in common is kept once.
 */
export function keepOf(taken: string, methods: readonly string[]): NonNullable<RpcCall['keep']> {
  const own = new Set(taken.match(/\w+/g))
  const names = new Set([...COMPARED, ...(methods.includes('eth_getLogs') ? OF_LOGS : []), ...own])
  const last: Fields = {}
  const keep = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map(keep)
    const fields = value as Fields
    const hasLogs = Array.isArray(fields.logs) && fields.logs.length > 0
    const kept: Fields = {}
    for (const name in fields) {
      if (!names.has(name) || (hasLogs && name === 'logsBloom' && !own.has(name))) continue
      const inner = fields[name]
      if (typeof inner !== 'string') kept[name] = keep(inner)
      else kept[name] = inner === last[name] ? last[name] : (last[name] = inner)
    }
    return kept
  }
  return keep
}
