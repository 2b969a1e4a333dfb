import { expect, test } from 'vitest'
import type { Clock, RunFact } from '../sdk/index.js'
import { Control } from './control.js'
import { Crew } from './crew.js'
import { type StepTime, withTimeout } from './step-timeout.js'

const none = { paused: false, parallel: {} }
const paused = { ...none, paused: true }
const turns = async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}

/** A step of `units` units, each of which ends when the test says so, in a run whose time moves by hand. */
async function step(units: number, { width = 2, timeoutMs }: { readonly width?: number; readonly timeoutMs?: number } = {}) {
  let now = 0
  const sleepers: { readonly at: number; readonly wake: () => void; readonly signal: AbortSignal | undefined }[] = []
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    sleep: (ms, signal) => new Promise((resolve) => void sleepers.push({ at: now + ms, wake: resolve, signal })),
  }
  const facts: RunFact[] = []
  const stop = new AbortController()
  const control = new Control({ clock, emit: (fact) => void facts.push(fact), over: stop.signal })
  const under = new Map<number, () => void>()
  let begun = 0
  const work = async (over: AbortSignal, time: StepTime) => {
    const crew = new Crew({ control, over, time, width: () => control.parallel('s') ?? width })
    await control.whileWaiting(() =>
      crew.work(async (stays) => {
        while (stays() && !over.aborted) {
          await crew.mayBegin()
          if (over.aborted || begun === units) return
          const unit = ++begun
          await crew.during(() => new Promise<void>((resolve) => under.set(unit, resolve)))
        }
      }),
    )
  }
  const limit = timeoutMs === undefined ? undefined : { ms: timeoutMs, error: new Error('late') }
  const end = control.during(() => withTimeout(clock, stop.signal, limit, work))
  await turns()
  return {
    control,
    facts,
    stop,
    end,
    /** The units that are under way. */
    under: () => [...under.keys()],
    async ends(...ended: readonly number[]) {
      for (const unit of ended) {
        under.get(unit)?.()
        under.delete(unit)
      }
      await turns()
    },
    async pass(ms: number) {
      now += ms
      for (const due of sleepers.filter(({ at, signal }) => at <= now && !signal?.aborted)) {
        sleepers.splice(sleepers.indexOf(due), 1)
        due.wake()
      }
      await turns()
    },
  }
}

test('a run that is to pause begins nothing, is paused when nothing is under way, and goes on with what is next', async () => {
  const { control, facts, under, ends, pass, end } = await step(5)
  expect(under()).toEqual([1, 2])
  control.take(paused)
  control.take(paused)
  await ends(1)
  await pass(1_000)
  expect([under(), control.paused, control.atRest, facts]).toEqual([[2], true, false, [{ type: 'run:pausing' }]])
  await ends(2)
  await pass(10)
  expect([under(), control.atRest, facts.at(-1)]).toEqual([[], true, { type: 'run:paused' }])
  control.take(none)
  await turns()
  expect([under(), control.atRest, facts.at(-1)]).toEqual([[3, 4], false, { type: 'run:resumed' }])
  await ends(3, 4)
  await ends(5)
  await end
})

test('a pause that is taken back before it is there leaves no trace but both words', async () => {
  const { control, facts, under, ends, pass } = await step(5)
  control.take(paused)
  await ends(1, 2)
  control.take(none)
  await pass(1_000)
  expect([under(), facts.map(({ type }) => type)]).toEqual([
    [3, 4],
    ['run:pausing', 'run:resumed'],
  ])
})

test('a run that is stopped while it is paused ends at once, and takes up nothing any more', async () => {
  const { control, facts, ends, pass, stop, end } = await step(5)
  control.take(paused)
  await ends(1, 2)
  await pass(10)
  stop.abort()
  await end
  control.take({ paused: false, parallel: { s: 9 } })
  expect(facts.map(({ type }) => type)).toEqual(['run:pausing', 'run:paused'])
})

test('a step does more at once as soon as it is told, and less as units end', async () => {
  const { control, facts, under, ends, end } = await step(20)
  control.take({ paused: false, parallel: { s: 5 } })
  await turns()
  expect(under()).toEqual([1, 2, 3, 4, 5])
  control.take({ paused: false, parallel: { s: 2 } })
  await ends(1, 2, 3)
  expect(under()).toEqual([4, 5])
  await ends(4)
  expect(under()).toEqual([5, 6])
  expect(facts).toEqual([5, 2].map((most) => ({ type: 'step:parallel', step: 's', most })))
  control.take({ paused: true, parallel: { s: 3 } })
  await ends(5, 6)
  expect(under()).toEqual([])
  control.take({ paused: false, parallel: { s: 3 } })
  await turns()
  expect(under()).toEqual([7, 8, 9])
  for (let unit = 7; unit <= 20; unit++) await ends(unit)
  await end
})

test('the time of a step stands still while it is paused and nothing of it is under way, and goes by while something is', async () => {
  const { control, under, ends, pass, end } = await step(4, { timeoutMs: 1_000 })
  let late: unknown
  const over = end.catch((error: unknown) => (late = error))
  await pass(300)
  control.take(paused)
  await ends(1)
  await pass(300)
  await ends(2)
  await pass(3_600_000)
  control.take(none)
  await turns()
  expect([under(), late]).toEqual([[3, 4], undefined])
  await pass(399)
  await ends(3)
  expect(under()).toEqual([4])
  await pass(1)
  await ends(4)
  // Nothing further is begun when it is over.
  await over
  expect(under()).toEqual([])
})
