import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import type { Json, Warehouse } from '../../src/sdk/index.js'
import { openWarehouse } from '../../src/warehouse/open.js'
import { readYaml, runAt } from '../../test/support/api-run.js'
import { all } from '../../test/support/warehouse.js'

/** What a reply of status 200 tells instead of its rows, and how its values come into the table. */

const NOW = 1_700_000_000
const left = new Set<{ close(): unknown }>()
afterEach(async () => {
  for (const each of left) await each.close()
  left.clear()
})

/** A reply as it goes over the line. */
interface Raw {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

const json = (value: Json): Raw => ({ body: JSON.stringify(value) })
const page = (ids: readonly number[], next: string | null): Raw => json({ items: ids.map((id) => ({ id, time: NOW - id })), next })
/** Two pages, as they are. */
const truth = (n: string | null): Raw => (n === null ? page([1, 2], '2') : page([3], null))

interface World {
  /** Replies instead of the true ones, by the number of the request from 1. */
  readonly instead?: Readonly<Record<number, Raw>>
  readonly reply?: (cursor: string | null, request: number) => Raw
  readonly columns?: string
  readonly key?: string
  readonly row?: string
  readonly more?: string
  readonly cursor?: string
}

/** One run over a list of its own. */
async function read({ instead = {}, reply, columns = 'id: bigint', key = 'id', row = 'id: id', more = '', cursor = 'next: next' }: World) {
  let requests = 0
  const server: Server = createServer((request, response) => {
    requests++
    const given = new URL(request.url ?? '', 'http://x').searchParams.get('c')
    const { status = 200, headers, body } = instead[requests] ?? (reply ?? truth)(given, requests)
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  left.add({ close: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))) })
  const yaml = `name: p
warehouse: duckdb:p.duckdb
sources: { api: { url: "\${URL}", retry: { attempts: 5, wait: 1ms, max_wait: 2ms } } }
tables: { t: { columns: { ${columns} }, key: [${key}] } }
steps:
  - id: t
    type: paginate-cursor
    source: api
    into: t
    retry: { attempts: 1 }
    with:
      request: { path: /list, query: { c: $cursor } }
      records: items
      cursor: { ${cursor} }
      row: { ${row} }
${more === '' ? '' : `      ${more}\n`}`
  const pipeline = await readYaml(yaml, { URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  const warehouse: Warehouse = await openWarehouse('duckdb::memory:', { mode: 'write' })
  left.add(warehouse)
  await warehouse.prepare([...pipeline.tables.values()])
  const { outcome, facts } = await runAt(pipeline, warehouse, { now: NOW })
  const rows = (sql = 'SELECT * FROM t ORDER BY 1') => all(warehouse, sql)
  const ids = (await rows('SELECT id FROM t ORDER BY id')).map(({ id }) => String(id as bigint))
  const retries = facts.flatMap((fact) => (fact.type === 'retry' ? [fact.class] : []))
  const warnings = facts.flatMap((fact) => (fact.type === 'warning' ? [fact.message] : []))
  const hints = facts.flatMap((fact) => (fact.type === 'unit:failed' ? [fact.hint] : []))
  const reason = facts.flatMap((fact) => (fact.type === 'unit:failed' ? [`${fact.code}: ${fact.error}`] : [])).join('; ')
  return { outcome, reasons: reason, ids, rows, requests, retries, warnings, hints }
}

const whole = { outcome: 'done', reasons: '', ids: ['1', '2', '3'] }

describe('a reply of status 200 that is no page', () => {
  /** Replies that are no page, each once, where a page should be. */
  const noPages: readonly Raw[] = [
    json({ error: 'database is restarting' }),
    json({ error: { message: 'partial' }, items: [{ id: 9 }], next: null }),
    json({ errors: [{ message: 'shard 3 is away' }], items: [] }),
    json({ success: false, items: [], next: null }),
    json(null),
    json({ message: 'try later' }),
    json({ items: { error: 'busy' }, next: null }),
    json({ items: null, next: null }),
    json({ items: 'backend unreachable' }),
    json('unavailable'),
    json({ items: [null], next: null }),
    json({ items: [{}], next: null }),
    json({ status: 'error', items: [], next: null }),
    json({ message: 'Internal server error', items: [], next: null }),
    { headers: { 'content-type': 'text/plain' }, body: 'upstream gave up' },
    { status: 304, body: '' },
  ]

  it('is asked for again, and no row is lost', async () => {
    const last = noPages.length
    // Each place once: the end of the list is asked for a second time.
    const asked = new Set<number>()
    const { outcome, reasons, ids, retries } = await read({
      reply: (cursor) => {
        const n = Number(cursor ?? 0)
        const first = !asked.has(n)
        asked.add(n)
        return (first && noPages[n]) || page([n], n < last ? String(n + 1) : null)
      },
    })
    const all = Array.from({ length: last + 1 }, (_, n) => String(n)).sort()
    expect({ outcome, reasons, ids: [...ids].sort() }).toEqual({ outcome: 'done', reasons: '', ids: all })
    expect(retries).toEqual(noPages.map(() => 'SERVER'))
  })

  it.each<[Raw, string]>([
    [json({ error: 'database is restarting' }), 'PAGE_ERROR: the source answered with an error: database is restarting'],
    [json({ items: null }), 'PAGE_SHAPE: /items is null, not a list of records'],
    [json({ rows: [] }), 'PAGE_SHAPE: /items is missing (`records: items`)'],
    [{ status: 304, body: '' }, 'HTTP_UNREACHABLE: source api: HTTP 304: (5 attempts)'],
    [{ body: '{"items":[{"id":NaN}],"next":null}' }, "HTTP_UNREADABLE: source api: the reply to /list can't be read: Unexpected token 'N'"],
    [{ body: '{"items":[{"id":1' }, 'HTTP_UNREACHABLE: source api: HTTP 200: the reply ended early (5 attempts)'],
  ])('%j is asked for 5 times, then it fails by name', async (raw, reason) => {
    const { outcome, reasons, requests } = await read({ reply: () => raw })
    expect([outcome, requests, reasons]).toEqual(['incomplete', 5, expect.stringContaining(reason)])
  })

  it('a value that does not fit its column would be the same again, so it is asked for once', async () => {
    const { reasons, requests } = await read({ reply: () => json({ items: [{ id: 'x' }], next: null }) })
    expect([requests, reasons]).toEqual([1, expect.stringContaining('PAGE_SHAPE: /items/0 t.id: "x" is no whole number')])
  })

  it('is waited for where it tells of a rate limit', async () => {
    const limits: Readonly<Record<number, Raw>> = {
      1: json({ status: '0', message: 'NOTOK', items: 'Max rate limit reached, try again in 2 ms' }),
      2: json({ message: 'Too Many Requests, retry after 2 ms', items: [], next: null }),
      3: json({ code: 429, message: 'slower, please wait 2 ms' }),
      4: json({ error: { type: 'RATE_LIMIT_EXCEEDED', message: 'try again in 2 ms' }, items: [] }),
      5: { headers: { 'content-type': 'text/plain' }, body: 'Too many requests, try again in 2 ms' },
    }
    const { outcome, reasons, ids, retries } = await read({ instead: limits })
    expect({ outcome, reasons, ids, retries }).toEqual({ ...whole, retries: ['RATE', 'RATE', 'RATE', 'RATE', 'RATE'] })
  })

  it.each<[Raw, string]>([
    [
      json({ status: '0', message: 'NOTOK', items: 'Invalid API Key' }),
      'HTTP_LOGIN_REFUSED: source api: not let in (NOTOK: Invalid API Key)',
    ],
    [
      json({ message: 'No API key found in request', items: [] }),
      'HTTP_LOGIN_REFUSED: source api: not let in (No API key found in request)',
    ],
    [
      json({ error: 'Max daily rate limit reached. 100 (100%) of 100 day/limit' }),
      'HTTP_QUOTA_USED_UP: source api: asks to wait 60 minutes',
    ],
    [json({ error: { code: 402, message: 'pay' } }), 'HTTP_QUOTA_USED_UP'],
  ])('%j is said for what it is and not asked again', async (raw, reason) => {
    // The first page is asked for twice.
    const { requests, reasons, ids } = await read({ instead: { 3: raw } })
    expect([requests, reasons, ids]).toEqual([3, expect.stringContaining(reason), ['1', '2']])
  })

  it('"No transactions found" beside an empty list is an empty list, whatever the status says', async () => {
    const none = json({ status: '0', message: 'No transactions found', items: [], next: null })
    const { outcome, reasons, ids, retries } = await read({ reply: (cursor) => (cursor === null ? page([1], '2') : none) })
    expect({ outcome, reasons, ids, retries }).toEqual({ outcome: 'done', reasons: '', ids: ['1'], retries: [] })
  })

  it('`error` says where an error stands, which ones pass, which mean a limit, and what means nothing', async () => {
    const error = 'error: { path: status, ok: [1, fine], retry: busy, rate_limit: calm down, empty: nothing here }'
    const with1 = (n: string | null): Raw => json({ ...(JSON.parse(truth(n).body as string) as object), status: n === null ? 1 : 'fine' })
    const told = await read({
      more: error,
      reply: with1,
      instead: { 1: json({ status: 'busy' }), 2: json({ status: 0, message: 'please calm down', items: [], next: null }) },
    })
    expect(told).toMatchObject({ ...whole, retries: ['SERVER', 'RATE'] })
    const final = await read({ more: error, reply: () => json({ status: 'broken', items: [], next: null }) })
    expect([final.requests, final.reasons]).toEqual([1, 'PAGE_ERROR: the source answered with an error: broken'])
    const empty = await read({ more: error, reply: () => json({ status: 'Nothing here', next: null }) })
    expect([empty.outcome, empty.reasons, empty.ids]).toEqual(['done', '', []])
  })
})

describe('bytes', () => {
  const list = (text: string, encoding: BufferEncoding) => Buffer.from(`{"items":[{"id":1,"name":"${text}"}],"next":null}`, encoding)
  const named = { columns: 'id: bigint, name: text', row: 'id: id, name: name' }

  it.each<[string, Raw]>([
    ['iso-8859-1', { headers: { 'content-type': 'application/json; charset=iso-8859-1' }, body: list('Zürich', 'latin1') }],
    ['utf-16le', { headers: { 'content-type': 'application/json;charset="UTF-16LE"' }, body: list('Zürich', 'utf16le') }],
    ['GZIP in capitals', { headers: { 'content-encoding': 'GZIP' }, body: gzipSync(list('Zürich', 'utf8')) }],
    ['brotli', { headers: { 'content-encoding': ' Br' }, body: brotliCompressSync(list('Zürich', 'utf8')) }],
  ])('in %s are read as their headers say', async (_, raw) => {
    expect(await (await read({ ...named, reply: () => raw })).rows()).toEqual([{ id: 1n, name: 'Zürich' }])
  })

  it.each<[Raw, string]>([
    [{ body: list('Zürich', 'latin1') }, 'the bytes at 30 are no UTF-8, and its content-type is application/json'],
    [{ headers: { 'content-type': 'application/json; charset=x-none' }, body: '{}' }, 'its charset x-none is not known'],
    [{ headers: { 'content-encoding': 'zstd' }, body: '{}' }, 'content-encoding zstd is not known (gzip, x-gzip, deflate, br are)'],
  ])('that are no text are refused by name', async (raw, problem) => {
    const { outcome, reasons, ids } = await read({ ...named, reply: () => raw })
    expect([outcome, reasons, ids]).toEqual(['incomplete', `HTTP_UNREADABLE: source api: the reply to /list can't be read: ${problem}`, []])
  })
})

describe('values', () => {
  const items = (records: string): Raw => ({ body: `{"items":[${records}],"next":null}` })

  it('numbers of a json column stay digit for digit, whatever the names beside them', async () => {
    const value = '{"digits":12345678901234567890,"f":0.1234567890123456789,"e":[1e3,-0,1.10,7],"__proto__":{"n":1e400}}'
    const { rows } = await read({
      columns: 'id: bigint, j: json, big: uint256, part: json',
      row: 'id: id, j: j, big: j.digits, part: j.f',
      reply: () => items(`{"id":1,"j":${value}}`),
    })
    expect(await rows('SELECT CAST(j AS VARCHAR) AS j, big, CAST(part AS VARCHAR) AS part FROM t')).toEqual([
      { j: value, big: 12345678901234567890n, part: '0.1234567890123456789' },
    ])
  })

  it('NUL and half characters are replaced, and a warning says in how many texts', async () => {
    const { rows, warnings } = await read({
      columns: 'id: bigint, a: text, j: json',
      row: 'id: id, a: a, j: j',
      reply: () => items(String.raw`{"id":1,"a":"x\u0000","j":["\ud800"]},{"id":2,"a":"fine","j":[]}`),
    })
    expect(await rows('SELECT a, j FROM t ORDER BY id')).toEqual([
      { a: 'x\ufffd', j: ['\ufffd'] },
      { a: 'fine', j: [] },
    ])
    expect(warnings).toEqual(['U+FFFD is in place of NUL or half a character, which not every warehouse stores, in 2 texts'])
  })

  it('two keys, or two names in an object, that would become one by that are refused', async () => {
    const keys = { columns: 'name: text, id: bigint', key: 'name', row: 'name: name, id: id' }
    const { reasons, ids } = await read({ ...keys, reply: () => items(String.raw`{"id":1,"name":"a\u0000"},{"id":2,"name":"a\ud800"}`) })
    expect([reasons, ids]).toEqual([expect.stringContaining('t.name: "a\\u0000" holds NUL or half a character'), []])
    const names = { columns: 'id: bigint, j: json', row: 'id: id, j: j' }
    const { reasons: second } = await read({ ...names, reply: () => items(String.raw`{"id":1,"j":{"\u0000":1,"\ud800":2}}`) })
    expect(second).toContain('has two names that become one')
  })

  it('times of any unit are mapped without `cover`, cut off at microseconds', async () => {
    const times: Readonly<Record<string, readonly [unit: string | undefined, value: string]>> = {
      a: ['s', '1700000000.123456'],
      b: ['s', '"1700000000.1234569"'],
      c: ['ms', '1700000000123.4569'],
      d: ['us', '1700000000123456'],
      e: ['ns', '1700000000123456789'],
      f: ['ns', '"1700000000123456789"'],
      g: ['us', '"0x60a2418202240"'],
      h: ['iso', '"2023-11-14T22:13:20.123456789Z"'],
      i: [undefined, '"2023-11-14T22:13:20.123456789Z"'],
    }
    const each = Object.entries(times)
    const { reasons, rows } = await read({
      columns: `id: bigint, z: timestamp?, ${each.map(([name]) => `${name}: timestamp`).join(', ')}`,
      row: `id: id, z: { path: z, unit: s }, ${each.map(([name, [unit]]) => `${name}: ${unit ? `{ path: ${name}, unit: ${unit} }` : name}`).join(', ')}`,
      reply: () => items(`{"id":1,"z":null,${each.map(([name, [, value]]) => `"${name}":${value}`).join(',')}}`),
    })
    const exact = Object.fromEntries(each.map(([name]) => [name, 1_700_000_000_123_456n]))
    expect([reasons, await rows()]).toEqual(['', [{ id: 1n, z: null, ...exact }]])
  })

  it('a time outside of its range is refused by name, with the unit that it seems to be in, unless the range is declared', async () => {
    const columns = 'id: bigint, t1: timestamp'
    const refused = await read({ columns, row: 'id: id, t1: { path: at, unit: s }', reply: () => items('{"id":1,"at":1700000000123}') })
    expect([refused.reasons, refused.hints]).toEqual([
      'PAGE_TIME: /items/0/at is 1700000000123, which is no time from 2009-01-01T00:00:00Z to 2099-12-31T23:59:59.999999Z in s',
      ['it would be one in ms: row: { t1: { path: at, unit: ms } }'],
    ])
    const range = 'range: { from: 1960-01-01, to: 2150-06-01 }'
    const row = `id: id, t1: { path: at, unit: s, ${range} }`
    const declared = await read({ columns, row, reply: () => items('{"id":1,"at":-86400},{"id":2,"at":4102444800}') })
    expect(await declared.rows('SELECT t1 FROM t ORDER BY id')).toEqual([{ t1: -86_400_000_000n }, { t1: 4_102_444_800_000_000n }])
    const late = await read({ columns, row: `id: id, t1: { path: at, ${range} }`, reply: () => items('{"id":1,"at":"2150-06-02"}') })
    expect(late.reasons).toContain('TIME_REFUSED: t.t1: "2150-06-02" (at) is the time 2150-06-02T00:00:00Z')
  })

  it('the unit of a time stands at one place: `row` says it for `cover`, too', async () => {
    const { reasons, rows } = await read({
      columns: 'id: bigint, time: timestamp',
      row: 'id: id, time: { path: time, unit: ns }',
      more: 'cover: { from: 2023-11-14, to: 2023-11-14T22:00:00Z, time: time }',
      reply: () => items(`{"id":1,"time":1699999000000000001}`),
    })
    expect([reasons, await rows('SELECT time FROM t')]).toEqual(['', [{ time: 1_699_999_000_000_000n }]])
  })
})
