import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import type { LogFilter } from '../../sdk/index.js'
import { type Fault, logWordings, wordings } from '../../sandbox/index.js'
import { CONTRACT, covered, logWorld, type LogWorld, OTHER, ranges, someLogs, truth, word } from '../fixtures/log-world.js'

const open: LogWorld[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((world) => world.close()))
})

async function world(...given: Parameters<typeof logWorld>): Promise<LogWorld> {
  const made = await logWorld(...given)
  open.push(made)
  return made
}

/** All of it, once, without a seam, and equal to the chain. */
async function expectWhole({ chain, read }: LogWorld, filter: Partial<LogFilter> = {}): Promise<void> {
  const { pages, logs, error } = await read({ filter })
  expect(error).toBeUndefined()
  expect(covered(pages)).toEqual([`0-${chain.head}`])
  expect(logs).toEqual(truth(chain, 0n, chain.head, filter))
}

interface Row {
  readonly class: string
  readonly provider: string
  readonly status?: number
  readonly code?: number
  readonly message: string
  readonly data?: never
}
const rows = JSON.parse(readFileSync(new URL('../fixtures/rpc-errors.json', import.meta.url), 'utf8')) as readonly Row[]
const splits = rows.filter((row) => row.class === 'SPLIT')
const narrow = (call: { readonly params: readonly unknown[] }, blocks: bigint): boolean => {
  const { fromBlock, toBlock } = call.params[0] as { readonly fromBlock: string; readonly toBlock: string }
  return BigInt(toBlock) - BigInt(fromBlock) < blocks
}

describe('a range that is refused is read in parts', () => {
  test.each(splits.map((row) => [row.provider, row.message, row] as const))('%s: %s', async (_provider, _message, row) => {
    // Of other blocks than these, so what it suggests may be anything.
    const error = { code: row.code ?? -32000, message: row.message, data: row.data }
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, error })
    const when = { methods: ['eth_getLogs'], if: (call: { readonly params: readonly unknown[] }) => !narrow(call, 7n) }
    const fault: Fault = row.status === undefined ? { kind: 'error', error, ...when } : { kind: 'http', status: row.status, body, ...when }
    await expectWhole(await world({ blocks: 20 }, [[fault]]), { addresses: [CONTRACT, OTHER] })
  })

  const caps: readonly (readonly [string, Fault])[] = [
    ['what it suggests is used', { kind: 'log-cap', max: 100 }],
    ['what it suggests in hexadecimal', { kind: 'log-cap', max: 100, error: logWordings.alchemy }],
    ['hints are only in data', { kind: 'log-cap', max: 100, error: logWordings.infura }],
    ['the whole text is in data', { kind: 'log-cap', max: 100, error: logWordings.nethermind }],
    ['it suggests the refused range', { kind: 'log-cap', max: 100, error: logWordings.sameAgain }],
    ['it says nothing that helps', { kind: 'log-cap', max: 100, error: logWordings.ankr }],
    ['it states a limit of blocks', { kind: 'log-range', max: 37 }],
    ['it takes one block', { kind: 'log-range', max: 1, error: logWordings.ankr }],
  ]
  test.each(caps)('%s', async (_, fault) => {
    await expectWhole(await world({ blocks: 300 }, [[fault]]))
  })

  test('what was suggested is asked for next, and no block of a refused range is read twice', async () => {
    const made = await world({ blocks: 400, logs: someLogs(() => 1) }, [[{ kind: 'log-cap', max: 90 }]])
    await expectWhole(made)
    expect(ranges(made.nodes[0]!).slice(0, 2)).toEqual([
      [0n, 400n],
      [0n, 90n],
    ])
  })

  test('a stated limit is learned: one refusal, and then no range is longer', async () => {
    const made = await world({ blocks: 120 }, [[{ kind: 'log-range', max: 30 }]])
    await expectWhole(made)
    const [first, ...others] = ranges(made.nodes[0]!).map(([from, to]) => Number(to - from) + 1)
    expect([first, Math.max(...others)]).toEqual([121, 30])
    expect(made.rpc.learned()).toMatchObject([{ maxBlockRange: expect.any(Number) }])
  })

  test('what an earlier run has learned is asked for at once, and it grows back', async () => {
    const first = await world({ blocks: 600 }, [[]])
    const { url } = first.nodes[0]!
    await first.close()
    const made = await world({ blocks: 600 }, [{ port: Number(new URL(url).port) }], [{ endpoint: new URL(url).host, maxBlockRange: 10 }])
    await expectWhole(made)
    const sizes = ranges(made.nodes[0]!).map(([from, to]) => Number(to - from) + 1)
    expect(sizes[0]).toBe(10)
    expect(Math.max(...sizes)).toBeGreaterThanOrEqual(40)
  })

  test('a rate limit and a server error shrink no range', async () => {
    const made = await world({ blocks: 900 }, [
      [
        { kind: 'error', error: wordings.alchemyPerSecond, methods: ['eth_getLogs'], times: 3 },
        { kind: 'error', error: wordings.internal, methods: ['eth_getLogs'], times: 2 },
        { kind: 'rate-limit', methods: ['eth_getLogs'], times: 2 },
        { kind: 'http', status: 503, body: 'Service Unavailable', methods: ['eth_getLogs'], times: 1 },
      ],
    ])
    await expectWhole(made)
    expect(new Set(ranges(made.nodes[0]!).map(String))).toEqual(new Set(['0,900']))
    expect(made.rpc.learned()).toMatchObject([{ maxBlockRange: undefined }])
  })

  test('an answer of exactly as many logs as a known cap is taken for a part', async () => {
    const made = await world({ blocks: 600, logs: someLogs(() => 4) }, [[{ kind: 'log-cap', max: 1_000, silent: true }]])
    await expectWhole(made)
  })

  test('a cap that an error has named is known from then on, also where it is kept in silence', async () => {
    const faults: Fault[] = [
      { kind: 'log-cap', max: 333, times: 1 },
      { kind: 'log-cap', max: 333, silent: true },
    ]
    await expectWhole(await world({ blocks: 600, logs: someLogs(() => 4) }, [faults]))
  })

  test('of two endpoints the one that takes more is asked for what the other refuses', async () => {
    const made = await world({ blocks: 3_000 }, [[{ kind: 'log-range', max: 50 }], []])
    await expectWhole(made)
    const [small, large] = made.nodes.map((node) => ranges(node).length)
    expect(small! + large!).toBeLessThan(20)
  })

  test('max_block_range of the file is never passed', async () => {
    const made = await world({ blocks: 500 }, [{ config: { maxBlockRange: 60 } }])
    await expectWhole(made)
    expect(Math.max(...ranges(made.nodes[0]!).map(([from, to]) => Number(to - from) + 1))).toBe(60)
  })
})

