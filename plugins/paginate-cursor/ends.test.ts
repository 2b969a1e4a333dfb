import { afterEach, describe, expect, it } from 'vitest'
import { type ApiFault, type ApiRequest, type FakeApi, fakeApi, type ServeApiOptions } from '../../src/sandbox/index.js'
import type { Json, Warehouse } from '../../src/sdk/index.js'
import { openWarehouse } from '../../src/warehouse/open.js'
import { apiYaml, type ApiPipelineOptions, readYaml, runAt, type RunAtOptions } from '../../test/support/api-run.js'
import { all } from '../../test/support/warehouse.js'
import { linkOf } from './links.js'

/** What is believed of an API, and what proves that its list ends. */

const BASE = 1_700_000_000
const NOW = BASE + 100_000
/** When no row is so recent that it is asked for twice. */
const LATER = BASE + 300_000
let warehouse: Warehouse
const left = new Set<{ close(): Promise<unknown> }>()
afterEach(async () => {
  for (const each of left) await each.close()
  left.clear()
})

interface World extends Partial<ApiPipelineOptions> {
  readonly api?: FakeApi
  readonly serve?: ServeApiOptions
  readonly faults?: readonly ApiFault[]
  readonly edit?: (yaml: string) => string
}

/** An API of 57 rows, two minutes apart, and a pipeline that reads it in pages of 10. */
async function world({
  api = fakeApi({ seed: 9, rows: 57, every: 120, ties: 1 }),
  serve,
  faults = [],
  edit = (yaml) => yaml,
  ...options
}: World) {
  const server = await api.serve({ ...serve, faults })
  const pipeline = await readYaml(edit(apiYaml({ way: 'next', limit: 10, cover: 'from: 2023-11-14T22:00:00Z', ...options })), {
    URL: server.url,
  })
  warehouse = await openWarehouse('duckdb::memory:', { mode: 'write' })
  left.add(warehouse).add(server)
  await warehouse.prepare([...pipeline.tables.values()])
  const run = async (more: Partial<RunAtOptions> = {}) => {
    const { outcome, reasons, facts } = await runAt(pipeline, warehouse, { now: NOW, ...more })
    const ends = facts
      .flatMap((fact) => (fact.type === 'batch:committed' ? Object.keys(fact.counts ?? {}) : []))
      .filter((name) => name.startsWith('end of list'))
    return { outcome, reasons: reasons.join('; '), ends }
  }
  return { api, server, run }
}

const ids = async () => (await all(warehouse, 'SELECT id FROM t ORDER BY id')).map(({ id }) => String(id))
const truth = (api: FakeApi) => api.transactions.map(({ id }) => String(id)).sort()
const evidence = async () =>
  (await all(warehouse, 'SELECT evidence FROM _pipe_units WHERE evidence IS NOT NULL')).map(
    ({ evidence: text }) => (typeof text === 'string' ? JSON.parse(text) : text) as Json,
  )

/** Ends well with every row, and gives what proved the end. */
async function endsWhole(options: World, now = NOW) {
  const { api, server, run } = await world(options)
  const { outcome, reasons, ends } = await run({ now })
  expect({ outcome, reasons, ids: await ids() }).toEqual({ outcome: 'done', reasons: '', ids: truth(api) })
  return { ends, requests: server.count() }
}

/** Fails with these words, and heals without `pipe retry` when the API does. */
async function failsByName(options: World, message: RegExp, requests = Infinity, now = NOW) {
  const { api, server, run } = await world(options)
  const { outcome, reasons } = await run({ now })
  expect({ outcome, reasons }).toEqual({ outcome: 'incomplete', reasons: expect.stringMatching(message) })
  expect(server.count()).toBeLessThanOrEqual(requests)
  server.clear()
  return { api, run, reasons }
}

