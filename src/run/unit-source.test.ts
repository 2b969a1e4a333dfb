import { expect, test } from 'vitest'
import type { LedgerRow, UnitWrite } from '../sdk/index.js'
import type { StepPlan } from '../plan/plan.js'
import type { RunServices } from './services.js'
import { planSource } from './unit-source.js'

/** A plan of `size` units whose warehouse knows `known` already, and what was asked of it. */
function setup(size: number, known: readonly string[] = []) {
  const opened: (readonly string[])[] = []
  const given: UnitWrite[] = []
  const row = (unit: string) => ({ unit, epoch: 1n, fingerprint: 'f', state: known.includes(unit) ? 'failed' : 'running' }) as LedgerRow
  let now = 0
  const services = {
    pipeline: { name: 'p' },
    clock: { now: () => now, monotonic: () => now },
    warehouse: {
      open: (_: unknown, units: readonly string[]) => {
        opened.push(units)
        return Promise.resolve(new Map(units.map((unit) => [unit, row(unit)])))
      },
    },
    committer: {
      push: (write: UnitWrite) => {
        given.push(write)
        return Promise.resolve({ written: true, doubles: 0, rows: {}, replaced: 0, there: {}, overwritten: {} })
      },
    },
  } as unknown as RunServices
  const units = Array.from({ length: size }, (_, i) => ({ key: String(i) }))
  const plan = { step: { id: 's' }, fingerprint: 'f', units } as unknown as StepPlan
  return { source: planSource(services, plan), services, opened, given, pass: (ms: number) => (now += ms) }
}

const { signal } = new AbortController()

test('workers that take at once get each unit once, in order', async () => {
  const { source } = setup(300)
  const taken: (string | undefined)[] = []
  const worker = async () => {
    for (let unit = await source.next(signal); unit; unit = await source.next(signal)) taken.push(unit.unit.key)
  }
  await Promise.all([worker(), worker(), worker()])
  expect(taken).toEqual(Array.from({ length: 300 }, (_, i) => String(i)))
})

test('where units take long, few are opened ahead; what was not begun is pending again when the run stops', async () => {
  const { source, opened, given, pass } = setup(10_000, ['63'])
  const stop = new AbortController()
  for (let i = 0; i < 40; i++) {
    await source.next(stop.signal)
    pass(3_000)
  }
  stop.abort()
  expect(await source.next(stop.signal)).toBeUndefined()
  await source.close()
  expect(opened.map((units) => units.length)).toEqual([64, 64])
  expect(given.map(({ unit, epoch, ledger }) => [unit, epoch, ledger.state])).toEqual(
    // The one that the ledger knew as failed is so still.
    Array.from({ length: 128 - 40 }, (_, i) => [String(40 + i), 1n, 'pending']).filter(([unit]) => unit !== '63'),
  )
  expect(await source.next(signal)).toBeUndefined()
})

test('an error of opening ahead is met by every worker that comes to it, and no unit is passed over', async () => {
  const { source, services } = setup(300)
  await source.next(signal)
  Object.assign(services.warehouse, { open: () => Promise.reject(new Error('gone')) })
  let taken = 1
  const worker = async () => {
    while (await source.next(signal)) taken++
  }
  const ends = await Promise.allSettled([worker(), worker()])
  expect(ends.map((end) => (end.status === 'rejected' ? (end.reason as Error).message : 'ended'))).toEqual(['gone', 'gone'])
  expect(taken).toBe(64)
})
