import { describe, expect, it } from 'vitest'
import { RESET_FINGERPRINT } from '../src/ledger/fingerprints.js'
import { count, subtract, union } from '../src/ledger/intervals.js'
import { reconcile } from '../src/ledger/reconcile.js'
import { resetRows } from '../src/ledger/reset.js'
import { standing, stored } from '../src/ledger/standing.js'
import { type LedgerRow, numberAxis, parseInstant } from '../src/sdk/index.js'
import { ledgerRow } from './support/ledger-row.js'

/** A redo of 1-450 that was cut off at 200: 201-450 still hold rows of the old definition. */
const row = ledgerRow('1-450', {
  step: 'b',
  state: 'failed',
  fingerprint: 'B',
  first: 1n,
  last: 450n,
  coverage: { covered: stored([[1n, 200n]]), redo: 'changed: row' },
})
for (const range of ['10..20', '190..300', undefined])
  describe(`reset ${range ?? 'of all'}`, () => {
    it('forgets no stretch that holds rows of an older definition', () => {
      const { put, drop } = resetRows({ pipeline: 'p', step: 'b', fingerprint: RESET_FINGERPRINT }, [row], range)
      const names = new Set([...drop, ...put].map(({ unit }) => unit))
      const after = [
        ...(names.has(row.unit) ? [] : [row]),
        ...put.map((p) => ({ ...row, coverage: undefined, ...p, step: 'b', fingerprint: p.step.fingerprint }) as LedgerRow),
      ]
      const { stale } = standing(numberAxis(1), { rows: after, fingerprint: 'B' })
      expect(count(subtract([[201n, 450n]], union(stale.map(({ interval }) => interval))))).toBe(0n)
    })
  })

it('begins a reading anew that has stored a cursor and covers nothing yet: what lies before the cursor is read again, too', () => {
  const begun = ledgerRow('all', { step: 'b', state: 'failed', fingerprint: 'B', cursor: { page: 7 } })
  const { put } = resetRows({ pipeline: 'p', step: 'b', fingerprint: RESET_FINGERPRINT }, [begun], undefined)
  expect(put).toMatchObject([{ unit: 'all', state: 'pending', cursor: null }])
})

it('refuses what names no time, of units that are days', () => {
  const day = parseInstant('2024-03-02') ?? 0n
  const rows = [ledgerRow('2024-03-02', { state: 'done', first: day, last: day + 86_399_999_999n })]
  const names = (range: string) => resetRows({ pipeline: 'p', step: 'b', fingerprint: RESET_FINGERPRINT }, rows, range).names
  expect(() => names('garbage')).toThrow('--range garbage: this step has units of time')
  expect(() => names('10..20')).toThrow('this step has units of time')
  expect([names('2024-03-01..2024-03-02'), names('2024-03'), names('2024-04-01')]).toEqual([['2024-03-02'], ['2024-03-02'], []])
})

