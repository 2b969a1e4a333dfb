import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Clock, RpcAnswers, RpcCall, RunFact } from '../sdk/index.js'
import { endpoint, type FakeNode, fastClock, honest, openPool, respond, startNode } from './fixtures/fake-node.js'
import type { ChainRpc, ChainRpcOptions, StepQueueOptions } from './pool.js'

const STEP: StepQueueOptions = { id: 'step', attempts: 5, waitMs: 500, maxWaitMs: 8_000 }
const signal = new AbortController().signal
const calls = (count: number, from = 0): RpcCall[] =>
  Array.from({ length: count }, (_, i) => ({ method: 'eth_getBalance', params: ['0xaa', `0x${(from + i).toString(16)}`] }))
const expected = (asked: readonly RpcCall[]) => asked.map((call) => `${call.method}:${call.params.join(',')}`)

const bomb = gzipSync(Buffer.alloc(50_000_000))

const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})

/** One node, one pool. */
async function world(
  change: Partial<ChainRpcOptions> = {},
  speed = 50,
): Promise<{ node: FakeNode; rpc: ChainRpc; facts: RunFact[]; clock: Clock }> {
  const clock = fastClock(speed)
  const node = await startNode(clock)
  const { rpc, facts } = openPool([endpoint(node)], clock, change)
  open.push(node, rpc)
  return { node, rpc, facts, clock }
}

const ask = (rpc: ChainRpc, count: number, step: Partial<StepQueueOptions> = {}, block?: bigint): Promise<RpcAnswers> =>
  rpc.forStep({ ...STEP, ...step }).batch(calls(count), { signal, ...(block === undefined ? {} : { block }) })

const retries = (facts: readonly RunFact[]) => facts.flatMap((fact) => (fact.type === 'retry' ? [fact.class] : []))
const message = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => new Error('nothing was thrown'),
    (error: unknown) => error as Error,
  )
const error = (code: number, message: string, data?: unknown) => ({ error: { code, message, ...(data === undefined ? {} : { data }) } })

