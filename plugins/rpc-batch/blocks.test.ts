import { afterAll, describe, expect, it } from 'vitest'
import { headerHash, receiptsRoot, transactionsRoot } from '../../src/proof/index.js'
import { dataFolder } from '../../test/support/mainnet.js'
import { depositBlock, mainnetBlocks } from '../../test/support/recorded-blocks.js'
import { endpoint, fastClock, openPool } from '../../src/rpc/fixtures/fake-node.js'
import { type Fault, fakeChain, type FakeEndpoint, type ServeOptions } from '../../src/sandbox/index.js'
import { runStep } from '../../src/sandbox/run-step.js'
import { type Json, numberAxis, type PipeError, type Row, type Table } from '../../src/sdk/authors.js'
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

/** What the step stores and what failed. Endpoints are asked in their order. */
async function read(endpoints: readonly FakeEndpoint[], config: Partial<Config> = {}, [from, to, head] = [1n, 20n, 24n]) {
  const { rpc } = openPool(
    endpoints.map((node, priority) => endpoint(node, { priority })),
    fastClock(1),
  )
  const found = {
    rows: {} as Readonly<Record<string, readonly Row[]>>,
    failed: [] as string[],
    blame: new Set<string>(),
    thrown: '',
    hint: '',
  }
  try {
    // Until all of them are known, who answers first is asked.
    await rpc.head(new AbortController().signal)
    const ran = await runStep(rpcBatch, {
      config: { over: { blocks: { from: Number(from), to: Number(to) } }, calls, rows, ...config } as Config,
      tables,
      rpc: rpc.forStep({ id: 'b', attempts: 2, waitMs: 5, maxWaitMs: 10 }),
      head,
      piece: { kind: 'stretch', axis: numberAxis(1000), from, to, order: 'oldest-first' },
    })
    found.rows = ran.rows
    for (const { error } of ran.batches.flatMap(({ failed }) => failed ?? [])) {
      found.failed.push(error.message)
      found.blame.add(error.blame)
    }
  } catch (error) {
    found.thrown = (error as Error).message
    found.hint = String((error as PipeError).hint)
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
    const other = await serve({ faults: [noReceipts] })
    expect(await read([liar, other])).toMatchObject(healthy)
    // Far below the head, where they are not read from one endpoint anyway.
    expect(await read([liar, other], onlyReceipts, [1n, 20n, 200n])).toMatchObject({ failed: [], thrown: '', rows: { txs: receiptRows } })
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

describe('that an endpoint does not give receipts together', () => {
  /** Follows the chain for some blocks, each a unit of its own, beside a clock that may be put forward. */
  function follow(node: FakeEndpoint, config: Partial<Config> = {}) {
    const clock = fastClock(1)
    let ahead = 0
    const { rpc, facts } = openPool([endpoint(node)], { ...clock, monotonic: () => clock.monotonic() + ahead })
    const lane = rpc.forStep({ id: 'b', attempts: 5, waitMs: 2, maxWaitMs: 4 })
    const blocks = async (from: number, to: number) => {
      const rows: Row[] = []
      for (let n = BigInt(from); n <= BigInt(to); n++) {
        const piece = { kind: 'stretch', axis: numberAxis(1000), from: n, to: n, order: 'oldest-first' } as const
        const over = { blocks: { from: Number(n), to: Number(n) } }
        const ran = await runStep(rpcBatch, {
          config: { over, calls, rows: rowsOf, ...config } as Config,
          tables,
          rpc: lane,
          head: n,
          piece,
        })
        rows.push(...(ran.rows.txs ?? []))
      }
      return rows
    }
    const told = () => facts.flatMap((fact) => (fact.type === 'warning' ? [fact.message] : []))
    const waits = () => facts.flatMap((fact) => (fact.type === 'retry' && fact.waitMs > 0 ? [fact.waitMs] : []))
    return { rpc, blocks, told, waits, later: (ms: number) => void (ahead += ms) }
  }
  const rowsOf = rows
  const internal: Fault = { ...noReceipts, error: { code: -32603, message: 'Internal error' } } as Fault
  const login: Fault = { ...noReceipts, error: { code: -32600, message: 'Unauthorized: upgrade your plan' } } as Fault
  const plan: Fault = { ...noReceipts, error: { code: -32600, message: 'eth_getBlockReceipts is not available on the Free tier' } } as Fault

  it.each([
    ['it does not know the method', noReceipts, 0, 'the method eth_getBlockReceipts does not exist/is not available'],
    ['it says null', nullReceipts, 0, 'null for blocks that have some'],
    ['its plan is too small', plan, 0, 'eth_getBlockReceipts is not available on the Free tier'],
    ['it says that its login does not do', login, 0, 'Unauthorized: upgrade your plan'],
    ['it has an internal error each time', internal, 3, 'Internal error'],
  ])('is found out by three blocks, told once, and looked at again in a while: %s', async (_, fault, waits, words) => {
    const node = await serve({ faults: [fault] })
    const followed = follow(node)
    expect(await followed.blocks(1, 3)).toEqual(truth.txs.slice(0, 9))
    const before = asked(node, 'eth_getBlockReceipts')
    expect(followed.waits()).toHaveLength(waits)
    expect(await followed.blocks(4, 20)).toEqual(truth.txs.slice(9))
    expect([asked(node, 'eth_getBlockReceipts'), followed.waits().length]).toEqual([before, waits])
    const name = new URL(node.url).host
    const told = `ethereum: ${name} does not answer eth_getBlockReceipts (${words}): what it gives is asked for in other ways, and it is looked at again in 1m`
    expect(followed.told()).toEqual([told])
    followed.later(60_000)
    node.clear()
    expect(await followed.blocks(4, 20)).toEqual(truth.txs.slice(9))
    expect([asked(node, 'eth_getBlockReceipts'), asked(node, 'eth_getTransactionReceipt')]).toEqual([17, 0])
    await followed.rpc.close()
  })

  it('is not believed of one that gives them a little later than their block', async () => {
    const late = await serve({ faults: [{ ...nullReceipts, if: () => late.count('eth_getBlockReceipts') % 2 === 1 } as Fault] })
    const followed = follow(late)
    expect(await followed.blocks(1, 20)).toEqual(truth.txs)
    expect([followed.told(), asked(late, 'eth_getBlockReceipts')]).toEqual([[], 20])
    await followed.rpc.close()
  })
})

describe('verify: proof', () => {
  type Block = Fields & { readonly transactions: readonly Fields[] }
  const other = `0x${'ab'.repeat(20)}`
  const answer = <T>(method: string, block: number, change: (truth: T) => unknown): Fault => ({
    kind: 'raw',
    methods: [method],
    if: ({ params: [n] }) => n === `0x${block.toString(16)}`,
    text: (truth) => JSON.stringify(change(JSON.parse(truth) as T)),
  })
  const inBlock = (change: (block: Block) => unknown) => (block: number) => answer('eth_getBlockByNumber', block, change)
  const inTransaction = (change: Fields) =>
    inBlock((block) => ({ ...block, transactions: [{ ...block.transactions[0], ...change }, ...block.transactions.slice(1)] }))
  const inReceipts = (change: (receipts: readonly Fields[]) => unknown) => (block: number) => answer('eth_getBlockReceipts', block, change)
  const inReceipt = (change: (receipt: Fields) => Fields) =>
    inReceipts(([first, second, ...rest]) => [first, { ...second, ...change(second as Fields) }, ...rest])
  const place = ({ transactionHash, transactionIndex, logs, logsBloom, from, to }: Fields): Fields =>
    ({ transactionHash, transactionIndex, logs, logsBloom, from, to }) as Fields

  /** What a node may say of a block, each of the block of its index, and the words that refute it. Those of `agree` are found by `none`, too. */
  const lies: readonly [what: string, fault: (block: number) => Fault, words: RegExp, by: 'agree' | 'hash'][] = [
    ['no block 0 is read', () => ({ kind: 'latency', ms: 0 }), /^$/, 'agree'],
    ['a receipt lacks', inReceipts((all) => all.slice(1)), /receipts has 2 for 3 transactions/, 'agree'],
    ['an index comes twice', inReceipt(() => ({ transactionIndex: '0x0' })), /transactionIndex 1 is missing or comes twice/, 'agree'],
    ['a receipt of another block', inReceipt(() => ({ blockHash: other + '0'.repeat(24) })), /receipt 1 is of block 0xab/, 'agree'],
    ['another gasUsed', inReceipt(() => ({ gasUsed: '0x1' })), /receipts\[1\].gasUsed is 0x1, and from the rest follows 0x55f0/, 'hash'],
    ['a status', inReceipt(() => ({ status: '0x0' })), /receiptsRoot is 0x/, 'hash'],
    [
      'two receipts swapped, each as if it were the other',
      inReceipts(([a, b, c]) => [{ ...b, ...place(a as Fields) }, { ...a, ...place(b as Fields) }, c]),
      /receiptsRoot is 0x/,
      'hash',
    ],
    ['a log less', inReceipts(([first, ...rest]) => [{ ...first, logs: [], logsBloom: null }, ...rest]), /receiptsRoot is 0x/, 'hash'],
    ['another recipient', inReceipt(() => ({ to: other })), /receipts\[1\].to is 0xabab.*, and from the rest follows 0x/, 'hash'],
    ['another sender than the transaction has', inReceipt(() => ({ from: other })), /receipts\[1\].from is 0xabab/, 'hash'],
    [
      'another price',
      inReceipt(() => ({ effectiveGasPrice: '0x5' })),
      /effectiveGasPrice is 0x5, and from the rest follows 0x77359400/,
      'hash',
    ],
    ['a value', inTransaction({ value: '0x1234' }), /transactionsRoot is 0x/, 'hash'],
    ['a signature', inTransaction({ s: '0x7' }), /transactionsRoot is 0x/, 'hash'],
    ['a field of the header, under its hash and links', inBlock((block) => ({ ...block, miner: other })), /hash is 0x/, 'hash'],
  ]
  /** Which is of a form of its own then. */
  const formless = inBlock(({ receiptsRoot: _, ...block }) => block)(20)
  const faults = lies.map(([, fault], block) => fault(block))
  const blocksOf = (by: 'agree' | 'hash') => lies.flatMap(([, , , own], block) => (own === by && block > 0 ? [block] : []))
  const lyingOf = (words: readonly string[]) => words.map((each) => Number(/block (\d+)/.exec(each)?.[1])).sort((a, b) => a - b)

  it('puts no row in of what one of two nodes forges', async () => {
    const liar = await serve({ faults: [...faults, formless] })
    expect(await read([liar, await serve()], { verify: 'proof' })).toMatchObject(healthy)
    expect(asked(liar, 'eth_getBlockReceipts')).toBeGreaterThan(0)
  })

  it('fails each block that the only node forges, by what refutes it and where, where `none` stores most of them', async () => {
    const liar = await serve({ faults })
    const host = new URL(liar.url).host
    const trusting = await read([liar])
    const stored = numbers.filter((n) => !blocksOf('agree').includes(n))
    expect([lyingOf(trusting.failed), trusting.rows.blocks?.map(({ n }) => Number(n))]).toEqual([blocksOf('agree'), stored])
    const proved = await read([liar], { verify: 'proof' })
    for (const [block, [what, , words]] of lies.entries())
      if (block > 0)
        expect(
          proved.failed.filter((said) => said.startsWith(`block ${block}: `)),
          what,
        ).toEqual([expect.stringMatching(words)])
    expect(lyingOf(proved.failed)).toEqual([...blocksOf('agree'), ...blocksOf('hash')])
    expect(proved.failed.filter((said) => said.endsWith(`(${host})`))).toHaveLength(lies.length - 1)
    const left = numbers.filter((n) => n >= lies.length)
    expect(proved.rows).toEqual({
      blocks: truth.blocks.filter(({ n }) => left.includes(Number(n))),
      txs: truth.txs.filter(({ n }) => left.includes(Number(n))),
    })
  })

  it('takes a block that is whole in itself and that the next one does not go on from as one of another fork', async () => {
    const whole = inBlock((block) => {
      const forged = { ...block, extraData: '0x01', hash: null }
      return {
        ...forged,
        hash: headerHash(forged),
        transactions: block.transactions.map((one) => ({ ...one, blockHash: headerHash(forged) })),
      }
    })(9)
    const headers: Partial<Config> = { verify: 'proof', calls: { block: calls.block }, rows: rows.slice(0, 1) }
    const found = { failed: [], thrown: '', rows: { blocks: truth.blocks } }
    expect(await read([await serve({ faults: [whole] }), await serve()], headers)).toMatchObject(found)
    expect((await read([await serve({ faults: [whole] })], headers)).thrown).toBe('blocks 9 and 10 are of different forks')
  })

  it('proves receipts that come one by one, and header and receipts of blocks without their transactions', async () => {
    const own = { verify: 'proof' as const }
    expect(await read([await serve({ faults: [noReceipts] })], own)).toMatchObject(healthy)
    const byHash: Partial<Config> = {
      ...own,
      calls: { ...calls, block: { method: 'eth_getBlockByNumber', params: ['$number', false] } },
      rows: [{ into: 'txs', each: { r: 'receipts' }, row: { n: 'number', i: 'index', gas: 'r.gasUsed' } }],
    }
    const gas = truth.txs.map(({ n, i, gas: used }) => ({ n, i, gas: used }))
    expect(await read([await serve()], byHash)).toMatchObject({ failed: [], thrown: '', rows: { txs: gas } })
    const forged = await read([await serve({ faults: [lies[5]![1](5)] })], byHash)
    expect(forged.failed).toEqual([expect.stringMatching(/^block 5: receiptsRoot is 0x/)])
  })

  it('ends where the blocks of a chain have a form of their own, once all endpoints have it, and names what it is', async () => {
    const strange = numbers.map((n) => inBlock((block) => ({ ...block, l1BatchNumber: '0x1', mixHash: block.hash }))(n))
    const headers: Partial<Config> = { verify: 'proof', calls: { block: calls.block }, rows: rows.slice(0, 1) }
    const [own, same] = [await serve({ faults: strange }), await serve({ faults: strange })]
    expect((await read([own, same], headers)).thrown).toMatch(
      /block 1 can't be proved: it has l1BatchNumber, which no header of Ethereum has/,
    )
    expect(own.totals.requests).toBeLessThan(12)
  })

  const stores = (row: Fields): Partial<Config> => ({
    verify: 'proof',
    rows: [rows[0]!, { ...rows[1]!, row: { ...rows[1]!.row, ...row } }] as Config['rows'],
  })

  it('stores no field that only some transactions have signed: another endpoint is asked, then the step ends by the name of block and field', async () => {
    const liar = await serve({ faults: [inTransaction({ maxFeePerBlobGas: '0x9' })(7)] })
    const config = stores({ price: 'tx.maxFeePerBlobGas' })
    const without = { ...truth, txs: truth.txs.map((row) => ({ ...row, price: null })) }
    expect(await read([liar, await serve()], config)).toMatchObject({ failed: [], thrown: '', rows: without })
    const alone = await read([liar], config)
    expect(alone.thrown).toBe(
      "chain : block 7 can't be proved: transactions[0].maxFeePerBlobGas is in no hash: what is signed of type 0x2 has no such field",
    )
    expect(alone.hint).toBe(
      "leave tx.maxFeePerBlobGas out, or store it as the node's word where no hash proves it: unproved: [tx.maxFeePerBlobGas]",
    )
    const said = await read([liar], { ...config, unproved: ['tx.maxFeePerBlobGas'] })
    expect([said.thrown, said.failed, said.rows.txs?.filter(({ price }) => price !== null).map(({ n, price }) => [n, price])]).toEqual([
      '',
      [],
      [[7n, 9n]],
    ])
  })
})

describe('real blocks', () => {
  type Recorded = { readonly block: Readonly<Record<string, unknown>>; readonly receipts: readonly Readonly<Record<string, unknown>>[] }
  const stored = { into: 'txs', each: { r: 'receipts' }, row: { n: 'number', i: 'index', gas: 'r.gasUsed', status: 'r.status' } }

  /** Reads a block from a node that has it for its head, and the same with the last digit of a gasUsed of its last receipt changed. */
  async function proved({ block, receipts }: Recorded, config: Partial<Config>) {
    const n = BigInt(block.number as string)
    const last = receipts.at(-1)
    const other = [...receipts.slice(0, -1), { ...last, cumulativeGasUsed: `${String(last?.cumulativeGasUsed)}0` }]
    const answers = [receipts, other].map(async (all) => {
      const methods = {
        eth_blockNumber: () => block.number as Json,
        eth_getBlockByNumber: ([asked]: readonly unknown[]) => (asked === block.number ? block : blockAt(0)) as Json,
        eth_getBlockReceipts: () => all as Json,
      }
      const { rows: found, failed, thrown } = await read([await serve({ methods })], { verify: 'proof', ...config }, [n, n, n])
      return [found.txs?.map(({ gas }) => gas), [...failed, thrown].join('')]
    })
    const gas = receipts.map(({ gasUsed }) => BigInt(gasUsed as string))
    expect(await Promise.all(answers)).toEqual([
      [gas, ''],
      [[], expect.stringMatching(/^block \d+: receiptsRoot is 0x/)],
    ])
  }

  it('of an OP stack, a deposit first, are proved whole', () => proved(depositBlock(), { rows: [stored] }))

  it.skipIf(!dataFolder)('of Ethereum are proved with their receipts (recorded data, skipped without it)', async () => {
    const withoutTransactions = { ...calls, block: { method: 'eth_getBlockByNumber', params: ['$number', false] } }
    const small = mainnetBlocks().filter(({ receipts }) => receipts.length > 1 && receipts.length < 50)
    expect(small.length).toBeGreaterThan(0)
    await proved(small[0]!, { calls: withoutTransactions, rows: [stored] })
  })
})