describe('--range', () => {
  const at = (text: string) => parseInstant(text) ?? 0n
  const done = (unit: string, first?: bigint, last?: bigint) => ledgerRow(unit, { step: 'b', state: 'done', fingerprint: 'B', first, last })
  const blocks = [done('0-999', 0n, 999n), done('1000-1999', 1_000n, 1_999n)]
  const lane = [
    done('2026-11-26T00:52:34.500000Z..2026-11-27T01:02:03.000001Z', at('2026-11-26T00:52:34.5Z'), at('2026-11-27T01:02:03.000001Z')),
    done('2026-11-27T01:02:03.000002Z..2026-11-28T00:00:00Z', at('2026-11-27T01:02:03.000002Z'), at('2026-11-28T00:00:00Z')),
  ]
  const hours = ['2026-11-26T00:00:00Z', '2026-11-26T01:00:00Z'].map((unit) => done(unit, at(unit), at(unit) + 3_599_999_999n))
  const keys = [done('0xa'), done('0xa..0xc'), done('0xc..')]
  const reset = (rows: readonly LedgerRow[], range: string) =>
    resetRows({ pipeline: 'p', step: 'b', fingerprint: RESET_FINGERPRINT }, rows, range).names

  it.each([
    [blocks, '0-999', ['0-999']],
    [blocks, '0-999..1000-1999', ['0-999', '1000-1999']],
    [blocks, '5..1000', ['5-999', '1000-1000']],
    [blocks, '7', ['7-7']],
    [lane, lane[0]?.unit ?? '', [lane[0]?.unit]],
    [lane, `${lane[0]?.unit}..${lane[1]?.unit}`, lane.map(({ unit }) => unit)],
    [lane, '2026-11-26T00:52:34.500Z..2026-11-26 00:52:35.25', ['2026-11-26T00:52:34.500000Z..2026-11-26T00:52:35.250000Z']],
    [lane, '2026-11-27', ['2026-11-27T00:00:00Z..2026-11-27T01:02:03.000001Z', '2026-11-27T01:02:03.000002Z..2026-11-27T23:59:59.999999Z']],
    [hours, '2026-11-26T01:00:00Z', ['2026-11-26T01:00:00Z']],
    [hours, '2026-11-26T00:00:00.000Z..2026-11-26T00:59:59.999999Z', ['2026-11-26T00:00:00Z']],
    [hours, '2026-11-26', hours.map(({ unit }) => unit)],
    [keys, '0xa..0xc', ['0xa..0xc']],
    [keys, '0xa..0xb', ['0xa', '0xa..0xc']],
    [keys, '0xc..', ['0xc..']],
    [[done('all')], 'all', ['all']],
  ])('takes units and instants as they are printed: %#', (rows, range, names) => {
    expect(reset(rows, range)).toEqual(names)
  })

  it('tells what is done from what is not, and from what no unit speaks of', () => {
    const open = ledgerRow('2000-2999', {
      step: 'b',
      state: 'failed',
      fingerprint: 'B',
      first: 2_000n,
      last: 2_999n,
      coverage: { covered: stored([[2_000n, 2_499n]]) },
    })
    const of = (range: string) => {
      const {
        names,
        open: not,
        unknown,
      } = resetRows({ pipeline: 'p', step: 'b', fingerprint: RESET_FINGERPRINT }, [...blocks, open], range)
      return { names, open: not, unknown }
    }
    expect(of('300..400')).toEqual({ names: ['300-400'], open: [], unknown: [] })
    expect(of('1990..3100')).toEqual({ names: ['1990-1999', '2000-2499'], open: ['2500-2999'], unknown: ['3000-3100'] })
    expect(of('5000..6000')).toEqual({ names: [], open: [], unknown: ['5000-6000'] })
    const key = ledgerRow('0xa', { step: 'b', state: 'failed', fingerprint: 'B' })
    expect(resetRows({ pipeline: 'p', step: 'b', fingerprint: RESET_FINGERPRINT }, [key], undefined)).toMatchObject({
      names: [],
      open: ['0xa'],
    })
  })

  it.each([
    [blocks, '5..', '--range 5.. has an end that is empty'],
    [blocks, 'x', '--range x: this step counts blocks or keys'],
    [blocks, '9..5', '--range 9..5 ends before it begins'],
    [lane, '5..6', '--range 5..6: this step walks through time'],
    [lane, '2026-11-27..2026-11-26', '--range 2026-11-27..2026-11-26 ends before it begins'],
  ])('refuses what is neither: %#', (rows, range, message) => {
    expect(() => reset(rows, range)).toThrow(message)
  })
})

it('a part of a unit that is split keeps nothing of an older row that has its name by chance', () => {
  const step = { pipeline: 'p', step: 'b', fingerprint: RESET_FINGERPRINT }
  const whole = ledgerRow('0-99', { step: 'b', first: 0n, last: 99n, fingerprint: 'B', coverage: { covered: stored([[0n, 99n]]) } })
  const older = ledgerRow('0-49', { step: 'b', first: 0n, last: 49n, fingerprint: 'A', rows: { t: 7 }, lastHash: '0xold' })
  const { put, drop } = resetRows(step, [older, whole], '50..99')
  expect(put.map(({ unit, step: { fingerprint } }) => [unit, fingerprint]).sort()).toEqual([
    ['0-49', 'B'],
    ['50-99', RESET_FINGERPRINT],
  ])
  expect(drop.map(({ unit }) => unit).sort()).toEqual(['0-49', '0-99'])
  const half = { ...whole, state: 'running' as const, coverage: { covered: stored([[0n, 49n]]) } }
  const planned = { axis: numberAxis(100), planned: (unit: string) => unit === '50-99', redoes: false, moves: false, round: 1n }
  const parts = reconcile({ rows: [older, half], fingerprint: 'B' }, { step: { ...step, fingerprint: 'B' }, ...planned })
  expect([parts.put.map(({ unit }) => unit).sort(), parts.drop.map(({ unit }) => unit).sort()]).toEqual([
    ['0-49', '50-99'],
    ['0-49', '0-99'],
  ])
})
