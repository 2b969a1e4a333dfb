import { afterEach, describe, expect, test } from 'vitest'
import type { ServerResponse } from 'node:http'
import { Budgets } from '../net/budget.js'
import type { RpcCall, RpcPool, RunFact } from '../sdk/index.js'
import { endpoint, type FakeNode, fastClock, honest, openPool, respond, type SeenRequest, startNode } from './fixtures/fake-node.js'
import type { ChainRpcOptions, EndpointConfig, StepQueueOptions } from './pool.js'

const STEP: StepQueueOptions = { id: 'step', attempts: 5, waitMs: 500, maxWaitMs: 8_000 }
const signal = new AbortController().signal
const calls = (count: number, method = 'eth_getBalance'): RpcCall[] =>
  Array.from({ length: count }, (_, i) => ({ method, params: ['0xaa', `0x${i.toString(16)}`] }))
const expected = (asked: readonly RpcCall[]) => asked.map((call) => `${call.method}:${call.params.join(',')}`)
const answer = (request: SeenRequest, response: ServerResponse): void => {
  const items = request.calls.map((call) => ({ jsonrpc: '2.0', id: call.id, ...honest(call) }))
  respond(response, items.length === 1 ? items[0] : items)
}

const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})

async function world(speed: number, count = 2) {
  const clock = fastClock(speed)
  const nodes = await Promise.all(Array.from({ length: count }, () => startNode(clock)))
  open.push(...nodes)
  const pool = (endpoints: readonly EndpointConfig[], change: Partial<ChainRpcOptions> = {}) => {
    const opened = openPool(endpoints, clock, change)
    open.push(opened.rpc)
    return opened
  }
  return { clock, pool, first: nodes[0]!, second: nodes[1]! }
}

/** Answers after a while, by the clock of the test. */
const slowly = (node: FakeNode, ms: () => number, clock: ReturnType<typeof fastClock>): void => {
  node.intercept = (request, response) => void clock.sleep(ms()).then(() => answer(request, response))
}
const one = (step: RpcPool, block?: bigint) => step.batch(calls(1), block === undefined ? { signal } : { signal, block })
const hedges = (facts: readonly RunFact[]) => facts.filter((fact) => fact.type === 'hedge')

describe('budget', () => {
  const budget = (creditsPerSecond: number) => ({ creditsPerSecond, costs: { eth_getLogs: 75, eth_getBalance: 10 }, default: 1 })
  const costs: Record<string, number> = { eth_getLogs: 75, eth_getBalance: 10 }
  const cost = (request: SeenRequest) => request.calls.reduce((sum, { method }) => sum + (costs[method] ?? 1), 0)
  const all = (node: FakeNode) => [...node.checks, ...node.requests].sort((a, b) => a.at - b.at)

  test('calls of any second cost no more, counted by method within a batch, over all chains of one key, and the figures say what was spent', async () => {
    const { pool, first, second, clock } = await world(5)
    const budgets = new Budgets()
    // Two hosts are two accounts, two paths without a key are one.
    const eth = pool([endpoint(first, { budget: budget(200) })], { budgets })
    const base = pool([endpoint({ url: `${first.url}/base` }, { budget: budget(200) })], { budgets })
    const free = pool([endpoint(second)], { budgets })
    const asked = [...calls(30), ...calls(8, 'eth_getLogs'), ...calls(20, 'eth_gasPrice')]
    await Promise.all([eth, base, free].map(({ rpc }) => rpc.head(signal)))
    await clock.sleep(1_500)
    const started = clock.monotonic()
    const answers = await Promise.all([eth, base, free].map(({ rpc }) => rpc.forStep(STEP).batch(asked, { signal })))
    for (const { values, errors } of answers) expect({ values, errors }).toEqual({ values: expected(asked), errors: undefined })
    const sent = all(first)
    let sum = 0
    for (const request of [...first.requests].sort((a, b) => a.at - b.at)) {
      // What has come was sent before, and nothing was spent in the second before the first.
      sum += cost(request)
      expect(sum).toBeLessThanOrEqual(200 * (Math.floor((request.at - started) / 1000) + 1))
    }
    const spent = sent.reduce((sum, each) => sum + cost(each), 0)
    expect(spent).toBe(2 * (30 * 10 + 8 * 75 + 20 + 2))
    expect(clock.monotonic() - started).toBeGreaterThan((spent / 200 - 1.1) * 1000)
    expect(clock.monotonic() - started).toBeLessThan((spent / 200) * 1000 * 2)
    const figures = ({ facts }: typeof eth) => facts.flatMap((fact) => (fact.type === 'request' ? [fact.figures.credits] : []))
    expect([...figures(eth), ...figures(base)].reduce<number>((sum, credits) => sum + (credits ?? NaN), 0)).toBe(spent)
    expect(new Set(figures(free))).toEqual(new Set([undefined]))
    const limits = (of: typeof eth) => of.facts.find((fact) => fact.type === 'limits')
    expect([limits(eth), limits(free)]).toMatchObject([{ creditsPerSecond: 200 }, { creditsPerSecond: undefined }])
  })

  test('what a budget has no room for goes to the next priority', async () => {
    const { pool, first, second } = await world(20)
    const { rpc } = pool([endpoint(first, { budget: budget(50) }), endpoint(second, { priority: 2 })])
    await rpc.head(signal)
    const { endpoints } = await rpc.forStep(STEP).batch(calls(40), { signal })
    expect([...endpoints].sort()).toEqual([first.host, second.host].sort())
    // All that is left of a second after the questions of the pool itself: 50 - 2.
    expect(first.requests[0]?.calls.length).toBe(4)
  })
})