describe('rate limits', () => {
  test.each([
    ['seconds', () => '7'],
    ['a date', (utc: number) => new Date(utc + 8_000).toUTCString()],
  ])('after a 429 with Retry-After in %s nothing is sent until then, and no attempt is lost', async (_, header) => {
    const { node, rpc, facts, clock } = await world()
    let refusedAt = 0
    node.intercept = (request, response, nth) => {
      if (nth > 5) return false
      refusedAt ||= request.at
      return respond(response, { error: 'slow down' }, 429, { 'retry-after': header(clock.now()) })
    }
    const answers = await ask(rpc, 200, { attempts: 1 })
    expect(answers.errors).toBeUndefined()
    expect(answers.values).toEqual(expected(calls(200)))
    const late = node.requests.filter((request, i) => i >= 5 && request.at < refusedAt + 6_900)
    expect(late).toEqual([])
    expect(new Set(retries(facts))).toEqual(new Set(['RATE']))
  })

  test('without a header the waits grow, and other lanes wait as well', async () => {
    const { node, rpc } = await world({ random: () => 1 })
    node.intercept = (_, response, nth) => (nth <= 4 ? respond(response, 'Too Many Requests', 429) : false)
    await Promise.all([ask(rpc, 1, { id: 'a', parallel: 1 }), ask(rpc, 1, { id: 'b', parallel: 1 })])
    const gaps = node.requests.slice(2).map((request, i) => request.at - node.requests[i + 1]!.at)
    // Two go at once; after their refusal 0.5 s, then one probes at a time or both again: never at once.
    expect(gaps.filter((gap) => gap > 400).length).toBeGreaterThanOrEqual(1)
    expect(node.requests.length).toBeLessThan(10)
  })

  test.each([
    ['a 429 inside 200', error(429, 'Your app has exceeded its compute units per second capacity.')],
    ['-32005 with backoff_seconds', error(-32005, 'daily request count exceeded, request rate limited', { rate: { backoff_seconds: 4 } })],
  ])('%s waits and asks the same again', async (_, refusal) => {
    const { node, rpc, facts } = await world()
    let refused = 0
    node.answer = (call) => (refused++ < 10 ? refusal : honest(call))
    const answers = await ask(rpc, 30, { attempts: 1 })
    expect(answers.errors).toBeUndefined()
    expect(answers.values).toEqual(expected(calls(30)))
    expect(new Set(retries(facts))).toEqual(new Set(['RATE']))
    expect(node.requests.flatMap((request) => request.calls.map((call) => call.params[1])).sort()).not.toEqual([])
  })

  test('backoff_seconds is honoured', async () => {
    const { node, rpc } = await world()
    node.intercept = (request, response, nth) =>
      nth === 1
        ? respond(response, {
            jsonrpc: '2.0',
            id: request.calls[0]!.id,
            ...error(-32005, 'request rate exceeded', { rate: { backoff_seconds: 6 } }),
          })
        : false
    await ask(rpc, 1)
    expect(node.requests[1]!.at - node.requests[0]!.at).toBeGreaterThan(5_900)
  })

  test.each([
    ['a Retry-After of a day', 429, 'Too Many Requests', { 'retry-after': '86400' }],
    [
      'a used up month',
      403,
      JSON.stringify({ jsonrpc: '2.0', id: 1, ...error(-32600, 'Monthly capacity limit exceeded. Visit https://dashboard.example') }),
      {},
    ],
    ['402', 402, '', {}],
  ])('%s takes the endpoint out, with one warning', async (_, status, body, headers) => {
    const { node, rpc, facts } = await world()
    node.intercept = (_request, response) => respond(response, body, status, headers)
    const failed = await message(ask(rpc, 100))
    expect(failed).toMatchObject({ code: 'RPC_QUOTA_USED_UP', blame: 'outage' })
    expect(failed.message).toContain(node.host)
    expect(facts.filter((fact) => fact.type === 'warning')).toHaveLength(1)
    expect(node.requests.length).toBeLessThanOrEqual(5)
  })

  test('ten minutes of nothing but 429 end the wait with an outage', async () => {
    const { node, rpc } = await world({}, 2_000)
    node.intercept = (_, response) => respond(response, 'Too Many Requests', 429)
    expect(await message(ask(rpc, 3))).toMatchObject({ code: 'RPC_RATE_LIMITED', blame: 'outage' })
  })
})

