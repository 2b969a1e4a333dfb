import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Clock, RunEvent, RunFact } from '../sdk/index.js'
import { statusFileReporter, type StatusFile } from './status-file.js'
import { reduce } from './reduce.js'
import { initialView } from './view.js'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pipe-status-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const started: RunFact = {
  type: 'run:started',
  pipeline: 'miners',
  warehouse: 'w',
  pid: 7,
  host: 'here',
  steps: [{ id: 'blocks', title: 'b', type: 'rpc-batch', needs: [] }],
}
const planned: RunFact = { type: 'step:planned', step: 'blocks', units: 1, pieces: 10, done: 0, requests: 10, reasons: {}, word: 'blocks' }
const committed: RunFact = { type: 'batch:committed', step: 'blocks', unit: 'u', pieces: 4, rows: { a: 4, b: 8 }, doubles: 0 }

function play(path: string) {
  let now = Date.UTC(2026, 0, 1)
  let wake: (() => void) | undefined
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        expect(ms).toBe(10_000)
        wake = resolve
        signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true })
      }),
  }
  const view = initialView()
  const warnings: string[] = []
  const reporter = statusFileReporter({ path, view, clock, pid: 7, warn: (message) => warnings.push(message) })
  return {
    reporter,
    warnings,
    /** Ten seconds in which nothing happens. */
    quiet() {
      now += 10_000
      wake?.()
    },
    tell(fact: RunFact, ms = 0) {
      now += ms
      const event = { run: 'r1', at: now, ...fact } as RunEvent
      reduce(view, event)
      reporter.onEvent(event)
    },
    /** Waits until the file says this. */
    shows: (expected: { readonly [Field in keyof StatusFile]?: Field extends 'steps' ? readonly object[] : StatusFile[Field] }) =>
      vi.waitFor(() => expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject(expected), 10_000),
  }
}

test('the file tells every stage, with null for what is not known', async () => {
  const path = join(folder, 'deep', 'status.json')
  const run = play(path)
  run.tell(started)
  await run.shows({
    status: 'starting',
    rows: null,
    oldest: null,
    newest: null,
    rows_written: 0,
    days_coverage: null,
    target_days: null,
    complete: false,
    paused: false,
    timestamp: '2026-01-01T00:00:00.000Z',
    pipeline: 'miners',
    run: 'r1',
    exit_code: null,
    steps: [{ id: 'blocks', state: 'waiting', word: null, done: 0, total: null, rows: 0, missing: 0, quarantined: 0 }],
  })
  run.tell(planned)
  await run.shows({ status: 'in_progress', steps: [{ state: 'planned', word: 'blocks', total: 10 }] })
  run.tell(committed)
  run.tell(committed, 1_000)
  await run.shows({ rows_written: 24, timestamp: '2026-01-01T00:00:01.000Z', steps: [{ done: 8, rows: 24 }] })
  run.tell({ type: 'round:ended', round: 1, waitMs: 60_000 })
  run.quiet()
  await run.shows({ status: 'in_progress', timestamp: '2026-01-01T00:00:11.000Z' })
  run.tell({ type: 'run:ended', outcome: 'done', exitCode: 0 })
  await run.reporter.close()
  await run.shows({ status: 'complete', complete: true, exit_code: 0 })
  expect(readdirSync(join(folder, 'deep'))).toEqual(['status.json'])
})

test('days are told without the digits of a sum of microseconds', async () => {
  const path = join(folder, 'status.json')
  const run = play(path)
  run.tell(started)
  run.tell({ ...planned, pieces: 180.00000000001157, word: 'days' })
  run.tell({ ...committed, pieces: 0.1 })
  run.tell({ ...committed, pieces: 0.2 })
  await run.reporter.close()
  await run.shows({ steps: [{ word: 'days', done: 0.3, total: 180 }] })
})

test.each([
  ['done', 'complete', true],
  ['incomplete', 'failed', false],
  ['stopped', 'failed', false],
  ['error', 'error', false],
] as const)('a run that ended %s shows as %s', async (outcome, status, complete) => {
  const path = join(folder, 'status.json')
  const run = play(path)
  run.tell(started)
  run.tell({ type: 'run:ended', outcome, exitCode: 0 })
  await run.reporter.close()
  await run.shows({ status, complete })
})

test('a reader never sees half a file', async () => {
  const path = join(folder, 'status.json')
  const run = play(path)
  run.tell(started)
  await run.shows({})
  for (let i = 0; i < 200; i++) {
    run.tell(planned, 1_000)
    expect(() => JSON.parse(readFileSync(path, 'utf8')) as unknown).not.toThrow()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await run.reporter.close()
})

test('a file that can not be written is one warning, and the run goes on', async () => {
  const path = join(folder, 'status.json')
  mkdirSync(join(path, 'inside'), { recursive: true })
  const run = play(path)
  for (let i = 0; i < 5; i++) run.tell(started)
  await run.reporter.close()
  expect(run.warnings).toEqual([`the status file ${path} can not be written (it is a folder); the run goes on without it`])
  expect(readdirSync(folder)).toEqual(['status.json'])

  writeFileSync(join(folder, 'file'), '')
  const other = play(join(folder, 'file', 'status.json'))
  other.tell(started)
  await other.reporter.close()
  expect(other.warnings.length).toBe(1)
})
