import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dayAxis, type LedgerRow, numberAxis, parseInstant, type UnitState } from '../sdk/index.js'
import { ledgerRow } from '../../test/support/ledger-row.js'
import { nameOf, stretchOf } from '../ledger/axis.js'
import { outdated, redoReason, RESET_FINGERPRINT } from '../ledger/fingerprints.js'
import type { Interval } from '../ledger/intervals.js'
import { type Ledger, stored } from '../ledger/standing.js'
import { stretchUnits } from './stretch-units.js'

const FP = 'now'
const axis = numberAxis(100)
const row = (unit: string, state: UnitState, change: Partial<LedgerRow> = {}) => ledgerRow(unit, { state, ...change })
const intervalKey = (interval: Interval) => nameOf(axis, interval)
const parseIntervalKey = (name: string) => stretchOf(axis, name)

const wanted = (from: bigint, to: bigint, chunk = 100, order: 'newest-first' | 'oldest-first' = 'oldest-first') =>
  ({ kind: 'stretches', axis: numberAxis(chunk), domain: [from, to], due: 'uncovered', order }) as const
const rangeUnits = (step: string, what: ReturnType<typeof wanted>, ledger: Ledger, limit: number | undefined) =>
  stretchUnits(what, ledger, { step, limit, now: 0n })

const intervals = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: 900 }), fc.integer({ min: 0, max: 200 }))
    .map(([from, size]): Interval => [BigInt(from), BigInt(from + size)]),
  { maxLength: 6 },
)

const numbers = (list: Iterable<Interval>) => {
  const set = new Set<number>()
  for (const [from, to] of list) for (let n = from; n <= to; n++) set.add(Number(n))
  return set
}

describe('units of blocks', () => {
  it('plans each number that is wanted and not done exactly once, in units that cross no border, whatever the ledger holds', () => {
    fc.assert(
      fc.property(
        intervals,
        intervals,
        intervals,
        fc.integer({ min: 0, max: 500 }),
        fc.integer({ min: 0, max: 500 }),
        fc.integer({ min: 1, max: 150 }),
        fc.constantFrom('newest-first' as const, 'oldest-first' as const),
        (done, stale, partial, from, length, chunk, order) => {
          const rows = [
            ...done.map((interval) => row(intervalKey(interval), 'done')),
            ...stale.map((interval) => row(intervalKey(interval), 'done', { fingerprint: 'before' })),
            // A unit that a kill left: only what its commits covered counts.
            ...partial.map(([a, b]) => row(intervalKey([a, b + 50n]), 'running', { coverage: { covered: stored([[a, b]]) } })),
          ]
          const all: Interval = [BigInt(from), BigInt(from + length)]
          const { units } = rangeUnits('s', wanted(...all, chunk, order), { rows, fingerprint: FP }, undefined)
          const counts = new Map<number, number>()
          for (const { key, size, redo } of units) {
            const [a = 0n, b = -1n] = parseIntervalKey(key) ?? []
            expect(Number(b - a) + 1).toBe(size)
            expect(a / BigInt(chunk)).toBe(b / BigInt(chunk))
            for (let n = a; n <= b; n++) {
              counts.set(Number(n), (counts.get(Number(n)) ?? 0) + 1)
              // Old rows are deleted where there may be some, and nowhere else.
              expect(redo).toBe(numbers(stale).has(Number(n)))
            }
          }
          const read = numbers([...done, ...partial])
          const expected = [...numbers([all])].filter((n) => !read.has(n)).sort((a, b) => a - b)
          expect([...counts.keys()].sort((a, b) => a - b)).toEqual(expected)
          expect([...counts.values()].every((n) => n === 1)).toBe(true)
          const starts = units.map(({ key }) => Number(parseIntervalKey(key)?.[0]))
          expect(starts).toEqual([...starts].sort((a, b) => (order === 'newest-first' ? b - a : a - b)))
        },
      ),
      { numRuns: 200 },
    )
  })

  it('with a limit it keeps so many numbers of the end that is read first, and says how many it left out', () => {
    const { units, leftOut } = rangeUnits('s', wanted(0n, 999n, 100, 'newest-first'), { rows: [], fingerprint: FP }, 250)
    expect(units.map(({ key }) => key)).toEqual(['900-999', '800-899', '750-799'])
    expect(leftOut).toBe(750n)
  })

  it('leaves quarantined units out and names them', () => {
    const rows = [row('0-99', 'done'), row('100-100', 'quarantined', { attempts: 5, error: 'corrupt' }), row('101-199', 'done')]
    const plan = rangeUnits('s', wanted(0n, 199n), { rows, fingerprint: FP }, undefined)
    expect(plan).toEqual({ units: [], done: 199n, leftOut: 0n, quarantined: [{ key: '100-100', attempts: 5, error: 'corrupt' }] })
  })

  it('gives each unit its reason: new, missing, retry, reset, or what changed', () => {
    const rows = [
      row('0-99', 'done'),
      row('100-199', 'failed'),
      row('300-399', 'done', { fingerprint: RESET_FINGERPRINT }),
      row('400-499', 'done', { fingerprint: 'aa calls:1 row:2' }),
      row('500-599', 'done'),
    ]
    const ledger = {
      rows: rows.map((entry) => (entry.fingerprint === FP ? { ...entry, fingerprint: 'bb calls:1 row:3' } : entry)),
      fingerprint: 'bb calls:1 row:3',
    }
    const { units } = rangeUnits('s', wanted(0n, 699n), ledger, undefined)
    expect(units.map(({ key, reason, redo }) => [key, reason, redo])).toEqual([
      ['100-199', 'retry', false],
      ['200-299', 'missing', false],
      ['300-399', 'reset', true],
      ['400-499', 'changed: row', true],
      ['600-699', 'new', false],
    ])
  })

  it('a redo that was killed goes on with its rest, which still has old rows to delete', () => {
    const rows = [row('0-99', 'running', { coverage: { covered: stored([[50n, 99n]]), redo: 'changed: row' } })]
    const { units } = rangeUnits('s', wanted(0n, 99n), { rows, fingerprint: FP }, undefined)
    expect(units.map(({ key, reason, redo }) => [key, reason, redo])).toEqual([['0-49', 'changed: row', true]])
  })

  it('refuses to cut more units than anyone can follow', () => {
    expect(() => rangeUnits('s', wanted(0n, 10n ** 10n, 1), { rows: [], fingerprint: FP }, undefined)).toThrow('10000000001 units')
  })
})

