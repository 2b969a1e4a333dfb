import { expect, test } from 'vitest'
import { folded, type Live } from './live.js'
import { eventOf } from './stream.js'

const START: Live = { link: 'live', view: undefined, facts: [], epoch: 0, ahead: 0 }
const view = (run: string) => ({ id: undefined, event: 'view', data: JSON.stringify({ run }) })
const fact = (n: number) => ({ id: `x-${n}`, event: 'fact', data: JSON.stringify({ type: 'warning', run: 'a', at: n, message: 'm' }) })

test('an event is read from its lines, and a comment is none', () => {
  expect(eventOf('id: x-1\nevent: fact\ndata: {"a":\ndata: 1}')).toEqual({ id: 'x-1', event: 'fact', data: '{"a":\n1}' })
  expect(eventOf(': alive')).toBeUndefined()
})

test('of what was heard between two frames the last view counts, with all facts; after a gap only the facts since', () => {
  const once = folded(START, [fact(1), view('a'), fact(2), view('b')])
  expect([once.view?.run, once.facts.map(({ at }) => at), once.epoch]).toEqual(['b', [1, 2], 0])
  const twice = folded(once, [{ id: undefined, event: 'resync', data: '{}' }, fact(9)])
  expect([twice.view?.run, twice.facts.map(({ at }) => at), twice.epoch]).toEqual(['b', [9], 1])
  expect(
    folded(
      once,
      Array.from({ length: 500 }, (_, i) => fact(i)),
    ).facts,
  ).toHaveLength(200)
})