describe('answers that are none', () => {
  const page = '<html><head><title>502</title></head><body><h1>502 Bad Gateway</h1></body></html>'

  test.each([500, 502, 503, 504])('%d with a page is asked again, and the page is not shown as such', async (status) => {
    const { node, rpc, facts } = await world()
    node.intercept = (_, response, nth) => (nth === 1 ? respond(response, page, status) : false)
    expect((await ask(rpc, 5)).values).toEqual(expected(calls(5)))
    expect(facts.filter((fact) => fact.type === 'retry')).toMatchObject([
      { class: 'SERVER', message: `HTTP ${status}: 502 502 Bad Gateway` },
    ])
  })

  test('a page with status 200 is no answer', async () => {
    const { node, rpc } = await world()
    node.intercept = (_, response, nth) =>
      nth === 1 ? respond(response, '<html>Sign in to the network</html>', 200, { 'content-type': 'text/html' }) : false
    expect((await ask(rpc, 5)).values).toEqual(expected(calls(5)))
  })

  test('code 1015 of a proxy is a rate limit', async () => {
    const { node, rpc, facts } = await world()
    node.intercept = (_, response, nth) => (nth === 1 ? respond(response, 'error code: 1015', 200) : false)
    await ask(rpc, 5)
    expect(retries(facts)).toEqual(['RATE'])
  })

  const whole = (request: { calls: readonly { id: unknown; method: string; params: readonly unknown[] }[] }) =>
    JSON.stringify(request.calls.map((call) => ({ jsonrpc: '2.0', id: call.id, result: 'a false value' })))

  test.each<[string, FakeNode['intercept']]>([
    [
      'a reset in the body',
      (request, response) => {
        response.writeHead(200, { 'content-length': String(whole(request).length) })
        response.write(whole(request).slice(0, 40))
        setTimeout(() => response.socket?.resetAndDestroy(), 5)
      },
    ],
    ['JSON that ends early', (request, response) => respond(response, whole(request).slice(0, -20))],
    [
      'a Content-Length that is too large',
      (request, response) => {
        response.writeHead(200, { 'content-length': String(whole(request).length + 100) })
        response.write(whole(request))
        setTimeout(() => response.socket?.end(), 5)
      },
    ],
    [
      'a Content-Length that is too small',
      (request, response) => {
        response.socket!.write(`HTTP/1.1 200 OK\r\ncontent-length: ${whole(request).length - 30}\r\n\r\n${whole(request)}`)
      },
    ],
    [
      'gzip that is cut',
      (request, response) => {
        const packed = gzipSync(whole(request))
        response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': packed.length - 12 })
        response.end(packed.subarray(0, -12))
      },
    ],
    ['a dropped connection', (_, response) => void response.socket?.destroy()],
  ])('after %s nothing of the answer is used and all is asked again', async (_, intercept) => {
    const { node, rpc } = await world()
    node.intercept = (request, response, nth) => (nth === 1 ? intercept(request, response, nth) : false)
    const answers = await ask(rpc, 8)
    expect(answers).toEqual({ values: expected(calls(8)), errors: undefined, endpoints: [node.host] })
  })

  test('gzip that is whole is read', async () => {
    const { node, rpc } = await world()
    node.intercept = (request, response) => {
      const packed = gzipSync(JSON.stringify(request.calls.map((call) => ({ jsonrpc: '2.0', id: call.id, ...honest(call) }))))
      response.writeHead(200, { 'content-encoding': 'gzip' })
      response.end(packed)
    }
    expect((await ask(rpc, 8)).values).toEqual(expected(calls(8)))
  })

  test.each<[string, FakeNode['intercept']]>([
    ['silence', () => undefined],
    [
      'headers and then silence',
      (_, response) => {
        response.writeHead(200)
        response.flushHeaders()
      },
    ],
    [
      'a byte a second',
      (_, response) => {
        response.writeHead(200)
        const drip = setInterval(() => response.write(' '), 20)
        response.on('close', () => clearInterval(drip))
      },
    ],
  ])('%s ends at the deadline of the whole request', async (_, intercept) => {
    const { node, rpc, facts } = await world({ timeoutMs: 5_000 })
    node.intercept = (request, response, nth) => (nth === 1 ? intercept(request, response, nth) : false)
    const started = performance.now()
    expect((await ask(rpc, 8)).values).toEqual(expected(calls(8)))
    // 5 s of the clock of the test are 100 ms.
    expect(performance.now() - started).toBeLessThan(1_000)
    expect(facts.filter((fact) => fact.type === 'retry')[0]).toMatchObject({
      class: 'SERVER',
      message: 'no complete answer in 5000 ms',
    })
  })

  test('an answer that comes after its deadline is dropped, and the next try has other ids', async () => {
    const { node, rpc } = await world({ timeoutMs: 2_000 })
    node.intercept = (request, response, nth) => {
      if (nth > 1) return false
      setTimeout(() => {
        if (response.writable) respond(response, whole(request))
      }, 60)
      return true
    }
    expect((await ask(rpc, 4)).values).toEqual(expected(calls(4)))
    const ids = node.requests.flatMap((request) => request.calls.map((call) => call.id))
    expect(new Set(ids).size).toBe(ids.length)
  })

  test.each<[string, FakeNode['intercept']]>([
    [
      'a body without end',
      (_, response) => {
        response.writeHead(200)
        const write = (): void => {
          if (response.destroyed) return
          response.write('x'.repeat(100_000), () => setImmediate(write))
        }
        write()
      },
    ],
    [
      'a gzip bomb',
      (_, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip' })
        response.end(bomb)
      },
    ],
  ])('%s is cut off at the limit, and fewer calls are asked for at once', async (_, intercept) => {
    const { node, rpc, facts } = await world({ maxBytes: 1_000_000 }, 5)
    node.intercept = (request, response, nth) => (request.calls.length > 3 ? intercept(request, response, nth) : false)
    expect((await ask(rpc, 20)).values).toEqual(expected(calls(20)))
    expect(new Set(retries(facts))).toEqual(new Set(['BATCH']))
  })

  test('one answer alone above the limit fails that call', async () => {
    const { node, rpc } = await world({ maxBytes: 10_000 })
    node.answer = (call) => (call.params[1] === '0x3' ? { result: 'x'.repeat(20_000) } : honest(call))
    const { values, errors } = await ask(rpc, 6)
    expect([...errors!].map(([index, failed]) => [index, failed.code])).toEqual([[3, 'RPC_RESPONSE_TOO_LARGE']])
    expect(values.toSpliced(3, 1)).toEqual(expected(calls(6)).toSpliced(3, 1))
  })
})

