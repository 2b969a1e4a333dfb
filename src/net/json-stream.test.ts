import fc from 'fast-check'
import { expect, test } from 'vitest'
import { UnreadableError } from './charset.js'
import { MAX_DEPTH, TooDeepError } from './json-depth.js'
import { JsonStream } from './json-stream.js'

/** What comes of bytes that come in chunks of so many, when pieces of so many are parsed at once. */
function streamed(bytes: Buffer, size: number, piece = 2_000): unknown {
  const stream = new JsonStream(piece)
  for (let from = 0; from < bytes.length; from += size) stream.add(bytes.subarray(from, from + size))
  return stream.end()
}

const long = (element: (i: number) => unknown, bytes = 7_000): unknown[] => {
  const list: unknown[] = []
  for (let i = 0, sum = 0; sum < bytes; i++) sum += JSON.stringify((list[i] = element(i))).length
  return list
}
const receipt = (i: number) => ({ index: i, text: `"[{,\\é𝄞${i}`, logs: [{ at: i }, [], {}], status: null })

test('lists of any length come out as JSON.parse gives them, wherever they lie and however the bytes come', () => {
  const receipts = long(receipt)
  const values: unknown[] = [
    receipts,
    { jsonrpc: '2.0', id: 1, result: receipts },
    [
      { id: 1, result: { number: 1, transactions: receipts, uncles: [] } },
      { id: 2, result: receipts },
      { id: 3, result: [[receipts, []]] },
    ],
    [...long((i) => ({ id: i, result: '0x1' })), { id: -1, result: receipts }, { id: -2, result: { '"odd",[key': receipts, last: [] } }],
    [receipts, receipts, [], [1]],
    { text: 'x'.repeat(9_000), list: long((i) => i, 3_000) },
    JSON.parse(`{"__proto__":${JSON.stringify(receipts)}}`),
  ]
  for (const value of values)
    for (const indent of [undefined, 1])
      for (const size of [1, 650, 2_001, 40_000]) {
        const text = JSON.stringify(value, null, indent)
        expect(JSON.stringify(streamed(Buffer.from(text), size), null, indent) === text).toBe(true)
      }
})

test('any JSON comes out as JSON.parse gives it, cut at any byte', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), (value, size, piece) => {
      const text = JSON.stringify(value)
      expect(streamed(Buffer.from(text), size, piece)).toEqual(JSON.parse(text))
    }),
  )
})

test.each<[string, (list: string) => string]>([
  ['ends early', (list) => list.slice(0, -3_000)],
  ['lacks its last bracket', (list) => list.slice(0, -1)],
  ['has a comma too many at its end', (list) => `${list.slice(0, -1)},]`],
  ['has a comma too many within', (list) => list.replace('},{', '},,{')],
  ['closes a list as an object', (list) => `${list.slice(0, -1)}}`],
  ['goes on behind its end', (list) => `${list}]`],
  ['has a word that is none', (list) => list.replace('null', 'nul')],
])('a long answer that %s is no JSON', (_, spoil) => {
  const text = spoil(JSON.stringify(long(receipt)))
  expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError)
  expect(() => streamed(Buffer.from(text), 650)).toThrow(SyntaxError)
})

test('a key that comes again behind a long list is refused, since the last one counts; one before it changes nothing', () => {
  const list = JSON.stringify(long(receipt))
  for (const text of [`{"result":${list},"result":[]}`, `{"result":${list},"r\\u0065sult":${list}}`, `[{"a":{"b":${list}},"a":1}]`])
    for (const size of [1, 650, 40_000]) expect(() => streamed(Buffer.from(text), size)).toThrow('a key that comes twice')
  const before = `{"result":[],"result":${list},"results":1}`
  expect(streamed(Buffer.from(before), 650)).toEqual(JSON.parse(before))
})

test('what is nested too deep, and what is no UTF-8, is refused by name', () => {
  expect(() => streamed(Buffer.from('['.repeat(MAX_DEPTH + 1)), 650)).toThrow(TooDeepError)
  const bytes = Buffer.from(JSON.stringify(long(receipt)))
  bytes[bytes.indexOf('é')] = 0xff
  expect(() => streamed(bytes, 650)).toThrow(UnreadableError)
})
