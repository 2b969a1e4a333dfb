import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KeptFields } from '../sdk/index.js'
import { FieldSieve } from './field-sieve.js'
import { MAX_DEPTH, TooDeepError } from './json-depth.js'

const FIELDS = ['a', 'bb', 'logs', 'logsBloom', 'ü', 'result']

/** What is left of bytes that come in chunks of so many. */
function sifted(text: string, size: number, keep: KeptFields): string {
  const [sieve, bytes] = [new FieldSieve(keep), Buffer.from(text)]
  const left: Buffer[] = []
  for (let from = 0; from < bytes.length; from += size) left.push(sieve.add(bytes.subarray(from, from + size)))
  return Buffer.concat([...left, sieve.end()]).toString()
}

type Fields = Record<string, unknown>
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The same of values: a second, slower way. */
function chosen(answer: unknown, { fields, blooms }: KeptFields): unknown {
  const isKept = (object: Fields, name: string, place: number) => {
    if (JSON.stringify(name).includes('\\\\')) return true
    if (!fields.includes(name)) return false
    if (name !== 'logsBloom' || blooms === 'all') return true
    const logs = Object.entries(object)
      .slice(0, place)
      .find(([before]) => before === 'logs')?.[1]
    return !(Array.isArray(logs) && logs.length > 0) && !(typeof object.logsBloom === 'string' && /^0.0*$/.test(object.logsBloom))
  }
  const within = (value: unknown, inList: boolean): unknown => {
    if (Array.isArray(value)) return value.map((each) => within(each, true))
    if (!isObject(value)) return value
    const kept = Object.entries(value).filter(([name], place) => !inList || isKept(value, name, place))
    return Object.fromEntries(kept.map(([name, each]) => [name, within(each, inList)]))
  }
  const ofOne = (value: unknown) =>
    isObject(value)
      ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, name === 'result' ? within(each, false) : each]))
      : value
  return Array.isArray(answer) ? answer.map(ofOne) : ofOne(answer)
}

const name = fc.constantFrom(...FIELDS, 'dropped', 'x', '"odd\\\\', '')
const leaf = fc.oneof(
  fc.constantFrom('0x00', '0x', '0x010', null, true, 12.5, ''),
  fc.string(),
  fc.string({ minLength: 90, maxLength: 300 }),
)
const { value: anyValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name, tie('value'), { maxKeys: 6 }),
  ),
}))
const answer = fc.record({ jsonrpc: fc.constant('2.0'), id: fc.nat(9), result: anyValue, error: anyValue }, { requiredKeys: ['id'] })

describe('of JSON-RPC answers', () => {
  test('the fields of objects in lists of a result are chosen, and all else stays, however the bytes come', () => {
    const some = fc.record({ fields: fc.subarray(FIELDS), blooms: fc.constantFrom('all', 'unexplained') } as const)
    fc.assert(
      fc.property(
        fc.oneof(answer, fc.array(answer, { maxLength: 4 }), anyValue),
        some,
        fc.integer({ min: 1, max: 60 }),
        (value, keep, size) => {
          for (const indent of [undefined, 1]) {
            const text = JSON.stringify(value, null, indent)
            expect(JSON.parse(sifted(text, size, keep))).toEqual(chosen(JSON.parse(text), keep))
          }
        },
      ),
      { numRuns: 400 },
    )
  })

  test('receipts lose what nobody looks at: a bloom where logs explain it or nothing is in it', () => {
    const keep = { fields: ['from', 'logs', 'logIndex', 'logsBloom'], blooms: 'unexplained' } as const
    const log = { address: '0xa', topics: ['0x1'], logIndex: '0x0' }
    const receipts = [
      { status: '0x1', logs: [log], logsBloom: '0x8', from: '0xf' },
      { from: '0xf', type: null, logs: [], logsBloom: `0x${'0'.repeat(512)}` },
      { logs: [], logsBloom: '0x8' },
      {},
    ]
    expect(JSON.parse(sifted(JSON.stringify({ id: 1, result: receipts }), 7, keep))).toEqual({
      id: 1,
      result: [{ logs: [{ logIndex: '0x0' }], from: '0xf' }, { from: '0xf', logs: [] }, { logs: [], logsBloom: '0x8' }, {}],
    })
  })
})

test('a name that is written in escapes is kept, whatever it means, and what is there twice by the name that judges is no answer', () => {
  const keep = { fields: ['from', 'logs', 'logsBloom'], blooms: 'unexplained' } as const
  const escaped = '{"id":1,"result":[{"fr\\u006fm":"0x1","dropped":"0x2","from":"0x3","fr\\u006fm":"0x4"}]}'
  for (const size of [1, 9, 500]) expect(JSON.parse(sifted(escaped, size, keep))).toEqual({ id: 1, result: [{ from: '0x4' }] })
  const twice = ['{"id":1,"result":[{"logs":[{}],"logsBloom":"0x1","logs":[]}]}', '{"id":1,"result":[{"from":"0x1"}],"result":[]}']
  for (const text of twice) expect(() => sifted(text, 9, keep)).toThrow(SyntaxError)
})

const long = JSON.stringify({ id: 1, result: Array.from({ length: 40 }, (_, i) => ({ a: i, dropped: [i, { bb: 'x' }], bb: 'y' })) })

test.each<[string, (text: string) => string]>([
  ['ends early', (text) => text.slice(0, -200)],
  ['lacks its last bracket', (text) => text.slice(0, -1)],
  ['closes a list as an object', (text) => `${text.slice(0, -2)}}}`],
  ['goes on behind its end', (text) => `${text}]`],
  ['has a field without a name', (text) => text.replace('"dropped":', 'dropped:')],
  ['has a word that is none', (text) => text.replace('"y"', 'y')],
])('an answer that %s is no JSON behind it either', (_, spoil) => {
  const text = spoil(long)
  expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError)
  for (const size of [1, 13, 5_000])
    expect(() => JSON.parse(sifted(text, size, { fields: ['a', 'bb'], blooms: 'all' })) as unknown).toThrow(SyntaxError)
})

test('what is nested too deep is refused by name, also in what nobody looks at', () => {
  const deep = `{"id":1,"result":[{"dropped":${'['.repeat(MAX_DEPTH)}`
  expect(() => sifted(deep, 650, { fields: [], blooms: 'all' })).toThrow(TooDeepError)
})
