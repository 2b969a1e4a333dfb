import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { coercer, formatColumnType, formatDecimal, parseColumnType, typeLabel } from './columns.js'
import type { ColumnType } from './values.js'

function of(text: string): (value: unknown) => unknown {
  const parsed = parseColumnType(text)
  if (!parsed) throw new Error(`no column type: ${text}`)
  return coercer({ name: 'c', ...parsed }, 't')
}

describe('column types', () => {
  test('every kind is read and written back as the same text', () => {
    for (const text of [
      'bool',
      'int',
      'bigint',
      'uint256',
      'int256',
      'float',
      'text',
      'address',
      'hash',
      'bytes',
      'json',
      'timestamp',
      'date',
      'decimal(38)',
      'decimal(38,6)',
      'text?',
      'decimal(1,1)?',
    ]) {
      const parsed = parseColumnType(text)
      expect(parsed && formatColumnType(parsed.type, parsed.nullable)).toBe(text)
    }
  })

  test('spaces and a scale of zero mean the same type', () => {
    expect(parseColumnType(' decimal( 38 , 6 ) ? ')).toEqual({ type: { kind: 'decimal', precision: 38, scale: 6 }, nullable: true })
    expect(parseColumnType('decimal(5,0)')).toEqual(parseColumnType('decimal(5)'))
  })

  test('what no warehouse holds alike is no type', () => {
    for (const text of [
      '',
      'uint',
      'decimal',
      'decimal(39)',
      'decimal(0)',
      'decimal(3,4)',
      'int(3)',
      'Int',
      'text??',
      'constructor',
      '__proto__',
      'decimal(3,-1)',
    ]) {
      expect([text, parseColumnType(text)]).toEqual([text, undefined])
    }
  })

  test('a label says what the type can hold', () => {
    const label = (text: string): string => typeLabel(parseColumnType(text)?.type as ColumnType)
    expect(['int', 'uint256', 'decimal(9,2)', 'address'].map(label)).toEqual([
      'int (-2^31 to 2^31-1)',
      'uint256 (0 to 2^256-1)',
      'decimal(9,2)',
      'address (0x and 40 hex digits)',
    ])
  })
})

describe('integers', () => {
  const edges = [
    0n,
    -1n,
    1n,
    2n ** 31n,
    2n ** 53n + 1n,
    2n ** 63n - 1n,
    2n ** 63n,
    2n ** 64n,
    2n ** 127n,
    2n ** 128n,
    2n ** 255n,
    2n ** 256n - 1n,
    2n ** 256n,
    -(2n ** 31n),
    -(2n ** 31n) - 1n,
    -(2n ** 63n),
    -(2n ** 63n) - 1n,
    -(2n ** 255n),
    -(2n ** 255n) - 1n,
  ]
  const borders: Record<string, [bigint, bigint]> = {
    int: [-(2n ** 31n), 2n ** 31n - 1n],
    bigint: [-(2n ** 63n), 2n ** 63n - 1n],
    uint256: [0n, 2n ** 256n - 1n],
    int256: [-(2n ** 255n), 2n ** 255n - 1n],
  }

  test.each(Object.entries(borders))(
    '%s takes exactly what is between its borders, as bigint, text and quantity',
    (kind, [least, most]) => {
      const coerce = of(kind)
      for (const edge of edges) {
        for (const form of [
          edge,
          String(edge),
          ...(edge < 0n ? [] : [`0x${edge.toString(16)}`, `0x000${edge.toString(16).toUpperCase()}`]),
        ]) {
          if (edge >= least && edge <= most) expect(coerce(form)).toBe(edge)
          else expect(() => coerce(form)).toThrow(`does not fit ${kind} (`)
        }
      }
    },
  )

  test('every bigint comes back as itself', () => {
    const coerce = of('int256')
    fc.assert(
      fc.property(
        fc.bigInt(-(2n ** 255n), 2n ** 255n - 1n),
        (n) => coerce(n) === n && coerce(String(n)) === n && (n < 0n || coerce(`0x${n.toString(16)}`) === n),
      ),
    )
  })

  test('a JSON number is taken only where it is exact', () => {
    const coerce = of('bigint')
    expect([coerce(5), coerce(-0), coerce(Number.MAX_SAFE_INTEGER)]).toEqual([5n, 0n, 9007199254740991n])
    expect(() => coerce(2 ** 53)).toThrow('t.c: 9007199254740992 is a JSON number above 2^53, so it may be rounded already')
    for (const bad of [1.5, NaN, Infinity]) expect(() => coerce(bad)).toThrow('is no whole number')
  })

  test('what is no integer is refused with its value', () => {
    const coerce = of('uint256')
    expect(() => coerce('0x')).toThrow('t.c: "0x" is an empty quantity, not zero')
    for (const bad of ['', ' 1', '1 ', '1e3', '1.0', '+1', '-0x1', '0X1', '0xg', 'abc', true, {}, [1], '1n', '0b1', '1_000', '٣']) {
      expect(() => coerce(bad), String(bad)).toThrow('is no whole number')
    }
    expect(() => coerce('9'.repeat(1_000_000))).toThrow('is no whole number')
  })
})

