import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isList, only, PackedList } from './packed-list.js'

const packed = <T>(elements: readonly T[]): PackedList<T> => {
  const list = new PackedList<T>()
  for (const element of elements) list.push(element)
  return list
}

test('a packed list has the elements that were added, in their order, whatever they are', () => {
  const element = fc.oneof(
    fc.jsonValue(),
    fc.bigInt(),
    fc.record(
      { a: fc.string({ unit: 'binary' }), b: fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }), c: fc.jsonValue() },
      { requiredKeys: [] },
    ),
  )
  fc.assert(
    fc.property(fc.array(element, { maxLength: 40 }), fc.integer({ min: 1, max: 80 }), (some, times) => {
      const all = Array.from({ length: times }, () => some).flat()
      const list = packed(all)
      expect([...list]).toStrictEqual(all)
      expect(all.map((_, i) => list.at(i))).toStrictEqual(all)
      expect([list.length, list.at(all.length)]).toStrictEqual([all.length, undefined])
    }),
    { numRuns: 60 },
  )
})

test('pages of one kind with some others among them are packed, and give all of them back', () => {
  const all = Array.from({ length: 5_000 }, (_, i) => ({
    hash: `0x${i.toString(16).padStart(64, '0')}`,
    to: i % 100 === 0 ? null : `0x${i}`,
    gas: i % 7 === 0 ? 2n ** 70n : BigInt(i),
    ratio: i % 9 === 0 ? -0 : i / 3,
    block: '0x10',
    logs: Array.from({ length: i % 4 }, (_, n) => ({ index: n, topics: ['a', `b${i}`] })),
    ...(i % 3 === 0 ? { only: true } : {}),
  }))
  expect([...packed(all)]).toStrictEqual(all)
})

test('half a character, an empty text, and a field named __proto__ stay what they are', () => {
  const odd: unknown = JSON.parse('{"__proto__": 1, "a": "x"}')
  const all = Array.from({ length: 1_024 }, (_, i) => ({ text: ['\ud800', '', '\u0000é', 'ab'][i % 4], odd: i % 2 === 0 ? odd : {} }))
  expect(JSON.stringify([...packed(all)])).toBe(JSON.stringify(all))
})

test('only some fields of all elements are had without making the others', () => {
  const all = Array.from({ length: 600 }, (_, i) => ({ i, text: `${i}`, ...(i % 2 === 0 ? { even: true } : {}) }))
  const cut = all.slice(0, 512).map(({ i, ...more }) => ('even' in more ? { i, even: more.even } : { i }))
  expect([...only(packed(all), ['i', 'even', 'none'])].slice(0, 512)).toStrictEqual(cut)
  expect([...only(packed(all), ['i'])].slice(512)).toStrictEqual(all.slice(512))
  expect([...only(all, ['i'])]).toStrictEqual(all)
  const mixed = Array.from({ length: 600 }, (_, i) => [i, null, 'text', { i }][i % 4])
  expect([...only(packed(mixed), ['i'])]).toStrictEqual(mixed)
})

test('arrays and packed lists are lists, texts and objects with a length are none', () => {
  expect([[], packed([]), 'text', { length: 1 }, null].map(isList)).toStrictEqual([true, true, false, false, false])
})
