import { expect, test } from 'vitest'
import type { RunFact } from '../sdk/index.js'
import { elapsedOf, etaOf, openPieces, rateOf, shownRate } from './rates.js'
import { reduce } from './reduce.js'
import { initialView, type RunView, type StepView } from './view.js'

const started: RunFact = {
  type: 'run:started',
  pipeline: 'miners',
  warehouse: 'duckdb:m.duckdb',
  pid: 7,
  host: 'here',
  params: { from: '1' },
  select: ['complete'],
  limit: 5,
  steps: [
    { id: 'blocks', title: 'Blocks', type: 'rpc-batch', needs: [] },
    { id: 'complete', title: 'complete', type: 'gate', needs: ['blocks'] },
  ],
}

function planned(pieces: number, done = 0, units = 2): Extract<RunFact, { type: 'step:planned' }> {
  return { type: 'step:planned', step: 'blocks', units, pieces, done, requests: pieces, reasons: { new: units }, word: 'blocks' }
}

function committed(unit: string, pieces: number): RunFact {
  return { type: 'batch:committed', step: 'blocks', unit, pieces, rows: { blocks: pieces }, doubles: 0 }
}

/** Folds facts, each at its time. */
function fold(...facts: readonly (readonly [number, RunFact])[]): RunView {
  const view = initialView()
  for (const [at, fact] of facts) reduce(view, { run: 'r1', at, ...fact })
  return view
}

function blocksOf(view: RunView): StepView {
  const step = view.steps.find(({ id }) => id === 'blocks')
  if (!step) throw new Error('no step blocks')
  return step
}

test('a whole run folds into one plain value', () => {
  const check = { name: 'all there', passed: true, severity: 'error', value: '0', expect: '0', sql: 'SELECT 0' } as const
  const view = fold(
    [1_000, started],
    [1_000, { type: 'run:resolved', heads: { ethereum: '20' }, params: { from: '1' } }],
    [1_100, planned(10, 5)],
    [1_200, { type: 'step:started', step: 'blocks' }],
    [1_200, { type: 'unit:started', step: 'blocks', unit: '1-6', resumed: false, size: 6 }],
    [1_200, { type: 'unit:started', step: 'blocks', unit: '7-10', resumed: true, size: 4 }],
    [1_300, { type: 'request', from: { chain: 'ethereum' }, figures: { endpoint: 'a.example', calls: 6, bytes: 600, ms: 40 } }],
    [
      1_300,
      { type: 'retry', from: { chain: 'ethereum' }, endpoint: 'a.example', class: 'RATE', calls: 4, waitMs: 10, message: 'slow down' },
    ],
    [1_300, { type: 'limits', from: { chain: 'ethereum' }, endpoint: 'a.example', batch: 6, parallel: 2 }],
    [1_300, { type: 'endpoint', from: { chain: 'ethereum' }, endpoint: 'b.example', health: 'down', reason: 'wrong chain' }],
    [2_200, committed('1-6', 6)],
    [2_200, { type: 'commit:done', units: 1, rows: 6, ms: 12 }],
    [2_200, { type: 'unit:done', step: 'blocks', unit: '1-6' }],
    [2_300, { type: 'unit:retrying', step: 'blocks', unit: '7-10', error: 'timeout', code: 'TIMEOUT', attempt: 1, waitMs: 5 }],
    [2_400, { type: 'key:quarantined', step: 'blocks', unit: '7-10', key: '8', error: 'gone', code: 'GONE' }],
    [
      2_500,
      {
        type: 'unit:failed',
        step: 'blocks',
        unit: '7-10',
        error: 'no endpoint',
        detail: 'at a',
        code: 'DOWN',
        hint: 'look',
        state: 'failed',
      },
    ],
    [2_600, { type: 'step:ended', step: 'blocks', outcome: 'incomplete', missing: 4, quarantined: 1, reason: '4 blocks missing' }],
    [2_700, { type: 'check:evaluated', step: 'complete', result: { ...check, passed: false, value: '1' }, final: false }],
    [2_800, { type: 'check:evaluated', step: 'complete', result: check, final: true }],
    [2_900, { type: 'warning', message: 'hm' }],
    [2_950, { type: 'warning', message: 'hm' }],
    [2_960, { type: 'run:stopping', signal: 'SIGINT' }],
    [3_000, { type: 'run:ended', outcome: 'incomplete', exitCode: 1 }],
  )
  const expected = {
    ...initialView(),
    run: 'r1',
    pipeline: 'miners',
    warehouse: 'duckdb:m.duckdb',
    pid: 7,
    host: 'here',
    state: 'ended',
    outcome: 'incomplete',
    exitCode: 1,
    stopping: 'SIGINT',
    startedAt: 1_000,
    endedAt: 3_000,
    at: 3_000,
    follow: false,
    heads: { ethereum: '20' },
    seen: {},
    params: { from: '1' },
    select: ['complete'],
    limit: 5,
    steps: [
      {
        id: 'blocks',
        title: 'Blocks',
        type: 'rpc-batch',
        needs: [],
        state: 'incomplete',
        reason: '4 blocks missing',
        gaps: null,
        word: 'blocks',
        total: 10,
        done: 6,
        before: 5,
        planned: { units: 2, pieces: 10, calls: 10, reasons: { new: 2 } },
        units: { done: 1, failed: 1, quarantined: 0 },
        open: { units: 0, pieces: 0, first: [] },
        failed: 5,
        rows: { blocks: 6 },
        doubles: 0,
        counts: {},
        time: null,
        blocks: null,
        span: null,
        parallel: null,
        startedAt: 1_200,
        endedAt: 2_600,
        pausedAt: null,
        pausedMs: 0,
        perSecond: 6,
        samples: [
          [1_200, 0],
          [2_200, 6],
        ],
        retries: { TIMEOUT: 1 },
        failures: [
          { unit: '7-10', key: null, error: 'no endpoint', detail: 'at a', code: 'DOWN', hint: 'look', state: 'failed', at: 2_500 },
        ],
        missing: 4,
        quarantined: 1,
      },
      fold([1_000, started]).steps[1],
    ],
    endpoints: [
      {
        chain: 'ethereum',
        endpoint: 'a.example',
        health: 'up',
        reason: null,
        requests: 1,
        calls: 6,
        bytes: 600,
        ms: 40,
        batch: 6,
        parallel: 2,
        credits: null,
        creditsPerSecond: null,
        hedged: 0,
        retries: { RATE: 1 },
        lastError: 'slow down',
      },
      {
        chain: 'ethereum',
        endpoint: 'b.example',
        health: 'down',
        reason: 'wrong chain',
        requests: 0,
        calls: 0,
        bytes: 0,
        ms: 0,
        batch: null,
        parallel: null,
        credits: null,
        creditsPerSecond: null,
        hedged: 0,
        retries: {},
        lastError: null,
      },
    ],
    commits: { count: 1, units: 1, rows: 6, ms: 12, maxMs: 12 },
    checks: [{ ...check, step: 'complete', final: true, at: 2_800 }],
    quarantined: { count: 1, first: [{ step: 'blocks', unit: '7-10', key: '8', error: 'gone', code: 'GONE', hint: null }] },
    warnings: [{ step: null, message: 'hm', count: 2, at: 2_950 }],
  }
  expect(view).toEqual(expected)
  expect(JSON.parse(JSON.stringify(view))).toEqual(expected)
})

