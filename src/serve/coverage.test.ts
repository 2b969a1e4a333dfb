import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LedgerRow } from '../sdk/index.js'
import { buckets, COVERAGE_STATES, inWindow, overlaid, placeOf, type Stretch, tidied, without } from './coverage.js'
import { stretchesOf } from './coverage-rows.js'
import { ledgerRow } from '../../test/support/ledger-row.js'

const row = (first: number, last: number, given: Partial<LedgerRow> = {}) =>
  ledgerRow(`${first}-${last}`, { first: BigInt(first), last: BigInt(last), ...given })

const lines = (stretches: Iterable<Stretch> | undefined) => [...(stretches ?? [])].map(({ from, to, state }) => `${from}-${to} ${state}`)
const now = { fingerprint: 'now', isProved: false, isRunning: true }

test('each place is what a plan takes it for: read, empty with evidence, in quarantine, under way, or missing', () => {
  const rows = [
    row(1, 10, { rows: { t: 5 } }),
    row(11, 20, { rows: { t: 3 } }),
    row(21, 30, { rows: { t: 0 }, evidence: [{ bloom: 'no' }] }),
    row(31, 40, { rows: { t: 0 } }),
    row(51, 60, { state: 'quarantined' }),
    row(61, 70, { state: 'running', coverage: { covered: [['61', '65']] } }),
    row(71, 80, { state: 'failed' }),
  ]
  const known = tidied(stretchesOf(rows, now))
  expect(lines(known)).toEqual([
    '1-20 done',
    '21-30 empty',
    '31-40 done',
    '51-60 quarantined',
    '61-65 done',
    '66-70 running',
    '71-80 missing',
  ])
  expect(lines(inWindow(known, { from: 15, to: 55 }))).toEqual([
    '15-20 done',
    '21-30 empty',
    '31-40 done',
    '41-50 missing',
    '51-55 quarantined',
  ])
  expect(inWindow(known, { from: 15, to: 55 }, 4)).toBeUndefined()
  expect(lines(tidied(stretchesOf(rows.slice(0, 1), { ...now, isProved: true })))).toEqual(['1-10 proved'])
  expect(lines(tidied(stretchesOf(rows.slice(5), { ...now, isRunning: false })))).toEqual(['61-65 done', '66-80 missing'])
  expect(buckets(known, { from: 1, to: 80 }, 4)).toEqual([
    { from: 1, to: 20, places: { done: 20 } },
    { from: 21, to: 40, places: { empty: 10, done: 10 } },
    { from: 41, to: 60, places: { missing: 10, quarantined: 10 } },
    { from: 61, to: 80, places: { done: 5, running: 5, missing: 10 } },
  ])
})

test('what was read under another definition is stale, also where it was proved empty, and hides no quarantine', () => {
  const old = { fingerprint: 'older' }
  const rows = [
    row(1, 10),
    row(11, 40, old),
    row(21, 30, { state: 'quarantined' }),
    row(41, 50, { ...old, rows: { t: 0 }, evidence: [{ bloom: 'no' }] }),
    row(51, 60, { ...old, state: 'quarantined' }),
    row(61, 70, { ...old, state: 'running', coverage: { covered: [['61', '65']] } }),
    row(71, 80, { fingerprint: 'reset' }),
  ]
  expect(lines(tidied(stretchesOf(rows, now)))).toEqual([
    '1-10 done',
    '11-20 stale',
    '21-30 quarantined',
    '31-50 stale',
    '51-60 missing',
    '61-65 stale',
    '66-70 missing',
    '71-80 stale',
  ])
})

test('stretches and buckets count every place of a window exactly once, however stretches overlap', () => {
  const stretch = fc
    .tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 30 }), fc.constantFrom(...COVERAGE_STATES))
    .map(([from, more, state]): Stretch => ({ from, to: from + more, state }))
  fc.assert(
    fc.property(
      fc.array(stretch, { maxLength: 12 }),
      fc.integer({ min: 0, max: 100 }),
      fc.integer({ min: 1, max: 40 }),
      (given, from, most) => {
        const [known, window] = [tidied(given), { from, to: from + 120 }]
        const parts = inWindow(known, window) ?? []
        // Laid on one after the other they come to the same.
        expect([...overlaid(tidied(given.slice(0, 6)), given.slice(6))]).toEqual([...known])
        expect(parts.reduce((next, part) => (part.from === next ? part.to + 1 : NaN), from)).toBe(window.to + 1)
        const inBuckets = buckets(known, window, most)
        expect(inBuckets.length).toBeLessThanOrEqual(most)
        for (const state of COVERAGE_STATES) {
          const places = parts.filter((part) => part.state === state).reduce((sum, part) => sum + part.to - part.from + 1, 0)
          expect(inBuckets.reduce((sum, bucket) => sum + (bucket.places[state] ?? 0), 0)).toBe(places)
        }
      },
    ),
    { numRuns: 100 },
  )
})

test('a million units that all differ from their neighbours are a map of a thousand buckets', () => {
  const known = tidied(
    Array.from({ length: 1_000_000 }, (_, i): Stretch => ({ from: i * 10, to: i * 10 + 9, state: i % 2 ? 'done' : 'empty' })),
  )
  const found = buckets(known, { from: 0, to: 9_999_999 }, 1_000)
  expect([found.length, found[999]?.places]).toEqual([1_000, { done: 5_000, empty: 5_000 }])
})

test('places that are taken out of a line are gone from it, and no others', () => {
  const known = tidied([
    { from: 1, to: 20, state: 'done' },
    { from: 31, to: 40, state: 'empty' },
  ])
  const taken = tidied([
    { from: 5, to: 6, state: 'stale' },
    { from: 18, to: 33, state: 'stale' },
  ])
  expect(lines(without(known, taken))).toEqual(['1-4 done', '7-17 done', '34-40 empty'])
})

test('the name of a unit says where it lies', () => {
  expect(placeOf('18000000-18000999')).toEqual({ from: 18_000_000, to: 18_000_999 })
  expect(placeOf('1970-01-02')).toEqual({ from: 86_400_000_000, to: 172_799_999_999 })
  expect(placeOf('1970-01-01T00:00:00Z..1970-01-01T00:00:01Z')).toEqual({ from: 0, to: 1_000_000 })
  expect(placeOf('once')).toBeUndefined()
})
