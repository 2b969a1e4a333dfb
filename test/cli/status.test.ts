import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { StopSignal } from '../../src/session/surroundings.js'
import { runCli } from '../../src/cli/main.js'
import type { StatusReport } from '../../src/report/status.js'
import { systemClock } from '../../src/cli/system-clock.js'
import { reduce } from '../../src/report/reduce.js'
import { initialView } from '../../src/report/view.js'
import type { Json, RunFact } from '../../src/sdk/index.js'
import { openStateStore } from '../../src/state/open.js'
import type { StateStore } from '../../src/state/store.js'
import { schemaErrors } from '../support/json-schema.js'
import { fakeIo } from './fake-io.js'

const startedAt = Date.UTC(2026, 2, 1, 12, 0, 0)
let cwd: string

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'pipe-status-'))
  const steps = 'steps: [{ id: check, type: gate, with: { checks: [{ name: one, sql: SELECT 1, expect: 1 }] } }]'
  await writeFile(join(cwd, 'p.yaml'), `name: p\nwarehouse: duckdb:p.duckdb\n${steps}\n`)
})
afterEach(() => rm(cwd, { recursive: true }))

test('a pipeline that never ran is said to be so, and no state is made', async () => {
  const io = fakeIo({ cwd })
  expect([await runCli(['status', 'p.yaml'], io), io.out(), io.err()]).toEqual([
    0,
    'p has not run yet, as far as this state store knows\n  pipe run p.yaml\n',
    '',
  ])
  expect(existsSync(join(cwd, '.pipe'))).toBe(false)
  const json = fakeIo({ cwd })
  expect(await runCli(['status', 'p.yaml', '--json'], json)).toBe(0)
  const report = JSON.parse(json.out()) as StatusReport
  expect([report.run, report.history, schemaErrors('status', report)]).toEqual([null, [], []])
})

test('--json tells of the running run and fits its schema', async () => {
  const state = await startRun()
  const io = fakeIo({ cwd, clock: { ...systemClock, now: () => startedAt + 5_000 } })
  expect([await runCli(['status', 'p.yaml', '--json'], io), io.err()]).toEqual([0, ''])
  await state.close()
  const report = JSON.parse(io.out()) as StatusReport
  expect(schemaErrors('status', report)).toEqual([])
  expect(report.run).toMatchObject({
    id: 'run-1',
    outcome: 'running',
    pid: 7,
    host: 'here',
    startedAt: '2026-03-01T12:00:00.000Z',
    elapsedMs: 5_000,
  })
  expect(report.steps).toMatchObject([{ id: 'check', state: 'running', word: 'checks', done: 0, total: 1 }])
})

test('--watch prints until the run has ended, and gives its lines one by one as JSON', async () => {
  const state = await startRun()
  let waits = 0
  const clock = {
    ...systemClock,
    now: () => startedAt + 5_000,
    sleep: async () => {
      waits += 1
      if (waits === 2) await state.updateRun('run-1', { outcome: 'done', exitCode: 0, endedAt: startedAt + 4_000 }, startedAt + 4_000)
    },
  }
  const io = fakeIo({ cwd, clock })
  expect(await runCli(['status', 'p.yaml', '--watch', '--json'], io)).toBe(0)
  await state.close()
  const reports = io
    .out()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as StatusReport)
  expect(reports.map(({ run }) => run?.outcome)).toEqual(['running', 'running', 'done'])
})

test('--watch stops with 130 on Ctrl-C', async () => {
  const state = await startRun()
  const stop = new AbortController()
  const clock = { ...systemClock, now: () => startedAt + 5_000 }
  const io = fakeIo({ cwd, clock, signal: stop.signal })
  const ended = runCli(['status', 'p.yaml', '--watch'], io)
  while (io.out() === '') await new Promise((resolve) => setTimeout(resolve, 10))
  stop.abort(new StopSignal('SIGINT'))
  expect([await ended, io.err()]).toEqual([130, ''])
  await state.close()
})

/** A store in which one run has begun, as another process would see it. */
async function startRun(): Promise<StateStore> {
  const state = await openStateStore(`sqlite:${join(cwd, '.pipe/state.db')}`, { clock: systemClock })
  await state.startRun({
    id: 'run-1',
    pipeline: 'p',
    warehouse: 'duckdb:p.duckdb',
    file: 'p.yaml',
    hash: 'h',
    pid: 7,
    host: 'here',
    startedAt,
  })
  const facts: readonly RunFact[] = [
    {
      type: 'run:started',
      pipeline: 'p',
      warehouse: 'duckdb:p.duckdb',
      pid: 7,
      host: 'here',
      steps: [{ id: 'check', title: 'check', type: 'gate', needs: [] }],
    },
    { type: 'step:planned', step: 'check', units: 1, pieces: 1, done: 0, requests: 0, reasons: { new: 1 }, word: 'checks' },
    { type: 'step:started', step: 'check' },
  ]
  const view = facts.reduce((seen, fact) => reduce(seen, { run: 'run-1', at: startedAt, ...fact }), initialView())
  await state.updateRun('run-1', { view: JSON.parse(JSON.stringify(view)) as Json }, startedAt)
  return state
}
