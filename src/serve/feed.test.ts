import { expect, test } from 'vitest'
import { initialView } from '../report/view.js'
import type { RunEvent } from '../sdk/index.js'
import { Feed } from './feed.js'

function feedAt(clock: { ms: number }): Feed {
  return new Feed({ now: () => clock.ms, monotonic: () => clock.ms, sleep: () => Promise.resolve() }, 'start')
}

const warning = (message: string): RunEvent => ({ run: 'r', at: 0, type: 'warning', message })
const messages = (texts: readonly { readonly text: string }[]) => texts.map(({ text }) => (JSON.parse(text) as { message: string }).message)

test('who comes back hears what came meanwhile, once, and then the view', () => {
  const clock = { ms: 0 }
  const feed = feedAt(clock)
  const view = initialView()
  for (const message of ['a', 'b', 'c']) feed.push(warning(message), view)
  const news = feed.since(feed.from('start-1'))
  expect([news.lost, messages(news.facts), news.facts.map(({ id }) => id)]).toEqual([false, ['b', 'c'], ['start-2', 'start-3']])
  expect(news.view).toBe(JSON.stringify(view))
  expect(feed.since(news.at)).toEqual({ at: news.at, lost: false, facts: [], view: undefined })
})

test('who has missed more than is kept is told so, and so is one whose server has begun anew', () => {
  const feed = feedAt({ ms: 0 })
  for (let i = 1; i <= 2_000; i++) feed.push(warning(String(i)), initialView())
  const { lost, facts } = feed.since(feed.from('start-10'))
  expect([lost, facts.length, messages(facts)[0], messages(facts).at(-1)]).toEqual([true, 500, '1501', '2000'])
  expect(feed.since(feed.from('other-10')).lost).toBe(true)
  expect(feed.since(feed.from('nonsense')).lost).toBe(true)
  expect(feed.since(feed.from(undefined)).facts).toEqual([])
  const large = feedAt({ ms: 0 })
  for (let i = 0; i < 10; i++) large.push(warning('x'.repeat(100_000)), initialView())
  expect(large.since(large.from('start-0')).facts.length).toBeLessThan(3)
})

test('a view is written at most five times a second, and its last state is never lost', () => {
  const clock = { ms: 0 }
  const feed = feedAt(clock)
  const view = initialView()
  feed.push(warning('a'), Object.assign(view, { error: 'first' }))
  const first = feed.since(feed.from(undefined))
  feed.push({ run: 'r', at: 0, type: 'commit:done', units: 1, rows: 1, ms: 1 }, Object.assign(view, { error: 'second' }))
  expect([feed.since(first.at).view, feed.since(first.at).facts]).toEqual([undefined, []])
  clock.ms = 250
  expect(feed.since(first.at).view).toContain('second')
})
