import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { afterAll, describe, expect, it } from 'vitest'
import { type Fault, fakeChain, type FakeEndpoint } from '../../src/sandbox/index.js'
import { endpoint, fastClock, openPool } from '../../src/rpc/fixtures/fake-node.js'
import { runStep } from '../../src/sandbox/run-step.js'
import { rpcBatch } from './rpc-batch.js'
import { type BlockLink, type Json, numberAxis, type Row, type Table } from '../../src/sdk/authors.js'
import { pipe } from '../../test/support/cli.js'
import { temporaryFolder } from '../../test/support/folder.js'
import { readDuckdb } from '../../test/support/read-duckdb.js'

type Fields = { readonly [key: string]: Json }

// A chain of our own: block n has n % 3 transactions, and none of `holes` has a block.
const hex = (n: number): string => `0x${n.toString(16)}`
const word = (n: number): string => n.toString(16).padStart(64, '0')
const hash = (n: number): string => `0xb${word(n).slice(1)}`
const tx = (n: number, i: number): string => `0xa${word(n * 8 + i).slice(1)}`
const txs = (n: number): string[] => Array.from({ length: n % 3 }, (_, i) => tx(n, i))
const blockOf = (n: number, holes: ReadonlySet<number> = new Set()): Fields => {
  let parent = n - 1
  while (holes.has(parent)) parent--
  return {
    number: hex(n),
    hash: hash(n),
    parentHash: n === 0 ? hash(0) : hash(parent),
    transactions: txs(n),
    miner: `0x${word(n % 5).slice(24)}`,
  }
}
const receiptsOf = (n: number): Fields[] =>
  txs(n).map((transactionHash, i) => ({ transactionHash, transactionIndex: hex(i), blockNumber: hex(n), blockHash: hash(n), logs: [] }))

const chain = fakeChain({ blocks: 100 })
const nodes: FakeEndpoint[] = []
afterAll(() => Promise.all(nodes.map((node) => node.close())))

interface NodeOptions {
  readonly holes?: readonly number[]
  /** What it says of a hole. */
  readonly says?: 'error' | 'null'
  readonly faults?: readonly Fault[]
  readonly methods?: Readonly<Record<string, (params: readonly unknown[]) => Json>>
}

async function serve({ holes = [], says = 'error', faults = [], methods = {} }: NodeOptions = {}): Promise<FakeEndpoint> {
  const without = new Set(holes)
  const isHole = ({ params }: { readonly params: readonly unknown[] }) => typeof params[0] === 'string' && without.has(Number(params[0]))
  const node = await chain.serve({
    methods: {
      eth_getBlockByNumber: ([n]) => (without.has(Number(n)) ? null : blockOf(Number(n), without)),
      eth_getBlockReceipts: ([n]) => (String(n).length > 20 ? receiptsOf(Number(`0x${String(n).slice(3)}`)) : receiptsOf(Number(n))),
      ...methods,
    },
    faults: [
      ...faults,
      ...(says === 'error' && holes.length > 0
        ? [{ kind: 'error', if: isHole, error: { code: 12, message: 'requested epoch was a null round' } } as const]
        : []),
    ],
  })
  nodes.push(node)
  return node
}

/** Runs a pipeline over endpoints, with short waits. The folder may be that of an earlier run. */
async function run(endpoints: readonly FakeEndpoint[], yaml: string, { cwd = temporaryFolder(), command = 'run' } = {}) {
  const file = join(cwd, 'p.yaml')
  const urls = endpoints.map((_, i) => `"\${URL${i}}"`).join(', ')
  const about = 'name: p\nwarehouse: duckdb:p.duckdb\ndefaults: { retry: { attempts: 2, wait: 5ms, max_wait: 10ms } }\n'
  writeFileSync(file, `${about}chains: { ethereum: { rpc: [${urls}] } }\n${yaml}`)
  const env = Object.fromEntries(endpoints.map(({ url }, i) => [`URL${i}`, url]))
  const { code, out, err } = await pipe([command, file], { cwd, env })
  return { code, text: out + err, cwd, tables: () => readDuckdb(join(cwd, 'p.duckdb')) }
}
const asText = (row: Row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value as string | bigint)]))
/** What went wrong, if anything. */
const outcome = ({ code, text }: { readonly code: number; readonly text: string }) => (code === 0 ? 'done' : text)

