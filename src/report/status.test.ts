import { expect, test } from 'vitest'
import { reduce } from './reduce.js'
import { initialView, type RunView } from './view.js'
import type { Json, RunFact } from '../sdk/index.js'
import type { RunRecord } from '../state/store.js'
import { renderStatus, statusReport } from './status.js'

const start = Date.UTC(2026, 10, 22, 6, 28, 1)

function viewOf(...facts: readonly (readonly [number, RunFact])[]): RunView {
  const view = initialView()
  for (const [at, fact] of facts) reduce(view, { run: 'r2', at: start + at, ...fact })
  return view
}

const running: readonly (readonly [number, RunFact])[] = [
  [
    0,
    {
      type: 'run:started',
      pipeline: 'miners',
      warehouse: 'duckdb:m.duckdb',
      pid: 7,
      host: 'here',
      steps: [
        { id: 'blocks', title: 'Blocks', type: 'rpc-batch', needs: [] },
        { id: 'complete', title: 'complete', type: 'gate', needs: ['blocks'] },
      ],
    },
  ],
  [0, { type: 'step:planned', step: 'blocks', units: 1, pieces: 1_000, done: 24, requests: 1_000, reasons: {}, word: 'blocks' }],
  [0, { type: 'step:started', step: 'blocks' }],
  [2_000, { type: 'batch:committed', step: 'blocks', unit: 'u', pieces: 400, rows: { blocks: 400 }, doubles: 0 }],
  [2_000, { type: 'request', from: { chain: 'ethereum' }, figures: { endpoint: 'a.example', calls: 400, bytes: 1, ms: 50 } }],
  [2_000, { type: 'key:quarantined', step: 'blocks', unit: 'u', key: '7', error: 'gone\x1b[2J', code: 'GONE' }],
]

function record(change: Partial<RunRecord>): RunRecord {
  return {
    id: 'r2',
    pipeline: 'miners',
    warehouse: 'duckdb:m.duckdb',
    file: 'miners.yaml',
    hash: 'h',
    pid: 7,
    host: 'here',
    startedAt: start,
    endedAt: undefined,
    outcome: 'running',
    exitCode: undefined,
    resolved: undefined,
    // What goes through the state store.
    view: JSON.parse(JSON.stringify(viewOf(...running))) as Json,
    wish: { paused: false, parallel: {} },
    updatedAt: start + 2_000,
    ...change,
  }
}

const check = { name: 'all there', passed: false, severity: 'error', value: '3', expect: '0', sql: 'SELECT 3' } as const
const earlier = record({ id: 'r1', startedAt: start - 86_400_000, endedAt: start - 86_390_000, outcome: 'incomplete', exitCode: 1 })
const input = { pipeline: 'miners', file: 'miners.yaml', now: start + 4_000 }

const rows = [0, 1, 2, 3].map((n) => ({ n: String(n), miner: n === 1 ? '\u0000' : null }))

test('a running run is shown with its live progress, its gates with what they gave before, its quarantine and what was before', () => {
  const checks = [
    { run: 'r2', step: 'complete', result: { ...check, sample: { rows, more: true } }, final: true, at: start + 2_000 },
    { run: 'r2', step: 'complete', result: { ...check, value: '600', expect: '>= 60', passed: true }, final: false, at: start + 1_000 },
    { run: 'r1', step: 'complete', result: { ...check, value: null, problem: 'gave NULL' }, final: true, at: start - 86_390_000 },
    { run: 'r1', step: 'gone', result: check, final: true, at: start - 86_395_000 },
  ]
  expect(renderStatus({ ...input, runs: [record({}), earlier], checks }))
    .toBe(`miners: running for 0:04 (pid 7 on here, started 2026-11-22 06:28:01 UTC)
  warehouse duckdb:m.duckdb

  blocks    400/1,000 blocks  40 %  100/s  0:04  ETA 0:06  failed 1
  complete  waiting for blocks

  a.example  up  1 request  50 ms

Checks:
  not passed  complete: all there: 3, expected 0
      n=0  miner=NULL
      n=1  miner=\\x00
      n=2  miner=NULL
      1 more kept, and there are others (pipe status miners.yaml --json)
      before: 600 at 2026-11-22 06:28:02 UTC while its needs ran, no value (not passed) at 2026-11-21 06:28:11 UTC

In quarantine:
  blocks: 1
    blocks 7: gone\\x1b[2J

Last runs:
  2026-11-22 06:28:01 UTC  running                  0:04  400 rows
  2026-11-21 06:28:01 UTC  incomplete  exit 1       0:10  400 rows
`)
})

test('a run that is paused says so, and one that somebody has just paused says that it is about to be', () => {
  const headOf = (change: Partial<RunRecord>) => renderStatus({ ...input, runs: [record(change)], checks: [] }).split(' (pid')[0]
  const paused = [{ type: 'run:pausing' }, { type: 'run:paused' }].map((fact) => [2_500, fact] as const) as typeof running
  const view = JSON.parse(JSON.stringify(viewOf(...running, ...paused))) as Json
  expect(headOf({ wish: { paused: true, parallel: {} } })).toBe('miners: pausing, running for 0:04')
  expect(headOf({ view })).toBe('miners: paused, running for 0:04')
  expect(renderStatus({ ...input, now: start + 60_000, runs: [record({ view })], checks: [] })).toContain(
    '\n  blocks    400/1,000 blocks  40 %  0/s  0:02  failed 1\n',
  )
  const stateOf = (change: Partial<RunRecord>) => statusReport({ ...input, runs: [record(change)], checks: [] }).run?.state
  expect([stateOf({ view }), stateOf({ view, outcome: 'crashed' })]).toEqual(['paused', 'ended'])
})

