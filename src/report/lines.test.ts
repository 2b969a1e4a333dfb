import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import type { Clock, RunEvent, RunFact } from '../sdk/index.js'
import { lineReporter } from './lines.js'
import { reduce } from './reduce.js'
import { initialView } from './view.js'

/** A run whose time moves by hand, and what it printed. */
function play() {
  let now = 0
  const sleepers: { at: number; wake: () => void }[] = []
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        sleepers.push({ at: now + ms, wake: resolve })
        signal?.addEventListener('abort', () => reject(new Error('stopped')))
      }),
  }
  const printed: string[] = []
  const out = new Writable({
    write(chunk, _encoding, done) {
      printed.push(String(chunk).trimEnd())
      done()
    },
  })
  const view = initialView()
  const reporter = lineReporter({ out, view, clock })
  return {
    printed,
    reporter,
    out,
    tell(fact: RunFact) {
      const event = { run: 'r1', at: now, ...fact } as RunEvent
      reduce(view, event)
      reporter.onEvent(event)
    },
    async pass(ms: number) {
      const until = now + ms
      for (;;) {
        const next = sleepers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
        if (!next) break
        sleepers.splice(sleepers.indexOf(next), 1)
        now = next.at
        next.wake()
        await new Promise((resolve) => setImmediate(resolve))
      }
      now = until
    },
  }
}

const started: RunFact = {
  type: 'run:started',
  pipeline: 'miners',
  warehouse: 'duckdb:m.duckdb',
  pid: 7,
  host: 'here',
  steps: [{ id: 'balances', title: 'b', type: 'rpc-batch', needs: [] }],
}
const planned: RunFact = {
  type: 'step:planned',
  step: 'balances',
  units: 4,
  pieces: 100,
  done: 20,
  requests: 200,
  reasons: { new: 3, retry: 1 },
  word: 'rows',
}

test('a running step gives a stats line every ten seconds, in blocks, rows or days', async () => {
  const run = play()
  run.tell(started)
  run.tell(planned)
  run.tell({ type: 'step:started', step: 'balances' })
  run.tell({ type: 'limits', from: { chain: 'ethereum' }, endpoint: 'a.example', batch: 10, parallel: 8 })
  run.tell({ type: 'unit:started', step: 'balances', unit: 'a', resumed: false, size: 88 })
  await run.pass(5_000)
  run.tell({ type: 'batch:committed', step: 'balances', unit: 'a', pieces: 85, rows: { m: 85 }, doubles: 0 })
  await run.pass(6_000)
  run.tell({ type: 'step:ended', step: 'balances', outcome: 'complete', missing: 0, quarantined: 0 })
  await run.pass(20_000)
  run.tell({ type: 'run:ended', outcome: 'done', exitCode: 0 })
  await run.reporter.close()
  expect(run.printed).toEqual([
    'start pipeline=miners run=r1 warehouse=duckdb:m.duckdb steps=1 pid=7 host=here',
    'plan pipeline=miners step=balances rows=100 done_before=20 units=4 calls=200 reasons=new:3,retry:1',
    'step pipeline=miners step=balances state=running',
    'stats pipeline=miners step=balances pending=12 processing=3 done=85 failed=0 per_sec=8.5 workers=8',
    'step pipeline=miners step=balances state=complete done=85 rows=85 seconds=11 missing=0 quarantined=0',
    'end pipeline=miners outcome=done exit_code=0 seconds=31',
  ])
})

test('a pause is told as it begins, is there and ends, and so is how much a step is to do at once', async () => {
  const run = play()
  run.tell(started)
  run.tell({ ...planned, parallel: { of: 'requests', most: null } })
  run.tell({ type: 'step:started', step: 'balances' })
  run.tell({ type: 'step:parallel', step: 'balances', most: 12 })
  run.tell({ type: 'run:pausing' })
  run.tell({ type: 'run:paused' })
  await run.pass(4_500)
  run.tell({ type: 'run:resumed' })
  await run.reporter.close()
  expect(run.printed.slice(3)).toEqual([
    'parallel pipeline=miners step=balances most=12',
    'pausing pipeline=miners',
    'paused pipeline=miners',
    'resumed pipeline=miners paused_seconds=4.5',
  ])
})

