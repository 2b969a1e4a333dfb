import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Pipeline } from '../src/pipeline/pipeline.js'
import { openChainRpc } from '../src/rpc/pool.js'
import { fastClock } from '../src/rpc/fixtures/fake-node.js'
import { run } from '../src/run/run.js'
import { type FakeEndpoint, fakeChain, type Fault, type SentCall, wordings } from '../src/sandbox/index.js'
import { seededRandom } from '../src/sandbox/random.js'
import type { Clock, RunFact, Warehouse } from '../src/sdk/index.js'
import { laneOptions, lazyLane } from '../src/session/lazy-lane.js'
import { openWarehouse } from '../src/warehouse/open.js'
import { readYaml } from './support/api-run.js'
import { all } from './support/warehouse.js'

/** More for a longer look: PIPE_TEST_CASES=2000 SEED=4242 npx vitest run test/endpoints.test.ts */
const CASES = Number(process.env.PIPE_TEST_CASES ?? 5)
const SEED = Number(process.env.SEED ?? 7)
const HEAD = 420
const ATTEMPTS = 3
const SPEED = 1_000
/** Of the machine's time. A case takes far less than a second: one that takes longer hangs. */
const HANGS_AFTER_MS = 120_000

/** Every third block has none, and mostly no transactions either. */
const logCount = (block: bigint) => Number(block % 3n)
const topic = (n: bigint) => `0x${n.toString(16).padStart(64, '0')}`
const chain = fakeChain({
  seed: 3,
  chainId: 31337,
  blocks: HEAD,
  logs: (block) =>
    Array.from({ length: logCount(block) }, (_, i) => ({
      address: `0x${'ab'.repeat(20)}`,
      topics: [topic(block), topic(BigInt(i))],
      data: '0x',
    })),
})

const yaml = (urls: string, from: number, to: number) => `name: p
warehouse: duckdb:p.duckdb
chains: { c: { id: 31337, block_time: 12s, rpc: "${urls}" } }
defaults: { retry: { attempts: ${ATTEMPTS}, wait: 100ms, max_wait: 1s } }
tables:
  blocks: { columns: { number: bigint, hash: hash, miner: address }, key: [number] }
  receipts: { columns: { tx: hash, block: bigint }, key: [tx], range: block }
  balances: { columns: { number: bigint, balance: uint256 }, key: [number] }
  logs: { columns: { block: bigint, topic: hash }, key: [block, topic] }
steps:
  - id: blocks
    type: rpc-batch
    chain: c
    with:
      over: { blocks: { from: ${from}, to: ${to} }, chunk: 13 }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, false] }
        receipts: { method: eth_getBlockReceipts, params: [$number] }
        logs: { method: eth_getLogs, params: [{ fromBlock: $number, toBlock: $number }] }
      rows:
        - { into: blocks, row: { number: block.number, hash: block.hash, miner: block.miner } }
        - { into: receipts, each: { r: receipts }, row: { tx: r.transactionHash, block: r.blockNumber } }
        - { into: logs, each: { l: logs }, row: { block: l.blockNumber, topic: l.topics.1 } }
  - id: balances
    type: rpc-batch
    chain: c
    needs: [blocks]
    into: balances
    with:
      over: { sql: "SELECT number, miner FROM blocks", key: [number], chunk: 11 }
      calls: { balance: { method: eth_getBalance, params: [$miner, $number] } }
      row: { number: number, balance: balance }
`

const METHOD = { headers: 'eth_getBlockByNumber', receipts: 'eth_getBlockReceipts', logs: 'eth_getLogs', state: 'eth_getBalance' } as const
type Kind = keyof typeof METHOD
const KINDS = Object.keys(METHOD) as Kind[]

const REFUSALS = [
  { code: -32000, message: 'missing trie node 1234 (path ) state 0xabcd is not available, not found' },
  { code: -32000, message: 'header not found' },
  { code: -32601, message: 'the method does not exist/is not available: method not found' },
  wordings.gethPruned,
  wordings.internal,
]

