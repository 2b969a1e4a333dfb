import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { request } from 'undici'
import { afterEach, describe, expect, test } from 'vitest'
import type { Json } from '../../sdk/index.js'
import type { ApiFault } from './fault.js'
import type { ApiServer, ServeApiOptions } from './server.js'
import { fakeApi } from './world.js'
import type { ApiTransaction, FakeApi } from './world.js'

const v3 = '/extended/v3/transactions'
const v1 = '/extended/v1/tx'
const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

describe('the world', () => {
  test('follows from its seed, newest first, and many transactions share a second', () => {
    const make = (seed: number): readonly ApiTransaction[] => fakeApi({ seed, rows: 300, ties: 8 }).transactions
    const rows = make(3)
    expect(make(3)).toEqual(rows)
    expect(make(4)).not.toEqual(rows)
    expect(rows.map(({ time, index }) => time * 1000 + index)).toEqual(
      rows.map(({ time, index }) => time * 1000 + index).sort((a, b) => b - a),
    )
    expect(new Set(rows.map((row) => row.id)).size).toBe(300)
    const sizes = rows.map((row) => rows.filter((other) => other.time === row.time).length)
    expect([Math.min(...sizes), Math.max(...sizes)]).toEqual([1, 8])
    expect(rows.at(-1)).toMatchObject({ time: 1_700_000_000, nonce: 0, index: 0, height: 4_000_000 })
  })

  test('grows at its end, by late rows, by rows in the future and by crowds in one second', () => {
    const api = fakeApi({ seed: 3, rows: 50, ties: 1 })
    const late = api.add(2, { at: 1_700_000_105 })
    const crowd = api.add(200, { at: 1_700_000_200 })
    const future = api.add(1, { at: 1_800_000_000 })
    const more = api.add(1)
    expect(api.transactions.slice(0, 2)).toEqual([...future, ...more])
    expect(more[0]!.time).toBe(1_700_000_500)
    expect(api.transactions.filter((row) => row.time === 1_700_000_200)).toHaveLength(201)
    expect(api.transactions.slice(-13, -10)).toEqual([...late.toReversed(), expect.objectContaining({ time: 1_700_000_100 })])
    api.remove(crowd[7]!.id)
    expect(api.size).toBe(253)
    expect(api.transactions).not.toContainEqual(crowd[7])
    expect(() => api.remove(crowd[7]!.id)).toThrow('there is no transaction')
  })
})

