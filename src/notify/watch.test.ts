import { describe, expect, test } from 'vitest'
import type { CheckResult, RunEvent, RunFact, StepOutcome } from '../sdk/index.js'
import type { Problem } from '../state/store.js'
import { type Notice, Watch } from './watch.js'
import { linesOf, mailOf, slackBody, titleOf, webhookBody } from './words.js'

const minute = 60_000
const hour = 60 * minute
const from = { pipeline: 'miners', run: 'r1', warehouse: 'duckdb:m.duckdb', host: 'here' }

const steps = ['blocks', 'balances', 'gate'].map((id) => ({ id, title: id, type: 't', needs: [] }))
const started = (follow?: boolean): RunFact => ({
  type: 'run:started',
  pipeline: 'miners',
  warehouse: 'w',
  pid: 1,
  host: 'here',
  steps,
  follow,
})
const ended = (step: string, outcome: StepOutcome, reason?: string): RunFact => ({
  type: 'step:ended',
  step,
  outcome,
  missing: 0,
  quarantined: 0,
  reason,
})
const over = (outcome: 'done' | 'incomplete' | 'stopped' | 'error', error?: string): RunFact => ({
  type: 'run:ended',
  outcome,
  exitCode: 0,
  error,
})
const check = (passed: boolean, more: Partial<CheckResult> = {}): RunFact => ({
  type: 'check:evaluated',
  step: 'gate',
  result: { name: 'doubles', passed, severity: 'error', value: passed ? '0' : '7', expect: '= 0', sql: '', ...more },
  final: false,
})

/** What is told of facts at their times, as `kind (steps) lines`. */
function told(watch: Watch, facts: readonly (readonly [at: number, fact: RunFact])[]): string[] {
  const notices = facts.flatMap(([at, fact]) => watch.see({ run: 'r1', at, ...fact } as RunEvent))
  return notices.map(({ kind, about, lines }) => `${kind} (${about.join(',')}) ${lines.join(' | ')}`)
}

describe('a run of one round', () => {
  test('tells of each step that does not end well when it ends, of a closed gate by its own kind, and of nothing twice', () => {
    const watch = new Watch([])
    expect(
      told(watch, [
        [0, started()],
        [
          1,
          { type: 'unit:failed', step: 'blocks', unit: '1-9', error: 'no such block', code: 'X', hint: 'ask later', state: 'quarantined' },
        ],
        [2, { type: 'unit:failed', step: 'balances', unit: '1-9', error: 'node is down', code: 'X', hint: 'start it', state: 'failed' }],
        [3, { type: 'key:quarantined', step: 'blocks', unit: '1-9', key: '4', error: 'odd', code: 'X' }],
        [4, ended('blocks', 'incomplete', '1 in quarantine')],
        [5, ended('balances', 'incomplete', '9 blocks missing')],
        [6, ended('gate', 'closed', '9 of 9 blocks missing')],
        [7, over('incomplete')],
      ]),
    ).toEqual([
      'failure (blocks) blocks: unit 1-9 is in quarantine: no such block (ask later)',
      'failure (balances) balances is incomplete: 9 blocks missing: node is down (start it)',
      'gate_closed (gate) gate is closed: 9 of 9 blocks missing',
    ])
    expect(watch.told).toEqual([
      { kind: 'failure', about: 'blocks', at: 1 },
      { kind: 'failure', about: 'balances', at: 5 },
      { kind: 'gate_closed', about: 'gate', at: 6 },
    ])
  })

  test('tells why it ended where no step says it, of an error that ended it, and nothing of a limit or a stop that was asked for', () => {
    expect(
      told(new Watch([]), [
        [0, started()],
        [1, over('incomplete', 'its time of 5m is used up')],
      ]),
    ).toEqual(['failure () the run ended: its time of 5m is used up'])
    expect(told(new Watch([]), [[1, over('error', 'the disk is full')]])).toEqual(['failure () the disk is full'])
    expect(
      told(new Watch([]), [
        [0, started()],
        [1, ended('blocks', 'limited')],
        [2, over('incomplete')],
      ]),
    ).toEqual([])
    expect(
      told(new Watch([]), [
        [0, started()],
        [1, over('stopped', 'stopped by SIGTERM')],
      ]),
    ).toEqual([])
  })

  test('tells that it is complete, with its rows and its time', () => {
    const rows: RunFact = { type: 'commit:done', units: 1, rows: 1_500, ms: 1 }
    expect(
      told(new Watch([]), [
        [0, started()],
        [1, rows],
        [2, rows],
        [90_000, over('done')],
      ]),
    ).toEqual(['completion () nothing is missing; 3,000 rows were written in 1m30s'])
  })
})

