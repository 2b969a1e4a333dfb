import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import type { Clock, RunEvent, RunFact } from '../sdk/index.js'
import { terminalReporter } from './terminal.js'
import { reduce } from './reduce.js'
import { initialView } from './view.js'

const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now(), sleep: () => Promise.resolve() }

/** A run on a terminal of 80 columns: everything that was written to it. */
function play() {
  let written = ''
  const out = new Writable({
    write(chunk, _encoding, done) {
      written += String(chunk)
      done()
    },
  })
  const view = initialView()
  const reporter = terminalReporter({ out, view, clock, columns: 80, color: false })
  return {
    reporter,
    tell(fact: RunFact) {
      const event = { run: 'r1', at: Date.now(), ...fact } as RunEvent
      reduce(view, event)
      reporter.onEvent(event)
    },
    raw: () => written,
    /** The last drawing, without the codes that move the cursor. */

    last: () => written.slice(written.lastIndexOf('\x1b[G') + 3).replace(/\x1b\[[\d;?]*[a-zA-Z]/g, ''),
  }
}

const started = (steps: number): RunFact => ({
  type: 'run:started',
  pipeline: 'miners',
  warehouse: 'w',
  pid: 7,
  host: 'here',
  steps: Array.from({ length: steps }, (_, i) => ({
    id: `step-${i}`,
    title: 's',
    type: 'rpc-batch',
    needs: i === 0 ? [] : [`step-${i - 1}`],
  })),
})
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test('every step ends as one line with its outcome, and the cursor comes back', async () => {
  const run = play()
  run.tell(started(3))
  await pause(300)
  run.tell({ type: 'step:planned', step: 'step-0', units: 1, pieces: 5, done: 0, requests: 5, reasons: {}, word: 'blocks' })
  run.tell({ type: 'step:started', step: 'step-0' })
  run.tell({ type: 'batch:committed', step: 'step-0', unit: 'u', pieces: 5, rows: {}, doubles: 0 })
  run.tell({ type: 'step:ended', step: 'step-0', outcome: 'complete', missing: 0, quarantined: 0 })
  run.tell({ type: 'step:ended', step: 'step-1', outcome: 'failed', missing: 0, quarantined: 0, reason: 'odd\n\x1b[2J' })
  run.tell({ type: 'warning', message: 'hm' })
  run.tell({ type: 'run:ended', outcome: 'incomplete', exitCode: 1 })
  await run.reporter.close()
  const lines = run.last().trimEnd().split('\n')
  expect(lines.map((line) => line.replace(/^(\S| ) /, ''))).toEqual([
    'step-0  5 blocks done  0:00',
    'step-1  failed  odd\\n\\x1b[2J',
    'step-2  waiting for step-1',
    'warning: hm',
  ])
  expect(run.raw().endsWith('\x1b[?25h')).toBe(true)
  expect(run.raw()).not.toContain('\x1b[2J')
}, 20_000)

test('it draws about ten times a second, however many events there are', async () => {
  const run = play()
  run.tell(started(2))
  run.tell({ type: 'step:planned', step: 'step-0', units: 1, pieces: 1e6, done: 0, requests: 5, reasons: {}, word: 'blocks' })
  run.tell({ type: 'step:started', step: 'step-0' })
  await pause(500)
  const before = run.raw().split('step-0').length
  const begun = Date.now()
  for (let i = 0; i < 50; i++) {
    for (let j = 0; j < 200; j++) run.tell({ type: 'batch:committed', step: 'step-0', unit: 'u', pieces: 1, rows: {}, doubles: 0 })
    await pause(20)
  }
  const drawn = run.raw().split('step-0').length - before
  const seconds = (Date.now() - begun) / 1_000
  await run.reporter.close()
  expect(drawn).toBeGreaterThan(0)
  // The name is in two lines: its own, and that of the step that waits for it.
  expect(drawn / 2 / seconds).toBeLessThan(11)
}, 20_000)

test('more steps than a screen holds are counted in one line', async () => {
  const run = play()
  run.tell(started(1_000))
  for (let i = 0; i < 30; i++) run.tell({ type: 'step:started', step: `step-${i}` })
  await pause(400)
  await run.reporter.close()
  const lines = run.last().trimEnd().split('\n')
  expect(lines[0]).toContain('1,000 steps  0 complete  30 running  970 waiting')
  expect(lines.length).toBeLessThan(16)
}, 20_000)

test('a run that ended before it was drawn closes, and so does one that never began', async () => {
  const run = play()
  run.tell(started(1))
  await run.reporter.close()
  await play().reporter.close()
  expect(run.raw().endsWith('\x1b[?25h')).toBe(true)
})