describe('one block that has too many logs', () => {
  const huge = someLogs((block) => (block === 5n ? 250 : 1))
  const capped: Fault = { kind: 'log-cap', max: 200 }
  const without = (...methods: string[]): Fault => ({
    kind: 'error',
    error: { code: -32601, message: 'the method does not exist/is not available' },
    methods,
  })

  test('is read from its receipts', async () => {
    const made = await world({ blocks: 10, logs: huge }, [[capped]])
    await expectWhole(made)
    expect(made.nodes[0]!.count('eth_getBlockReceipts')).toBe(1)
  })

  test('is read by halves of the addresses first, and no log of it comes twice', async () => {
    const made = await world({ blocks: 10, logs: huge }, [[capped]])
    await expectWhole(made, { addresses: [CONTRACT, OTHER] })
    expect(made.nodes[0]!.count('eth_getBlockReceipts')).toBe(0)
  })

  test('is read by halves of the topics next', async () => {
    const made = await world({ blocks: 10, logs: huge }, [[capped]])
    await expectWhole(made, { topics: [null, null, [0, 1, 2, 3, 4].map(word)] })
    expect(made.nodes[0]!.count('eth_getBlockReceipts')).toBe(0)
  })

  test('is read receipt by receipt where nobody gives them together', async () => {
    const made = await world({ blocks: 10, logs: huge }, [[capped, without('eth_getBlockReceipts')]])
    await expectWhole(made)
    expect(made.nodes[0]!.count('eth_getTransactionReceipt')).toBeGreaterThan(0)
  })

  test('is read receipt by receipt where nobody has them together but null', async () => {
    const nothing: Fault = { kind: 'result', result: null, methods: ['eth_getBlockReceipts'] }
    const made = await world({ blocks: 10, logs: huge }, [[capped, nothing]])
    await expectWhole(made)
    expect(made.nodes[0]!.count('eth_getTransactionReceipt')).toBeGreaterThan(0)
  })

  test('fails by name where all of that fails, and all others are read', async () => {
    const made = await world({ blocks: 10, logs: huge }, [[capped, without('eth_getBlockReceipts', 'eth_getTransactionReceipt')]])
    const { pages, logs, error } = await made.read()
    expect(covered(pages)).toEqual(['0-4', '6-10'])
    expect(logs).toEqual([...truth(made.chain, 0n, 4n), ...truth(made.chain, 6n, 10n)])
    expect(error).toMatchObject({ code: 'RPC_LOGS_FAILED', stretches: [[5n, 5n]] })
    expect(error!.message).toMatch(/^logs of block 5: block 5 can't be read in any way: .*max results 200.*eth_getBlockReceipts/s)
  })
})

test('too many addresses or topics split the filter, not the range', async () => {
  const addresses = Array.from({ length: 40 }, (_, i) => (i === 7 ? CONTRACT : i === 31 ? OTHER : word(i).slice(0, 42)))
  const made = await world({ blocks: 700 }, [
    [
      {
        kind: 'error',
        error: { code: -32000, message: 'exceed max addresses or topics per search position' },
        methods: ['eth_getLogs'],
        if: ({ params }) =>
          (params[0] as { readonly address: unknown }).address instanceof Array &&
          (params[0] as { readonly address: string[] }).address.length > 10,
      },
    ],
  ])
  await expectWhole(made, { addresses })
  expect(new Set(ranges(made.nodes[0]!).map(String))).toEqual(new Set(['0,700']))
  expect(made.rpc.learned()).toMatchObject([{ maxBlockRange: undefined }])
})

test('a block that nobody can answer for is found by halves and named; all others are given', async () => {
  const made = await world({ blocks: 60 }, [
    [
      {
        kind: 'error',
        error: { code: -32000, message: 'something is wrong with that' },
        methods: ['eth_getLogs'],
        if: ({ params: [filter] }) => {
          const { fromBlock, toBlock } = filter as { readonly fromBlock: string; readonly toBlock: string }
          return Number(fromBlock) <= 33 && Number(toBlock) >= 33
        },
      },
    ],
  ])
  const { pages, error } = await made.read({ step: { attempts: 1 } })
  expect(covered(pages)).toEqual(['0-32', '34-60'])
  expect(error).toMatchObject({ code: 'RPC_LOGS_FAILED', stretches: [[33n, 33n]] })
  expect(error!.message).toContain('logs of block 33: eth_getLogs(')
})

test('several ranges are under way at once, and no more are read than are taken', async () => {
  const made = await world({ blocks: 4_000, logs: someLogs(() => 1) }, [
    [
      { kind: 'log-range', max: 20 },
      { kind: 'latency', ms: 5, methods: ['eth_getLogs'] },
    ],
  ])
  const lane = made.rpc.forStep({ id: 'step', batch: 1, attempts: 3, waitMs: 100, maxWaitMs: 1_000 })
  const pages = lane.logs({ addresses: [], topics: [] }, { from: 0n, to: 4_000n, verify: 'none', signal: new AbortController().signal })
  let taken = 0
  for await (const _ of pages) if (++taken === 20) break
  expect(made.nodes[0]!.totals.peakInFlight).toBeGreaterThan(2)
  expect(ranges(made.nodes[0]!).length).toBeLessThan(40)
})

test('an answer that can’t be one is refused by name, and asked for elsewhere', async () => {
  for (const odd of ['removed', 'twice', 'outside'] as const) {
    const made = await world({ blocks: 50 }, [[{ kind: 'log-odd', odd }], []])
    await expectWhole(made)
    const told = made.facts.filter((fact) => fact.type === 'retry')
    expect(told).toMatchObject([{ endpoint: new URL(made.nodes[0]!.url).host, class: 'SERVER', calls: 1 }])
    const alone = await world({ blocks: 50 }, [[{ kind: 'log-odd', odd }]])
    const { error, pages } = await alone.read()
    expect(pages).toEqual([])
    expect(error).toMatchObject({ code: 'RPC_LOGS_FAILED', blame: 'outage', stretches: [[0n, 50n]] })
  }
})
