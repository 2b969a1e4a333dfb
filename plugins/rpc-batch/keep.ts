import type { KeptFields } from '../../src/sdk/authors.js'

/** Those that `contradiction` compares, and those that say where a block hangs. */
const COMPARED = [
  ...['number', 'hash', 'parentHash', 'transactions', 'transactionsRoot', 'gasUsed', 'logsBloom'],
  ...['blockNumber', 'blockHash', 'transactionHash', 'transactionIndex', 'logs', 'logIndex'],
]
/** What a list of logs is compared with, where one is asked for. */
const OF_LOGS = ['address', 'topics']

/**
 * What is kept of the objects in long lists: the fields that are compared, and those that `taken` names in any of its words. A bloom is
 * only looked at where there are no logs.
 */
export function keepOf(taken: string, methods: readonly string[]): KeptFields {
  const own = new Set(taken.match(/\w+/g))
  const fields = new Set([...COMPARED, ...(methods.includes('eth_getLogs') ? OF_LOGS : []), ...own])
  return { fields: [...fields], blooms: own.has('logsBloom') ? 'all' : 'unexplained' }
}
