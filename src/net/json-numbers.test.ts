import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseExact } from './json-numbers.js'

test('integers above 2^53 come out digit for digit, whatever stands around them', () => {
  expect(parseExact('{"a":9007199254740993,"b":[-340282366920938463463374607431768211455],"c":"9007199254740993","d":1.5}')).toEqual({
    a: '9007199254740993',
    b: ['-340282366920938463463374607431768211455'],
    c: '9007199254740993',
    d: 1.5,
  })
})

test('fractions, exponents and digits inside texts are left alone', () => {
  const text = '{"x":0.12345678901234567890,"y":1e300,"z":"a \\"12345678901234567890\\" b","w":12345678901234567890,"v":"\\\\"}'
  expect(parseExact(text)).toEqual({
    x: 0.12345678901234568,
    y: 1e300,
    z: 'a "12345678901234567890" b',
    w: '12345678901234567890',
    v: '\\',
  })
})

test('any JSON is what JSON.parse gives, but for integers that it rounds', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 256n }), (value, big) => {
      const text = `{"value":${JSON.stringify(value)},"big":${big}}`
      const parsed = parseExact(text) as { value: unknown; big: unknown }
      expect(parsed.big).toBe(String(big))
      expect(plain(parsed.value)).toBe(plain(JSON.parse(JSON.stringify(value))))
    }),
  )
})

/** JSON text without what is a large integer, be it a number or text. */
const plain = (value: unknown) =>
  JSON.stringify(value, (_, item: unknown) =>
    (typeof item === 'number' && Math.abs(item) >= 2 ** 53) || (typeof item === 'string' && /^-?\d{16,}$/.test(item)) ? '' : item,
  )
