import { afterEach, describe, expect, test } from 'vitest'
import type { RpcAnswers, RpcCall } from '../sdk/index.js'
import { endpoint, type FakeNode, fastClock, honest, openPool, respond, type SeenCall, startNode } from './fixtures/fake-node.js'
import type { EndpointConfig, StepQueueOptions } from './pool.js'

const STEP: StepQueueOptions = { id: 'step', attempts: 5, waitMs: 500, maxWaitMs: 8_000 }
const signal = new AbortController().signal
const hex = (n: number) => `0x${n.toString(16)}`
const balances = (count: number, from = 0): RpcCall[] =>
  Array.from({ length: count }, (_, i) => ({ method: 'eth_getBalance', params: ['0xaa', hex(from + i)] }))
const expected = (asked: readonly RpcCall[]) => asked.map((call) => `${call.method}:${call.params.join(',')}`)
const error = (code: number, message: string) => ({ error: { code, message } })
const noState = error(-32000, 'missing trie node 7f1f6a (path ) state 0x7f is not available, not found')
const notFound = error(-32000, 'header not found')
const noMethod = error(-32601, 'the method eth_getBlockReceipts does not exist/is not available')

const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})

async function world(count: number, change: readonly Partial<EndpointConfig>[] = [], speed = 200) {
  const clock = fastClock(speed)
  const nodes = await Promise.all(Array.from({ length: count }, () => startNode(clock)))
  const { rpc, facts } = openPool(
    nodes.map((node, i) => endpoint(node, { priority: i, ...change[i] })),
    clock,
  )
  open.push(...nodes, rpc)
  const ask = (calls: readonly RpcCall[], block?: bigint, step: Partial<StepQueueOptions> = {}): Promise<RpcAnswers> =>
    rpc.forStep({ ...STEP, ...step }).batch(calls, { signal, ...(block === undefined ? {} : { block }) })
  return { clock, nodes, rpc, facts, ask }
}

/** The first `times` requests with a call that fits are refused. */
const passing = (node: FakeNode, times: number, refusal: object): void => {
  node.answer = (call) => (node.requests.length <= times ? refusal : honest(call))
}
const asked = (node: FakeNode, method?: string) =>
  node.requests.flatMap(({ calls }) => calls).filter((call) => method === undefined || call.method === method)
const blockOf = (call: SeenCall) => Number(call.params[1] ?? call.params[0])
const told = ({ errors }: RpcAnswers) => [...new Set([...(errors?.values() ?? [])].map(({ code, blame }) => `${code} ${blame}`))]

