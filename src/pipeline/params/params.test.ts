import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Json } from '../../sdk/index.js'
import { parseParam, resolveParams, staticParams, unknownParams } from './params.js'
import type { ParamDefinition, ParamType } from '../pipeline.js'

const place = { file: 'p.yaml', line: 3, column: 5 }

function param(name: string, type: ParamType, more: Partial<ParamDefinition> = {}): ParamDefinition {
  return {
    name,
    type,
    list: false,
    default: undefined,
    demo: undefined,
    oneOf: undefined,
    min: undefined,
    max: undefined,
    description: undefined,
    place,
    ...more,
  }
}

function defs(...list: ParamDefinition[]): ReadonlyMap<string, ParamDefinition> {
  return new Map(list.map((definition) => [definition.name, definition]))
}

/** A moment that counts what it is asked. 2024-03-01 is its day, 1,000 its head. */
function moment(covered?: bigint) {
  const asked: string[] = []
  const answer = <T>(name: string, value: T) => {
    asked.push(name)
    return Promise.resolve(value)
  }
  return {
    asked,
    now: 1_709_251_200_000_000n + 3_600_000_000n,
    head: () => answer('head', 1000n),
    safe: () => answer('safe', 936n),
    covered: () => answer('covered', covered),
  }
}

describe('the text of a param', () => {
  test.each<[ParamType, Json, Json]>([
    ['int', '42', 42],
    ['int', '+7', 7],
    ['int', -3, -3],
    ['int', '010', 10],
    ['int', '9223372036854775807', '9223372036854775807'],
    ['int', '-9223372036854775808', '-9223372036854775808'],
    ['float', '1.5e3', 1500],
    ['float', '.5', 0.5],
    ['float', 2, 2],
    ['text', ' as it is ', ' as it is '],
    ['text', '', ''],
    ['bool', 'true', true],
    ['bool', false, false],
    ['date', '2024-02-29', '2024-02-29'],
    ['date', 'yesterday', 'yesterday'],
    ['timestamp', '2024-03-01', '2024-03-01T00:00:00Z'],
    ['timestamp', '2024-03-01T02:00:00+02:00', '2024-03-01T00:00:00Z'],
    ['timestamp', 'now', 'now'],
    ['address', '0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174', '0x2791bca1f2de4661ed88a30c99a7a9449aa84174'],
    ['block', '18000000', 18_000_000],
    ['block', 0, 0],
    ['block', 'head', 'head'],
    ['block', 'head - 10', 'head-10'],
    ['block', 'safe', 'safe'],
    ['block', 'covered', 'covered'],
    ['block', 'to-999', 'to-999'],
    ['block', '$to', '$to'],
  ])('%s takes %j as %j', (type, given, value) => {
    expect(parseParam(param('p', type), given)).toEqual({ value })
  })

  test.each<[ParamType, Json, RegExp]>([
    ['int', '1.5', /whole number \(is "1.5"\)/],
    ['int', '1e3', /whole number/],
    ['int', '', /whole number/],
    ['int', '9223372036854775808', /64 bits/],
    ['int', 1e21, /held exactly \(quote it\)/],
    ['int', 1.5, /held exactly/],
    ['float', 'NaN', /a number/],
    ['float', '1e999', /a number/],
    ['text', 3, /quote it \(is 3\)/],
    ['bool', 'yes', /true or false/],
    ['date', '2023-02-29', /day that exists/],
    ['date', '2024-3-1', /day that exists/],
    ['timestamp', 'soon', /instant/],
    ['address', '0x12', /40 hex digits/],
    ['address', 1.8037e47, /quote/],
    ['block', 'latest', /head/],
    ['block', 'finalized', /write safe/],
    ['block', '-5', /negative/],
    ['block', '0x10', /decimal/],
    ['block', 'head+1', /after the head/],
    ['block', 'safe-1', /takes no -1/],
    ['block', '99999999999999999999', /at most 9007199254740991/],
    ['block', 'head-', /must be a block/],
    ['block', 'a b', /must be a block/],
    ['block', '1.5', /must be a block/],
    ['block', null, /must be a block/],
    ['int', [1], /whole number/],
  ])('%s refuses %j', (type, given, problem) => {
    expect(parseParam(param('p', type), given)).toEqual({ problem: expect.stringMatching(problem) })
  })

  test('a list is separated by commas, or written as one', () => {
    const list = param('chain', 'text', { list: true, oneOf: ['ethereum', 'base'] })
    expect(parseParam(list, 'ethereum, base')).toEqual({ value: ['ethereum', 'base'] })
    expect(parseParam(list, ['base'])).toEqual({ value: ['base'] })
    expect(parseParam(list, '')).toEqual({ problem: 'is an empty list' })
    expect(parseParam(list, [])).toEqual({ problem: 'is an empty list' })
    expect(parseParam(list, 'base,,ethereum')).toEqual({ problem: '"base,,ethereum" has an empty element' })
    expect(parseParam(list, 'base,etherum')).toEqual({ problem: 'must be one of ethereum, base (is "etherum", did you mean "ethereum"?)' })
    expect(parseParam(param('n', 'block', { list: true }), '1,head')).toEqual({ problem: 'must be block numbers (has "head")' })
  })

  test('one_of, min and max are checked by value', () => {
    expect(parseParam(param('n', 'int', { oneOf: ['1', 2] }), '1')).toEqual({ value: 1 })
    expect(parseParam(param('n', 'int', { min: 1 }), '0')).toEqual({ problem: 'must be at least 1 (is 0)' })
    expect(parseParam(param('n', 'int', { max: 9 }), '9223372036854775807')).toEqual({
      problem: 'must be at most 9 (is 9223372036854775807)',
    })
    expect(parseParam(param('n', 'float', { min: 0.5 }), '0.4')).toEqual({ problem: 'must be at least 0.5 (is 0.4)' })
    expect(parseParam(param('n', 'block', { max: 10 }), '11')).toEqual({ problem: 'must be at most 10 (is 11)' })
  })
})

