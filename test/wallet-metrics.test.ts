import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../src/cli/system-clock.js'
import { type ApiServer, type ApiTransaction, type FakeApi, fakeApi, type ServeApiOptions } from '../src/sandbox/index.js'
import type { Clock, Json } from '../src/sdk/index.js'
import { pipe } from './support/cli.js'
import { projectFolder, temporaryFolder } from './support/folder.js'
import { ask, postgresDatabase } from './support/postgres.js'
import { readDuckdb } from './support/read-duckdb.js'
import { runPipe, spawnPipe } from './support/spawn-pipe.js'

const file = join(projectFolder, 'pipelines/wallet-metrics.yaml')
const metrics = ['daily_active_wallets', 'daily_fees', 'new_wallets', 'wallet_activity'] as const

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

describe.each([
  ['v3', '/extended/v3/transactions'],
  ['v1', '/extended/v1/tx'],
] as const)('pipelines/wallet-metrics.yaml by %s', (form, path) => {
  test('gives the days, wallets and fees that seven transactions add up to by hand', async () => {
    const now = Date.UTC(2024, 2, 3, 12)
    //                 time                   wallet  fee  nonce
    const sample: Sample[] = [
      ['2024-03-03T00:00:00Z', 'SPA', 300, 3], // the first second of a day
      ['2024-03-02T23:59:59Z', 'SPC', 1, 0], //   the last second of a day
      ['2024-03-02T10:00:00Z', 'SPB', 50, 1],
      ['2024-03-02T10:00:00Z', 'SPB', 150, 0], // two of one wallet in one second
      ['2024-03-01T08:00:00Z', 'SPA', 0, 2], //   free
      ['2024-03-01T07:00:00Z', 'SPA', 200, 1],
      ['2024-03-01T07:00:00Z', 'SPA', 100, 0],
    ]
    const world = await serve(fakeApi(), { now, days: 3, routes: { [path]: ({ query }) => replyOf(sample, form, query) } })
    await world.run(form)
    const tables = await world.tables()
    expect(rowsOf(tables.daily_active_wallets)).toEqual([
      ['2024-03-01', '1', '3'],
      ['2024-03-02', '2', '3'],
      ['2024-03-03', '1', '1'],
    ])
    expect(rowsOf(tables.daily_fees)).toEqual([
      ['2024-03-01', '3', '300', '100.0'],
      ['2024-03-02', '3', '201', '67.0'],
      ['2024-03-03', '1', '300', '300.0'],
    ])
    expect(rowsOf(tables.new_wallets)).toEqual([
      ['2024-03-01', '1'],
      ['2024-03-02', '2'],
    ])
    expect(rowsOf(tables.wallet_activity)).toEqual([
      ['SPA', '2024-03-01 07:00:00', '2024-03-03 00:00:00', '2', '4', '600'],
      ['SPB', '2024-03-02 10:00:00', '2024-03-02 10:00:00', '1', '2', '200'],
      ['SPC', '2024-03-02 23:59:59', '2024-03-02 23:59:59', '1', '1', '1'],
    ])
  })

  test('reads every transaction of the window once, seconds with more than a page among them; a second run finds nothing new', async () => {
    const world = await serve(days(8))
    const [crowd] = world.api.add(130, { at: world.now / 1000 - 2 * 86_400 })
    expect(world.api.transactions.filter(({ time }) => time === crowd!.time).length).toBeGreaterThanOrEqual(130)
    await world.run(form)
    await world.expectTruth(form, 5)
    const before = await world.tables()

    world.server.clearLog()
    await world.run(form)
    expect(world.server.totals.requests).toBeLessThanOrEqual(5)
    expect(await world.tables()).toEqual(before)
    const demo = await pipe(['run', file, '--demo'], { cwd: world.cwd, env: { WAREHOUSE_URL: 'duckdb:data/wallet-metrics.duckdb' } })
    expect([demo.code, demo.err]).toEqual([2, expect.stringContaining('a demo would add what is made up')])
  })

  test('an interrupted run leaves a hole, which the next run fills after it has read what is new', async () => {
    const world = await serve(days(8))
    const first = await world.pipe(form, ['--param', 'max_pages=3'])
    expect(first.code).toBe(1)
    expect(first.out).toContain('max_pages reached: 3 pages read; the next run goes on')
    const held = (await world.tables()).transactions!.rows.length
    expect(held).toBeLessThan(world.inWindow(5).length)

    world.later(2 * 86_400)
    world.api.add(200)
    const second = await world.pipe(form, ['--param', 'max_pages=2'])
    expect(second.code).toBe(1)
    world.later(60)
    await world.run(form)
    await world.expectTruth(form, 5)
  })

  test('--until-complete goes on run by run; the status file tells how far it is between them', async () => {
    const world = await serve(days(8))
    const between: Record<string, unknown>[] = []
    const status = (): Record<string, unknown> =>
      JSON.parse(readFileSync(join(world.cwd, 'status.json'), 'utf8')) as Record<string, unknown>
    world.during = async () => {
      // The file follows the run within moments, not at once.
      await vi.waitFor(() => {
        expect(status()).toMatchObject({ status: 'in_progress', complete: false })
        expect(status().steps).toContainEqual(
          expect.objectContaining({ id: 'transactions' + (form === 'v1' ? '_v1' : ''), state: 'incomplete' }),
        )
        expect(status().rows).toBeGreaterThan((between.at(-1)?.rows as number | undefined) ?? 0)
      }, 10_000)
      between.push(status())
      // What comes meanwhile is no part of this run: its window is frozen.
      world.api.add(3)
    }
    const { code, out } = await world.pipe(form, [
      '--until-complete',
      '--wait',
      '77s',
      '--status-file',
      'status.json',
      '--param',
      'max_pages=4',
    ])
    expect({ code, out: code === 0 ? '' : out }).toEqual({ code: 0, out: '' })
    expect(between.length).toBeGreaterThan(1)
    const coverage = between.map(({ days_coverage: found }) => found as number)
    expect(coverage).toEqual([...coverage].sort((a, b) => a - b))
    expect(coverage[0]).toBeGreaterThan(0)
    expect(between[0]).toMatchObject({ target_days: 5, newest: expect.stringMatching(/^2024-03-10T/) as string })
    expect(status()).toMatchObject({ status: 'complete', complete: true, target_days: 5, exit_code: 0 })
    expect(status().days_coverage).toBeCloseTo(5, 1)
    world.during = undefined
    world.later(60)
    await world.run(form)
    await world.expectTruth(form, 5)
  })
})