describe('the two forms of Stacks', () => {
  test('v3 gives every row once by its cursor, in the fields of the real API', async () => {
    const { api, get } = await serve(fakeApi({ seed: 5, rows: 123 }))
    const [newest] = api.transactions
    const first = await get(v3, { limit: 50 })
    expect({ ...first, results: (first.results as Json[]).slice(0, 1) }).toEqual({
      total: 123,
      limit: 50,
      cursor: { next: cursorOf(api.transactions[50]!), previous: null, current: cursorOf(newest!) },
      results: [
        {
          tx_id: newest!.id,
          sender: { address: newest!.sender, nonce: newest!.nonce },
          fee_rate: String(newest!.fee),
          block: { height: newest!.height, hash: newest!.hash, time: newest!.time, tx_index: newest!.index },
          status: newest!.status,
          type: newest!.type,
        },
      ],
    })
    const pages = await walkV3(get)
    expect(pages.map((page) => page.length)).toEqual([50, 50, 23])
    expect(pages.flat()).toEqual(api.transactions.map((row) => row.id))
  })

  test('v1 is bounded by end_time, which is inclusive or exclusive, and reads on by offset', async () => {
    const { api, get } = await serve(fakeApi({ seed: 5, rows: 200, ties: 10 }))
    const exclusive = await serve(api, { bound: 'exclusive' })
    const second = api.transactions[60]!.time
    const upTo = api.transactions.filter((row) => row.time <= second).map((row) => row.id)
    const below = api.transactions.filter((row) => row.time < second).map((row) => row.id)
    expect(ids(await get(v1, { end_time: second, limit: 50 }))).toEqual(upTo.slice(0, 50))
    expect(ids(await get(v1, { end_time: second, limit: 50, offset: 50 }))).toEqual(upTo.slice(50, 100))
    expect(ids(await exclusive.get(v1, { end_time: second, limit: 50 }))).toEqual(below.slice(0, 50))
    const row = api.transactions[0]!
    expect(await get(v1, { limit: 1 })).toEqual({
      limit: 1,
      offset: 0,
      total: 200,
      results: [
        {
          tx_id: row.id,
          nonce: row.nonce,
          fee_rate: String(row.fee),
          sender_address: row.sender,
          block_hash: row.hash,
          block_height: row.height,
          block_time: row.time,
          burn_block_time: row.burnTime,
          canonical: true,
          tx_index: row.index,
          tx_status: row.status,
          tx_type: row.type,
        },
      ],
    })
  })

  test('a naive reader that goes on at the oldest second less one loses rows', async () => {
    const { api, get } = await serve(fakeApi({ seed: 5, rows: 300, ties: 12 }))
    const seen = new Set<string>()
    for (let end: number | undefined; ;) {
      const rows = (await get(v1, { limit: 50, ...(end === undefined ? {} : { end_time: end }) })).results as {
        tx_id: string
        block_time: number
      }[]
      if (rows.length === 0) break
      for (const row of rows) seen.add(row.tx_id)
      end = Math.min(...rows.map((row) => row.block_time)) - 1
    }
    expect(seen.size).toBeLessThan(api.size)
  })

  test('more than 50 rows, a wrong cursor, an unknown path and a missing key are refused', async () => {
    const { server, get } = await serve(fakeApi({ rows: 3 }), { requires: { header: 'X-API-Key', value: 'secret' } })
    const key = { 'x-api-key': 'secret' }
    expect(await get(v3, { limit: 51 }, key)).toEqual({ statusCode: 400, error: 'Bad Request', message: 'querystring/limit must be <= 50' })
    expect(await get(v3, { cursor: '1:2' }, key)).toMatchObject({ statusCode: 400 })
    expect(await get(v1, { end_time: 'now' }, key)).toMatchObject({ message: 'querystring/end_time must be integer' })
    expect(await get('/extended', {}, key)).toMatchObject({ statusCode: 404 })
    expect(await get(v3)).toEqual({ statusCode: 401, error: 'Unauthorized', message: 'no valid X-API-Key given' })
    expect(server.log.map((entry) => entry.answer!.status)).toEqual([400, 400, 400, 404, 401])
  })

  test('a cursor holds its place while the list grows and shrinks', async () => {
    const { api, get } = await serve(fakeApi({ seed: 6, rows: 40 }), { before: (asked) => void (asked.query.cursor && api.add(7)) })
    const there = api.transactions.map((row) => row.id)
    expect((await walkV3(get, 9)).flat()).toEqual(there)
    expect(api.size).toBe(40 + 4 * 7)
    const { cursor } = (await get(v3, { limit: 5 })) as { cursor: { next: string } }
    const [gone, next] = api.transactions.slice(5)
    api.remove(gone!.id)
    expect(ids(await get(v3, { limit: 1, cursor: cursor.next }))).toEqual([next!.id])
  })

  test('a server that lags does not show what is new', async () => {
    const { api, server, get } = await serve(fakeApi({ rows: 60 }), { lag: 60 })
    const old = api.transactions.filter((row) => row.time <= api.transactions[0]!.time - 60)
    expect(await get(v1, { limit: 1 })).toMatchObject({ total: old.length, results: [{ tx_id: old[0]!.id }] })
    server.lag(0)
    expect(await get(v1, { limit: 1 })).toMatchObject({ total: 60 })
  })
})

