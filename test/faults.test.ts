import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fakeChain, type Fault, type FakeEndpoint, type ServeOptions } from '../src/sandbox/index.js'
import { expectedBalances, minersFile, pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'

/** miners.yaml with waits that a test can sit through. */
const yaml = `${readFileSync(minersFile, 'utf8')}\ndefaults: { retry: { attempts: 4, wait: 5ms, max_wait: 40ms } }\n`
const chain = fakeChain({ seed: 21, blocks: 160 })
const LAST = 150

async function world(endpoints: readonly { readonly serve?: ServeOptions; readonly faults?: readonly Fault[]; readonly path?: string }[]) {
  const cwd = temporaryFolder()
  const file = join(cwd, 'miners.yaml')
  writeFileSync(file, yaml)
  const nodes: FakeEndpoint[] = []
  for (const { serve, faults = [] } of endpoints) {
    const node = await chain.serve(serve)
    for (const fault of faults) node.fault(fault)
    nodes.push(node)
  }
  const urls = nodes.map(({ url }, i) => url + (endpoints[i]?.path ?? ''))
  const env = { ETH_RPC_URL: urls.join(',') }
  return {
    cwd,
    nodes,
    run: async () => {
      const answer = await pipe(['run', file, '--param', 'from=0'], { cwd, env })
      return { ...answer, text: answer.out + answer.err }
    },
    tables: () => readDuckdb(join(cwd, 'data/miners.duckdb')),
    close: () => Promise.all(nodes.map((node) => node.close())),
  }
}

const only = { methods: ['eth_getBlockByNumber', 'eth_getBalance'] }

/** Faults that pass: in the end everything is there, exactly once and as the chain has it. */
const passing: Record<string, readonly Fault[]> = {
  'HTTP 429 with Retry-After in seconds': [{ kind: 'rate-limit', retryAfter: 1, times: 2, ...only }],
  'HTTP 429 without a header': [{ kind: 'http', status: 429, times: 3, ...only }],
  'a rate limit as a JSON error under status 200': [
    {
      kind: 'batch-error',
      error: { code: 429, message: 'Your app has exceeded its compute units per second capacity.' },
      times: 3,
      ...only,
    },
  ],
  'a rate limit that really counts requests': [{ kind: 'rate', perSecond: 60, burst: 5, as: 'http', retryAfter: true, ...only }],
  'rate limit errors for some calls of a batch': [
    { kind: 'error', error: { code: -32005, message: 'project ID request rate exceeded' }, every: 7, times: 10, ...only },
  ],
  '500, 502, 503 and 504 with HTML bodies': [500, 502, 503, 504].map((status): Fault => ({
    kind: 'http',
    status,
    headers: { 'content-type': 'text/html' },
    body: '<html><h1>Bad gateway</h1></html>',
    times: 1,
    ...only,
  })),
  'HTML under status 200': [
    {
      kind: 'http',
      status: 200,
      headers: { 'content-type': 'text/html' },
      body: '<html>Just a moment… code: 1015</html>',
      times: 2,
      ...only,
    },
  ],
  'a reply cut off in the middle of its body by a reset': [{ kind: 'reset', at: 0.5, times: 2, ...only }],
  'broken JSON in a reply that is complete by its headers': [{ kind: 'truncate', at: 0.7, times: 2, ...only }],
  'a wrong Content-Length': [{ kind: 'content-length', delta: 40, times: 2, ...only }],
  'a gzip body cut off': [{ kind: 'gzip', cut: 0.5, times: 2, ...only }],
  'gzip bodies': [{ kind: 'gzip', ...only }],
  'replies in any order': [{ kind: 'reorder', ...only }],
  'calls without an answer': [{ kind: 'omit', every: 9, times: 12, ...only }],
  'the same answer twice': [{ kind: 'duplicate', every: 5, ...only }],
  'two different answers under one id': [{ kind: 'duplicate', result: null, every: 40, times: 3, ...only }],
  'ids as text': [{ kind: 'id', id: 'string', ...only }],
  'answers under an unknown id': [{ kind: 'id', id: 'unknown', every: 11, times: 6, ...only }],
  'answers with id null': [{ kind: 'id', id: 'null', every: 13, times: 5, ...only }],
  'an error for some calls that passes': [
    { kind: 'error', error: { code: -32603, message: 'internal error' }, every: 10, times: 8, ...only },
  ],
  'one error object for a whole batch': [{ kind: 'batch-error', error: { code: -32603, message: 'internal error' }, times: 2, ...only }],
  'at most 3 calls a batch, as geth says it': [{ kind: 'max-batch', max: 3, style: 'geth' }],
  'at most 3 calls a batch, as besu says it': [{ kind: 'max-batch', max: 3, style: 'besu' }],
  'at most 3 calls a batch, as Nethermind says it': [{ kind: 'max-batch', max: 3, style: 'nethermind' }],
  'no batches at all: HTTP 400': [{ kind: 'max-batch', max: 1, style: 'http-400' }],
  'no batches at all: an empty body': [{ kind: 'max-batch', max: 1, style: 'empty' }],
  'no batches at all: the connection is dropped': [{ kind: 'max-batch', max: 1, style: 'drop' }],
  'an answer that is too large, with the error on the first call only': [{ kind: 'max-response', bytes: 6_000 }],
  'null for blocks that exist, for a while': [{ kind: 'result', result: null, methods: ['eth_getBlockByNumber'], every: 12, times: 6 }],
  'missing trie node, once': [
    {
      kind: 'error',
      error: { code: -32000, message: 'missing trie node 1234 (path ) state 0xabcd is not available, not found' },
      methods: ['eth_getBalance'],
      times: 1,
    },
  ],
  'header not found, once': [
    { kind: 'error', error: { code: -32000, message: 'header not found' }, methods: ['eth_getBalance'], times: 1 },
  ],
  'dropped connections': [{ kind: 'drop', every: 4, times: 5, ...only }],
  'slow answers': [{ kind: 'slow', bytes: 400, everyMs: 5, times: 3, ...only }],
}

describe('a run survives', () => {
  for (const [name, faults] of Object.entries(passing)) {
    it(`${name}: all rows are there, each once, as the chain has them`, async () => {
      const { run, tables, close } = await world([{ faults }])
      const { code, text } = await run()
      expect({ code, text: code === 0 ? '' : text }).toEqual({ code: 0, text: '' })
      expect((await tables()).miners_balance?.rows).toEqual(expectedBalances(chain, 1, LAST))
      await close()
    }, 60_000)
  }
})

describe('a number', () => {
  it('above 2^53 that comes as a JSON number is refused, never rounded: the balance is quarantined', async () => {
    const { run, tables, close } = await world([
      { faults: [{ kind: 'raw', text: '9007199254740993', methods: ['eth_getBalance'], if: ({ params }) => params[1] === '0x64' }] },
    ])
    const { code } = await run()
    expect(code).toBe(1)
    const { miners_balance: rows, _pipe_quarantine: lost } = await tables()
    expect(rows?.rows).toEqual(
      expectedBalances(chain, 1, LAST).filter(({ block_number: number }) => !lost?.rows.some(({ key }) => key === number)),
    )
    expect(lost?.rows.map(({ key }) => key)).toContain('100')
    await close()
  })

  for (const bad of ['"0x"', '"0xzz"', '"-0x1"', '1.5', '{}', '""', '"0x1' + '0'.repeat(64) + '"'])
    it(`written as ${bad.slice(0, 20)} is refused by row`, async () => {
      const { run, tables, close } = await world([
        { faults: [{ kind: 'raw', text: bad, methods: ['eth_getBalance'], if: ({ params }) => params[1] === '0x64' }] },
      ])
      expect((await run()).code).toBe(1)
      const { _pipe_quarantine: lost } = await tables()
      expect(lost?.rows.map(({ key }) => key)).toContain('100')
      await close()
    })
})

describe('endpoints', () => {
  it('one of another chain is refused by name, and not one row is stored from it', async () => {
    const { run, nodes, tables, close } = await world([{ serve: { chainId: 5 } }, {}])
    const { code, text } = await run()
    expect(code).toBe(0)
    expect(text).toContain(new URL(nodes[0]?.url ?? '').host)
    expect(nodes[0]?.log.flatMap(({ calls }) => calls.map(({ method }) => method)).filter((method) => method === 'eth_getBalance')).toEqual(
      [],
    )
    expect((await tables()).miners_balance?.rows).toEqual(expectedBalances(chain, 1, LAST))
    await close()
  })

  it('that lack old state hand the work to one that has it', async () => {
    const { run, tables, close } = await world([{ serve: { archiveFrom: 120 } }, {}])
    expect((await run()).code).toBe(0)
    expect((await tables()).miners_balance?.rows).toEqual(expectedBalances(chain, 1, LAST))
    await close()
  }, 60_000)

  it('that all lack old state: the blocks are quarantined naming the archive node, the rest is there', async () => {
    const { run, tables, close } = await world([{ serve: { archiveFrom: 120 } }])
    const { code, text } = await run()
    expect(code).toBe(1)
    expect(text).toContain('archive')
    const { miners_balance: rows, _pipe_quarantine: lost } = await tables()
    expect(rows?.rows).toEqual(expectedBalances(chain, 121, LAST))
    expect(lost?.rows.length).toBe(120)
    await close()
  }, 60_000)

  it('on different heads: what lies above an endpoint’s head is not asked of it', async () => {
    const { run, nodes, tables, close } = await world([{ serve: { lag: 60 } }, { faults: [{ kind: 'latency', ms: 5 }] }])
    expect((await run()).code).toBe(0)
    expect((await tables()).miners_balance?.rows).toEqual(expectedBalances(chain, 1, LAST))
    const asked =
      nodes[0]?.log.flatMap(({ calls }) =>
        calls.filter(({ method }) => method === 'eth_getBlockByNumber').map(({ params }) => Number(params[0])),
      ) ?? []
    expect(Math.max(...asked)).toBeLessThanOrEqual(100)
    await close()
  }, 60_000)

  it('where one dies in the middle, the others go on', async () => {
    const { run, tables, close } = await world([{ faults: [{ kind: 'drop', after: 6 }] }, { faults: [{ kind: 'latency', ms: 5 }] }])
    expect((await run()).code).toBe(0)
    expect((await tables()).miners_balance?.rows).toEqual(expectedBalances(chain, 1, LAST))
    await close()
  }, 60_000)

  it('out of quota for good: the units are failed, not quarantined, and the next run does them', async () => {
    const { run, nodes, tables, close } = await world([
      {
        faults: [
          {
            kind: 'http',
            status: 403,
            body: '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Monthly capacity limit exceeded. Visit https://example.com/billing"}}',
            methods: ['eth_getBalance'],
          },
        ],
      },
    ])
    const { code, text } = await run()
    expect(code).toBe(1)
    expect(text).toContain('quota')
    const { _pipe_units: units, _pipe_quarantine: lost } = await tables()
    expect(units?.rows.filter(({ step }) => step === 'balances').map(({ state, attempts }) => [state, attempts])).toEqual([['failed', '0']])
    expect(lost?.rows).toEqual([])
    nodes[0]?.clear()
    expect((await run()).code).toBe(0)
    expect((await tables()).miners_balance?.rows).toEqual(expectedBalances(chain, 1, LAST))
    await close()
  }, 60_000)

  it('that nobody listens on: exit code 1 after bounded tries, naming the host and what to check', async () => {
    const cwd = temporaryFolder()
    const file = join(cwd, 'miners.yaml')
    writeFileSync(file, yaml)
    const { code, out, err } = await pipe(['run', file], { cwd, env: { ETH_RPC_URL: 'http://127.0.0.1:9' } })
    expect(code).toBe(1)
    expect(out + err).toContain('127.0.0.1:9')
    expect(out + err).toContain('check')
  }, 60_000)

  it('with a key in the URL: it is in no output, no ledger and no error', async () => {
    const key = 'v3rysecretkey0123456789'
    const { run, tables, close, cwd } = await world([
      {
        path: `/v2/${key}?token=${key}`,
        faults: [{ kind: 'http', status: 401, body: `{"error":{"code":-32600,"message":"Must be authenticated with ${key}!"}}`, after: 3 }],
      },
    ])
    const { code, text } = await run()
    expect(code).toBe(1)
    expect(text).not.toContain(key)
    expect(JSON.stringify(await tables())).not.toContain(key)
    const status = await pipe(['status', join(cwd, 'miners.yaml'), '--json'], { cwd, env: {} })
    expect(status.out).not.toContain(key)
    expect(readFileSync(join(cwd, '.pipe/state.db')).includes(key)).toBe(false)
    await close()
  }, 60_000)
})
