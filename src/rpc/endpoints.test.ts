import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { RpcCall, RunFact } from '../sdk/index.js'
import { endpoint, type FakeNode, fastClock, honest, openPool, respond, startNode } from './fixtures/fake-node.js'
import type { ChainRpc, ChainRpcOptions, EndpointConfig, StepQueueOptions } from './pool.js'

/** Self-signed, of no use elsewhere. */
const TEST_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHTFg0e8gbn81Fj0W
hREcPbhpRfE9HkbEyEtmoNiNugqhRANCAAScKMSPswEgG3KeItw/2UI0q6aTkphy
NL9sz4T/5yQk0Jc+5bz2TagZlDa5P5ptFj2joiKiM/yF2a8WmlaDhN4I
-----END PRIVATE KEY-----`
const TEST_CERT = `-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUEz1Mbn4nlY4S+cMcNSRwSxQI76EwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA3MDExMVoYDzIxMjYxMDI5
MDcwMTExWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAScKMSPswEgG3KeItw/2UI0q6aTkphyNL9sz4T/5yQk0Jc+5bz2TagZ
lDa5P5ptFj2joiKiM/yF2a8WmlaDhN4Io1MwUTAdBgNVHQ4EFgQUR9I7V6rjlJY8
Muqsibek6Xqh6eIwHwYDVR0jBBgwFoAUR9I7V6rjlJY8Muqsibek6Xqh6eIwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAlH70UV1zPsam3nroQlUR
pIODYNFVSb970ajHpb6sH8ACIG3gnM9+Dq5O4uY3c+dWV0R6Xsn+QNtveBWO8r/L
eEV1
-----END CERTIFICATE-----`

const STEP: StepQueueOptions = { id: 'step', attempts: 5, waitMs: 500, maxWaitMs: 8_000 }
const signal = new AbortController().signal
const calls = (count: number, from = 0): RpcCall[] =>
  Array.from({ length: count }, (_, i) => ({ method: 'eth_getBalance', params: ['0xaa', `0x${(from + i).toString(16)}`] }))
const expected = (asked: readonly RpcCall[]) => asked.map((call) => `${call.method}:${call.params.join(',')}`)
const error = (code: number, message: string) => ({ error: { code, message } })
const message = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => new Error('nothing was thrown'),
    (failed: unknown) => failed as Error,
  )

const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})

async function nodes(count: number, speed = 50): Promise<{ clock: ReturnType<typeof fastClock>; all: FakeNode[] }> {
  const clock = fastClock(speed)
  const all = await Promise.all(Array.from({ length: count }, () => startNode(clock)))
  open.push(...all)
  return { clock, all }
}

function pool(
  endpoints: readonly EndpointConfig[],
  clock: ReturnType<typeof fastClock>,
  change: Partial<ChainRpcOptions> = {},
): { rpc: ChainRpc; facts: RunFact[] } {
  const opened = openPool(endpoints, clock, change)
  open.push(opened.rpc)
  return opened
}

const asked = (node: FakeNode) => node.requests.reduce((sum, request) => sum + request.calls.length, 0)
/** Ups and downs, without the waits in between. */
const health = (facts: readonly RunFact[], name: string) =>
  facts
    .flatMap((fact) => (fact.type === 'endpoint' && fact.endpoint === name && fact.health !== 'waiting' ? [fact.health] : []))
    .filter((each, i, all) => each !== all[i - 1])
const slow = (node: FakeNode, ms: number): void => {
  node.intercept = (request, response) => {
    setTimeout(
      () =>
        respond(
          response,
          request.calls.map((call) => ({ id: call.id, ...honest(call) })),
        ),
      ms,
    )
  }
}

describe('max_block_range', () => {
  const logs = (toBlock: string) => ({ method: 'eth_getLogs', params: [{ fromBlock: '0x1', toBlock }] })
  const methods = (node: FakeNode) => node.requests.flatMap((request) => request.calls.map((call) => JSON.stringify(call.params)))

  test('a longer range goes to an endpoint that takes it, and the rest to the one asked first', async () => {
    const { clock, all } = await nodes(2)
    const [short, long] = all as [FakeNode, FakeNode]
    for (const node of all) node.answer = (call) => (call.method === 'eth_getLogs' ? { result: [] } : honest(call))
    const { rpc } = pool([endpoint(short, { maxBlockRange: 10 }), endpoint(long, { priority: 2, maxBlockRange: 20 })], clock)
    const { values, errors } = await rpc.forStep(STEP).batch([logs('0xa'), logs('0x14'), logs('latest')], { signal })
    expect({ values, errors }).toEqual({ values: [[], [], []], errors: undefined })
    expect(methods(long)).toContain('[{"fromBlock":"0x1","toBlock":"0x14"}]')
    expect(methods(short)).toEqual(['[{"fromBlock":"0x1","toBlock":"0xa"}]', '[{"fromBlock":"0x1","toBlock":"latest"}]'])
  })

  test('a range that no endpoint takes is never sent, and fails with the limits', async () => {
    const { clock, all } = await nodes(2)
    const [short, long] = all as [FakeNode, FakeNode]
    for (const node of all) node.answer = (call) => (call.method === 'eth_getLogs' ? { result: [] } : honest(call))
    const { rpc } = pool([endpoint(short, { maxBlockRange: 10 }), endpoint(long, { maxBlockRange: 20 })], clock)
    const { values, errors } = await rpc.forStep(STEP).batch([logs('0x15'), logs('0xa')], { signal })
    expect(values[1]).toEqual([])
    expect([...errors!.keys()]).toEqual([0])
    expect(errors!.get(0)).toMatchObject({
      code: 'RPC_RANGE_TOO_LONG',
      blame: 'own',
      message: `eth_getLogs({"fromBlock":"0x1","toBlock":"0x15"}) asks for too many blocks: ${short.host} takes 10, ${long.host} takes 20`,
    })
    expect([...methods(short), ...methods(long)]).toEqual(['[{"fromBlock":"0x1","toBlock":"0xa"}]'])
  })
})

describe('before its first answer counts', () => {
  test('an endpoint of another chain is refused by name, and none of its answers is used', async () => {
    const { clock, all } = await nodes(2)
    const [good, bad] = all as [FakeNode, FakeNode]
    bad.chainId = 137
    const { rpc, facts } = pool([endpoint(bad), endpoint(good)], clock)
    expect((await rpc.forStep(STEP).batch(calls(100), { signal })).endpoints).toEqual([good.host])
    expect(bad.requests).toEqual([])
    expect(facts.filter((fact) => fact.type === 'endpoint' && fact.health === 'down')).toEqual([
      { type: 'endpoint', from: { chain: 'ethereum' }, endpoint: bad.host, health: 'down', reason: 'chain id 137, expected 1 (ethereum)' },
    ])
  })

  test('when all are of another chain that is the error', async () => {
    const { clock, all } = await nodes(1)
    all[0]!.chainId = 137
    const { rpc } = pool([endpoint(all[0]!)], clock)
    const failed = await message(rpc.head(signal))
    expect(failed).toMatchObject({
      code: 'RPC_WRONG_CHAIN',
      blame: 'outage',
      message: `chain ethereum: refused ${all[0]!.host} (chain id 137, expected 1 (ethereum))`,
    })
    expect(await message(rpc.forStep(STEP).batch(calls(1), { signal }))).toMatchObject({ code: 'RPC_WRONG_CHAIN' })
  })

  test('an endpoint with another genesis is refused by name', async () => {
    const { clock, all } = await nodes(2)
    const [good, bad] = all as [FakeNode, FakeNode]
    const block0 = (hash: string) => (call: Parameters<typeof honest>[0]) =>
      call.method === 'eth_getBlockByNumber' ? { result: { number: '0x0', hash } } : honest(call)
    good.answer = block0('0xAB')
    bad.answer = block0('0xcd')
    const { rpc, facts } = pool([endpoint(bad), endpoint(good)], clock, { genesis: '0xab' })
    expect((await rpc.forStep(STEP).batch(calls(10), { signal })).endpoints).toEqual([good.host])
    expect(facts).toContainEqual({
      type: 'endpoint',
      from: { chain: 'ethereum' },
      endpoint: bad.host,
      health: 'down',
      reason: 'genesis 0xcd, expected 0xab',
    })
  })

  test('an endpoint whose check ends at "too many requests" for ten minutes is down, alone and beside one that refuses', async () => {
    const { clock, all } = await nodes(2, 20_000)
    const [limited, other] = all as [FakeNode, FakeNode]
    limited.interceptChecks = true
    limited.intercept = (_, response) => respond(response, 'Too Many Requests', 429)
    other.answer = (call) => (call.method === 'eth_getBalance' ? error(-32000, 'missing trie node') : honest(call))
    const alone = pool([endpoint(limited)], clock).rpc
    expect(await message(alone.head(signal))).toMatchObject({ code: 'RPC_UNREACHABLE', blame: 'outage' })
    expect(await message(alone.forStep(STEP).batch(calls(1), { signal }))).toMatchObject({ code: 'RPC_UNREACHABLE', blame: 'outage' })
    const { errors } = await pool([endpoint(limited), endpoint(other)], clock)
      .rpc.forStep(STEP)
      .batch(calls(1), { signal })
    expect(errors?.get(0)).toMatchObject({ code: 'RPC_AWAY', blame: 'outage' })
  })

  test('a genesis that was not known is handed over once, before anything is fetched', async () => {
    const { clock, all } = await nodes(1)
    const node = all[0]!
    node.answer = (call) => (call.method === 'eth_getBlockByNumber' ? { result: { number: call.params[0], hash: '0xAB' } } : honest(call))
    const found: string[] = []
    const { rpc } = pool([endpoint(node)], clock, {
      onGenesis: (hash) => {
        found.push(`${hash} after ${node.requests.filter((request) => request.calls[0]!.method === 'eth_getBalance').length}`)
        return Promise.resolve()
      },
    })
    await rpc.forStep(STEP).batch(calls(10), { signal })
    await rpc.head(signal)
    expect(found).toEqual(['0xab after 0'])
  })

  test('a genesis that can not be kept stops everything with that error', async () => {
    const { clock, all } = await nodes(1)
    all[0]!.answer = (call) =>
      call.method === 'eth_getBlockByNumber' ? { result: { number: call.params[0], hash: '0xAB' } } : honest(call)
    const { rpc } = pool([endpoint(all[0]!)], clock, { onGenesis: () => Promise.reject(new Error('disk full')) })
    expect((await message(rpc.head(signal))).message).toBe('disk full')
    expect((await message(rpc.forStep(STEP).batch(calls(1), { signal }))).message).toBe('disk full')
  })

  test('head is the highest of those that answer', async () => {
    const { clock, all } = await nodes(2)
    all[0]!.head = 90n
    all[1]!.head = 95n
    const { rpc } = pool([...all.map((node) => endpoint(node)), { ...endpoint({ url: 'http://127.0.0.1:1' }) }], clock)
    expect(await rpc.head(signal)).toBe(95n)
    all[0]!.head = 100n
    expect(await rpc.head(signal)).toBe(100n)
  })

  test('a poll asks one of the first priority, in turn, and all when none of those answers', async () => {
    const { clock, all } = await nodes(3)
    const [a, b, fallback] = all
    if (!a || !b || !fallback) throw new Error('three nodes')
    for (const node of all) node.head = 10n
    const { rpc } = pool([endpoint(a), endpoint(b), endpoint(fallback, { priority: 1 })], clock)
    await rpc.head(signal)
    const heads = () => all.map(({ checks }) => checks.filter(({ calls: [call] }) => call?.method === 'eth_blockNumber').length)
    const before = heads()
    const since = () => heads().map((n, i) => n - (before[i] ?? 0))
    a.head = 11n
    expect([await rpc.poll(signal), since()]).toEqual([11n, [1, 0, 0]])
    // What another one said before counts as well.
    expect([await rpc.poll(signal), since()]).toEqual([11n, [1, 1, 0]])
    b.head = 12n
    expect([await rpc.poll(signal), await rpc.poll(signal), since()]).toEqual([11n, 12n, [2, 2, 0]])
  })

  test('a poll finds the head of the others when the one with the first priority is stuck, which loses its turn until it has caught up', async () => {
    const { clock, all } = await nodes(2, 10)
    const [stuck, other] = all
    if (!stuck || !other) throw new Error('two nodes')
    for (const node of all) node.head = 10n
    const { rpc } = pool([endpoint(stuck), endpoint(other, { priority: 1 })], clock)
    await rpc.head(signal)
    other.head = 30n
    const found: bigint[] = []
    for (let i = 0; i < 4; i++) found.push(await rpc.poll(signal))
    expect(found).toEqual([10n, 10n, 10n, 30n])
    other.head = 31n
    expect(await rpc.poll(signal)).toBe(31n)
    other.head = 30n
    stuck.head = 32n
    for (let i = 0; i < 10; i++) found.push(await rpc.poll(signal))
    expect(found.at(-1)).toBe(32n)
    stuck.head = 33n
    expect(await rpc.poll(signal)).toBe(33n)
  })

  test('or when that one is away; where all are, it is an outage', async () => {
    const { clock, all } = await nodes(2, 200)
    const [away, other] = all
    if (!away || !other) throw new Error('two nodes')
    for (const node of all) node.head = 10n
    const { rpc } = pool([endpoint(away), endpoint(other, { priority: 1 })], clock)
    await rpc.head(signal)
    await away.close()
    other.head = 34n
    const found: bigint[] = []
    for (let i = 0; i < 12; i++) found.push(await rpc.poll(signal))
    expect(found.at(-1)).toBe(34n)
    await other.close()
    const failed = (async () => {
      for (let i = 0; i < 12; i++) await rpc.poll(signal)
    })()
    expect(await message(failed)).toMatchObject({ code: 'RPC_UNREACHABLE', blame: 'outage' })
  })
})

describe('an endpoint that takes requests and answers none', () => {
  const silent = (node: FakeNode) => {
    node.interceptChecks = true
    node.intercept = () => true
  }

  test('does not keep the head of another one from being found, by a poll or by a look at all', async () => {
    const { clock, all } = await nodes(2, 15)
    const [hung, other] = all
    if (!hung || !other) throw new Error('two nodes')
    for (const node of all) node.head = 10n
    const { rpc } = pool([endpoint(hung), endpoint(other, { priority: 1 })], clock)
    await rpc.head(signal)
    silent(hung)
    other.head = 11n
    const started = clock.monotonic()
    expect(await rpc.poll(signal)).toBe(11n)
    expect(clock.monotonic() - started).toBeLessThan(9_000)
    other.head = 12n
    const next = clock.monotonic()
    expect(await rpc.poll(signal)).toBe(12n)
    expect(clock.monotonic() - next).toBeLessThan(2_000)
    other.head = 13n
    expect(await rpc.head(signal)).toBe(13n)
  })

  test('is an outage where there is no other, after ten seconds and at once from then on, until it answers', async () => {
    const { clock, all } = await nodes(1, 50)
    const [hung] = all
    if (!hung) throw new Error('a node')
    hung.head = 10n
    const { rpc } = pool([endpoint(hung)], clock, { timeoutMs: 30_000 })
    await rpc.head(signal)
    silent(hung)
    const outage = {
      code: 'RPC_UNREACHABLE',
      blame: 'outage',
      message: `chain ethereum: no endpoint answers: ${hung.host} (takes requests and answers none)`,
    }
    const started = clock.monotonic()
    expect(await message(rpc.poll(signal))).toMatchObject(outage)
    const first = clock.monotonic()
    expect(first - started).toBeLessThan(20_000)
    expect(await message(rpc.poll(signal))).toMatchObject(outage)
    expect(clock.monotonic() - first).toBeLessThan(1_000)
    hung.intercept = () => false
    hung.head = 11n
    await clock.sleep(30_000)
    expect(await rpc.poll(signal)).toBe(11n)
  })
})

describe('endpoints that can not be reached', () => {
  test('at the start: five tries with growing waits, then an outage that names the host and what to check', async () => {
    const clock = fastClock(200)
    const { rpc, facts } = pool([endpoint({ url: 'http://127.0.0.1:1/v3/secret-key-123' })], clock, { random: () => 1 })
    const started = clock.monotonic()
    const failed = await message(rpc.head(signal))
    expect(failed).toMatchObject({
      code: 'RPC_UNREACHABLE',
      blame: 'outage',
      message: 'chain ethereum: no endpoint answers: 127.0.0.1:1 (connect ECONNREFUSED 127.0.0.1:1 (5 tries))',
    })
    expect(clock.monotonic() - started).toBeGreaterThanOrEqual(500 + 1_000 + 2_000 + 4_000)
    expect(facts.filter((fact) => fact.type === 'request')).toHaveLength(5)
    expect(facts.filter((fact) => fact.type === 'endpoint')).toMatchObject([{ health: 'down' }])
  })

  test('a host that does not exist is named', async () => {
    const { rpc } = pool([endpoint({ url: 'http://no-such-host.invalid' })], fastClock(50))
    expect((await message(rpc.head(signal))).message).toMatch(
      /^chain ethereum: no endpoint answers: no-such-host\.invalid \(getaddrinfo (ENOTFOUND|EAI_AGAIN) no-such-host\.invalid/,
    )
  })

  test('in the middle of a run: an outage after bounded waiting, and work goes on when the node is back', async () => {
    const { clock, all } = await nodes(1, 200)
    const node = all[0]!
    const { rpc, facts } = pool([endpoint(node)], clock)
    const step = rpc.forStep(STEP)
    await step.batch(calls(10), { signal })
    const port = Number(node.host.split(':')[1])
    await node.close()
    expect(await message(step.batch(calls(100), { signal }))).toMatchObject({ code: 'RPC_UNREACHABLE', blame: 'outage' })
    expect(health(facts, node.host)).toEqual(['up', 'down'])
    const again = await startNode(clock, port)
    open.push(again)
    await clock.sleep(3_000)
    expect((await step.batch(calls(100), { signal })).values).toEqual(expected(calls(100)))
    expect(health(facts, node.host)).toEqual(['up', 'down', 'up'])
  })

  test('a node that comes back as another chain is not used', async () => {
    const { clock, all } = await nodes(1, 200)
    const node = all[0]!
    const { rpc } = pool([endpoint(node)], clock)
    const step = rpc.forStep(STEP)
    await step.batch(calls(10), { signal })
    const port = Number(node.host.split(':')[1])
    await node.close()
    await message(step.batch(calls(10), { signal }))
    const other = await startNode(clock, port)
    other.chainId = 5
    open.push(other)
    await clock.sleep(3_000)
    expect(await message(step.batch(calls(10), { signal }))).toMatchObject({ code: 'RPC_WRONG_CHAIN' })
    expect(other.requests).toEqual([])
  })

  test('a node that answers only questions about itself is an outage, not the fault of the calls', async () => {
    const { clock, all } = await nodes(1, 1_000)
    all[0]!.intercept = (_, response) => respond(response, 'Service Unavailable', 503)
    const { rpc } = pool([endpoint(all[0]!)], clock)
    expect(await message(rpc.forStep({ ...STEP, attempts: 2 }).batch(calls(20), { signal }))).toMatchObject({
      code: 'RPC_UNREACHABLE',
      blame: 'outage',
    })
  })

  test('one call that always breaks its request fails alone, the others are answered', async () => {
    const { clock, all } = await nodes(1, 100)
    all[0]!.intercept = (request, response) =>
      request.calls.some((call) => call.params[1] === '0x21') ? void response.socket?.destroy() : false
    const { rpc } = pool([endpoint(all[0]!)], clock)
    const { values, errors } = await rpc.forStep({ ...STEP, attempts: 2 }).batch(calls(200), { signal })
    expect([...errors!.keys()]).toEqual([0x21])
    expect(values.toSpliced(0x21, 1)).toEqual(expected(calls(200)).toSpliced(0x21, 1))
  })

  test('with a third of all requests dropped everything is answered', async () => {
    const { clock, all } = await nodes(2, 20)
    let state = 1
    for (const node of all) {
      node.intercept = (_, response) => {
        state = (state * 48271) % 2147483647
        return state % 3 === 0 ? void response.socket?.destroy() : false
      }
    }
    const { rpc } = pool(
      all.map((node) => endpoint(node)),
      clock,
    )
    const answers = await rpc.forStep({ ...STEP, batch: 10 }).batch(calls(2_000), { signal })
    expect(answers.errors).toBeUndefined()
    expect(answers.values).toEqual(expected(calls(2_000)))
  })
})

describe('several endpoints share the work', () => {
  test('the better one first, the other when the better one is full', async () => {
    const { clock, all } = await nodes(2)
    const [first, second] = all as [FakeNode, FakeNode]
    slow(first, 10)
    const { rpc } = pool([endpoint(second, { priority: 2 }), endpoint(first, { priority: 1, maxWorkers: 2 })], clock)
    const step = rpc.forStep({ ...STEP, batch: 5 })
    await rpc.head(signal)
    await step.batch(calls(10), { signal })
    expect([asked(first), asked(second)]).toEqual([10, 0])
    await step.batch(calls(100), { signal })
    expect(asked(second)).toBeGreaterThan(0)
  })

  test('one that waits for its rate limit is passed over', async () => {
    const { clock, all } = await nodes(2, 10)
    const [first, second] = all as [FakeNode, FakeNode]
    first.intercept = (_, response) => respond(response, 'slow down', 429, { 'retry-after': '300' })
    const { rpc, facts } = pool([endpoint(first), endpoint(second, { priority: 1 })], clock)
    await rpc.head(signal)
    expect((await rpc.forStep(STEP).batch(calls(300), { signal })).values).toEqual(expected(calls(300)))
    expect(first.requests.length).toBeLessThanOrEqual(5)
    expect(facts.flatMap((fact) => (fact.type === 'endpoint' && fact.endpoint === first.host ? [fact.health] : []))).toEqual([
      'up',
      'waiting',
    ])
  })

  test('one that breaks down loses its calls to the other, and comes back after a probe', async () => {
    const { clock, all } = await nodes(2, 200)
    const [first, second] = all as [FakeNode, FakeNode]
    let broken = true
    first.interceptChecks = true
    first.intercept = (request, response) =>
      broken && !(request.check && first.requests.length === 0) ? void response.socket?.destroy() : false
    slow(second, 2)
    const { rpc, facts } = pool([endpoint(first), endpoint(second, { priority: 1 })], clock)
    const step = rpc.forStep({ ...STEP, batch: 5 })
    await rpc.head(signal)
    expect((await step.batch(calls(1_000), { signal })).values).toEqual(expected(calls(1_000)))
    expect(health(facts, first.host)).toEqual(['up', 'down'])
    broken = false
    while (health(facts, first.host).length < 3) await step.batch(calls(50), { signal })
    expect(health(facts, first.host)).toEqual(['up', 'down', 'up'])
  })

  test.each([
    ['lacks the state', error(-32000, 'missing trie node 7f1f6a')],
    ['lacks the method', error(-32601, 'the method eth_getBalance does not exist/is not available')],
    ['lags', error(-32000, 'header not found')],
    ['has an internal error', error(-32603, 'Internal error')],
    ['is not paid for this', error(-32600, 'Archive requests require a personal token')],
  ])('what one can not answer because it %s the other does', async (_, refusal) => {
    const { clock, all } = await nodes(2, 200)
    const [first, second] = all as [FakeNode, FakeNode]
    first.answer = () => refusal
    const { rpc } = pool([endpoint(first), endpoint(second, { priority: 1 })], clock)
    await rpc.head(signal)
    expect(await rpc.forStep(STEP).batch(calls(30), { signal })).toEqual({
      values: expected(calls(30)),
      errors: undefined,
      endpoints: [second.host],
    })
  })

  test('null below the head is taken from the one that has the block', async () => {
    const { clock, all } = await nodes(2, 200)
    const [first, second] = all as [FakeNode, FakeNode]
    first.answer = () => ({ result: null })
    const { rpc } = pool([endpoint(first), endpoint(second, { priority: 1 })], clock)
    await rpc.head(signal)
    const { values } = await rpc.forStep(STEP).batch([{ method: 'eth_getBlockByNumber', params: ['0x5', false] }], { signal, block: 5n })
    expect(values).toEqual(['eth_getBlockByNumber:0x5,false'])
  })

  test('blocks above the head of one are asked of the other only', async () => {
    const { clock, all } = await nodes(2)
    const [behind, ahead] = all as [FakeNode, FakeNode]
    behind.head = 50n
    ahead.head = 100n
    const { rpc } = pool([endpoint(behind), endpoint(ahead, { priority: 1 })], clock)
    await rpc.head(signal)
    const step = rpc.forStep(STEP)
    await step.batch(calls(40), { signal, block: 90n })
    expect([asked(behind), asked(ahead)]).toEqual([0, 40])
    await step.batch(calls(5), { signal, block: 50n })
    expect(asked(behind)).toBe(5)
  })

  test('max_workers is never exceeded', async () => {
    const { clock, all } = await nodes(1)
    const node = all[0]!
    let under = 0
    let most = 0
    node.intercept = (request, response) => {
      most = Math.max(most, ++under)
      setTimeout(() => {
        under--
        respond(
          response,
          request.calls.map((call) => ({ id: call.id, ...honest(call) })),
        )
      }, 2)
    }
    const { rpc } = pool([endpoint(node, { maxWorkers: 2 })], clock)
    await Promise.all([
      rpc.forStep({ ...STEP, id: 'a' }).batch(calls(400), { signal }),
      rpc.forStep({ ...STEP, id: 'b' }).batch(calls(400), { signal }),
    ])
    expect(most).toBe(2)
  })

  test('requests_per_second is never exceeded', async () => {
    const { clock, all } = await nodes(1, 5)
    const node = all[0]!
    const { rpc } = pool([endpoint(node, { requestsPerSecond: 10 })], clock)
    await rpc.forStep({ ...STEP, batch: 2 }).batch(calls(60), { signal })
    const times = [...node.checks, ...node.requests].map((request) => request.at).sort((a, b) => a - b)
    for (let i = 0; i + 11 < times.length; i++) expect(times[i + 11]! - times[i]!).toBeGreaterThan(900)
    expect(times.at(-1)! - times[0]!).toBeLessThan(15_000)
  })

  test('steps share an endpoint in turns', async () => {
    const { clock, all } = await nodes(1)
    const { rpc } = pool([endpoint(all[0]!, { maxWorkers: 1 })], clock)
    const order: string[] = []
    const work = (id: string, count: number) =>
      rpc
        .forStep({ ...STEP, id, batch: 5 })
        .batch(calls(count), { signal })
        .then(() => order.push(id))
    await Promise.all([work('long', 500), work('short', 10)])
    expect(order).toEqual(['short', 'long'])
  })

  test('two endpoints on one host have two names', async () => {
    const { clock, all } = await nodes(1)
    const { rpc, facts } = pool([endpoint(all[0]!), endpoint({ url: `${all[0]!.url}/other` })], clock)
    await rpc.head(signal)
    expect(facts.flatMap((fact) => (fact.type === 'endpoint' ? [fact.endpoint] : [])).sort()).toEqual([all[0]!.host, `${all[0]!.host}#2`])
  })
})

