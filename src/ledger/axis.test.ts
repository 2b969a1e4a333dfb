import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ledgerRow } from '../../test/support/ledger-row.js'
import { type Axis, dayAxis, intervalAxis, numberAxis, parseInstant, timeAxis } from '../sdk/index.js'
import { nameOf, rowStretch, stretchOf } from './axis.js'
import { cutAligned, type Interval } from './intervals.js'

const axes: readonly Axis[] = [numberAxis(1000), dayAxis, intervalAxis(3_600_000_000n), timeAxis(), timeAxis(3_600_000_000n)]

describe('the name of a stretch', () => {
  it('says the stretch, on every axis, for whole units and for parts', () => {
    fc.assert(
      fc.property(fc.constantFrom(...axes), fc.bigInt(-(10n ** 15n), 10n ** 15n), fc.bigInt(0n, 10n ** 12n), (axis, from, length) => {
        const stretches: Interval[] = [[from, from + length]]
        if (axis.cut !== undefined) stretches.push(...[...cutAligned([from, from + 3n * axis.cut], axis.cut)])
        for (const stretch of stretches) expect(stretchOf(axis, nameOf(axis, stretch))).toEqual(stretch)
      }),
    )
  })

  it('is the day of a whole day, and both ends of a part', () => {
    const day = parseInstant('2024-03-01') ?? 0n
    expect(nameOf(dayAxis, [day, day + 86_400_000_000n - 1n])).toBe('2024-03-01')
    expect(nameOf(dayAxis, [day, day + 5n])).toBe('2024-03-01T00:00:00Z..2024-03-01T00:00:00.000005Z')
    expect(nameOf(numberAxis(1000), [18_000_500n, 18_000_999n])).toBe('18000500-18000999')
  })

  it('is no stretch of another kind of axis', () => {
    expect(stretchOf(dayAxis, '101-901')).toBeUndefined()
    expect(stretchOf(numberAxis(10), '2024-03-01')).toBeUndefined()
    expect(stretchOf(numberAxis(10), 'all')).toBeUndefined()
    expect(stretchOf(timeAxis(), 'a..b')).toBeUndefined()
  })
})

describe('the stretch of a ledger row', () => {
  it('is what its columns say, and what its name says where an earlier version wrote none', () => {
    expect(rowStretch(numberAxis(10), ledgerRow('0-9', { first: 0n, last: 9n }))).toEqual([0n, 9n])
    expect(rowStretch(numberAxis(10), ledgerRow('0-9'))).toEqual([0n, 9n])
  })

  it('is none for a row of another kind of axis', () => {
    expect(rowStretch(dayAxis, ledgerRow('0-9', { first: 0n, last: 9n }))).toBeUndefined()
    expect(rowStretch(numberAxis(10), ledgerRow('2024-03-01', { first: 5n, last: 9n }))).toBeUndefined()
  })
})