describe('lists of every kind', () => {
  const api = fakeApi({ seed: 8, rows: 95, ties: 4 })
  const truth = api.transactions.map((row) => row.id)

  test('next cursor, next URL and Link header lead through all rows', async () => {
    const { server, get, ask } = await serve(api)
    const next: string[] = []
    for (let cursor: Json = ''; cursor !== null;) {
      const page: Body = await get('/lists/next', { limit: 20, cursor: cursor as string })
      next.push(...(page.items as { id: string }[]).map((row) => row.id))
      cursor = page.next!
    }
    expect(next).toEqual(truth)

    const url: string[] = []
    for (let at: Json = `${server.url}/lists/url?limit=20`; at !== null;) {
      const page: Body = JSON.parse((await ask(at as string)).text) as Body
      url.push(...(page.items as { id: string }[]).map((row) => row.id))
      at = page.next!
    }
    expect(url).toEqual(truth)

    const link: string[] = []
    for (let at: string | undefined = `${server.url}/lists/link?limit=20`; at !== undefined;) {
      const { text, headers }: Answer = await ask(at)
      expect(headers['x-total-count']).toBe('95')
      link.push(...(JSON.parse(text) as { id: string }[]).map((row) => row.id))
      at = /<([^>]*)>; rel="next"/.exec(String(headers.link))?.[1]
    }
    expect(link).toEqual(truth)
    expect(server.totals).toMatchObject({ requests: 15, rows: 285, paths: { '/lists/next': 5, '/lists/url': 5, '/lists/link': 5 } })
  })

  test('offset, page and key count on from what was read; time and window are bounds in a unit of choice', async () => {
    const { get } = await serve(api)
    const items = async (path: string, query: Query): Promise<readonly unknown[]> => ids(await get(path, query), 'items')
    expect(await items('/lists/offset', { limit: 30, offset: 30 })).toEqual(truth.slice(30, 60))
    expect(await items('/lists/page', { limit: 30, page: 4 })).toEqual(truth.slice(90))
    expect(await items('/lists/key', { limit: 30, after: truth[9]! })).toEqual(truth.slice(10, 40))
    const second = api.transactions[40]!.time
    const upTo = api.transactions.filter((row) => row.time <= second).map((row) => row.id)
    for (const before of [String(second), `${second}999`, new Date(second * 1000 + 999).toISOString()]) {
      const unit = before.includes('T') ? 'iso' : before.length > 10 ? 'ms' : 's'
      expect(await items('/lists/time', { limit: 50, before, unit }), unit).toEqual(upTo.slice(0, 50))
    }
    const [start, end] = [api.transactions[30]!.time, api.transactions[3]!.time]
    const inside = api.transactions.filter((row) => row.time >= start && row.time <= end).map((row) => row.id)
    expect(await get('/lists/window', { limit: 50, start, end })).toMatchObject({ total: inside.length })
    expect(await items('/lists/window', { limit: 50, start, end })).toEqual(inside)
    const exclusive = await serve(api, { bound: 'exclusive' })
    expect(ids(await exclusive.get('/lists/window', { limit: 50, start, end }), 'items')).toEqual(
      api.transactions.filter((row) => row.time >= start && row.time < end).map((row) => row.id),
    )
  })

  test('prices are hourly, seeded, in range and not of the future', async () => {
    const clock = { now: () => 1_700_100_000_000, monotonic: () => 0, sleep: () => Promise.resolve() }
    const { get } = await serve(api, { clock })
    const range = async (from: number, to: number): Promise<readonly [number, number][]> =>
      (await get('/api/v3/coins/ethereum/market_chart/range', { vs_currency: 'usd', from, to })).prices as [number, number][]
    const day = await range(1_699_920_000, 1_700_006_400)
    expect(day).toHaveLength(24)
    expect(day.map(([ms]) => Math.floor(ms / 3_600_000))).toEqual(Array.from({ length: 24 }, (_, i) => 472_200 + i))
    expect(day.every(([, price]) => price > 0)).toBe(true)
    expect([...(await range(1_699_920_000, 1_699_963_200)), ...(await range(1_699_963_200, 1_700_006_400))]).toEqual(day)
    expect((await range(1_700_092_800, 1_700_179_200)).every(([ms]) => ms <= 1_700_100_000_000)).toBe(true)
  })
})