test('the rate is that of the last ten seconds, falls when nothing comes, and gives the time that is left', () => {
  const facts: [number, RunFact][] = [
    [0, started],
    [0, planned(10_000, 0, 1)],
    [0, { type: 'step:started', step: 'blocks' }],
  ]
  for (let second = 1; second <= 30; second++) facts.push([second * 1_000, committed('u', second <= 20 ? 100 : 10)])
  const step = blocksOf(fold(...facts))
  expect(rateOf(step, 30_000)).toBe(10)
  expect(etaOf(step, 30_000)).toBe(((10_000 - 2_100) * 1_000) / 10)
  expect(rateOf(step, 35_000)).toBe(5)
  expect(rateOf(step, 60_000)).toBe(0)
  expect(etaOf(step, 60_000)).toBe(null)
  expect(step.samples.length).toBeLessThan(50)
})

test('the rate that is shown stays between batches that are far apart, and decays to nothing when none comes', () => {
  const facts: [number, RunFact][] = [
    [0, started],
    [0, planned(10_000, 0, 1)],
    [0, { type: 'step:started', step: 'blocks' }],
  ]
  expect(shownRate(blocksOf(fold(...facts)), 5_000)).toBe(null)
  for (const second of [15, 30, 45]) facts.push([second * 1_000, committed('u', 300)])
  const step = blocksOf(fold(...facts))
  // One is due each 15 s: at 75 s a second one is missed. It halves each 17 s from there.
  expect([45, 60, 75].map((second) => shownRate(step, second * 1_000))).toEqual([20, 20, 20])
  expect([92, 109, 126].map((second) => shownRate(step, second * 1_000))).toEqual([10, 5, 2.5])
  const shown = Array.from({ length: 200 }, (_, second) => shownRate(step, (45 + second) * 1_000) ?? -1)
  expect(shown.every((rate, i) => rate >= 0 && rate <= (shown[i - 1] ?? 20))).toBe(true)
  expect(shown.at(-1)).toBe(0)
  expect([etaOf(step, 92_000, 10), etaOf(step, 300_000, 0)]).toEqual([910_000, null])
  expect(shownRate(step, 1_000)).toBe(20)
})

