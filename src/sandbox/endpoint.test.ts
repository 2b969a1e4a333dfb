import { gunzipSync } from 'node:zlib'
import { Pool } from 'undici'
import { afterEach, describe, expect, test } from 'vitest'
import type { Clock } from '../sdk/index.js'
import { fakeChain } from './chain.js'
import type { FakeEndpoint, ServeOptions } from './endpoint.js'
import type { Fault } from './fault.js'
import { wordings } from './wordings.js'

const chain = fakeChain({ seed: 11, blocks: 200 })
const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

describe('the truth', () => {
  test('every method answers as a node does', async () => {
    const node = await serve()
    const contract = '0x' + 'c0'.repeat(20)
    const owner = '0x' + '0e'.repeat(20)
    chain.contract(contract, (data, block, from) =>
      from === owner ? { revert: 'Not approved' } : `${data}${block.toString(16).padStart(64, '0')}`,
    )
    const [miner] = chain.miners
    const block = JSON.parse(chain.blockJson(7n, false)!) as unknown
    const replies = await node.ask([
      ['eth_chainId', []],
      ['eth_blockNumber', []],
      ['eth_getBlockByNumber', ['0x7', false]],
      ['eth_getBlockByHash', [chain.block(7).hash, false]],
      ['eth_getBlockByNumber', ['0xc9', false]],
      ['eth_getBalance', [miner, '0x7']],
      ['eth_getBalance', [miner, { blockHash: chain.block(7).hash }]],
      ['eth_getBalance', [miner, 'latest']],
      ['eth_getBalance', ['0x' + '9'.repeat(40), '0x7']],
      ['eth_getBalance', [miner, '0xc9']],
      ['eth_getBalance', [miner, 7]],
      ['eth_call', [{ to: contract, data: '0x01' }, '0x7']],
      ['eth_call', [{ to: miner, data: '0x01' }, '0x7']],
      ['eth_call', [{ to: contract, data: '0x01', from: owner }, '0x7']],
      ['eth_getLogs', [{ fromBlock: '0x0', toBlock: 'latest' }]],
      ['eth_getBlockReceipts', ['0x0']],
      ['net_version', []],
      ['eth_mining', []],
    ])
    expect(replies).toEqual([
      '0x1',
      '0xc8',
      block,
      block,
      null,
      hex(chain.balance(miner!, 7)),
      hex(chain.balance(miner!, 7)),
      hex(chain.balance(miner!, 200)),
      '0x0',
      { code: -32000, message: 'header not found' },
      { code: -32602, message: 'invalid argument 0: a block is needed, not 7' },
      '0x01' + '7'.padStart(64, '0'),
      '0x',
      {
        code: 3,
        message: 'execution reverted: Not approved',
        // Error(string): where the text begins, how long it is, the text.
        data: `0x08c379a0${'20'.padStart(64, '0')}${'c'.padStart(64, '0')}${'4e6f7420617070726f766564'.padEnd(64, '0')}`,
      },
      [],
      [],
      '1',
      { code: -32601, message: 'the method eth_mining does not exist/is not available' },
    ])
  })

  test('eth_getLogs filters by address, topics and range as a node does', async () => {
    const [a, b] = ['0x' + 'aa'.repeat(20), '0x' + 'bb'.repeat(20)]
    const [t1, t2] = ['0x' + '11'.repeat(32), '0x' + '22'.repeat(32)]
    const logs = [
      { address: a, topics: [t1], data: '0x' },
      { address: a, topics: [t1, t2], data: '0x' },
      { address: b, topics: [t2, t2], data: '0x' },
    ]
    const node = await serve({}, fakeChain({ blocks: 5, logs: () => logs }))
    const found = async (filter: object): Promise<string[]> => {
      const [list] = (await node.ask([['eth_getLogs', [filter]]])) as [{ blockNumber: string; logIndex: string }[]]
      return list.map((log) => `${Number(log.blockNumber)}:${Number(log.logIndex)}`)
    }
    expect(await found({ fromBlock: '0x2', toBlock: '0x3' })).toEqual(['2:0', '2:1', '2:2', '3:0', '3:1', '3:2'])
    expect(await found({ fromBlock: '0x5', toBlock: '0x5', address: a.toUpperCase().replace('0X', '0x') })).toEqual(['5:0', '5:1'])
    expect(await found({ fromBlock: '0x5', toBlock: '0x9', address: [a, b], topics: [null, t2] })).toEqual(['5:1', '5:2'])
    expect(await found({ fromBlock: '0x5', toBlock: '0x5', topics: [[t1, t2], [t1]] })).toEqual([])
  })

  test('endpoints of one chain have heads of their own', async () => {
    const grown = fakeChain({ blocks: 20 })
    const [one, two] = [await serve({}, grown), await serve({ lag: 3 }, grown)]
    grown.add(5)
    const heads = async (): Promise<unknown[]> => [
      ...(await one.ask([['eth_blockNumber', []]])),
      ...(await two.ask([['eth_blockNumber', []]])),
    ]
    expect(await heads()).toEqual(['0x19', '0x16'])
    two.node.lag(10)
    expect(await heads()).toEqual(['0x19', '0xf'])
    expect(await two.ask([['eth_getBlockByNumber', ['0x10', false]]])).toEqual([null])
  })

  test('each client says in its own words that state is gone', async () => {
    const said = async (client: NonNullable<ServeOptions['client']>): Promise<unknown> => {
      const node = await serve({ client, archiveFrom: 100 })
      const [gone, kept] = await node.ask([
        ['eth_getBalance', [chain.miners[0], '0x63']],
        ['eth_getBalance', [chain.miners[0], '0x64']],
      ])
      expect(kept).toBe(hex(chain.balance(chain.miners[0]!, 100)))
      return gone
    }
    const { stateRoot } = JSON.parse(chain.blockJson(99n, false)!) as { stateRoot: string }
    expect(await said('geth')).toEqual({
      code: -32000,
      message: `missing trie node ${stateRoot.slice(2)} (path ) state ${stateRoot} is not available, not found`,
    })
    expect(await said('besu')).toEqual({ code: -32000, message: 'World state unavailable' })
    expect(await said('nethermind')).toEqual({ code: -32002, message: 'No state available for block 99' })
  })

  test('the log says what was asked and what was answered', async () => {
    const node = await serve()
    await node.ask([
      ['eth_chainId', []],
      ['eth_mining', []],
    ])
    node.node.fault({ kind: 'rate-limit', retryAfter: 2 })
    await node.raw([['eth_chainId', []]])
    expect(
      node.node.log.map(({ calls, batch, answer }) => ({
        methods: calls.map((call) => call.method),
        batch,
        status: answer?.status,
        errors: answer?.errors,
        faults: answer?.faults,
      })),
    ).toEqual([
      { methods: ['eth_chainId', 'eth_mining'], batch: true, status: 200, errors: 1, faults: [] },
      { methods: ['eth_chainId'], batch: true, status: 429, errors: 1, faults: ['rate-limit'] },
    ])
    expect(node.node.totals).toMatchObject({ requests: 2, calls: 3, methods: { eth_chainId: 2, eth_mining: 1 }, peakInFlight: 1 })
    expect(node.node.count('eth_chainId')).toBe(2)
    node.node.clear()
    expect([node.node.log, node.node.faults, node.node.count()]).toEqual([[], [], 0])
  })
})