/** What one that lies says of a kind, of any block but one: see `lie`. */
const LIES = {
  headers: ['null', 'other', 'hash', 'empty', 'short', 'garbage'],
  receipts: ['null', 'other', 'hash', 'empty', 'short', 'garbage'],
  logs: ['other', 'hash', 'empty', 'short', 'garbage'],
  state: ['null', 'garbage'],
} as const satisfies Record<Kind, readonly string[]>
type Lie = (typeof LIES)[Kind][number]

/** What may be wrong with whole replies, and with how answers are paired with calls. */
const QUIRKS = [
  { kind: 'reorder' },
  { kind: 'omit' },
  { kind: 'duplicate' },
  { kind: 'duplicate', result: null },
  { kind: 'id', id: 'missing' },
  { kind: 'id', id: 'string' },
  { kind: 'id', id: 'null' },
  { kind: 'id', id: 'unknown' },
  { kind: 'http', status: 200, body: '<html><body>Just a moment...</body></html>' },
  { kind: 'http', status: 200, body: '' },
  { kind: 'batch-error', error: { code: -32005, message: 'rate limit exceeded' } },
  { kind: 'batch-error', error: wordings.internal },
  { kind: 'error', error: wordings.alchemyPerSecond },
  { kind: 'rate-limit', retryAfter: 1 },
  { kind: 'truncate', at: 0.7 },
  { kind: 'reset', at: 0.7 },
  { kind: 'max-batch', max: 2 },
  { kind: 'max-batch', max: 3, style: 'http-400' },
  { kind: 'max-response', bytes: 4_000 },
] as const satisfies readonly Fault[]

const kind = fc.constantFrom(...KINDS)
const often = fc.oneof(fc.nat(20), fc.constant(Infinity))
/** What one endpoint does in the first run. Blocks are counted from the first that is asked for. */
const behaviour = fc.record({
  /** It has nothing below so many blocks of a kind, perhaps from its so many-th answer on: says so, or gives null. */
  lacks: fc.array(
    fc.record({ kind, below: fc.nat(60), words: fc.nat(3), silent: fc.boolean(), after: fc.oneof(fc.constant(0), fc.nat(30)) }),
    { maxLength: 2 },
  ),
  lag: fc.oneof(fc.constant(0), fc.nat(80)),
  /** Its head goes back after so many calls. */
  back: fc.option(fc.record({ after: fc.nat(60), by: fc.nat(80) }), { freq: 4 }),
  /** Away after so many requests for so long, by the clock of the run; for ever when very long. */
  outage: fc.option(
    fc.record({ after: fc.nat(15), ms: fc.oneof(fc.nat(15_000), fc.nat(120_000), fc.constant(Infinity)), drops: fc.boolean() }),
  ),
  /** Fewer than a call has attempts, so that no call is refused by all. */
  transient: fc.array(fc.record({ kind, words: fc.nat(4), after: fc.nat(30), times: fc.integer({ min: 1, max: ATTEMPTS - 1 }) }), {
    maxLength: 1,
  }),
  lies: fc.array(
    kind.chain((kind) => fc.record({ kind: fc.constant(kind), how: fc.constantFrom<Lie>(...LIES[kind]), after: fc.nat(20), times: often })),
    { maxLength: 1 },
  ),
  /** What it gives for block 0. */
  genesis: fc.option(fc.constantFrom('null', 'other', 'hash', 'garbage', 'error' as const), { freq: 4 }),
  quirk: fc.option(fc.record({ nth: fc.nat(QUIRKS.length - 1), after: fc.nat(20), times: often })),
  priority: fc.nat(2),
})
type Behaviour = typeof behaviour extends fc.Arbitrary<infer T> ? T : never

