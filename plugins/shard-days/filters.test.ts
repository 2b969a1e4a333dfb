import { expect, test } from 'vitest'
import type { RpcLog } from '../../src/sdk/authors.js'
import { askedOf, filtersOf, isAskedBy } from './filters.js'

const address = (n: number) => `0x${n.toString(16).padStart(40, '0')}`
const word = (hex: string) => `0x${hex.padStart(64, '0')}`
const event = (text: string, contracts?: string[], topics?: Record<string, string | number | boolean | (string | number)[]>) =>
  askedOf({ event: text, into: 't', row: {}, ...(contracts ? { contracts } : {}), ...(topics ? { topics } : {}) }, 0)

const A = 'A(address indexed a, uint8 indexed b, bool indexed c)'
const B = 'B(int16 indexed x, bytes4 indexed y, string indexed z)'

test('events of contracts are asked for with one filter; those of any contract, and those with topics of their own, each with their own', () => {
  const [one, two, any, some, same] = [
    event(A, [address(1)]),
    event(B, [address(2), address(1)]),
    event(A),
    event(A, [address(3)], { b: [1, 2] }),
    event(B),
  ]
  const [a, b] = [one.decoder.topic0 ?? '', two.decoder.topic0 ?? '']
  expect(filtersOf([one, two, any, some, same])).toEqual([
    { addresses: [address(1), address(2)], topics: [[a, b]] },
    { addresses: [], topics: [[a, b]] },
    { addresses: [address(3)], topics: [[a], null, [word('1'), word('2')]] },
  ])
})

test('the value of a topic is written as logs hold it', () => {
  expect(event(A, [address(1)], { a: address(0xab).toUpperCase().replace('0X', '0x'), c: true }).filter.topics.slice(1)).toEqual([
    [word('ab')],
    null,
    [word('1')],
  ])
  const hash = word('7e')
  expect(event(B, undefined, { x: -2, y: '0x01020304', z: hash }).filter.topics.slice(1)).toEqual([
    [`0x${'f'.repeat(63)}e`],
    [`0x01020304${'0'.repeat(56)}`],
    [hash],
  ])
  expect(() => event(A, undefined, { b: 256 })).toThrow('events.0.topics.b is no uint8: 256')
  expect(() => event(B, undefined, { x: 32_768 })).toThrow('is no int16: 32768')
  expect(() => event(B, undefined, { z: 'hello' })).toThrow('is no string: hello')
  expect(() => event(A, ['0x12'])).toThrow('events.0.contracts.0 is no address: 0x12')
})

test('a log is of an event by its contract and its topics', () => {
  const asked = event(A, [address(1)], { b: [1, 2] })
  const log = (of: string, topics: readonly string[]) => ({ address: of, topics }) as RpcLog
  const topics = [asked.decoder.topic0 ?? '', word('9'), word('2'), word('1')]
  expect(isAskedBy(log(address(1), topics), asked)).toBe(true)
  expect(isAskedBy(log(address(2), topics), asked)).toBe(false)
  expect(isAskedBy(log(address(1), topics.with(2, word('3'))), asked)).toBe(false)
  expect(isAskedBy(log(address(1), [...topics.slice(0, 2)]), asked)).toBe(false)
})