describe('faults strike where they were told to and nowhere else', () => {
  test('by method, by call, after the first, every nth, so many times', async () => {
    const error = wordings.internal
    const struck = async (fault: Fault, calls: readonly Call[]): Promise<number[]> => {
      const node = await serve({ faults: [fault] })
      const replies = await node.ask(calls)
      return replies.flatMap((reply, i) => (isError(reply) ? [i] : []))
    }
    const calls = Array.from({ length: 10 }, (_, i): Call =>
      i % 2 ? ['eth_getBlockByNumber', [hex(i), false]] : ['eth_getBalance', [chain.miners[0], hex(i)]],
    )
    expect(await struck({ kind: 'error', error, methods: ['eth_getBalance'] }, calls)).toEqual([0, 2, 4, 6, 8])
    expect(await struck({ kind: 'error', error, if: (call) => call.params[1] === '0x4' }, calls)).toEqual([4])
    expect(await struck({ kind: 'error', error, after: 7 }, calls)).toEqual([7, 8, 9])
    expect(await struck({ kind: 'error', error, every: 3 }, calls)).toEqual([2, 5, 8])
    expect(await struck({ kind: 'error', error, after: 1, every: 2, times: 2 }, calls)).toEqual([2, 4])
    expect(await struck({ kind: 'error', error, minBatch: 11 }, calls)).toEqual([])
    const chance = await struck({ kind: 'error', error, chance: 0.5 }, calls)
    expect(chance).toEqual(await struck({ kind: 'error', error, chance: 0.5 }, calls))
    expect(chance.length).toBeGreaterThan(1)
    expect(chance.length).toBeLessThan(9)
  })

  test('a removed fault strikes no more, and knows how often it did', async () => {
    const node = await serve()
    const fault = node.node.fault({ kind: 'http', status: 503, body: '<html><h1>Service Unavailable</h1></html>' })
    const broken = await node.raw([['eth_chainId', []]])
    expect([broken.status, broken.headers['content-type'], broken.text]).toEqual([
      503,
      'text/html; charset=utf-8',
      '<html><h1>Service Unavailable</h1></html>',
    ])
    fault.remove()
    expect(await node.ask([['eth_chainId', []]])).toEqual(['0x1'])
    expect(fault.hits).toBe(1)
  })

  test('a fault that does not exist is refused', async () => {
    await expect(chain.serve({ faults: [JSON.parse('{"kind":"rate-limits"}') as Fault] })).rejects.toThrow(
      'no fault is called rate-limits; there are error, ',
    )
  })

  test('ids go missing, turn to text, null or unknown; answers are left out, doubled and mixed up', async () => {
    const ids = async (fault: Fault): Promise<unknown[]> => {
      const node = await serve({ faults: [fault] })
      const { text } = await node.raw([
        ['eth_chainId', []],
        ['eth_blockNumber', []],
        ['net_version', []],
      ])
      return (JSON.parse(text) as { id?: unknown; result: unknown }[]).map(({ id, result }) => (id === undefined ? [result] : [id, result]))
    }
    const second = { methods: ['eth_blockNumber'] }
    expect(await ids({ kind: 'id', id: 'missing', ...second })).toEqual([[1, '0x1'], ['0xc8'], [3, '1']])
    expect(await ids({ kind: 'id', id: 'string', ...second })).toEqual([
      [1, '0x1'],
      ['2', '0xc8'],
      [3, '1'],
    ])
    expect(await ids({ kind: 'id', id: 'null', ...second })).toEqual([
      [1, '0x1'],
      [null, '0xc8'],
      [3, '1'],
    ])
    expect(await ids({ kind: 'id', id: 'unknown', ...second })).toEqual([
      [1, '0x1'],
      [987654321, '0xc8'],
      [3, '1'],
    ])
    expect(await ids({ kind: 'omit', ...second })).toEqual([
      [1, '0x1'],
      [3, '1'],
    ])
    expect(await ids({ kind: 'duplicate', ...second })).toEqual([
      [1, '0x1'],
      [2, '0xc8'],
      [2, '0xc8'],
      [3, '1'],
    ])
    expect(await ids({ kind: 'duplicate', result: '0x0', ...second })).toEqual([
      [1, '0x1'],
      [2, '0xc8'],
      [2, '0x0'],
      [3, '1'],
    ])
    expect(await ids({ kind: 'result', result: null, ...second })).toEqual([
      [1, '0x1'],
      [2, null],
      [3, '1'],
    ])
    const mixed = await ids({ kind: 'reorder' })
    expect(mixed).not.toEqual(await ids({ kind: 'latency', ms: 0 }))
    expect(mixed).toHaveLength(3)
  })

  test('a raw result reaches the client digit for digit', async () => {
    const node = await serve({ faults: [{ kind: 'raw', text: '9007199254740993' }] })
    expect((await node.raw([['eth_blockNumber', []]])).text).toBe('[{"jsonrpc":"2.0","id":1,"result":9007199254740993}]')
  })

  test('batches over the limit are refused in the style of the client', async () => {
    const reply = async (style: 'geth' | 'besu' | 'nethermind' | 'http-400' | 'empty'): Promise<unknown> => {
      const node = await serve({ faults: [{ kind: 'max-batch', max: 2, style }] })
      expect(await node.ask(Array<Call>(2).fill(['eth_chainId', []]))).toEqual(['0x1', '0x1'])
      const { status, text } = await node.raw(Array<Call>(3).fill(['eth_chainId', []]))
      return [status, text.startsWith('[') || text.startsWith('{') ? JSON.parse(text) : text]
    }
    expect(await reply('geth')).toEqual([200, [{ jsonrpc: '2.0', id: 1, error: { code: -32600, message: 'batch too large' } }]])
    expect(await reply('besu')).toEqual([
      200,
      { jsonrpc: '2.0', id: null, error: { code: -32005, message: 'Number of requests exceeds max batch size' } },
    ])
    expect(await reply('nethermind')).toEqual([
      200,
      { jsonrpc: '2.0', id: null, error: { code: -32005, message: 'Batch size limit exceeded' } },
    ])
    expect(await reply('http-400')).toEqual([400, 'batch requests are not supported\n'])
    expect(await reply('empty')).toEqual([200, ''])
  })

  test('replies over the limit lose what does not fit', async () => {
    const error = { code: -32003, message: 'response too large' }
    const calls = Array.from({ length: 3 }, (_, i): Call => ['eth_getBlockByNumber', [hex(i + 1), false]])
    const reply = async (style: 'first' | 'rest' | 'whole', bytes: number): Promise<unknown[]> => {
      const node = await serve({ faults: [{ kind: 'max-response', bytes, style }] })
      const body = JSON.parse((await node.raw(calls)).text) as object
      return (Array.isArray(body) ? body : [body]).map((item: { id: unknown; error?: unknown }) => [item.id, item.error])
    }
    const all = [
      [1, undefined],
      [2, undefined],
      [3, undefined],
    ]
    expect(await reply('first', 100_000)).toEqual(all)
    expect(await reply('first', 4000)).toEqual([[1, error]])
    expect(await reply('rest', 4000)).toEqual([
      [1, undefined],
      [2, undefined],
      [3, error],
    ])
    expect(await reply('whole', 4000)).toEqual([[null, error]])
  })

  test('a rate is a bucket that fills with time', async () => {
    const clock = handClock()
    const node = await serve({
      clock,
      faults: [{ kind: 'rate', perSecond: 2, burst: 3, retryAfter: true, error: wordings.infuraPerSecond }],
    })
    const burst = async (count: number): Promise<unknown[]> => {
      const replies = []
      for (let i = 0; i < count; i++) replies.push((await node.raw([['eth_chainId', []]])).status)
      return replies
    }
    expect(await burst(5)).toEqual([200, 200, 200, 429, 429])
    expect((await node.raw([['eth_chainId', []]])).headers['retry-after']).toBe('1')
    clock.pass(1000)
    expect(await burst(3)).toEqual([200, 200, 429])
  })

  test('a rate of calls refuses the calls that are too many, or the whole batch', async () => {
    const calls = Array<Call>(5).fill(['eth_chainId', []])
    const each = await serve({ clock: handClock(), faults: [{ kind: 'rate', perSecond: 3, count: 'calls', as: 'calls' }] })
    expect((await each.ask(calls)).map(isError)).toEqual([false, false, false, true, true])
    const whole = await serve({ clock: handClock(), faults: [{ kind: 'rate', perSecond: 7, count: 'calls' }] })
    expect((await whole.raw(calls)).status).toBe(200)
    expect((await whole.raw(calls)).status).toBe(429)
  })
})

