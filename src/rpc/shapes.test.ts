import { afterEach, describe, expect, test } from 'vitest'
import type { RpcAnswers, RpcCall, RunFact } from '../sdk/index.js'
import { endpoint, type FakeNode, fastClock, openPool, respond, type SeenCall, startNode } from './fixtures/fake-node.js'
import { Flight, type Flying } from '../net/flight.js'
import type { ChainRpc, ChainRpcOptions } from './pool.js'

const STEP = { id: 'step', attempts: 5, waitMs: 500, maxWaitMs: 8_000 }
const signal = new AbortController().signal
const calls = (count: number): RpcCall[] =>
  Array.from({ length: count }, (_, i) => ({ method: 'eth_getBalance', params: ['0xaa', `0x${i.toString(16)}`] }))
const expected = (count: number) => calls(count).map((call) => `${call.method}:${call.params.join(',')}`)

const lists = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
const objects = (levels: number) => '{"a":'.repeat(levels) + '1' + '}'.repeat(levels)

const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})

async function world(change: Partial<ChainRpcOptions> = {}): Promise<{ node: FakeNode; rpc: ChainRpc; facts: RunFact[] }> {
  const clock = fastClock(50)
  const node = await startNode(clock)
  const { rpc, facts } = openPool([endpoint(node)], clock, change)
  open.push(node, rpc)
  return { node, rpc, facts }
}

const ask = (rpc: ChainRpc, count: number): Promise<RpcAnswers> => rpc.forStep(STEP).batch(calls(count), { signal })
const texts = (facts: readonly RunFact[]) => [...new Set(facts.flatMap((fact) => (fact.type === 'retry' ? [fact.message] : [])))]

/** What an honest node says of a call, as text. */
const honestText = ({ id, method, params }: SeenCall) => JSON.stringify({ jsonrpc: '2.0', id, result: `${method}:${params.join(',')}` })

const deepResult = 'the answer is nested too deep (more than 2500 levels)'
const deepError = 'the error is nested too deep (more than 2500 levels)'

describe('a reply of any shape is told by name and asked again', () => {
  test.each<[string, string[], (call: SeenCall, items: string[]) => string]>([
    ['lists 8,000 deep', [deepResult], ({ id }) => `{"id":${String(id)},"result":${lists(8_000)}}`],
    ['objects 100,000 deep', [deepResult], ({ id }) => `{"id":${String(id)},"result":${objects(100_000)}}`],
    ['a field that nobody reads', [deepResult], ({ id }) => `{"id":${String(id)},"result":{"number":"0x1","extra":${lists(8_000)}}}`],
    ['an error', [deepError], ({ id }) => `{"id":${String(id)},"error":${lists(8_000)}}`],
    ['the data of an error', [deepError], ({ id }) => `{"id":${String(id)},"error":{"code":1,"message":"x","data":${objects(8_000)}}}`],
    [
      'one id twice',
      ['two different answers with one id'],
      ({ id }) => [1, 2].map((n) => `{"id":${String(id)},"result":[${n},${lists(8_000)}]}`).join(),
    ],
    [
      'one id twice, the same',
      ['two different answers with one id'],
      ({ id }) => [1, 2].map(() => `{"id":${String(id)},"result":${lists(8_000)}}`).join(),
    ],
    ['megabytes of brackets', [deepResult], ({ id }) => `{"id":${String(id)},"result":${lists(1_000_000)}}`],
  ])('%s', async (_, told, evil) => {
    const { node, rpc, facts } = await world()
    let bad = 1
    node.intercept = ({ calls: asked }, response) => {
      const items = asked.map(honestText)
      const first = asked[0]
      if (first && bad-- > 0) items[0] = evil(first, items)
      return respond(response, `[${items.join()}]`)
    }
    const answers = await ask(rpc, 30)
    expect({ values: answers.values, errors: answers.errors }).toEqual({ values: expected(30), errors: undefined })
    expect(texts(facts)).toEqual(told)
  })

  test('an answer that stays too deep fails its call alone, by name', async () => {
    const { node, rpc } = await world()
    node.intercept = ({ calls: asked }, response) => {
      const items = asked.map((call) =>
        call.params[1] === '0x3' ? `{"id":${String(call.id)},"result":${lists(8_000)}}` : honestText(call),
      )
      return respond(response, asked.length === 1 ? (items[0] ?? '') : `[${items.join()}]`)
    }
    const { values, errors } = await ask(rpc, 10)
    expect(values.filter((_, i) => i !== 3)).toEqual(expected(10).filter((_, i) => i !== 3))
    expect([...(errors ?? [])].map(([i, { message }]) => [i, message.replace(node.host, 'HOST')])).toEqual([
      [3, `eth_getBalance("0xaa", "0x3") at HOST: ${deepResult} (5 attempts)`],
    ])
  })

  test('a call trace as deep as the EVM allows is an answer', async () => {
    const { node, rpc } = await world()
    const trace = '{"calls":['.repeat(1_024) + ']}'.repeat(1_024)
    node.intercept = ({ calls: asked }, response) => respond(response, `{"id":${String(asked[0]?.id)},"result":[{"result":${trace}}]}`)
    const { values } = await ask(rpc, 1)
    expect(JSON.stringify(values)).toBe(`[[{"result":${trace}}]]`)
  })

  test.each<[string, (items: readonly string[]) => string]>([
    ['a hundred thousand items that nobody asked for', (items) => `[${items.join()}${',{}'.repeat(100_000)}]`],
    ['thirty thousand keys', (items) => `[${items.join()},{${Array.from({ length: 30_000 }, (_, i) => `"${i}":0`).join()}}]`],
    [
      'answers twice in another order of keys',
      (items) => `[${items.join()},${items.map((item) => item.replace(/^\{("jsonrpc":"2.0"),(.*)\}$/, '{$2,$1}')).join()}]`,
    ],
    [
      'keys named __proto__ and constructor',
      (items) => `[${items.map((item) => item.replace('{', '{"__proto__":{"error":1},"constructor":[],')).join()}]`,
    ],
  ])('%s does no harm', async (_, body) => {
    const { node, rpc } = await world()
    node.intercept = ({ calls: asked }, response) => respond(response, body(asked.map(honestText)))
    const answers = await ask(rpc, 30)
    expect({ values: answers.values, errors: answers.errors }).toEqual({ values: expected(30), errors: undefined })
  })

  test.each([
    ['nothing', ''],
    ['a million blanks', ' '.repeat(1_000_000)],
    ['half a pair of characters', '{"error":{"code":-32000,"message":"\\ud800"}}'],
    ['an error named __proto__', '{"__proto__":{"error":1},"error":{"__proto__":{"message":"x"}}}'],
    ['a long error', `{"error":{"code":-32000,"message":"${'retry after <b> '.repeat(200_000)}"}}`],
  ])('%s instead of an answer is tried again', async (_, body) => {
    const { node, rpc } = await world()
    let bad = 2
    node.intercept = (_request, response) => (bad-- > 0 ? respond(response, body) : false)
    expect((await ask(rpc, 30)).values).toEqual(expected(30))
  })
})