test('a clock that is set back gives no negative rate', () => {
  const step = blocksOf(
    fold(
      [50_000, started],
      [50_000, planned(100)],
      [50_000, { type: 'step:started', step: 'blocks' }],
      [10_000, committed('u', 5)],
      [11_000, committed('u', 5)],
    ),
  )
  expect(rateOf(step, 11_000)).toBe(5)
})

test('a plan before the work replaces the one before it, a plan after some work comes on top', () => {
  const waiting = fold([0, started], [0, planned(0)], [1, planned(999)])
  expect([blocksOf(waiting).total, blocksOf(waiting).planned?.pieces]).toEqual([999, 999])
  const rounds = fold(
    [0, started],
    [0, planned(10, 90)],
    [1, { type: 'step:started', step: 'blocks' }],
    [2, committed('u', 10)],
    [3, planned(5, 100)],
  )
  expect([blocksOf(rounds).total, blocksOf(rounds).done, blocksOf(rounds).before, blocksOf(rounds).planned?.pieces]).toEqual([
    15, 10, 90, 15,
  ])
})

test('open pieces are those of open units, by their sizes or the average', () => {
  const facts: [number, RunFact][] = [
    [0, started],
    [0, planned(100, 0, 10)],
    [0, { type: 'step:started', step: 'blocks' }],
  ]
  const unit = { type: 'unit:started', step: 'blocks', unit: 'u', resumed: false } as const
  expect(openPieces(blocksOf(fold(...facts, [1, unit], [2, committed('u', 4)])))).toEqual({ processing: 6, pending: 90 })
  expect(openPieces(blocksOf(fold(...facts, [1, { ...unit, size: 30 }], [2, committed('u', 4)])))).toEqual({ processing: 26, pending: 70 })
  expect(
    openPieces(
      blocksOf(
        fold(
          ...facts,
          [1, { ...unit, size: 30 }],
          [2, { type: 'unit:failed', step: 'blocks', unit: 'u', error: '', code: 'X', state: 'failed' }],
        ),
      ),
    ),
  ).toEqual({
    processing: 0,
    pending: 70,
  })
})

test('what failed and was done later is no failure', () => {
  const view = fold(
    [0, started],
    [1, { type: 'unit:retrying', step: 'blocks', unit: 'u', error: 'timeout', code: 'TIMEOUT', attempt: 1, waitMs: 5 }],
    [2, { type: 'unit:done', step: 'blocks', unit: 'u' }],
  )
  expect(blocksOf(view).failures).toEqual([])
  expect(blocksOf(view).retries).toEqual({ TIMEOUT: 1 })
})

test('a unit that was left is open no more', () => {
  const begun: [number, RunFact][] = ['u', 'v'].map((unit, i) => [
    1 + i,
    { type: 'unit:started', step: 'blocks', unit, resumed: false, size: 9 },
  ])
  const left = { type: 'unit:left', step: 'blocks', unit: 'u' } as const
  for (const reason of ['taken', 'stopped'] as const) {
    const view = fold([0, started], ...begun, [3, { ...left, reason }])
    expect([blocksOf(view).open, blocksOf(view).units]).toEqual([
      { units: 1, pieces: 9, first: [{ unit: 'v', since: 2 }] },
      { done: 0, failed: 0, quarantined: 0 },
    ])
  }
})

test('of units that are under way some of those that were begun first are shown with since when, however many there are', () => {
  const begun = Array.from({ length: 100 }, (_, i): [number, RunFact] => [
    i,
    { type: 'unit:started', step: 'blocks', unit: `u${i}`, resumed: false, size: 1 },
  ])
  const done = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i): [number, RunFact] => [200, { type: 'unit:done', step: 'blocks', unit: `u${from + i}` }])
  const shown = (...facts: [number, RunFact][]) => blocksOf(fold([0, started], ...begun, ...facts)).open.first
  const units = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => ({ unit: `u${from + i}`, since: from + i }))
  expect(shown()).toEqual(units(0, 31))
  expect(shown(...done(0, 23))).toEqual(units(24, 31))
  expect(shown(...done(0, 24))).toEqual(units(25, 56))
  expect(shown(...done(0, 97))).toEqual(units(98, 99))
})