describe('damage on the wire', () => {
  const calls = Array.from({ length: 20 }, (_, i): Call => ['eth_getBlockByNumber', [hex(i), false]])

  test('resets, drops and refused bodies break the request', async () => {
    for (const fault of [
      { kind: 'reset', at: 0.5 },
      { kind: 'reset', at: 0 },
      { kind: 'drop' },
      { kind: 'refuse-body' },
      { kind: 'content-length', delta: 100 },
    ] satisfies Fault[]) {
      const node = await serve({ faults: [{ ...fault, times: 1 }] })
      await expect(node.raw(calls), fault.kind).rejects.toThrow(/terminated|other side closed|ECONNRESET|EPIPE|aborted/)
      expect((await node.raw(calls)).status, fault.kind).toBe(200)
    }
  })

  test('a large body is refused while it is being sent', async () => {
    const node = await serve({ faults: [{ kind: 'refuse-body', times: 1 }] })
    await expect(node.raw([['eth_chainId', ['x'.repeat(30_000_000)]]])).rejects.toThrow(/EPIPE|ECONNRESET|other side closed/)
  })

  test('truncated and cut replies are whole by their headers', async () => {
    const truncated = await serve({ faults: [{ kind: 'truncate', at: 0.5 }] })
    const half = await truncated.raw(calls)
    expect(Number(half.headers['content-length'])).toBe(half.bytes.length)
    expect(() => JSON.parse(half.text) as unknown).toThrow(SyntaxError)
    const cut = await (await serve({ faults: [{ kind: 'gzip', cut: 0.5 }] })).raw(calls)
    expect(cut.headers['content-encoding']).toBe('gzip')
    expect(() => gunzipSync(cut.bytes)).toThrow('unexpected end of file')
    const short = await (await serve({ faults: [{ kind: 'content-length', delta: -100 }] })).raw(calls)
    expect(() => JSON.parse(short.text) as unknown).toThrow(SyntaxError)
  })

  test('a bomb and a huge body hold the truth at their end', async () => {
    const honest = (await (await serve()).raw(calls)).text
    const bomb = await (await serve({ faults: [{ kind: 'gzip-bomb', bytes: 50_000_000 }] })).raw(calls)
    expect(bomb.bytes.length).toBeLessThan(200_000)
    expect(gunzipSync(bomb.bytes).toString().trimStart()).toBe(honest)
    const huge = await (await serve({ faults: [{ kind: 'huge', bytes: 5_000_000 }] })).raw(calls)
    expect(huge.bytes.length).toBeGreaterThan(5_000_000)
    expect(huge.text.trimStart()).toBe(honest)
    expect(gunzipSync((await (await serve({ faults: [{ kind: 'gzip' }] })).raw(calls)).bytes).toString()).toBe(honest)
  })

  test('many answers that wait at once are no leak that Node would warn of', async () => {
    const warnings: string[] = []
    const listen = ({ name }: Error) => void warnings.push(name)
    process.on('warning', listen)
    const { ask } = await serve({ faults: [{ kind: 'latency', ms: 30 }] })
    await Promise.all(Array.from({ length: 20 }, () => ask([['eth_chainId', []]])))
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect(warnings).toEqual([])
  })

  test('latency delays, slow replies trickle, a hanging request gets nothing', async () => {
    const slow = await serve({ faults: [{ kind: 'slow', bytes: 10, everyMs: 20 }] })
    const started = performance.now()
    expect((await slow.raw([['eth_chainId', []]])).text).toBe('[{"jsonrpc":"2.0","id":1,"result":"0x1"}]')
    expect(performance.now() - started).toBeGreaterThan(60)
    const late = await serve({
      faults: [
        { kind: 'latency', ms: 40 },
        { kind: 'latency', ms: 20, jitterMs: 10 },
      ],
    })
    const asked = performance.now()
    expect(await late.ask([['eth_chainId', []]])).toEqual(['0x1'])
    expect(performance.now() - asked).toBeGreaterThan(55)
    for (const headers of [false, true]) {
      const hanging = await serve({ faults: [{ kind: 'hang', headers }] })
      await expect(hanging.raw([['eth_chainId', []]], AbortSignal.timeout(150)), `headers: ${headers}`).rejects.toThrow(/timeout/)
      expect(hanging.node.log[0]?.answer?.faults).toEqual(['hang'])
    }
  })
})

