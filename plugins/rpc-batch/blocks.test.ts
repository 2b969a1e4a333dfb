import { afterAll, describe, expect, it } from 'vitest'
import { headerHash, receiptsRoot, transactionsRoot } from '../../src/proof/index.js'
import { endpoint, fastClock, openPool } from '../../src/rpc/fixtures/fake-node.js'
import { type Fault, fakeChain, type FakeEndpoint, type ServeOptions } from '../../src/sandbox/index.js'
import { runStep } from '../../src/sandbox/run-step.js'
import { type Json, numberAxis, type Row, type Table } from '../../src/sdk/authors.js'
import type { Config } from './config.js'
import { rpcBatch } from './rpc-batch.js'

type Fields = Readonly<Record<string, Json>>

const chain = fakeChain({
  blocks: 24,
  transactions: 3,
  costs: (block, i) => ({ gas: 21_000 + i * 1_000, price: 2_000_000_000n }),
  logs: (block) => [{ address: `0x${'2a'.repeat(20)}`, topics: [], data: `0x0${block % 10n}` }],
  hasher: { headerHash, receiptsRoot, transactionsRoot },
})
const nodes: FakeEndpoint[] = []
afterAll(() => Promise.all(nodes.map((node) => node.close())))

async function serve(options: ServeOptions = {}): Promise<FakeEndpoint> {
  const node = await chain.serve(options)
  nodes.push(node)
  return node
}