describe('units of days', () => {
  const at = (text: string) => parseInstant(text) ?? 0n
  const days = (rows: readonly LedgerRow[], to = '2024-03-03T23:59:59.999999Z', now = '2024-04-01') =>
    stretchUnits(
      { kind: 'stretches', axis: dayAxis, domain: [at('2024-03-01'), at(to)], due: 'uncovered', order: 'oldest-first', whenOver: true },
      { rows, fingerprint: FP },
      { step: 's', limit: undefined, now: at(now) },
    )

  it('a day is done once under a definition and done again under another', () => {
    const { units, done } = days([row('2024-03-01', 'done'), row('2024-03-02', 'done', { fingerprint: 'a row:1' })])
    expect(units.map(({ key, reason, redo, size }) => [key, reason, redo, size])).toEqual([
      ['2024-03-02', 'changed: row', true, 1],
      ['2024-03-03', 'new', false, 1],
    ])
    expect(done).toBe(dayAxis.each)
  })

  it('a day that was read half is cut at its hole, and the hole is named by both ends', () => {
    const noon = at('2024-03-02T12:00:00Z')
    const half = { first: at('2024-03-02'), last: at('2024-03-03') - 1n, coverage: { covered: stored([[at('2024-03-02'), noon - 1n]]) } }
    const { units } = days([row('2024-03-01', 'done'), row('2024-03-02', 'running', half), row('2024-03-03', 'done')])
    expect(units.map(({ key, size }) => [key, size])).toEqual([['2024-03-02T12:00:00Z..2024-03-02T23:59:59.999999Z', 0.5]])
  })

  it('a day is no unit before it is over', () => {
    expect(days([], '2024-03-03T05:00:00Z', '2024-03-03T05:00:00Z').units.map(({ key }) => key)).toEqual(['2024-03-01', '2024-03-02'])
    expect(days([], '2024-03-02T23:59:59.999999Z', '2024-03-03').units.map(({ key }) => key)).toEqual(['2024-03-01', '2024-03-02'])
    expect(days([], '2024-03-02T23:59:59.999999Z', '2024-03-02T23:59:59Z').units.map(({ key }) => key)).toEqual(['2024-03-01'])
  })
})

describe('outdated', () => {
  it('remembers what a fingerprint was and matches none: changing a step back does not make its old rows good again', () => {
    expect(outdated('a row:1')).not.toBe('a row:1')
    expect(outdated(outdated('a row:1'))).toBe(outdated('a row:1'))
    expect(redoReason(outdated('a row:1'), 'b row:2')).toBe('changed: row')
    expect(redoReason(RESET_FINGERPRINT, 'b row:2')).toBe('reset')
  })
})
