import stringWidth from 'string-width'
import { expect, test } from 'vitest'
import type { RunFact } from '../sdk/index.js'
import { bar } from './bar.js'
import { cut, padded, type Part } from './fit.js'
import { frame } from './live-lines.js'
import { reduce } from './reduce.js'
import { initialView, type RunView } from './view.js'

const text = (line: readonly Part[]) => line.map((part) => part.text).join('')
const drawn = (view: RunView, columns: number, now: number, over = false) => frame(view, { now, columns, turn: 0, over }).map(text)

function fold(...facts: readonly (readonly [number, RunFact])[]): RunView {
  const view = initialView()
  for (const [at, fact] of facts) reduce(view, { run: 'r', at, ...fact })
  return view
}

const started = (...ids: readonly string[]): [number, RunFact] => [
  0,
  {
    type: 'run:started',
    pipeline: 'p',
    warehouse: 'w',
    pid: 1,
    host: 'h',
    steps: ids.map((id, i) => ({ id, title: id, type: 'rpc-batch', needs: ids.slice(Math.max(0, i - 1), i) })),
  },
]
const planned = (step: string, pieces: number): [number, RunFact] => [
  0,
  { type: 'step:planned', step, units: 1, pieces, done: 0, requests: pieces, reasons: {}, word: 'rows' },
]
const begun = (step: string): [number, RunFact] => [0, { type: 'step:started', step }]
const committed = (at: number, step: string, pieces: number): [number, RunFact] => [
  at,
  { type: 'batch:committed', step, unit: 'u', pieces, rows: {}, doubles: 0 },
]
const request = (endpoint: string): [number, RunFact] => [
  0,
  { type: 'request', from: { chain: 'c' }, figures: { endpoint, calls: 6, bytes: 600, ms: 204 } },
]
const aside = (key: number, error: string): [number, RunFact] => [
  9,
  { type: 'key:quarantined', step: 'balances', unit: 'u', key: String(key), error, code: 'STATE', hint: 'add an archive node' },
]

/** 12,500 of 25,432 after 4.3 s, at 2,910 a second. */
const half = [
  started('blocks', 'balances', 'complete'),
  planned('blocks', 5),
  begun('blocks'),
  committed(100, 'blocks', 5),
  [100, { type: 'step:ended', step: 'blocks', outcome: 'complete', missing: 0, quarantined: 0 }] as const,
  planned('balances', 25_432),
  begun('balances'),
  committed(4_296, 'balances', 12_500),
  request('127.0.0.1:8545'),
]

test('a bar is as wide as asked, never shrinks, and is full only when all is done', () => {
  const whole = (done: number, total: number, width: number) => Object.values(bar(done, total, width)).join('')
  expect(whole(65, 100, 10)).toBe('━━━━━━╸───')
  expect([whole(0, 9, 5), whole(9, 9, 5), whole(12, 9, 5), whole(0, 0, 5)]).toEqual(['─────', '━━━━━', '━━━━━', '━━━━━'])
  for (const width of [1, 2, 5, 10, 20, 33]) {
    const bars = Array.from({ length: 1_000 }, (_, done) => bar(done, 1_000, width))
    const halves = bars.map(({ full }) => full.length * 2 - (full.endsWith('╸') ? 1 : 0))
    expect(new Set(bars.map(({ full, rest }) => full.length + rest.length))).toEqual(new Set([width]))
    expect(halves.filter((each, i) => each < (halves[i - 1] ?? 0) || each >= width * 2)).toEqual([])
    expect(new Set(halves).size).toBe(width * 2)
  }
})

test('a running step has a bar, and lets go of what does not fit: its share and what is done stay longest', () => {
  const at = (columns: number) => drawn(fold(...half), columns, 4_296)
  expect(at(79)).toEqual([
    '✔ blocks    5 rows done  0:00',
    '⠋ balances  ━━━━╸─────  12,500/25,432  49 %  2,910/s  0:04  ETA 0:04',
    '· complete  waiting for balances',
    '⠋ 127.0.0.1:8545  up  1 request  204 ms',
  ])
  expect([119, 59, 39, 24, 12, 9, 3, 1].map((columns) => at(columns)[1])).toEqual([
    '⠋ balances  ━━━━━━━━━╸──────────  12,500/25,432  49 %  2,910/s  0:04  ETA 0:04',
    '⠋ balances  ━━───  12,500/25,432  49 %  2,910/s  ETA 0:04',
    '⠋ balances  ━━───  12,500/25,432  49 %',
    '⠋ balances  ━━───  49 %',
    '⠋ bal…  49 %',
    '⠋ ba…',
    '⠋ …',
    '⠋',
  ])
})