describe('faults', () => {
  const cases: [string, ApiFault, Query, object][] = [
    ['a cursor that stays', { kind: 'cursor', next: 'same' }, { cursor: 'X' }, { cursor: { next: 'X' } }],
    ['a last page that is none', { kind: 'cursor', next: 'none' }, {}, { cursor: { next: null } }],
    ['a cursor to elsewhere', { kind: 'cursor', next: 'http://169.254.169.254/' }, {}, { cursor: { next: 'http://169.254.169.254/' } }],
    ['an empty page with a cursor', { kind: 'empty' }, {}, { results: [], cursor: { next: 'X1' } }],
    ['an empty page without', { kind: 'empty', cursor: false }, {}, { results: [], cursor: { next: null } }],
    ['a short page', { kind: 'short', rows: 1 }, {}, { results: [{ tx_id: '0' }], cursor: { next: '1' } }],
    ['doubled rows', { kind: 'double', rows: 1 }, {}, { results: [{ tx_id: '0' }, { tx_id: '1' }, { tx_id: '1' }] }],
    ['a wrong total', { kind: 'total', by: 13 }, {}, { total: 16 }],
    ['an error with status 200', { kind: 'error', error: 'sorry' }, {}, { error: 'sorry' }],
    ['no list', { kind: 'records', value: null }, {}, { results: null, total: 3 }],
    [
      'a field of another type',
      { kind: 'field', path: 'block.time', as: { value: '2024-01-01' } },
      {},
      { results: [{ block: { time: '2024-01-01' } }, {}] },
    ],
  ]
  test.each(cases)('%s', async (_, fault, query, expected) => {
    const { api, server, get } = await serve(fakeApi({ seed: 2, rows: 3 }))
    const name = (text: string): string => {
      if (/^\d$/.test(text)) return api.transactions[Number(text)]!.id
      return text === 'X' ? cursorOf(api.transactions[0]!) : cursorOf(api.transactions[0]!, 1)
    }
    const named = JSON.parse(
      JSON.stringify(expected, (key, value: unknown) =>
        key === 'next' && value === '1'
          ? cursorOf(api.transactions[1]!)
          : typeof value === 'string' && /^(\d|X1?)$/.test(value)
            ? name(value)
            : value,
      ),
    ) as object
    const armed = server.fault(fault)
    const asked = query.cursor === 'X' ? { cursor: name('X') } : query
    expect(await get(v3, { limit: 2, ...asked })).toMatchObject(named)
    expect([armed.hits, server.log[0]!.answer!.faults]).toEqual([1, [fault.kind]])
    armed.remove()
    expect(await get(v3, { limit: 3 })).toMatchObject({ total: 3, results: api.transactions.map((row) => ({ tx_id: row.id })) })
  })

  test('a cursor that cycles leads back to the page before, again and again', async () => {
    const { server, get } = await serve(fakeApi({ rows: 100 }))
    server.fault({ kind: 'cursor', next: 'cycle' })
    const seen: string[] = []
    for (let cursor = ''; seen.length < 6; seen.push(cursor)) {
      cursor = ((await get(v3, { limit: 10, cursor })).cursor as { next: string }).next
    }
    const [a, b] = seen
    expect(a).not.toBe(b)
    expect(seen).toEqual([a, b, a, b, a, b])
  })

  test('fields go missing, are renamed, in one row or in all; a function may say anything', async () => {
    const { server, get } = await serve(fakeApi({ rows: 2 }))
    server.fault({ kind: 'field', path: 'sender.nonce', as: 'missing', row: 1 })
    server.fault({ kind: 'field', path: 'tx_id', as: { name: 'id' } })
    server.fault({ kind: 'reply', change: (reply) => ({ ...(reply as object), extra: true }) })
    const { results, extra } = await get(v3)
    expect(extra).toBe(true)
    expect(
      (results as Record<string, Json>[]).map((row) => [
        Object.keys(row).includes('tx_id'),
        typeof row.id,
        Object.keys(row.sender as object),
      ]),
    ).toEqual([
      [false, 'string', ['address', 'nonce']],
      [false, 'string', ['address']],
    ])
  })

  test('statuses, limits with and without Retry-After, dropped and damaged replies', async () => {
    const { server, ask, get } = await serve(fakeApi({ rows: 2 }))
    const url = `${server.url}${v3}`
    const once = async (fault: ApiFault): Promise<Answer> => {
      server.fault({ ...fault, times: 1 })
      return ask(url)
    }
    expect(await once({ kind: 'http', status: 403, body: '<html>no</html>' })).toMatchObject({ status: 403, text: '<html>no</html>' })
    expect(await once({ kind: 'rate-limit', retryAfter: 7 })).toMatchObject({ status: 429, headers: { 'retry-after': '7' } })
    expect((await once({ kind: 'rate-limit', status: 503 })).headers).not.toHaveProperty('retry-after')
    await expect(once({ kind: 'drop' })).rejects.toThrow()
    await expect(once({ kind: 'reset', at: 0.5 })).rejects.toThrow()
    const truth = (await ask(url)).bytes
    expect((await once({ kind: 'truncate', at: 0.5 })).bytes).toEqual(truth.subarray(0, Math.floor(truth.length / 2)))
    expect((await once({ kind: 'bom' })).text).toBe('\uFEFF' + truth.toString())
    expect(gunzipSync((await once({ kind: 'gzip' })).bytes)).toEqual(truth)
    expect(brotliDecompressSync((await once({ kind: 'brotli' })).bytes)).toEqual(truth)
    server.fault({ kind: 'rate', perSecond: 0.01, burst: 2, retryAfter: true })
    expect((await Promise.all([ask(url), ask(url), ask(url)])).map((answer) => answer.status).sort()).toEqual([200, 200, 429])
    server.clear()
    server.fault({ kind: 'http', status: 500, paths: ['/extended/v1'] })
    expect(await get(v3)).toMatchObject({ total: 2 })
    expect(() => server.fault({ kind: 'nothing' } as unknown as ApiFault)).toThrow('no fault is called nothing')
  })
})

