import { afterEach, describe, expect, it } from 'vitest'
import { type ApiFault, type ApiRequest, type FakeApi, fakeApi, type ServeApiOptions } from '../../src/sandbox/index.js'
import type { Json, Warehouse } from '../../src/sdk/index.js'
import { openWarehouse } from '../../src/warehouse/open.js'
import { apiYaml, type ApiPipelineOptions, readYaml, runAt, type RunAtOptions } from '../../test/support/api-run.js'
import { all } from '../../test/support/warehouse.js'

/** Faults of FAULTS section "REST pagination", each against the row that it may cost. */

const BASE = 1_700_000_000
const NOW = BASE + 100_000
let warehouse: Warehouse

/** Those of a world that a failed test left open. */
const left = new Set<{ close(): Promise<unknown> }>()
afterEach(async () => {
  for (const each of left) await each.close()
  left.clear()
})

interface World extends Partial<ApiPipelineOptions> {
  readonly api?: FakeApi
  readonly serve?: ServeApiOptions
  readonly faults?: readonly ApiFault[]
  /** Changes the text of the pipeline. */
  readonly edit?: (yaml: string) => string
}

/** An API with faults, and one run after the other into a table of its own. */
async function world({
  api = fakeApi({ seed: 9, rows: 60, every: 120 }),
  serve,
  faults = [],
  edit = (yaml) => yaml,
  ...options
}: World = {}) {
  const server = await api.serve({ ...serve, faults })
  const yaml = edit(apiYaml({ way: 'next', limit: 10, cover: 'from: 2023-11-14T22:00:00Z', ...options }))
  const pipeline = await readYaml(yaml, { URL: server.url })
  const run = async (more: Partial<RunAtOptions> = {}) => {
    const { outcome, reasons, facts } = await runAt(pipeline, warehouse, { now: NOW, ...more })
    const counts: Record<string, number> = {}
    for (const fact of facts)
      if (fact.type === 'batch:committed') for (const [name, n] of Object.entries(fact.counts ?? {})) counts[name] = (counts[name] ?? 0) + n
    return { outcome, reasons: reasons.join('; '), counts, facts }
  }
  warehouse = await openWarehouse('duckdb::memory:', { mode: 'write' })
  left.add(warehouse).add(server)
  await warehouse.prepare([...pipeline.tables.values()])
  return { api, server, run }
}

const ids = async () => (await all(warehouse, 'SELECT id FROM t ORDER BY id')).map(({ id }) => String(id))
const truth = (api: FakeApi) => api.transactions.map(({ id }) => String(id)).sort()

/** A run that ends well with every row. */
async function endsWhole(options: World): Promise<Record<string, number>> {
  const { api, run } = await world(options)
  const { outcome, reasons, counts } = await run()
  expect({ outcome, reasons, ids: await ids() }).toEqual({ outcome: 'done', reasons: '', ids: truth(api) })
  return counts
}

/** A run that says what is wrong, and the next one, without the fault, which ends with every row. */
async function failsThenHeals(options: World, message: RegExp | string): Promise<void> {
  const { api, server, run } = await world(options)
  const { outcome, reasons } = await run()
  expect({ outcome, reasons }).toEqual({
    outcome: 'incomplete',
    reasons: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
  })
  server.clear()
  expect((await run({ now: NOW + 60 })).reasons).toBe('')
  expect(await ids()).toEqual(truth(api))
}

const tied = () => {
  const api = fakeApi({ seed: 9, rows: 20 })
  api.add(35, { at: BASE + 30 })
  return api
}

