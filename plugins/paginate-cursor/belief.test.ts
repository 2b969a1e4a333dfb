import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/cli/system-clock.js'
import type { Pipeline } from '../../src/pipeline/pipeline.js'
import { openWarehouse } from '../../src/warehouse/open.js'
import { apiYaml, readYaml, runAt } from '../../test/support/api-run.js'
import { type Lie, lyingApi, type LyingRow } from '../../test/support/lying-api.js'
import { MemoryLine, quickClock, reachInMemory } from '../../test/support/memory-line.js'
import { FOUND, type World } from '../../test/support/lying-worlds.js'
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

/** Ways in which a replica that is behind says that there is nothing. */
const BY_PLACE: ReadonlySet<string> = new Set(['offset', 'page', 'window', 'windows'])

/**
 * Ways in which nothing shows a row that moves above the place where the reading goes on: a cursor that the API gives out stands
 * before one row, and what is asked for by time comes by time.
 */
const UNSEEN: ReadonlySet<string> = new Set(['next', 'link', 'time', 'ties'])

const lieOf = (way: string): fc.Arbitrary<Lie> =>
  fc.oneof(
    // The first two requests of all have nothing that could contradict them.
    fc
      .record({ kind: fc.constant('silent' as const), from: fc.integer({ min: 3, max: 12 }), more: fc.nat(8) })
      .map(({ kind, from, more }) => ({ kind, from, to: from + more })),
    fc.record({ kind: fc.constant('no-next' as const), at: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ kind: fc.constant('ignored' as const), parameter: fc.constantFrom(...(PARAMETERS[way] ?? ['limit'])) }),
    fc.constant({ kind: 'shuffled' as const }),
    ...(UNSEEN.has(way)
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
  fc.uniqueArray(lieOf(way), {
    minLength,
    maxLength: 2,
    // What is said twice of a place, that nothing is there, nobody can tell from the truth.
    selector: (lie) =>
      (lie.kind === 'refused' && lie.status === 404) || (lie.kind === 'behind' && BY_PLACE.has(way)) ? 'silent' : lie.kind,
  })

const worldOf = (way: string): fc.Arbitrary<World> =>
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

/** Two runs against an API that lies, and two against one that does not. What each left is compared by the caller. */
async function play(way: string, covered: boolean, of: World, judge: (run: Run) => void, inMemory = LONG): Promise<boolean> {
  const make = (seconds: readonly number[], name: string): LyingRow[] =>
    seconds.map((second, i) => ({ id: `0x${name}${String(i).padStart(62, '0')}`, time: BASE + second }))
  // Where a cursor names a row, an order that turns within a page, or of more rows than the two cursors that are followed, can't be
  // told from one that holds.
  const turns = ['next', 'link', 'key'].includes(way) && [...of.first, ...of.second].some(({ kind }) => kind === 'shuffled')
  const times = turns ? of.times.filter((second, i) => of.times.slice(0, i).filter((other) => other === second).length < 2) : of.times
  let rows = make(times, 'aa').sort((a, b) => b.time - a.time)
  const api = await lyingApi(() => rows, of.inclusive, LONG ? reachInMemory : undefined)
  const store = await openStore(inMemory)
  const { warehouse } = store
  // A second with more rows than any page looks like one that is whole.
  const most = Math.max(...times.map((second) => times.filter((other) => other === second).length))
  let told = false
  try {
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
async function openStore(inMemory: boolean) {
  if (inMemory) {
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

  // A property of its own, so that seeds above name the worlds that they always did.
  it.each(['next', 'link'])('by %s, a page that once has no rows, and says where the next one is, costs none', async (way) => {
    const hollow = fc.record({ kind: fc.constant('hollow' as const), at: fc.integer({ min: 1, max: 20 }) })
    await fc.assert(
      fc.asyncProperty(worldOf(way), hollow, hollow, async (of, first, second) => {
        await play(way, true, { ...of, first: [first], second: [second], ends: false }, judgeOf(true))
      }),
      { numRuns: CASES * 4, seed: SEED, endOnFailure: true },
    )
  })

  it.each(FOUND)('nor does it in a world that once did: %s, by %s', async (_, way, covered, of) => {
    await play(way, covered, of, judgeOf(covered), true)
  })
})