describe('a Link header', () => {
  const here = 'https://api.example/list?page=2'
  it.each([
    ['a token', `<${here}>; rel=next`],
    ['relations in any case', `<${here}>; REL="NeXt"`],
    ['several relations in one value', `<${here}>; rel="last next"`],
    ['a parameter with a dash', `<${here}>; x-total="57"; rel="next"`],
    ['a parameter without a value', `<${here}>; crossorigin; rel="next"`],
    ['escaped quotes', `<${here}>; title="page \\"2\\"; rel=prev"; rel="next"`],
    ['commas in an address and in a text', `<https://api.example/list?a=1,2>; rel="first"; title="a, b", <${here}>; rel="next"`],
    ['empty elements and spaces', ` , <${here}> ;\trel = "next" ;, ,`],
    ['the first of two `rel`s', `<${here}>; rel=next; rel=prev, <https://api.example/x>; rel=prev; rel=next`],
    ['single quotes', `<${here}>; rel='next'`],
    ['several relations in single quotes', `<${here}>; rel='last next'; title='a'`],
    ['the one of this page before one with an anchor', `<https://api.example/x>; rel=next; anchor="#a", <${here}>; rel=next`],
  ])('is read as RFC 8288 says: %s', (_, header) => {
    expect(linkOf(header, 'next')).toBe(here)
  })

  it('that names no such relation has none, and so has a reply without a header', () => {
    expect([linkOf('<https://api.example/>; rel="first"', 'next'), linkOf(undefined, 'next'), linkOf('', 'next')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  it.each([`<${here}; rel=next`, `<${here}>; rel="next`, `<${here}>; rel=prev, next`, `${here}; rel=next`, `<${here}> rel=next`])(
    'that can not be read whole is an error, never the end: %s',
    (header) => {
      expect(() => linkOf(header, 'next')).toThrow(/^the Link header can't be read from character \d+ on: /)
    },
  )

  it('that names the next page by another relation is an error, never the end', () => {
    expect(() => linkOf(`<${here}>; rel="older", <${here}>; rel="first"`, 'next')).toThrow('has no relation next, and it has older')
    expect(() => linkOf(`<${here}>; rel="next"`, 'nxt')).toThrow('has no relation nxt, and it has next')
  })

  it('in other words than the usual ones leads through the whole list', async () => {
    await endsWhole({ way: 'link', serve: { routes: {} }, cover: undefined })
  })
})

describe('an end that is only said', () => {
  const ways = ['next', 'key', 'time', 'ties', 'offset', 'page', 'window', 'windows']
  const silent = (from: number, to: number): ApiFault => {
    let n = 0
    return { kind: 'reply', if: () => ++n >= from && n <= to, change: (reply) => (Array.isArray(reply) ? [] : { items: [], next: null }) }
  }

  it('once is asked for again, and the list is read whole', async () => {
    for (const way of ways) await endsWhole({ way, faults: [silent(3, 3)], ...(way === 'window' ? { limit: 50 } : {}) })
    let n = 0
    await endsWhole({ faults: [{ kind: 'cursor', next: 'none', if: () => ++n === 3 }] })
  })

  it('by a 204 in the middle of a list is asked for again, too', async () => {
    for (const way of ['next', 'url', 'link', 'key', 'time', 'offset', 'page'])
      await endsWhole({ way, faults: [{ kind: 'http', status: 204, after: 3, times: 1 }] })
  })

  it('while the API has no rows at all is no end, however often', async () => {
    for (const way of ways) {
      // Windows are asked for side by side, so that only the first of them is answered.
      const windows = way.startsWith('window')
      const faults = [silent(windows ? 2 : 4, 1_000)]
      await failsByName(
        { way, faults, ...(way === 'window' ? { limit: 50 } : {}) },
        /PAGES_SILENT: an empty page is no end/,
        40,
        BASE + 7_000,
      )
    }
  })

  it('above rows that are known fails by name, whatever the way, and heals', async () => {
    const first: Readonly<Record<string, (query: ApiRequest['query']) => boolean>> = {
      key: ({ after }) => after === undefined,
      time: ({ before }) => Number(before) > NOW,
      ties: ({ before }) => Number(before) > NOW,
      offset: ({ offset }) => offset === '0',
      page: ({ page }) => page === '1',
    }
    for (const [way, isFirst] of Object.entries(first)) {
      const { api, server, run } = await world({ way })
      await run()
      const newest = api.transactions[0]?.time ?? 0
      for (let i = 1; i <= 25; i++) api.add(1, { at: newest + i * 120 })
      server.fault({ kind: 'records', value: [], if: ({ query }) => !isFirst(query) })
      expect((await run({ now: NOW + 60 })).reasons).toMatch(/LIST_END: the source says that its list ends, and it does not|LIST_SHIFTS/)
      server.clear()
      expect([(await run({ now: NOW + 120 })).outcome, await ids()]).toEqual(['done', truth(api)])
    }
  })

  it('names the stretch that was not read', async () => {
    const { api, server, run } = await world({})
    await run()
    const newest = api.transactions[0]?.time ?? 0
    for (let i = 1; i <= 30; i++) api.add(1, { at: newest + i * 120 })
    server.fault({ kind: 'cursor', next: 'none', if: ({ query }) => query.cursor !== undefined })
    const { outcome, reasons } = await run({ now: NOW + 60 })
    const iso = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
    const [low, known] = [iso(newest + 11 * 120), iso(newest - 120)]
    expect([outcome, reasons]).toEqual([
      'incomplete',
      expect.stringContaining(
        `it ended at ${low}, and rows of ${known} and older are known; nothing between ${known} and ${low} was read; asked 5 times`,
      ),
    ])
    server.clear()
    expect([(await run({ now: NOW + 120 })).outcome, await ids()]).toEqual(['done', truth(api)])
  })

  it('by two reads with a wait between them is believed, also of a list without a row, and the ledger says what proved it', async () => {
    const { server, run } = await world({
      api: fakeApi({ seed: 9, rows: 0 }),
      edit: (yaml) => yaml.replace('wait: 1ms, max_wait: 5ms', 'wait: 120ms, max_wait: 120ms'),
    })
    expect(await run()).toEqual({ outcome: 'done', reasons: '', ends: ['end of list: two agreeing reads'] })
    const [first, second, ...more] = server.log
    expect([(second?.at ?? 0) - (first?.at ?? 0) >= 120, more]).toEqual([true, []])
    expect(await evidence()).toEqual([[{ end_of_list: 'two agreeing reads' }]])
  })
})

describe('an end that is stated', () => {
  const behind = (status: number): ApiFault => ({
    kind: 'http',
    status,
    if: ({ query }) => Number(query.page ?? 0) > 6 || Number(query.offset ?? 0) > 56,
  })
  const cursor = (more: string) => (yaml: string) => yaml.replace(/cursor: \{ (.*) \}$/m, `cursor: { $1, ${more} }`)
  /** A page of the list, with more fields. */
  const paged = (fields: (page: { at: number; last: boolean }) => Json) => {
    const api = fakeApi({ seed: 9, rows: 57, every: 120, ties: 1 })
    const page = ({ query }: ApiRequest): Json => {
      const at = Number(query.cursor ?? 0)
      const items = api.transactions.slice(at, at + 10).map(({ id, time, sender, fee }) => ({ id, time, sender, fee }))
      return { items, ...(fields({ at, last: at + 10 >= 57 }) as object) }
    }
    return { api, serve: { routes: { '/lists/next': page } } }
  }

  it('by `more` is the end whatever cursor comes with it, at once', async () => {
    const stating = paged(({ at, last }) => ({ next: String(at + 10), has_more: !last }))
    expect(await endsWhole({ ...stating, edit: cursor('more: has_more') }, LATER)).toEqual({
      ends: ['end of list: stated by the API'],
      requests: 7,
    })
  })

  it('and a next page that does not come while `more` says that there is one is none', async () => {
    const lying = paged(({ at, last }) => ({ next: at >= 20 ? null : String(at + 10), has_more: !last }))
    await failsByName({ ...lying, edit: cursor('more: has_more') }, /LIST_END.*the reply says that there are more \(`cursor.more`\)/, 8)
  })

  it('a cursor that leads to itself and to no row is one, too', async () => {
    const same = paged(({ at }) => ({ next: String(Math.min(57, at + 10)) }))
    expect((await endsWhole(same)).ends).toEqual(['end of list: two agreeing reads'])
  })

  it.each([
    ['page', 404, 'two agreeing reads'],
    ['offset', 404, 'two agreeing reads'],
    ['page', 204, 'two agreeing reads'],
    ['offset', 204, 'two agreeing reads'],
  ])('by %s, a %i behind the last row is one when it comes twice, and at once where `end` says so', async (way, status, proof) => {
    expect((await endsWhole({ way, faults: [behind(status)] })).ends).toEqual([`end of list: ${proof}`])
    const stated = await endsWhole({ way, faults: [behind(status)], edit: cursor(`end: [${status}, null]`) })
    expect(stated.ends).toEqual([`end of list: HTTP ${status}`])
    expect((await endsWhole({ way, faults: [behind(status)], more: `end: ${status}` })).ends).toEqual([`end of list: HTTP ${status}`])
  })

  it('a 404 for the first page is no empty list', async () => {
    await failsByName({ way: 'page', faults: [{ kind: 'http', status: 404 }] }, /HTTP_STATUS: source api: HTTP 404/, 2)
  })

  it('`null` for the records is one where `end` says so', async () => {
    const nothing = paged(({ at, last }) => (at >= 57 ? ({ items: null, next: null } as Json) : { next: String(at + (last ? 37 : 10)) }))
    expect((await endsWhole({ ...nothing, edit: cursor('end: [204, 404, null]') })).ends).toEqual(['end of list: null'])
  })

  it('the last page again is the end when it is short; a full one, and the only one, must be declared', async () => {
    const again = (rows: number): World => {
      const api = fakeApi({ seed: 9, rows, every: 120, ties: 1 })
      const last = Math.ceil(rows / 10)
      const page = ({ query }: ApiRequest): Json => {
        const at = (Math.min(last, Number(query.page)) - 1) * 10
        return { items: api.transactions.slice(at, at + 10).map(({ id, time, sender, fee }) => ({ id, time, sender, fee })) }
      }
      return { api, way: 'page', serve: { routes: { '/lists/page': page } } }
    }
    await endsWhole(again(57))
    for (const rows of [60, 7]) {
      await failsByName(again(rows), /PARAM_IGNORED: the source does not heed `page`: it gave the same page three times/)
      await endsWhole({ ...again(rows), edit: cursor('end: same') })
    }
  })

  it('by the total of a whole list needs no second read', async () => {
    const { ends } = await endsWhole({ cover: undefined, more: 'expect_total: total' })
    expect(ends).toEqual(['end of list: its total'])
  })
})

describe('a parameter that changes nothing', () => {
  it.each([
    ['next', 'cursor: $cursor', 'cursor', /PARAM_IGNORED: the source does not heed `cursr`|CURSOR_STUCK/],
    ['key', 'after: $cursor', 'after', /PARAM_IGNORED: the source does not heed `cursr`: it gave rows from above the key/],
    ['time', 'before: $cursor', 'before', /PAGE_OUTSIDE: .* was asked for: the source does not heed `cursr`/],
    ['offset', 'offset: $offset', 'offset', /PARAM_IGNORED: the source does not heed `cursr`: it gave the same page at three offsets/],
    ['page', 'page: $page', 'page', /PARAM_IGNORED: the source does not heed `cursr`: it gave the same page three times/],
  ])('is named within two requests, by %s', async (way, query, name, message) => {
    for (const cover of ['from: 2023-11-14T22:00:00Z', ...(way === 'time' ? [] : [undefined])]) {
      const misspelt = (yaml: string) => yaml.replace(query, query.replace(`${name}:`, 'cursr:'))
      await failsByName({ way, cover, edit: misspelt }, message, 3)
    }
  })

  it('bounds of a window that are not heeded are named', async () => {
    const edit = (yaml: string) => yaml.replace('start: $start', 'begin: $start')
    const page = (api: FakeApi) => (): Json => ({
      items: api.transactions.slice(0, 50).map(({ id, time, sender, fee }) => ({ id, time, sender, fee })),
    })
    const api = fakeApi({ seed: 9, rows: 57, every: 120, ties: 1 })
    await failsByName(
      { api, way: 'window', limit: 50, edit, serve: { routes: { '/lists/window': page(api) } } },
      /PAGE_OUTSIDE: .*does not heed `(begin|end)`/,
    )
  })

  it('what lies beyond the rows of a window is asked for again when nothing comes, and no window is believed while nothing does', async () => {
    // The second half of an hour holds all of its rows, so the first half is asked for with the lowest of them.
    const api = fakeApi({ seed: 9, rows: 30, every: 60, ties: 1 })
    const low = Math.min(...api.transactions.map(({ time }) => time))
    const beyond = (most: number): ApiFault[] => {
      let n = 0
      return [{ kind: 'records', value: [], if: ({ query }) => Number(query.end) === low + 1 && ++n <= most }]
    }
    await endsWhole({ api, way: 'window', limit: 50, faults: beyond(3) })
    await failsByName({ api, way: 'window', limit: 50, faults: beyond(1_000) }, /PAGES_SILENT: an empty page is no end/)
  })

  it('pages of a window that the API cuts in silence are found out, and the window is read in parts', async () => {
    await endsWhole({ way: 'window', limit: 50, faults: [{ kind: 'short', rows: 7 }], more: 'page_size: 50' })
  })
})

describe('pages that are shorter than what was asked for', () => {
  const listOf = (rows: number) => fakeApi({ seed: 9, rows, every: 120, ties: 1 })
  /** A list by page number, whose pages are what `pageOf` makes of all rows, the number from 0 and the limit. */
  const paged = (rows: number, pageOf: (all: readonly Json[], page: number, limit: number) => Json): World => {
    const api = listOf(rows)
    const list = api.transactions.map(({ id, time, sender, fee }) => ({ id, time, sender, fee }))
    const page = ({ query }: ApiRequest): Json => ({ items: pageOf(list, Number(query.page) - 1, Number(query.limit)) })
    return { api, way: 'page', limit: 50, serve: { routes: { '/lists/page': page } } }
  }
  const whole = { cover: 'from: 2023-11-14T00:00:00Z' }

  it('since the API cuts them in silence and counts them by the limit all the same lose nothing, wherever they end', async () => {
    for (const [rows, cover] of [
      [20, whole.cover],
      [35, whole.cover],
      [57, undefined],
      [85, whole.cover],
      [135, undefined],
    ] as const)
      await endsWhole({ api: listOf(rows), way: 'page', limit: 50, faults: [{ kind: 'short', rows: 20 }], cover })
  })

  it('since the API cuts them from some page on lose nothing, either', async () => {
    await endsWhole({ api: listOf(135), way: 'page', limit: 30, faults: [{ kind: 'short', rows: 17, after: 6 }], ...whole })
  })

  it('are found out within two requests', async () => {
    const { server, run } = await world({ api: listOf(135), way: 'page', limit: 50, faults: [{ kind: 'short', rows: 20 }], ...whole })
    // Days later, no page is so recent that it is read twice.
    await run({ limit: 7, now: NOW + 200_000 })
    expect(server.log.slice(0, 7).map(({ query }) => [query.page, query.limit])).toEqual([
      ['1', '50'],
      ['2', '50'],
      ['1', '50'],
      ['2', '20'],
      ['2', '20'],
      ['1', '20'],
      ['2', '20'],
    ])
  })

  it('since the API has pages of its own are read as they are', async () => {
    for (const rows of [7, 57]) {
      await endsWhole({ ...paged(rows, (all, page) => all.slice(page * 20, page * 20 + 20) as Json), ...whole })
      await endsWhole({
        ...paged(rows, (all, page, limit) => all.slice(page * Math.min(20, limit), (page + 1) * Math.min(20, limit)) as Json),
        ...whole,
      })
    }
  })

  it.each([7, 2])('since the API leaves every %ith row out of them are read as they are', async (every) => {
    const page = (all: readonly Json[], at: number, limit: number) =>
      all
        .flatMap((row, i) => (i % every === 0 ? [null, row] : [row]))
        .slice(at * limit, (at + 1) * limit)
        .filter((row) => row !== null)
    await endsWhole({ ...paged(185, (...asked) => page(...asked) as Json), ...whole })
  })

  it('and of which nothing shows whether they are whole fail by name, with the limit to write', async () => {
    await failsByName(
      {
        api: listOf(135),
        way: 'page',
        limit: 50,
        faults: [
          { kind: 'http', status: 422, if: ({ query }) => query.limit !== '50' },
          { kind: 'short', rows: 20 },
        ],
        ...whole,
      },
      /PAGE_CUT: page 1 has 20 rows, 50 were asked for, and nothing shows that the next page begins behind them/,
    )
  })

  it('are read whole by every other cursor, too', async () => {
    for (const way of ['next', 'link', 'key', 'time', 'ties', 'offset', 'windows'])
      await endsWhole({ api: listOf(85), way, limit: 50, faults: [{ kind: 'short', rows: 20 }], ...whole })
  })
})

describe('a replica that is behind', () => {
  it('and answers one request, or every other, costs no row that a fresh one showed', async () => {
    for (const [way, one] of [
      ['page', true],
      ['time', true],
      ['time', false],
    ] as const) {
      const api = fakeApi({ seed: 9, rows: 57, every: 120, ties: 1 })
      let n = 0
      const page = ({ query }: ApiRequest): Json => {
        const behind = ++n > 1 && (one ? n === 4 : n % 2 === 0)
        const list = api.transactions
          .slice(behind ? 15 : 0)
          .filter(({ time }) => query.before === undefined || time <= Number(query.before))
        const at = (Number(query.page ?? 1) - 1) * 10
        return { items: list.slice(at, at + 10).map(({ id, time, sender, fee }) => ({ id, time, sender, fee })) }
      }
      await endsWhole({ api, way, serve: { routes: { [`/lists/${way}`]: page } } })
    }
  })
})

describe('rows of one second in another order each time', () => {
  it('by a cursor that counts them fail by name: one that comes again behind one that is new', async () => {
    const api = fakeApi({ seed: 9, rows: 0 })
    for (let i = 0; i < 10; i++) api.add(6, { at: BASE + i * 120 })
    let n = 0
    const page = ({ query }: ApiRequest): Json => {
      const at = Number(query.cursor ?? 0)
      const flip = ++n % 2 === 0 ? 1 : -1
      const list = [...api.transactions].sort((a, b) => b.time - a.time || flip * (a.id < b.id ? 1 : -1))
      const items = list.slice(at, at + 10).map(({ id, time, sender, fee }) => ({ id, time, sender, fee }))
      return { items, next: at + 10 >= list.length ? null : String(at + 10) }
    }
    await failsByName({ api, serve: { routes: { '/lists/next': page } } }, /LIST_UNSTABLE: the list comes in another order each time/, 3)
  })
})

describe('a second with more rows than a page', () => {
  const tied = (before: number) => {
    const api = fakeApi({ seed: 9, rows: before === 0 ? 1 : before, every: 120, ties: 1 })
    api.add(25, { at: BASE - 600 })
    return api
  }
  const second = '2023-11-14T22:03:20Z'
  it('fails by name where it is the oldest, whether bounds are inclusive or not', async () => {
    for (const bound of ['inclusive', 'exclusive'] as const)
      await failsByName(
        { way: 'time', api: tied(30), serve: { bound } },
        new RegExp(`SECOND_TOO_FULL: not all rows of ${second} can be read`),
      )
  })

  it('and where what should lead on among its rows changes nothing, which is named', async () => {
    for (const [ties, parameter] of [
      ['offset', 'skip'],
      ['id', 'behind'],
    ] as const) {
      const edit = (yaml: string) =>
        yaml
          .replace('time: s }', `time: s, ties: ${ties} }`)
          .replace('before: $cursor', `before: $cursor, ${parameter}: $${ties === 'id' ? 'tie' : 'offset'}`)
      const message = new RegExp(`SECOND_TOO_FULL: not all rows of ${second} can be read.* does not heed \`${parameter}\``)
      await failsByName({ way: 'time', api: tied(30), edit }, message, 12)
    }
  })

  /** Rows two minutes apart, and below them as many in one second as said. */
  const oldest = (tied: number, newer: number) => {
    const api = fakeApi({ seed: 9, rows: 0 })
    api.add(tied, { at: BASE - 600 })
    for (let i = 0; i < newer; i++) api.add(1, { at: BASE + i * 120 })
    return api
  }

  it('and fewer than the limit fails by name where the API cuts its pages in silence', async () => {
    for (const way of ['time', 'window'])
      for (const newer of [0, 5, 30])
        await failsByName(
          { way, api: oldest(30, newer), limit: 50, faults: [{ kind: 'short', rows: 20 }] },
          new RegExp(
            `SECOND_TOO_FULL: not all rows of ${second} can be read|SECOND_UNSURE: nothing shows whether all rows of ${second} were read`,
          ),
        )
  })

  it('or perhaps as many is read where the API gives longer pages, or the file says so', async () => {
    await endsWhole({ way: 'time', api: oldest(12, 30), limit: 50 })
    await endsWhole({ way: 'window', api: oldest(12, 5), limit: 50 })
    for (const way of ['time', 'window']) await endsWhole({ way, api: oldest(30, 0), limit: 50, more: 'page_size: 50' })
  })

  it('one that a page has room for is read whole, however few rows there are', async () => {
    const api = fakeApi({ seed: 9, rows: 0 })
    api.add(3, { at: BASE })
    await endsWhole({ way: 'time', api })
  })
})

describe('a place that the source has forgotten', () => {
  it.each([400, 404, 410, 422])('(%i) is left once for the beginning, and the list ends whole', async (status) => {
    for (const way of ['next', 'key']) {
      const { api, server, run } = await world({ way })
      await run({ limit: 3 })
      server.fault({ kind: 'http', status, times: 1, if: ({ query }) => query.cursor !== undefined || query.after !== undefined })
      expect([(await run({ now: NOW + 60 })).reasons, await ids()]).toEqual(['', truth(api)])
      // And in the middle of a run.
      const middle = await world({ way, faults: [{ kind: 'http', status, after: 4, times: 1 }] })
      expect([(await middle.run()).reasons, await ids()]).toEqual(['', truth(middle.api)])
    }
  })
})

describe('a circle', () => {
  it('of any length ends, also without `cover`', async () => {
    for (const rows of [20, 1_300]) {
      const api = fakeApi({ seed: 9, rows, every: 10 })
      const list = api.transactions
      let n = 0
      const page = ({ query }: ApiRequest): Json => {
        const at = Number((query.cursor ?? '0').split('.')[0])
        const items = list.slice(at, at + 10).map(({ id, time, sender, fee }) => ({ id, time, sender, fee }))
        return { items, next: `${(at + 10) % rows}.${++n}` }
      }
      await failsByName({ api, cover: undefined, serve: { routes: { '/lists/next': page } } }, /CURSOR_STUCK|PARAM_IGNORED/, rows / 2)
    }
  })
})

describe('a budget of pages', () => {
  const readings = async (way: string, every: number, limit: number) => {
    const { api, run } = await world({ way, api: fakeApi({ seed: 9, rows: 57, every, ties: 1 }) })
    const counts: number[] = []
    let reasons = ''
    for (let i = 0; i < 12; i++) {
      const round = await run({ limit, now: NOW + i * 60 })
      const count = (await ids()).length
      if (count !== counts.at(-1)) counts.push(count)
      reasons = round.reasons
      if (round.outcome === 'done') break
    }
    // The last run was done.
    return { counts, reasons, whole: reasons === '' && (await ids()).length === truth(api).length }
  }

  it('of one gets on by a page with each run: what is asked for to believe a page is not counted', async () => {
    expect(await readings('page', 1, 1)).toEqual({ counts: [10, 20, 30, 40, 50, 57], reasons: '', whole: true })
    expect(await readings('key', 60, 1)).toEqual({ counts: [10, 20, 30, 40, 50, 57], reasons: '', whole: true })
  })

  it('that the newest rows use up with each run says so, and how much it takes', async () => {
    const { reasons } = await readings('key', 10, 1)
    expect(reasons).toBe('--limit 1 is too small to get on: every run would read the same page; it takes at least 2')
    expect(await readings('key', 10, 2)).toEqual({ counts: [20, 40, 57], reasons: '', whole: true })
  })
})