describe('P01, P02: rows that share a second', () => {
  it.each(['inclusive', 'exclusive'] as const)('come whole over a page boundary when the bound is %s', async (bound) => {
    await endsWhole({ way: 'time', serve: { bound } })
    await endsWhole({ way: 'ties', api: tied(), serve: { bound } })
  })

  it('are lost by a reader that goes on at the lowest time less one, and not by this one, in the same world', async () => {
    const api = fakeApi({ seed: 9, rows: 60, ties: 12 })
    const { server, run } = await world({ api, way: 'ties' })
    const naive = new Set<string>()
    for (let before: number | undefined; ;) {
      const reply = await fetch(`${server.url}/lists/time?limit=10${before === undefined ? '' : `&before=${before}`}`)
      const { items } = (await reply.json()) as { items: { id: string; time: number }[] }
      if (items.length === 0) break
      for (const { id } of items) naive.add(id)
      before = Math.min(...items.map(({ time }) => time)) - 1
    }
    expect((await run()).outcome).toBe('done')
    expect(naive.size).toBeLessThan(api.size)
    expect(await ids()).toEqual(truth(api))
  })

  it('more of them than a page holds are read on by an offset, or by a field', async () => {
    const tie = (request: ApiRequest): Json => {
      // An API that reads on behind an id within the bound, newest first.
      const { before, behind, limit } = request.query
      const list = byTie.transactions.filter(({ time }) => before === undefined || time <= Number(before))
      const from = behind === undefined ? 0 : list.findIndex(({ id }) => id === behind) + 1
      return { items: list.slice(from, from + Number(limit)).map(({ id, time, sender, fee }) => ({ id, time, sender, fee })) }
    }
    const byTie = tied()
    await endsWhole({
      api: byTie,
      way: 'time',
      serve: { routes: { '/lists/time': tie } },
      edit: (yaml) => yaml.replace('time: s }', 'time: s, ties: id }').replace('before: $cursor', 'before: $cursor, behind: $tie'),
    })
  })

  it('and nothing to read on by is a failure that names the second', async () => {
    const { run } = await world({ way: 'time', api: tied() })
    const { outcome, reasons } = await run()
    expect([outcome, reasons]).toEqual([
      'incomplete',
      expect.stringContaining('SECOND_TOO_FULL: not all rows of 2023-11-14T22:13:50Z can be read'),
    ])
  })
})

describe('P03: a list that moves while it is read', () => {
  const moving = (change: (api: FakeApi, n: number) => void) => {
    const api = fakeApi({ seed: 9, rows: 60 })
    let n = 0
    return { api, serve: { before: () => change(api, ++n) } }
  }
  it.each(['offset', 'page', 'next', 'key', 'ties'])(
    'by %s: rows that come in above and rows that go away cost none of the others',
    async (way) => {
      const growing = moving((api, n) => void (n <= 4 && api.add(3, { at: (api.transactions[0]?.time ?? 0) + 1 })))
      await endsWhole({ way, ...growing })
      const gone = new Set<string>()
      const shrinking = moving((api, n) => {
        for (const { id } of n > 1 && n <= 4 ? api.transactions.slice(0, 3) : []) {
          gone.add(id)
          api.remove(id)
        }
      })
      const { api, run } = await world({ way, ...shrinking })
      expect((await run()).reasons).toBe('')
      expect((await ids()).filter((id) => !gone.has(id))).toEqual(truth(api))
    },
  )

  it('a whole list ends with what came in above while it was read', async () => {
    const growing = moving((api, n) => void (n === 4 && api.add(25)))
    for (const way of ['offset', 'page', 'next', 'key']) await endsWhole({ way, cover: undefined, ...growing })
  })

  it('and with all of it, however much, also where the row that was first is gone', async () => {
    for (const way of ['next', 'key']) {
      for (const gone of [false, true]) {
        let first = ''
        const growing = moving((api, n) => {
          if (n !== 4) return
          first = api.transactions[0]?.id ?? ''
          if (gone) api.remove(first)
          api.add(1_100)
        })
        const { api, run } = await world({ way, cover: undefined, ...growing })
        expect((await run()).reasons).toBe('')
        expect((await ids()).filter((id) => !gone || id !== first)).toEqual(truth(api))
      }
    }
  })

  it('one that shifts faster than it can be read fails and says so', async () => {
    const api = fakeApi({ seed: 9, rows: 60 })
    let n = 0
    const other = fakeApi({ seed: 10, rows: 2_000 })
    const shown = (): Json => ({
      items: other.transactions.slice(10 * ++n, 10 * n + 10).map(({ id, time, sender, fee }) => ({ id, time, sender, fee })),
    })
    const { run } = await world({ api, way: 'offset', cover: undefined, serve: { routes: { '/lists/offset': shown } } })
    expect((await run()).reasons).toMatch(/LIST_SHIFTS|PAGES_EMPTY/)
  })
})

