import { expect, test } from 'vitest'
import type { RunFact } from '../sdk/index.js'
import { renderSummary } from './summary.js'
import { reduce } from './reduce.js'
import { initialView } from './view.js'

const started: RunFact = {
  type: 'run:started',
  pipeline: 'miners',
  warehouse: 'duckdb:m.duckdb',
  pid: 7,
  host: 'here',
  steps: [
    { id: 'blocks', title: 'blocks', type: 'rpc-batch', needs: [] },
    { id: 'balances', title: 'balances', type: 'rpc-batch', needs: ['blocks'] },
    { id: 'complete', title: 'complete', type: 'gate', needs: ['balances'] },
  ],
}
const check = { name: 'every block has a balance', passed: true, severity: 'error', value: '0', expect: '0', sql: 'SELECT 0' } as const

function planned(step: string, pieces: number, word: 'blocks' | 'rows' | 'checks', done = 0): RunFact {
  return {
    type: 'step:planned',
    step,
    units: pieces === 0 ? 0 : 1,
    pieces,
    done,
    requests: word === 'checks' ? 0 : pieces,
    reasons: {},
    word,
  }
}

function ended(
  step: string,
  outcome: Extract<RunFact, { type: 'step:ended' }>['outcome'],
  missing = 0,
  quarantined = 0,
  reason?: string,
): RunFact {
  return { type: 'step:ended', step, outcome, missing, quarantined, reason }
}

function text(columns: number | undefined, ...facts: readonly (readonly [number, RunFact])[]): string {
  const view = initialView()
  for (const [at, fact] of facts) reduce(view, { run: 'r', at, ...fact })
  return renderSummary(view, { about: { file: 'miners.yaml' }, columns })
}

test('a run that did all says what it did and what it took', () => {
  expect(
    text(
      undefined,
      [0, started],
      [0, planned('blocks', 1_000, 'blocks')],
      [0, { type: 'step:started', step: 'blocks' }],
      [2_000, { type: 'request', from: { chain: 'ethereum' }, figures: { endpoint: 'a.example', calls: 1_000, bytes: 640_000, ms: 52 } }],
      [
        2_000,
        { type: 'retry', from: { chain: 'ethereum' }, endpoint: 'a.example', class: 'RATE', calls: 4, waitMs: 10, message: 'slow down' },
      ],
      [2_000, { type: 'batch:committed', step: 'blocks', unit: '0-999', pieces: 1_000, rows: { blocks: 1_000 }, doubles: 0 }],
      [2_000, { type: 'commit:done', units: 1, rows: 1_000, ms: 29 }],
      [2_000, { type: 'unit:done', step: 'blocks', unit: '0-999' }],
      [2_000, ended('blocks', 'complete')],
      [2_000, planned('balances', 0, 'rows', 999)],
      [2_000, ended('balances', 'complete')],
      [2_000, planned('complete', 1, 'checks')],
      [2_000, { type: 'check:evaluated', step: 'complete', result: check, final: true }],
      [2_500, ended('complete', 'complete')],
      [2_500, { type: 'run:ended', outcome: 'done', exitCode: 0 }],
    ),
  ).toBe(`miners: done in 2.5 s

  blocks    1,000 of 1,000 blocks, 1,000 rows into blocks, 2.0 s, 500/s
  balances  no missing rows, 999 done before
  complete  passed (1 of 1 check)

  rows written  blocks 1,000 (400/s)
  requests      1 with 1,000 calls, 640.0 kB
  retries       1 rate limit
  planned       1,000 blocks, 1,000 calls
  done          1,000 blocks, 1,000 calls
  commits       1, 29 ms each, the longest 29 ms
  warehouse     duckdb:m.duckdb
`)
})

