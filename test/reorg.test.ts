import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fakeChain } from '../src/sandbox/index.js'
import { chdbMissing } from './support/clickhouse-server.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { postgresDatabase } from './support/postgres.js'
import { readChdb } from './support/read-clickhouse.js'
import { readDuckdb } from './support/read-duckdb.js'
import { readPostgres } from './support/read-postgres.js'
import { events, expected, otherFork, reorgWorld, rowsOf, served, stored, strikeOnce, TABLES } from './support/reorg-world.js'

const chdb = chdbMissing()
if (chdb !== undefined) process.stderr.write(`SKIPPED: reorgs on ClickHouse, for chdb does not load here: ${chdb}\n`)

/** More for a longer look: `npm run loop:reorg`. */
const DEPTHS = process.env.PIPE_TEST_CASES === undefined ? [1, 5, 12] : Array.from({ length: 12 }, (_, i) => i + 1)

const worldOf = (options: Parameters<typeof reorgWorld>[0] = {}) => reorgWorld({ blocks: 24, ...options })

/** What a run is to end with, told of in one value when it does not. */
const fine = { code: 0, err: '' }
const endOf = ({ code, out, err }: { code: number; out: string; err: string }) => ({
  code,
  err:
    err +
    events(out, 'step:ended')
      .flatMap(({ reason }) => (reason === undefined ? [] : [String(reason)]))
      .join('; '),
})

describe('after a reorg, a plain second run', () => {
  it(`of depth ${DEPTHS.join(', ')} leaves the tables of the canonical chain, with what is computed from them`, async () => {
    const { chain, run, cwd } = await worldOf()
    expect(endOf(await run())).toEqual(fine)
    expect(rowsOf(await stored(cwd))).toEqual(expected(chain))
    for (const depth of DEPTHS) {
      const head = Number(chain.head)
      chain.fork(depth, depth + (depth % 3))
      const ran = await run()
      expect({ depth, ...endOf(ran) }).toEqual({ depth, ...fine })
      expect(events(ran.out, 'reorg')).toMatchObject([{ chain: 'fake', block: String(head - depth + 1), replaced: depth }])
      expect({ depth, ...rowsOf(await stored(cwd)) }).toEqual({ depth, ...expected(chain) })
    }
  }, 240_000)

  it('asks for one header more than it would without, where nothing moved', async () => {
    const { node, run } = await worldOf()
    await run()
    node.clearLog()
    expect(endOf(await run())).toEqual(fine)
    const asked = node.log.flatMap(({ calls }) => calls.map(({ method, params }) => [method, params?.[0]]))
    // Which chain it is, how far it is, and whether its newest block is the one that was read.
    expect(asked).toEqual([
      ['eth_chainId', undefined],
      ['eth_blockNumber', undefined],
      ['eth_getBlockByNumber', '0x0'],
      ['eth_getBlockByNumber', '0x18'],
    ])
  }, 60_000)

  it('tells of it in one line', async () => {
    const { chain, run } = await worldOf()
    await run()
    chain.fork(3)
    const { out } = await run(['--output', 'plain'])
    expect(out.split('\n').filter((line) => line.startsWith('reorg '))).toEqual([
      'reorg pipeline=reorg chain=fake message="reorg at 22: 3 blocks replaced" steps=blocks,balances',
    ])
  }, 60_000)

  it('finds it where the next block is read, when what was read had its confirmations', async () => {
    const { chain, run, cwd } = await worldOf({ confirmations: 3 })
    expect(endOf(await run(['--param', 'to=safe']))).toEqual(fine)
    chain.fork(5, 10)
    const ran = await run(['--param', 'to=safe'])
    expect(events(ran.out, 'reorg')).toMatchObject([{ block: '20', replaced: 2 }])
    expect(ran.code).toBe(0)
    expect(rowsOf(await stored(cwd))).toEqual(expected(chain, 26))
  }, 60_000)

  it('goes down to the block also where one block of the unit failed', async () => {
    const { chain, node, run, cwd, file } = await worldOf({ blocks: 120 })
    const broken = node.fault({
      kind: 'error',
      error: { code: -32000, message: 'block is corrupt' },
      methods: ['eth_getBlockByNumber'],
      if: ({ params }) => params[0] === '0x6e',
    })
    expect((await run()).code).toBe(1)
    broken.remove()
    const retried = await pipe(['retry', file], { cwd, env: { RPC_URLS: node.url, WAREHOUSE: 'duckdb:reorg.duckdb' } })
    expect(retried.code).toBe(0)
    chain.fork(3)
    const ran = await run()
    expect(endOf(ran)).toEqual(fine)
    expect(events(ran.out, 'reorg')).toMatchObject([{ block: '118', replaced: 3 }])
    expect(rowsOf(await stored(cwd))).toEqual(expected(chain))
  }, 120_000)

  it('leaves the same tables in Postgres', async () => {
    const warehouse = await postgresDatabase()
    const { chain, run } = await worldOf({ warehouse })
    expect(endOf(await run())).toEqual(fine)
    for (const depth of [3, 12]) {
      chain.fork(depth)
      expect(endOf(await run())).toEqual(fine)
      expect(rowsOf(await readPostgres(warehouse, TABLES))).toEqual(expected(chain))
    }
  }, 120_000)

  it.skipIf(chdb !== undefined)(
    'leaves the same tables in ClickHouse, as they are read with FINAL',
    async () => {
      const { chain, run, cwd } = await worldOf({ warehouse: 'chdb:ch' })
      expect(endOf(await run())).toEqual(fine)
      for (const depth of [3, 12]) {
        chain.fork(depth)
        expect(endOf(await run())).toEqual(fine)
        expect(rowsOf(await readChdb(join(cwd, 'ch'), { tables: TABLES }))).toEqual(expected(chain))
      }
    },
    120_000,
  )
})