describe('P04: a row that comes twice', () => {
  it('is one row; another content under its key is counted and the later one kept', async () => {
    for (const way of ['next', 'ties', 'offset'])
      expect((await endsWhole({ way, faults: [{ kind: 'double', rows: 2, times: 3 }] })).doubled).toBeGreaterThan(0)
    let version = 0
    const changing = { id: `0x${'ab'.repeat(32)}`, time: BASE + 1, sender: 'a' }
    const page = ({ query }: ApiRequest): Json => ({
      items: [{ ...changing, fee: ++version }],
      next: query.cursor === undefined ? 'second' : null,
    })
    const second = await world({ serve: { routes: { '/lists/next': page } } })
    const { outcome, counts } = await second.run()
    // The last page is asked for twice, since nothing states that it is the last.
    expect([outcome, counts.changed, await all(warehouse, 'SELECT fee FROM t')]).toEqual(['done', 2, [{ fee: 3n }]])
  })
})

describe('P05, P06: a cursor that leads nowhere', () => {
  it('one that does not move fails with it in the message, after one request too many', async () => {
    const { server, run } = await world({ faults: [{ kind: 'cursor', next: 'same', after: 1 }] })
    const { reasons } = await run()
    expect(reasons).toMatch(/CURSOR_STUCK: the cursor \S+ came again/)
    expect(server.count()).toBeLessThanOrEqual(4)
  })

  it('one that goes in circles fails within two rounds', async () => {
    const circle = ({ query }: ApiRequest): Json => ({
      items: [{ id: `0x${'ab'.repeat(32)}`, time: BASE, sender: 'a', fee: 1 }],
      next: query.cursor === 'a' ? 'b' : 'a',
    })
    const { server, run } = await world({ serve: { routes: { '/lists/next': circle } } })
    expect((await run()).reasons).toContain('CURSOR_STUCK: the cursor a came again')
    expect(server.count()).toBeLessThanOrEqual(4)
    await failsThenHeals({ faults: [{ kind: 'cursor', next: 'cycle', after: 2 }] }, 'CURSOR_STUCK')
  })
})

describe('P07, P08: pages that are empty or short', () => {
  it('an empty page with a cursor is not the end, nor is a short one, whatever the way', async () => {
    await endsWhole({ faults: [{ kind: 'empty', after: 2, times: 3 }] })
    for (const way of ['next', 'url', 'link', 'offset', 'key', 'ties', 'windows'])
      await endsWhole({ way, faults: [{ kind: 'short', rows: 3, every: 2 }] })
  })

  it('and one without is the end only when the API says so: by offset and key it must be empty twice', async () => {
    for (const way of ['offset', 'key', 'ties', 'page']) await endsWhole({ way, faults: [{ kind: 'empty', times: 1 }] })
  })

  it('a cursor and no rows for ever ends with an error', async () => {
    await failsThenHeals({ faults: [{ kind: 'empty', after: 4 }] }, 'PAGES_EMPTY')
  })
})