describe('what was not asked never fails', () => {
  test.each([
    ['missing trie node', noState, 1],
    ['missing trie node', noState, 2],
    ['header not found', notFound, 2],
    ['no such method', error(-32601, 'the method eth_getBalance does not exist/is not available'), 2],
    ['pruned', error(4444, 'pruned history unavailable'), 4],
  ])('%s, said to the first requests (%#): every call gets its answer', async (_, refusal, times) => {
    const { nodes, ask } = await world(1)
    passing(nodes[0]!, times, refusal)
    const calls = balances(600)
    expect(await ask(calls, 599n, { batch: 50 })).toMatchObject({ values: expected(calls), errors: undefined })
  })

  test('a call fails for good when every endpoint has refused it as often as there are attempts', async () => {
    const { nodes, ask } = await world(3)
    for (const node of nodes) node.answer = () => noState
    const answers = await ask(balances(4), 3n)
    expect(told(answers)).toEqual(['RPC_STATE_MISSING own'])
    for (const node of nodes)
      for (const call of balances(4)) expect(asked(node).filter(({ params }) => params[1] === call.params[1])).toHaveLength(5)
  })

  test.each([
    ['lacks the state', noState],
    ['has an internal error', error(-32603, 'Internal error')],
    ['does not know the method', error(-32601, 'the method eth_getBalance does not exist/is not available')],
    ['finds the parameters wrong', error(-32602, 'invalid params')],
    ['gives a rounded number', { result: 2 ** 60 }],
    ['answers nothing', {}],
  ])('one that %s, beside one that is down: an outage, which blames no call', async (_, refusal) => {
    const { nodes, ask, facts } = await world(2, [], 1_000)
    const [here, away] = nodes as [FakeNode, FakeNode]
    await away.close()
    here.answer = (call) => (blockOf(call) < 5 ? refusal : honest(call))
    const answers = await ask(balances(10), 9n, { attempts: 2, maxWaitMs: 2_000 })
    expect([...answers.errors!.keys()]).toEqual([0, 1, 2, 3, 4])
    expect(told(answers)).toEqual(['RPC_AWAY outage'])
    expect(answers.errors!.get(0)!.message).toContain(`eth_getBalance("0xaa", "0x0"): refused by ${here.host} (`)
    expect(answers.errors!.get(0)!.message).toContain(`; not to be asked: ${away.host} (connect ECONNREFUSED`)
    expect(facts.some((fact) => fact.type === 'endpoint' && fact.endpoint === away.host && fact.health === 'down')).toBe(true)
  })

  test('a full node and an archive that is away for six seconds: all is answered', async () => {
    const { clock, nodes, ask } = await world(2, [], 100)
    const [full, archive] = nodes as [FakeNode, FakeNode]
    full.answer = (call) => (blockOf(call) < 2_400 ? noState : honest(call))
    const port = Number(archive.host.split(':')[1])
    await archive.close()
    const calls = balances(2_600)
    const work = ask(calls, 2_599n)
    await clock.sleep(6_000)
    open.push(await startNode(clock, port))
    expect(await work).toMatchObject({ values: expected(calls), errors: undefined })
  })

  test('an archive that is known to be down for long is not waited for by every call anew', async () => {
    const { clock, nodes, ask } = await world(2, [], 150)
    const [full, archive] = nodes as [FakeNode, FakeNode]
    full.answer = () => noState
    await archive.close()
    const step = { attempts: 2, maxWaitMs: 60_000, waitMs: 1 }
    await ask(balances(5), 4n, step)
    const before = clock.monotonic()
    expect(told(await ask(balances(5, 10), 14n, step))).toEqual(['RPC_AWAY outage'])
    expect(clock.monotonic() - before).toBeLessThan(60_000)
  })

  test('one that lacks the state and one whose head is behind: the second is waited for, and then it is an outage', async () => {
    const { nodes, ask } = await world(2, [], 500)
    const [full, behind] = nodes as [FakeNode, FakeNode]
    full.answer = () => noState
    behind.head = 50n
    setTimeout(() => (behind.head = 100n), 20)
    expect(await ask(balances(5, 90), 94n)).toMatchObject({ values: expected(balances(5, 90)), errors: undefined })
    behind.head = 50n
    const later = await ask(balances(5, 200), 204n, { attempts: 2, maxWaitMs: 2_000 })
    expect(told(later)).toEqual(['RPC_AWAY outage'])
  })

  test('an endpoint that is out for its login or quota has not refused the call', async () => {
    const { nodes, ask, rpc } = await world(2, [], 500)
    const [full, out] = nodes as [FakeNode, FakeNode]
    full.answer = () => noState
    out.answer = () => error(-32600, 'Must be authenticated!')
    await rpc.head(signal)
    expect(told(await ask(balances(3), 2n))).toEqual(['RPC_AWAY outage'])
  })

  test.each<[string, (node: FakeNode) => void]>([
    ['an internal error', (node) => (node.answer = () => error(-32603, 'Internal error'))],
    ['an internal error of the request', (node) => (node.intercept = (_, response) => respond(response, error(-32603, 'Internal error')))],
    ['a page with status 200', (node) => (node.intercept = (_, response) => respond(response, '<html>Just a moment…</html>'))],
    ['answers with other ids', (node) => (node.intercept = (_, response) => respond(response, [{ id: 'x', result: '0x1' }]))],
  ])('an endpoint that says %s to all that it is asked has not refused the call', async (_, spoil) => {
    const { nodes, ask } = await world(2, [], 2_000)
    nodes[0]!.answer = () => noState
    spoil(nodes[1]!)
    const answers = await ask(balances(20), 19n)
    expect([...(answers.errors?.values() ?? [])].map(({ blame }) => blame)).toEqual(new Array(20).fill('outage'))
    // Once it answers others, it is the call.
    nodes[1]!.intercept = () => false
    nodes[1]!.answer = (call) => (blockOf(call) === 7 ? error(-32603, 'Internal error') : honest(call))
    const { errors } = await ask(balances(20), 19n)
    expect([...errors!].map(([i, { blame }]) => [i, blame])).toEqual([[7, 'own']])
  })

  test('a range that only an endpoint takes that is down is an outage', async () => {
    const { nodes, ask } = await world(2, [{ maxBlockRange: 10 }, { maxBlockRange: 100 }], 1_000)
    await nodes[1]!.close()
    const answers = await ask([{ method: 'eth_getLogs', params: [{ fromBlock: '0x1', toBlock: '0x20' }] }], undefined, { maxWaitMs: 100 })
    expect(told(answers)).toEqual(['RPC_AWAY outage'])
    expect(asked(nodes[0]!)).toEqual([])
  })
})