test('no line is wider than the terminal, whatever it says and however narrow that is', () => {
  const wide = '資料庫👩‍👩‍👧‍👦é한국'
  const many = Array.from({ length: 30 }, (_, i) => `${i}-${wide}`)
  const down: RunFact = { type: 'endpoint', from: { chain: 'c' }, endpoint: `b.${wide}`, health: 'down', reason: `falsch\n\x1b[2J${wide}` }
  const views = [
    initialView(),
    fold(...half),
    fold(started('a'), planned('a', 9), begun('a'), [
      1,
      { type: 'unit:failed', step: 'a', unit: wide, error: wide, code: 'X', state: 'quarantined' },
    ]),
    fold(
      started(...many),
      ...many.slice(0, 3).flatMap((id) => [planned(id, 1e12), begun(id), committed(5_000, id, 1e9)]),
      [6_000, down],
      ...['x', 'y', 'z', wide, 'w'].map(request),
      ...Array.from({ length: 200 }, (_, i) => aside(i, `${wide} ${'~'.repeat(i % 5)} ${i}`)),
      [6_000, { type: 'warning', message: wide.repeat(15) }],
      [6_000, { type: 'run:waiting', ms: 31_000, for: wide.repeat(9) }],
      [6_000, { type: 'run:stopping', signal: 'SIGINT' }],
    ),
    fold(started(wide, 'b'), [
      1,
      { type: 'step:ended', step: wide, outcome: 'failed', missing: 1, quarantined: 1, reason: wide.repeat(20) },
    ]),
  ]
  const broken = views.flatMap((view) =>
    Array.from({ length: 200 }, (_, i) => i + 1).flatMap((columns) =>
      drawn(view, columns, 7_000, columns % 2 === 0).filter(
        (line) => stringWidth(line) > columns || line === '' || /[\u0000-\u001f\u007f-\u009f]/.test(line),
      ),
    ),
  )
  expect(broken).toEqual([])
  expect(views.map((view) => drawn(view, 200, 7_000).length)).toEqual([0, 4, 2, 16, 2])
})

test('text is cut between characters of any width, and filled up to a width', () => {
  expect([5, 4, 3, 2, 1, 0].map((columns) => cut('資料ab', columns))).toEqual(['資料…', '資…', '資…', '…', '…', ''])
  expect([cut('資料ab', 6), padded('資料', 6), padded('資料', 3)]).toEqual(['資料ab', '資料  ', '資…'])
})

test('what is in quarantine is told by its cause, with how often and the first of them', () => {
  const view = fold(
    ...half,
    ...Array.from({ length: 412 }, (_, i) => aside(i + 17, `missing trie node 0x${i}ab at block ${i}`)),
    aside(9, 'reverted'),
    [9, { type: 'unit:failed', step: 'balances', unit: '0-9', error: 'odd', code: 'ODD', state: 'quarantined' }],
  )
  expect(drawn(view, 119, 4_296).slice(4)).toEqual([
    '✖ 412 keys of balances in quarantine: missing trie node 0x0ab at block 0 (STATE): 17, 18, 19 and 409 more',
    '✖ 1 key of balances in quarantine: reverted (STATE): 9',
    '✖ 1 unit of balances in quarantine: odd (ODD): 0-9',
  ])
  expect(drawn(view, 79, 4_296)[1]).toBe('⠋ balances  ━━━━╸─────  12,500/25,432  49 %  2,910/s  ETA 0:04  failed 414')
})

test('a run that is paused says since when, and nothing of it turns or seems to get on', () => {
  const paused = fold(...half, [4_300, { type: 'run:pausing' }], [4_400, { type: 'run:paused' }])
  const lines = (turn: number) => frame(paused, { now: 64_400, columns: 100, turn, over: false }).map(text)
  expect(lines(3)).toEqual([
    '✔ blocks    5 rows done  0:00',
    '⠋ balances  ━━━━━━━━━╸──────────  12,500/25,432  49 %  0:04',
    '· complete  waiting for balances',
    '⠋ 127.0.0.1:8545  up  1 request  204 ms',
    '! paused for 1:00: nothing is begun until somebody resumes it (pipe serve)',
  ])
  expect(lines(4)).toEqual(lines(3))
})
