import { fakeChain } from '../../src/sandbox/chain.js'
import type { ChainSource, Hex } from '../../src/sandbox/source.js'
import { matchesFilter } from '../../src/sandbox/source.js'
import { event } from '../../src/sdk/authors.js'

/** What the server of goal G5 and those who read it agree on. Blocks 1 to `BLOCKS` are read. */
export const BLOCKS = 5_000
export const LOGS_OF_BLOCK = 10
/** So far ahead that nobody takes a block that is read for one that may still go. */
export const HEAD = BLOCKS + 200
export const TOKEN = `0x${'2a'.repeat(20)}`
export const TRANSFER = 'Transfer(address indexed from, address indexed to, uint256 value)'
export const TOPIC = event(TRANSFER).topic0 ?? ''

const word = (value: number): Hex => `0x${value.toString(16).padStart(64, '0')}`

/**
 * A chain of which each block has `LOGS_OF_BLOCK` transactions with a transfer each, with real blooms; hashes are drawn. All texts are
 * made beforehand, so that what is measured are those who read them.
 */
export function peersChain(): ChainSource {
  const logs = (block: bigint) =>
    Array.from({ length: LOGS_OF_BLOCK }, (_, i) => ({
      address: TOKEN,
      topics: [TOPIC, word(1_000_000 + Number(block)), word(2_000_000 + i)],
      data: word(Number(block) * LOGS_OF_BLOCK + i),
    }))
  const chain = fakeChain({ blocks: HEAD, transactions: LOGS_OF_BLOCK, logs })
  const any = { addresses: undefined, topics: [] }
  const blocks = Array.from({ length: HEAD + 1 }, (_, number) => {
    const whole = chain.blockJson(BigInt(number), true) ?? ''
    const parsed = JSON.parse(whole) as { readonly transactions: readonly { readonly hash: Hex }[] }
    const transactions = parsed.transactions.map(({ hash }) => hash)
    const texts = number === 0 ? [] : chain.logsJson(BigInt(number), any)
    return {
      whole,
      header: JSON.stringify({ ...parsed, transactions }),
      logs: texts.map((text, i) => ({ text, log: logs(BigInt(number))[i] as { address: Hex; topics: Hex[] } })),
    }
  })
  return {
    chainId: chain.chainId,
    head: chain.head,
    blockJson: (number, full) => blocks[Number(number)]?.[full ? 'whole' : 'header'],
    numberOf: (hash) => chain.numberOf(hash),
    balance: (address, number) => chain.balance(address, number),
    call: () => undefined,
    receiptsJson: (number) => chain.receiptsJson(number),
    receiptJson: (transaction, head) => chain.receiptJson(transaction, head),
    logsJson: (number, filter) =>
      (blocks[Number(number)]?.logs ?? []).filter(({ log }) => matchesFilter(log, filter)).map(({ text }) => text),
  }
}
