import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FakeChain, fakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'
import { spawnPipe } from './support/spawn-pipe.js'

const HOURS = 24 * 6
/** 2020-09-13T00:00:00Z, so that days are whole. */
const GENESIS = 1_599_955_200
const LAST = HOURS - 1

let chain: FakeChain
let node: FakeEndpoint
beforeAll(async () => {
  chain = fakeChain({ seed: 5, blocks: LAST, blockTime: 3_600, genesisTime: GENESIS, miners: 3 })
  node = await chain.serve()
})
afterAll(() => node.close())

const DAYS = ['2020-09-13', '2020-09-14', '2020-09-15', '2020-09-16', '2020-09-17', '2020-09-18']
const BY_DAY = `SELECT CAST(time AS date) AS day, miner, count(*) AS blocks FROM headers
        WHERE time >= $start AND time < $end GROUP BY 1, 2`

/** A pipeline of headers and what is made of them. `steps` is YAML at the depth of a list item. */
function pipelineOf(
  steps: string,
  more: { readonly tables?: string; readonly to?: number; readonly retention?: string; readonly params?: string } = {},
): string {
  return `name: rollup
warehouse: duckdb:rollup.duckdb
${more.params ?? ''}
chains:
  ethereum: { rpc: "\${ETH_RPC_URL}" }
tables:
  headers:
    columns: { number: bigint, hash: hash, time: timestamp, miner: address }
    key: [number]
    ${more.retention ?? ''}
  daily: { columns: { day: date, miner: address, blocks: bigint }, key: [day, miner] }
  ${more.tables ?? ''}
steps:
  - id: headers
    type: rpc-batch
    chain: ethereum
    into: headers
    with:
      over: { blocks: { from: 0, to: ${more.to ?? LAST} }, chunk: 24 }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, false] }
      row: { number: block.number, hash: block.hash, time: block.timestamp, miner: block.miner }
${steps}`
}

const daily = (sql = BY_DAY, more = '', mode = 'replace') => `  - id: daily
    type: sql-upsert
    needs: [headers]
    into: daily
    with:
      mode: ${mode}
      interval: { by: 1d, of: { headers: time }${more} }
      sql: |
        ${sql}
`

class World {
  readonly cwd = temporaryFolder()
  readonly file = join(this.cwd, 'rollup.yaml')
  readonly env: Record<string, string>
  constructor(url = node.url) {
    this.env = { ETH_RPC_URL: url }
  }

  write(text: string): this {
    writeFileSync(this.file, text)
    return this
  }

  async pipe(...args: readonly string[]) {
    const [command = '', ...rest] = args
    return pipe([command, this.file, ...rest], this)
  }

  /** Runs it to its end, and says which units of a step were computed. */
  async run(step: string, ...args: readonly string[]) {
    const before = await this.epochs(step)
    const { code, out, err } = await this.pipe('run', ...args)
    const after = await this.epochs(step)
    const computed = [...after].filter(([unit, epoch]) => before.get(unit) !== epoch).map(([unit]) => unit)
    return { code, out: out + err, computed: computed.sort() }
  }

  async plan(step: string, ...args: readonly string[]) {
    const { out } = await this.pipe('plan', '--json', ...args)
    const { steps } = JSON.parse(out) as {
      steps: { id: string; pieces: number; done: number; reasons: Record<string, number>; expired: string[] }[]
    }
    const found = steps.find(({ id }) => id === step)
    return { pieces: found?.pieces, done: found?.done, reasons: found?.reasons, expired: found?.expired }
  }

  async rows(table: string) {
    return (await readDuckdb(join(this.cwd, 'rollup.duckdb'), { tables: [table] }))[table]?.rows ?? []
  }

  async sql(text: string): Promise<Record<string, unknown>[]> {
    const instance = await DuckDBInstance.create(join(this.cwd, 'rollup.duckdb'))
    const connection = await instance.connect()
    try {
      return (await connection.runAndReadAll(text)).getRowObjectsJson()
    } finally {
      connection.closeSync()
      instance.closeSync()
    }
  }

  private async epochs(step: string): Promise<ReadonlyMap<string, string>> {
    const units = await this.rows('_pipe_units').catch(() => [])
    return new Map(units.filter((row) => row.step === step).map((row) => [String(row.unit), String(row.epoch)]))
  }
}

