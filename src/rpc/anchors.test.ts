import { afterEach, describe, expect, test } from 'vitest'
import type { RpcCall, RunFact } from '../sdk/index.js'
import { endpoint, type FakeNode, fastClock, honest, openPool, respond, type SeenCall, startNode } from './fixtures/fake-node.js'
import type { ChainRpcOptions } from './pool.js'

const signal = new AbortController().signal
const calls: readonly RpcCall[] = [{ method: 'eth_getBalance', params: ['0xaa', '0x1'] }]
const hashOf = (chain: string, block: bigint) => `0x${chain}${block.toString(16).padStart(6, '0')}`
const HEAD = 1_000n

const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})

type Answer = (call: SeenCall, node: FakeNode) => object | undefined

/** A node of a chain with blocks. `zero` says something else where it wants to. */
async function node(clock: ReturnType<typeof fastClock>, zero: Answer = () => undefined, chain = 'aa', head = HEAD): Promise<FakeNode> {
  const own = await startNode(clock)
  own.head = head
  own.answer = (call) => {
    if (call.method !== 'eth_getBlockByNumber') return honest(call)
    return zero(call, own) ?? { result: { number: call.params[0], hash: hashOf(chain, BigInt(String(call.params[0]))) } }
  }
  open.push(own)
  return own
}

const error = (code: number, message: string) => ({ error: { code, message } })
const only =
  (block: string, said: object): Answer =>
  (call) =>
    call.params[0] === block ? said : undefined
const below =
  (block: bigint, said: object): Answer =>
  (call) =>
    BigInt(String(call.params[0])) < block ? said : undefined
const noZero = only('0x0', error(1, 'get block bafy2bzace: cbor input should be of type array'))

/** Opens a pool, asks for the head and one balance, and tells who answered, what was kept, refused and warned of. */
async function start(nodes: readonly FakeNode[], clock: ReturnType<typeof fastClock>, change: Partial<ChainRpcOptions> = {}) {
  const kept: string[] = []
  const { rpc, facts } = openPool(
    nodes.map((each) => endpoint(each)),
    clock,
    {
      onGenesis: (hash) => {
        kept.push(hash)
        return Promise.resolve()
      },
      ...change,
    },
  )
  open.push(rpc)
  const failed = await rpc.head(signal).then(
    () => rpc.forStep({ id: 'step', attempts: 2, waitMs: 100, maxWaitMs: 500 }).batch(calls, { signal }),
    (thrown: unknown) => thrown as Error,
  )
  return { outcome: failed instanceof Error ? failed.message : 'answered', kept, warnings: warnings(facts), refused: refused(facts) }
}

const warnings = (facts: readonly RunFact[]) => facts.flatMap((fact) => (fact.type === 'warning' ? [fact.message] : []))
const refused = (facts: readonly RunFact[]) =>
  facts.flatMap((fact) => (fact.type === 'endpoint' && fact.health === 'down' ? [`${fact.endpoint}: ${fact.reason}`] : []))

