import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/cli/system-clock.js'
import type { Pipeline } from '../../src/pipeline/pipeline.js'
import { openWarehouse } from '../../src/warehouse/open.js'
import { apiYaml, readYaml, runAt } from '../../test/support/api-run.js'
import { type Lie, lyingApi, type LyingRow } from '../../test/support/lying-api.js'
import { MemoryLine, quickClock, reachInMemory } from '../../test/support/memory-line.js'
import { MemoryWarehouse } from '../../test/support/memory-warehouse.js'
import { all } from '../../test/support/warehouse.js'

/** More for a longer look: SEED=4242 PIPE_TEST_CASES=2000 npm run loop:paging */
const CASES = Number(process.env.PIPE_TEST_CASES ?? 2)
const SEED = Number(process.env.SEED ?? 7)
/** An engine and sockets take half a second a case, so a long look does without them. */
const LONG = CASES > 20
vi.mock(import('../../src/net/line.js'), async (importOriginal) =>
  Number(process.env.PIPE_TEST_CASES ?? 2) > 20 ? { Line: MemoryLine as never } : importOriginal(),
)
const BASE = 1_700_000_000
const OVERLAP = 60

/** What a run that could not believe an API may give as its reason. */
const BY_NAME =
  /LIST_END|PAGES_SILENT|PAGES_EMPTY|PARAM_IGNORED|LIST_UNSTABLE|LIST_SHIFTS|LIST_ORDER|CURSOR_STUCK|CURSOR_NOT_UNIQUE|SECOND_TOO_FULL|SECOND_UNSURE|PAGE_CUT|PAGE_OUTSIDE|HTTP_STATUS|HTTP_UNREACHABLE|quarantine/

const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  next: ['cursor', 'limit'],
  link: ['cursor', 'limit'],
  key: ['after', 'limit'],
  time: ['before', 'limit'],
  ties: ['before', 'offset', 'limit'],
  offset: ['offset', 'limit'],
  page: ['page', 'limit'],
  window: ['start', 'end', 'limit'],
  windows: ['start', 'end', 'offset', 'limit'],
}

/** What is asked for by time comes by time: where a page is cut, nothing shows a row that stands behind older ones. */
const BY_TIME: ReadonlySet<string> = new Set(['time', 'ties'])

const lieOf = (way: string): fc.Arbitrary<Lie> =>
  fc.oneof(
    // The first two requests of all have nothing that could contradict them.
    fc
      .record({ kind: fc.constant('silent' as const), from: fc.integer({ min: 3, max: 12 }), more: fc.nat(8) })
      .map(({ kind, from, more }) => ({ kind, from, to: from + more })),
    fc.record({ kind: fc.constant('no-next' as const), at: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ kind: fc.constant('ignored' as const), parameter: fc.constantFrom(...(PARAMETERS[way] ?? ['limit'])) }),
    fc.constant({ kind: 'shuffled' as const }),
    ...(BY_TIME.has(way)
      ? []
      : [fc.record({ kind: fc.constant('swapped' as const), at: fc.integer({ min: 1, max: 10 }), row: fc.nat(20), flips: fc.boolean() })]),
    fc.record({ kind: fc.constant('behind' as const), at: fc.integer({ min: 1, max: 10 }), rows: fc.integer({ min: 1, max: 8 }) }),
    // Pages of one row have no neighbours that prove a place.
    fc.record({ kind: fc.constant('capped' as const), rows: fc.integer({ min: 2, max: 6 }) }),
    fc.record({
      kind: fc.constant('refused' as const),
      at: fc.integer({ min: 1, max: 12 }),
      status: fc.constantFrom(400, 404, 410, 422, 500, 503),
    }),
    fc.record({ kind: fc.constant('circle' as const), row: fc.nat(25) }),
  )

/** Up to two lies of one run, of two kinds: what two replicas in a row do not know is known to nobody. */
const liesOf = (way: string, minLength: number): fc.Arbitrary<Lie[]> =>
  fc.uniqueArray(lieOf(way), { minLength, maxLength: 2, selector: ({ kind }) => kind })

const worldOf = (way: string) =>
  fc.record({
    times: fc.array(fc.oneof(fc.nat(30), fc.nat(4 * 3600)), { minLength: 1, maxLength: 40 }),
    limit: fc.integer({ min: 2, max: 7 }),
    inclusive: fc.boolean(),
    first: fc.oneof({ weight: 2, arbitrary: fc.constant([] as Lie[]) }, { weight: 3, arbitrary: liesOf(way, 1) }),
    second: liesOf(way, 0),
    grows: fc.nat(12),
    // False ends that never stop, once rows are known below.
    ends: fc.boolean(),
  })