describe('decimals', () => {
  test('text keeps every digit and gets all fraction digits', () => {
    const coerce = of('decimal(38,6)')
    expect(['12.345', '-0.5', '0', '-0.0', '007', '99999999999999999999999999999999.999999', '1.5000000000'].map(coerce)).toEqual([
      '12.345000',
      '-0.500000',
      '0.000000',
      '0.000000',
      '7.000000',
      '99999999999999999999999999999999.999999',
      '1.500000',
    ])
    expect([coerce(5n), coerce(-7), coerce('0x10')]).toEqual(['5.000000', '-7.000000', '16.000000'])
  })

  test('a value that would be cut or rounded is refused', () => {
    const coerce = of('decimal(5,2)')
    expect(() => coerce('1.234')).toThrow('t.c: "1.234" has more than 2 fraction digits')
    expect(() => coerce('1000.00')).toThrow('t.c: "1000.00" does not fit decimal(5,2)')
    expect(() => coerce(1000n)).toThrow('does not fit decimal(5,2)')
    expect(() => coerce(0.5)).toThrow('is a JSON number with a fraction, so it may be rounded already')
    for (const bad of ['1.', '.5', '1e2', '1,5', '', '--1', 'NaN']) expect(() => coerce(bad), bad).toThrow('is no decimal number')
    expect(of('decimal(2,2)')('0.99')).toBe('0.99')
    expect(() => of('decimal(2,2)')('1.00')).toThrow('does not fit')
  })

  test('the canonical form of any decimal is a fixed point', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 38 }),
        fc.nat(38),
        fc.bigInt(-(10n ** 38n) + 1n, 10n ** 38n - 1n),
        (precision, scale, digits) => {
          const cut = Math.min(scale, precision)
          const text = formatDecimal(digits % 10n ** BigInt(precision), cut)
          return of(`decimal(${precision},${cut})`)(text) === text
        },
      ),
    )
  })
})

describe('texts and hex', () => {
  test('hex is lower case and of its length', () => {
    const address = '0xABCDEFabcdef0123456789ABCDEFabcdef012345'
    expect(of('address')(address)).toBe(address.toLowerCase())
    expect(of('hash')('0xAB')).toBe('0xab')
    expect(of('bytes')('0x')).toBe('0x')
    expect(() => of('address')(`${address}00`)).toThrow('is no address (0x and 40 hex digits)')
    expect(() => of('hash')('0x')).toThrow('is no hash')
    expect(() => of('hash')('0xabc')).toThrow('is no hash')
    expect(() => of('bytes')('abcd')).toThrow('is no bytes')
    expect(() => of('address')(0x1f98431c8ad98)).toThrow('is no address')
  })

  test('NUL and half a character, which not every warehouse stores, become U+FFFD and are counted; everything else is kept', () => {
    let replaced = 0
    const counted = (kind: 'text' | 'json') => coercer({ name: 'c', type: { kind }, nullable: false }, 't', () => replaced++)
    expect(counted('text')('token 🦄 \u0001 \u202e')).toBe('token 🦄 \u0001 \u202e')
    expect(replaced).toBe(0)
    expect(counted('text')('a\ud800b\0\0')).toBe('a\ufffdb\ufffd\ufffd')
    expect(counted('json')({ 'na\0me': ['\udfff', 'fine'] })).toEqual({ 'na\ufffdme': ['\ufffd', 'fine'] })
    expect(replaced).toBe(3)
    expect(() => of('json')({ '\0': 1, '\ud800': 2 })).toThrow('has two names that become one')
    expect(of('text')('\udfff\ud800')).toBe('\ufffd\ufffd')
    expect([of('text')(5n), of('text')(5), of('text')(true)]).toEqual(['5', '5', 'true'])
    expect(() => of('text')({ a: 1 })).toThrow('t.c: {"a":1} is no text')
    expect(() => of('text')(2 ** 60)).toThrow('is no text')
  })

  test('a long value is cut in the message', () => {
    expect(() => of('int')('x'.repeat(500))).toThrow(`t.c: "${'x'.repeat(78)}… is no whole number`)
  })

  test('json stays the same object, and bigints in it become text', () => {
    const plain = { a: [1, null, 'x', { b: true }] }
    expect(of('json')(plain)).toBe(plain)
    expect(of('json')({ a: [2n ** 64n], b: undefined, c: [undefined] })).toEqual({ a: ['18446744073709551616'], c: [null] })
    expect(() => of('json')({ a: NaN })).toThrow('is no JSON number')
    for (const [lost, name] of [
      [new Map([[1, 2]]), 'Map'],
      [new Set([1]), 'Set'],
      [new Date(0), 'Date'],
      [Buffer.from('a'), 'Buffer'],
      [new Uint8Array(2), 'Uint8Array'],
    ] as const)
      expect(() => of('json')({ a: [lost] })).toThrow(`is a ${name}, and no plain data`)
    expect(of('json')({ a: Object.create(null) as object })).toEqual({ a: {} })
    const proto = of('json')(JSON.parse('{"__proto__": {"a": 1}}')) as object
    expect(JSON.stringify(proto)).toBe('{"__proto__":{"a":1}}')
  })
})

