import { at, fieldsOf, listOf, numberOf, says, saysNumber, shown, type Fields } from './read.js'
import { differs, readable, type Difference } from './rebuilt.js'
import { hasStateSyncs, isStateSync, withoutStateSync } from './state-sync.js'

/** What is known of a block beside its answer. */
export interface BlockOptions {
  /** On a chain of bor what a state sync left (`isStateSync`) may stand behind a block's own; elsewhere it is taken for one of these. */
  readonly chainId?: number | undefined
}

/**
 * Undefined when receipts are those of the block's transactions, one each in their order, and all that stands in them and their logs
 * about places agrees: blockHash, blockNumber, transactionHash, transactionIndex, and a logIndex without a gap through the block.
 * Else the first that does not. Nothing is proved by it: it works on chains whose blocks can't be rebuilt, too.
 */
export function checkPlaces(block: unknown, receipts: unknown, options: BlockOptions = {}): Difference | undefined {
  return readable(() => comparePlaces(fieldsOf(block, 'block'), receipts, options))
}

/** @throws {BlockUnreadableError} */
export function comparePlaces(header: Fields, receipts: unknown, { chainId }: BlockOptions): Difference | undefined {
  const all = listOf(receipts, 'receipts')
  const own = hasStateSyncs(chainId) ? withoutStateSync(all, 'receipts') : all
  const hashes = listOf(header.transactions, 'transactions').map((one, i) =>
    typeof one === 'string' ? one : fieldsOf(one, `transactions[${i}]`).hash,
  )
  const synced = hasStateSyncs(chainId) && isStateSync({ blockNumber: header.number, blockHash: header.hash, hash: hashes.at(-1) })
  if (own.length !== hashes.length - Number(synced)) return differs('receipts', String(all.length), String(hashes.length))
  if (synced && own.length === all.length) return differs('receipts', String(all.length), String(hashes.length))
  let logIndex = 0
  for (const [i, one] of own.entries()) {
    const place = `receipts[${i}]`
    const receipt = fieldsOf(one, place)
    const wrong = checkPlace(receipt, place, header, i)
    if (wrong) return wrong
    const hash = String(hashes[i]).toLowerCase()
    if (!says(receipt.transactionHash, hash)) return differs(`${place}.transactionHash`, receipt.transactionHash, hash)
    const logs = at(place, () => listOf(receipt.logs, 'logs'))
    for (const [j, log] of logs.entries()) {
      const wrongLog = checkLog(fieldsOf(log, `${place}.logs[${j}]`), () => `${place}.logs[${j}]`, receipt, i, logIndex++)
      if (wrongLog) return wrongLog
    }
  }
  return undefined
}

/** What a receipt or transaction says of its block, and of its place in it. */
export function checkPlace(found: Fields, place: string, header: Fields, index: number): Difference | undefined {
  if (!says(found.blockHash, shown(header.hash).toLowerCase())) return differs(`${place}.blockHash`, found.blockHash, shown(header.hash))
  if (found.blockNumber !== header.number && !saysNumber(found.blockNumber, numberOf(header.number, 'number')))
    return differs(`${place}.blockNumber`, found.blockNumber, shown(header.number))
  if (!saysNumber(found.transactionIndex, index))
    return differs(`${place}.transactionIndex`, found.transactionIndex, `0x${index.toString(16)}`)
  return undefined
}

function checkLog(log: Fields, place: () => string, receipt: Fields, index: number, logIndex: number): Difference | undefined {
  for (const name of ['blockHash', 'blockNumber', 'transactionHash'])
    if (!says(log[name], shown(receipt[name]).toLowerCase())) return differs(`${place()}.${name}`, log[name], shown(receipt[name]))
  if (!saysNumber(log.transactionIndex, index))
    return differs(`${place()}.transactionIndex`, log.transactionIndex, `0x${index.toString(16)}`)
  if (!saysNumber(log.logIndex, logIndex)) return differs(`${place()}.logIndex`, log.logIndex, `0x${logIndex.toString(16)}`)
  // Gone with its block, which is another one now.
  return log.removed === true ? differs(`${place()}.removed`, true, 'false') : undefined
}