describe('ids in answers', () => {
  const reply =
    (change: (items: { id: unknown; result?: unknown; error?: unknown }[]) => unknown): FakeNode['intercept'] =>
    (request, response, nth) =>
      nth === 1 ? respond(response, change(request.calls.map((call) => ({ jsonrpc: '2.0', id: call.id, ...honest(call) })))) : false

  test('any order is fine', async () => {
    const { node, rpc } = await world()
    node.intercept = reply((items) => items.reverse())
    expect((await ask(rpc, 10)).values).toEqual(expected(calls(10)))
    expect(node.requests).toHaveLength(1)
  })

  test('only what is missing is asked again', async () => {
    const { node, rpc } = await world()
    node.intercept = reply((items) => items.filter((_, i) => i !== 3 && i !== 7))
    expect((await ask(rpc, 10)).values).toEqual(expected(calls(10)))
    expect(node.requests[1]!.calls.map((call) => call.params[1])).toEqual(['0x3', '0x7'])
  })

  test('what is missing for ever fails after its attempts, alone', async () => {
    const { node, rpc } = await world({}, 200)
    node.intercept = (request, response) =>
      respond(
        response,
        request.calls.filter((call) => call.params[1] !== '0x3').map((call) => ({ id: call.id, ...honest(call) })),
      )
    const { values, errors } = await ask(rpc, 5, { attempts: 3 })
    expect(values.toSpliced(3, 1)).toEqual(expected(calls(5)).toSpliced(3, 1))
    expect([...errors!.keys()]).toEqual([3])
  })

  test('an id twice with two answers spoils the whole reply', async () => {
    const { node, rpc, facts } = await world()
    node.intercept = reply((items) => [...items, { id: items[0]!.id, result: 'another' }])
    expect((await ask(rpc, 10)).values).toEqual(expected(calls(10)))
    expect(node.requests[1]!.calls).toHaveLength(10)
    expect(facts.filter((fact) => fact.type === 'retry')).toMatchObject([
      { class: 'SERVER', calls: 10, message: 'two different answers with one id' },
    ])
  })

  test('strange ids, text for numbers and equal doubles change nothing', async () => {
    const { node, rpc } = await world()
    node.intercept = reply((items) => [
      { id: 424242, result: 'unknown' },
      ...items.map((item) => ({ ...item, id: String(item.id) })),
      items[2],
    ])
    expect((await ask(rpc, 10)).values).toEqual(expected(calls(10)))
    expect(node.requests).toHaveLength(1)
  })

  test('a result that is left out is no answer', async () => {
    const { node, rpc } = await world()
    node.intercept = reply((items) => items.map((item, i) => (i === 2 ? { id: item.id } : item)))
    expect((await ask(rpc, 4)).values).toEqual(expected(calls(4)))
  })

  test('null is an answer where nothing must exist', async () => {
    const { node, rpc } = await world()
    node.answer = () => ({ result: null })
    expect((await ask(rpc, 2)).values).toEqual([null, null])
  })
})