type World = ReturnType<typeof worldOf> extends fc.Arbitrary<infer T> ? T : never

/** Two runs against an API that lies, and two against one that does not. What each left is compared by the caller. */
async function play(way: string, covered: boolean, of: World, judge: (run: Run) => void): Promise<boolean> {
  const make = (seconds: readonly number[], name: string): LyingRow[] =>
    seconds.map((second, i) => ({ id: `0x${name}${String(i).padStart(62, '0')}`, time: BASE + second }))
  let rows = make(of.times, 'aa').sort((a, b) => b.time - a.time)
  const api = await lyingApi(() => rows, of.inclusive, LONG ? reachInMemory : undefined)
  const store = await openStore()
  const { warehouse } = store
  // A second with more rows than any page looks like one that is whole.
  const most = Math.max(...of.times.map((second) => of.times.filter((other) => other === second).length))
  let told = false
  try {
    // Where a cursor names a row, an order that turns within a page can't be told from one that holds.
    const turns = ['next', 'link', 'key'].includes(way) && [...of.first, ...of.second].some(({ kind }) => kind === 'shuffled')
    const size = way === 'window' ? '50' : String(turns ? Math.max(of.limit, most + 1) : of.limit)
    const cover = covered ? 'from: 2023-11-14T22:13:20Z' : undefined
    const yaml = apiYaml({ way, limit: Number(size), cover }).replace('attempts: 2,', 'attempts: 20,')
    const runs = [of.first, of.second, [], []]
    for (const [i, given] of runs.entries()) {
      const lies = given.map((lie) => (lie.kind === 'capped' ? { ...lie, rows: Math.max(lie.rows, most) } : lie))
      api.lies = i === 1 && of.ends ? [...lies, { kind: 'silent', from: 3, to: 1_000 }] : lies
      const now = BASE + 5 * 3600 + i * 1200
      const pipeline = await pipelineOf(yaml, api.url)
      await warehouse.prepare([...pipeline.tables.values()])
      api.clear((await store.ids()).length > 0)
      const { outcome, reasons } = await runAt(pipeline, warehouse, { now, clock: LONG ? quickClock() : systemClock })
      judge({ n: i, honest: i >= 2, outcome, reasons: reasons.join('; '), table: await store.ids(), source: rows })
      if (outcome === 'done') told = true
      if (i === 0 && covered) {
        // Windows of the past are believed by the clock, so there rows come in behind it.
        const newest = way.startsWith('window') ? now : (rows[0]?.time ?? BASE)
        rows = [
          ...make(
            Array.from({ length: of.grows }, (_, j) => newest - BASE + 40 * (j + 1)),
            'bb',
          ).reverse(),
          ...rows,
        ]
      }
    }
    return told
  } finally {
    await warehouse.close()
    await api.close()
  }
}

interface Run {
  readonly n: number
  readonly honest: boolean
  readonly outcome: string
  readonly reasons: string
  readonly table: readonly string[]
  readonly source: readonly LyingRow[]
}

/** What a run learns of an API is kept with its plan, so that a pipeline can be shared. */
const pipelines = new Map<string, Promise<Pipeline>>()

function pipelineOf(yaml: string, url: string): Promise<Pipeline> {
  const name = url + yaml
  const pipeline = pipelines.get(name) ?? readYaml(yaml, { URL: url })
  pipelines.set(name, pipeline)
  return pipeline
}

/** Where the rows go, and the ids of those that are there. */
async function openStore() {
  if (LONG) {
    const warehouse = new MemoryWarehouse()
    return { warehouse, ids: () => Promise.resolve(warehouse.rows('t').map(({ id }) => String(id))) }
  }
  const warehouse = await openWarehouse('duckdb::memory:', { mode: 'write' })
  return { warehouse, ids: async () => (await all(warehouse, 'SELECT id FROM t')).map(({ id }) => String(id)) }
}

const ids = (rows: readonly LyingRow[]) => rows.map(({ id }) => id).sort()

