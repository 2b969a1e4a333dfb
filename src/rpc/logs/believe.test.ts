import { afterEach, describe, expect, test } from 'vitest'
import * as hasher from '../../proof/index.js'
import type { Belief } from '../../sdk/index.js'
import { type FakeChain, fakeChain, type FakeChainOptions, type Fault } from '../../sandbox/index.js'
import { CONTRACT, covered, logWorld, type LogWorld, OTHER, someLogs, truth, word } from '../fixtures/log-world.js'

const open: LogWorld[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((world) => world.close()))
})

async function world(...given: Parameters<typeof logWorld>): Promise<LogWorld> {
  const made = await logWorld(...given)
  open.push(made)
  return made
}

const host = ({ nodes }: LogWorld, i: number): string => new URL(nodes[i]!.url).host
/** Who was told to have answered wrongly. */
const blamed = ({ facts }: LogWorld): readonly string[] => [
  ...new Set(facts.flatMap((fact) => (fact.type === 'retry' && fact.class === 'SERVER' ? [fact.endpoint] : []))),
]
const chainOf = (logs: FakeChainOptions['logs']): FakeChain => fakeChain({ blocks: 60, transactions: 2, hasher, logs })
const busy = chainOf(someLogs((block) => Number(block % 3n) + 1))
/** Several logs in each block that nothing tells from each other, not even a bloom. */
const alike = chainOf(() => Array.from({ length: 4 }, () => ({ address: CONTRACT, topics: [word(7)], data: word(1) })))
const single = chainOf(() => [{ address: CONTRACT, topics: [word(7)], data: word(1) }])
const quiet = chainOf(someLogs((block) => (block === 40n ? 2 : 0)))
const holes: Fault = { kind: 'log-hole', lacks: 'one-of-several' }

const without = (...methods: string[]): Fault => ({
  kind: 'error',
  error: { code: -32601, message: 'the method does not exist/is not available' },
  methods,
})

const beliefs: readonly Belief[] = ['none', 'empty', 'bloom', 'receipts', 'proof']

describe('honest endpoints are believed at each level', () => {
  test.each(beliefs)('%s', async (verify) => {
    for (const options of [busy, quiet]) {
      const made = await world(options, [[], []])
      for (const filter of [{}, { addresses: [OTHER] }, { addresses: [CONTRACT], topics: [null, [word(40)]] }]) {
        const { pages, logs, error } = await made.read({ verify, filter })
        expect(error).toBeUndefined()
        expect(covered(pages)).toEqual(['0-60'])
        expect(logs).toEqual(truth(made.chain, 0n, 60n, filter))
      }
      expect(blamed(made)).toEqual([])
    }
  })

  test('what they were believed by is said of each page', async () => {
    const made = await world(quiet)
    const evidence = async (verify: Belief, filter = {}) => (await made.read({ verify, filter })).pages.map((page) => page.evidence)
    expect(await evidence('none')).toEqual([{ logs: 2, verified: 'none' }])
    expect(await evidence('empty')).toEqual([{ logs: 2, verified: 'empty' }])
    expect(await evidence('empty', { addresses: [word(9).slice(0, 42)] })).toEqual([{ logs: 0, verified: 'empty', headers: 61 }])
    expect(await evidence('bloom')).toEqual([{ logs: 2, verified: 'bloom', headers: 61 }])
    expect(await evidence('receipts', { addresses: [CONTRACT] })).toEqual([{ logs: 2, verified: 'receipts', headers: 61, receipts: 1 }])
    expect(await evidence('proof', { addresses: [CONTRACT] })).toEqual([{ logs: 2, verified: 'proof', headers: 61, receipts: 1 }])
  })

  test('the hashes at the ends of a page are given where headers were read', async () => {
    const made = await world(busy)
    const { pages } = await made.read({ verify: 'proof', from: 5n, to: 20n })
    expect(pages).toMatchObject([{ parentHash: made.chain.block(4).hash, lastHash: made.chain.block(20).hash }])
  })

  test('proof takes at most one request a block with logs', async () => {
    const made = await world(busy)
    await made.read({ verify: 'proof' })
    expect(made.nodes[0]!.totals.requests).toBeLessThan(60)
  })

  test.each(['receipts', 'proof'] as const)('%s needs nobody who offers eth_getLogs', async (verify) => {
    const made = await world(busy, [[without('eth_getLogs')]])
    const { pages, logs, error } = await made.read({ verify })
    expect(error).toBeUndefined()
    expect(logs).toEqual(truth(busy, 0n, 60n))
    expect(pages).toMatchObject([{ endpoints: [host(made, 0)] }])
  })

  test('what is begun first is believed first: of ranges that are read at once, the first comes before the last is asked for', async () => {
    const chain = fakeChain({ blocks: 144, transactions: 1, logs: someLogs(() => 1) })
    const made = await world(chain, [[{ kind: 'latency', ms: 2 }]])
    const lane = made.rpc.forStep({ id: 'step', parallel: 2, batch: 4, attempts: 3, waitMs: 100, maxWaitMs: 1_000 })
    const { signal } = new AbortController()
    const came: (readonly [bigint, number])[] = []
    const read = async (from: bigint) => {
      for await (const page of lane.logs({ addresses: [], topics: [] }, { from, to: from + 47n, verify: 'receipts', signal }))
        came.push([page.from, made.nodes[0]!.count('eth_getBlockReceipts')])
    }
    await Promise.all([1n, 49n, 97n].map(read))
    expect(came.map(([from]) => from)).toEqual([1n, 49n, 97n])
    // So many receipts were asked for when a page came: those of the pages before it, and a few of the next one.
    for (const [i, [, receipts]] of came.entries()) expect(receipts).toBeLessThan(48 * i + 80)
  })

  test('empty asks nothing more where ranges have logs', async () => {
    const counts = await Promise.all(
      (['none', 'empty'] as const).map(async (verify) => {
        const made = await world(busy, [[{ kind: 'log-range', max: 10 }]])
        await made.read({ verify })
        return made.nodes[0]!.count('eth_getBlockByNumber')
      }),
    )
    expect(counts).toEqual([0, 0])
  })
})

