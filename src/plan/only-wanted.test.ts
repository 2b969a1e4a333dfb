import { expect, test } from 'vitest'
import type { Wanted } from '../sdk/index.js'
import { onlyWanted } from './only-wanted.js'

const wanted: Wanted = { kind: 'task', due: 'once' }
const step = { id: 's' }

test('a plan gives one thing, and is asked for a second one and no more', async () => {
  let asked = 0
  const endless = function* () {
    for (;;) {
      asked++
      yield wanted
    }
  }
  await expect(onlyWanted(step, endless)).rejects.toMatchObject({ code: 'WANTED_UNCLEAR', message: 'step s wants several things at once' })
  expect(asked).toBe(2)
  expect(await onlyWanted(step, () => [wanted])).toBe(wanted)
})

test('a plan that does not come to its end is left, with the name of its step', async () => {
  const waiting = async function* () {
    yield wanted
    await new Promise(() => undefined)
  }
  const refused = { code: 'PLAN_ENDLESS', message: 'step s: its plan did not end within 0.001 minutes' }
  const still = setTimeout(() => undefined, 10_000)
  await expect(onlyWanted(step, waiting, 60)).rejects.toMatchObject(refused)
  clearTimeout(still)
})