test('what repeats is printed once in ten seconds with how often it came, and the last of it at the end', async () => {
  const run = play()
  run.tell(started)
  for (let i = 0; i < 1_000; i++)
    run.tell({
      type: 'retry',
      from: { chain: 'ethereum' },
      endpoint: 'a.example',
      class: 'RATE',
      calls: 10,
      waitMs: 500,
      message: `slow down ${i}`,
    })
  await run.pass(10_000)
  run.tell({ type: 'warning', message: 'hm' })
  run.tell({ type: 'warning', message: 'hm' })
  run.tell({ type: 'warning', message: 'hm' })
  await run.reporter.close()
  expect(run.printed.slice(1)).toEqual([
    'retry pipeline=miners endpoint=a.example chain=ethereum class=RATE calls=10 wait_ms=500 error="slow down 0"',
    'retry pipeline=miners endpoint=a.example chain=ethereum class=RATE calls=10 wait_ms=500 error="slow down 999" repeated=999',
    'warning pipeline=miners message=hm',
    'warning pipeline=miners message=hm repeated=2',
  ])
})

test('a failure is one line, and text of a provider can not make another', async () => {
  const run = play()
  run.tell(started)
  run.tell({
    type: 'unit:failed',
    step: 'balances',
    unit: 'a',
    error: 'bad\nend pipeline=miners outcome=done "x" \\ \x1b[2K',
    code: 'X',
    hint: 'look',
    state: 'quarantined',
  })
  run.tell({ type: 'key:failed', step: 'balances', unit: '0-9', key: '7', error: 'gone', code: 'GONE' })
  await run.reporter.close()
  expect(run.printed.slice(1)).toEqual([
    'failed pipeline=miners step=balances unit=a state=quarantined code=X error="bad\\nend pipeline=miners outcome=done \\"x\\" \\ \\x1b[2K" hint=look',
    'failed pipeline=miners step=balances unit=0-9 key=7 code=GONE error=gone',
  ])
})

test('a reader who leaves does not end the run', async () => {
  const run = play()
  run.tell(started)
  run.out.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
  await new Promise((resolve) => setImmediate(resolve))
  run.tell({ type: 'warning', message: 'nobody hears this' })
  await run.reporter.close()
  expect(run.printed.length).toBe(1)
})

test('when following, rounds are told by what changes in them, and every ten seconds by figures and the head', async () => {
  const { printed, tell, pass, reporter } = play()
  tell({ ...started, follow: true } as RunFact)
  const round = (number: number, head: number, outcome: 'complete' | 'failed' = 'complete') => {
    tell({ type: 'round:started', round: number })
    tell({ type: 'run:resolved', heads: { base: String(head) }, params: {} })
    tell({
      ...{ type: 'step:planned', step: 'balances', units: 1, pieces: 1, done: number, requests: 1, reasons: { new: 1 }, word: 'blocks' },
      blocks: { chain: 'base', last: String(head - 2) },
    })
    tell({ type: 'step:started', step: 'balances' })
    const pieces = outcome === 'complete' ? 1 : 0
    tell({ type: 'batch:committed', step: 'balances', unit: 'u', pieces, rows: { b: pieces }, doubles: 0 })
    if (pieces === 0) {
      const failure = { step: 'balances', error: `block ${head} is away`, code: 'AWAY' }
      tell({ type: 'unit:failed', unit: `u${head}`, state: 'failed', ...failure })
      if (number === 6) tell({ type: 'unit:failed', unit: 'v', state: 'quarantined', ...failure })
    }
    tell({
      type: 'step:ended',
      step: 'balances',
      outcome,
      missing: 1 - pieces,
      quarantined: 0,
      reason: pieces ? undefined : `block ${head} is away`,
    })
    tell({ type: 'rows:expired', table: 'b', rows: number })
    tell({ type: 'round:ended', round: number, waitMs: 2_000 })
  }
  for (let number = 1; number <= 4; number++) {
    round(number, 100 + number)
    await pass(2_000)
  }
  for (let number = 5; number <= 6; number++) round(number, 100 + number, 'failed')
  await pass(2_000)
  expect(printed.map((line) => line.replace('pipeline=miners ', ''))).toEqual([
    'start run=r1 warehouse=duckdb:m.duckdb steps=1 pid=7 host=here',
    'round round=1',
    'resolved head.base=101',
    'plan step=balances blocks=1 done_before=1 units=1 calls=1 reasons=new:1',
    'step step=balances state=running',
    'step step=balances state=complete done=1 rows=1 seconds=0 missing=0 quarantined=0',
    'failed step=balances unit=u105 state=failed code=AWAY error="block 105 is away"',
    'step step=balances state=failed done=4 rows=4 seconds=8 missing=1 quarantined=0 reason="block 105 is away"',
    'failed step=balances unit=v state=quarantined code=AWAY error="block 106 is away"',
    expect.stringMatching(/^stats step=balances pending=0 processing=0 done=4 failed=3 per_sec=0\.\d workers=0$/),
    'head chain=base head=106 behind=3 seconds=4',
  ])
  await reporter.close()
})