describe('an endpoint whose head is behind', () => {
  test.each(beliefs)('is not asked above it, and is not waited for (%s)', async (verify) => {
    const made = await world(busy, [{ lag: 50 }, {}])
    const { logs, error } = await made.read({ verify })
    expect(error).toBeUndefined()
    expect(logs).toEqual(truth(made.chain, 0n, 60n))
  })

  test('alone gives nothing above it, and the error says so', async () => {
    const made = await world(busy, [{ lag: 50 }])
    const { pages, error } = await made.read({ verify: 'none', from: 20n, step: { attempts: 1, maxWaitMs: 100 } })
    expect(pages).toEqual([])
    expect(error).toMatchObject({ blame: 'outage', stretches: [[20n, 60n]] })
    expect(error!.message).toContain('logs of blocks 20-60: ')
  })

  test('alone gives all that is not above it', async () => {
    const made = await world(busy, [{ lag: 10, config: { maxBlockRange: 18 } }])
    const { pages, error } = await made.read({ verify: 'none', step: { attempts: 1, maxWaitMs: 1_000 } })
    expect(covered(pages)).toEqual(['0-50'])
    expect(error).toMatchObject({ blame: 'outage', stretches: [[51n, 60n]] })
  })

  test('that fell back meanwhile is not believed either', async () => {
    const made = await world(busy, [{}])
    await made.rpc.head(new AbortController().signal)
    made.nodes[0]!.lag(50)
    const { pages, error } = await made.read({ verify: 'none', from: 20n, step: { attempts: 1, maxWaitMs: 100 } })
    expect(pages).toEqual([])
    expect(error?.message).toContain('its head is 10, so it says nothing of block 60')
  })
})

/** Which levels give the truth in spite of it, with an honest endpoint beside it, and who is told to be wrong. */
const lies: readonly (readonly [string, Fault, FakeChain, readonly Belief[]])[] = [
  ['an index that ends 50 blocks below the head', { kind: 'log-lag', blocks: 50 }, quiet, ['empty', 'bloom', 'receipts', 'proof']],
  [
    'an index without the only log of a block',
    { kind: 'log-hole', lacks: ({ block }) => block === 40n },
    quiet,
    ['empty', 'bloom', 'receipts', 'proof'],
  ],
  [
    'an index without the only log of a busy range',
    { kind: 'log-hole', lacks: ({ block }) => block === 30n },
    busy,
    ['bloom', 'receipts', 'proof'],
  ],
  ['an index that lacks one log of a block with others like it', holes, alike, ['receipts', 'proof']],
  ['the same in wide ranges only', { ...holes, widerThan: 10 }, alike, ['receipts', 'proof']],
  ['answers that are cut off at a cap nobody knows', { kind: 'log-cap', max: 7, silent: true }, alike, ['receipts', 'proof']],
  ['logs of another fork', { kind: 'log-odd', odd: 'hash' }, single, ['bloom', 'receipts', 'proof']],
]