describe('times', () => {
  test('timestamps are exact microseconds UTC', () => {
    const coerce = of('timestamp')
    const cases: [unknown, bigint][] = [
      [1n, 1n],
      ['0x65e11f80', 1709252480000000n],
      ['2024-03-01', 1709251200000000n],
      ['2024-03-01T00:00:00Z', 1709251200000000n],
      ['2024-03-01 02:00:00.123456+02:00', 1709251200123456n],
      ['2024-03-01T00:00:00.1', 1709251200100000n],
      ['2024-02-29T23:30-0030', 1709251200000000n],
      ['1969-12-31T23:59:59.999999Z', -1n],
      ['2262-04-11T23:47:16.854775807Z'.slice(0, 26) + 'Z', 9223372036854775n],
    ]
    for (const [given, wanted] of cases) expect([given, coerce(given)]).toEqual([given, wanted])
  })

  test('what no calendar has is refused, and what is below a microsecond is cut off', () => {
    const coerce = of('timestamp')
    expect(() => coerce(1709251200)).toThrow('is a bare number, which may be seconds or milliseconds')
    for (const bad of [
      '2023-02-29',
      '2024-13-01',
      '2024-03-01T24:00:00Z',
      '2024-03-01T00:60',
      '2024-03-01T00:00:60Z',
      '1709251200',
      '',
      'now',
      '24-03-01',
    ]) {
      expect(() => coerce(bad), bad).toThrow('is no timestamp')
    }
    for (const digits of ['1234567', '12345678', '123456999']) expect(coerce(`2024-03-01T00:00:00.${digits}Z`)).toBe(1709251200123456n)
    expect(() => coerce(2n ** 63n)).toThrow('is outside the years')
    expect(() => coerce('0xffffffffffff')).toThrow('is outside the years')
  })

  test('a date is a real day', () => {
    expect(of('date')('2024-02-29')).toBe('2024-02-29')
    for (const bad of ['2023-02-29', '2024-2-1', '2024-03-01T00:00:00Z', 20240301, '1900-02-29', '0000-01-01'])
      expect(() => of('date')(bad)).toThrow('is no day of the form YYYY-MM-DD')
  })
})

describe('null, bool, float', () => {
  test('null is taken only where the type says so', () => {
    expect([of('int?')(null), of('int?')(undefined)]).toEqual([null, null])
    expect(() => of('int')(null)).toThrow('t.c: is null, and the column is required (write int? to allow that)')
    expect(() => of('int')(undefined)).toThrow('t.c: is missing')
  })

  test('bools and floats are what sources send', () => {
    expect([true, '0x1', 0, 'false'].map(of('bool'))).toEqual([true, true, false, false])
    expect(() => of('bool')('yes')).toThrow('t.c: "yes" is no bool')
    expect(['1.5', '1e-7', 5n, -0.25, '0x10'].map(of('float'))).toEqual([1.5, 1e-7, 5, -0.25, 16])
    for (const bad of [NaN, 'NaN', '', '1e400', 'Infinity', [], ' 1']) expect(() => of('float')(bad)).toThrow('is no')
  })
})