/** Reads blocks of the one step of a pipeline by itself, in units of `chunk`. What an endpoint is asked goes over real sockets. */
async function read(endpoints: readonly FakeEndpoint[], yaml: string) {
  const { tables: declared, steps } = parse(yaml) as {
    readonly tables: Record<string, { readonly columns: Record<string, string>; readonly key: string[] }>
    readonly steps: readonly [{ readonly into?: string; readonly with: { over: { blocks: { from: number; to: number }; chunk?: number } } }]
  }
  const tables = Object.entries(declared).map(([name, { columns, key }]): Table => ({
    name,
    columns: Object.entries(columns).map(([column, type]) => ({
      name: column,
      type: { kind: type.replace('?', '') as 'text' },
      nullable: type.endsWith('?'),
    })),
    key,
    range: undefined,
    indexes: {},
    retention: undefined,
  }))
  const { rpc } = openPool(
    endpoints.map((node) => endpoint(node)),
    fastClock(1),
  )
  const { with: config, into } = steps[0]
  const { blocks, chunk = 1000 } = config.over
  const found = {
    rows: {} as Record<string, Row[]>,
    failed: [] as string[],
    blame: new Set<string>(),
    evidence: [] as Json[],
    links: [] as BlockLink[][],
    thrown: '',
  }
  try {
    for (let from = blocks.from; from <= blocks.to; from += chunk) {
      const to = Math.min(from + chunk - 1, blocks.to)
      const ran = await runStep(rpcBatch, {
        config: config as never,
        tables,
        ...(into === undefined ? {} : { into }),
        rpc: rpc.forStep({ id: 'b', attempts: 2, waitMs: 5, maxWaitMs: 10 }),
        head: chain.head,
        piece: { kind: 'stretch', axis: numberAxis(chunk), from: BigInt(from), to: BigInt(to), order: 'oldest-first' },
      })
      for (const [id, rows] of Object.entries(ran.rows)) (found.rows[id] ??= []).push(...rows)
      for (const batch of ran.batches) {
        found.links.push([...(batch.blocks ?? [])])
        if (batch.evidence !== undefined) found.evidence.push(batch.evidence)
        for (const { error } of batch.failed ?? []) {
          found.failed.push(error.message)
          found.blame.add(error.blame)
        }
      }
    }
  } catch (error) {
    found.thrown = (error as Error).message
  } finally {
    await rpc.close()
  }
  return found
}

/** Calls for some blocks. */
const at =
  (...blocks: number[]) =>
  ({ params: [block] }: { readonly params: readonly unknown[] }) =>
    blocks.includes(Number(block)) || blocks.some((each) => block === hash(each))

/** Another answer than the true one, for some blocks. */
const lie = <T>(method: string, change: (truth: T) => unknown, ...blocks: number[]): Fault => ({
  kind: 'raw',
  methods: [method],
  if: at(...blocks),
  text: (truth) => JSON.stringify(change(JSON.parse(truth) as T)),
})
const receiptsAre = (change: (receipts: Fields[]) => unknown, ...blocks: number[]) => lie('eth_getBlockReceipts', change, ...blocks)
const blockIs = (change: (block: Fields) => unknown, ...blocks: number[]) => lie('eth_getBlockByNumber', change, ...blocks)

