import { describe, expect, test } from 'vitest'
import { type Case, dropVerdict, type Nothing, requestVerdict, type RequestVerdict, verdict, type Verdict } from './verdict.js'

const CASE: Omit<Case, 'said'> = {
  logs: false,
  calls: 10,
  attempts: 0,
  maxAttempts: 5,
  lacks: 0,
  old: false,
  answers: true,
  others: true,
  known: true,
}

const attempt = { next: 'later', counts: 'attempt', move: true } as const
const last = { attempts: 4 }

const calls: readonly [Case['said'], Partial<Case>, Verdict][] = [
  ['RATE', {}, { as: 'RATE', next: 'again', lesson: 'refused' }],
  ['QUOTA', {}, { as: 'QUOTA', next: 'again', lesson: 'refused' }],
  ['AUTH', { calls: 1 }, { as: 'AUTH', next: 'again', lesson: 'refused' }],
  ['AUTH', { answers: false }, { as: 'AUTH', next: 'again', lesson: 'refused' }],
  ['AUTH', {}, { as: 'AUTH', next: 'elsewhere' }],
  ['AUTH', { others: false }, { as: 'AUTH', next: 'failed', error: 'call' }],
  ['SPLIT', { logs: true }, { as: 'SPLIT', next: 'failed', error: 'range' }],
  ['SPLIT', {}, { as: 'BATCH', next: 'again', lesson: 'too-many' }],
  ['SPLIT', { calls: 1 }, { as: 'BATCH', ...attempt }],
  ['BATCH', {}, { as: 'BATCH', next: 'again', lesson: 'too-many' }],
  ['BATCH', { calls: 1 }, { as: 'BATCH', ...attempt }],
  ['BATCH', { calls: 1, ...last }, { as: 'BATCH', next: 'failed', error: 'call', counts: 'attempt' }],
  ['STATE', {}, { as: 'STATE', next: 'elsewhere', counts: 'state', lesson: 'lacks-state' }],
  ['STATE', { others: false }, { as: 'STATE', next: 'later', move: false, counts: 'state', lesson: 'lacks-state' }],
  ['STATE', { others: false, lacks: 1 }, { as: 'STATE', next: 'failed', error: 'state', counts: 'state', lesson: 'lacks-state' }],
  ['STATE', { lacks: 1 }, { as: 'STATE', next: 'elsewhere', counts: 'state', lesson: 'lacks-state' }],
  ['LAG', {}, { as: 'LAG', ...attempt }],
  ['LAG', last, { as: 'LAG', next: 'failed', error: 'behind', counts: 'attempt' }],
  ['LAG', { old: true }, { as: 'STATE', next: 'elsewhere', counts: 'state', lesson: 'lacks-state' }],
  ['NULL', {}, { as: 'LAG', ...attempt }],
  ['NULL', last, { as: 'LAG', next: 'failed', error: 'null', counts: 'attempt' }],
  ['UNSUP', {}, { as: 'UNSUP', next: 'again', lesson: 'unsupported' }],
  ['UNSUP', { known: false }, { as: 'UNSUP', next: 'failed', error: 'method', lesson: 'unsupported' }],
  ['SERVER', {}, { as: 'SERVER', ...attempt }],
  ['SERVER', last, { as: 'SERVER', next: 'failed', error: 'call', counts: 'attempt' }],
  ['SERVER', { maxAttempts: 1 }, { as: 'SERVER', next: 'failed', error: 'call', counts: 'attempt' }],
  ['USELESS', {}, { as: 'SERVER', ...attempt }],
  ['USELESS', last, { as: 'SERVER', next: 'failed', error: 'call', counts: 'attempt' }],
  ['MISSING', {}, { as: 'SERVER', ...attempt, move: false }],
  ['MISSING', last, { as: 'SERVER', next: 'failed', error: 'call', counts: 'attempt' }],
  ['LEFT_OUT', {}, { as: 'BATCH', next: 'again' }],
  ['LEFT_OUT', last, { as: 'BATCH', next: 'again' }],
  ['BUG', {}, { as: 'BUG', next: 'failed', error: 'call' }],
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
    [15.5, 5, true, 'failed'],
    [15.5, 5, false, 'unreachable'],
    [3, 1, false, 'again'],
  ] as const)('a call with %d dropped requests of %i attempts, others answered: %s: %s', (drops, most, answered, next) => {
    expect(dropVerdict(drops, most, answered)).toBe(next)
  })
})