const table = (name: string, columns: Readonly<Record<string, string>>, key: readonly string[]): Table => ({
  name,
  columns: Object.entries(columns).map(([column, kind]) => ({ name: column, type: { kind: kind as 'text' }, nullable: true })),
  key,
  range: undefined,
  indexes: {},
  retention: undefined,
})
const tables = [
  table('blocks', { n: 'bigint', hash: 'hash', miner: 'address' }, ['n']),
  table('txs', { n: 'bigint', i: 'int', hash: 'hash', value: 'uint256', gas: 'bigint', status: 'int', to: 'address', price: 'bigint' }, [
    'n',
    'i',
  ]),
]
const calls = {
  block: { method: 'eth_getBlockByNumber', params: ['$number', true] },
  receipts: { method: 'eth_getBlockReceipts', params: ['$number'] },
}
const rows = [
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

/** What the step stores of blocks 1 to 20, in order, what failed, and what it was asked. */
async function read(endpoints: readonly FakeEndpoint[], config: Partial<Config> = {}) {
  const { rpc } = openPool(
    endpoints.map((node) => endpoint(node)),
    fastClock(1),
  )
  const found = { rows: {} as Readonly<Record<string, readonly Row[]>>, failed: [] as string[], blame: new Set<string>(), thrown: '' }
  try {
    const ran = await runStep(rpcBatch, {
      config: { over: { blocks: { from: 1, to: 20 } }, calls, rows, ...config } as Config,
      tables,
      rpc: rpc.forStep({ id: 'b', attempts: 2, waitMs: 5, maxWaitMs: 10 }),
      head: 24n,
      piece: { kind: 'stretch', axis: numberAxis(1000), from: 1n, to: 20n, order: 'oldest-first' },
    })
    found.rows = ran.rows
    for (const { error } of ran.batches.flatMap(({ failed }) => failed ?? [])) {
      found.failed.push(error.message)
      found.blame.add(error.blame)
    }
  } catch (error) {
    found.thrown = (error as Error).message
  } finally {
    await rpc.close()
  }
  return found
}

/** What the chain has, by its own texts. */
const numbers = Array.from({ length: 20 }, (_, i) => i + 1)
const blockAt = (n: number) => JSON.parse(chain.blockJson(BigInt(n), true) ?? '') as Fields & { readonly transactions: readonly Fields[] }
const receiptsAt = (n: number) => JSON.parse(chain.receiptsJson(BigInt(n)) ?? '') as readonly Fields[]
const truth = {
  blocks: numbers.map(blockAt).map(({ number, hash, miner }) => ({ n: BigInt(number as string), hash, miner })),
  txs: numbers.flatMap((n) =>
    receiptsAt(n).map((r, i) => ({
      n: BigInt(n),
      i: BigInt(i),
      hash: r.transactionHash,
      value: BigInt(blockAt(n).transactions[i]?.value as string),
      gas: BigInt(r.gasUsed as string),
      status: 1n,
      to: r.to,
      price: 2_000_000_000n,
    })),
  ),
}
const healthy = { failed: [], thrown: '', rows: truth }
const receiptRows = truth.txs.map(({ n, i, hash, gas }) => ({ n, i, hash, gas }))
const asked = (node: FakeEndpoint, method: string) => node.totals.methods[method] ?? 0

const noReceipts: Fault = {
  kind: 'error',
  methods: ['eth_getBlockReceipts'],
  error: { code: -32601, message: 'the method eth_getBlockReceipts does not exist/is not available' },
}
const nullReceipts: Fault = { kind: 'result', result: null, methods: ['eth_getBlockReceipts'] }

describe('receipts of a block that no node gives together', () => {
  it.each([
    ['whose node does not know the method', noReceipts],
    ['whose node says null', nullReceipts],
    ['whose node finds them too large', { ...noReceipts, error: { code: -32003, message: 'response too large' } } as Fault],
  ])('are asked for one by one, %s', async (_, fault) => {
    expect(await read([await serve({ faults: [fault] })])).toMatchObject(healthy)
    expect(await read([await serve({ faults: [fault] })], onlyReceipts)).toMatchObject({
      failed: [],
      thrown: '',
      rows: { txs: receiptRows },
    })
  })

  it('are asked for together where another endpoint gives them, and once of one that does not know how', async () => {
    const [lacking, other, alone] = [await serve({ faults: [noReceipts] }), await serve(), await serve({ faults: [noReceipts] })]
    expect(await read([lacking, other])).toMatchObject(healthy)
    expect([asked(lacking, 'eth_getTransactionReceipt'), asked(other, 'eth_getTransactionReceipt')]).toEqual([0, 0])
    expect(await read([alone])).toMatchObject(healthy)
    expect(asked(alone, 'eth_getTransactionReceipt')).toBe(truth.txs.length)
  })

  it('agree with the block as those that come together: one of another block, one that lacks, one of another transaction', async () => {
    const hashOf = (n: number, i: number) => blockAt(n).transactions[i]?.hash as string
    const instead = (n: number, i: number, change: (receipt: Fields) => Json): Fault => ({
      kind: 'raw',
      methods: ['eth_getTransactionReceipt'],
      if: ({ params: [hash] }) => hash === hashOf(n, i),
      text: (text) => JSON.stringify(change(JSON.parse(text) as Fields)),
    })
    const lies = [
      instead(3, 1, (receipt) => ({ ...receipt, blockHash: hashOf(3, 1) })),
      instead(5, 2, () => null),
      instead(7, 0, () => receiptsAt(7)[1] as Json),
      instead(9, 1, (receipt) => ({ ...receipt, transactionIndex: '0x0' })),
    ]
    const liar = await serve({ faults: [noReceipts, ...lies] })
    expect(await read([liar, await serve({ faults: [noReceipts] })])).toMatchObject(healthy)
    const alone = await read([liar])
    const left = numbers.filter((n) => ![3, 5, 7, 9].includes(n))
    expect(alone.failed.find((words) => words.startsWith('block 5:'))).toMatch(/Receipts.* does not exist.*; and one by one: .*null/)
    expect([alone.failed.length, alone.blame, alone.rows.blocks?.map(({ n }) => Number(n))]).toEqual([4, new Set(['outage']), left])
    expect(alone.rows.txs).toEqual(truth.txs.filter(({ n }) => left.includes(Number(n))))
    const apart = await read([liar], onlyReceipts)
    expect([apart.failed.length, apart.blame, new Set(apart.rows.txs?.map(({ n }) => Number(n)))]).toEqual([
      4,
      new Set(['outage']),
      new Set(left),
    ])
  })
})
