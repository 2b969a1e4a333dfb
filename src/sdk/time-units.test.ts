import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { floorTo, timeUnit, timeUnitStart, touchedStarts } from './time-units.js'

const HOUR = 3_600_000_000n
const DAY = 24n * HOUR

describe('units of time', () => {
  test('have the name of the day or the instant at which they begin', () => {
    const march = 1_709_251_200_000_000n
    expect(timeUnit(march, DAY)).toBe('2024-03-01')
    expect(timeUnit(march + 5n * HOUR, HOUR)).toBe('2024-03-01T05:00:00Z')
    expect(timeUnit(-DAY, DAY)).toBe('1969-12-31')
    expect(timeUnit(0n, 7n * DAY)).toBe('1970-01-01')
  })

  test.each([
    ['all', DAY],
    ['2024-03-01', HOUR],
    ['2024-03-01T05:00:00Z', DAY],
    ['2024-03-01T05:30:00Z', HOUR],
    ['2024-03-01', 7n * DAY],
    ['18000000-18000999', DAY],
  ])('%s is none of that length', (name, everyUs) => expect(timeUnitStart(name, everyUs)).toBeUndefined())

  test('are found by name again, hold their time, and are touched when they look back to it', () => {
    const span = fc.constantFrom(HOUR, 15n * 60_000_000n, DAY, 7n * DAY)
    const time = fc.bigInt({ min: -(10n ** 15n), max: 4n * 10n ** 15n })
    fc.assert(
      fc.property(time, span, fc.bigInt({ min: 0n, max: 3n * DAY }), (us, everyUs, lookbackUs) => {
        const first = floorTo(us, everyUs)
        expect(first <= us && us < first + everyUs).toBe(true)
        expect(timeUnitStart(timeUnit(first, everyUs), everyUs)).toBe(first)
        const touched = touchedStarts({ first, last: floorTo(us + lookbackUs, everyUs) }, everyUs)
        for (let start = first - everyUs; start <= us + lookbackUs + everyUs; start += everyUs)
          expect(touched.includes(start)).toBe(start - lookbackUs <= us && us < start + everyUs)
      }),
      { numRuns: 200 },
    )
  })
})
