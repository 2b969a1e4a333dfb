import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { systemClock } from '../src/cli/system-clock.js'
import { startLiveChain } from '../src/demo/live-chain.js'
import { knownChain } from '../src/pipeline/chains.js'
import { readPipeline } from '../src/pipeline/read.js'
import { type ApiServer, fakeApi, fakeChain, type FakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import { type Clock, parseDuration } from '../src/sdk/index.js'
import { chainMetrics, metricsWarehouses, rowsIn, variedCosts } from './support/chain-metrics.js'
import { type Answer, pipe } from './support/cli.js'
import { projectFolder, temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'
import { runPipe } from './support/spawn-pipe.js'

const file = join(projectFolder, 'pipelines/chain-metrics.yaml')

const HOUR = 3_600_000
const BLOCK_SECONDS = 60
const BLOCKS = 24
/** Behind the head, as chains.yaml says of both. */
const CONFIRMATIONS = 10
/** Among the prices of so many hours one is looked for to begin with. */
const QUOTED_HOURS = 6
const ALONE_MS = 600_000

type Name = 'ethereum' | 'base'
type Price = readonly [ms: number, usd: number]

/** How the blocks of a world lie. */
interface Lying {
  /** They end so long before now. */
  readonly hoursAgo: number
  /** Twelve of them lie within two hours after the first price, and the API has no later one until it is told to. */
  readonly late: boolean
}

/** Two chains that pay in one coin, one of them a rollup, and an API with its prices. */
class World {
  readonly cwd = temporaryFolder()
  readonly env: Readonly<Record<string, string>>

  private constructor(
    readonly chains: Readonly<Record<Name, FakeChain>>,
    readonly nodes: Readonly<Record<Name, FakeEndpoint>>,
    readonly api: ApiServer,
    readonly quoted: { until: number; readonly now: number; readonly since: number; readonly all: readonly Price[] },
  ) {
    this.env = {
      ETHEREUM_RPC_URLS: nodes.ethereum.url,
      BASE_RPC_URLS: nodes.base.url,
      COINGECKO_API_URL: api.url,
      COINGECKO_REQUESTS_PER_SECOND: '1000',
    }
  }

  static async open({ hoursAgo, late }: Lying): Promise<World> {
    const now = Date.now() - hoursAgo * HOUR
    const quoted = { until: now, now }
    const api = await fakeApi({ seed: 5 }).serve({ clock: { ...systemClock, now: () => quoted.until } })
    const [from, to] = [Math.ceil(now / 1000) - QUOTED_HOURS * 3600, Math.floor(now / 1000)]
    const reply = await fetch(`${api.url}/api/v3/coins/ethereum/market_chart/range?vs_currency=usd&from=${from}&to=${to}`)
    const { prices: all } = (await reply.json()) as { readonly prices: readonly Price[] }
    const half = (BLOCKS / 2) * BLOCK_SECONDS * 1000
    const latest = now - (late ? 2 * HOUR + half : 4 * half)
    // None lies so close before it that one may wonder whether the first run still asks for it.
    const [first = 0] = all.filter(([ms], i) => ms < latest && ms - (all[i - 1]?.[0] ?? 0) > ALONE_MS).at(-1) ?? []
    if (late) quoted.until = first
    const genesisTime = Math.floor((late ? first + 2 * HOUR - half : now - 3 * half) / 1000)
    const chain = (chainId: number, seed: number, rollup: boolean) =>
      fakeChain({ seed, chainId, blocks: BLOCKS, genesisTime, blockTime: BLOCK_SECONDS, transactions: 5, costs: variedCosts(rollup) })
    const chains = { ethereum: chain(1, 3, false), base: chain(8453, 4, true) }
    const nodes = { ethereum: await chains.ethereum.serve(), base: await chains.base.serve() }
    const since = first - ALONE_MS / 2
    return new World(chains, nodes, api, Object.assign(quoted, { since, all: all.filter(([ms]) => ms > since) }))
  }

  /** How far back prices are read. */
  get window(): string {
    return `${Math.ceil((Date.now() - this.quoted.since) / 1000)}s`
  }

  async close(): Promise<void> {
    await Promise.all([this.api.close(), ...Object.values(this.nodes).map((node) => node.close())])
  }

  /** What the tables must hold of chains that were read from block 1 on. */
  truth(names: readonly Name[], without?: number) {
    const prices = this.quoted.all.filter(([ms]) => ms <= this.quoted.until)
    return chainMetrics(
      names.map((name) => ({
        name,
        chain: this.chains[name],
        from: 1,
        to: Number(this.chains[name].head) - CONFIRMATIONS,
        without,
        prices,
      })),
    )
  }
}

const lyings: Readonly<Record<string, Lying>> = {
  DuckDB: { hoursAgo: 0, late: true },
  Postgres: { hoursAgo: 0, late: false },
  // Its TTL drops what is older than 12 hours, but for what was only now written.
  ClickHouse: { hoursAgo: 20, late: false },
}
const warehouses = metricsWarehouses.map((each) => ({ ...each, lying: lyings[each.name] ?? { hoursAgo: 0, late: false } }))

describe('pipelines/chains.yaml', () => {
  // What this test reads of the file is what people write there.
  const { chains } = parse(readFileSync(join(projectFolder, 'pipelines/chains.yaml'), 'utf8')) as {
    readonly chains: Readonly<Record<string, Stated>>
  }
  const names = Object.keys(chains)

  it('states of more than thirty chains what is known of them, and the coin that their fees are paid in', () => {
    expect(names.length).toBeGreaterThanOrEqual(30)
    for (const [name, { id, block_time, confirmations, currency, about }] of Object.entries(chains)) {
      const known = knownChain(name)
      expect({ name, id, confirmations, currency }).toEqual({
        name,
        id: known?.id,
        confirmations: known?.confirmations,
        currency: known?.currency,
      })
      // Of one chain nobody else says it.
      if (known?.blockTimeMs !== undefined) expect([name, parseDuration(block_time)]).toEqual([name, known.blockTimeMs])
      else expect([name, block_time]).toEqual(['apechain', '250ms'])
      expect([name, about.coingecko === 'ethereum']).toEqual([name, currency.symbol === 'ETH'])
    }
  })

  it('takes the endpoints of each from its own variable, else from RPC_URLS, the second ones with less workers', async () => {
    const read = async (env: Readonly<Record<string, string>>, chain: string) => {
      const { pipeline, problems } = await readPipeline(file, { cwd: projectFolder, env, environment: 'require', params: { chain } })
      expect(problems).toEqual([])
      return new Map(
        [...(pipeline?.chains ?? [])].map(([name, { endpoints }]) => [
          name,
          endpoints.map(({ url, maxWorkers, priority }) => [url, maxWorkers, priority]),
        ]),
      )
    }
    const own = Object.fromEntries(names.map((name) => [`${name.toUpperCase()}_RPC_URLS`, `http://${name.replaceAll('_', '-')}/`]))
    const all = await read(own, names.join())
    for (const name of names) expect(all.get(name)).toEqual([[`http://${name.replaceAll('_', '-')}/`, 32, 1]])
    const one = await read({ RPC_URLS: 'http://a/,http://b/', RPC_URLS_2: 'http://c/', RPC_MAX_WORKERS: '5' }, 'base')
    expect(one.get('base')).toEqual([
      ['http://a/', 5, 1],
      ['http://b/', 5, 1],
      ['http://c/', 4, 2],
    ])
  })
})

interface Stated {
  readonly id: number
  readonly block_time: string
  readonly confirmations: number
  readonly currency: { readonly symbol: string; readonly decimals: number }
  readonly about: { readonly coingecko: string }
}

it('its migrations for ClickHouse let rows go by the column and after the time that `retention` says, table by table', async () => {
  const { pipeline } = await readPipeline(file, { cwd: projectFolder, env: {}, environment: 'warn' })
  const folder = join(projectFolder, 'migrations/chain-metrics/clickhouse')
  const sql = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
  const made = sql
    .flatMap((text) => text.split(';'))
    .flatMap((text) => {
      const [, table] = /CREATE TABLE IF NOT EXISTS (\w+)/.exec(text) ?? []
      const [, ttl] = /^TTL (.*)$/m.exec(text) ?? []
      return table === undefined ? [] : [[table, ttl]]
    })
  const hours = (ms: number) => (ms > 24 * HOUR ? `${ms / (24 * HOUR)} DAY` : `${ms / HOUR} HOUR`)
  const said = [...(pipeline?.tables.values() ?? [])].map(({ name, retention }) => [
    name,
    retention && `greatest(toDateTime(${retention.column}), _pipe_written) + INTERVAL ${hours(retention.ms)}`,
  ])
  expect(made.toSorted()).toEqual(said.toSorted())
  expect(said.filter(([, ttl]) => ttl !== undefined).length).toBe(9)
})

describe.each(warehouses)('pipelines/chain-metrics.yaml on $name', ({ url, read, skip, name, lying }) => {
  let world: World
  beforeAll(async () => {
    world = await World.open(lying)
  })
  afterAll(() => world.close())

  it.skipIf(skip)(
    'has in every table and view what the chains have, whatever failed and was read again, and prices that turn up late',
    async () => {
      const { cwd, chains, nodes, quoted } = world
      const warehouse = await url()
      const env = { ...world.env, WAREHOUSE_URL: warehouse }
      // Embedded ClickHouse lets a folder be opened once a process.
      const cli = async (...args: string[]) => {
        if (name !== 'ClickHouse') return pipe(args, { cwd, env })
        const { code, stdout, stderr } = await runPipe(args, { cwd, env })
        return { code: code ?? -1, out: stdout, err: stderr }
      }
      const params = (chain: string, prices = world.window) => [
        '--param',
        'from=1',
        '--param',
        `prices=${prices}`,
        '--param',
        `chain=${chain}`,
      ]
      const run = (chain: string) => cli('run', file, ...params(chain))
      const well = ({ code, out, err }: Answer) => expect([code, code === 0 ? '' : out + err]).toEqual([0, ''])
      const expectTruth = async (names: readonly Name[], without?: number) =>
        expect(rowsIn(await read(cwd, warehouse))).toEqual(world.truth(names, without))
      well(await cli('migrate', file))

      // A block whose receipts nobody gives for a while, together or one by one: its unit fails, and is done again.
      const { transactions } = JSON.parse(chains.base.blockJson(7n, false) ?? '') as { readonly transactions: readonly string[] }
      const fault = nodes.base.fault({
        kind: 'error',
        // Said once and for all on one of the warehouses; elsewhere it passes, and the unit is tried again by itself.
        error: name === 'DuckDB' ? { code: -32602, message: 'invalid argument: boom' } : { code: -32000, message: 'boom' },
        methods: ['eth_getBlockReceipts', 'eth_getTransactionReceipt'],
        if: ({ params: [of] }) => of === '0x7' || transactions.includes(String(of)),
        ...(name === 'DuckDB' ? {} : { times: 1 }),
      })
      const first = await run('base')
      expect(fault.hits).toBeGreaterThan(0)
      if (name === 'DuckDB') {
        expect([first.code, first.out + first.err]).toEqual([1, expect.stringContaining('boom')])
        // The others are rolled up without it, and its minute, hour and day again when it is there.
        await expectTruth(['base'], 7)
        fault.remove()
        // A step is that of the chain of the last run, whichever the file has by itself.
        const step = ['--step', 'blocks[base]']
        const elsewhere = await cli('retry', file, ...step, '--param', 'chain=ethereum')
        expect([elsewhere.code, elsewhere.err]).toEqual([2, expect.stringContaining('no such step')])
        expect((await cli('reset', file, ...step, '--range', '8')).out).toMatch(/^blocks\[base\] 8-8: will be done again\n/)
        // What is let out is named, also where that run has no such step.
        expect((await cli('retry', file, '--param', 'chain=ethereum')).out).toMatch(
          /^blocks\[base\] 7-7: quarantined after 5 attempts \(.*boom.*\)\n1 will be tried again in .*\nthat run has no blocks\[base\]: /,
        )
        well(await run('base'))
      } else well(first)
      await expectTruth(['base'])
      const unpriced = () => world.truth(['base']).chain_metrics_1d?.reduce((sum, row) => sum + Number(row.unpriced_blocks), 0)
      expect((unpriced() ?? 0) > 0).toBe(lying.late)

      // More blocks and, on one of the warehouses, the prices that were missing and a second chain.
      quoted.until = quoted.now
      chains.base.add(7)
      const after: readonly Name[] = name === 'DuckDB' ? ['base', 'ethereum'] : ['base']
      well(await run(after.join()))
      expect(unpriced()).toBe(0)
      await expectTruth(after)
      if (name === 'DuckDB') well(await cli('verify', file, ...params(after.join(), '1h')))
    },
    300_000,
  )
})

it('its demo follows a chain with a reorg on the way, told in one line, and started again it goes on with the same chain without a gap', async () => {
  const cwd = temporaryFolder()
  const began = Date.now()
  const PACE = 8
  const run = async (minutes: number, ...args: string[]) => {
    const clock: Clock = {
      now: () => began + (Date.now() - began) * PACE + minutes * 60_000,
      monotonic: () => systemClock.monotonic() * PACE,
      sleep: (ms, signal) => systemClock.sleep(ms / PACE, signal),
    }
    const env = { COINGECKO_REQUESTS_PER_SECOND: '1000' }
    const { code, out, err } = await pipe(['run', file, '--demo', ...args], { cwd, env, clock })
    expect([code, code === 0 ? '' : out + err]).toEqual([0, ''])
    return { clock, reorgs: [...out.matchAll(/^reorg .*message="(.*?)"/gm)].map(([, message]) => message) }
  }
  const { reorgs } = await run(0, '--select', 'blocks')
  expect(reorgs).toEqual([expect.stringMatching(/^reorg at \d+: [123] blocks? replaced$/)])
  const { clock } = await run(20, '--follow', '--max-runs', '2')
  // The prices rested in the last round.
  const { code, out, err } = await pipe(['verify', file, '--demo', '--step', 'prices'], { cwd, clock })
  expect([code, code === 0 ? '' : out + err]).toEqual([0, ''])

  const { blocks, chain_metrics_1d: days } = await readDuckdb(join(cwd, 'data/chain-metrics-demo.duckdb'))
  const live = await startLiveChain({ chainId: 1, file: join(cwd, 'data/chain-metrics-demo-ethereum.json'), clock }, {})
  const rows = blocks?.rows.toSorted((a, b) => Number(a.number) - Number(b.number)) ?? []
  expect(rows.length).toBeGreaterThanOrEqual(600)
  expect(rows.map(({ number, hash, parent_hash }) => [number, hash, parent_hash])).toEqual(
    rows.map((_, i) => [String(i + 1), live.chain.block(i + 1).hash, live.chain.block(i).hash]),
  )
  expect(days?.rows.reduce((sum, row) => sum + Number(row.blocks), 0)).toBe(rows.length)
  await live.close()
}, 300_000)