test('rounds until all is complete tell only of what is left when they end', () => {
  const round = (n: number): RunFact => ({ type: 'round:started', round: n })
  const facts = [
    [0, started()],
    [1, round(1)],
    [2, ended('blocks', 'incomplete', '3 blocks missing')],
    [3, ended('balances', 'failed', 'odd')],
    [4, round(2)],
    [5, ended('blocks', 'complete')],
    [6, ended('balances', 'failed', 'odd')],
    [7, over('incomplete', 'another run would find the same')],
  ] as const
  expect(told(new Watch([]), facts)).toEqual([
    'failure (balances) balances failed: odd',
    'failure () the run ended: another run would find the same',
  ])
})

describe('from run to run', () => {
  const before: readonly Problem[] = [
    { kind: 'failure', about: 'blocks', at: 0 },
    { kind: 'failure', about: '', at: 0 },
    { kind: 'failure', about: 'other', at: 0 },
  ]

  test('what stays is told again after a day', () => {
    const facts = (at: number) =>
      [
        [at, started()],
        [at + 1, ended('blocks', 'failed', 'odd')],
        [at + 2, over('incomplete')],
      ] as const
    expect(told(new Watch(before), facts(6 * hour))).toEqual([])
    expect(told(new Watch(before), facts(24 * hour))).toEqual(['failure (blocks) blocks failed: odd'])
  })

  test('what is over is told once, and of a step that did not run nothing is known', () => {
    const watch = new Watch(before)
    expect(
      told(watch, [
        [hour, started()],
        [hour + 1, ended('blocks', 'complete')],
        [hour + 2, over('done')],
      ]),
    ).toEqual([
      'recovery (blocks) blocks is complete again (told at 1970-01-01T00:00:00Z)',
      'recovery () the run is complete again (told at 1970-01-01T00:00:00Z)',
      'completion () nothing is missing; 0 rows were written in 1s',
    ])
    expect(watch.told).toEqual([{ kind: 'failure', about: 'other', at: 0 }])
  })

  test('what nobody could be told of is told when it is met again, but not in each round', () => {
    const watch = new Watch([])
    const fail = { run: 'r', at: 0, ...ended('blocks', 'failed', 'odd') } as RunEvent
    const [notice] = watch.see(fail)
    watch.untold(notice as Notice)
    expect(watch.told).toEqual([])
    expect(watch.see({ ...fail, at: 9 * minute })).toEqual([])
    expect(watch.see({ ...fail, at: 10 * minute }).length).toBe(1)
  })
})