describe('pipelines/wallet-metrics.yaml', () => {
  test('fills Postgres with the rows that DuckDB has, and finds nothing to do there either', async () => {
    const world = await serve(days(6))
    await world.run('v3')
    const url = await postgresDatabase()
    const first = await world.pipe('v3', [], { WAREHOUSE_URL: url })
    expect({ code: first.code, out: first.code === 0 ? '' : first.out }).toEqual({ code: 0, out: '' })
    const duckdb = await world.tables()
    for (const table of ['transactions', ...metrics]) {
      const found = await ask(url, `SELECT * FROM ${table} ORDER BY 1`)
      expect(found.map(comparable), table).toEqual(duckdb[table]!.rows.map(comparable))
    }
    world.server.clearLog()
    const second = await world.pipe('v3', [], { WAREHOUSE_URL: url })
    expect([second.code, world.server.totals.requests <= 5]).toEqual([0, true])
  }, 60_000)

  test('a transaction of the future is counted and read when its time has come', async () => {
    const world = await serve(days(6))
    const [early] = world.api.add(1, { at: world.now / 1000 + 3_600 })
    const { code, out } = await world.pipe('v3')
    expect(code).toBe(0)
    expect(out).toContain('1 in the future')
    const ids = async () => (await world.tables()).transactions!.rows.map(({ tx_id: id }) => id)
    expect(await ids()).not.toContain(early!.id)
    world.later(7_200)
    await world.run('v3')
    expect(await ids()).toContain(early!.id)
    await world.expectTruth('v3', 5)
  })

  test('a key that the API refuses ends the run at once and names the setting', async () => {
    const world = await serve(days(6), { requires: { header: 'X-API-Key', value: 'right' } })
    const refused = await world.pipe('v3', [], { HIRO_API_KEY: 'wrong-key-1234' })
    expect(refused.code).toBe(1)
    expect(refused.out + refused.err).toContain('HIRO_API_KEY')
    expect(refused.out + refused.err).not.toContain('wrong-key-1234')
    expect(world.server.totals.requests).toBeLessThanOrEqual(2)
    expect((await world.pipe('v3', [], { HIRO_API_KEY: 'right' })).code).toBe(0)
    await world.expectTruth('v3', 5)
  })

  test('--demo fills the tables on a fresh folder; again, it asks next to nothing and finds nothing new', async () => {
    const cwd = temporaryFolder()
    const first = await runPipe(['run', file, '--demo'], { cwd })
    expect({ code: first.code, text: first.code === 0 ? '' : first.stdout + first.stderr }).toEqual({ code: 0, text: '' })
    expect(first.stderr).toMatch(
      /^demo: a REST API with 12000 transactions of the 200 days before 2026-01-01 listens on http:\/\/127\.0\.0\.1:\d+ and ends with this command$/m,
    )
    const read = () => readDuckdb(join(cwd, 'data/wallet-metrics-demo.duckdb'), { tables: ['transactions', ...metrics] })
    const tables = await read()
    expect(tables.transactions!.rows.length).toBeGreaterThan(10_000)
    expect(tables.daily_fees!.rows.length).toBeGreaterThanOrEqual(180)
    expect(tables.new_wallets!.rows.reduce((sum, { wallets }) => sum + Number(wallets), 0)).toBe(tables.wallet_activity!.rows.length)

    const second = await runPipe(['run', file, '--demo', '--output', 'json'], { cwd })
    expect(second.code).toBe(0)
    const events = second.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string })
    expect(events.filter(({ type }) => type === 'request').length).toBeLessThanOrEqual(5)
    expect(await read()).toEqual(tables)

    // Sources have no genesis: what the demo made up is kept apart all the same.
    const env = { WAREHOUSE_URL: 'duckdb:data/wallet-metrics-demo.duckdb', HIRO_API_KEY: 'key' }
    const real = await pipe(['run', file], { cwd, env })
    expect([real.code, real.err]).toEqual([2, expect.stringContaining('holds what a demo made up')])
    expect(await read()).toEqual(tables)
  }, 60_000)

  test('Ctrl-C ends the demo with what is committed, and the API with it', async () => {
    const cwd = temporaryFolder()
    const child = spawnPipe(['run', file, '--demo', '--output', 'json'], { cwd })
    await child.saw('"batch:committed"')
    child.kill('SIGINT')
    const { code, stderr } = await child.exit
    expect([0, 130]).toContain(code)
    const url = /listens on (http:\S+)/.exec(stderr)![1]!
    await expect(fetch(url)).rejects.toThrow()
    expect((await runPipe(['run', file, '--demo', '--param', 'days=10'], { cwd })).code).toBe(0)
  }, 60_000)
})