describe('a reorg that is deeper than the hashes that are kept', () => {
  it('stops the chain with exit 1 and deletes nothing; with --force its blocks are read again', async () => {
    const { chain, run, cwd } = await worldOf({ blocks: 120 })
    await run()
    const before = await stored(cwd)
    chain.fork(80)
    const stopped = await run()
    expect(stopped.code).toBe(1)
    expect(events(stopped.out, 'step:ended').map(({ step, outcome }) => [step, outcome])).toContainEqual(['blocks', 'failed'])
    expect(endOf(stopped).err).toContain(
      'chain fake was reorganized deeper than 64 blocks, of which hashes are kept: 121 blocks that were read, 0 to 120, may be replaced by others; nothing was deleted',
    )
    expect(await stored(cwd)).toEqual(before)
    expect(endOf(await run(['--force']))).toEqual(fine)
    expect(rowsOf(await stored(cwd))).toEqual(expected(chain))
  }, 60_000)

  it('is none where all that was read lies within them', async () => {
    const { chain, run, cwd } = await worldOf({ blocks: 120 })
    const from = ['--param', 'from=118']
    await run(from)
    chain.fork(12)
    expect(endOf(await run(from))).toEqual(fine)
    expect(rowsOf(await stored(cwd)).blocks).toEqual(expected(chain).blocks?.slice(118))
  }, 60_000)
})

describe('what is no reorg', () => {
  it('an endpoint that lags shows an older head: nothing is deleted', async () => {
    const { chain, node, run, cwd } = await worldOf()
    await run()
    node.lag(5)
    const ran = await run()
    expect(endOf(ran)).toEqual(fine)
    expect(events(ran.out, 'reorg')).toEqual([])
    expect(rowsOf(await stored(cwd))).toEqual(expected(chain))
    node.lag(0)
    chain.add(3)
    expect(endOf(await run())).toEqual(fine)
    expect(rowsOf(await stored(cwd))).toEqual(expected(chain))
  }, 60_000)

  it('an endpoint of a fork that is no longer than the one that was read', async () => {
    const { chain, node, run, cwd } = await worldOf()
    await run()
    const away = await otherFork({ blocks: 24, depth: 3, grown: 3 })
    const ran = await run([], `${away.node.url},${node.url}`)
    expect(endOf(ran)).toEqual(fine)
    expect(events(ran.out, 'reorg')).toEqual([])
    expect(rowsOf(await stored(cwd))).toEqual(expected(chain))
  }, 60_000)
})