describe('a request that takes far longer than usual', () => {
  test('is also sent to the next priority, and the first whole answer counts; that it was late is all that is held against the first', async () => {
    const { pool, first, second, clock } = await world(10)
    const { rpc, facts } = pool([endpoint(first), endpoint(second, { priority: 2 })])
    await rpc.head(signal)
    const step = rpc.forStep(STEP)
    for (let i = 0; i < 25; i++) await one(step)
    expect([first.requests.length, second.requests.length]).toEqual([25, 0])

    let closed = 0
    first.intercept = (_, response) => void response.on('close', () => closed++)
    const started = clock.monotonic()
    expect(await step.batch(calls(3), { signal })).toEqual({ values: expected(calls(3)), errors: undefined, endpoints: [second.host] })
    expect(clock.monotonic() - started).toBeGreaterThan(2_000)
    expect(clock.monotonic() - started).toBeLessThan(8_000)
    expect(hedges(facts)).toMatchObject([{ endpoint: first.host, to: second.host, calls: 3, from: { chain: 'ethereum' } }])
    await expect.poll(() => closed).toBe(1)
    expect(facts.filter((fact) => fact.type === 'retry' || (fact.type === 'endpoint' && fact.health !== 'up'))).toEqual([])

    // The next work goes to the first one again.
    first.intercept = () => false
    expect((await one(step)).endpoints).toEqual([first.host])
  })

  test('an answer that lacks something does not end the other request', async () => {
    const { pool, first, second, clock } = await world(10)
    const { rpc, facts } = pool([endpoint(first), endpoint(second, { priority: 2 })])
    await rpc.head(signal)
    const step = rpc.forStep(STEP)
    for (let i = 0; i < 25; i++) await one(step)
    slowly(first, () => 6_000, clock)
    second.answer = () => ({ error: { code: -32000, message: 'missing trie node' } })
    expect(await step.batch(calls(3), { signal })).toEqual({ values: expected(calls(3)), errors: undefined, endpoints: [first.host] })
    expect([hedges(facts).length, first.requests.length, second.requests.length]).toEqual([1, 26, 1])
  })

  /** The first endpoint has learned to take 50 calls a request, the other one has not been asked yet: it takes ten. */
  async function unlike(change: Partial<EndpointConfig> = {}) {
    const { pool, first, second, clock } = await world(10)
    const limits = [{ endpoint: first.host, batch: 50, maxBatch: undefined, parallel: 10, maxBlockRange: undefined }]
    const { rpc, facts } = pool([endpoint(first), endpoint(second, { priority: 2, ...change })], { limits })
    await rpc.head(signal)
    const step = rpc.forStep(STEP)
    for (let i = 0; i < 25; i++) await one(step)
    return { first, second, clock, facts, step, sizes: () => second.requests.map((request) => request.calls.length).sort((a, b) => b - a) }
  }

  test('is sent in parts to one that takes fewer calls a request, and counts once all of them are answered', async () => {
    const { first, second, facts, step, sizes } = await unlike()
    first.intercept = () => true
    expect(await step.batch(calls(25), { signal })).toEqual({ values: expected(calls(25)), errors: undefined, endpoints: [second.host] })
    expect([sizes(), hedges(facts).map((fact) => fact.type === 'hedge' && fact.calls)]).toEqual([[10, 10, 5], [25]])
    first.intercept = () => false
    expect((await one(step)).endpoints).toEqual([first.host])
  })

  test('waits on where one part lacks something, and counts what the parts have brought where it fails itself', async () => {
    const { first, second, clock, facts, step, sizes } = await unlike()
    slowly(first, () => 8_000, clock)
    second.answer = (call) => (call.params[1] === '0x18' ? { error: { code: -32000, message: 'missing trie node' } } : honest(call))
    expect(await step.batch(calls(25), { signal })).toEqual({ values: expected(calls(25)), errors: undefined, endpoints: [first.host] })
    expect([sizes(), hedges(facts).length]).toEqual([[10, 10, 5], 1])

    // Two parts are whole when the late one breaks, the third comes after it.
    const other = await unlike()
    other.first.intercept = (_, response) => void other.clock.sleep(4_000).then(() => response.socket?.destroy())
    other.second.intercept = (request, response) => {
      if (request.calls.length === 10) return false
      void other.clock.sleep(6_000).then(() => answer(request, response))
      return true
    }
    const { values, errors, endpoints } = await other.step.batch(calls(25), { signal })
    expect([values, errors, endpoints]).toEqual([expected(calls(25)), undefined, [other.second.host]])
    expect([other.sizes(), other.first.requests.length]).toEqual([[10, 10, 5], 26])
  })

  test('is sent to nobody whose limits the parts would break', async () => {
    const { first, second, clock, facts, step } = await unlike({ requestsPerSecond: 5 })
    slowly(first, () => 5_000, clock)
    expect((await step.batch(calls(25), { signal })).endpoints).toEqual([first.host])
    expect([hedges(facts), second.requests]).toEqual([[], []])
    // One part is a request like any other.
    first.intercept = () => true
    expect((await step.batch(calls(10), { signal })).endpoints).toEqual([second.host])
  })

  test('at most one in twenty is, and nothing that one endpoint alone is asked, or that the other one lacks', async () => {
    const { pool, first, second, clock } = await world(10)
    const { rpc, facts } = pool([endpoint(first), endpoint(second, { priority: 2 })])
    await rpc.head(signal)
    const step = rpc.forStep({ ...STEP, batch: 2 })
    for (let i = 0; i < 40; i++) await one(step)
    slowly(first, () => 6_000, clock)

    // Turns ask one endpoint alone.
    for await (const turn of step.turns({ signal, rounds: 1 })) {
      if (turn.endpoint === first.host) expect((await turn.batch(calls(2), { signal })).endpoints).toEqual([first.host])
    }
    // The other one has not got the block.
    second.head = 10n
    await rpc.head(signal)
    expect((await one(step, 50n)).endpoints).toEqual([first.host])
    expect(hedges(facts)).toEqual([])

    second.head = 1_000_000n
    await rpc.head(signal)
    // Five are late at the same time: one may be hedged to begin with, and two of the 42 before.
    const { endpoints } = await step.batch(calls(10), { signal })
    expect([hedges(facts).length, [...endpoints].sort()]).toEqual([3, [first.host, second.host].sort()])
  })
})