describe('errors of single calls', () => {
  test('one that fails for good fails alone and at once', async () => {
    const { node, rpc } = await world()
    node.answer = (call) => (call.params[1] === '0x4' ? error(3, 'execution reverted: \u001b[31mno\u001b[0m <b>money</b>') : honest(call))
    const { values, errors } = await ask(rpc, 10)
    expect(values.toSpliced(4, 1)).toEqual(expected(calls(10)).toSpliced(4, 1))
    expect([...errors!].map(([index, failed]) => [index, failed.code, failed.message])).toEqual([
      [4, 'RPC_CALL_FAILED', `eth_getBalance("0xaa", "0x4") at ${node.host}: execution reverted: \\u001b[31mno\\u001b[0m money`],
    ])
    expect(node.requests).toHaveLength(1)
  })

  test('one that may pass is asked again alone, and fails after its attempts', async () => {
    const { node, rpc, facts } = await world({}, 200)
    node.answer = (call) => (call.params[1] === '0x4' ? error(-32603, 'Internal error') : honest(call))
    const { errors } = await ask(rpc, 10, { attempts: 3 })
    expect([...errors!].map(([index, failed]) => [index, failed.message])).toEqual([
      [4, `eth_getBalance("0xaa", "0x4") at ${node.host}: Internal error (3 attempts)`],
    ])
    expect(node.requests.map((request) => request.calls.length)).toEqual([10, 1, 1])
    expect(retries(facts)).toEqual(['SERVER', 'SERVER', 'SERVER'])
  })

  test('a method that is missing everywhere says so', async () => {
    const { node, rpc } = await world()
    node.answer = (call) => error(-32601, `the method ${call.method} does not exist/is not available`)
    const { errors } = await ask(rpc, 3)
    expect([...errors!.values()].map((failed) => failed.code)).toEqual(['RPC_METHOD_MISSING', 'RPC_METHOD_MISSING', 'RPC_METHOD_MISSING'])
  })

  test('a number that JSON can not hold exactly is refused, wherever it stands', async () => {
    const { node, rpc } = await world({}, 200)
    node.intercept = (request, response) => {
      const items = request.calls.map(
        (call) =>
          `{"id":${call.id},"result":${call.params[1] === '0x1' ? '{"a":[{"value":9007199254740993}]}' : '{"a":[{"value":9007199254740991}]}'}}`,
      )
      return respond(response, request.calls.length === 1 ? items[0] : `[${items.join(',')}]`)
    }
    const { values, errors } = await ask(rpc, 3, { attempts: 2 })
    expect(values).toEqual([{ a: [{ value: 9007199254740991 }] }, undefined, { a: [{ value: 9007199254740991 }] }])
    expect(errors!.get(1)!.message).toContain('a JSON number above 2^53')
  })

  test('request throws the error of its call', async () => {
    const { node, rpc } = await world()
    node.answer = () => error(3, 'execution reverted')
    expect(await message(rpc.forStep(STEP).request('eth_call', [{ to: '0xaa' }, '0x1'], { signal }))).toMatchObject({
      code: 'RPC_CALL_FAILED',
      message: `eth_call({"to":"0xaa"}, "0x1") at ${node.host}: execution reverted`,
    })
  })

  test('a refused range of logs comes back with what the provider suggests', async () => {
    const { node, rpc } = await world()
    node.answer = () => error(-32602, 'query exceeds max results 20000, retry with the range 16-31')
    const { errors } = await rpc
      .forStep(STEP)
      .batch([{ method: 'eth_getLogs', params: [{ fromBlock: '0x10', toBlock: '0xff' }] }], { signal })
    expect(errors!.get(0)).toMatchObject({ code: 'RPC_RANGE_REFUSED', next: { from: 16n, to: 31n } })
  })
})