describe('secrets and the way to the endpoint', () => {
  const KEY = 'aB3-secretkey-9xZ'

  test('headers, user and password are sent, and nothing of them shows in any event or error', async () => {
    const { clock, all } = await nodes(1, 1_000)
    const node = all[0]!
    const url = node.url.replace('http://', 'http://alice:pass%40word@') + `/v3/${KEY}?token=query-token`
    node.interceptChecks = true
    const seen: unknown[] = []
    node.intercept = (request, response, nth) => {
      seen.push([request.path, request.headers.authorization, request.headers['x-api-key']])
      if (request.check) return false
      if (nth % 3 === 0) return respond(response, `<h1>no route ${request.path} for ${Buffer.from(KEY).toString('base64')}</h1>`, 502)
      const text = `key ${KEY} of alice:pass@word with ${encodeURIComponent('pass@word')} and header-key is bad`
      return respond(
        response,
        request.calls.map((call) => ({ id: call.id, error: { code: -32603, message: `internal error ${text}` } })),
      )
    }
    const { rpc, facts } = pool([endpoint({ url }, { headers: { 'x-api-key': 'header-key', 'x-empty': '' } })], clock)
    const step = rpc.forStep({ ...STEP, attempts: 2 })
    const { errors } = await step.batch(calls(20), { signal })
    expect(errors!.size).toBe(20)
    expect(new Set(seen.map((each) => JSON.stringify(each)))).toEqual(
      new Set([
        JSON.stringify([`/v3/${KEY}?token=query-token`, `Basic ${Buffer.from('alice:pass@word').toString('base64')}`, 'header-key']),
      ]),
    )
    const told = JSON.stringify([facts, [...errors!.values()].map((failed) => [failed.message, failed.hint, { ...failed }, failed.stack])])
    for (const secret of [KEY, 'pass@word', 'pass%40word', 'query-token', 'header-key', Buffer.from(KEY).toString('base64'), 'alice:'])
      expect(told).not.toContain(secret)
  })

  test('a redirect to another host is not followed', async () => {
    const { clock, all } = await nodes(2)
    const [first, other] = all as [FakeNode, FakeNode]
    first.interceptChecks = true
    first.intercept = (_, response) => respond(response, '', 307, { location: `${other.url}/` })
    const { rpc } = pool([endpoint(first, { headers: { authorization: 'Bearer x1234567' } })], clock)
    const failed = await message(rpc.head(signal))
    expect(failed.message).toContain(`redirects to ${other.host}, which is not followed`)
    expect([...other.checks, ...other.requests]).toEqual([])
  })

  test('a redirect within the host is', async () => {
    const { clock, all } = await nodes(1)
    const node = all[0]!
    node.interceptChecks = true
    node.intercept = (request, response) => (request.path === '/' ? respond(response, '', 308, { location: '/rpc' }) : false)
    const { rpc } = pool([endpoint(node)], clock)
    expect((await rpc.forStep(STEP).batch(calls(10), { signal })).values).toEqual(expected(calls(10)))
  })

  test('a certificate that nobody vouches for is refused, whatever the environment says', async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    const server = createServer({ key: TEST_KEY, cert: TEST_CERT }, (_, response) =>
      response.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}'),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const { rpc } = pool([endpoint({ url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` })], fastClock(1_000))
      expect((await message(rpc.head(signal))).message).toContain('TLS: self-signed certificate')
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
      server.close()
    }
  })

  test('a refused login takes the endpoint out and says what to check', async () => {
    const { clock, all } = await nodes(1)
    all[0]!.interceptChecks = true
    all[0]!.intercept = (_, response) => respond(response, { jsonrpc: '2.0', id: 1, ...error(-32600, 'Must be authenticated!') }, 401)
    const { rpc } = pool([endpoint(all[0]!)], clock)
    expect(await message(rpc.head(signal))).toMatchObject({
      code: 'RPC_LOGIN_REFUSED',
      message: `chain ethereum: not let in: ${all[0]!.host} (Must be authenticated!)`,
    })
    expect(all[0]!.checks).toHaveLength(1)
  })
})
