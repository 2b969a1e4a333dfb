import { expect, test } from 'vitest'
import { isDeep, MAX_DEPTH, parseJson, sameJson, TooDeepError } from './json-depth.js'
import { flawOf, parseExact } from './json-numbers.js'

const lists = (levels: number, inside = '') => '['.repeat(levels) + inside + ']'.repeat(levels)

test('a value has 2,500 levels at most, whatever its size', () => {
  const just = JSON.parse(lists(MAX_DEPTH)) as unknown
  const more = JSON.parse(lists(MAX_DEPTH + 1)) as unknown
  expect([isDeep(just), isDeep(more), flawOf(just), flawOf(more)]).toEqual([false, true, undefined, 'deep'])
  expect(parseExact(lists(MAX_DEPTH))).toEqual(just)
  for (const inside of ['', '12345678901234567890', '"x"'])
    expect(() => parseExact(`[12345678901234567890,${lists(MAX_DEPTH + 1, inside)}]`)).toThrow(TooDeepError)
})

test('of a long text the depth is known before it is parsed; brackets in its texts count for nothing', () => {
  const brackets = '[{'.repeat(600_000)
  for (const escaped of ['', '\\"', '\\\\', '\\\\\\"']) {
    const text = JSON.stringify({ a: brackets, b: 1 }).replace('"b"', `"b${escaped}"`)
    expect(parseJson(text)).toEqual(JSON.parse(text))
  }
  expect(() => parseJson(lists(5_000_000))).toThrow(TooDeepError)
  expect(() => parseJson(`${'['.repeat(2_000_000)}"`)).toThrow(TooDeepError)
  expect(() => parseJson(`["${'['.repeat(2_000_000)}`)).toThrow(SyntaxError)
})

test.each<[unknown, unknown, boolean]>([
  [{ a: 1, b: [2, null] }, { b: [2, null], a: 1 }, true],
  [{ a: 1 }, { a: 1, b: undefined }, false],
  [{ a: undefined }, { b: undefined }, false],
  [[1], { 0: 1 }, false],
  [[1, 2], [2, 1], false],
  [null, {}, false],
  [JSON.parse('{"__proto__":1}'), {}, false],
  ['1', 1, false],
])('%j and %j are the same: %s', (a, b, same) => {
  expect([sameJson(a, b), sameJson(b, a)]).toEqual([same, same])
})