describe('P09: a login that is refused', () => {
  it('ends the step at once, keeps what was read, and the next run goes on from there', async () => {
    const { api, server, run } = await world({
      // Pages are asked for twice: recent ones, and the first ones with rows of one time.
      faults: [{ kind: 'http', status: 401, after: 6 }],
      source: 'headers: { X-Key: secret-key-123 }',
    })
    const { outcome, reasons, facts } = await run()
    expect([outcome, reasons]).toEqual(['incomplete', expect.stringContaining('HTTP_LOGIN_REFUSED: source api: not let in (HTTP 401')])
    expect(JSON.stringify(facts)).not.toContain('secret-key-123')
    expect([server.count(), (await ids()).length]).toEqual([7, 30])
    server.clear()
    await run({ now: NOW + 60 })
    expect(await ids()).toEqual(truth(api))
    // A page for the head, one where it meets what is there, the last one of the run before, and the rest, each asked for twice.
    expect(server.count()).toBeLessThanOrEqual(11)
  })
})

describe('P10: a cursor that the source has forgotten', () => {
  it.each([404, 410])('(%i): the reading goes down from the head to where it was, loses nothing and says so', async (status) => {
    const { api, server, run } = await world()
    await run({ limit: 3 })
    server.fault({ kind: 'http', status, times: 1, if: ({ query }) => query.cursor !== undefined })
    const { outcome, counts } = await run({ now: NOW + 60 })
    expect([outcome, counts['cursor expired'], await ids()]).toEqual(['done', 1, truth(api)])
  })
})

describe('P11: a reply that has changed', () => {
  const changes: Record<string, readonly [ApiFault, string]> = {
    'a field is missing': [
      { kind: 'field', path: 'sender', as: 'missing', row: 3 },
      'PAGE_SHAPE: /items/3/sender is missing, and t.sender is required',
    ],
    'a field has another name': [{ kind: 'field', path: 'fee', as: { name: 'fees' } }, 'PAGE_SHAPE: /items/0/fee is missing'],
    'the time is missing': [{ kind: 'field', path: 'time', as: 'missing', row: 1 }, 'PAGE_SHAPE: /items/1/time is missing (`cover.time`)'],
    'a field has another type': [{ kind: 'field', path: 'fee', as: { value: 'many' }, row: 0 }, 'PAGE_SHAPE: /items/0'],
    'the cursor has another name': [
      { kind: 'reply', change: (reply) => ({ items: (reply as { items: Json }).items, next_page: null }) },
      'PAGE_SHAPE: /next is missing (`cursor.next`)',
    ],
    'the list has another name': [
      { kind: 'reply', change: (reply) => ({ rows: (reply as { items: Json }).items, next: null }) },
      'PAGE_SHAPE: /items is missing',
    ],
  }
  it.each(Object.entries(changes))('%s: the run fails with the place in the reply', async (_, [fault, message]) => {
    await failsThenHeals({ faults: [{ ...fault, after: 2 }] }, message)
  })

  it('one more field changes nothing', async () => {
    await endsWhole({ faults: [{ kind: 'reply', change: (reply) => ({ ...(reply as Record<string, Json>), extra: [1] }) }] })
  })
})

describe('P12, P13: clocks that differ and rows that are late', () => {
  it('rows newer than the round are left for the next; those far in the future are counted', async () => {
    const api = fakeApi({ seed: 9, rows: 30 })
    const { run } = await world({ api })
    api.add(2, { at: NOW + 30 })
    api.add(1, { at: NOW + 86_400 })
    const first = await run()
    expect([first.outcome, first.counts['in the future'], (await ids()).length]).toEqual(['done', 1, 30])
    await run({ now: NOW + 120 })
    expect((await ids()).length).toBe(32)
  })

  it('an API that is behind is not taken for a quiet one: what it shows later is read', async () => {
    const { api, server, run } = await world({ serve: { lag: 100 } })
    await run()
    server.lag(0)
    expect((await ids()).length).toBeLessThan(60)
    await run({ now: NOW + 600 })
    expect(await ids()).toEqual(truth(api))
  })

  it('late rows within the overlap are read and counted', async () => {
    const { api, run } = await world()
    await run()
    api.add(3, { at: (api.transactions[0]?.time ?? 0) - 60 })
    const { outcome, counts } = await run({ now: NOW + 600 })
    expect([outcome, counts.late, await ids()]).toEqual(['done', 3, truth(api)])
  })
})

