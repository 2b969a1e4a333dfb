import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../src/cli/system-clock.js'
import { fakeChain, type FakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import { pipe } from './support/cli.js'
import { chdbMissing } from './support/clickhouse-server.js'
import { temporaryFolder } from './support/folder.js'
import { postgresDatabase } from './support/postgres.js'
import { readChdb } from './support/read-clickhouse.js'
import { readDuckdb } from './support/read-duckdb.js'
import { readPostgres } from './support/read-postgres.js'
import { runPipe } from './support/spawn-pipe.js'

const HOUR = 3600
const BLOCK_SECONDS = 600
const GENESIS = Date.UTC(2024, 2, 1) / 1000
const TABLES = ['headers', 'hourly', 'quarters']

/** Blocks of ten minutes, kept for two hours; hours of them, kept for eight; and quarters of a day. */
const pipelineOf = (warehouse: string, sum = 'count(*)') => `name: p
warehouse: ${JSON.stringify(warehouse)}
params: { to: { type: block, default: head } }
chains: { ethereum: { rpc: "\${ETH_RPC_URL}", confirmations: 0 } }
tables:
  headers: { columns: { chain: text, number: bigint, time: timestamp }, key: [chain, number], retention: { time: 2h } }
  hourly: { columns: { hour: timestamp, blocks: bigint }, key: [hour], retention: { hour: 8h } }
  quarters: { columns: { quarter: timestamp, blocks: bigint }, key: [quarter] }
steps:
  - id: headers
    type: rpc-batch
    chain: ethereum
    into: headers
    with:
      over: { blocks: { from: 0, to: $to } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { chain: $chain.name, number: block.number, time: block.timestamp }
  - id: hourly
    type: sql-upsert
    needs: [headers]
    into: hourly
    with:
      interval: { by: 1h, of: { headers: time } }
      sql: SELECT date_trunc('hour', h.time) AS hour, ${sum} AS blocks FROM headers h WHERE h.time >= $start AND h.time < $end GROUP BY 1
  - id: quarters
    type: sql-upsert
    needs: [hourly]
    into: quarters
    with:
      interval: { by: 6h, of: { hourly: hour } }
      sql: SELECT $start AS quarter, CAST(sum(h.blocks) AS bigint) AS blocks FROM hourly h WHERE h.hour >= $start AND h.hour < $end HAVING count(*) > 0
`

const engines = [
  {
    name: 'DuckDB',
    url: () => Promise.resolve('duckdb:p.duckdb'),
    read: (cwd: string) => readDuckdb(join(cwd, 'p.duckdb'), { tables: TABLES }),
  },
  { name: 'Postgres', url: () => postgresDatabase(), read: (_: string, url: string) => readPostgres(url, TABLES) },
]

describe.each(engines)('the retention of tables on $name', ({ url, read }) => {
  let chain: FakeChain
  let node: FakeEndpoint
  let here: Awaited<ReturnType<typeof open>>
  beforeAll(async () => {
    chain = fakeChain({ seed: 2, blocks: 93, genesisTime: GENESIS, blockTime: BLOCK_SECONDS })
    node = await chain.serve()
    here = await open()
  })
  afterAll(() => node.close())

  async function open() {
    const cwd = temporaryFolder()
    const warehouse = await url()
    const file = join(cwd, 'p.yaml')
    writeFileSync(file, pipelineOf(warehouse))
    return {
      write: (sum: string) => writeFileSync(file, pipelineOf(warehouse, sum)),
      /** A command at the time of the chain's head, or so many hours later. */
      pipe: async (args: readonly string[], hours = 0) => {
        const now = (GENESIS + Number(chain.head) * BLOCK_SECONDS + hours * HOUR) * 1000
        const answer = await pipe([args[0] ?? '', 'p.yaml', ...args.slice(1)], {
          cwd,
          env: { ETH_RPC_URL: node.url },
          clock: { ...systemClock, now: () => now },
        })
        return [answer.code, answer.code === 0 ? '' : answer.out + answer.err]
      },
      rows: async () => {
        const tables = await read(cwd, warehouse)
        const of = (table: string) => (tables[table]?.rows ?? []).map((row) => Object.values(row).slice(table === 'headers' ? 1 : 0))
        return { headers: of('headers').map(([number]) => Number(number)), hourly: of('hourly'), quarters: of('quarters') }
      },
    }
  }

  const text = (hour: number) => new Date((GENESIS + hour * HOUR) * 1000).toISOString().replace('T', ' ').replace('.000Z', '')

  /** What the tables must hold when headers from a block on and hours from one on are left. */
  function expected(firstBlock: number, firstHour: number) {
    const head = Number(chain.head)
    const sums = (hours: number, from: number) => {
      const found = new Map<number, number>()
      for (let n = from * 6; n <= head; n++) found.set(Math.floor(n / (6 * hours)), (found.get(Math.floor(n / (6 * hours))) ?? 0) + 1)
      return [...found].map(([at, blocks]) => [text(at * hours), String(blocks)])
    }
    return {
      headers: Array.from({ length: head - firstBlock + 1 }, (_, i) => firstBlock + i),
      hourly: sums(1, firstHour),
      quarters: sums(6, 0),
    }
  }

  it('deletes nothing while something below has to be computed, however old it is', async () => {
    expect(await here.pipe(['run', '--select', 'headers'], 100)).toEqual([0, ''])
    expect((await here.rows()).headers).toHaveLength(94)
  })

  it('lets go whole intervals of those who read them, once these are computed; verify takes no notice', async () => {
    expect(await here.pipe(['run'])).toEqual([0, ''])
    // It is 15:30: two hours before is 13:30, and eight hours before is 07:30.
    expect(await here.rows()).toEqual(expected(13 * 6, 6))
    expect(await here.pipe(['verify'])).toEqual([0, ''])
  })

  it('goes on as the chain does, and computes nothing again from what is left', async () => {
    chain.add(12)
    expect(await here.pipe(['run'])).toEqual([0, ''])
    expect(await here.rows()).toEqual(expected(15 * 6, 6))
    // Blocks that were let go come back: their hours stay as they are, and they go again.
    expect(await here.pipe(['reset', '--step', 'headers', '--range', '30..32'])).toEqual([0, ''])
    expect(await here.pipe(['run'])).toEqual([0, ''])
    expect(await here.rows()).toEqual(expected(15 * 6, 6))
    // Under another definition, too: it is 17:30, and what is not wholly younger than two hours stays.
    here.write('7 * count(*)')
    expect(await here.pipe(['run'])).toEqual([0, ''])
    const { hourly, quarters } = expected(0, 6)
    expect(await here.rows()).toMatchObject({
      hourly: [...hourly.slice(0, -2), [text(16), '42'], [text(17), '28']],
      quarters: [...quarters.slice(0, -1), [text(12), '94']],
    })
    expect(await here.pipe(['verify'])).toEqual([0, ''])
  })

  it('hours that were not computed since their blocks came are, though these are older than what is kept', async () => {
    // The collector slept for ten hours.
    chain.add(60)
    here.write('count(*)')
    expect(await here.pipe(['run'])).toEqual([0, ''])
    // Hour 16 was done, and is kept as it was; hour 17 got more blocks.
    const { headers, hourly, quarters } = expected(25 * 6, 18)
    const seen = quarters.map(([at = '', blocks = '']) => [at, at === text(12) ? '72' : blocks])
    expect(await here.rows()).toEqual({ headers, hourly, quarters: seen })
  })
})

const missing = chdbMissing()
if (missing !== undefined) process.stderr.write(`SKIPPED: retention in embedded ClickHouse, for chdb does not load here: ${missing}\n`)

describe.skipIf(missing !== undefined)('the retention of tables on ClickHouse', () => {
  let node: FakeEndpoint
  beforeAll(async () => {
    node = await fakeChain({ seed: 2, blocks: 11, genesisTime: GENESIS, blockTime: BLOCK_SECONDS }).serve()
  })
  afterAll(() => node.close())

  /** Runs the pipeline on blocks that are years old. `ttl`: that of the table of blocks. */
  async function run(ttl: string | undefined) {
    const cwd = temporaryFolder()
    const migrations = join(cwd, 'migrations/clickhouse')
    writeFileSync(join(cwd, 'p.yaml'), pipelineOf('chdb:ch') + (ttl === undefined ? '' : 'migrations: migrations\n'))
    const pipe = (command: string) => runPipe([command, 'p.yaml'], { cwd, env: { ETH_RPC_URL: node.url } })
    if (ttl !== undefined) {
      mkdirSync(migrations, { recursive: true })
      writeFileSync(
        join(migrations, '0001-headers.sql'),
        `CREATE TABLE headers (chain String, number Int64, time DateTime64(6, 'UTC'), _pipe_version UInt64 MATERIALIZED 0, _pipe_deleted UInt8 MATERIALIZED 0)
        ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted) ORDER BY (chain, number) TTL ${ttl} SETTINGS non_replicated_deduplication_window = 1000`,
      )
      expect(await pipe('migrate')).toMatchObject({ code: 0 })
    }
    const { code, stdout, stderr } = await pipe('run')
    const { hourly, quarters } = await readChdb(join(cwd, 'ch'), { tables: ['hourly', 'quarters'] })
    return { code, out: stdout + stderr, blocks: [hourly, quarters].map((table) => table?.rows.map((row) => Number(row.blocks))) }
  }

  it('keeps nothing from being computed where no TTL drops what it is computed from', async () => {
    const { code, out, blocks } = await run(undefined)
    expect([code, code === 0 ? '' : out]).toEqual([0, ''])
    expect(blocks).toEqual([[6, 6], [12]])
  })

  it('is no silent loss where a TTL may drop rows before they were used: what is not computed is named, and the run is incomplete', async () => {
    const { code, out, blocks } = await run('toDateTime(time) + INTERVAL 2 HOUR')
    expect(blocks).toEqual([[], []])
    expect([code, out]).toEqual([
      1,
      expect.stringContaining('2 intervals not computed from all that came (2024-03-01T00:00:00Z to 2024-03-01T01:00:00Z)'),
    ])
  })
})
