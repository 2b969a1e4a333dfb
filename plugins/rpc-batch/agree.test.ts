import { describe, expect, test } from 'vitest'
import { contradiction, inOrder, isKnownEmpty, type Told } from './agree.js'

type Fields = Record<string, unknown>

const hash = (n: number, kind = 'b'): string => `0x${kind}${n.toString(16).padStart(63, '0')}`
const hex = (n: number): string => `0x${n.toString(16)}`
const bloom = (bits: string): string => `0x${'0'.repeat(500)}${bits.padStart(12, '0')}`

/** Block 5 with two transactions; the first has logs 0 and 1, the second log 2. */
const log = (index: number, more: Fields = {}): Fields => ({
  blockNumber: '0x5',
  blockHash: hash(5),
  transactionHash: hash(index < 2 ? 0 : 1, 'a'),
  transactionIndex: index < 2 ? '0x0' : '0x1',
  logIndex: hex(index),
  address: index === 1 ? '0xAB' : '0xcd',
  topics: [hash(index, 'c')],
  ...more,
})
const receipt = (index: number, more: Fields = {}): Fields => ({
  blockNumber: '0x5',
  blockHash: hash(5),
  transactionHash: hash(index, 'a'),
  transactionIndex: hex(index),
  logsBloom: bloom('1'),
  logs: index === 0 ? [log(0), log(1)] : [log(2)],
  ...more,
})
const transaction = (index: number, more: Fields = {}): Fields => ({
  blockNumber: '0x5',
  blockHash: hash(5),
  hash: hash(index, 'a'),
  transactionIndex: hex(index),
  ...more,
})
const hashes = [hash(0, 'a'), hash(1, 'a')]
const block = (more: Fields = {}): Fields => ({ number: '0x5', hash: hash(5), transactions: hashes, logsBloom: bloom('1'), ...more })

const told = (name: string, method: string, params: readonly unknown[], value: unknown): Told => ({ name, call: { method, params }, value })
const header = (more: Fields = {}): Told => told('block', 'eth_getBlockByNumber', ['0x5', false], block(more))
const receipts = (value: unknown, asked: unknown = '0x5'): Told => told('receipts', 'eth_getBlockReceipts', [asked], value)
const logs = (value: unknown, filter: Fields = { fromBlock: '0x5', toBlock: '0x5' }): Told => told('logs', 'eth_getLogs', [filter], value)
const both = [receipt(0), receipt(1)]
const all = [log(0), log(1), log(2)]
/** A block without transactions, and the root of nothing. */
const without = { transactions: [], logsBloom: bloom('0') }
const EMPTY = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'

describe('answers that agree', () => {
  test.each<[string, Told[]]>([
    ['a block with its receipts and logs', [header(), receipts(both), logs(all)]],
    ['a block with whole transactions', [header({ transactions: [transaction(0), transaction(1)] }), receipts(both)]],
    ['receipts asked by hash', [header(), receipts(both, hash(5)), logs(all, { blockHash: hash(5) })]],
    ['logs of a filter that takes some', [header(), receipts(both), logs([log(1)], { fromBlock: '0x5', toBlock: '0x5', address: '0xab' })]],
    ['logs of a filter of topics', [receipts(both), logs([log(2)], { blockHash: hash(5), topics: [[hash(2, 'c'), hash(9, 'c')]] })]],
    ['hashes in capitals', [header({ hash: hash(5).replace('0xb', '0xB') }), receipts(both)]],
    ['receipts that say little', [header(), receipts([{ gasUsed: '0x1' }, { gasUsed: '0x1' }])]],
    ['receipts that a block does not list, whose list nothing takes', [{ ...header({ transactions: [] }), listed: false }, receipts(both)]],
    ['logs of transactions that a block does not list', [{ ...header({ transactions: [] }), listed: false }, receipts(both), logs(all)]],
    ['nothing of a block without transactions', [header({ transactions: [], logsBloom: bloom('0') }), receipts([]), logs([])]],
    ['nothing of a block that burnt gas for what is no transaction', [header({ ...without, transactionsRoot: EMPTY, gasUsed: '0x5' })]],
    ['nothing of a block whose root holds what is no transaction', [header({ ...without, transactionsRoot: hash(8), gasUsed: '0x0' })]],
    ['nothing of a block without roots', [header({ ...without, transactionsRoot: hash(0, '0'), gasUsed: '0x5' })]],
    [
      'indexes of logs that begin in each transaction, as a few chains count',
      [receipts([receipt(0), receipt(1, { logs: [log(2, { logIndex: '0x0' })] })])],
    ],
    [
      'logs of the system, which are of no transaction',
      [header(), logs([...all, log(3, { transactionHash: hash(0, '0'), transactionIndex: '0x7' })])],
    ],
    [
      'blocks of another height in the same item',
      [header(), receipts([receipt(0, { blockNumber: '0x4', blockHash: hash(4), logs: [], logsBloom: bloom('0') })], '0x4')],
    ],
    [
      'a count, a transaction and a receipt',
      [
        header(),
        told('count', 'eth_getBlockTransactionCountByNumber', ['0x5'], '0x2'),
        told('one', 'eth_getTransactionByBlockNumberAndIndex', ['0x5', '0x1'], transaction(1)),
        told('its', 'eth_getTransactionReceipt', [hash(1, 'a')], receipt(1)),
      ],
    ],
  ])('%s', async (_, answers) => {
    expect(await contradiction(answers)).toBeUndefined()
  })
})