describe('forks', () => {
  it('from A to B and back to A, of equal heads: each time the tables are those of the fork that is there', async () => {
    const { chain, run, cwd } = await worldOf()
    const b = await otherFork({ blocks: 24, depth: 4, grown: 4 })
    await run()
    for (const [url, fork] of [
      [b.node.url, b.chain],
      [undefined, chain],
      [b.node.url, b.chain],
    ] as const) {
      const ran = await run([], url)
      expect(endOf(ran)).toEqual(fine)
      expect(events(ran.out, 'reorg')).toMatchObject([{ block: '21', replaced: 4 }])
      expect(rowsOf(await stored(cwd))).toEqual(expected(fork))
    }
  }, 60_000)

  it('of two endpoints at once: the longer one is read', async () => {
    const { node, run, cwd } = await worldOf()
    await run()
    const longer = await otherFork({ blocks: 24, depth: 4, grown: 6 })
    expect((await run([], `${node.url},${longer.node.url}`)).code).toBe(0)
    expect(rowsOf(await stored(cwd))).toEqual(expected(longer.chain))
  }, 60_000)

  it('while blocks are fetched: nothing is mixed, and the run ends with the tables of the chain as it is then', async () => {
    for (const at of [6, 14]) {
      const { chain, node, run, cwd } = await worldOf({ blocks: 120, chunk: 10 })
      let forked = false
      strikeOnce(node, { when: () => node.count() >= at }, () => {
        forked = true
        chain.fork(12, 12)
      })
      const ran = await run()
      node.clear()
      expect({ at, forked, code: ran.code }).toEqual({ at, forked: true, code: 0 })
      expect({ at, ...rowsOf(await stored(cwd)) }).toEqual({ at, ...expected(chain) })
    }
  }, 120_000)
})

const LOGS = `name: logs
warehouse: duckdb:logs.duckdb
params:
  to: { type: block, default: head }
chains:
  fake: { id: 1, block_time: 12s, rpc: "\${RPC_URLS}", confirmations: 0 }
tables:
  transfers: { columns: { number: bigint, log_index: int, transaction: hash }, key: [transaction, log_index], range: number }
steps:
  - id: transfers
    type: shard-days
    chain: fake
    with:
      over: { blocks: { from: 0, to: $to } }
      events:
        - event: Transfer(address indexed from, address indexed to, uint256 value)
          contracts: ["0x00000000000000000000000000000000000000aa"]
          into: transfers
          row: { number: log.blockNumber, log_index: log.logIndex, transaction: log.transactionHash }
`
const word = (n: number) => `0x${n.toString(16).padStart(64, '0')}`
const transfer = {
  address: `0x${'aa'.padStart(40, '0')}`,
  topics: ['0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef', word(1), word(2)],
  data: word(3),
}

describe('logs of ranges of blocks', () => {
  it('are those of the chain after a reorg, also where the replaced blocks had none', async () => {
    const chain = fakeChain({ seed: 5, blocks: 40, logs: (block) => (block % 3n === 0n ? [transfer] : []) })
    const node = await served(chain)
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'logs.yaml'), LOGS)
    const run = () => pipe(['run', join(cwd, 'logs.yaml'), '--output', 'json'], { cwd, env: { RPC_URLS: node.url } })
    const truth = () =>
      Array.from({ length: Number(chain.head) }, (_, i) => BigInt(i + 1)).flatMap((number) =>
        chain
          .logsJson(number, { addresses: undefined, topics: [] })
          .map((text) => (JSON.parse(text) as { transactionHash: string }).transactionHash),
      )
    expect(endOf(await run())).toEqual(fine)
    for (const depth of [1, 2, 5]) {
      chain.fork(depth)
      const ran = await run()
      expect(endOf(ran)).toEqual(fine)
      expect(events(ran.out, 'reorg')).toMatchObject([{ chain: 'fake' }])
      const { transfers } = await readDuckdb(join(cwd, 'logs.duckdb'), { tables: ['transfers'] })
      expect({ depth, rows: transfers?.rows.map(({ transaction }) => transaction).sort() }).toEqual({ depth, rows: truth().sort() })
    }
  }, 120_000)
})