const world = fc.record({
  from: fc.constantFrom(1, 100, HEAD - 70),
  span: fc.constantFrom(14, 29, 50),
  endpoints: fc.array(behaviour, { minLength: 2, maxLength: 4 }),
  random: fc.integer({ min: 1, max: 1_000 }),
})
type World = typeof world extends fc.Arbitrary<infer T> ? T : never

/** What one that lies gives in place of any block. */
const OTHER = 5

/** The block that a call is about. */
function blockOf({ method, params }: SentCall): number {
  const found =
    method === 'eth_getBalance' ? params[1] : method === 'eth_getLogs' ? (params[0] as { fromBlock: unknown }).fromBlock : params[0]
  return Number(found)
}

function faultsOf(of: Behaviour, mark: string, from: number, clock: Clock): Fault[] {
  const faults: Fault[] = []
  if (of.outage) {
    const { after, ms, drops } = of.outage
    let requests = 0
    let until: number | undefined
    const away = (): boolean => {
      if (++requests > after) until ??= clock.monotonic() + ms
      return until !== undefined && clock.monotonic() < until
    }
    faults.push(drops ? { kind: 'drop', if: away } : { kind: 'http', status: 503, body: 'Service Unavailable', if: away })
  }
  for (const { kind: of_, below, words, silent, after } of of.lacks) {
    const about = { methods: [METHOD[of_]], after, if: (call: SentCall) => blockOf(call) > 0 && blockOf(call) < from + below }
    if (silent && (of_ === 'headers' || of_ === 'receipts')) faults.push({ kind: 'result', result: null, ...about })
    else faults.push({ kind: 'error', error: REFUSALS[words]!, ...about })
  }
  for (const { kind: of_, words, after, times } of of.transient)
    faults.push({ kind: 'error', error: REFUSALS[words]!, methods: [METHOD[of_]], after, times })
  for (const { kind: of_, how, after, times } of of.lies) {
    const fits = (call: SentCall) => ![0, OTHER].includes(blockOf(call))
    faults.push({ kind: 'raw', text: (truth) => lie(of_, how, truth, mark), methods: [METHOD[of_]], if: fits, after, times })
  }
  if (of.genesis) {
    const about = { methods: [METHOD.headers], if: (call: SentCall) => blockOf(call) === 0 }
    if (of.genesis === 'error') faults.push({ kind: 'error', error: wordings.gethPruned, ...about })
    else faults.push({ kind: 'raw', text: (truth) => lie('headers', of.genesis as Lie, truth, mark), ...about })
  }
  if (of.quirk) {
    const { nth, after, times } = of.quirk
    faults.push({ ...QUIRKS[nth]!, after, times })
  }
  return faults
}

