import { expect, test } from 'vitest'
import type { Pipeline } from '../pipeline/pipeline.js'
import { initialView, newStep, type RunView, type StepView } from '../report/view.js'
import type { Json } from '../sdk/index.js'
import { NO_WISH, type RunRecord, type StateStore, type Wish } from '../state/store.js'
import { Wishes } from './wishes.js'

// Of a pipeline it takes the steps alone, and of these whether they close.
const pipeline = {
  name: 'p',
  steps: [...['lines', 'days', 'script'].map((id) => ({ id, definition: {} })), { id: 'complete', definition: { closes: true } }],
} as unknown as Pipeline

const planned = { planned: { units: 9, pieces: 90, calls: 0, reasons: {} }, state: 'running' } as const
const units = { of: 'units', most: 4 } as const
/** Lines run, days have ended, and the script is one unit. */
const steps: StepView[] = [
  { ...newStep('lines'), ...planned, parallel: units },
  { ...newStep('days'), ...planned, state: 'complete', endedAt: 5, parallel: units },
  { ...newStep('script'), ...planned },
]

/** What somebody who wants something of such a run is told. */
async function asked(change: Partial<RunView>, what: (wishes: Wishes) => Promise<unknown>, isThere = true) {
  const view = JSON.parse(JSON.stringify({ ...initialView(), state: 'running', steps, ...change })) as Json
  const record = { id: 'r1', outcome: 'running', wish: NO_WISH, view } as Partial<RunRecord> as RunRecord
  let wish: Wish = NO_WISH
  const state = {
    wish: (_: string, by: (before: Wish) => Wish) => {
      if (isThere) wish = by(wish)
      return Promise.resolve(isThere)
    },
  } as Partial<StateStore> as StateStore
  const answer = await what(new Wishes({ runs: { underWay: () => Promise.resolve(record) }, state })).catch((error: unknown) => {
    const { status, code, run } = error as { status: number; code: string; run?: string }
    return `${status} ${code}${run === undefined ? '' : ` ${run}`}`
  })
  return { answer, wish }
}

test('how much a step does at once is asked of those that can still do more, and of no other', async () => {
  const ask = async (change: Partial<RunView>, step?: string) =>
    (await asked(change, (wishes) => wishes.parallel(pipeline, step === undefined ? { parallel: 7 } : { step, parallel: 7 }))).answer
  expect(await ask({}, 'days')).toBe('409 STEP_ENDED r1')
  expect(await ask({}, 'script')).toBe('422 NOT_PARALLEL r1')
  expect(await ask({}, 'complete')).toBe('422 NOT_PARALLEL r1')
  expect(await ask({})).toEqual({ run: 'r1', parallel: { lines: 7 } })
  // Where another round comes, a step that has ended is done again.
  for (const more of [{ follow: true }, { round: { number: 1, nextAt: null } }])
    expect(await ask(more)).toEqual({ run: 'r1', parallel: { lines: 7, days: 7 } })
  expect(await ask({ steps: steps.slice(1) })).toBe('422 NOT_PARALLEL r1')
  expect(await ask({ steps: steps.slice(1) }, 'lines')).toBe('409 NOT_IN_RUN r1')
  // A run that has just begun has said nothing of its steps.
  expect(await ask({ steps: [] })).toEqual({ run: 'r1', parallel: { lines: 7, days: 7, script: 7 } })
})

test('a run that ends takes no wish any more', async () => {
  const pause = (wishes: Wishes) => wishes.pause(pipeline)
  expect(await asked({}, pause)).toEqual({ answer: { run: 'r1', state: 'pausing' }, wish: { paused: true, parallel: {} } })
  expect(await asked({ state: 'stopping' }, pause)).toEqual({ answer: '409 STOPPING r1', wish: NO_WISH })
  expect(await asked({ state: 'ended' }, pause)).toEqual({ answer: '409 STOPPING r1', wish: NO_WISH })
  expect(await asked({}, pause, false)).toEqual({ answer: '409 NOT_RUNNING', wish: NO_WISH })
})
