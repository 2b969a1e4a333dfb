import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import type { Clock, RunEvent, RunFact } from '../sdk/index.js'
import { terminalReporter } from './terminal.js'
import { reduce } from './reduce.js'
import { initialView } from './view.js'

/** What a terminal shows of all that was written to it: it knows the codes that are used, and breaks lines at its width. */
function terminal(columns: number, rows: number) {
  let written = ''
  const screen: string[][] = [[]]
  let [row, column, wraps] = [0, 0, true]
  const put = (character: string) => {
    if (column === columns && wraps) [row, column] = [row + 1, 0]
    column = Math.min(column, columns - 1)
    const line = (screen[row] ??= [])
    while (line.length < column) line.push(' ')
    line[column++] = character
  }
  const codes: Readonly<Record<string, (number: number) => void>> = {
    A: (number) => (row = Math.max(0, row - number)),
    K: () => (screen[row] = []),
    m: () => undefined,
    '?25l': () => undefined,
    '?25h': () => undefined,
    '?7l': () => (wraps = false),
    '?7h': () => (wraps = true),
  }
  const take = (text: string) => {
    written += text
    for (const [token, number = '1', code = ''] of text.matchAll(/\x1b\[(?:(\d*)([AKm])|(\?\d+[hl]))|[^]/gu)) {
      if (token === '\n') [row, column] = [row + 1, 0]
      else if (token === '\r') column = 0
      else if (token.startsWith('\x1b[')) (codes[code] ?? codes[token.slice(2)])?.(Number(number))
      else put(token)
      if (row >= screen.length) screen.push(...Array.from({ length: row - screen.length + 1 }, () => []))
    }
  }
  const stream = () =>
    new Writable({
      decodeStrings: false,
      write(chunk: string, _encoding, done) {
        take(chunk)
        done()
      },
    })
  const size = { columns, rows }
  return {
    out: Object.assign(stream(), size),
    err: stream(),
    raw: () => written,
    shown: () => screen.map((line) => line.join('').trimEnd()),
  }
}

/** A run on a terminal, whose clock moves by hand. */
function play({ columns = 80, rows = 40, color = false } = {}) {
  let now = 0
  let draw: () => void = () => undefined
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        const stop = () => reject(new Error('stopped'))
        signal?.addEventListener('abort', stop)
        draw = () => {
          signal?.removeEventListener('abort', stop)
          resolve()
        }
      }),
  }
  const { out, err, raw, shown } = terminal(columns, rows)
  const undo = new Set<() => void>()
  const atExit = (cleanup: () => void) => {
    undo.add(cleanup)
    return () => undo.delete(cleanup)
  }
  const view = initialView()
  const reporter = terminalReporter({ out, err, view, clock, columns: 80, color, atExit })
  return {
    out,
    err,
    raw,
    shown,
    undo,
    close: () => reporter.close(),
    tell(...facts: readonly RunFact[]) {
      for (const fact of facts) {
        const event = { run: 'r1', at: now, ...fact } as RunEvent
        reduce(view, event)
        reporter.onEvent(event)
      }
    },
    async pass(ms: number) {
      for (const until = now + ms; now < until;) {
        now += 100
        draw()
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
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
const planned: RunFact = { type: 'step:planned', step: 'step-0', units: 1, pieces: 5, done: 0, requests: 5, reasons: {}, word: 'blocks' }
const begun: RunFact = { type: 'step:started', step: 'step-0' }
const committed = (pieces: number): RunFact => ({ type: 'batch:committed', step: 'step-0', unit: 'u', pieces, rows: {}, doubles: 0 })

test('every step ends as one line with its outcome, and the cursor comes back', async () => {
  const run = play()
  run.tell(started(3))
  await run.pass(300)
  run.tell(planned, begun, committed(5))
  await run.pass(300)
  run.tell({ type: 'step:ended', step: 'step-0', outcome: 'complete', missing: 0, quarantined: 0 })
  run.tell({ type: 'step:ended', step: 'step-1', outcome: 'failed', missing: 0, quarantined: 0, reason: 'odd\n\x1b[2J' })
  run.tell({ type: 'warning', message: 'hm' })
  run.tell({ type: 'run:ended', outcome: 'incomplete', exitCode: 1 })
  await run.close()
  expect(run.shown()).toEqual([
    '✔ step-0  5 blocks done  0:00',
    '✖ step-1  failed  odd\\n\\x1b[2J',
    '✖ step-2  waiting for step-1',
    '! warning: hm',
    '',
  ])
  expect(run.raw().endsWith('\x1b[?25h')).toBe(true)
  expect(run.raw()).not.toContain('\x1b[2J')
})

test('it draws ten times a second, however many events there are, and no line is left behind', async () => {
  const run = play({ columns: 30 })
  run.tell(started(2), { ...planned, pieces: 1e6 }, begun)
  const drawn = () => run.raw().split('\x1b[?7l').length
  const before = drawn()
  for (let i = 0; i < 1_000; i++) run.tell(committed(100))
  await run.pass(1_000)
  expect(drawn() - before).toBe(10)
  // 30 columns, of which the last stays free.
  expect(run.shown()).toEqual(['⠋ step-0  100,000/1.00M  10 %', '· step-1  waiting for step-0'])
  await run.close()
})

test('more steps than a screen holds are counted in one line, and more lines in the last one', async () => {
  const run = play({ rows: 6 })
  run.tell(started(1_000))
  for (let i = 0; i < 30; i++) run.tell({ type: 'step:started', step: `step-${i}` })
  await run.pass(100)
  expect(run.shown()).toEqual([
    '⠙ 1,000 steps  0 complete  30 running  970 waiting',
    ...['step-0', 'step-1', 'step-2'].map((id) => `⠙ ${id}   checking  0:00`),
    'and 8 lines more',
  ])
  await run.close()
  expect(run.shown().length).toBe(13)
})

test('what others write is shown above the lines, and only whole lines of it', async () => {
  const run = play()
  run.tell(started(1))
  run.err.write('warning: one\nwarning: t')
  run.out.write('printed\n', () => undefined)
  await run.pass(100)
  const lines = ['· step-0  waiting']
  expect(run.shown()).toEqual(['warning: one', 'printed', ...lines])
  const told = new Promise((resolve) => run.err.write('wo\n', resolve))
  await told
  expect(run.shown()).toEqual(['warning: one', 'printed', 'warning: two', ...lines])
  run.err.write('the end')
  await run.close()
  run.out.write('!')
  expect(run.shown()).toEqual(['warning: one', 'printed', 'warning: two', '✖ step-0  waiting', 'the end!'])
})

test('a terminal of any size is drawn to, also one that becomes narrower, and colours only when they are wanted', async () => {
  for (const columns of [1, 2, 3, 12, 200]) {
    const run = play({ columns, rows: 3, color: columns === 200 })
    run.tell(started(2), planned, begun, committed(2))
    await run.pass(500)
    expect(run.shown().length).toBe(2)
    expect(/\x1b\[\d+m/.test(run.raw())).toBe(columns === 200)
    await run.close()
    expect(run.shown().length).toBe(3)
  }
  const run = play({ columns: 60 })
  run.tell(started(2))
  // Where it is 15 columns wide, each of both lines takes two rows of it: the first of four is three above the last.
  run.out.columns = 15
  await run.pass(100)
  expect(run.raw().split('\r').at(-1)?.split('\x1b[?7l')[0]).toBe(`\x1b[2K${'\x1b[1A\x1b[2K'.repeat(3)}`)
  await run.close()
})

test('the cursor comes back however the process ends, and nothing is left registered', async () => {
  const run = play()
  run.tell(started(1))
  for (const undo of run.undo) undo()
  expect(run.raw().endsWith('\x1b[?25h')).toBe(true)
  await run.close()
  expect([run.undo.size, Object.hasOwn(run.out, 'write'), run.out.listenerCount('error')]).toEqual([0, false, 0])
})

test('a run that ended before it was drawn closes, and so does one that never began', async () => {
  const run = play()
  run.tell(started(1))
  await run.close()
  await play().close()
  expect(run.raw().endsWith('\x1b[?25h')).toBe(true)
})