describe('limits of a batch', () => {
  test('one error for the whole batch shrinks it to what it states, and that is remembered', async () => {
    const { node, rpc } = await world()
    node.intercept = (request, response) =>
      request.calls.length > 4
        ? respond(response, { jsonrpc: '2.0', id: null, ...error(-32600, 'batch of 10 requests exceeds limit of 4') })
        : false
    expect((await ask(rpc, 200)).values).toEqual(expected(calls(200)))
    expect(node.requests.filter((request) => request.calls.length > 4).length).toBeLessThanOrEqual(5)
    expect(rpc.learned()).toMatchObject([{ endpoint: node.host, batch: 4, maxBatch: 4 }])
  })

  test('without a number it is halved', async () => {
    const { node, rpc } = await world()
    node.intercept = (request, response) =>
      request.calls.length > 3
        ? respond(response, { jsonrpc: '2.0', id: null, ...error(-32005, 'Number of requests exceeds max batch size') })
        : false
    expect((await ask(rpc, 300)).values).toEqual(expected(calls(300)))
    expect(node.requests.filter((request) => request.calls.length > 3).length).toBeLessThanOrEqual(12)
    expect(rpc.learned()[0]!.maxBatch).toBeLessThanOrEqual(4)
  })

  test.each<[string, (response: Parameters<FakeNode['intercept']>[1]) => void]>([
    ['400', (response) => respond(response, 'Bad Request', 400)],
    ['405', (response) => respond(response, 'Method Not Allowed', 405)],
    ['an empty body', (response) => respond(response, '')],
    ['an empty list', (response) => respond(response, [])],
    ['a dropped connection', (response) => void response.socket?.destroy()],
    [
      '-32600 batch requests are not supported',
      (response) => respond(response, { id: null, ...error(-32600, 'batch requests are not supported') }),
    ],
  ])('a node that answers batches with %s is asked call by call', async (_, refuse) => {
    const { node, rpc } = await world({}, 200)
    node.intercept = (request, response) => (request.calls.length > 1 ? refuse(response) : false)
    expect((await ask(rpc, 60)).values).toEqual(expected(calls(60)))
    expect(node.requests.filter((request) => request.calls.length > 1).length).toBeLessThanOrEqual(15)
  })

  test('geth says "response too large" once and leaves the rest out: nothing is lost and nothing fails', async () => {
    const { node, rpc, facts } = await world()
    node.intercept = (request, response) => {
      if (request.calls.length <= 3) return false
      return respond(response, [{ jsonrpc: '2.0', id: request.calls[0]!.id, ...error(-32003, 'response too large') }])
    }
    const answers = await ask(rpc, 100, { attempts: 2 })
    expect(answers.errors).toBeUndefined()
    expect(answers.values).toEqual(expected(calls(100)))
    expect(new Set(retries(facts))).toEqual(new Set(['BATCH']))
  })

  test('a known limit is never exceeded in the next run', async () => {
    const clock = fastClock(50)
    const node = await startNode(clock)
    const { rpc } = openPool([endpoint(node)], clock, { limits: [{ endpoint: node.host, batch: 3, maxBatch: 3, parallel: 2 }] })
    open.push(node, rpc)
    await ask(rpc, 300)
    expect(Math.max(...node.requests.map((request) => request.calls.length))).toBe(3)
  })

  test('batch and parallel of the step are ceilings', async () => {
    const { node, rpc } = await world()
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
    await ask(rpc, 600, { batch: 7, parallel: 3 })
    expect([Math.max(...node.requests.map((request) => request.calls.length)), most]).toEqual([7, 3])
  })

  test('the ceiling of a step is changed while it asks: more goes out at once, and less as answers come', async () => {
    const { node, rpc } = await world()
    const waiting: (() => void)[] = []
    node.intercept = (request, response) => {
      const answers = request.calls.map((call) => ({ id: call.id, ...honest(call) }))
      waiting.push(() => respond(response, answers))
    }
    const answers = ask(rpc, 40, { batch: 5, parallel: 1 })
    await vi.waitFor(() => expect(waiting).toHaveLength(1))
    rpc.bound('step', 3)
    await vi.waitFor(() => expect(waiting).toHaveLength(3))
    rpc.bound('step', 1)
    rpc.bound('other', 9)
    for (let left = 2; left >= 1; left--) {
      const { length } = node.requests
      waiting.shift()?.()
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect([waiting.length, node.requests.length]).toEqual([left, length])
    }
    node.intercept = () => false
    waiting.shift()?.()
    expect((await answers).values).toEqual(expected(calls(40)))
  })
})

