import { describe, expect, test } from 'vitest'
import { type Case, dropVerdict, type Nothing, requestVerdict, type RequestVerdict, verdict, type Verdict } from './verdict.js'

const CASE: Omit<Case, 'said'> = { logs: undefined, calls: 10, old: false, answers: true, replaceable: false }

const often = { next: 'refused', enough: 'attempts' } as const
const once = { next: 'refused', enough: 'once' } as const

const calls: readonly [Case['said'], Partial<Case>, Verdict][] = [
  ['RATE', {}, { as: 'RATE', next: 'again', lesson: 'refused' }],
  ['QUOTA', {}, { as: 'QUOTA', next: 'again', lesson: 'refused' }],
  ['AUTH', { calls: 1 }, { as: 'AUTH', next: 'again', lesson: 'refused' }],
  ['AUTH', { answers: false }, { as: 'AUTH', next: 'again', lesson: 'refused' }],
  ['AUTH', { calls: 1, answers: false, replaceable: true }, { as: 'UNSUP', ...often, error: 'method', lesson: 'unsupported' }],
  ['AUTH', {}, { as: 'AUTH', ...once, error: 'login' }],
  ['SPLIT', { logs: 'range' }, { as: 'SPLIT', next: 'failed', error: 'range' }],
  ['SPLIT', { logs: 'block' }, { as: 'SPLIT', ...once, error: 'range' }],
  ['SPLIT', {}, { as: 'BATCH', next: 'again', lesson: 'too-many' }],
  ['SPLIT', { calls: 1 }, { as: 'BATCH', ...often, error: 'call' }],
  ['BATCH', {}, { as: 'BATCH', next: 'again', lesson: 'too-many' }],
  ['BATCH', { calls: 1 }, { as: 'BATCH', ...often, error: 'call' }],
  ['STATE', {}, { as: 'STATE', ...often, error: 'state', lesson: 'lacks' }],
  ['LAG', {}, { as: 'LAG', ...often, error: 'behind' }],
  ['LAG', { old: true }, { as: 'STATE', ...often, error: 'state', lesson: 'lacks' }],
  ['NULL', {}, { as: 'LAG', ...often, error: 'null' }],
  ['NULL', { old: true }, { as: 'LAG', ...often, error: 'null', lesson: 'lacks' }],
  ['UNSUP', {}, { as: 'UNSUP', ...often, error: 'method', lesson: 'unsupported' }],
  ['SERVER', {}, { as: 'SERVER', ...often, error: 'unanswered' }],
  ['USELESS', {}, { as: 'SERVER', ...often, error: 'call' }],
  ['OTHER', {}, { as: 'SERVER', ...often, error: 'other' }],
  ['MISSING', {}, { as: 'SERVER', ...often, error: 'silent' }],
  ['LEFT_OUT', {}, { as: 'BATCH', next: 'again' }],
  ['BUG', {}, { as: 'BUG', ...once, error: 'call' }],
  ['REVERT', {}, { as: 'BUG', ...once, error: 'call', answer: true }],
]

describe('what to do with one call is a table', () => {
  test.each(calls.map(([said, facts, decided]) => [said, JSON.stringify(facts), decided.next, facts, decided] as const))(
    '%s with %s: %s',
    (said, _, _next, facts, decided) => {
      expect(verdict({ ...CASE, said, ...facts })).toEqual(decided)
    },
  )
})

const refused = (kind: 'RATE' | 'QUOTA' | 'AUTH' | 'SERVER' | 'BATCH' | 'SPLIT' | 'BUG' | 'STATE', wordless = false): Nothing => ({
  came: 'refused',
  class: kind,
  wordless,
})
const dropped = { as: 'SERVER', next: 'counted', failed: true } as const

const requests: readonly [Nothing, number, RequestVerdict][] = [
  [{ came: 'too-large' }, 1, { as: 'BATCH', next: 'too-large', limit: 'too-slow' }],
  [{ came: 'too-large' }, 2, { as: 'BATCH', next: 'again', refused: false, limit: 'too-many-and-slow' }],
  [{ came: 'crowded' }, 2, { as: 'BATCH', next: 'again', refused: false, limit: 'too-slow' }],
  [{ came: 'timeout' }, 1, { ...dropped, weight: 3, limit: 'too-slow' }],
  [{ came: 'timeout' }, 2, { ...dropped, weight: 3, limit: 'too-many-and-slow' }],
  [{ came: 'broken' }, 2, { ...dropped, weight: 1, limit: 'dropped' }],
  [{ came: 'garbled' }, 2, { ...dropped, weight: 1 }],
  [{ came: 'connect' }, 2, { ...dropped, weight: 0 }],
  [refused('RATE'), 2, { as: 'RATE', next: 'again', refused: true }],
  [refused('QUOTA'), 1, { as: 'QUOTA', next: 'again', refused: true }],
  [refused('AUTH'), 2, { as: 'AUTH', next: 'again', refused: true }],
  [refused('SERVER'), 2, { ...dropped, weight: 1 }],
  [refused('BATCH'), 2, { as: 'BATCH', next: 'counted', weight: 0.5, failed: false, limit: 'too-many' }],
  [refused('BATCH', true), 2, { as: 'BATCH', next: 'counted', weight: 0.5, failed: false, limit: 'dropped' }],
  [refused('SPLIT'), 2, { as: 'BATCH', next: 'counted', weight: 0.5, failed: false, limit: 'too-many' }],
  [refused('BATCH'), 1, { as: 'BATCH', next: 'one' }],
  [refused('BUG'), 2, { as: 'BUG', next: 'counted', weight: 1, failed: false, limit: 'dropped' }],
  [refused('BUG'), 1, { as: 'BUG', next: 'one' }],
  [refused('STATE'), 1, { as: 'STATE', next: 'one' }],
]

describe('what to do with a request that brought nothing is a table', () => {
  test.each(requests.map(([nothing, count, decided]) => [JSON.stringify(nothing), count, decided.next, nothing, decided] as const))(
    '%s with %i calls: %s',
    (_, count, _next, nothing, decided) => {
      expect(requestVerdict(nothing, count)).toEqual(decided)
    },
  )

  test.each([
    [15, 5, true, 'again'],
    [15.5, 5, true, 'refused'],
    [15.5, 5, false, 'unreachable'],
    [3, 1, false, 'again'],
  ] as const)('a call with %d dropped requests of %i attempts, others answered: %s: %s', (drops, most, answered, next) => {
    expect(dropVerdict(drops, most, answered)).toBe(next)
  })
})
