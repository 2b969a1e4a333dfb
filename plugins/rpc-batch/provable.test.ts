import { expect, it } from 'vitest'
import { checkConfig } from './check.js'
import type { Config } from './config.js'

const calls = {
  block: { method: 'eth_getBlockByNumber', params: ['$number', true] },
  receipts: { method: 'eth_getBlockReceipts', params: ['$number'] },
}
const rows: NonNullable<Config['rows']> = [
  { into: 'blocks', row: { n: 'block.number', hash: 'block.hash', miner: 'block.miner' } },
  {
    into: 'txs',
    each: { tx: 'block.transactions', r: 'receipts' },
    row: {
      n: 'number',
      i: 'index',
      hash: 'tx.hash',
      value: 'tx.value',
      gas: 'r.gasUsed',
      status: 'r.status',
      to: 'r.to',
      price: 'r.effectiveGasPrice',
    },
  },
]
/** Receipts alone: nothing beside them says which transactions the block has. */
const onlyReceipts: Partial<Config> = {
  calls: { receipts: calls.receipts },
  rows: [{ into: 'txs', each: { r: 'receipts' }, row: { n: 'number', i: 'index', hash: 'r.transactionHash', gas: 'r.gasUsed' } }],
}
/** What nodes say of themselves. */
const nodes = { value: 'tx.data', gas: 'r.blobGasPrice', to: 'r', price: 'r.logs.0.l1' }

it.each<[what: string, config: Partial<Config>, problems: readonly string[]]>([
  ['blocks with their transactions and receipts', {}, []],
  ['rows of a query', { over: { sql: 'SELECT 1 AS n', key: ['n'] } }, ['verify: `proof` proves the blocks of `over.blocks`']],
  ['receipts without their block', onlyReceipts, ['verify: no call reads the block of each height']],
  [
    'a balance beside a block',
    { calls: { ...calls, balance: { method: 'eth_getBalance', params: ['$block.miner', '$number'] } } },
    ['calls.balance: no hash of the block proves eth_getBalance'],
  ],
  [
    'receipts of another block',
    { calls: { ...calls, receipts: { method: 'eth_getBlockReceipts', params: ['$block.parentHash'] } } },
    ['calls.receipts: no hash of the block proves eth_getBlockReceipts'],
  ],
  [
    'what transactions prove, without them',
    { calls: { ...calls, block: { method: 'eth_getBlockByNumber', params: ['$number', false] } } },
    [
      'rows.1.each.tx: block.transactions is proved by the transaction alone',
      'rows.1.row.hash: block.transactions.hash is proved by the transaction alone',
      'rows.1.row.value: block.transactions.value is proved by the transaction alone',
      'rows.1.row.to: receipts.to is proved by the transaction alone',
      'rows.1.row.price: receipts.effectiveGasPrice is proved by the transaction alone',
    ],
  ],
  [
    'how many transactions there are, of which only receipts tell',
    {
      calls: { block: { method: 'eth_getBlockByNumber', params: ['$number', false] } },
      rows: [{ into: 'blocks', row: { n: 'block.number', hash: 'block.hash', miner: 'block.transactions.length' } }],
    },
    ['rows.0.row.miner: block.transactions.length is proved by the transaction alone'],
  ],
  [
    'what no hash holds, of each part, and whole parts',
    {
      rows: rows.map((one) => ({
        ...one,
        row: one.into === 'blocks' ? { ...one.row, miner: 'block.size', hash: 'block' } : { ...one.row, ...nodes },
      })),
    },
    [
      'rows.0.row.hash: block is a whole block, of which nodes say more than hashes prove',
      'rows.0.row.miner: no hash of the block proves block.size',
      'rows.1.row.value: no hash of the block proves block.transactions.data',
      'rows.1.row.gas: no hash of the block proves receipts.blobGasPrice',
      'rows.1.row.to: receipts is a whole receipt, of which nodes say more than hashes prove',
      'rows.1.row.price: no hash of the block proves receipts.logs.0.l1',
    ],
  ],
  [
    "what no hash holds, where the file names it as the node's word",
    {
      unproved: ['tx.data', 'r.blobGasPrice', 'r', 'r.logs.0.l1', 'tx.type'],
      rows: rows.map((one) => (one.into === 'txs' ? { ...one, row: { ...one.row, ...nodes } } : one)),
    },
    ['unproved.4: no row takes tx.type'],
  ],
  [
    'fields of a list that no hash holds',
    { rows: [{ into: 'txs', each: { w: 'block.withdrawals' }, row: { n: 'number', i: 'index', gas: 'w.amount' } }] },
    [
      'rows.0.each.w: no hash of the block proves block.withdrawals',
      'rows.0.row.gas: no hash of the block proves block.withdrawals.amount',
    ],
  ],
  [
    'fields of such a list, named by it',
    {
      unproved: ['block.withdrawals'],
      rows: [{ into: 'txs', each: { w: 'block.withdrawals' }, row: { n: 'number', i: 'index', gas: 'w.amount' } }],
    },
    [],
  ],
])('`verify: proof` is asked only for what it can prove: %s', (_, change, problems) => {
  const config = { over: { blocks: { from: 1, to: 20 } }, calls, rows, ...change } as Config
  const found = (verify: 'none' | 'proof') =>
    [
      ...checkConfig({
        config: { ...config, verify },
        into: undefined,
        tables: new Map(),
        names: new Set(),
        chain: undefined,
      }),
    ]
      .map(({ path, message }) => `${path.join('.')}: ${message}`)
      .filter((words) => /proof|prove/.test(words))
  expect(found('proof')).toEqual(problems.map((words) => expect.stringContaining(words) as string))
  expect(found('none')).toEqual(config.unproved ? ['unproved: nothing is proved without `verify: proof`'] : [])
})