describe.each(lies)('%s', (_, fault, options, caughtBy) => {
  test.each(caughtBy)('is caught by %s, and people see whose it was', async (verify) => {
    const made = await world(options, [[fault], { config: { priority: 1 } }])
    const { pages, logs, error } = await made.read({ verify })
    expect(error).toBeUndefined()
    expect(logs).toEqual(truth(made.chain, 0n, 60n))
    expect(blamed(made)).toEqual([host(made, 0)])
    const refused = pages.flatMap(({ evidence }) => Object.keys((evidence as { refused?: object }).refused ?? {}))
    expect(new Set(refused)).toEqual(new Set([host(made, 0)]))
  })

  test('is caught with nobody else to ask, as long as receipts are true', async () => {
    const made = await world(options, [[fault]])
    const { logs, error } = await made.read({ verify: caughtBy[0]! })
    expect(error).toBeUndefined()
    expect(logs).toEqual(truth(made.chain, 0n, 60n))
  })
})

describe.each(['receipts', 'proof'] as const)('a node that gives', (verify) => {
  test.each<[string, Fault[]]>([
    ['not the last receipt', [{ kind: 'receipts-short' }]],
    ['a receipt without its last log', [{ kind: 'receipts-hole' }]],
    // What receipts alone can't tell, where the other logs of the block are like it.
    ...(verify === 'proof' ? [['neither that log nor its receipt', [holes, { kind: 'receipts-hole' }]] satisfies [string, Fault[]]] : []),
  ])(`%s is not believed (${verify}), and another one is asked`, async (_, faults) => {
    const made = await world(busy, [faults, { config: { priority: 1 } }])
    const { logs, error } = await made.read({ verify })
    expect(error).toBeUndefined()
    expect(logs).toEqual(truth(made.chain, 0n, 60n))
    expect(blamed(made)).toEqual([host(made, 0)])
  })

  test(`not the last receipt, alone, fails by name (${verify}) where it does not give them one by one, and nothing of it is believed`, async () => {
    const short: Fault = { kind: 'receipts-short', if: ({ params }) => params[0] === '0x1e' }
    const oneByOne = await world(busy, [[short]])
    expect((await oneByOne.read({ verify, step: { attempts: 2 } })).logs).toEqual(truth(busy, 0n, 60n))
    const made = await world(busy, [[short, without('eth_getTransactionReceipt')]])
    const { error, pages } = await made.read({ verify, step: { attempts: 2 } })
    expect(pages).toEqual([])
    expect(error).toMatchObject({ code: 'RPC_LOGS_FAILED', blame: 'outage' })
    expect(error!.message).toContain('block 30')
  })
})