test('what is thrown while an answer is read ends all that waits, by its name', async () => {
  const { rpc } = await world({
    emit: (fact) => {
      if (fact.type === 'request' && fact.figures.calls > 1) throw new Error('a reporter broke')
    },
  })
  await expect(ask(rpc, 30)).rejects.toThrow('a reporter broke')
  await expect(ask(rpc, 30)).rejects.toThrow('a reporter broke')
})

/** Notes the most bytes that were in flight. */
class Watched extends Flight {
  peak = 0
  #now = 0
  readonly #bytes = new Map<Flying, number>()
  override took(body: Flying, bytes: number): void {
    this.#now += bytes
    this.#bytes.set(body, (this.#bytes.get(body) ?? 0) + bytes)
    super.took(body, bytes)
    this.peak = Math.max(this.peak, this.#now)
  }
  override ended(body: Flying): void {
    this.#now -= this.#bytes.get(body) ?? 0
    this.#bytes.delete(body)
    super.ended(body)
  }
}

test('large answers of several endpoints share the bytes of a run, and all come', async () => {
  const clock = fastClock(50)
  const nodes = await Promise.all([startNode(clock), startNode(clock), startNode(clock)])
  const long = 'x'.repeat(400_000)
  for (const node of nodes) node.answer = ({ params }) => ({ result: `${String(params[1])}${long}` })
  const flight = new Watched(2_000_000)
  const { rpc, facts } = openPool(
    nodes.map((node) => endpoint(node)),
    clock,
    { flight, timeoutMs: 1_000_000 },
  )
  open.push(...nodes, rpc)
  const { values, errors } = await ask(rpc, 60)
  expect(errors).toBeUndefined()
  expect(values).toEqual(calls(60).map(({ params }) => `${String(params[1])}${long}`))
  // Pieces of bodies that are held may still come, of at most 64 kB each.
  expect(flight.peak).toBeGreaterThan(1_000_000)
  expect(flight.peak).toBeLessThan(2_000_000 + 20 * 65_536)
  expect(flight.full).toBe(false)
  expect(facts.some((fact) => fact.type === 'retry' && fact.class === 'BATCH')).toBe(true)
})