test('a key that failed is no failed unit, and stays a failure when its unit ends', () => {
  const key = { type: 'key:failed', step: 'blocks', unit: 'u', error: 'gone', code: 'GONE' } as const
  const view = fold(
    [0, started],
    [1, { type: 'unit:started', step: 'blocks', unit: 'u', resumed: false, size: 9 }],
    [2, { ...key, key: '7', hint: 'look' }],
    [3, { ...key, key: '8' }],
    [4, { type: 'unit:done', step: 'blocks', unit: 'u' }],
  )
  expect([blocksOf(view).units, blocksOf(view).failed]).toEqual([{ done: 1, failed: 0, quarantined: 0 }, 2])
  const failure = { unit: 'u', error: 'gone', detail: null, code: 'GONE', state: 'failed' } as const
  expect(blocksOf(view).failures).toEqual([
    { ...failure, key: '7', hint: 'look', at: 2 },
    { ...failure, key: '8', hint: null, at: 3 },
  ])
})

test('the view stays small whatever goes wrong, and the counts stay right', () => {
  const view = initialView()
  const tell = (fact: RunFact) => reduce(view, { run: 'r', at: 1, ...fact })
  for (let i = 0; i < 10_000; i++) {
    tell({ type: 'key:quarantined', step: 'blocks', unit: 'u', key: String(i), error: 'gone', code: 'GONE' })
    tell({ type: 'warning', message: `warning ${i}` })
    tell({ type: 'unit:failed', step: 'blocks', unit: String(i), error: 'gone', code: 'GONE', state: 'quarantined' })
  }
  expect([view.quarantined.count, view.moreWarnings, blocksOf(view).units.quarantined]).toEqual([10_000, 9_950, 10_000])
  expect(JSON.stringify(view).length).toBeLessThan(20_000)
})

test('the three events of a unit take less than 50 us to fold, with a thousand steps', () => {
  const view = initialView()
  const begun = process.cpuUsage()
  for (let i = 0; i < 100_000; i++) {
    const step = `step-${i % 1_000}`
    reduce(view, { run: 'r', at: i, type: 'unit:started', step, unit: String(i), resumed: false })
    reduce(view, { run: 'r', at: i, type: 'batch:committed', step, unit: String(i), pieces: 1, rows: { t: 1 }, doubles: 0 })
    reduce(view, { run: 'r', at: i, type: 'unit:done', step, unit: String(i) })
  }
  const { user, system } = process.cpuUsage(begun)
  expect(view.steps.reduce((total, step) => total + step.done, 0)).toBe(100_000)
  expect((user + system) / 100_000).toBeLessThan(50)
})

test('a pause stops the time: no rate and no time left is told of it, and what comes after it is measured from there', () => {
  const at = (...facts: readonly (readonly [number, RunFact])[]) =>
    fold([0, started], [0, planned(1_000)], [0, { type: 'step:started', step: 'blocks' }], [1_000, committed('1-100', 100)], ...facts)
  const told = (view: RunView, now: number) => {
    const step = blocksOf(view)
    return [view.state, elapsedOf(view, now), elapsedOf(step, now), rateOf(step, now), shownRate(step, now), etaOf(step, now)]
  }
  const pausing = [1_500, { type: 'run:pausing' }] as const
  const paused = [pausing, [2_000, committed('101-200', 100)], [2_000, { type: 'run:paused' }]] as const
  const resumed = [...paused, [602_000, { type: 'run:resumed' }]] as const
  expect(told(at(pausing), 1_500)[0]).toBe('pausing')
  expect(told(at(...paused), 600_000)).toEqual(['paused', 2_000, 2_000, 0, null, null])
  expect(told(at(...resumed), 602_000)).toEqual(['running', 2_000, 2_000, null, null, null])
  expect(told(at(...resumed, [603_000, committed('201-300', 100)]), 603_000)).toEqual(['running', 3_000, 3_000, 100, 100, 7_000])
  // Somebody stopped it, or it was killed: the pause ends with the run.
  const ended = [
    [602_000, { type: 'run:stopping', signal: 'SIGUSR2' }],
    [602_100, { type: 'step:ended', step: 'blocks', outcome: 'stopped', missing: 800, quarantined: 0 }],
    [602_200, { type: 'run:resumed' }],
  ] as const
  expect(told(at(...paused, ...ended), 602_200).slice(0, 3)).toEqual(['stopping', 2_200, 2_100])
  expect(told(at(pausing, [1_600, { type: 'run:resumed' }]), 1_600)).toEqual(['running', 1_600, 1_600, 62.5, 100, 14_400])
})

test('how much a step does at once is as it was planned, then as somebody changed it', () => {
  const width = { of: 'units', most: 4 } as const
  const changed = { type: 'step:parallel', step: 'blocks', most: 9 } as const
  expect(blocksOf(fold([0, { ...planned(10), parallel: width }])).parallel).toEqual(width)
  expect(blocksOf(fold([0, { ...planned(10), parallel: width }], [1, changed])).parallel).toEqual({ of: 'units', most: 9 })
})