type Query = Readonly<Record<string, string | number>>
type Body = Readonly<Record<string, Json>>
interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly bytes: Buffer
  readonly text: string
}
interface Served {
  readonly api: FakeApi
  readonly server: ApiServer
  ask(url: string, headers?: Readonly<Record<string, string>>): Promise<Answer>
  get(path: string, query?: Query, headers?: Readonly<Record<string, string>>): Promise<Body>
}

async function serve(api: FakeApi, options: ServeApiOptions = {}): Promise<Served> {
  const server = await api.serve(options)
  cleanups.push(() => server.close())
  const ask: Served['ask'] = async (url, headers = {}) => {
    const reply = await request(url, { headers })
    const bytes = Buffer.from(await reply.body.arrayBuffer())
    return { status: reply.statusCode, headers: reply.headers, bytes, text: bytes.toString() }
  }
  const get: Served['get'] = async (path, query = {}, headers = {}) => {
    const search = new URLSearchParams(Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]))
    return JSON.parse((await ask(`${server.url}${path}?${search.toString()}`, headers)).text) as Body
  }
  return { api, server, ask, get }
}

async function walkV3(get: Served['get'], limit = 50): Promise<readonly (readonly unknown[])[]> {
  const pages: (readonly unknown[])[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Body = await get(v3, { limit, cursor })
    pages.push(ids(page))
    cursor = (page.cursor as { next: string | null }).next
  }
  return pages
}

function ids(page: Body, list = 'results'): readonly unknown[] {
  return (page[list] as Record<string, Json>[]).map((row) => row.tx_id ?? row.id)
}

function cursorOf(row: ApiTransaction, mark = 0): string {
  return `${row.height}:${2_147_483_647 - mark}:${row.index}`
}