type Call = readonly [method: string, params: readonly unknown[]]

interface Client {
  readonly node: FakeEndpoint
  /** Results and errors in the order of the calls. */
  ask(calls: readonly Call[]): Promise<unknown[]>
  raw(
    calls: readonly Call[],
    signal?: AbortSignal,
  ): Promise<{ status: number; headers: Record<string, unknown>; bytes: Buffer; text: string }>
}

async function serve(
  options: ServeOptions = {},
  source: { serve(options?: ServeOptions): Promise<FakeEndpoint> } = chain,
): Promise<Client> {
  const node = await source.serve(options)
  const pool = new Pool(node.url)
  cleanups.push(async () => {
    await pool.destroy()
    await node.close()
  })
  const raw: Client['raw'] = async (calls, signal) => {
    const body = JSON.stringify(calls.map(([method, params], i) => ({ jsonrpc: '2.0', id: i + 1, method, params })))
    const response = await pool.request({
      path: '/',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal,
    })
    const bytes = Buffer.from(await response.body.arrayBuffer())
    return { status: response.statusCode, headers: response.headers, bytes, text: bytes.toString() }
  }
  return {
    node,
    raw,
    ask: async (calls) =>
      (JSON.parse((await raw(calls)).text) as { result?: unknown; error?: unknown }[]).map((reply) => reply.error ?? reply.result),
  }
}

function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`
}

function isError(reply: unknown): boolean {
  return typeof reply === 'object' && reply !== null && 'code' in reply
}

function handClock(): Clock & { pass(ms: number): void } {
  let now = 0
  return { now: () => now, monotonic: () => now, sleep: async () => undefined, pass: (ms) => (now += ms) }
}