test('the JSON says the same in plain fields', () => {
  const run = {
    exitCode: null,
    error: null,
    warehouse: 'duckdb:m.duckdb',
    pid: 7,
    host: 'here',
    updatedAt: '2026-11-22T06:28:03.000Z',
    rows: { blocks: 400 },
  }
  const now = {
    ...run,
    id: 'r2',
    outcome: 'running',
    state: 'running',
    startedAt: '2026-11-22T06:28:01.000Z',
    endedAt: null,
    elapsedMs: 4_000,
  }
  const at = '2026-11-22T06:28:03.000Z'
  const step = {
    reason: null,
    gaps: null,
    failed: 0,
    missing: 0,
    quarantined: 0,
    rows: {},
    perSecond: null,
    elapsedMs: null,
    etaMs: null,
    retries: 0,
    parallel: null,
  }
  const report = statusReport({
    ...input,
    runs: [record({}), earlier],
    checks: [{ run: 'r2', step: 'complete', result: check, final: true, at: start + 2_000 }],
  })
  const expected = {
    pipeline: 'miners',
    file: 'miners.yaml',
    run: now,
    steps: [
      {
        ...step,
        id: 'blocks',
        title: 'Blocks',
        state: 'running',
        word: 'blocks',
        done: 400,
        total: 1_000,
        before: 24,
        failed: 1,
        quarantined: 1,
        rows: { blocks: 400 },
        perSecond: 100,
        elapsedMs: 4_000,
        etaMs: 6_000,
      },
      { ...step, id: 'complete', title: 'complete', state: 'waiting', word: null, done: 0, total: null, before: 0 },
    ],
    checks: [
      { ...check, step: 'complete', final: true, at, history: [{ run: 'r2', passed: false, value: '3', expect: '0', final: true, at }] },
    ],
    quarantined: { count: 1, first: [{ step: 'blocks', unit: 'u', key: '7', error: 'gone\x1b[2J', code: 'GONE', hint: null }] },
    endpoints: [
      {
        chain: 'ethereum',
        endpoint: 'a.example',
        health: 'up',
        reason: null,
        requests: 1,
        calls: 400,
        bytes: 1,
        ms: 50,
        batch: null,
        parallel: null,
        credits: null,
        creditsPerSecond: null,
        hedged: 0,
        retries: {},
        lastError: null,
      },
    ],
    lag: [],
    warnings: [],
    history: [
      now,
      {
        ...run,
        id: 'r1',
        state: 'ended',
        outcome: 'incomplete',
        exitCode: 1,
        startedAt: '2026-11-21T06:28:01.000Z',
        endedAt: '2026-11-21T06:28:11.000Z',
        elapsedMs: 10_000,
      },
    ],
  }
  expect(JSON.parse(JSON.stringify(report))).toEqual(expected)
})

test('a run whose process is gone is no running one, and its steps are not either', () => {
  const text = renderStatus({ ...input, now: start + 90_000, runs: [record({ outcome: 'crashed' })], checks: [] })
  expect(text.split('\n').slice(0, 5)).toEqual([
    'miners: crashed: pid 7 on here is gone (started 2026-11-22 06:28:01 UTC, last heard of 2026-11-22 06:28:03 UTC); the next run goes on where it ended',
    '  warehouse duckdb:m.duckdb',
    '',
    '  blocks    stopped  400/1,000 blocks  its process is gone  0:02',
    '  complete  waiting for blocks',
  ])
})

test('a run on another machine that is silent is shown as such', () => {
  expect(renderStatus({ ...input, now: start + 192_000, runs: [record({ host: 'far' })], checks: [] })).toContain(
    '(pid 7 on far, started 2026-11-22 06:28:01 UTC), not heard of for 3:10',
  )
})

test('a pipeline that never ran says how to run it', () => {
  expect(renderStatus({ ...input, runs: [], checks: [] })).toBe(
    'miners has not run yet, as far as this state store knows\n  pipe run miners.yaml\n',
  )
  expect(statusReport({ ...input, runs: [], checks: [] })).toEqual({
    pipeline: 'miners',
    file: 'miners.yaml',
    run: null,
    steps: [],
    checks: [],
    quarantined: { count: 0, first: [] },
    endpoints: [],
    lag: [],
    warnings: [],
    history: [],
  })
})

test('a run of which the view was never written is shown without steps', () => {
  expect(renderStatus({ ...input, runs: [record({ view: undefined })], checks: [] })).toContain('running for 0:04')
})

test('the view that an older version kept is shown with what it says', () => {
  const view = JSON.parse(JSON.stringify(record({}).view).replaceAll('"word":"blocks"', '"unit":"blocks"')) as Json
  const { steps } = statusReport({ ...input, runs: [record({ view })], checks: [] })
  expect(steps[0]).toMatchObject({ id: 'blocks', word: null, done: 400 })
})