describe('a node that says nothing of block 0', () => {
  test.each([
    ['lotus', error(1, 'get block bafy2bzace: cbor input should be of type array')],
    ['a lite node of lotus', error(1, 'bad tipset height: lookbacks of more than 16h40m0s are disallowed')],
    ['ethermint', error(-32000, 'height 1 is not available, lowest height is 58701')],
    ['a pruned node', error(4444, 'pruned history unavailable')],
    ['an internal error', error(-32603, 'Internal error')],
    ['a method that is missing', error(-32601, 'the method eth_getBlockByNumber does not exist')],
    ['a plan', error(-32600, 'forbidden: unauthorized for archive data')],
    ['null', { result: null }],
    ['a text', { result: 'none' }],
    ['a block without a number', { result: { hash: '0xab' } }],
    ['its head in place of block 0', { result: { number: '0x3e8', hash: '0xab' } }],
  ])('(%s) is used, checked by another old block, and that is said once', async (_, said) => {
    const clock = fastClock(200)
    const own = await node(clock, only('0x0', said))
    expect(await start([own], clock)).toEqual({
      outcome: 'answered',
      kept: [`744:${hashOf('aa', 744n)}`],
      warnings: [`ethereum: ${own.host} does not give block 0: it is checked by block 744 instead`],
      refused: [],
    })
  })

  test.each([
    ['a page', 400, 'lookbacks of more than 2000 epochs are disallowed'],
    ['a gateway', 504, '<h1>Gateway timeout</h1>'],
  ])('(%s with a status) is used', async (_, status, text) => {
    const clock = fastClock(500)
    const own = await node(clock)
    own.intercept = (request, response) => (request.calls[0]?.params[0] === '0x0' ? respond(response, text, status) : false)
    expect(await start([own], clock)).toMatchObject({ outcome: 'answered', kept: [`744:${hashOf('aa', 744n)}`], refused: [] })
  })

  test('and of no other old block is used by its chain id alone, and that is said', async () => {
    const clock = fastClock(200)
    const own = await node(clock, below(990n, error(-32000, 'height 1 is not available, lowest height is 990')))
    expect(await start([own], clock)).toEqual({
      outcome: 'answered',
      kept: [],
      warnings: [
        `ethereum: ${own.host} gives neither block 0 nor another old one: that it is of this chain is checked by its chain id alone`,
      ],
      refused: [],
    })
  })

  test('on a young chain is checked by a block that may yet be reorganized, which is not kept', async () => {
    const clock = fastClock(200)
    const own = await node(clock, noZero, 'aa', 100n)
    expect(await start([own], clock)).toMatchObject({
      outcome: 'answered',
      kept: [],
      warnings: [expect.stringContaining('block 50 instead')],
    })
  })

  test('is checked by the oldest block that it has', async () => {
    const clock = fastClock(200)
    const own = await node(clock, below(180_000n, error(-32000, 'lowest height is 180000')), 'aa', 200_000n)
    expect((await start([own], clock)).kept).toEqual([`190000:${hashOf('aa', 190_000n)}`])
  })

  test('keeps a block only where the next one proves it: else one that lies nearer to the head, or none', async () => {
    const follows = (call: SeenCall, lies: Readonly<Record<number, object | null>>) => {
      const block = BigInt(String(call.params[0]))
      if (block === 0n) return error(4444, 'pruned history unavailable')
      const lie = lies[Number(block)]
      if (lie === null) return { result: null }
      return { result: { number: call.params[0], hash: hashOf('aa', block), parentHash: hashOf('aa', block - 1n), ...lie } }
    }
    const clock = fastClock(200)
    const other = { parentHash: hashOf('bb', 1n) }
    for (const [head, lies, kept] of [
      [1_000n, {}, [`744:${hashOf('aa', 744n)}`]],
      [1_000n, { 745: other }, []],
      [1_000n, { 744: { hash: '0xdead' } }, []],
      [1_000n, { 745: null }, []],
      [200_000n, { 100_001: other }, [`190000:${hashOf('aa', 190_000n)}`]],
      [200_000n, { 100_001: null, 190_001: null }, [`199000:${hashOf('aa', 199_000n)}`]],
    ] as const) {
      const own = await node(clock, (call) => follows(call, lies), 'aa', head)
      expect(await start([own], clock)).toMatchObject({ outcome: 'answered', kept, refused: [] })
    }
  })

  test('one transient refusal of block 0 changes nothing', async () => {
    const clock = fastClock(200)
    let times = 0
    const own = await node(clock, (call) => (call.params[0] === '0x0' && times++ === 0 ? error(-32603, 'Internal error') : undefined))
    expect(await start([own], clock)).toEqual({ outcome: 'answered', kept: [hashOf('aa', 0n)], warnings: [], refused: [] })
  })
})