describe('P14: times in another unit', () => {
  it.each(['s', 'ms', 'iso'])('%s is read and asked for when it is declared', async (unit) => {
    const edit = (yaml: string) => yaml.replace('time: time }', `time: time, unit: ${unit} }`).replace('time: s', `time: ${unit}`)
    for (const way of ['next', 'ties', 'windows']) await endsWhole({ way, query: `unit: ${unit}`, edit })
  })

  it.each([
    ['ms', 's'],
    ['s', 'ms'],
    ['iso', 's'],
  ])('%s under the name of %s is refused, with the unit that it seems to be', async (sent, declared) => {
    const { run } = await world({
      query: `unit: ${sent}`,
      edit: (yaml) => yaml.replace('time: time }', `time: time, unit: ${declared} }`),
    })
    const { reasons, facts } = await run()
    expect(reasons).toContain('PAGE_TIME: /items/0/time is ')
    expect(facts.find((fact) => fact.type === 'unit:failed')).toMatchObject({
      hint: `it would be one in ${sent}: cover: { unit: ${sent} }`,
    })
    expect(await ids()).toEqual([])
  })
})

describe('P15: a next page elsewhere', () => {
  it.each(['http://169.254.169.254/latest/meta-data', 'https://evil.example/lists/url?cursor=1'])('%s is not asked', async (next) => {
    await failsThenHeals({ way: 'url', faults: [{ kind: 'cursor', next, after: 1 }] }, 'HTTP_OTHER_ORIGIN')
  })
})

describe('P16, P17: bodies that are packed, broken or errors', () => {
  it('gzip, brotli and a byte order mark are read; a body that is cut is asked for again', async () => {
    for (const fault of [
      { kind: 'gzip' },
      { kind: 'brotli' },
      { kind: 'bom' },
      { kind: 'truncate', at: 0.5, every: 3 },
    ] satisfies ApiFault[])
      await endsWhole({ faults: [fault] })
  })

  it('an error under status 200, and null for the list, are no empty page', async () => {
    await failsThenHeals(
      { faults: [{ kind: 'error', error: 'maintenance', after: 2 }] },
      'PAGE_ERROR: the source answered with an error: maintenance',
    )
    await failsThenHeals({ faults: [{ kind: 'records', value: null, after: 2 }] }, 'PAGE_SHAPE: /items is null, not a list of records')
  })
})

describe('P18: a total that does not fit', () => {
  it('is a failure where it is expected to, and the list is read anew', async () => {
    await endsWhole({ cover: undefined, more: 'expect_total: total' })
    await endsWhole({ way: 'link', cover: undefined, more: 'expect_total: header.X-Total-Count' })
    await failsThenHeals(
      { cover: undefined, more: 'expect_total: total', faults: [{ kind: 'total', by: 13 }] },
      'TOTAL_MISMATCH: the source says that it has 73 rows and gave 60',
    )
  })
})

describe('P19: the most pages of a run', () => {
  it('leave it incomplete, with the place where the next one goes on', async () => {
    const { api, server, run } = await world({ more: 'max_pages: 3' })
    const first = await run()
    expect([first.outcome, first.reasons]).toEqual([
      'incomplete',
      expect.stringMatching(/^max_pages reached: 3 pages read; the next run goes on from 2023-11-16T\S+ and from 2023-11-14T\S+/),
    ])
    // All but the first, which is read again when the list is ended, are asked for twice.
    expect(server.count()).toBe(6)
    let runs = 1
    for (let outcome = 'incomplete'; outcome !== 'done' && runs < 10; runs++) outcome = (await run({ now: NOW + runs * 60 })).outcome
    expect([await ids(), runs]).toEqual([truth(api), expect.any(Number)])
  })

  it('and --limit counts pages, too', async () => {
    const { server, run } = await world()
    const { facts } = await run({ limit: 2 })
    expect(server.count()).toBe(4)
    expect(facts.findLast((fact) => fact.type === 'step:ended')).toMatchObject({ outcome: 'limited' })
  })
})
