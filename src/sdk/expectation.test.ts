import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { meets, parseExpectation } from './expectation.js'

const holds = (value: string, expectation: number | string) => {
  const parsed = parseExpectation(expectation)
  return parsed && meets(value, parsed)
}

describe('an expectation', () => {
  it('compares exactly, also far beyond what a float holds', () => {
    const big = 2n ** 256n - 1n
    expect(holds(String(big), `= ${big}`)).toBe(true)
    expect(holds(String(big), `= ${big - 1n}`)).toBe(false)
    expect(holds('9007199254740993', '> 9007199254740992')).toBe(true)
    expect(holds('0.1', '= 0.10')).toBe(true)
    expect(holds('1e-7', '< 0.000001')).toBe(true)
    expect(holds('99.99999999999999999999', '>= 100 %')).toBe(false)
    expect(holds('99.99999999999999999999', 'between 99.5% and 100 %')).toBe(true)
    expect(holds('1.5e+21', '= 1500000000000000000000')).toBe(true)
  })

  it('agrees with the order of integers for every sign', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 255n), max: 2n ** 255n }), fc.bigInt({ min: -(2n ** 255n), max: 2n ** 255n }), (a, b) => {
        expect([
          holds(`${a}`, `< ${b}`),
          holds(`${a}`, `<= ${b}`),
          holds(`${a}`, `= ${b}`),
          holds(`${a}`, `!= ${b}`),
          holds(`${a}`, `>= ${b}`),
          holds(`${a}`, `> ${b}`),
        ]).toEqual([a < b, a <= b, a === b, a !== b, a >= b, a > b])
        expect(holds(`${a}`, `between ${b} and ${b}`)).toBe(a === b)
      }),
    )
  })

  it('is refused when it is none', () => {
    for (const text of ['', 'about 5', '=> 5', '> ', '1 < 2', 'between 1', 'between 5 and 1', '%', '5 % %', '>= NaN'])
      expect(parseExpectation(text)).toBeUndefined()
  })

  it('is met by no text that is not a number', () => {
    for (const text of ['', 'NaN', 'Infinity', 'yes', '0x10']) expect(holds(text, '>= 0')).toBeUndefined()
  })
})