describe('in a later run', () => {
  test('the same node is used, whatever its head is, and nothing is kept again', async () => {
    const clock = fastClock(200)
    const follows = (call: SeenCall, own: FakeNode) =>
      call.params[0] === '0x0' ? { result: { number: `0x${own.head.toString(16)}`, hash: hashOf('aa', own.head) } } : undefined
    const own = await node(clock, follows)
    const { kept } = await start([own], clock)
    own.head = 5_000n
    expect(await start([own], clock, { genesis: kept[0] })).toEqual({ outcome: 'answered', kept: [], warnings: [], refused: [] })
  })

  test('another chain with the same id is refused by the block that was kept', async () => {
    const clock = fastClock(200)
    const own = await node(clock, noZero, 'bb')
    expect(await start([own], clock, { genesis: `744:${hashOf('aa', 744n)}` })).toMatchObject({
      outcome: `chain ethereum: refused ${own.host} (block 744 ${hashOf('bb', 744n)}, expected ${hashOf('aa', 744n)})`,
      kept: [],
    })
  })

  test('a node that has pruned the block that was kept is checked by another', async () => {
    const clock = fastClock(200)
    const own = await node(clock, below(5_000n, error(-32000, 'lowest height is 5000')), 'aa', 9_000n)
    expect(await start([own], clock, { genesis: `744:${hashOf('aa', 744n)}` })).toEqual({
      outcome: 'answered',
      kept: [],
      warnings: [`ethereum: ${own.host} does not give block 744: it is checked by block 8000 instead`],
      refused: [],
    })
  })

  test('a node without block 0 is used although its hash is known', async () => {
    const clock = fastClock(200)
    const own = await node(clock, noZero)
    expect(await start([own], clock, { genesis: hashOf('aa', 0n) })).toMatchObject({ outcome: 'answered', kept: [], refused: [] })
  })
})

describe('beside another endpoint', () => {
  test.each([
    ['before', 0],
    ['behind', 1],
  ])('one without block 0, listed %s one that has it, is compared with that one', async (_, place) => {
    const clock = fastClock(200)
    const whole = await node(clock)
    for (const [chain, refusedBy] of [
      ['aa', []],
      ['bb', [`block 744 ${hashOf('bb', 744n)}, expected ${hashOf('aa', 744n)} as at ${whole.host}`]],
    ] as const) {
      const without = await node(clock, noZero, chain)
      const found = await start(place === 0 ? [without, whole] : [whole, without], clock)
      expect(found).toMatchObject({
        outcome: 'answered',
        kept: [hashOf('aa', 0n)],
        refused: refusedBy.map((why) => `${without.host}: ${why}`),
      })
    }
  })

  test('two without block 0 are compared with each other', async () => {
    const clock = fastClock(200)
    const [one, other] = [await node(clock, noZero), await node(clock, noZero, 'bb')]
    const { outcome, refused: out } = await start([one, other], clock)
    expect([outcome, out]).toEqual(['answered', [`${other.host}: block 744 ${hashOf('bb', 744n)}, expected ${hashOf('aa', 744n)}`]])
  })

  test('one that gives its head in place of block 0 is not refused, and its hash is not kept', async () => {
    const clock = fastClock(200)
    const follows = await node(clock, only('0x0', { result: { number: '0x3e8', hash: '0xab' } }))
    const whole = await node(clock)
    expect(await start([follows, whole], clock)).toMatchObject({ outcome: 'answered', kept: [hashOf('aa', 0n)], refused: [] })
  })

  test('one whose block 1 does not follow its block 0 is not believed, and the others are not refused for it', async () => {
    const clock = fastClock(200)
    const chained =
      (hash0: string): Answer =>
      (call) => {
        const block = BigInt(String(call.params[0]))
        const parentHash = block === 0n ? '0x00' : hashOf('aa', block - 1n)
        return { result: { number: call.params[0], hash: block === 0n ? hash0 : hashOf('aa', block), parentHash } }
      }
    const lies = await node(clock, chained('0xdead'))
    const whole = await node(clock, chained(hashOf('aa', 0n)))
    expect(await start([lies, whole], clock)).toMatchObject({ outcome: 'answered', kept: [hashOf('aa', 0n)], refused: [] })
  })

  test('one that never answers for block 0 does not keep the others waiting', async () => {
    const clock = fastClock(100)
    const hangs = await node(clock)
    hangs.intercept = (request) => request.calls[0]?.method === 'eth_getBlockByNumber'
    const without = await node(clock, noZero)
    const { rpc } = openPool([endpoint(hangs), endpoint(without)], clock, { onGenesis: () => Promise.resolve() })
    open.push(rpc)
    const { endpoints } = await rpc.forStep({ id: 'step', attempts: 2, waitMs: 100, maxWaitMs: 500 }).batch(calls, { signal })
    expect(endpoints).toEqual([without.host])
  })
})
