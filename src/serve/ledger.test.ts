import { expect, test } from 'vitest'
import { systemClock } from '../cli/system-clock.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import type { RunEvent, RunFact } from '../sdk/index.js'
import { Alone } from './alone.js'
import type { History } from './history.js'
import { Ledgers } from './ledger.js'

test('of a run that holds a database which was never read, what it says of its units lies on the axis of their names, also when none runs', async () => {
  // What is read of a pipeline whose database another process has.
  const pipeline = { name: 'p', warehouse: 'duckdb:p.duckdb', steps: [], params: new Map() } as unknown as Pipeline
  const history = { runs: () => Promise.resolve([{ outcome: 'running' }]) } as unknown as History
  const ledgers = new Ledgers({
    history,
    alone: new Alone(),
    clock: systemClock,
    open: () => Promise.reject(new Error('it is held')),
    stamp: () => Promise.resolve('s'),
    settled: () => Promise.resolve(),
  })
  const hear = (fact: RunFact) => ledgers.hear('p', { run: 'r', at: 0, ...fact } as RunEvent)
  hear({ type: 'run:started', pipeline: 'p', warehouse: 'w', pid: 1, host: 'h', steps: [] })
  for (const [step, unit] of [
    ['blocks', '10-19'],
    ['metrics', '2024-03-01'],
  ] as const) {
    hear({ type: 'unit:started', step, unit, size: 1, resumed: false })
    hear({ type: 'unit:done', step, unit })
  }
  const { asOf, current, steps } = await ledgers.read(pipeline)
  const day = Date.UTC(2024, 2, 1) * 1_000
  expect([asOf, current, [...steps].map(([step, { axis, line }]) => [step, axis, [...line]])]).toEqual([
    null,
    false,
    [
      ['blocks', 'numbers', [{ from: 10, to: 19, state: 'done' }]],
      ['metrics', 'time', [{ from: day, to: day + 86_400_000_000 - 1, state: 'done' }]],
    ],
  ])
})