/** What one that lies says in place of an answer. `mark`: two hexadecimal digits of its own, so that no two tell the same lie. */
function lie(of_: Kind, how: Lie, truth: string, mark: string): string {
  // It has no answer that it could change.
  if (truth === 'null') return truth
  switch (how) {
    case 'null':
      return 'null'
    case 'garbage':
      return of_ === 'state' ? '"0x"' : '"ok"'
    case 'hash':
      // The blocks of a fork: of balances nothing tells that they are.
      return truth.replaceAll(/"(hash|blockHash)":"0x[0-9a-f]{4}/g, `"$1":"0x${mark}${mark}`)
    case 'other':
      if (of_ === 'headers') return chain.blockJson(BigInt(OTHER), false)!
      return of_ === 'receipts'
        ? chain.receiptsJson(BigInt(OTHER))!
        : `[${chain.logsJson(BigInt(OTHER), { addresses: undefined, topics: [] }).join(',')}]`
    case 'empty':
      return of_ === 'headers' ? truth.replace(/"transactions":\[[^\]]*\]/, '"transactions":[]') : '[]'
    case 'short':
      // The first transaction, but the last receipt or log: what is left must not fit together.
      if (of_ === 'headers') return truth.replace(/"transactions":\["0x\w+",?/, '"transactions":[')
      return JSON.stringify((JSON.parse(truth) as unknown[]).slice(0, -1))
  }
}

const breaks = (kind: Fault['kind']): boolean => ['http', 'batch-error', 'truncate', 'reset', 'duplicate', 'max-response'].includes(kind)

/** Blocks of which every endpoint lacks a kind or gives nothing that a row can be made of, so that the truth is out of reach. */
function lost({ from, span, endpoints }: World, of: Kind): Set<number> {
  const reaches = endpoints.map(({ lacks, lies, quirk }) =>
    // To a few calls an error of the request is one of the call.
    lies.some(({ kind: kindOf, how }) => kindOf === of && how === 'garbage') || (quirk && breaks(QUIRKS[quirk.nth]!.kind))
      ? span
      : Math.max(0, ...lacks.flatMap((lack) => (lack.kind === of ? [lack.below] : []))),
  )
  return new Set(Array.from({ length: Math.min(span, ...reaches) }, (_, i) => from + i))
}

async function runOnce(
  pipeline: Pipeline,
  warehouse: Warehouse,
  clock: Clock,
  random: () => number,
  kept: { genesis: string | undefined },
) {
  const facts: RunFact[] = []
  const emit = (fact: RunFact) => void facts.push(fact)
  const rpc = openChainRpc({
    chain: { name: 'c', id: 31337 },
    endpoints: pipeline.chains.get('c')!.endpoints,
    clock,
    random,
    emit,
    limits: [],
    genesis: kept.genesis,
    onGenesis: (hash) => Promise.resolve(void (kept.genesis = hash)),
    timeoutMs: 10_000_000,
  })
  try {
    const { outcome, steps } = await run({
      pipeline,
      warehouse,
      moment: { now: 1_700_000_000_000_000n, head: () => rpc.head(new AbortController().signal) },
      clock,
      random,
      emit,
      signal: new AbortController().signal,
      given: {},
      select: undefined,
      limit: undefined,
      rpc: (step, config) =>
        lazyLane(
          step,
          () => laneOptions(step, config),
          () => Promise.resolve(rpc),
        ),
      http: () => ({ request: () => Promise.reject(new Error('no source')) }) as never,
      redact: (text) => text,
      onCheck: () => undefined,
    })
    const failures = facts.flatMap((fact) =>
      fact.type === 'unit:failed' || fact.type === 'key:failed' || fact.type === 'key:quarantined' ? [`${fact.code}: ${fact.error}`] : [],
    )
    return { outcome, reasons: [...[...steps.values()].flatMap(({ reason }) => reason ?? []), ...failures], facts }
  } finally {
    await rpc.close()
  }
}

/** The truth, as text. */
function truth({ from, span }: World): Record<string, string[]> {
  const numbers = Array.from({ length: span }, (_, i) => BigInt(from + i))
  const receipts = numbers.flatMap((n) =>
    (JSON.parse(chain.receiptsJson(n)!) as { transactionHash: string }[]).map((r) => `${r.transactionHash} ${n}`),
  )
  return {
    blocks: numbers.map((n) => `${n} ${chain.block(n).hash} ${chain.block(n).miner}`).sort(),
    receipts: receipts.sort(),
    logs: numbers.flatMap((n) => Array.from({ length: logCount(n) }, (_, i) => `${n} ${topic(BigInt(i))}`)).sort(),
    balances: numbers.map((n) => `${n} ${chain.balance(chain.block(n).miner, n)}`).sort(),
  }
}

async function tables(warehouse: Warehouse): Promise<Record<string, string[]>> {
  const rows = async (sql: string) => (await all(warehouse, sql)).map((row) => Object.values(row).map(String).join(' ')).sort()
  return {
    blocks: await rows('SELECT number, hash, miner FROM blocks'),
    receipts: await rows('SELECT tx, block FROM receipts'),
    logs: await rows('SELECT block, topic FROM logs'),
    balances: await rows('SELECT number, balance FROM balances'),
  }
}

async function play(of: World) {
  const clock = fastClock(SPEED)
  const random = seededRandom(of.random)
  const nodes: FakeEndpoint[] = []
  for (const [i, behaves] of of.endpoints.entries()) {
    const node = await chain.serve({ lag: behaves.lag, log: false, seed: of.random, faults: faultsOf(behaves, `d${i}`, of.from, clock) })
    const { back } = behaves
    // It strikes nobody, and is asked about every call.
    if (back) node.fault({ kind: 'latency', ms: 0, if: () => (node.count() > back.after && node.lag(behaves.lag + back.by), false) })
    nodes.push(node)
  }
  const warehouse = await openWarehouse('duckdb::memory:?threads=1', { mode: 'write' })
  try {
    const pipeline = await readYaml(yaml(nodes.map(({ url }) => url).join(','), of.from, of.from + of.span - 1), {})
    await warehouse.prepare([...pipeline.tables.values()])
    const kept = { genesis: undefined as string | undefined }
    const first = await runOnce(pipeline, warehouse, clock, random, kept)
    const afterFirst = await tables(warehouse)
    for (const node of nodes) {
      node.clear()
      node.lag(0)
    }
    const second = await runOnce(pipeline, warehouse, clock, random, kept)
    return { first, afterFirst, second, afterSecond: await tables(warehouse), kept: kept.genesis }
  } finally {
    await warehouse.close()
    await Promise.all(nodes.map((node) => node.close()))
  }
}

/** By key or block: what was put into quarantine. */
function quarantined(facts: readonly RunFact[]): { step: string; block: string; error: string }[] {
  return facts.flatMap((fact) => {
    if (fact.type === 'key:quarantined') return [{ step: fact.step, block: fact.key, error: fact.error }]
    return fact.type === 'unit:failed' && fact.state === 'quarantined' ? [{ step: fact.step, block: fact.unit, error: fact.error }] : []
  })
}

const READS: Readonly<Record<string, readonly Kind[]>> = { blocks: ['headers', 'receipts', 'logs'], balances: ['state'] }

describe('whatever each endpoint lacks, says and does', () => {
  it('the tables are those of the chain, or the run failed by name and the next one completes', async () => {
    let whole = 0
    let mended = 0
    await fc.assert(
      fc.asyncProperty(world, async (of) => {
        const { first, afterFirst, second, afterSecond, kept } = await play(of)
        const expected = truth(of)
        // Nothing that is stored is not so, whatever else comes.
        for (const name in expected) expect(afterFirst[name]!.filter((row) => !expected[name]!.includes(row))).toEqual([])
        if (kept !== undefined)
          expect([kept.split(':').at(-1)]).toEqual([chain.block(BigInt(kept.includes(':') ? kept.split(':')[0]! : 0)).hash])
        const lostBlocks = Object.fromEntries(
          Object.entries(READS).map(([step, kinds]) => [step, new Set(kinds.flatMap((kindOf) => [...lost(of, kindOf)]))]),
        )
        // Only what every endpoint lacks is put away.
        expect(quarantined(first.facts).filter(({ step, block }) => !lostBlocks[step]?.has(Number(block)))).toEqual([])
        if (first.outcome === 'done') {
          whole++
          expect(afterFirst).toEqual(expected)
        } else {
          expect(first.reasons.join('; ')).not.toBe('')
        }
        if (quarantined(first.facts).length > 0) return
        mended++
        expect({ outcome: second.outcome, reasons: second.reasons }).toEqual({ outcome: 'done', reasons: [] })
        expect(afterSecond).toEqual(expected)
      }),
      { numRuns: CASES, seed: SEED, endOnFailure: true, timeout: HANGS_AFTER_MS },
    )
    // A pool that always gives up would be right, too.
    expect(whole).toBeGreaterThan(CASES / 4)
    expect(mended).toBeGreaterThan(CASES / 2)
  }, 3_600_000)
})
