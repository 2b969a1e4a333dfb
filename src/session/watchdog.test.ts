import { expect, test } from 'vitest'
import type { Clock, RunFact } from '../sdk/index.js'
import type { Wait } from '../net/waits.js'
import { Watchdog } from './watchdog.js'

/** Time that passes when the test says so. */
function steppingClock(): Clock & { pass(ms: number): Promise<void> } {
  let at = 0
  const sleepers: { at: number; go: () => void }[] = []
  return {
    now: () => Date.parse('2026-01-01T00:00:00Z') + at,
    monotonic: () => at,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const stop = () => reject(signal?.reason as Error)
        signal?.addEventListener('abort', stop)
        sleepers.push({
          at: at + ms,
          go: () => {
            signal?.removeEventListener('abort', stop)
            resolve()
          },
        })
      }),
    async pass(ms) {
      for (const end = at + ms; at < end;) {
        at += 1_000
        for (const due of sleepers.filter((sleeper) => sleeper.at <= at)) {
          sleepers.splice(sleepers.indexOf(due), 1)
          due.go()
        }
        for (let i = 0; i < 10; i++) await Promise.resolve()
      }
    },
  }
}

test('after 30 seconds and each minute from then on it is said what a run waits for, until something moves', async () => {
  const clock = steppingClock()
  const facts: RunFact[] = []
  let moved = 0
  let working = true
  let waits: Wait[] = []
  const watchdog = new Watchdog({
    clock,
    emit: (fact) => void facts.push(fact),
    moved: () => moved,
    working: () => working,
    waits: () => waits,
    steps: () => 'balances (unit 0-9)',
    warehouse: 'duckdb',
  })
  let end = () => {}
  const warehouse = watchdog.watching({ name: 'w', query: () => new Promise<void>((resolve) => (end = resolve)) })
  expect(warehouse.name).toBe('w')

  await clock.pass(20_000)
  moved++
  await clock.pass(25_000)
  expect(facts.splice(0)).toEqual([])

  const statement = warehouse.query()
  const quiet = { requests: 0, sinceMs: 0, quietMs: 0, reason: undefined }
  waits = [
    { ...quiet, endpoint: 'a.test', requests: 3, sinceMs: 45_300 },
    { ...quiet, endpoint: 'b.test', quietMs: 90_000, reason: 'HTTP 429' },
    { ...quiet, endpoint: 'c.test' },
  ]
  await clock.pass(10_000)
  expect(facts.splice(0)).toEqual([
    {
      type: 'run:waiting',
      ms: 30_000,
      for: '3 requests to a.test since 45s; endpoint b.test, which gets nothing until 00:02:25 UTC (HTTP 429); a statement in duckdb since 10s; balances (unit 0-9)',
    },
  ])

  end()
  await statement
  waits = []
  await clock.pass(60_000)
  expect(facts.splice(0)).toEqual([{ type: 'run:waiting', ms: 90_000, for: 'balances (unit 0-9)' }])
  working = false
  await clock.pass(120_000)
  working = true
  await clock.pass(20_000)
  await watchdog.close()
  expect(facts).toEqual([])
})
