import { expect, test } from 'vitest'
import { dayAxis, type Interval, type LedgerRow, numberAxis, parseInstant, type Wanted } from '../sdk/index.js'
import { nameOf } from '../ledger/axis.js'
import { numberedUnits, wholeUnits } from './whole-units.js'

const at = (text: string) => parseInstant(text) ?? 0n
const wanted = (axis: typeof dayAxis): Wanted => ({ kind: 'stretches', axis, domain: [0n, 1n], due: 'uncovered', order: 'oldest-first' })
const row = (axis: typeof dayAxis, [first, last]: Interval, numbers?: readonly [string, string]): LedgerRow =>
  ({ unit: nameOf(axis, [first, last]), first, last, coverage: { covered: [], numbers } }) as unknown as LedgerRow

const days = wanted(dayAxis)
const morning: Interval = [at('2024-03-01'), at('2024-03-01T11:59:59.999999Z')]
const evening: Interval = [at('2024-03-01T12:00:00Z'), at('2024-03-02') - 1n]
const next: Interval = [at('2024-03-02'), at('2024-03-03') - 1n]

test('the parts of a day are one unit, whole when they add up to it; a day by itself is one, too', () => {
  const rows = [next, evening, morning].map((stretch) => row(dayAxis, stretch))
  expect(wholeUnits(days, rows).map(({ name, rows: parts, stretch, whole }) => [name, parts.length, stretch, whole])).toEqual([
    ['2024-03-01', 2, [morning[0], evening[1]], true],
    ['2024-03-02', 1, next, true],
  ])
  expect(wholeUnits(days, [row(dayAxis, morning)]).map(({ name, whole }) => [name, whole])).toEqual([
    ['2024-03-01T00:00:00Z..2024-03-01T11:59:59.999999Z', false],
  ])
  const blocks = numberAxis(1000)
  expect(wholeUnits(wanted(blocks), [row(blocks, [0n, 499n]), row(blocks, [500n, 999n])]).map(({ name }) => name)).toEqual([
    '0-499',
    '500-999',
  ])
})

test('a day holds the numbers of all its parts, and one whose parts say none is left out', () => {
  const rows = [row(dayAxis, morning, ['100', '199']), row(dayAxis, evening, ['150', '199']), row(dayAxis, next)]
  expect(numberedUnits(days, rows).map(({ name, stretch }) => [name, stretch])).toEqual([['2024-03-01', [100n, 199n]]])
})
