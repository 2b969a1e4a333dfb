import { expect, test } from 'vitest'
import { emptyStore } from '../state/empty.js'
import { Feed } from './feed.js'
import { History } from './history.js'

test('of many listeners that look at the same moment one asks the state store, and again half a second later', async () => {
  const at = { ms: 0 }
  const clock = { now: () => at.ms, monotonic: () => at.ms, sleep: () => Promise.resolve() }
  let asked = 0
  const state = {
    ...emptyStore,
    runs: () => {
      asked++
      return Promise.resolve([])
    },
  }
  const feed = new Feed(clock, 'start')
  const history = new History({ state, pipelines: new Map(), feed: () => feed, of: () => ({}), live: () => undefined, clock })
  const asks: number[] = []
  for (at.ms of [0, 250, 499, 500, 900, 1_000]) {
    await Promise.all(Array.from({ length: 200 }, () => history.refresh('p')))
    asks.push(asked)
  }
  expect(asks).toEqual([1, 1, 1, 2, 2, 3])
})