describe('an endpoint’s lack is a border', () => {
  const step = { batch: 10, parallel: 1 }

  test('of one kind of method: what is said of state is not believed of headers, receipts, logs and traces', async () => {
    const { nodes, ask } = await world(2, [], 20)
    const [full, archive] = nodes as [FakeNode, FakeNode]
    full.answer = (call) => (call.method === 'eth_getBalance' ? noState : honest(call))
    await ask(balances(100), 99n, step)
    const others = [
      { method: 'eth_getBlockByNumber', params: ['0x5', false] },
      { method: 'eth_getBlockReceipts', params: ['0x5'] },
      { method: 'eth_getLogs', params: [{ fromBlock: '0x5', toBlock: '0x5' }] },
      { method: 'trace_block', params: ['0x5'] },
    ]
    const before = asked(archive).length
    await ask(others, 5n, step)
    expect(asked(archive)).toHaveLength(before)
    expect(asked(full).filter(({ method }) => method !== 'eth_getBalance')).toMatchObject(others)
  })

  test('learned by a few refusals: then the others are asked at once for what is not above it', async () => {
    const { nodes, ask } = await world(2, [], 20)
    const [full, archive] = nodes as [FakeNode, FakeNode]
    full.answer = (call) => (blockOf(call) < 500 ? noState : honest(call))
    await ask(balances(50, 450), 499n, step)
    const before = asked(full).length
    await ask(balances(300, 100), 399n, step)
    expect(asked(full)).toHaveLength(before)
    await ask(balances(50, 500), 549n, step)
    expect(asked(full)).toHaveLength(before + 50)
    expect(asked(archive).every((call) => blockOf(call) < 500)).toBe(true)
  })

  test('not learned by one or two', async () => {
    const { nodes, ask } = await world(2, [], 20)
    const [flaky, other] = nodes as [FakeNode, FakeNode]
    passing(flaky, 2, noState)
    await ask(balances(200), 199n, step)
    expect(asked(other)).toHaveLength(20)
    expect(asked(flaky)).toHaveLength(200)
  })

  test('disproved by an answer for an older block', async () => {
    const { nodes, ask } = await world(2, [], 20)
    const [flaky, other] = nodes as [FakeNode, FakeNode]
    passing(flaky, 4, noState)
    await ask(balances(100, 100), 199n, step)
    const before = asked(flaky).length
    // Nobody else can be asked, so it is asked in spite of what is believed.
    other.answer = () => error(-32603, 'Internal error')
    await ask(balances(1), 0n, step)
    await ask(balances(50, 100), 149n, step)
    expect(asked(flaky)).toHaveLength(before + 51)
  })

  test('of a method that it does not know: the others are asked at once', async () => {
    const { nodes, ask } = await world(2, [], 20)
    const [without, other] = nodes as [FakeNode, FakeNode]
    without.answer = (call) => (call.method === 'eth_getBlockReceipts' ? noMethod : honest(call))
    const receipts = (count: number, from: number) =>
      Array.from({ length: count }, (_, i) => ({ method: 'eth_getBlockReceipts', params: [hex(from + i)] }))
    await ask(receipts(50, 0), 49n, step)
    const before = asked(without).length
    await ask(receipts(100, 50), 149n, step)
    expect(asked(without)).toHaveLength(before)
    expect(new Set(asked(other).map((call) => call.params[0])).size).toBe(150)
  })
})

describe('what may be asked for in another way', () => {
  const receipts = (n: number): RpcCall => ({ method: 'eth_getBlockReceipts', params: [hex(n)], nullable: true, replaceable: true })
  const receipt = (n: number): RpcCall => ({ method: 'eth_getTransactionReceipt', params: [`0x${String(n).padStart(64, '0')}`] })

  test('is not believed to be missing of an endpoint that says null of blocks whose receipts it does not have', async () => {
    const { nodes, ask, facts } = await world(1)
    nodes[0]!.answer = ({ method }) => ({ result: method === 'eth_getBlockReceipts' ? null : { blockNumber: hex(1) } })
    for (let n = 2; n < 12; n++) await ask([receipts(n), receipt(n)])
    expect(asked(nodes[0]!, 'eth_getBlockReceipts')).toHaveLength(10)
    // It has those of one block, and of three others.
    for (const of of [1, 2, 3]) {
      nodes[0]!.answer = ({ method }) => ({ result: method === 'eth_getBlockReceipts' ? null : { blockNumber: hex(of) } })
      await ask([receipts(of)])
      await ask([receipt(of)])
    }
    expect(told(await ask([receipts(20)]))).toEqual(['RPC_METHOD_MISSING own'])
    expect(asked(nodes[0]!, 'eth_getBlockReceipts')).toHaveLength(13)
    expect(facts.filter(({ type }) => type === 'warning')).toHaveLength(1)
  })

  test('is asked of those that may answer it, and fails at once where nobody is left but one that is away', async () => {
    const { nodes, ask } = await world(2)
    const [without, other] = nodes as [FakeNode, FakeNode]
    without.answer = (call) => (call.method === 'eth_getBlockReceipts' ? noMethod : honest(call))
    for (let n = 0; n < 3; n++) expect((await ask([receipts(n)])).endpoints).toEqual([other.host])
    expect((await ask([receipts(3)])).endpoints).toEqual([other.host])
    expect(asked(without, 'eth_getBlockReceipts')).toHaveLength(3)
    other.answer = () => noMethod
    expect(told(await ask([receipts(4)]))).toEqual(['RPC_METHOD_MISSING own'])
    await other.close()
    await ask(balances(1))
    expect(told(await ask([receipts(5)]))).toEqual(['RPC_METHOD_MISSING own'])
    expect(asked(without, 'eth_getBlockReceipts')).toHaveLength(3)
    // What can't be had otherwise is asked of it in spite of that.
    without.answer = honest
    const call = { method: 'eth_getBlockReceipts', params: [hex(6)] }
    expect(await ask([call])).toMatchObject({ values: expected([call]), errors: undefined })
  })
})

