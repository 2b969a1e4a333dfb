import { expect, test } from 'vitest'
import type { RunFact } from '../sdk/index.js'
import { reduce } from './reduce.js'
import { initialView, type StepView } from './view.js'
import { bytes, cause, count, counted, duration, endpointLine, rate, retriesInWords, short, stepLine, stoppingLine, took } from './words.js'

/** The step `balances` after these facts, each at its time. */
function balances(...facts: readonly (readonly [number, RunFact])[]): StepView {
  const view = initialView()
  const start: RunFact = {
    type: 'run:started',
    pipeline: 'p',
    warehouse: 'w',
    pid: 1,
    host: 'h',
    steps: [{ id: 'balances', title: 'b', type: 'rpc-batch', needs: ['blocks'] }],
  }
  for (const [at, fact] of [[0, start] as const, ...facts]) reduce(view, { run: 'r', at, ...fact })
  const [step] = view.steps
  if (!step) throw new Error('no step')
  return step
}

const plan = (pieces: number, done = 0): RunFact => ({
  type: 'step:planned',
  step: 'balances',
  units: 1,
  pieces,
  done,
  requests: pieces,
  reasons: {},
  word: 'rows',
})
const begin: RunFact = { type: 'step:started', step: 'balances' }
const commit = (pieces: number): RunFact => ({ type: 'batch:committed', step: 'balances', unit: 'u', pieces, rows: {}, doubles: 0 })
const retry: RunFact = { type: 'unit:retrying', step: 'balances', unit: 'u', error: 'e', code: 'C', attempt: 1, waitMs: 1 }
const end = (outcome: Extract<RunFact, { type: 'step:ended' }>['outcome'], reason?: string): RunFact => ({
  type: 'step:ended',
  step: 'balances',
  outcome,
  missing: 0,
  quarantined: 0,
  reason,
})
const line = (...facts: readonly (readonly [number, RunFact])[]) => stepLine(balances(...facts), [], 1_780, 8)

test('a running step is one line with everything that is known', () => {
  expect(line([1_000, plan(999)], [1_000, begin], [1_400, retry], [1_500, retry], [1_780, commit(640)])).toBe(
    'balances  640/999 rows  64 %  821/s  0:00  ETA 0:00  retries 2',
  )
})

test('a step says what it waits for, what it would do, and how it ended', () => {
  expect(line()).toBe('balances  waiting for blocks')
  expect(line([1, plan(999)])).toBe('balances  999 rows to do')
  expect(line([1, plan(0, 12)], [2, end('complete')])).toBe('balances  no missing rows  (12 done before)')
  expect(line([1, plan(5_000)], [0, begin], [2_000, commit(5_000)], [2_000, end('complete')])).toBe(
    'balances  5,000 rows done  2,500/s  0:02',
  )
  expect(line([1, plan(5)], [0, begin], [2, commit(3)], [3, end('incomplete', '2 rows missing')])).toBe(
    'balances  incomplete  3/5 rows  2 rows missing  0:00',
  )
  expect(line([1, end('blocked', 'blocks failed')])).toBe('balances  not run: blocks failed')
  expect(line([1, end('closed', 'all there: 3\n\x1b[31m')])).toBe('balances  closed: all there: 3\\n\\x1b[31m')
  expect(line([1, end('skipped', 'when')])).toBe('balances  skipped: when')
})

test('a line fits 80 columns with numbers of a real backfill', () => {
  const facts: [number, RunFact][] = [
    [0, plan(21_000_000)],
    [0, begin],
  ]
  for (let i = 1; i <= 100; i++) facts.push([i * 1_000, commit(45_000)])
  for (let i = 1; i <= 1_234; i++) facts.push([100_000, retry])
  const text = stepLine(balances(...facts), [], 100_000, 10)
  expect(text).toBe('balances    4.50M/21.0M rows  21 %  45,000/s  1:40  ETA 6:06  retries 1,234')
  // An indent, or an icon and a space, come on top.
  expect(text.length).toBeLessThanOrEqual(80 - 4)
})

test('a run that was asked to stop says what becomes of what is under way', () => {
  expect(['SIGTERM', 'SIGUSR2'].map(stoppingLine)).toEqual([
    'stopping (SIGTERM): committing what is in flight; once more stops at once',
    'stopping (SIGUSR2): finishing the units under way; Ctrl-C ends them at their last commit',
  ])
})

test('an endpoint is one line', () => {
  const endpoint = {
    chain: 'c',
    endpoint: 'a.example',
    health: 'up',
    reason: null,
    requests: 31,
    calls: 3_000,
    bytes: 1,
    ms: 1_612,
    batch: 100,
    parallel: 5,
    credits: null,
    creditsPerSecond: null,
    hedged: 0,
    retries: { RATE: 2 },
    lastError: 'x',
  } as const
  expect(endpointLine(endpoint)).toBe('a.example  up  31 requests  52 ms  batch 100 x 5  retries 2 (rate limit)')
  expect(endpointLine({ ...endpoint, credits: 12_345, creditsPerSecond: 330, hedged: 3, retries: {} })).toBe(
    'a.example  up  31 requests  52 ms  batch 100 x 5  12,345 credits  3 hedged',
  )
  expect(
    endpointLine({
      ...endpoint,
      health: 'down',
      reason: 'wrong\nchain',
      requests: 0,
      calls: 0,
      ms: 0,
      batch: null,
      parallel: null,
      retries: {},
    }),
  ).toBe('a.example  down: wrong\\nchain  0 requests')
})

test('numbers read as people write them', () => {
  expect([0, 999, 1_000, 1_234_567].map(count)).toEqual(['0', '999', '1,000', '1,234,567'])
  expect([999_999, 4_500_000, 21_000_000, 2_000_000_000].map(short)).toEqual(['999,999', '4.50M', '21.0M', '2.00G'])
  expect([counted(1, 'blocks'), counted(2, 'blocks'), counted(0, 'days')]).toEqual(['1 block', '2 blocks', '0 days'])
  expect([0, 1_999, 61_000, 3_723_000, 90_061_000].map(duration)).toEqual(['0:00', '0:01', '1:01', '1:02:03', '1d 01:01'])
  expect([340, 59_949, 60_000].map(took)).toEqual(['0.3 s', '59.9 s', '1:00'])
  expect([0, 0.0234, 8.5, 9.96, 820.4].map(rate)).toEqual(['0/s', '0.023/s', '8.5/s', '10/s', '820/s'])
  expect([0, 999, 1_000, 34_100_000, 999_960].map(bytes)).toEqual(['0 B', '999 B', '1.0 kB', '34.1 MB', '1.0 MB'])
  expect([cause('RATE'), cause('RPC_TIMEOUT')]).toEqual(['rate limit', 'rpc timeout'])
  expect([retriesInWords({}), retriesInWords({ LAG: 1 }), retriesInWords({ LAG: 1, RATE: 2 })]).toEqual([
    '',
    '1 (node behind)',
    '3 (2 rate limit, 1 node behind)',
  ])
})