/** Blocks by day and miner, by the chain's own books. */
function expected(source: FakeChain = chain, to = LAST): Record<string, string>[] {
  const counts = new Map<string, number>()
  for (let n = 0; n <= to; n++) {
    const { timestamp, miner } = source.block(n)
    const key = `${new Date(Number(timestamp) * 1000).toISOString().slice(0, 10)} ${miner}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, blocks]) => ({ day: key.slice(0, 10), miner: key.slice(11), blocks: String(blocks) }))
}

const calls = () => node.log.flatMap((request) => request.calls).filter(({ method }) => method === 'eth_getBlockByNumber').length

describe('sql-upsert by day', () => {
  it('computes each day of its input; a second run finds nothing to do', async () => {
    const world = new World().write(pipelineOf(daily()))
    expect(await world.run('daily')).toMatchObject({ code: 0, computed: DAYS })
    expect(await world.rows('daily')).toEqual(expected())
    const units = (await world.rows('_pipe_units')).filter(({ step }) => step === 'daily')
    expect(units.map(({ unit, state, rows }) => [unit, state, JSON.parse(rows ?? '') as unknown])).toEqual(
      DAYS.map((day) => [day, 'done', { daily: expected().filter((row) => row.day === day).length }]),
    )
    expect(await world.rows('_pipe_touched')).toEqual([])
    const again = await world.run('daily')
    expect(again).toMatchObject({ code: 0, computed: [] })
    expect(again.out).toContain('everything was done before')
    expect(await world.pipe('plan', '--detailed-exitcode')).toMatchObject({ code: 0 })
  })

  it('plan says what waits for what before anything ran, and changes nothing', async () => {
    const world = new World().write(pipelineOf(daily()))
    const { code, out } = await world.pipe('plan')
    expect(code).toBe(0)
    expect(out).toContain('intervals to do: 0 now + the intervals that headers touches; 0 done')
  })

  it('a block that another one took the place of computes its day again, and no other', async () => {
    const growing = fakeChain({ seed: 6, blocks: LAST, blockTime: 3_600, genesisTime: GENESIS })
    const own = await growing.serve()
    const world = new World(own.url).write(pipelineOf(daily()))
    await world.run('daily')
    growing.fork(26, 26)
    await world.pipe('reset', '--step', 'headers', '--range', `${LAST - 25}..${LAST}`)
    expect(await world.plan('daily')).toEqual({ pieces: 0, done: 6, reasons: {}, expired: [] })
    expect(await world.run('daily')).toMatchObject({ code: 0, computed: DAYS.slice(4) })
    expect(await world.rows('daily')).toEqual(expected(growing))
    await own.close()
  })

  it('a new definition is computed anew without a single request', async () => {
    const world = new World().write(pipelineOf(daily()))
    await world.run('daily')
    const before = calls()
    world.write(pipelineOf(daily(BY_DAY.replace('count(*)', '2 * count(*)'))))
    expect(await world.plan('daily')).toEqual({ pieces: 6, done: 0, reasons: { 'changed: sql': 6 }, expired: [] })
    expect(await world.run('daily')).toMatchObject({ code: 0, computed: DAYS })
    // plan and run look at block 0, to see that this is still the same chain.
    expect(calls() - before).toBeLessThanOrEqual(2)
    expect(await world.rows('daily')).toEqual(expected().map((row) => ({ ...row, blocks: String(2 * Number(row.blocks)) })))
  })

  it('other intervals leave nothing of the old ones behind', async () => {
    // A row at half past midnight: of the quarters of an hour, none that holds a header holds that.
    const old = `SELECT CAST(time AS date) + INTERVAL '30 minutes' AS at_time, count(*) AS blocks FROM headers WHERE time >= $start AND time < $end GROUP BY 1`
    const now = 'SELECT time AS at_time, 1 AS blocks FROM headers WHERE time >= $start AND time < $end'
    const step = (by: string, sql: string) => daily(sql).replaceAll('daily', 'timed').replace('by: 1d', `by: ${by}`)
    const tables = 'timed: { columns: { at_time: timestamp, blocks: bigint }, key: [at_time] }'
    const world = new World().write(pipelineOf(step('1d', old), { tables, to: 47 }))
    await world.run('timed')
    expect((await world.rows('timed')).map((row) => row.at_time)).toEqual(['2020-09-13 00:30:00', '2020-09-14 00:30:00'])
    world.write(pipelineOf(step('15m', now), { tables, to: 47 }))
    expect(await world.plan('timed')).toMatchObject({ pieces: 50, done: 0 })
    expect(await world.run('timed')).toMatchObject({ code: 0 })
    const rows = await world.rows('timed')
    expect([rows.length, rows.filter((row) => !row.at_time?.endsWith(':00:00'))]).toEqual([48, []])
    expect(await world.run('timed')).toMatchObject({ code: 0, computed: [] })
    expect((await world.rows('_pipe_units')).filter(({ step: id, unit }) => id === 'timed' && !unit?.includes('T'))).toEqual([])
  })

  it('a look back is computed again by what lies before it', async () => {
    const sql = `SELECT CAST($start AS date) AS day, '0x00' AS miner, count(*) AS blocks FROM headers WHERE time >= $start - INTERVAL '2 days' AND time < $end`
    const world = new World().write(pipelineOf(daily(sql, ', lookback: 2d')))
    // The days after the last block look back to it.
    const all = [...DAYS, '2020-09-19', '2020-09-20']
    expect(await world.run('daily')).toMatchObject({ code: 0, computed: all })
    expect((await world.rows('daily')).map((row) => row.blocks)).toEqual(['24', '48', '72', '72', '72', '72', '48', '24'])
    await world.pipe('reset', '--step', 'headers', '--range', '24..24')
    expect(await world.run('daily')).toMatchObject({ code: 0, computed: ['2020-09-14', '2020-09-15', '2020-09-16'] })
  })

  it.each([
    ['the table says `on_conflict: last`', ', range: day, on_conflict: last', 'replace'],
    ['nothing is deleted', '', 'upsert'],
  ])('the report counts the rows of the table, not those of the queries, where intervals give one key and %s', async (_, more, mode) => {
    const tables = `seen: { columns: { miner: address, day: date, blocks: bigint }, key: [miner]${more} }`
    const world = new World().write(pipelineOf(daily(BY_DAY, '', mode).replaceAll('daily', 'seen'), { tables, to: 71 }))
    const { code, out } = await world.run('seen')
    const rows = await world.rows('seen')
    const given = expected(chain, 71)
    const miners = new Set(given.map(({ miner }) => miner)).size
    expect([code, rows.length]).toEqual([0, miners])
    expect(out).toContain(`${miners} rows into seen`)
    expect(out).toContain(`${given.length - miners} replaced in seen by a different row of its key`)
    const verified = await world.pipe('verify')
    expect([verified.code, verified.out]).toEqual([0, expect.not.stringContaining('missing')])
  })

  it('--limit N computes N intervals, newest first, exits 1, and the next run goes on', async () => {
    const world = new World().write(pipelineOf(daily()))
    await world.run('daily', '--select', 'headers')
    expect(await world.run('daily', '--select', 'daily', '--limit', '2')).toMatchObject({ code: 1, computed: DAYS.slice(4) })
    expect(await world.plan('daily')).toMatchObject({ pieces: 4, done: 2 })
    expect(await world.run('daily')).toMatchObject({ code: 0, computed: DAYS.slice(0, 4) })
    expect(await world.rows('daily')).toEqual(expected())
  })

  it('reset computes the days of a range again, both ends included', async () => {
    const world = new World().write(pipelineOf(daily()))
    await world.run('daily')
    await world.sql("UPDATE daily SET blocks = 999 WHERE day = DATE '2020-09-15'")
    const { out } = await world.pipe('reset', '--step', 'daily', '--range', '2020-09-15..2020-09-16')
    expect(out).toContain('daily 2020-09-15: will be done again')
    expect(await world.plan('daily')).toEqual({ pieces: 2, done: 4, reasons: { reset: 2 }, expired: [] })
    expect(await world.run('daily')).toMatchObject({ code: 0, computed: ['2020-09-15', '2020-09-16'] })
    expect(await world.rows('daily')).toEqual(expected())
  })

  it('reset of hours takes days, too, and reset of a whole takes no range', async () => {
    const hourly = daily('SELECT time AS hour, 1 AS blocks FROM headers WHERE time >= $start AND time < $end')
      .replaceAll('daily', 'hourly')
      .replace('1d', '1h')
    const tables = `hourly: { columns: { hour: timestamp, blocks: bigint }, key: [hour] }\n  ${TOTALS}`
    const world = new World().write(pipelineOf(hourly + totals(ALL), { tables, to: 47 }))
    await world.run('hourly')
    await world.pipe('reset', '--step', 'hourly', '--range', '2020-09-13T22..2020-09-14')
    expect(await world.plan('hourly')).toMatchObject({ pieces: 26, reasons: { reset: 26 } })
    const refused = await world.pipe('reset', '--step', 'totals', '--range', '2020-09-13..2020-09-14')
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('this step is done as a whole')])
    await world.pipe('reset', '--step', 'totals')
    expect(await world.plan('totals')).toMatchObject({ pieces: 1, reasons: { reset: 1 } })
  })

  it('a day whose rows are all gone loses its rows and is done; upsert keeps them', async () => {
    for (const [mode, left] of [
      ['replace', 5],
      ['upsert', 6],
    ] as const) {
      const world = new World().write(pipelineOf(daily(BY_DAY, '', mode)))
      await world.run('daily')
      // From now on day 3 gives no rows.
      world.write(pipelineOf(daily(BY_DAY.replace('WHERE', "WHERE time::date <> DATE '2020-09-15' AND"), '', mode)))
      expect(await world.run('daily')).toMatchObject({ code: 0, computed: DAYS })
      expect(new Set((await world.rows('daily')).map((row) => row.day)).size).toBe(left)
      expect(await world.run('daily')).toMatchObject({ code: 0, computed: [] })
    }
  })

  it('a day whose input has expired is kept as it is, and said to be', async () => {
    const world = new World().write(pipelineOf(daily()))
    await world.run('daily')
    const rows = await world.rows('daily')
    world.write(pipelineOf(daily(BY_DAY.replace('count(*)', '7')), { retention: 'retention: { time: 30d }' }))
    expect(await world.plan('daily')).toEqual({ pieces: 0, done: 0, reasons: {}, expired: [...DAYS].reverse() })
    expect((await world.pipe('plan')).out).toContain('6 kept: inputs expired')
    expect(await world.run('daily')).toMatchObject({ code: 0, computed: [] })
    expect(await world.rows('daily')).toEqual(rows)
  })

  it('a table without a time computes every day again when it changes', async () => {
    const tables = 'names: { columns: { number: bigint, word: text }, key: [number] }'
    const names = (word: string) => `  - id: names
    type: sql-upsert
    into: names
    with: { sql: "SELECT 1 AS number, '${word}' AS word" }
`
    const sql = BY_DAY.replace('FROM headers', '* (SELECT length(word) FROM names) AS blocks FROM headers').replace(
      'count(*) AS blocks *',
      'count(*) *',
    )
    const steps = (word: string) => names(word) + daily(sql).replace('needs: [headers]', 'needs: [headers, names]')
    const world = new World().write(pipelineOf(steps('a'), { tables }))
    expect(await world.run('daily')).toMatchObject({ code: 0, computed: DAYS })
    expect(await world.rows('daily')).toEqual(expected())
    world.write(pipelineOf(steps('bb'), { tables }))
    expect(await world.run('daily')).toMatchObject({ code: 0, computed: DAYS })
    expect((await world.rows('daily')).map((row) => row.blocks)).toEqual(expected().map((row) => String(2 * Number(row.blocks))))
  })

  it('SQL with $now is due in every run', async () => {
    const world = new World().write(pipelineOf(daily(`${BY_DAY} HAVING max(time) < $now`)))
    expect(await world.run('daily')).toMatchObject({ code: 0, computed: DAYS })
    expect(await world.plan('daily')).toEqual({ pieces: 6, done: 0, reasons: { 'uses $now': 6 }, expired: [] })
    expect(await world.run('daily')).toMatchObject({ code: 0, computed: DAYS })
  })

  it('the value of a param in the SQL is part of the definition', async () => {
    const params = 'params:\n  least: { type: int, default: 0 }'
    const world = new World().write(pipelineOf(daily(`${BY_DAY} HAVING count(*) >= $least`), { params }))
    await world.run('daily')
    expect(await world.run('daily')).toMatchObject({ computed: [] })
    expect(await world.plan('daily', '--param', 'least=9')).toMatchObject({ reasons: { 'changed: $least': 6 } })
    await world.run('daily', '--param', 'least=9')
    expect(await world.rows('daily')).toEqual(expected().filter((row) => Number(row.blocks) >= 9))
  })
})

const totals = (sql: string, more = '') => `  - id: totals
    type: sql-upsert
    needs: [headers]
    into: totals
    with:
      ${more}
      sql: ${sql}
`
const TOTALS = 'totals: { columns: { miner: address, blocks: bigint }, key: [miner] }'
const ALL = 'SELECT miner, count(*) AS blocks FROM headers GROUP BY 1'

function expectedTotals(): Record<string, string>[] {
  const sums = new Map<string, number>()
  for (const { miner, blocks } of expected()) sums.set(miner ?? '', (sums.get(miner ?? '') ?? 0) + Number(blocks))
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([miner, blocks]) => ({ miner, blocks: String(blocks) }))
}

describe('sql-upsert of a whole table', () => {
  it('is computed when an input changed, and what is made of it in the same run', async () => {
    const tables = `${TOTALS}\n  sum: { columns: { one: int, blocks: bigint }, key: [one] }`
    const sum = `  - id: sum
    type: sql-upsert
    needs: [totals]
    into: sum
    with: { sql: "SELECT 1 AS one, CAST(sum(blocks) AS bigint) AS blocks FROM totals" }
  - id: agree
    type: gate
    needs: [sum]
    with:
      checks:
        - { name: all are counted, sql: SELECT (SELECT count(*) FROM headers) - (SELECT blocks FROM sum), expect: 0 }
`
    const world = new World().write(pipelineOf(totals(ALL) + sum, { tables, to: 100 }))
    expect(await world.run('sum')).toMatchObject({ code: 0, computed: ['all'] })
    world.write(pipelineOf(totals(ALL) + sum, { tables }))
    expect((await world.pipe('plan')).out).toContain('0 now + all of it again when totals changes its input')
    expect(await world.run('sum')).toMatchObject({ code: 0, computed: ['all'] })
    expect(await world.rows('totals')).toEqual(expectedTotals())
    expect(await world.run('totals')).toMatchObject({ code: 0, computed: [] })
  })

  it('a result that is as before wakes up nobody', async () => {
    const tables = `${TOTALS}\n  sum: { columns: { one: int, blocks: bigint }, key: [one] }`
    const sum = `  - id: sum
    type: sql-upsert
    needs: [totals]
    into: sum
    with: { sql: "SELECT 1 AS one, CAST(sum(blocks) AS bigint) AS blocks FROM totals" }
`
    const world = new World().write(pipelineOf(totals(ALL) + sum, { tables }))
    await world.run('sum')
    await world.pipe('reset', '--step', 'totals')
    expect(await world.run('sum')).toMatchObject({ code: 0, computed: [] })
  })

  it('replace deletes what it no longer gives, upsert does not', async () => {
    const [first] = expectedTotals()
    for (const mode of ['replace', 'upsert']) {
      const world = new World().write(pipelineOf(totals(ALL, `mode: ${mode}`), { tables: TOTALS }))
      await world.run('totals')
      world.write(pipelineOf(totals(`${ALL} HAVING miner = '${first?.miner ?? ''}'`, `mode: ${mode}`), { tables: TOTALS }))
      await world.run('totals')
      expect(await world.rows('totals')).toEqual(mode === 'upsert' ? expectedTotals() : [first])
    }
  })

  it('--limit N gives N rows, deletes nothing, is not done and exits 1', async () => {
    const world = new World().write(pipelineOf(totals(ALL), { tables: TOTALS }))
    await world.run('totals', '--select', 'headers')
    const limited = await world.run('totals', '--select', 'totals', '--limit', '2')
    expect(limited.code).toBe(1)
    expect((await world.rows('totals')).length).toBe(2)
    expect(await world.plan('totals')).toMatchObject({ pieces: 1, done: 0 })
    expect(await world.run('totals')).toMatchObject({ code: 0 })
    expect(await world.rows('totals')).toEqual(expectedTotals())
    await world.pipe('reset', '--step', 'totals')
    await world.run('totals', '--limit', '1')
    expect(await world.rows('totals')).toEqual(expectedTotals())
  })

  it('by rows it counts and writes those that the table lacks or has otherwise, whoever changed them, and deletes none', async () => {
    const world = new World().write(pipelineOf(totals(ALL, 'mode: rows'), { tables: TOTALS }))
    await world.run('totals', '--select', 'headers')
    const all = expectedTotals()
    const limited = await world.run('totals', '--select', 'totals', '--limit', '2')
    expect([limited.code, limited.out]).toEqual([1, expect.stringContaining(`--limit left ${all.length - 2} rows out`)])
    expect(await world.plan('totals')).toMatchObject({ pieces: all.length - 2, done: 2 })
    expect(await world.run('totals')).toMatchObject({ code: 0 })
    expect(await world.rows('totals')).toEqual(all)

    await world.sql(`UPDATE totals SET blocks = 7 WHERE miner = '${all[0]?.miner ?? ''}'; INSERT INTO totals VALUES ('0xnobody', 1)`)
    expect(await world.plan('totals')).toMatchObject({ pieces: 1, done: all.length - 1, reasons: { missing: 1 } })
    expect(await world.run('totals')).toMatchObject({ code: 0 })
    expect(await world.rows('totals')).toEqual([...all, { miner: '0xnobody', blocks: '1' }])
    expect(await world.plan('totals')).toMatchObject({ pieces: 0, done: all.length })
  })
})

describe('several chains in one table', () => {
  it('each step replaces its own rows only, and what another chain changes meanwhile makes no run incomplete', async () => {
    const other = fakeChain({ seed: 8, chainId: 8453, blocks: 47, blockTime: 3_600, genesisTime: GENESIS + 30 * 86_400 })
    const slow = await other.serve()
    slow.fault({ kind: 'latency', ms: 400 })
    const world = new World()
    world.write(`name: rollup
warehouse: duckdb:rollup.duckdb
chains:
  ethereum: { rpc: "${node.url}" }
  base: { rpc: "${slow.url}" }
tables:
  headers: { columns: { chain: text, number: bigint, time: timestamp }, key: [chain, number], range: number }
  daily: { columns: { chain: text, day: date, blocks: bigint }, key: [chain, day], range: day }
steps:
  - id: headers
    type: rpc-batch
    matrix: { chain: [ethereum, base] }
    into: headers
    with:
      over: { blocks: { from: 0, to: 47 }, chunk: 12 }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { chain: $chain.name, number: block.number, time: block.timestamp }
  - id: daily
    type: sql-upsert
    matrix: { chain: [ethereum, base] }
    needs: [headers]
    into: daily
    with:
      constants: { chain: $chain.name }
      interval: { by: 1d, of: { headers: time } }
      sql: |
        SELECT CAST(time AS date) AS day, count(*) AS blocks FROM headers
        WHERE chain = $chain.name AND time >= $start AND time < $end GROUP BY 1
`)
    const rows = [
      { chain: 'base', day: '2020-10-13', blocks: '24' },
      { chain: 'base', day: '2020-10-14', blocks: '24' },
      { chain: 'ethereum', day: '2020-09-13', blocks: '24' },
      { chain: 'ethereum', day: '2020-09-14', blocks: '24' },
    ]
    const first = await world.run('daily[ethereum]')
    expect(first.code).toBe(0)
    expect(first.computed).toEqual(['2020-09-13', '2020-09-14'])
    expect(await world.rows('daily')).toEqual(rows)
    // What base brought when the days of ethereum were done is none of what the SQL of ethereum reads.
    expect(await world.run('daily[ethereum]')).toMatchObject({ code: 0, computed: [] })
    await slow.close()
  })
})

describe('before anything is fetched', () => {
  it.each([
    [
      'a float for a whole number',
      'SELECT miner, avg(number) AS blocks FROM headers GROUP BY 1',
      'the SELECT gives blocks as DOUBLE, which would be rounded into bigint',
    ],
    [
      'digits that would be cut off',
      'SELECT miner, 1.5 AS blocks FROM headers GROUP BY 1',
      'the SELECT gives blocks as DECIMAL(2,1), which would be rounded into bigint',
    ],
    [
      'an unknown column',
      'SELECT miner, count(*) AS block FROM headers GROUP BY 1',
      'the SELECT gives block, and table totals has no such column (did you mean "blocks"?)',
    ],
    ['a required column that is left out', 'SELECT miner FROM headers GROUP BY 1', 'the SELECT does not give blocks of table totals'],
    ['a table that is not there', 'SELECT miner, count(*) AS blocks FROM heders GROUP BY 1', 'heders'],
  ])('%s is refused, by plan and by run', async (_, sql, message) => {
    const before = calls()
    const world = new World().write(pipelineOf(totals(sql), { tables: TOTALS }))
    for (const command of ['plan', 'run']) {
      const { code, out, err } = await world.pipe(command)
      expect(code).toBe(2)
      expect(out + err).toContain(message)
    }
    expect(calls()).toBe(before)
  })
})

describe('while it runs', () => {
  it.each([
    ['one key twice', 'SELECT miner, 1 AS blocks FROM headers', 'is given more than once by the query'],
    [
      'NULL for a required column',
      "SELECT 'x' AS miner, NULL AS blocks",
      'totals (miner="x"), column blocks: is NULL, and the column is required',
    ],
    ['a number that is too wide', 'SELECT miner, sum(9223372036854775807) AS blocks FROM headers GROUP BY 1', 'does not fit bigint'],
  ])('%s fails the unit, and the table stays as it was', async (_, sql, message) => {
    const world = new World().write(pipelineOf(totals(ALL), { tables: TOTALS }))
    await world.run('totals')
    world.write(pipelineOf(totals(sql), { tables: TOTALS }))
    const { code, out } = await world.run('totals')
    expect(code).toBe(1)
    expect(out).toContain(message)
    expect(await world.rows('totals')).toEqual(expectedTotals())
    world.write(pipelineOf(totals(ALL), { tables: TOTALS }))
    expect(await world.run('totals')).toMatchObject({ code: 0 })
  })
})

describe('kill -9', () => {
  it('in the middle of its intervals, again and again: the tables are those of an unbroken run, and each interval is done once', async () => {
    const tables = `hourly: { columns: { hour: timestamp, blocks: bigint }, key: [hour] }\n  ${TOTALS}`
    const hourly = daily(
      "SELECT date_trunc('hour', time) AS hour, count(*) AS blocks FROM headers WHERE time >= $start AND time < $end GROUP BY 1",
    )
      .replaceAll('daily', 'hourly')
      .replace('by: 1d', 'by: 1h')
    const text = pipelineOf(hourly + totals(ALL), { tables })
    const unbroken = new World().write(text)
    expect(await unbroken.run('hourly')).toMatchObject({ code: 0 })
    const world = new World().write(text)
    let kills = 0
    // Newest first: each run dies when it has come to midnight of the next day back.
    for (const midnight of [
      ...DAYS.slice(2)
        .reverse()
        .map((day) => `${day}T00:00:00Z`),
      undefined,
    ]) {
      const child = spawnPipe(['run', world.file, '--output', 'json'], world)
      void child.saw(midnight === undefined ? 'never' : `"type":"batch:committed","step":"hourly","unit":"${midnight}"`).then(
        () => child.kill('SIGKILL'),
        () => undefined,
      )
      const { code, signal } = await child.exit
      if (signal === 'SIGKILL') kills++
      else expect(code).toBe(0)
    }
    expect(kills).toBeGreaterThan(0)
    for (const table of ['hourly', 'totals']) expect(await world.rows(table)).toEqual(await unbroken.rows(table))
    const done = (await world.rows('_pipe_units')).filter(({ step }) => step === 'hourly')
    expect([done.length, new Set(done.map(({ state }) => state))]).toEqual([HOURS, new Set(['done'])])
    expect(await world.rows('_pipe_touched')).toEqual([])
  }, 120_000)
})