describe('state and head', () => {
  test('lacking state is asked for as often as there are attempts and then fails naming the archive need', async () => {
    const { node, rpc } = await world()
    node.answer = () => error(-32000, 'missing trie node 7f1f6a (path ) state 0x7f is not available, not found')
    const { errors } = await ask(rpc, 2)
    expect([...errors!.values()].map((failed) => [failed.code, failed.message])).toEqual(
      ['0x0', '0x1'].map((block, i) => [
        'RPC_STATE_MISSING',
        `eth_getBalance("0xaa", "${block}") at ${node.host}: archive node needed at block ${i}: missing trie node 7f1f6a (path ) state 0x7f is not available, not found (5 attempts)`,
      ]),
    )
    expect(node.requests).toHaveLength(5)
  })

  test('state that comes back on the second try is an answer', async () => {
    const { node, rpc } = await world()
    let times = 0
    node.answer = (call) => (times++ === 0 ? error(-32000, 'missing trie node 7f1f6a') : honest(call))
    expect(await ask(rpc, 1)).toMatchObject({ values: expected(calls(1)), errors: undefined })
  })

  test('older blocks are asked for although others were refused: only what was asked fails', async () => {
    const { node, rpc } = await world()
    node.answer = (call) => (Number(call.params[1]) < 50 ? error(4444, 'pruned history unavailable') : honest(call))
    const step = rpc.forStep({ ...STEP, batch: 10, parallel: 1 })
    await step.batch(calls(10, 40), { signal })
    const before = node.requests.length
    const { errors } = await step.batch(calls(10, 30), { signal })
    expect(errors!.size).toBe(10)
    expect(node.requests).toHaveLength(before + 5)
  })

  test('null for a block that must exist is asked again and fails by its number', async () => {
    const { node, rpc, facts } = await world({}, 200)
    node.answer = (call) => ({ result: call.params[0] === '0x7b' ? null : { number: call.params[0] } })
    const blocks = [122, 123, 124].map((n) => ({ method: 'eth_getBlockByNumber', params: [`0x${n.toString(16)}`, false] }))
    const { values, errors } = await rpc.forStep(STEP).batch(blocks, { signal, block: 124n })
    expect(values).toEqual([{ number: '0x7a' }, undefined, { number: '0x7c' }])
    expect([...errors!].map(([index, failed]) => [index, failed.code, failed.message.split(' (')[0]])).toEqual([
      [1, 'RPC_NULL_RESULT', 'block 123: null'],
    ])
    expect(retries(facts)).toEqual(['LAG', 'LAG', 'LAG', 'LAG', 'LAG'])
  })

  test('a block that is there a little later is an answer', async () => {
    const { node, rpc } = await world()
    let times = 0
    node.head = 5n
    node.answer = (call) => (times++ < 2 ? error(-32000, 'header not found') : honest(call))
    expect(await ask(rpc, 1)).toMatchObject({ errors: undefined })
  })

  test('what lies above the head waits until the head is there', async () => {
    const { node, rpc } = await world()
    node.head = 99n
    const work = ask(rpc, 3, {}, 100n)
    while (node.checks.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    node.head = 100n
    expect((await work).values).toEqual(expected(calls(3)))
    expect(node.checks.filter((request) => request.calls[0]!.method === 'eth_blockNumber').length).toBeGreaterThan(1)
  })

  test('a head that never comes is an outage that names it', async () => {
    const { node, rpc } = await world({}, 1_000)
    node.head = 99n
    const failed = await message(ask(rpc, 3, { attempts: 2, maxWaitMs: 3_000 }, 100n))
    expect(failed).toMatchObject({
      code: 'RPC_BEHIND',
      blame: 'outage',
      message: `chain ethereum: no endpoint has block 100: ${node.host} (head 99)`,
    })
    expect(node.requests).toEqual([])
  })

  test('a block far above every head is not waited for as long as attempts would take', async () => {
    const { node, rpc } = await world({}, 20)
    node.head = 99n
    const began = Date.now()
    const failed = await message(ask(rpc, 1, { attempts: 5, maxWaitMs: 30_000 }, 9_999n))
    expect(failed).toMatchObject({ code: 'RPC_BEHIND', message: `chain ethereum: no endpoint has block 9999: ${node.host} (head 99)` })
    // 2.5 s by the clock of the pool, of 150.
    expect(Date.now() - began).toBeLessThan(3_000)
  })
})

describe('the end', () => {
  test('an aborted signal ends its batch at once and leaves the others', async () => {
    const { node, rpc } = await world()
    const controller = new AbortController()
    const step = rpc.forStep({ ...STEP, parallel: 1, batch: 5 })
    const aborted = message(step.batch(calls(500), { signal: controller.signal }))
    const other = step.batch(calls(20, 9_000), { signal })
    setTimeout(() => controller.abort(new Error('Ctrl-C')), 10)
    expect((await aborted).message).toBe('Ctrl-C')
    expect((await other).values).toEqual(expected(calls(20, 9_000)))
    expect(node.requests.length).toBeLessThan(104)
  })

  test('close rejects what is open', async () => {
    const { node, rpc } = await world()
    node.intercept = () => undefined
    const work = message(ask(rpc, 5))
    await new Promise((resolve) => setTimeout(resolve, 50))
    await rpc.close()
    expect(await work).toMatchObject({ code: 'RPC_CLOSED' })
    expect(await message(rpc.head(signal))).toMatchObject({ code: 'RPC_CLOSED' })
  })

  test('ready holds back while twice of what may be under way is queued', async () => {
    const { node, rpc } = await world()
    let go: (() => void) | undefined
    const gate = new Promise<void>((resolve) => (go = resolve))
    node.intercept = (request, response) => {
      void gate.then(() =>
        respond(
          response,
          request.calls.map((call) => ({ id: call.id, ...honest(call) })),
        ),
      )
    }
    const step = rpc.forStep({ ...STEP, parallel: 2, batch: 10 })
    await step.ready(signal)
    const work = step.batch(calls(61), { signal })
    let ready = false
    const waiting = step.ready(signal).then(() => (ready = true))
    await new Promise((resolve) => setTimeout(resolve, 50))
    // 20 under way, 41 queued: one more than twice 20.
    expect(ready).toBe(false)
    go?.()
    await Promise.all([work, waiting])
    expect(ready).toBe(true)
  })

  test('ready holds back while 20,000 calls of a step are asked for and not over, also when none is queued', async () => {
    const { node, rpc } = await world({}, 1)
    let go: (() => void) | undefined
    const gate = new Promise<void>((resolve) => (go = resolve))
    const all = calls(20_000)
    const last = JSON.stringify(all.at(-1)?.params)
    const lastCame = new Promise<void>((came) => {
      node.intercept = (request, response) => {
        const isLast = request.calls.some(({ params }) => JSON.stringify(params) === last)
        const answer = () =>
          respond(
            response,
            request.calls.map((call) => ({ id: call.id, ...honest(call) })),
          )
        if (!isLast) return answer()
        came()
        void gate.then(answer)
      }
    })
    const step = rpc.forStep(STEP)
    const work = step.batch(all, { signal })
    await lastCame
    let ready = false
    const waiting = step.ready(signal).then(() => (ready = true))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(ready).toBe(false)
    go?.()
    await Promise.all([work, waiting])
    expect(ready).toBe(true)
  })

  test('after an answer of megabytes, calls of another method of the step still go together', async () => {
    const { node, rpc } = await world({}, 1)
    const heavy = { method: 'eth_getLogs', params: [{}] }
    node.intercept = (request, response) => {
      if (request.calls[0]?.method !== heavy.method) return false
      return respond(response, { id: request.calls[0].id, result: 'x'.repeat(3_000_000) })
    }
    const step = rpc.forStep({ ...STEP, parallel: 1 })
    await step.batch([heavy], { signal })
    await step.batch(calls(40), { signal })
    expect(node.requests.slice(-4).map((request) => request.calls.length)).toEqual([10, 10, 10, 10])
  })

  test('nothing asked is answered with nothing', async () => {
    const { rpc } = await world()
    expect(await ask(rpc, 0)).toEqual({ values: [], errors: undefined, endpoints: [] })
  })
})