describe('one whose head is behind', () => {
  test.each([
    ['eth_getLogs', [{ fromBlock: '0x1', toBlock: '0x60' }]],
    ['eth_getBlockReceipts', ['0x60']],
    ['trace_block', ['0x60']],
  ])('is not asked for %s above it, whose answer would be nothing', async (method, params) => {
    const { nodes, ask } = await world(2)
    const [behind, other] = nodes as [FakeNode, FakeNode]
    behind.head = 0x50n
    behind.answer = () => ({ result: [] })
    const calls = [{ method, params }]
    expect(await ask(calls)).toEqual({ values: expected(calls), errors: undefined, endpoints: [other.host] })
  })
})

describe('what one endpoint says of a call', () => {
  test.each([
    ['a null block far below its head', 'eth_getBlockByNumber', ['0x5', false], { result: null }],
    ['null receipts', 'eth_getBlockReceipts', ['0x5'], { result: null }],
    ['another block than the asked one', 'eth_getBlockByNumber', ['0x5', false], { result: { number: '0x9', hash: '0x09' } }],
    ['that the parameters are wrong', 'eth_getBalance', ['0xaa', '0x5'], error(-32602, 'invalid params')],
    [
      'that one block has too many logs',
      'eth_getLogs',
      [{ fromBlock: '0x5', toBlock: '0x5' }],
      error(-32005, 'query returned more than 10000 results'),
    ],
    ['that it reverts', 'eth_call', [{}, '0x5'], error(3, 'execution reverted')],
  ])('%s, is not believed while another may answer', async (_, method, params, lie) => {
    const { nodes, ask } = await world(2)
    nodes[0]!.answer = () => lie
    const calls = [{ method, params }]
    const { values, errors } = await ask(calls, 5n)
    expect({ values, errors }).toEqual({ values: expected(calls), errors: undefined })
  })

  test('a block of another number, and nobody else to ask, is an outage that names it', async () => {
    const { nodes, ask } = await world(1)
    nodes[0]!.answer = () => ({ result: { number: '0x9', hash: '0x09' } })
    const { errors } = await ask([{ method: 'eth_getBlockByNumber', params: ['0x5', false] }], 5n, { attempts: 3 })
    expect(errors!.get(0)).toMatchObject({
      code: 'RPC_OTHER_BLOCK',
      blame: 'outage',
      message: `block 5: got block 0x9 (eth_getBlockByNumber("0x5", false) at ${nodes[0]!.host}, 3 attempts)`,
    })
  })

  test.each([
    ['is down', (node: FakeNode) => node.close()],
    ['lacks the state', (node: FakeNode) => (node.answer = () => noState)],
  ])('a revert is what the chain says, also when the other one %s', async (_, spoil) => {
    const { nodes, ask } = await world(2, [], 1_000)
    nodes[0]!.answer = () => error(3, 'execution reverted: no money')
    await spoil(nodes[1]!)
    const answers = await ask([{ method: 'eth_call', params: [{}, '0x5'] }], 5n)
    expect(told(answers)).toEqual(['RPC_CALL_FAILED own'])
    expect(answers.errors!.get(0)!.message).toContain('execution reverted: no money')
  })

  test('one call that breaks the requests of one endpoint is answered by the other', async () => {
    const { nodes, ask } = await world(2)
    nodes[0]!.intercept = (request, response) =>
      request.calls.some((call) => call.params[1] === '0x21') ? void response.socket?.destroy() : false
    const calls = balances(100)
    expect(await ask(calls, 99n, { attempts: 2 })).toMatchObject({ values: expected(calls), errors: undefined })
  })
})