describe('answers that contradict each other, or what was asked, are told', () => {
  test.each<[string, Told[]]>([
    ['asked for block 5 and got 4', [header({ number: '0x4' })]],
    ['block: number is "5zz", no quantity', [header({ number: '5zz' })]],
    [`asked for block ${hash(6)} and got ${hash(5)}`, [told('block', 'eth_getBlockByHash', [hash(6), false], block())]],
    ['receipts has 1 for 2 transactions', [header(), receipts([receipt(0)])]],
    ['receipts has 0 for 2 transactions', [header(), receipts([])]],
    ['receipts has 2 for 0 transactions', [header({ transactions: [] }), receipts(both)]],
    ['receipts has 1 for 2 transactions', [{ ...header(), listed: false }, receipts([receipt(0)])]],
    ['receipts has 2, and the block has no list of transactions', [header({ transactions: null }), receipts(both)]],
    ['receipts is no list', [header(), receipts({})]],
    ['receipts: receipt 1 is null', [header(), receipts([receipt(0), null])]],
    [
      `receipts: receipt 0 is of block ${hash(4)}, not ${hash(5)}`,
      [header(), receipts(both.map((each) => ({ ...each, blockHash: hash(4) })))],
    ],
    ['receipts: receipt 0 is of block 4, not 5', [receipts([receipt(0, { blockNumber: '0x4' })])]],
    [`receipts: receipt 1 is of block ${hash(4)}, not ${hash(5)}`, [receipts([receipt(0), receipt(1, { blockHash: hash(4) })])]],
    [`receipts: the transaction ${hash(0, 'a')} comes twice`, [header(), receipts([receipt(0), receipt(0)])]],
    ['receipts: the transactionIndex 1 is missing or comes twice', [receipts([receipt(0), receipt(1, { transactionIndex: '0x0' })])]],
    ['receipts: the transactionIndex 1 is missing or comes twice', [receipts([receipt(0), receipt(1, { transactionIndex: '0x2' })])]],
    [
      `receipts: receipt 1 is of the transaction ${hash(9, 'a')}, not of ${hash(1, 'a')}`,
      [header(), receipts([receipt(0), receipt(1, { transactionHash: hash(9, 'a'), logs: [], logsBloom: bloom('0') })])],
    ],
    [
      'receipts: receipt 1 has no logs, and its logsBloom says that there are some',
      [header(), receipts([receipt(0), receipt(1, { logs: [] })])],
    ],
    ['receipts: the log of index 1 is missing', [receipts([receipt(0, { logs: [log(0)] }), receipt(1)])]],
    [
      `receipts: receipt 1: the transactionHash of log 0 is ${hash(0, 'a')}, not ${hash(1, 'a')}`,
      [receipts([receipt(0), receipt(1, { logs: [log(0)] })])],
    ],
    [`block: the transaction ${hash(0, 'a')} comes twice`, [header({ transactions: [hash(0, 'a'), hash(0, 'a')] })]],
    [
      `block: transaction 1 is of block ${hash(4)}, not ${hash(5)}`,
      [header({ transactions: [transaction(0), transaction(1, { blockHash: hash(4) })] })],
    ],
    ['block: transaction 1 is of block 4, not 5', [header({ transactions: [transaction(0), transaction(1, { blockNumber: '0x4' })] })]],
    ['block: transaction 1 has the index 0x0', [header({ transactions: [transaction(0), transaction(1, { transactionIndex: '0x0' })] })]],
    ['logs is empty, and the logsBloom of the block says that there are some', [header(), logs([])]],
    ['logs has 2 logs, and receipts has 3 of them', [header(), receipts(both), logs([log(0), log(1)])]],
    [
      'logs has 0 logs, and receipts has 1 of them',
      [header(), receipts(both), logs([], { fromBlock: '0x5', toBlock: '0x5', address: ['0xab'] })],
    ],
    [
      'block has no transactions, and its transactionsRoot and gasUsed say that there are some',
      [header({ ...without, transactionsRoot: hash(8), gasUsed: '0x5208' }), receipts([])],
    ],
    [
      'receipts is empty, and the transactionsRoot and gasUsed of the block say that there are some',
      [{ ...header({ ...without, transactionsRoot: hash(8), gasUsed: '0x5208' }), listed: false }, receipts([])],
    ],
    ['logs: the log of index 1 is missing', [logs([log(0), log(2)])]],
    [`logs: the log ${hash(0, 'a')} 0x0 comes twice`, [logs([log(0), log(0)])]],
    ['logs: log 0 is of block 4, not 5', [logs([log(0, { blockNumber: '0x4' })])]],
    [`logs: log 0 is of block ${hash(4)}, not ${hash(5)}`, [header(), logs([log(0, { blockHash: hash(4) })])]],
    ['logs: log 0 is of block 8', [logs([log(0, { blockNumber: '0x8' })], { fromBlock: '0x5', toBlock: '0x7' })]],
    ['logs: log 0 is of the transaction with index 4, and the block has 2', [header(), logs([log(0, { transactionIndex: '0x4' })])]],
    [
      `logs: log 0 is of the transaction ${hash(9, 'a')}, and the block has ${hash(0, 'a')} there`,
      [header(), logs([log(0, { transactionHash: hash(9, 'a') })])],
    ],
    ['count is 3, and the block has 2 transactions', [header(), told('count', 'eth_getBlockTransactionCountByNumber', ['0x5'], '0x3')]],
    [
      `its: asked for the transaction ${hash(1, 'a')} and got ${hash(0, 'a')}`,
      [told('its', 'eth_getTransactionReceipt', [hash(1, 'a')], receipt(0))],
    ],
    ['one: asked for index 0x1 and got 0', [told('one', 'eth_getTransactionByBlockNumberAndIndex', ['0x5', '0x1'], transaction(0))]],
  ])('%s', async (words, answers) => {
    expect(await contradiction(answers)).toBe(words)
  })
})

test('receipts in another order lie by their index, beside the transactions', () => {
  expect(inOrder([receipt(1), receipt(0)])).toEqual(both)
  expect(inOrder(both)).toBe(both)
  expect(inOrder(null)).toBe(null)
})

test('a block is known to be empty by its own list of transactions alone', () => {
  const { call } = receipts(null)
  expect(isKnownEmpty(call, [header({ transactions: [] })])).toBe(true)
  expect(isKnownEmpty(call, [header()])).toBe(false)
  expect(isKnownEmpty(call, [header({ transactions: [], transactionsRoot: hash(8), gasUsed: '0x5208' })])).toBe(false)
  expect(isKnownEmpty(call, [header({ transactions: null })])).toBe(false)
  expect(isKnownEmpty(call, [header({ number: '0x6', transactions: [] })])).toBe(false)
  expect(isKnownEmpty(call, [])).toBe(false)
})