describe('while following', () => {
  test('a step that fails and gets well in turns is told at most every ten minutes', () => {
    const turns = Array.from({ length: 25 }, (_, i) => [i * minute, ended('blocks', i % 2 === 0 ? 'failed' : 'complete')] as const)
    const kinds = told(new Watch([]), [[0, started(true)], ...turns]).map((notice) => notice.split(' ')[0])
    expect(kinds).toEqual(['failure', 'recovery', 'failure', 'recovery', 'failure', 'recovery'])
  })

  test('an outage is not told for the time of a pause', () => {
    const down: RunFact = { type: 'round:ended', round: 1, waitMs: 1, reason: 'the warehouse is down' }
    const head: RunFact = { type: 'head', chain: 'base', head: '5' }
    const facts = [
      [0, started(true)],
      [0, down],
      [minute, { type: 'run:pausing' }],
      [60 * minute, head],
      [90 * minute, { type: 'run:resumed' }],
      [92 * minute, down],
      [93 * minute, down],
    ] as const
    expect(told(new Watch([]), facts)).toEqual(['stall () no round could be done for 3m: the warehouse is down'])
  })

  test('an outage that lets no round be done is told after three minutes, and when rows come in again', () => {
    const down: RunFact = { type: 'round:ended', round: 1, waitMs: 1, reason: 'the warehouse is down' }
    const round: RunFact = { type: 'round:started', round: 2 }
    const facts = [
      [0, started(true)],
      [0, down],
      [minute, round],
      [3 * minute, round],
      [4 * minute, round],
    ] as const
    const watch = new Watch([])
    expect(told(watch, facts)).toEqual(['stall () no round could be done for 3m: the warehouse is down'])
    const rows: RunFact = { type: 'commit:done', units: 1, rows: 5, ms: 1 }
    const batch: RunFact = { type: 'batch:committed', step: 'blocks', unit: 'u', pieces: 1, rows: {}, doubles: 0 }
    expect(
      told(watch, [
        [5 * minute, rows],
        [5 * minute, batch],
      ]),
    ).toEqual(['recovery () the run gets on again (told at 1970-01-01T00:03:00Z)'])
    expect(told(watch, [[6 * minute, over('done')]])).toEqual([])
  })

  test('a run that does not move is told after three minutes, and when it moves', () => {
    const waits = (ms: number): RunFact => ({ type: 'run:waiting', ms, for: 'a request to a.example' })
    const facts = [
      [0, started(true)],
      [30_000, waits(30_000)],
      [210_000, waits(210_000)],
      [270_000, waits(270_000)],
    ] as const
    const watch = new Watch([])
    expect(told(watch, facts)).toEqual(['stall () nothing has moved for 3m30s; it waits for a request to a.example'])
    expect(told(watch, [[300_000, { type: 'step:started', step: 'blocks' }]])).toEqual([
      'recovery () the run gets on again (told at 1970-01-01T00:03:30Z)',
    ])
  })
})

test('a gate that would close while its needs run is told, and when it would not any more; a warning is none', () => {
  const facts = [
    [0, started()],
    [1, check(false)],
    [2, check(false)],
    [3, check(false, { name: 'age', severity: 'warn' })],
    [4, check(true)],
  ] as const
  expect(told(new Watch([]), facts)).toEqual([
    'gate_closed (gate: doubles) gate would close, while its needs run: doubles is 7, expected = 0',
    'recovery (gate: doubles) gate: doubles is as expected again (told at 1970-01-01T00:00:00Z)',
  ])
})

describe('the forms of a notice', () => {
  const notice: Notice = {
    kind: 'failure',
    about: ['a', 'b', 'c', 'd', ''],
    lines: ['a failed: <b>&\u202ex\n\u001b[31m', 'b failed'],
    at: 1_000,
  }

  test('a webhook gets JSON with its parts', () => {
    expect(JSON.parse(webhookBody(notice, from))).toEqual({
      kind: 'failure',
      ...from,
      title: 'miners: failed (a, b, c and 1 more)',
      steps: ['a', 'b', 'c', 'd'],
      lines: ['a failed: &\\u202ex \\u001b[31m', 'b failed'],
      at: '1970-01-01T00:00:01.000Z',
    })
  })

  test('Slack gets its markup, in which nothing from outside is a link or a mention', () => {
    const hostile = { ...notice, about: ['a'], lines: ['x < y & <!channel'] }
    expect(JSON.parse(slackBody(hostile, from))).toEqual({
      text: '*miners: failed (a)*\nx &lt; y &amp; &lt;!channel\n_run r1 on here into duckdb:m.duckdb, 1970-01-01T00:00:01Z_',
    })
  })

  test('a mail has a subject of one line, and no notice has more than twenty lines', () => {
    const many = { ...notice, about: [], lines: Array.from({ length: 25 }, (_, i) => `line ${i}`) }
    expect(titleOf({ ...notice, about: ['a\r\nBcc: x@y'] }, from)).toBe('miners: failed (a Bcc: x@y)')
    expect(linesOf(many).slice(-2)).toEqual(['line 19', 'and 5 more'])
    expect(mailOf({ ...many, lines: ['line 0'] }, from)).toEqual({
      subject: 'miners: failed',
      text: 'line 0\n\nrun r1 on here into duckdb:m.duckdb, 1970-01-01T00:00:01Z\n',
    })
  })
})
