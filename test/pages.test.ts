import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ApiServer, type FakeApi, fakeApi } from '../src/sandbox/index.js'
import type { PlanReport } from '../src/plan/forecast.js'
import { apiYaml } from './support/api-run.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'

let api: FakeApi
let server: ApiServer
beforeAll(async () => {
  api = fakeApi({ seed: 23, rows: 1_500, every: 600 })
  server = await api.serve()
})
afterAll(() => server.close())

function project() {
  const cwd = temporaryFolder()
  const file = join(cwd, 'p.yaml')
  const write = (edit: (yaml: string) => string = (yaml) => yaml) =>
    writeFileSync(file, edit(apiYaml({ way: 'next', limit: 20, cover: 'from: 2023-11-14, to: 2023-11-16T00:00:00Z' })))
  write()
  const call = (...args: string[]) => pipe([args[0] ?? '', file, ...args.slice(1)], { cwd, env: { URL: server.url } })
  return {
    cwd,
    write,
    call,
    plan: async () => (JSON.parse((await call('plan', '--json')).out) as PlanReport).steps[0],
    table: async () => (await readDuckdb(join(cwd, 'p.duckdb'))).t?.rows ?? [],
  }
}

const inWindow = (from = '2023-11-14', to = '2023-11-16') =>
  api.transactions
    .filter(({ time }) => time * 1000 >= Date.parse(from) && time * 1000 <= Date.parse(to))
    .map(({ id }) => String(id))
    .sort()

/** The oldest and the newest row of the window, as the source has them. */
const ends = () => {
  const inside = new Set(inWindow())
  const times = api.transactions.filter(({ id }) => inside.has(String(id))).map(({ time }) => time * 1000)
  return { oldest: new Date(Math.min(...times)).toISOString(), newest: new Date(Math.max(...times)).toISOString() }
}

it('plan tells the lanes before and after; the status file tells what is covered', async () => {
  const { cwd, call, plan, table } = project()
  expect(await plan()).toMatchObject({
    piece: 'days',
    requests: null,
    units: [
      {
        unit: '2023-11-14T00:00:00Z..2023-11-16T00:00:00Z',
        piece: { kind: 'stretch', of: 'time', from: '1699920000000000', to: '1700092800000000', order: 'newest-first' },
        reason: 'new',
      },
    ],
  })
  expect((await call('plan')).out).toContain('requests: unknown before its first run')
  const status = join(cwd, 'status.json')
  expect((await call('run', '--status-file', status)).code).toBe(0)
  expect((await table()).map(({ id }) => id)).toEqual(inWindow())
  expect(JSON.parse(readFileSync(status, 'utf8'))).toMatchObject({
    status: 'complete',
    rows: inWindow().length,
    ...ends(),
    rows_written: inWindow().length,
    days_coverage: 2,
    target_days: 2,
    complete: true,
  })
  // A second run writes nothing, and the table holds what it held.
  expect((await call('run', '--status-file', status)).code).toBe(0)
  expect(JSON.parse(readFileSync(status, 'utf8'))).toMatchObject({ rows: inWindow().length, ...ends(), rows_written: 0, complete: true })
  // The list goes on above the window, so all of it is covered for good.
  expect(await plan()).toMatchObject({ pieces: 0, units: [] })
  const before = server.count()
  expect((await call('run')).code).toBe(0)
  expect(server.count()).toBe(before)
})

it('reset uncovers a stretch of time; the next run reads it again and takes away what the source no longer has, there only', async () => {
  const { call, plan, table } = project()
  expect((await call('run')).code).toBe(0)
  const [gone] = api.transactions.filter(
    ({ time }) => time * 1000 > Date.parse('2023-11-15T06:00:00Z') && time * 1000 < Date.parse('2023-11-15T07:00:00Z'),
  )
  const [elsewhere] = api.transactions.filter(({ time }) => time * 1000 < Date.parse('2023-11-15T01:00:00Z'))
  const all = inWindow()
  for (const { id } of [gone, elsewhere].flatMap((each) => each ?? [])) api.remove(id)
  expect((await call('reset', '--step', 't', '--range', '2023-11-15T05:00:00Z..2023-11-15T08:00:00Z')).out).toContain(
    't 2023-11-15T05:00:00Z..2023-11-15T08:00:00Z: will be done again',
  )
  expect(await plan()).toMatchObject({
    units: [{ unit: '2023-11-15T05:00:00Z..2023-11-15T08:00:00Z', reason: 'reset', againDays: expect.any(Number) as number }],
  })
  expect((await call('run')).code).toBe(0)
  expect((await table()).map(({ id }) => id)).toEqual(all.filter((id) => id !== gone?.id))
  expect((await plan())?.pieces).toBe(0)
})

