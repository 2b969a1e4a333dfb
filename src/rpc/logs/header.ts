import { hexOf, quantity } from './parse.js'

/** A block's header, as far as it says something of logs, and the hashes of its transactions. Hashes are lower-case. */
export interface Header {
  readonly number: bigint
  readonly hash: string
  readonly parentHash: string
  readonly bloom: string
  readonly transactions: readonly string[]
  /** As the node gave it. */
  readonly block: object
}

/** A block that was asked for without its transactions' contents; in words what is wrong with it. */
export function readHeader(result: unknown, number: bigint): Header | string {
  if (typeof result !== 'object' || result === null) return `no block ${number}`
  const block = result as Readonly<Record<string, unknown>>
  if (quantity(block['number']) !== Number(number)) return `block ${String(block['number'])} in the place of ${number}`
  const hash = hexOf(block['hash'], 66)
  const parentHash = hexOf(block['parentHash'], 66)
  const bloom = hexOf(block['logsBloom'], 514)
  const list = block['transactions']
  if (hash === undefined || parentHash === undefined || bloom === undefined || !Array.isArray(list))
    return `block ${number} without hash, parentHash, logsBloom or transactions`
  const transactions: string[] = []
  for (const item of list as readonly unknown[]) {
    const transaction = hexOf(typeof item === 'object' && item !== null ? (item as { hash?: unknown }).hash : item, 66)
    if (transaction === undefined) return `block ${number} with a transaction that has no hash`
    transactions.push(transaction)
  }
  return { number, hash, parentHash, bloom, transactions, block }
}