const withReceipts = `
tables:
  blocks: { columns: { n: bigint, hash: hash, txs: int }, key: [n] }
  receipts: { columns: { n: bigint, i: int, tx: hash, block: hash }, key: [n, i] }
steps:
  - id: b
    type: rpc-batch
    chain: ethereum
    with:
      over: { blocks: { from: 1, to: 29 } }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, false] }
        receipts: { method: eth_getBlockReceipts, params: [$number] }
      rows:
        - { into: blocks, row: { n: block.number, hash: block.hash, txs: block.transactions.length } }
        - { into: receipts, each: { r: receipts, t: block.transactions }, row: { n: number, i: index, tx: t, block: r.blockHash } }
`
const onlyReceipts = withReceipts
  .replace(/.*block: \{ method.*\n/, '')
  .replace(/.*into: blocks.*\n/, '')
  .replace(', t: block.transactions', '')
  .replace('tx: t', 'tx: r.transactionHash')
const onlyBlocks = withReceipts.replace(/.*receipts: \{ method.*\n/, '').replace(/.*into: receipts.*\n/, '')

const numbers = Array.from({ length: 29 }, (_, i) => i + 1)
const blocks = numbers.map((n) => ({ n: BigInt(n), hash: hash(n), txs: BigInt(n % 3) }))
const receipts = numbers.flatMap((n) => txs(n).map((each, i) => ({ n: BigInt(n), i: BigInt(i), tx: each, block: hash(n) })))
const healthy = { failed: [], thrown: '', rows: { blocks, receipts } }

describe('a block and what is read beside it', () => {
  it('is taken from another endpoint where one contradicts itself, and the rows equal the chain', async () => {
    const liar = await serve({
      faults: [
        receiptsAre(() => [], 2, 5),
        receiptsAre((list) => list.slice(1), 8),
        receiptsAre((list) => list.map((each) => ({ ...each, blockHash: hash(10) })), 11),
        receiptsAre(() => receiptsOf(13), 14),
        receiptsAre(([first]) => [first, first], 17),
        receiptsAre(() => null, 20),
        blockIs((block) => ({ ...block, transactions: null }), 23),
        blockIs((block) => ({ ...block, transactions: [] }), 25),
        blockIs(() => blockOf(25), 26),
        blockIs((block) => ({ ...block, number: 'x' }), 28),
      ],
    })
    expect(await read([liar, await serve()], withReceipts)).toMatchObject(healthy)
  })

  it('fails by name where no endpoint tells it without a contradiction; nothing is quarantined, and a healthy run completes', async () => {
    const liar = await serve({ faults: [receiptsAre((list) => list.slice(1), 8), receiptsAre(() => null, 11, 12)] })
    const ran = await run([liar], withReceipts)
    expect(ran.code).toBe(1)
    expect(ran.text).toContain('block 8: receipts has 1 for 2 transactions')
    expect(ran.text).toContain('block 11: receipts (eth_getBlockReceipts) is null, and the block is not known to have no transactions')
    expect(ran.text).not.toContain('in quarantine')
    expect((await ran.tables()).blocks?.rows.length).toBe(27)
    const second = await run([await serve()], withReceipts, { cwd: ran.cwd })
    expect(outcome(second)).toBe('done')
    const tables = await second.tables()
    expect(tables.blocks?.rows).toEqual(blocks.map((row) => asText(row)))
    expect(tables.receipts?.rows).toEqual(receipts.map((row) => asText(row)))
  })

  it('is asked again of the same endpoint when it was wrong for a moment', async () => {
    const node = await serve({ faults: [{ ...receiptsAre((list) => list.slice(1), 8), times: 2 }] })
    expect(await read([node], withReceipts)).toMatchObject(healthy)
  })

  it('is read again as a whole when its receipts are asked by its hash, since the hash may be the lie', async () => {
    const liar = await serve({ faults: [blockIs((block) => ({ ...block, hash: hash(7) }), 8)] })
    const byHash = withReceipts.replace('params: [$number] }', 'params: [$block.hash] }')
    expect(await read([liar, await serve()], byHash)).toMatchObject(healthy)
  })

  it('follows the block before it: a block of another fork is taken from an endpoint whose blocks follow each other', async () => {
    const fork = blockIs((block) => ({ ...block, hash: `0xf${word(9).slice(1)}`, transactions: [] }), 9)
    expect(await read([await serve({ faults: [fork] }), await serve()], onlyBlocks)).toMatchObject({
      failed: [],
      thrown: '',
      rows: { blocks },
    })
    const alone = await read([await serve({ faults: [fork] })], onlyBlocks)
    expect(alone.thrown).toBe('blocks 9 and 10 are of different forks')
  })

  it('is what the next block goes on from, also where a stretch ends: one of a fork is taken from another endpoint', async () => {
    // Without transactions nothing else tells.
    const fork = blockIs((block) => ({ ...block, hash: `0xf${word(9).slice(1)}` }), 9, 18, 27, 29)
    const stretches = onlyBlocks.replace('to: 29 }', 'to: 29 }, chunk: 9')
    expect(await read([await serve({ faults: [fork] }), await serve()], stretches)).toMatchObject({
      failed: [],
      thrown: '',
      rows: { blocks },
    })
    expect((await read([await serve({ faults: [fork] })], stretches)).thrown).toBe('blocks 9 and 10 are of different forks')
  })

  it('is not stored beside one that failed, as long as nobody gives that one', async () => {
    const fork = blockIs((block) => ({ ...block, hash: `0xf${word(9).slice(1)}` }), 9)
    const ran = await read([await serve({ faults: [fork, blockIs(() => null, 10)] })], onlyBlocks)
    expect(ran.failed.map((words) => /block \d+/.exec(words)?.[0])).toEqual(['block 10', 'block 9'])
    expect(ran.blame).toEqual(new Set(['outage']))
    expect(ran.rows.blocks).toEqual(blocks.filter(({ n }) => n !== 9n && n !== 10n))
  })

  it('proves the one before it without its transactions, which the file asks for in full', async () => {
    const asked: unknown[] = []
    const eth_getBlockByNumber = ([n, full]: readonly unknown[]) => {
      if (Number(n) > 27) asked.push([Number(n), full])
      return { ...blockOf(Number(n)), transactions: [] } as Json
    }
    const whole = onlyBlocks.replace('[$number, false]', '[$number, true]')
    expect(await read([await serve({ methods: { eth_getBlockByNumber } })], whole)).toMatchObject({ failed: [], thrown: '' })
    expect(asked.sort()).toEqual([
      [28, true],
      [29, true],
      [30, false],
    ])
  })

  it('is stored before a height without a block, which the one behind that proves, also where the file does not expect any', async () => {
    const upTo = (to: number) => onlyBlocks.replace('to: 29', `to: ${to}`)
    for (const says of ['null', 'error'] as const)
      expect(await read([await serve({ holes: [8, 9], says })], upTo(7))).toMatchObject({
        failed: [],
        thrown: '',
        rows: { blocks: blocks.slice(0, 7) },
      })
    expect((await read([await serve({ faults: [blockIs(() => null, 8)] })], upTo(7))).failed).toEqual([
      expect.stringContaining('block 7: nothing says that it is of the chain'),
    ])
  })

  it('is stored before one that no endpoint gives for good, where all that have it say the same of it', async () => {
    const corrupt = { ...blockIs(() => null, 10), kind: 'error', error: { code: -32000, message: 'block is corrupt' } } as const
    const fork = blockIs((block) => ({ ...block, hash: `0xf${word(9).slice(1)}` }), 9)
    const ran = await read([await serve({ faults: [corrupt] }), await serve({ faults: [corrupt] })], onlyBlocks)
    expect([ran.failed.length, [...ran.blame], ran.rows.blocks?.length]).toEqual([1, ['own'], 28])
    const doubted = await read([await serve({ faults: [corrupt, fork] }), await serve({ faults: [corrupt] })], onlyBlocks)
    expect(
      doubted.failed.filter((words) => words.startsWith('block 9')).length +
        Number(doubted.rows.blocks?.some(({ hash: own }) => own === hash(9))),
    ).toBe(1)
    expect(doubted.rows.blocks?.some(({ hash: own }) => String(own).startsWith('0xf'))).toBe(false)
  })

  it('is asked of every endpoint where an answer makes no row, before it is put away', async () => {
    const odd = [
      lie('eth_getBlockByNumber', () => 'ok', 3),
      blockIs((block) => ({ ...block, miner: '0x12' }), 6),
      lie('eth_getBalance', () => '0x', 9),
    ].map((fault): Fault => ({
      ...fault,
      if: ({ params }) => [3, 6, 9].includes(Number(params[fault.methods?.[0] === 'eth_getBalance' ? 1 : 0])),
    }))
    const balances = onlyBlocks
      .replace('txs: int }', 'miner: address, balance: uint256 }')
      .replace('txs: block.transactions.length', 'miner: block.miner, balance: balance')
      .replace('      rows:', '        balance: { method: eth_getBalance, params: [$block.miner, $number] }\n      rows:')
      .replace('to: 29', 'to: 11')
    const node = () => ({ methods: { eth_getBalance: ([, n]: readonly unknown[]) => String(n) } })
    const rows = { blocks: blocks.slice(0, 11).map(({ n, hash: own }) => ({ n, hash: own, miner: blockOf(Number(n)).miner, balance: n })) }
    const liar = await serve({ ...node(), faults: odd })
    expect(await read([liar, await serve(node())], balances)).toMatchObject({ failed: [], thrown: '', rows })
    const alone = await read([liar], balances)
    expect([alone.failed.length, [...alone.blame]]).toEqual([3, ['own']])
    // One that could not be asked may have had them.
    const behind = await serve(node())
    behind.lag(95)
    const beside = await read([liar, behind], balances)
    expect([beside.failed.length, [...beside.blame]]).toEqual([3, ['outage']])
  })

  it('has receipts that are checked by themselves where the block is not read', async () => {
    const liar = await serve({
      faults: [
        receiptsAre(() => receiptsOf(5), 8),
        receiptsAre(([first, second]) => [first, { ...second, blockHash: hash(10) }], 11),
        receiptsAre(([, second]) => [second], 14),
        receiptsAre(([first]) => [first, first], 17),
        receiptsAre(([first, second]) => [{ ...first, logs: [{ logIndex: '0x1' }] }, second], 20),
        receiptsAre(() => null, 21, 23),
      ],
    })
    expect(await read([liar, await serve()], onlyReceipts)).toMatchObject({ failed: [], thrown: '', rows: { receipts } })
    const alone = await read([liar], onlyReceipts)
    // Block 21 has no transactions, as it says itself.
    expect(alone.failed.map((words) => Number(/block (\d+)/.exec(words)?.[1])).sort((a, b) => a - b)).toEqual([8, 11, 14, 17, 20, 23])
    expect([...alone.blame]).toEqual(['outage'])
  })

  it('has no receipts when it has no transactions, also where a node says `null` then', async () => {
    const node = await serve({ faults: [receiptsAre((list) => (list.length === 0 ? null : list), ...numbers)] })
    expect(await read([node], withReceipts)).toMatchObject(healthy)
  })
})

describe('heights without a block', () => {
  const rounds = (from: number, to: number, more = ', may_skip: true') => `
tables:
  blocks: { columns: { n: bigint, hash: hash }, key: [n] }
steps:
  - id: b
    type: rpc-batch
    chain: ethereum
    into: blocks
    with:
      over: { blocks: { from: ${from}, to: ${to} }, chunk: 10${more} }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, false] }
        receipts: { method: eth_getBlockReceipts, params: [$number] }
      row: { n: block.number, hash: block.hash }
`
  // The first that is asked for, two in a row over the border of two units, a whole unit, the last that are asked for.
  const holes = [3, 19, 20, 40, ...Array.from({ length: 10 }, (_, i) => 50 + i), 62, 63]
  const there = Array.from({ length: 61 }, (_, i) => i + 3).filter((n) => !holes.includes(n))

  it('that a node tells by an error give no row, proved by the parent hash of the next block; the run and `verify` are content', async () => {
    const node = await serve({ holes })
    const ran = await run([node], rounds(3, 63))
    expect(outcome(ran)).toBe('done')
    expect(ran.text).toContain(`${holes.length} without a block`)
    const { blocks: table, _pipe_units: units } = await ran.tables()
    expect(table?.rows).toEqual(there.map((n) => ({ n: String(n), hash: hash(n) })))
    const gaps = (units?.rows ?? []).flatMap(({ evidence }) =>
      ((JSON.parse(evidence ?? 'null') ?? []) as { gaps: Json[] }[]).flatMap((each) => each.gaps),
    )
    expect(gaps).toContainEqual({ no_block: '50-59', parent_hash: hash(49), next: '60' })
    expect(gaps).toContainEqual({ no_block: '62-63', parent_hash: hash(61), next: '64' })
    expect(outcome(await run([node], rounds(3, 63), { cwd: ran.cwd, command: 'verify' }))).toBe('done')
  })

  it('that a node tells by `null` are proved in the same way', async () => {
    const ran = await read([await serve({ holes, says: 'null' })], rounds(3, 63))
    expect(ran).toMatchObject({ failed: [], thrown: '', rows: { blocks: there.map((n) => ({ n: BigInt(n), hash: hash(n) })) } })
  })

  it('at the ends of a batch say what lies before them, and blocks beside one that failed their own, by which later readings are compared', async () => {
    const ran = await read(
      [await serve({ holes: [10, 11], faults: [blockIs((block) => ({ ...block, number: '0x7' }), 16)] })],
      rounds(1, 20),
    )
    expect(ran.links).toEqual([
      [
        { number: 1n, hash: hash(1), parentHash: hash(0) },
        { number: 10n, hash: hash(9), parentHash: undefined },
      ],
      [
        { number: 11n, hash: undefined, parentHash: hash(9) },
        { number: 15n, hash: hash(15), parentHash: hash(14) },
        { number: 17n, hash: hash(17), parentHash: hash(16) },
        { number: 20n, hash: hash(20), parentHash: hash(19) },
      ],
    ])
  })

  it('that a node tells in words for what it has not got yet are proved, too', async () => {
    const words: Fault = {
      kind: 'error',
      methods: ['eth_getBlockByNumber'],
      if: at(5),
      error: { code: -32000, message: 'block not found' },
    }
    const ran = await read(
      [await serve({ holes: [5], says: 'null', faults: [words] })],
      rounds(1, 10).replace('chunk: 10', 'order: newest-first'),
    )
    expect(ran).toMatchObject({ failed: [], evidence: [{ gaps: [{ no_block: '5', parent_hash: hash(4), next: '6' }] }] })
    expect(ran.rows.blocks?.length).toBe(9)
  })

  it('that only one endpoint tells of are read from the other', async () => {
    const ran = await read([await serve({ faults: [blockIs(() => null, 5, 20)] }), await serve()], rounds(1, 29))
    expect(ran).toMatchObject({
      failed: [],
      thrown: '',
      evidence: [],
      rows: { blocks: blocks.map(({ n, hash: own }) => ({ n, hash: own })) },
    })
  })

  it('that nothing proves are an error and stay open: a lie, or those at the head', async () => {
    const lying = await read([await serve({ faults: [blockIs(() => null, 5, 6)] })], rounds(1, 10))
    const words = `no block at 5-6, and block 7 goes on from ${hash(6)}, not from block 4 (${hash(4)})`
    expect(lying).toMatchObject({ failed: [words, words], blame: new Set(['outage']) })
    expect(lying.rows.blocks?.length).toBe(8)
    const atHead = await read([await serve({ holes: [99, 100] })], rounds(91, 100))
    expect(atHead.failed).toEqual(['no block at 99-100, and no later block proves it', 'no block at 99-100, and no later block proves it'])
  })

  it('are an error where the file does not say that there may be some', async () => {
    const ran = await read([await serve({ holes: [5], says: 'null' })], rounds(1, 10, ''))
    expect(ran.failed).toEqual([expect.stringContaining('block 5: null')])
  })

  it('need a call that can prove them', async () => {
    const checked = await run([await serve()], rounds(1, 29).replace('[$number, false]', '[latest, false]'), { command: 'validate' })
    expect(checked.code).toBe(2)
    expect(checked.text).toContain('nothing can prove that there is none')
  })
})

describe('a call that is answered with nothing', () => {
  const tokens = (on: string) => `
tables:
  tokens: { columns: { token: address, decimals: int?, raw: bytes? }, key: [token] }
steps:
  - id: t
    type: rpc-batch
    chain: ethereum
    into: tokens
    with:
      over: { sql: "SELECT '0x' || lpad(CAST(n AS text), 40, '0') AS token FROM range(1, 7) r(n)", key: [token] }
      calls:
        decimals: { to: $token, function: "decimals() returns (uint8)", block: 50${on} }
        raw: { method: eth_call, params: [{ to: $token, data: "0x313ce567" }, 50]${on} }
      row: { token: token, decimals: decimals, raw: raw }
`
  const failing = (token: number, code: number, message: string, data?: string): Fault => ({
    kind: 'error',
    methods: ['eth_call'],
    if: ({ params: [call] }) => (call as Fields).to === `0x${String(token).padStart(40, '0')}`,
    error: { code, message, ...(data === undefined ? {} : { data }) },
  })
  const methods = { eth_call: ([call]: readonly unknown[]) => (String((call as Fields).to).endsWith('1') ? '0x' : `0x${word(18)}`) }

  it('may revert where the file says `on_revert: null`: the row has nulls, and the run counts them; a missing state is no revert', async () => {
    const faults = [
      failing(2, 3, 'execution reverted', '0x'),
      failing(3, -32000, 'execution reverted: missing trie node'),
      failing(4, -32015, 'VM execution error.', 'Reverted 0x'),
      failing(5, -32000, 'missing trie node abc'),
    ]
    const ran = await run([await serve({ methods, faults })], tokens(', on_revert: null'))
    expect(ran.code).toBe(1)
    expect(ran.text).toContain('4 reverted')
    expect(ran.text).toContain('missing trie node abc')
    const { tokens: table } = await ran.tables()
    expect(table?.rows.map(({ token, decimals, raw }) => [token?.slice(-1), decimals, raw])).toEqual([
      ['1', null, null],
      ['2', null, null],
      ['3', null, null],
      ['4', null, null],
      ['6', '18', `0x${word(18)}`],
    ])
  })

  const lookups = (on: string, more = '') => `
tables:
  found: { columns: { n: bigint, tx: hash?, nonce: bigint? }, key: [n] }
steps:
  - id: f
    type: rpc-batch
    chain: ethereum
    into: found
    with:
      over: { blocks: { from: 1, to: 6 } }
      calls:
        first: { method: eth_getTransactionByBlockNumberAndIndex, params: [$number, 0]${on} }
        ${more}
      row: { n: number, tx: first.hash${more === '' ? '' : ', nonce: nonce'} }
`
  const first = {
    eth_getTransactionByBlockNumberAndIndex: ([n]: readonly unknown[]): Json =>
      txs(Number(n)).length === 0 ? null : { hash: tx(Number(n), 0), from: '0x01' },
    eth_getTransactionCount: () => '0x7',
  }
  const row = (n: number, more: Fields = {}) => ({ n: BigInt(n), tx: n % 3 === 0 ? null : tx(n, 0), ...more })

  it('may be `null` where the file says so: a row with nulls, or no row', async () => {
    const node = await serve({ methods: first })
    const nulls = await read([node], lookups(', on_null: null'))
    expect(nulls).toMatchObject({ failed: [], evidence: [{ null: 2 }], rows: { found: [1, 2, 3, 4, 5, 6].map((n) => row(n)) } })
    const skips = await read([node], lookups(', on_null: skip'))
    expect(skips).toMatchObject({ failed: [], evidence: [{ skipped: ['3', '6'] }], rows: { found: [1, 2, 4, 5].map((n) => row(n)) } })
  })

  it('is asked of every endpoint, since one that has pruned says the same; one that can not be asked now is an outage', async () => {
    const pruned = await serve({ methods: { ...first, eth_getTransactionByBlockNumberAndIndex: () => null } })
    const whole = { failed: [], rows: { found: [1, 2, 3, 4, 5, 6].map((n) => row(n)) } }
    expect(await read([pruned, await serve({ methods: first })], lookups(', on_null: null'))).toMatchObject(whole)
    const behind = await serve({ methods: first })
    behind.lag(95)
    const beside = await read([pruned, behind], lookups(', on_null: null'))
    expect([beside.failed.length, [...beside.blame], beside.rows.found]).toEqual([6, ['outage'], []])
    const nothing = await serve({ methods: { eth_call: () => '0x' } })
    const some = await serve({ methods: { eth_call: () => `0x${word(18)}` } })
    const ran = await run([nothing, some], tokens(', on_revert: null'))
    expect(outcome(ran)).toBe('done')
    expect((await ran.tables()).tokens?.rows.map(({ decimals }) => decimals)).toEqual(new Array(6).fill('18'))
  })

  it('fails by name where the file says nothing', async () => {
    const loud = await read([await serve({ methods: first })], lookups(''))
    const words = (n: number) => `block ${n}: first (eth_getTransactionByBlockNumberAndIndex) is null`
    expect(loud).toMatchObject({
      failed: [words(3), words(6)],
      blame: new Set(['outage']),
      rows: { found: [1, 2, 4, 5].map((n) => row(n)) },
    })
    const reverting = await serve({
      methods: first,
      faults: [{ kind: 'error', methods: ['eth_getTransactionCount'], error: { code: 3, message: 'execution reverted' } }],
    })
    const reverted = await read(
      [reverting],
      lookups(', on_null: null', 'nonce: { method: eth_getTransactionCount, params: ["0x1", $number] }'),
    )
    expect(reverted.failed.length).toBe(6)
    expect(reverted.failed[0]).toContain('execution reverted')
  })

  it('gives nothing to the calls that use it, and those are not asked', async () => {
    const node = await serve({ methods: first })
    const ran = await read([node], lookups(', on_null: null', 'nonce: { method: eth_getTransactionCount, params: [$first.from, $number] }'))
    expect(ran).toMatchObject({
      failed: [],
      rows: { found: [1, 2, 3, 4, 5, 6].map((n) => row(n, { nonce: n % 3 === 0 ? null : (7n as never) })) },
    })
  })

  it('needs a column that may be null', async () => {
    const checked = await run([await serve()], tokens(', on_revert: null').replace('int?', 'int'), { command: 'validate' })
    expect(checked.code).toBe(2)
    expect(checked.text).toContain(
      'steps[0].with.row.decimals: is null where decimals is, by its `on_revert: null`, and column decimals may not be',
    )
  })

  it('can not be skipped for a row of a query, which would be asked for in every run', async () => {
    const checked = await run([await serve()], tokens(', on_revert: skip'), { command: 'validate' })
    expect(checked.code).toBe(2)
    expect(checked.text).toContain('would be asked for in every run')
  })
})

describe('numbers in params', () => {
  const fees = (params: string, method = 'eth_feeHistory') => `
params:
  half: { type: float, default: 12.5 }
tables:
  fees: { columns: { n: bigint, r: text }, key: [n] }
steps:
  - id: f
    type: rpc-batch
    chain: ethereum
    into: fees
    with:
      over: { blocks: { from: 1, to: 2 } }
      calls: { it: { method: ${method}, params: ${params} } }
      row: { n: number, r: it.saw }
`
  const echo = (params: readonly unknown[]): Json => ({ saw: JSON.stringify(params) })
  const methods = Object.fromEntries(['eth_feeHistory', 'debug_traceBlockByNumber', 'debug_traceCall', 'x_any'].map((each) => [each, echo]))

  it.each([
    ['eth_feeHistory', '[1, $number, [25, 75]]', '["0x1","0x1",[25,75]]'],
    ['eth_feeHistory', '["0x1", $number, [12.5, 75.5]]', '["0x1","0x1",[12.5,75.5]]'],
    [
      'debug_traceBlockByNumber',
      '[$number, { tracer: a, reexec: 128, tracerConfig: { b: 2 } }]',
      '["0x1",{"tracer":"a","reexec":128,"tracerConfig":{"b":2}}]',
    ],
    [
      'debug_traceCall',
      '[{ gas: 9 }, $number, { reexec: 1, blockOverrides: { number: 5 } }]',
      '[{"gas":"0x9"},"0x1",{"reexec":1,"blockOverrides":{"number":"0x5"}}]',
    ],
    [
      'x_any',
      '[5, { number: 25 }, { number: 0.5 }, { number: $number }, [{ a: { number: -1 } }], { number: 5, b: 1 }]',
      '["0x5",25,0.5,1,[{"a":-1}],{"number":"0x5","b":"0x1"}]',
    ],
  ])('of %s %s are sent as what the method takes', async (method, params, sent) => {
    const ran = await read([await serve({ methods })], fees(params, method))
    expect({ failed: ran.failed, sent: ran.rows.fees?.[0]?.r }).toEqual({ failed: [], sent })
  })

  it.each([
    [
      '[1, 12.5, [25]]',
      '17:58  steps[0].with.calls.it.params[1]: 12.5 is no whole number, and a quantity is one (a JSON number is written { number: 12.5 })',
    ],
    ['[-1, $number, [25]]', 'params[0]: -1 is negative'],
    ['[{ deep: [1.5] }, $number]', 'params[0].deep[0]: 1.5 is no whole number'],
  ])('like %s are refused by `validate` at their place', async (params, words) => {
    const checked = await run([await serve({ methods })], fees(params), { command: 'validate' })
    expect(checked.code).toBe(2)
    expect(checked.text).toContain(words)
  })

  it('that a param gives are refused before anything is fetched', async () => {
    const node = await serve({ methods })
    const ran = await run([node], fees('[$half, $number]'))
    expect(ran.code).toBe(2)
    expect(ran.text).toContain('12.5 is no whole number')
    expect(node.log.flatMap(({ calls }) => calls).filter(({ method }) => method === 'eth_feeHistory')).toEqual([])
  })
})