it('a changed `row` is read again under its reason, and no row of the old reading is left', async () => {
  const { call, plan, table, write } = project()
  expect((await call('run')).code).toBe(0)
  write((yaml) => yaml.replace('fee: fee', 'fee: height'))
  expect((await plan())?.units.map(({ reason }) => reason)).toEqual(['changed: row'])
  expect((await call('run')).code).toBe(0)
  const heights = new Map(api.transactions.map(({ id, height }) => [String(id), String(height)]))
  expect((await table()).map(({ id, fee }) => [id, fee])).toEqual(inWindow().map((id) => [id, heights.get(id)]))
  expect((await plan())?.pieces).toBe(0)
})

it('a list without `cover` is read again as a whole: what a changed `row`, or the source, no longer gives is gone', async () => {
  const { call, plan, table, write } = project()
  const whole = apiYaml({ way: 'next', limit: 20, cover: undefined })
  write(() => whole)
  // Nobody knows how long the list is.
  expect((await call('plan')).out).toContain('requests: unknown before its first run')
  // Cut off, so that the old definition is not done.
  expect((await call('run', '--limit', '3')).code).toBe(1)
  const [first] = await table()
  expect((await table()).length).toBe(60)
  api.remove(String(first?.id))
  write(() => whole.replace('fee: fee', 'fee: height'))
  expect((await plan())?.units.map(({ reason }) => reason)).toEqual(['changed: row'])
  const rows = () => api.transactions.map(({ id, height }) => [String(id), String(height)]).sort(([a = ''], [b = '']) => (a < b ? -1 : 1))
  const held = async () => (await table()).map(({ id, fee }) => [id, fee])
  expect([(await call('run')).code, await held()]).toEqual([0, rows()])
  api.remove(String(rows()[0]?.[0]))
  expect((await call('reset', '--step', 't')).code).toBe(0)
  expect([(await call('run')).code, await held()]).toEqual([0, rows()])
  expect((await call('verify')).code).toBe(0)
})

it('pages, overlap and the way to page are no part of what is done: changing them reads nothing again', async () => {
  const { call, plan, write } = project()
  expect((await call('run')).code).toBe(0)
  write(
    (yaml) => `${yaml.replace('cursor: { next: next }', 'cursor: { next: next, optional: true }')}      max_pages: 7\n      overlap: 5m\n`,
  )
  expect((await plan())?.pieces).toBe(0)
})

it('a lane that is read again and again leaves one row of what it covered', async () => {
  const { call, write, cwd } = project()
  write((yaml) => yaml.replace(', to: 2023-11-16T00:00:00Z', ''))
  for (let n = 0; n < 3; n++) {
    expect((await call('run')).code).toBe(0)
    api.add(40)
  }
  expect((await call('run')).code).toBe(0)
  const { t, _pipe_units: units } = await readDuckdb(join(cwd, 'p.duckdb'))
  expect(t?.rows.length).toBe(api.size)
  // What earlier runs covered, what the last one added, and what may still change.
  expect(units?.rows.length).toBeLessThanOrEqual(3)
})

it('records that are lists are picked by number, in windows of the time, each asked for once, and one of two shows that a page holds more', async () => {
  const cwd = temporaryFolder()
  const file = join(cwd, 'prices.yaml')
  writeFileSync(
    file,
    `name: prices
warehouse: duckdb:p.duckdb
sources: { coingecko: { url: "\${URL}/api/v3" } }
tables: { prices: { columns: { token: text, time: timestamp, usd: float }, key: [token, time] } }
params: { coin: { type: text, default: wrapped bitcoin } }
steps:
  - id: prices
    type: paginate-cursor
    source: coingecko
    into: prices
    with:
      cover: { from: 2024-03-01, to: 2024-03-03T23:59:59Z, time: item.0, unit: ms }
      request: { path: /coins/$coin/market_chart/range, query: { vs_currency: usd, from: $start, to: $end } }
      records: prices
      cursor: { window: 1d, time: s }
      row: { token: $coin, time: item.0, usd: item.1 }
`,
  )
  const before = server.count()
  const { code, out, err } = await pipe(['run', file], { cwd, env: { URL: server.url } })
  expect({ code, err, out: code === 0 ? '' : out }).toEqual({ code: 0, err: '', out: '' })
  const rows = (await readDuckdb(join(cwd, 'p.duckdb'))).prices?.rows ?? []
  const path = '/api/v3/coins/wrapped%20bitcoin/market_chart/range'
  const chart = (await (await fetch(`${server.url}${path}?vs_currency=usd&from=1709251200&to=1709510399`)).json()) as {
    prices: [number, number][]
  }
  expect(rows.map(({ usd }) => Number(usd))).toEqual(chart.prices.map(([, usd]) => usd))
  // Four windows, of two widths: for each of these one that is twice as wide.
  expect(server.count() - before).toBe(6)
  // Another coin is another reading: the value in the path is part of what was asked.
  expect((await pipe(['plan', file, '--param', 'coin=ether', '--json'], { cwd, env: { URL: server.url } })).out).toContain(
    '"changed: request, row"',
  )
})