type Form = 'v3' | 'v1'
type Sample = readonly [time: string, wallet: string, fee: number, nonce: number]
type Content = Awaited<ReturnType<typeof readDuckdb>>

interface World {
  readonly api: FakeApi
  readonly server: ApiServer
  readonly cwd: string
  /** Milliseconds UTC. */
  readonly now: number
  /** What happens in the wait between two rounds. */
  during: (() => Promise<void>) | undefined
  later(seconds: number): void
  pipe(form: Form, args?: readonly string[], env?: Readonly<Record<string, string>>): ReturnType<typeof pipe>
  /** Runs it, and nothing may be missing. */
  run(form: Form, args?: readonly string[]): Promise<void>
  tables(): Promise<Content>
  /** What the API has of the last days. */
  inWindow(days: number): readonly ApiTransaction[]
  /** The table holds exactly what the API has of the last days, and of older ones nothing but what the API has. */
  expectTruth(form: Form, days: number): Promise<void>
}

/** Some days of transactions up to noon of March 10, 2024, about a hundred a day. */
function days(count: number): FakeApi {
  const rows = count * 110
  return fakeApi({ seed: 5, rows, ties: 9, every: Math.floor((count * 86_400) / (rows / 4.8)), from: noon / 1000 - count * 86_400 })
}
const noon = Date.UTC(2024, 2, 10, 12)