test('credits are shown by endpoint with the share of the budget, and so is how much was hedged', () => {
  const request = (chain: string, credits: number | undefined): RunFact => ({
    type: 'request',
    from: { chain },
    figures: { endpoint: 'a.example', calls: 10, bytes: 1_000, ms: 52, credits },
  })
  const limits = (chain: string, creditsPerSecond: number | undefined): RunFact => ({
    type: 'limits',
    from: { chain },
    endpoint: 'a.example',
    batch: 10,
    parallel: 5,
    creditsPerSecond,
  })
  const hedge: RunFact = { type: 'hedge', from: { chain: 'base' }, endpoint: 'a.example', to: 'b.example', calls: 2, ms: 2_100 }
  const all = text(
    undefined,
    [0, started],
    [0, request('base', 750)],
    [1_000, request('base', 570)],
    [1_000, limits('base', 330)],
    [1_000, request('ethereum', 20)],
    [1_000, limits('ethereum', 330)],
    [1_000, request('free', undefined)],
    [1_000, limits('free', undefined)],
    [2_000, hedge],
    [2_000, hedge],
    [8_000, { type: 'run:ended', outcome: 'done', exitCode: 0 }],
  )
  expect(all.split('\n').filter((line) => /^ +(requests|hedged|credits)/.test(line))).toEqual([
    '  requests   4 with 40 calls, 4.0 kB',
    '  hedged     2 requests: late at one endpoint, and sent to another one, too',
    '  credits    a.example (base) 1,320, 50 % of its budget of 330/s',
    '  credits    a.example (ethereum) 20, 0.8 % of its budget of 330/s',
  ])
})

test('a run that found everything there says that no blocks are missing', () => {
  const all = text(
    undefined,
    [0, started],
    [0, planned('blocks', 0, 'blocks', 1_000)],
    [0, ended('blocks', 'complete')],
    [0, planned('balances', 0, 'rows', 999)],
    [0, ended('balances', 'complete')],
    [0, planned('complete', 1, 'checks')],
    [0, { type: 'check:evaluated', step: 'complete', result: check, final: true }],
    [0, { type: 'unit:done', step: 'complete', unit: 'check' }],
    [300, ended('complete', 'complete')],
    [300, { type: 'run:ended', outcome: 'done', exitCode: 0 }],
  )
  expect(all).toBe(`miners: no missing blocks; everything was done before (checked in 0.3 s)

  blocks    no missing blocks, 1,000 done before
  balances  no missing rows, 999 done before
  complete  passed (1 of 1 check)
`)
})

test('an incomplete run says what is missing, why, and what to run next, and forges nothing', () => {
  expect(
    text(
      72,
      [0, started],
      [0, planned('blocks', 10, 'blocks')],
      [0, { type: 'step:started', step: 'blocks' }],
      [
        900,
        {
          type: 'key:quarantined',
          step: 'blocks',
          unit: '0-9',
          key: '7',
          error: 'missing trie node\n\x1b[2Jdone',
          code: 'HISTORY_MISSING',
          hint: 'add an archive node',
        },
      ],
      [
        900,
        {
          type: 'unit:failed',
          step: 'blocks',
          unit: '8-9',
          error: 'a.example does not answer',
          code: 'ALL_DOWN',
          hint: 'check the network',
          detail: '    at read (x.js:1)\n    at \u001b[2Jrun (y.js:2)',
          state: 'failed',
        },
      ],
      [900, ended('blocks', 'incomplete', 2, 1, '2 blocks missing, 1 in quarantine')],
      [900, ended('balances', 'blocked', 0, 0, 'blocks is incomplete')],
      [900, { type: 'check:evaluated', step: 'complete', result: { ...check, passed: false, value: '3' }, final: true }],
      [900, ended('complete', 'closed', 0, 0, 'every block has a balance')],
      [900, { type: 'warning', step: 'blocks', message: 'an odd one' }],
      [950, { type: 'warning', step: 'blocks', message: 'an odd one' }],
      [1_000, { type: 'run:ended', outcome: 'incomplete', exitCode: 1 }],
    ),
  ).toBe(`miners: incomplete after 1.0 s; what is committed is kept, what is
  missing is listed below

  blocks    incomplete: 2 blocks missing, 1 in quarantine; 0 of 10
    blocks
  balances  blocked: blocks is incomplete
  complete  closed: 1 of 1 check did not pass

  planned    10 blocks, 10 calls
  done       nothing, 0 calls
  warehouse  duckdb:m.duckdb

Checks that did not pass:
  complete: every block has a balance: 3, expected 0

What is missing:
  blocks: 2 blocks missing, 1 in quarantine (their attempts are used up)
    unit 8-9 failed: a.example does not answer (ALL_DOWN)
      check the network
          at read (x.js:1)
          at \\x1b[2Jrun (y.js:2)
    key 7 in quarantine: missing trie node\\n\\x1b[2Jdone
      (HISTORY_MISSING)
      add an archive node
  balances: blocks is incomplete
  complete: 1 of 1 check did not pass

Warnings:
  blocks: an odd one (2 times)

What to do next:
  pipe run miners.yaml
    does what is missing; what is done is not fetched again
  pipe retry miners.yaml
    lets the quarantined ones be tried again by the next run
  pipe status miners.yaml
    shows what each check gave; complete is checked again by each run
`)
})