describe('resolved params', () => {
  test('each has the type of its column', async () => {
    const definitions = defs(
      param('n', 'int', { default: 3 }),
      param('big', 'int', { default: '9223372036854775807' }),
      param('day', 'date', { default: 'yesterday' }),
      param('today', 'date', { default: 'today' }),
      param('at', 'timestamp', { default: '2024-03-01T00:00:00.5Z' }),
      param('then', 'timestamp', { default: 'now' }),
      param('x', 'float', { default: '1' }),
      param('on', 'bool', { default: true }),
      param('who', 'address', { default: '0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174' }),
      param('days', 'date', { list: true, default: ['today', '2024-01-01'] }),
    )
    const { scope, problems } = await resolveParams(definitions, {}, moment())
    expect(problems).toEqual([])
    expect(Object.fromEntries(scope)).toEqual({
      n: { type: { kind: 'bigint' }, value: 3n },
      big: { type: { kind: 'bigint' }, value: 9_223_372_036_854_775_807n },
      day: { type: { kind: 'date' }, value: '2024-02-29' },
      today: { type: { kind: 'date' }, value: '2024-03-01' },
      at: { type: { kind: 'timestamp' }, value: 1_709_251_200_500_000n },
      then: { type: { kind: 'timestamp' }, value: 1_709_254_800_000_000n },
      x: { type: { kind: 'float' }, value: 1 },
      on: { type: { kind: 'bool' }, value: true },
      who: { type: { kind: 'address' }, value: '0x2791bca1f2de4661ed88a30c99a7a9449aa84174' },
      days: { type: { kind: 'json' }, value: ['2024-03-01', '2024-01-01'] },
    })
  })

  test('blocks follow each other, and the head is asked once', async () => {
    const now = moment()
    const definitions = defs(
      param('from', 'block', { default: 'to-99' }),
      param('to', 'block', { default: 'head-10' }),
      param('tip', 'block', { default: 'head' }),
    )
    const { scope } = await resolveParams(definitions, {}, now)
    expect([...scope].map(([name, { value }]) => [name, value])).toEqual([
      ['from', 891n],
      ['to', 990n],
      ['tip', 1000n],
    ])
    expect(now.asked).toEqual(['head'])
  })

  test('the head is not asked when nothing needs it', async () => {
    const now = moment()
    const definitions = defs(param('from', 'block', { default: 'to-999' }), param('to', 'block', { default: 'head' }))
    const { scope } = await resolveParams(definitions, { to: '500' }, now)
    expect([scope.get('from')?.value, scope.get('to')?.value, now.asked]).toEqual([0n, 500n, []])
  })

  test('covered is what the moment says, but never above what a range up to the head asks for, or its newest block when nothing is covered', async () => {
    const definitions = defs(param('from', 'block', { default: 'covered' }), param('to', 'block', { default: 'safe' }))
    const values = async (covered: bigint | undefined) =>
      [...(await resolveParams(definitions, {}, moment(covered))).scope.values()].map(({ value }) => value)
    expect(await values(100n)).toEqual([100n, 936n])
    expect(await values(937n)).toEqual([937n, 936n])
    // A head that lags asks for nothing; the range is not reversed.
    expect(await values(990n)).toEqual([937n, 936n])
    expect(await values(undefined)).toEqual([936n, 936n])
    const alone = await resolveParams(defs(param('from', 'block', { default: 'covered' })), {}, moment(undefined))
    expect(alone.scope.get('from')?.value).toBe(1000n)
  })

  test('a given value stands before the default, and its mistake is named as given', async () => {
    const definitions = defs(param('from', 'block', { default: 'nothing' }), param('to', 'block', { default: 1 }))
    expect(await resolveParams(definitions, { from: '3' }, moment())).toMatchObject({ problems: [] })
    expect((await resolveParams(definitions, { from: 'latest' }, moment())).problems).toEqual([
      '--param from latest moves while it is read: write head (or head-10) for the head at the start of the run',
    ])
  })

  test('min and max hold for a block that moves', async () => {
    const definitions = defs(param('from', 'block', { default: 'head-990', min: 100 }))
    expect(await resolveParams(definitions, {}, moment())).toEqual({
      scope: new Map(),
      problems: ['params.from must be at least 100 (is 10)'],
    })
  })

  test('what a head that can not be had throws comes out', async () => {
    const failing = { ...moment(), head: () => Promise.reject(new Error('no endpoint')) }
    await expect(resolveParams(defs(param('to', 'block', { default: 'head' })), {}, failing)).rejects.toThrow('no endpoint')
  })

  test('sums of references and offsets are exact and never below zero', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 10_000 }),
        fc.array(fc.integer({ min: -3000, max: 3000 }), { maxLength: 6 }),
        async (start, offsets) => {
          const signed = (offset: number) => (offset < 0 ? `${offset}` : `+${offset}`)
          const chain = offsets.map((offset, i) => param(`p${i + 1}`, 'block', { default: `p${i}${signed(offset)}` }))
          // Written last, so that every reference points forward.
          const { scope } = await resolveParams(defs(...chain.reverse(), param('p0', 'block', { default: start })), {}, moment())
          let expected = BigInt(start)
          offsets.forEach((offset, i) => {
            expected = expected + BigInt(offset) < 0n ? 0n : expected + BigInt(offset)
            expect(scope.get(`p${i + 1}`)?.value).toBe(expected)
          })
        },
      ),
    )
  })
})

