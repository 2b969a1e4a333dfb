import { describe, expect, it } from 'vitest'
import { ledgerRow } from '../../test/support/ledger-row.js'
import { nameOf } from '../ledger/axis.js'
import { stored } from '../ledger/standing.js'
import { type LedgerRow, parseInstant, timeAxis, type UnitState } from '../sdk/index.js'
import { pieces, stretchUnits, timeCoverage } from './stretch-units.js'

const at = (text: string) => parseInstant(text) ?? 0n
const [FROM, NOW] = [at('2024-03-01'), at('2024-03-11')]
const DAY = 86_400_000_000n

function row(from: string, to: string, state: UnitState = 'done', change: Partial<LedgerRow> = {}): LedgerRow {
  return ledgerRow(nameOf(timeAxis(), [at(from), at(to)]), { state, ...change })
}

const plan = (rows: readonly LedgerRow[], more: { readonly windowUs?: bigint; readonly seeks?: boolean; readonly round?: bigint } = {}) => {
  const wanted = {
    kind: 'stretches',
    axis: timeAxis(more.windowUs),
    domain: [FROM, NOW],
    due: 'uncovered',
    order: 'newest-first',
    seeks: more.seeks ?? false,
  } as const
  const ledger = { rows, fingerprint: 'now' }
  const { units, done } = stretchUnits(wanted, ledger, { step: 's', limit: undefined, now: more.round ?? NOW })
  return {
    units: units.map(({ key, reason, resumeFrom, againDays }) => ({ key, reason, resumeFrom, againDays })),
    time: timeCoverage(wanted, ledger, more.round ?? NOW),
    done: pieces(done, DAY),
  }
}

describe('lanes', () => {
  it('are what is not covered: from now down, every hole, and down to the target, newest first', () => {
    const { units, time } = plan([row('2024-03-04', '2024-03-05'), row('2024-03-07', '2024-03-09')], { seeks: true })
    expect(units.map(({ key, reason }) => [key, reason])).toEqual([
      ['2024-03-09T00:00:00.000001Z..2024-03-11T00:00:00Z', 'recent'],
      ['2024-03-05T00:00:00.000001Z..2024-03-06T23:59:59.999999Z', 'hole'],
      ['2024-03-01T00:00:00Z..2024-03-03T23:59:59.999999Z', 'history'],
    ])
    expect(time).toEqual({
      oldest: Date.UTC(2024, 2, 4),
      newest: Date.UTC(2024, 2, 9),
      coveredDays: expect.closeTo(3, 6),
      targetDays: expect.closeTo(10, 6),
    })
  })

  it('of a list that can be entered at its head only begin at the nearest cursor above, and say how much that reads again', () => {
    const place = (name: string) => ({ cursor: { place: name } })
    const rows = [
      row('2024-03-07', '2024-03-09', 'done', place('high')),
      row('2024-03-04', '2024-03-05', 'done', place('low')),
      // One that was killed: what it covered has a cursor, what is above it has none.
      row('2024-03-02T12:00:00Z', '2024-03-03T12:00:00Z', 'running', {
        coverage: { covered: stored([[at('2024-03-03'), at('2024-03-03T06:00:00Z')]]) },
        cursor: { place: 'killed' },
      }),
    ]
    expect(plan(rows).units.map(({ key, resumeFrom, againDays }) => [key.slice(0, 10), resumeFrom, againDays])).toEqual([
      ['2024-03-09', undefined, undefined],
      ['2024-03-05', { place: 'high' }, undefined],
      ['2024-03-03', { place: 'low' }, undefined],
      ['2024-03-01', { place: 'killed' }, undefined],
    ])
    const [, hole] = plan([row('2024-03-07', '2024-03-09'), row('2024-03-04', '2024-03-05')]).units
    expect([hole?.resumeFrom, hole?.againDays]).toEqual([undefined, expect.closeTo(4, 6)])
  })

  it('what was tentative is done in its own round, and wanted again in the next', () => {
    const tentative = { covered: [], tentative: String(NOW) }
    const rows = [row('2024-03-01', '2024-03-10'), row('2024-03-10T00:00:00.000001Z', '2024-03-11', 'done', { coverage: tentative })]
    expect(plan(rows).units).toEqual([])
    expect(plan(rows, { round: NOW + 1n }).units.map(({ key, reason }) => [key, reason])).toEqual([
      ['2024-03-10T00:00:00.000001Z..2024-03-11T00:00:00Z', 'recent'],
    ])
  })

  it('windows are cut at aligned borders', () => {
    const keys = plan([row('2024-03-01', '2024-03-08T11:59:59.999999Z')], { windowUs: DAY }).units.map(({ key }) => key)
    expect(keys).toEqual([
      '2024-03-11T00:00:00Z..2024-03-11T00:00:00Z',
      '2024-03-10T00:00:00Z..2024-03-10T23:59:59.999999Z',
      '2024-03-09T00:00:00Z..2024-03-09T23:59:59.999999Z',
      '2024-03-08T12:00:00Z..2024-03-08T23:59:59.999999Z',
    ])
  })
})
