import { priceOf } from './derived.js'
import { headerHash } from './header.js'
import { checkPlace, comparePlaces, type BlockOptions } from './places.js'
import { at, fieldsOf, hex, listOf, numberOf, says, saysNumber, shown, typeOf, type Fields } from './read.js'
import { differs, notRebuildable, readable, type Difference, type NotRebuildable } from './rebuilt.js'
import { DEPOSIT, encodeReceipts, KNOWN_TYPES } from './receipts.js'
import { hasStateSyncs, withoutStateSync } from './state-sync.js'
import { encodeTransactions, rootOf } from './transactions.js'
import { orderedRoot } from './trie.js'

/**
 * Undefined when a block proves what is given with it: its hash is that of its header, the header's receiptsRoot that of all
 * `receipts`, and its transactionsRoot that of all `transactions`. Else the first thing that contradicts, or why nothing can be
 * computed. Whoever trusts the block's hash need believe nothing that its node said.
 *
 * Of receipts the root holds type, status, cumulativeGasUsed and logs with address, topics and data. What it does not hold is
 * compared with what it does: blooms with the logs, gasUsed with cumulativeGasUsed, indexes with the order, and hashes and numbers
 * with the block's (`checkPlaces`). So the `transactionHash` of a log is the block's word, and proved when `transactions` are given.
 * With `transactions`, the recipient and the price of a receipt are those of its transaction, and its sender is the one that is said there,
 * which takes the signature to prove (`derivedOf`). Created contracts are not looked at. Nor is what a state sync of Polygon says
 * (`isStateSync`): nothing proves its logs.
 *
 * @param block as eth_getBlockByNumber gives it, with transactions whole or by hash
 * @param receipts as eth_getBlockReceipts gives them; undefined: they are not asked about
 * @param transactions whole, as the block has them; undefined: they are not asked about
 */
export function checkBlock(
  block: unknown,
  receipts?: unknown,
  transactions?: unknown,
  options: BlockOptions = {},
): Difference | NotRebuildable | undefined {
  return readable(() => {
    const header = fieldsOf(block, 'block')
    const own = (list: unknown, name: string) => {
      const all = listOf(list, name)
      return hasStateSyncs(options.chainId) ? withoutStateSync(all, name) : all
    }
    const wrong = checkHash(header)
    if (wrong) return wrong
    const wrongTransactions = transactions === undefined ? undefined : checkTransactions(header, own(transactions, 'transactions'))
    if (wrongTransactions || receipts === undefined) return wrongTransactions
    const wrongReceipts = comparePlaces(header, receipts, options) ?? checkReceipts(header, own(receipts, 'receipts'))
    if (wrongReceipts || transactions === undefined) return wrongReceipts
    return checkPairs(header, own(receipts, 'receipts'), own(transactions, 'transactions'))
  })
}

function checkHash(header: Fields): Difference | NotRebuildable | undefined {
  const hash = headerHash(header)
  if (typeof hash !== 'string') return hash
  return says(header.hash, hash) ? undefined : differs('hash', header.hash, hash)
}

function checkTransactions(header: Fields, transactions: readonly unknown[]): Difference | NotRebuildable | undefined {
  const encoded = encodeTransactions(transactions)
  if ('rebuildable' in encoded) return encoded
  const root = rootOf(encoded)
  if (!says(header.transactionsRoot, root)) return differs('transactionsRoot', header.transactionsRoot, root)
  for (const [i, { hash }] of encoded.entries()) {
    const place = `transactions[${i}]`
    const transaction = fieldsOf(transactions[i], place)
    if (!says(transaction.hash, hash)) return differs(`${place}.hash`, transaction.hash, hash)
    const wrong = checkPlace(transaction, place, header, i) ?? checkSaidTwice(transaction, place)
    if (wrong) return wrong
  }
  return undefined
}

/** What a transaction says once more beside the signature: its `v` where there is a `yParity`, and the chain that is in `v` (EIP-155). */
function checkSaidTwice(transaction: Fields, place: string): Difference | undefined {
  const { v, yParity, chainId } = transaction
  if (v == null) return undefined
  if (yParity != null) return saysNumber(v, numberOf(yParity, 'yParity')) ? undefined : differs(`${place}.v`, v, shown(yParity))
  const signed = numberOf(v, 'v')
  if (typeOf(transaction) !== 0 || chainId == null || signed < 35n) return undefined
  const chain = (signed - 35n) / 2n
  return saysNumber(chainId, chain) ? undefined : differs(`${place}.chainId`, chainId, `0x${chain.toString(16)}`)
}

/** What a receipt says once more of its transaction. Older nodes say less. */
function checkPairs(header: Fields, receipts: readonly unknown[], transactions: readonly unknown[]): Difference | undefined {
  for (const [i, one] of receipts.entries()) {
    const place = `receipts[${i}]`
    const receipt = fieldsOf(one, place)
    const transaction = fieldsOf(transactions[i], `transactions[${i}]`)
    for (const name of ['from', 'to']) {
      const [said, right] = [receipt[name], transaction[name]]
      if (said === undefined || right === undefined || said === right || says(said, String(right).toLowerCase())) continue
      return differs(`${place}.${name}`, said, shown(right))
    }
    if (receipt.effectiveGasPrice == null || typeOf(transaction) === DEPOSIT) continue
    const price = at(`transactions[${i}]`, () => priceOf(transaction, header.baseFeePerGas))
    if (!saysNumber(receipt.effectiveGasPrice, price))
      return differs(`${place}.effectiveGasPrice`, receipt.effectiveGasPrice, `0x${price.toString(16)}`)
  }
  return undefined
}

function checkReceipts(header: Fields, receipts: readonly unknown[]): Difference | NotRebuildable | undefined {
  const encoded = encodeReceipts(receipts)
  const root = hex(orderedRoot(encoded.map(({ envelope }) => envelope)))
  if (!says(header.receiptsRoot, root)) {
    const strange = encoded.findIndex(({ type }) => !KNOWN_TYPES.has(type))
    if (strange === -1) return differs('receiptsRoot', header.receiptsRoot, root)
    const type = `0x${encoded[strange]?.type.toString(16)}`
    return notRebuildable(`its receipt ${strange} is of type ${type}, whose form is not Ethereum's`)
  }
  let before = 0n
  const all = new Uint8Array(256)
  for (const [i, { bloom }] of encoded.entries()) {
    const place = `receipts[${i}]`
    const { logsBloom, gasUsed, cumulativeGasUsed } = fieldsOf(receipts[i], place)
    if (logsBloom != null && !says(logsBloom, hex(bloom))) return differs(`${place}.logsBloom`, logsBloom, hex(bloom))
    const used = numberOf(cumulativeGasUsed, 'cumulativeGasUsed') - before
    if (gasUsed != null && !saysNumber(gasUsed, used)) return differs(`${place}.gasUsed`, gasUsed, `0x${used.toString(16)}`)
    before += used
    for (let byte = 0; byte < 256; byte++) all[byte] = (all[byte] ?? 0) | (bloom[byte] ?? 0)
  }
  return says(header.logsBloom, hex(all)) ? undefined : differs('logsBloom', header.logsBloom, hex(all))
}