describe('params without a clock or a chain', () => {
  test('what does not move is known', () => {
    const definitions = defs(
      param('from', 'block', { default: 5 }),
      param('to', 'block', { default: 'head' }),
      param('last', 'block', { default: 'to-1' }),
      param('day', 'date', { default: 'today' }),
      param('first', 'date', { default: '2024-03-01' }),
    )
    const { scope, problems } = staticParams(definitions, {})
    expect([[...scope.keys()], problems]).toEqual([['from', 'first'], []])
  })

  test('every mistake is a problem at the place of its param', () => {
    const definitions = defs(
      param('a', 'block', { default: 'b-1' }),
      param('b', 'block', { default: 'c' }),
      param('c', 'block', { default: 'a+1' }),
      param('d', 'block', { default: 'a' }),
      param('e', 'block', { default: 'dd-1' }),
      param('f', 'block', { default: 'n' }),
      param('g', 'block', { default: 'g' }),
      param('n', 'int', { default: 'x' }),
      param('none', 'text'),
    )
    const { scope, problems } = staticParams(definitions, {})
    expect(scope.size).toBe(0)
    expect(problems.map(({ path, message, hint }) => [path, message, hint])).toEqual([
      ['params.n', 'must be a whole number (is "x")', undefined],
      ['params.none', 'has no value', 'give it: --param none=…'],
      ['params.e', '"dd-1" refers to dd, which nothing defines', 'did you mean "d"?'],
      ['params.f', '"n" refers to n, which is no block param', undefined],
      ['params.a', 'depends on itself: a -> b -> c -> a', undefined],
      ['params.g', 'depends on itself: g -> g', undefined],
    ])
    expect(problems[0]).toMatchObject({ ...place, severity: 'error' })
  })
})

test('a given param that the pipeline does not have is named with what was meant', () => {
  const definitions = defs(param('from', 'block'), param('to', 'block'))
  expect(unknownParams(definitions, { from: '1', form: '2', zzzzzz: '3' })).toEqual([
    '--param form: the pipeline has no such param (did you mean "from"?)',
    '--param zzzzzz: the pipeline has no such param (it has from, to)',
  ])
  expect(unknownParams(defs(), { constructor: '1' })).toEqual(['--param constructor: the pipeline has no such param (it has no params)'])
})