/** After every run: the table is the source as far as the run says that it is done, or the run failed by name. */
function judgeOf(covered: boolean) {
  return ({ n, honest, outcome, reasons, table, source }: Run): void => {
    const about = `run ${n + 1}: ${outcome} ${reasons}`
    if (outcome !== 'done') {
      expect(reasons, about).toMatch(BY_NAME)
      // By `time` alone, a second with more rows than a page can't be read.
      if (honest) expect(reasons, about).toMatch(/SECOND_TOO_FULL|quarantine/)
      return
    }
    const here = new Set(table)
    const newest = Math.max(0, ...source.filter(({ id }) => here.has(id)).map(({ time }) => time))
    // What is newer than the newest row that was shown, less the overlap, is read again in the next run.
    const due = honest || !covered ? source : source.filter(({ time }) => time <= newest - OVERLAP)
    expect(
      ids(due).filter((id) => !here.has(id)),
      about,
    ).toEqual([])
    expect(here.size, about).toBeGreaterThan(0)
    expect(
      table.filter((id) => !source.some((row) => row.id === id)),
      about,
    ).toEqual([])
  }
}

type Found = readonly [what: string, way: string, covered: boolean, of: World]

/** Worlds in which an earlier version lost a row in silence, or went on failing when the API had become honest. */
const FOUND: readonly Found[] = [
  [
    'a stored cursor that leads to the beginning of the list',
    'next',
    true,
    {
      times: [10, 3818, 7, 12286, 0, 6, 16, 2, 14389, 15],
      limit: 4,
      inclusive: false,
      first: [{ kind: 'circle', row: 6 }],
      second: [{ kind: 'shuffled' }, { kind: 'silent', from: 11, to: 16 }],
      grows: 9,
      ends: true,
    },
  ],
  [
    'a stored offset behind the end of the list',
    'offset',
    false,
    {
      times: [1, 12049, 19, 3, 10],
      limit: 6,
      inclusive: true,
      first: [
        { kind: 'no-next', at: 6 },
        { kind: 'ignored', parameter: 'offset' },
      ],
      second: [{ kind: 'swapped', at: 1, row: 1, flips: true }],
      grows: 2,
      ends: true,
    },
  ],
  [
    'rows of one second in another order when the reading goes on',
    'offset',
    true,
    {
      times: [2, 5990, 11630, 7, 10, 2, 13865, 3470],
      limit: 2,
      inclusive: false,
      first: [{ kind: 'shuffled' }, { kind: 'silent', from: 7, to: 14 }],
      second: [{ kind: 'no-next', at: 7 }],
      grows: 10,
      ends: false,
    },
  ],
  [
    'the last page from a replica that is behind',
    'page',
    true,
    {
      times: [13794, 6149, 11829, 9370, 4, 18, 26, 1, 25, 11, 2],
      limit: 6,
      inclusive: false,
      first: [{ kind: 'shuffled' }, { kind: 'behind', at: 2, rows: 2 }],
      second: [],
      grows: 12,
      ends: false,
    },
  ],
  [
    'a stored page that lies two behind the one that was read',
    'page',
    false,
    {
      times: [10255, 16, 18, 11702, 19, 6, 4, 12990],
      limit: 7,
      inclusive: false,
      first: [{ kind: 'ignored', parameter: 'page' }],
      second: [],
      grows: 7,
      ends: false,
    },
  ],
  [
    'windows of which the API gives one row each',
    'window',
    true,
    {
      times: [5, 8, 3889, 24, 1636, 23],
      limit: 2,
      inclusive: false,
      first: [{ kind: 'capped', rows: 1 }],
      second: [],
      grows: 0,
      ends: true,
    },
  ],
  [
    'the oldest second in another order each time (it was read without end)',
    'offset',
    true,
    { times: [10, 10, 1445], limit: 7, inclusive: false, first: [{ kind: 'shuffled' }], second: [], grows: 2, ends: false },
  ],
  [
    'a place within a second of which the API had ignored the offset',
    'ties',
    true,
    {
      times: [9, 10, 20, 22, 14195, 2640, 0, 6443, 20, 14, 7010],
      limit: 2,
      inclusive: false,
      first: [{ kind: 'ignored', parameter: 'offset' }],
      second: [],
      grows: 3,
      ends: false,
    },
  ],
  [
    'a page from a replica that is behind, and nothing more from then on',
    'key',
    true,
    {
      times: [6896, 8, 29, 4502, 1390, 29],
      limit: 3,
      inclusive: false,
      first: [],
      second: [{ kind: 'behind', at: 2, rows: 8 }],
      grows: 8,
      ends: true,
    },
  ],
  [
    'a page from a replica that is behind, of a list without times',
    'next',
    false,
    {
      times: [7424, 11, 7146, 17, 2579, 3471, 11, 4985],
      limit: 2,
      inclusive: true,
      first: [{ kind: 'behind', at: 3, rows: 5 }],
      second: [],
      grows: 1,
      ends: false,
    },
  ],
  [
    'a window that is refused for its rows, and nothing for the others',
    'window',
    true,
    {
      times: [5, 11, 4, 22, 12732],
      limit: 6,
      inclusive: false,
      first: [{ kind: 'ignored', parameter: 'start' }],
      second: [{ kind: 'ignored', parameter: 'start' }],
      grows: 7,
      ends: true,
    },
  ],
  [
    'rows of one second in another order behind a cursor that names one of them',
    'next',
    true,
    {
      times: [21, 26, 3, 297, 24, 6, 24, 4],
      limit: 4,
      inclusive: false,
      first: [{ kind: 'shuffled' }],
      second: [{ kind: 'shuffled' }, { kind: 'swapped', at: 8, row: 5, flips: true }],
      grows: 2,
      ends: false,
    },
  ],
  [
    'rows of one second in another order, of a list without times',
    'key',
    false,
    {
      times: [19, 4, 0, 1, 261, 19, 6347, 9, 13, 4778],
      limit: 4,
      inclusive: false,
      first: [{ kind: 'shuffled' }, { kind: 'circle', row: 6 }],
      second: [
        { kind: 'silent', from: 6, to: 14 },
        { kind: 'circle', row: 20 },
      ],
      grows: 1,
      ends: true,
    },
  ],
  [
    'an end that is said of the first page, and again by a replica that is far behind',
    'next',
    true,
    {
      times: [9, 4480, 6135, 0, 12756, 28, 12, 25, 9551, 28],
      limit: 6,
      inclusive: true,
      first: [
        { kind: 'behind', at: 3, rows: 8 },
        { kind: 'no-next', at: 1 },
      ],
      second: [{ kind: 'shuffled' }],
      grows: 10,
      ends: true,
    },
  ],
  [
    'a page from a replica that does not know the key, of a list without times',
    'key',
    false,
    {
      times: [8, 4801, 6, 21, 6664, 22, 30, 12, 813, 6399],
      limit: 3,
      inclusive: true,
      first: [
        { kind: 'silent', from: 9, to: 16 },
        { kind: 'behind', at: 3, rows: 6 },
      ],
      second: [
        { kind: 'refused', at: 8, status: 500 },
        { kind: 'circle', row: 18 },
      ],
      grows: 6,
      ends: true,
    },
  ],
  [
    'a stored cursor that stands before another row of its second',
    'next',
    false,
    {
      times: [0, 28, 14, 5107, 10322, 15, 8221, 13, 23, 9, 28, 0],
      limit: 3,
      inclusive: false,
      first: [{ kind: 'ignored', parameter: 'cursor' }],
      second: [{ kind: 'circle', row: 24 }, { kind: 'shuffled' }],
      grows: 0,
      ends: true,
    },
  ],
  ...['window', 'windows'].map((way): Found => [
    'the newest window from a replica that is behind',
    way,
    true,
    {
      times: [10664, 12612, 2915, 1187, 12670, 634],
      limit: 4,
      inclusive: false,
      first: [],
      second: [{ kind: 'behind', at: 1, rows: 2 }],
      grows: 4,
      ends: false,
    },
  ]),
]

describe('an API that lies', () => {
  it.each([
    ...Object.keys(PARAMETERS).map((way) => [way, true] as const),
    ...['next', 'key', 'offset', 'page'].map((way) => [way, false] as const),
  ])(
    'by %s (a stretch of time: %s) never costs a row in silence: the table is the source, or the run failed by name',
    async (way, covered) => {
      let whole = 0
      await fc.assert(
        fc.asyncProperty(worldOf(way), async (of) => {
          if (await play(way, covered, of, judgeOf(covered))) whole++
        }),
        { numRuns: CASES, seed: SEED, endOnFailure: true },
      )
      // A reader that believes nobody would be right, too.
      expect(whole).toBeGreaterThan(CASES / 3)
    },
    60_000 + CASES * 1_000,
  )

  it.each(FOUND)('nor does it in a world that once did: %s, by %s', async (_, way, covered, of) => {
    await play(way, covered, of, judgeOf(covered))
  })
})