test('a run that was paused says for how long, and its speed is that of the time in which it was at work', () => {
  const shown = text(
    undefined,
    [0, started],
    [0, planned('blocks', 1_000, 'blocks')],
    [0, { type: 'step:started', step: 'blocks' }],
    [1_000, { type: 'run:pausing' }],
    [1_000, { type: 'run:paused' }],
    [601_000, { type: 'run:resumed' }],
    [602_000, { type: 'batch:committed', step: 'blocks', unit: 'u', pieces: 1_000, rows: { blocks: 1_000 }, doubles: 0 }],
    [602_000, ended('blocks', 'complete')],
    [602_000, { type: 'run:ended', outcome: 'done', exitCode: 0 }],
  )
  expect(shown.split('\n').slice(0, 3)).toEqual([
    'miners: done in 2.0 s, paused for 10:00',
    '',
    '  blocks    1,000 of 1,000 blocks, 1,000 rows into blocks, 2.0 s, 500/s',
  ])
})

test('what to do after a demo is done in the warehouse of the demo', () => {
  const view = initialView()
  for (const fact of [started, planned('blocks', 10, 'blocks'), ended('blocks', 'incomplete', 0, 1)])
    reduce(view, { run: 'r', at: 0, ...fact })
  reduce(view, { run: 'r', at: 1, type: 'run:ended', outcome: 'incomplete', exitCode: 1 })
  expect(renderSummary(view, { about: { file: 'miners.yaml', demo: true } })).toContain('  pipe retry miners.yaml --demo\n')
})

test('a run that was stopped or broke says how to go on', () => {
  expect(text(undefined, [0, started], [0, { type: 'run:ended', outcome: 'stopped', exitCode: 130 }])).toContain(
    'does what is missing; what is done is not fetched again',
  )
  const broke = text(undefined, [0, started], [0, { type: 'run:ended', outcome: 'error', exitCode: 2, error: 'disk\nfull' }])
  // The command says the error itself as its last word, once.
  expect(broke).toContain('miners: ended by an error after 0.0 s\n')
  expect(broke).not.toContain('What is missing')
  expect(broke).toContain('  pipe run miners.yaml\n    when the cause is mended; what is committed is kept\n')
})

test('thousands of keys or units that failed alike are one line, with the first of them and what mends it', () => {
  const aside = (key: number, error: string): [number, RunFact] => [
    5,
    { type: 'key:quarantined', step: 'blocks', unit: 'u', key: String(key), error, code: 'STATE', hint: 'add an archive node' },
  ]
  const all = text(
    undefined,
    [0, started],
    [0, planned('blocks', 9_000, 'blocks')],
    ...Array.from({ length: 5_000 }, (_, i) => aside(i, `missing trie node 0x${i.toString(16)} at block ${i}`)),
    aside(7_000, 'reverted'),
    ...Array.from({ length: 170 }, (_, i): [number, RunFact] => [
      6,
      {
        type: 'unit:failed',
        step: 'blocks',
        unit: `${i}00-${i}99`,
        error: `no block ${i}`,
        detail: `at ${i}`,
        code: 'GONE',
        state: 'quarantined',
      },
    ]),
    [9, ended('blocks', 'incomplete', 5_001, 5_001)],
    [9, { type: 'run:ended', outcome: 'incomplete', exitCode: 1 }],
  )
  expect(all.split('\n').filter((line) => line.startsWith('    ') || line.includes('more'))).toEqual([
    '    170 units in quarantine: no block 0 (GONE): 000-099, 100-199, 200-299 and 167 more',
    '      at 0',
    '    5,000 keys in quarantine: missing trie node 0x0 at block 0 (STATE): 0, 1, 2 and 4,997 more',
    '    key 7000 in quarantine: reverted (STATE)',
    '      add an archive node',
    '    does what is missing; what is done is not fetched again',
    '    lets the quarantined ones be tried again by the next run',
  ])
})