describe('a fallback', () => {
  type World = Awaited<ReturnType<typeof world>>
  const troubles: Record<string, { breaks: (of: World) => () => void; block?: bigint; workers?: number; everyMs?: number }> = {
    'is down': {
      breaks: ({ first }) => {
        first.interceptChecks = true
        first.intercept = (_, response) => void response.socket?.destroy()
        return () => (first.intercept = () => false)
      },
    },
    // What it takes a second is found anew.
    'is told to slow down': {
      everyMs: 2_000,
      breaks: ({ first }) => {
        first.intercept = (_, response) => respond(response, 'Too Many Requests', 429, { 'retry-after': '20' })
        return () => (first.intercept = () => false)
      },
    },
    lags: {
      block: 90n,
      breaks: ({ first }) => {
        first.head = 50n
        return () => (first.head = 100n)
      },
    },
    'is slow': {
      workers: 2,
      breaks: ({ first, clock }) => {
        slowly(first, () => 20_000, clock)
        return () => (first.intercept = () => false)
      },
    },
  }

  test.each(Object.entries(troubles))(
    'does the work while the preferred one %s, and no more of it when that is well again',
    async (_, trouble) => {
      const of = await world(50)
      const { clock, pool, first, second } = of
      for (const node of [first, second]) node.head = 100n
      const mend = trouble.block === undefined ? undefined : trouble.breaks(of)
      const { rpc } = pool([endpoint(first, { maxWorkers: trouble.workers }), endpoint(second, { priority: 2 })])
      await rpc.head(signal)
      const step = rpc.forStep({ ...STEP, batch: 1 })
      const share = async (of: number, at: bigint | undefined): Promise<number> => {
        const answers = await Promise.all(Array.from({ length: of }, () => one(step, at)))
        return answers.filter(({ endpoints }) => endpoints[0] === first.host).length
      }
      // One after the other: two at once have room at the preferred one.
      const inTurn = async (at: bigint | undefined) => {
        let firsts = 0
        for (let i = 0; i < 10; i++) {
          firsts += await share(1, at)
          if (trouble.everyMs !== undefined) await clock.sleep(trouble.everyMs)
        }
        return firsts
      }
      // A request that a busy machine holds up may be hedged.
      expect(await inTurn(trouble.block && 40n)).toBeGreaterThan(7)
      const mended = mend ?? trouble.breaks(of)
      // Until the trouble is known.
      void share(2, trouble.block)
      await clock.sleep(trouble.workers === undefined ? 8_000 : 100)
      expect(await inTurn(trouble.block)).toBe(0)
      mended()
      await clock.sleep(30_000)
      await one(step, trouble.block)
      await clock.sleep(2_000)
      expect(await inTurn(trouble.block)).toBeGreaterThan(7)
    },
  )
})

test('of two with one priority the faster one gets the work, the slower one what is too much for it, and now and then a try', async () => {
  const { clock, pool, first, second } = await world(50)
  let slow = 1_000
  slowly(first, () => slow, clock)
  slowly(second, () => 100, clock)
  const { rpc } = pool([endpoint(first, { maxWorkers: 4 }), endpoint(second, { maxWorkers: 4 })])
  await rpc.head(signal)
  const step = rpc.forStep({ ...STEP, batch: 1 })
  await step.batch(calls(8), { signal })
  const requests = () => [first.requests.length, second.requests.length] as const
  const during = async (work: () => Promise<unknown>) => {
    const before = requests()
    await work()
    return requests().map((n, i) => n - before[i]!)
  }
  const light = async () => {
    for (let i = 0; i < 20; i++) await one(step)
  }
  const [few] = await during(light)
  expect(few).toBeLessThan(4)
  const [slower, faster] = await during(() => step.batch(calls(100), { signal }))
  expect(slower).toBeGreaterThan(0)
  expect(faster).toBeGreaterThan(slower!)
  // What was measured long ago says nothing any more.
  slow = 10
  await clock.sleep(60_000)
  const [again] = await during(light)
  expect(again).toBeGreaterThan(10)
})