async function serve(
  api: FakeApi,
  { now: start = noon, days: windowDays = 5, ...options }: ServeApiOptions & { readonly now?: number; readonly days?: number } = {},
): Promise<World> {
  const server = await api.serve(options)
  cleanups.push(() => server.close())
  const cwd = temporaryFolder()
  let now = start
  const clock: Clock = {
    ...systemClock,
    now: () => now,
    sleep: async (ms, signal) => (ms === 77_000 ? world.during?.() : systemClock.sleep(ms, signal)),
  }
  const tables = () => readDuckdb(join(cwd, 'data/wallet-metrics.duckdb'), { tables: ['transactions', ...metrics] })
  const inWindow = (count: number) => api.transactions.filter(({ time }) => time >= now / 1000 - count * 86_400)
  const world: World = {
    api,
    server,
    cwd,
    get now() {
      return now
    },
    during: undefined,
    later: (seconds) => void (now += seconds * 1000),
    pipe: (form, args = [], env = {}) =>
      pipe(['run', file, '--param', `api=${form}`, '--param', `days=${windowDays}`, ...args], {
        cwd,
        env: { HIRO_API_URL: server.url, ...env },
        clock,
      }),
    run: async (form, args) => {
      const { code, out } = await world.pipe(form, args)
      expect({ code, out: code === 0 ? '' : out }).toEqual({ code: 0, out: '' })
    },
    tables,
    inWindow,
    expectTruth: async (form, count) => {
      const rows = (await tables()).transactions!.rows
      const truth = new Map(api.transactions.map((row) => [row.id, tableRow(row, form)]))
      expect(rows.filter((row) => truth.get(row.tx_id!) === undefined)).toEqual([])
      expect(rows).toEqual(rows.map((row) => truth.get(row.tx_id!)))
      const ids = new Set(rows.map((row) => row.tx_id))
      const lost = inWindow(count).filter(({ id }) => !ids.has(id))
      expect(lost.map(({ time }) => text(time))).toEqual([])
    },
  }
  return world
}

function tableRow(row: ApiTransaction, form: Form): Record<string, string | null> {
  return {
    tx_id: row.id,
    sender_address: row.sender,
    nonce: String(row.nonce),
    fee_rate: String(row.fee),
    block_height: String(row.height),
    block_hash: row.hash,
    block_time: text(row.time),
    burn_block_time: form === 'v1' ? text(row.burnTime) : null,
    tx_index: String(row.index),
    tx_status: row.status,
    tx_type: row.type,
    canonical: form === 'v1' ? 'true' : null,
  }
}

/** A row in one form, however its database writes numbers and truth. */
function comparable(row: Readonly<Record<string, string | null>>): Record<string, unknown> {
  const form = (value: string | null): unknown => {
    if (value !== null && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(value)) return Number(value)
    return value === 't' ? 'true' : value
  }
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, form(value)]))
}

const text = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')
const rowsOf = (content: Content[string] | undefined) => content?.rows.map((row) => Object.values(row))

/** The sample as an API with one page of it. */
function replyOf(all: readonly Sample[], form: Form, query: Readonly<Record<string, string>>): Json {
  const sample = all.filter(([at]) => Date.parse(at) / 1000 <= Number(query.end_time ?? Infinity)).slice(Number(query.offset ?? 0))

  const id = (i: number): string => `0x${String(i).padStart(64, '0')}`
  const results = sample.map((row): Record<string, Json> => {
    const [at, wallet, fee, nonce] = row
    const i = all.indexOf(row)
    const time = Date.parse(at) / 1000
    return form === 'v3'
      ? {
          tx_id: id(i),
          sender: { address: wallet, nonce },
          fee_rate: String(fee),
          block: { height: 100 - i, hash: id(100 - i), time, tx_index: 0 },
          status: 'success',
          type: 'token_transfer',
        }
      : {
          tx_id: id(i),
          nonce,
          fee_rate: String(fee),
          sender_address: wallet,
          block_hash: id(100 - i),
          block_height: 100 - i,
          block_time: time,
          burn_block_time: time,
          canonical: true,
          tx_index: 0,
          tx_status: 'success',
          tx_type: 'token_transfer',
        }
  })
  const list = { limit: 50, total: sample.length, results }
  return form === 'v3' ? { ...list, cursor: { next: null, previous: null, current: '100:2147483647:0' } } : { ...list, offset: 0 }
}