describe('proof', () => {
  const alter = (field: string, value: string): Fault => ({
    kind: 'raw',
    methods: ['eth_getBlockByNumber'],
    if: ({ params }) => params[0] === '0x21',
    text: (text) => text.replace(new RegExp(`"${field}":"0x[0-9a-f]*"`), `"${field}":"${value}"`),
  })
  test.each([
    ['stateRoot', word(1)],
    ['receiptsRoot', word(2)],
    ['timestamp', '0x5'],
    ['hash', word(3)],
    ['parentHash', word(4)],
    ['logsBloom', `0x${'0'.repeat(512)}`],
  ])('catches a header with another %s', async (field, value) => {
    const made = await world(busy, [[alter(field, value)], { config: { priority: 1 } }])
    const { logs, error } = await made.read({ verify: 'proof' })
    expect(error).toBeUndefined()
    expect(logs).toEqual(truth(made.chain, 0n, 60n))
    const alone = await world(busy, [[alter(field, value)]])
    const read = await alone.read({ verify: 'proof', step: { attempts: 2 } })
    expect(read.error).toMatchObject({ code: 'RPC_LOGS_FAILED', blame: 'outage' })
    expect(read.error!.message).toMatch(/block 3[34]/)
  })

  test('says of a chain whose headers can’t be rebuilt which block it was, and what to take instead', async () => {
    const strange: Fault = {
      kind: 'raw',
      methods: ['eth_getBlockByNumber'],
      text: (text) => text.replace('"number"', '"l1BlockNumber":"0x1","number"').replace(/"extraData":"0x"/, '"extraData":"0x01"'),
    }
    const made = await world(busy, [[strange]])
    const { error, pages } = await made.read({ verify: 'proof' })
    expect(pages).toEqual([])
    expect(error).toMatchObject({ code: 'RPC_LOGS_UNPROVABLE', hint: expect.stringContaining('verify: receipts') })
    expect(error!.message).toMatch(/^chain ethereum: block 0 can't be proved: it has l1BlockNumber/)
    const other = await made.read({ verify: 'receipts' })
    expect(other.logs).toEqual(truth(made.chain, 0n, 60n))
  })

  test('logs are not given up for a header that denies them and has another hash than it says', async () => {
    const from0 = ({ params }: { readonly params: readonly unknown[] }) => (params[0] as { readonly fromBlock: string }).fromBlock === '0x0'
    const liar: Fault[] = [
      {
        kind: 'error',
        error: { code: -32601, message: 'the method does not exist/is not available' },
        methods: ['eth_getLogs'],
        if: from0,
      },
      { kind: 'result', result: [], methods: ['eth_getLogs'], if: (call) => !from0(call) },
      {
        kind: 'raw',
        methods: ['eth_getBlockByNumber'],
        text: (text) => text.replace(/"logsBloom":"0x\w+"/, `"logsBloom":"0x${'0'.repeat(512)}"`),
      },
    ]
    const made = await world(busy, [liar, []])
    const { error, logs } = await made.read({ verify: 'bloom' })
    expect(error).toBeUndefined()
    expect(logs).toEqual(truth(made.chain, 0n, 60n))
    expect(blamed(made)).toEqual([host(made, 0)])
  })

  test('does not take what one endpoint makes of a block for the form of the chain', async () => {
    const header: Fault = {
      kind: 'raw',
      methods: ['eth_getBlockByNumber'],
      text: (text) => text.replace('"number"', '"l1BlockNumber":"0x1","number"').replace(/"extraData":"0x"/, '"extraData":"0x01"'),
    }
    const receipts: Fault = {
      kind: 'raw',
      methods: ['eth_getBlockReceipts', 'eth_getTransactionReceipt'],
      text: (text) => text.replaceAll('"type":"0x2"', '"type":"0x64"'),
    }
    for (const fault of [header, receipts]) {
      const made = await world(busy, [[fault], []])
      const { error, logs } = await made.read({ verify: 'proof' })
      expect(error).toBeUndefined()
      expect(logs).toEqual(truth(made.chain, 0n, 60n))
      expect(blamed(made)).toEqual([host(made, 0)])
    }
  })
})

test('a bloom that may hold what nobody gives is believed where two endpoints agree and nobody has receipts, and else not', async () => {
  const noReceipts = without('eth_getBlockReceipts', 'eth_getTransactionReceipt')
  // Both halves are in the bloom of each block, and no log has both.
  const filter = { addresses: [OTHER], topics: [[word(7)]] }
  const options = chainOf(() => [
    { address: OTHER, topics: [word(1)], data: '0x' },
    { address: CONTRACT, topics: [word(7)], data: '0x' },
  ])
  const two = await world(options, [[noReceipts], [noReceipts]])
  const agreed = await two.read({ verify: 'empty', filter })
  expect(agreed).toMatchObject({ error: undefined, logs: [] })
  expect(agreed.pages.map(({ evidence }) => evidence)).toEqual([{ logs: 0, verified: 'empty', headers: 61, agreed: 60 }])
  const one = await world(options, [[noReceipts]])
  const { error } = await one.read({ verify: 'empty', filter, step: { attempts: 2 } })
  expect(error).toMatchObject({ code: 'RPC_LOGS_FAILED', stretches: [[0n, 60n]] })
  expect(error!.message).toContain('its bloom may hold what was not given')
})
