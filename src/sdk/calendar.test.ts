import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FIRST_INSTANT, LAST_INSTANT, formatDay, formatInstant, parseDay, parseInstant } from './calendar.js'

test('days and instants agree with the calendar of the runtime', () => {
  fc.assert(
    fc.property(
      fc.date({ noInvalidDate: true, min: new Date('0000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59.999Z') }),
      (date) => {
        const iso = date.toISOString()
        expect(parseInstant(iso)).toBe(BigInt(date.getTime()) * 1000n)
        expect(parseInstant(formatInstant(BigInt(date.getTime()) * 1000n))).toBe(BigInt(date.getTime()) * 1000n)
        expect(formatDay(parseDay(iso.slice(0, 10)) ?? NaN)).toBe(iso.slice(0, 10))
      },
    ),
  )
})

test('the borders are the first day of 4713 BC and the last microsecond of 294246', () => {
  expect(formatInstant(FIRST_INSTANT)).toBe('-004712-01-01T00:00:00Z')
  expect(formatInstant(LAST_INSTANT)).toBe('+294246-12-31T23:59:59.999999Z')
  expect(parseInstant(formatInstant(LAST_INSTANT))).toBe(LAST_INSTANT)
})
