import fc from 'fast-check'
import { decodeEventLog, encodeAbiParameters, parseAbiItem, toEventSelector } from 'viem'
import { expect, test } from 'vitest'
import { type AbiType, type AbiValue, AbiTextError, event, type EventDecoder } from '../authors.js'
import { textFault } from './text-fault.js'

const SEED = Number(process.env.PIPE_TEST_SEED ?? Date.now() % 1_000_000)
const CASES = Number(process.env.PIPE_TEST_CASES ?? 250)

const TRANSFER = 'Transfer(address indexed from, address indexed to, uint256 value)'
const FROM = `0x${'00'.repeat(12)}${'aB'.repeat(20)}`
const TO = `0x${'00'.repeat(12)}${'cd'.repeat(20)}`
const word = (value: bigint | number) => BigInt.asUintN(256, BigInt(value)).toString(16).padStart(64, '0')

test('a log becomes its arguments by name: integers are bigint, addresses lower-case', () => {
  const transfer = event(TRANSFER)
  expect(transfer.topic0).toBe('0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef')
  expect(transfer.inputs.map(({ key, type, indexed }) => [key, type, indexed])).toEqual([
    ['from', 'address', true],
    ['to', 'address', true],
    ['value', 'uint256', false],
  ])
  expect(transfer.decode([transfer.topic0 as string, FROM, TO], `0x${word(2n ** 256n - 1n)}`)).toEqual({
    args: { from: `0x${'ab'.repeat(20)}`, to: `0x${'cd'.repeat(20)}`, value: 2n ** 256n - 1n },
  })
})

test('lists, tuples, texts and bytes are nested values, and what is indexed of them is a hash', () => {
  const text = 'E(string indexed s, (uint8 a, (bool b, int16 c)[] d) t, bytes4 x, string[2] y, bytes, (uint8, address))'
  const e = event(`event ${text};`)
  const data = encodeAbiParameters(
    [
      {
        type: 'tuple',
        components: [
          { type: 'uint8', name: 'a' },
          {
            type: 'tuple[]',
            name: 'd',
            components: [
              { type: 'bool', name: 'b' },
              { type: 'int16', name: 'c' },
            ],
          },
        ],
      },
      { type: 'bytes4' },
      { type: 'string[2]' },
      { type: 'bytes' },
      { type: 'tuple', components: [{ type: 'uint8' }, { type: 'address' }] },
    ],
    [
      {
        a: 7,
        d: [
          { b: true, c: -2 },
          { b: false, c: 300 },
        ],
      },
      '0x01020304',
      ['żółć', ''],
      '0xff00',
      [9, `0x${'Cd'.repeat(20)}`.toLowerCase() as `0x${string}`],
    ],
  )
  const hash = `0x${'5a'.repeat(32)}`
  expect(e.decode([e.topic0 as string, hash], data).args).toEqual({
    s: hash,
    t: {
      a: 7n,
      d: [
        { b: true, c: -2n },
        { b: false, c: 300n },
      ],
    },
    x: '0x01020304',
    y: ['żółć', ''],
    4: '0xff00',
    5: [9n, `0x${'cd'.repeat(20)}`],
  })
})

test('a log that is none of the event is told from it, with the reason', () => {
  const { topic0 = '', decode } = event(TRANSFER)
  const nft = event('Transfer(address indexed from, address indexed to, uint256 indexed tokenId)')
  expect(nft.topic0).toBe(topic0)
  expect(decode([topic0, FROM, TO, `0x${word(7)}`], '0x')).toEqual({ misfit: '4 topics instead of 3' })
  expect(nft.decode([topic0, FROM, TO], `0x${word(7)}`)).toEqual({ misfit: '3 topics instead of 4' })
  expect(decode([], '0x')).toEqual({ misfit: '0 topics instead of 3' })
  expect(decode([FROM, FROM, TO], `0x${word(7)}`)).toEqual({ misfit: 'the first topic is that of another event' })
  expect(decode([topic0, FROM, TO], '0x')).toEqual({ misfit: 'there is no data' })
  expect(decode([topic0, FROM, TO], '0x07')).toEqual({ misfit: 'the data is shorter than a word' })
  expect(decode([topic0, FROM, TO], `0x${'zz'.repeat(32)}`)).toEqual({ misfit: 'the data is no hex' })
  expect(decode([topic0, FROM, '0x12'], `0x${word(7)}`)).toEqual({ misfit: 'to: its topic is no 32 bytes' })
  expect(decode([topic0, FROM, TO], `0x${word(7)}ffff`).args).toMatchObject({ value: 7n })

  const list = event('E(uint256[] ids, bool ok)')
  const e = (data: string) => list.decode([list.topic0 as string], data)
  expect(e(`0x${word(64)}${word(1)}`)).toEqual({ misfit: 'ids: the data ends before it' })
  expect(e(`0x${word(2n ** 60n)}${word(1)}`)).toEqual({ misfit: 'ids: it lies behind the data' })
  expect(e(`0x${word(64)}${word(2)}${word(0)}`)).toEqual({ misfit: 'ok: it is neither true nor false' })
  expect(e(`0x${word(64)}${word(1)}${word(2)}${word(5)}`)).toEqual({ misfit: 'ids: the data ends before it' })
})

test('an anonymous event is told by its number of topics alone', () => {
  const { topic0, decode } = event('Note(uint8 indexed kind, bytes32 indexed id) anonymous')
  expect(topic0).toBeUndefined()
  expect(decode([`0x${word(3)}`, TO], '0x')).toEqual({ args: { kind: 3n, id: TO } })
  expect(decode([`0x${word(3)}`], '0x')).toEqual({ misfit: '1 topic instead of 2' })
})

test.each([
  ['Transfer(addres from)', 'at character 10: `addres` is no type'],
  ['Transfer(uint100 a)', 'at character 10: `uint100` is no type'],
  ['', 'at character 1: the name of an event is missing'],
  ['Transfer', 'at character 9: `(` and the inputs are wanted behind Transfer, and the text ends'],
  ['Trans fer(address a)', 'at character 7: `(` and the inputs are wanted behind Trans, and there is `fer`'],
  ['0xddf252ad', 'at character 1: `0xddf252ad` is no name'],
  ['function transfer(address to) returns (bool)', 'at character 1: is a function, and logs are read by events'],
  ['event error Failed(address to)', 'at character 7: is an error, and logs are read by events'],
  [
    'Transfer(address from',
    'at character 22: `,` or `)` is wanted, and the text ends: the bracket at character 9 of Transfer is not closed',
  ],
  ['T((address a, bool b c)', 'at character 22: `c` stands behind the name `b`'],
  ['T((address a, bool b c', 'at character 22: `c` stands behind the name `b`'],
  ['Transfer(address a))', 'at character 20: `)` stands behind the end of the event'],
  ['Transfer(address a) returns (bool)', 'at character 21: `returns` stands behind the end of the event'],
  ['Transfer(address from address to)', 'at character 23: `address` stands behind the name `from`'],
  ['Transfer(indexed address a)', 'at character 10: `indexed` stands before a type'],
  ['Transfer(tuple(bool a) t)', 'at character 10: a tuple is written as its parts in brackets, without `tuple`'],
  ['Transfer(address a, , bool b)', 'at character 21: the type of an input is wanted, and there is `,`'],
  [`E(${'('.repeat(50_000)}`, 'at character 103: more than 100 tuples lie in each other here'],
  ['Transfer(uint[n] a)', 'at character 14: `[n]` is no list'],
  ['Transfer(address mapping)', 'Invalid ABI parameter. "mapping" is a protected Solidity keyword.'],
  ['A(uint256[0] a)', 'uint256[0] is a list of nothing'],
  ['A(function f)', 'function is no type of a log'],
  ['A(uint256 a, address a)', 'has two inputs a'],
  ['A(uint256 indexed a, uint256 indexed b, uint256 indexed c, uint256 indexed d)', 'has 4 indexed inputs, and a log holds 3'],
  ['A((uint256 __proto__) t)', 'has an input __proto__'],
])('%s is refused: %s', (text, problem) => {
  expect(() => event(text)).toThrow(AbiTextError)
  expect(() => event(text)).toThrow(`event ${text}: ${problem}`)
})

test('tuples in tuples take no longer to compile with each level', () => {
  const deep = 20
  const { decode, topic0 = '' } = event(`E(${'('.repeat(deep)}uint256 a${')'.repeat(deep)})`)
  const started = performance.now()
  for (let i = 0; i < 20; i++) event(`E(${'('.repeat(deep)}uint256 a${')'.repeat(deep)})`)
  expect(performance.now() - started).toBeLessThan(1_000)
  expect(decode([topic0], `0x${word(7n)}`).args).toBeDefined()
})

test('an event may be written over several lines', () => {
  expect(event('  event Transfer (\n  address indexed from,\n  uint256   value\n)\n').topic0).toBe(
    event('Transfer(address,uint256)').topic0,
  )
})

test('a text that a parser takes has no fault', () => {
  for (const text of ['event E()', 'E(uint a, (bytes32 b, bool[2][] c)[] indexed d) anonymous;', 'E(address payable, string indexed s)'])
    expect([text, textFault(text, 'event')]).toEqual([text, undefined])
  for (const text of ['f(address a, bytes calldata b) external view returns (uint256, (bool ok, string memory s)[])', 'function f()'])
    expect([text, textFault(text, 'function')]).toEqual([text, undefined])
  expect(textFault('balanceOf(address owner) return (uint256)', 'function')?.problem).toBe(
    'at character 26: `return` stands behind the end of the function',
  )
})

test('a small log that says very much is refused, a large one is read', () => {
  const deep = event(`E(uint256${'[]'.repeat(5)} a)`)
  // Lists of 16, all of whose elements are the one list behind them.
  const level = `${word(16)}${word(16 * 32).repeat(16)}`
  const bomb = `0x${word(32)}${level.repeat(4)}${word(1)}${word(5)}`
  expect(deep.decode([deep.topic0 as string], bomb)).toEqual({ misfit: 'a: its parts overlap' })
  const long = event('E(uint256[] a)')
  const many = `0x${word(32)}${word(20_000)}${word(1).repeat(20_000)}`
  expect(long.decode([long.topic0 as string], many).args?.a).toHaveLength(20_000)
  const texts = event('E(bytes[] a)')
  const same = `0x${word(32)}${word(400)}${word(400 * 32).repeat(400)}${word(32 * 40)}${word(7).repeat(40)}`
  expect(texts.decode([texts.topic0 as string], same)).toEqual({ misfit: 'a: its parts overlap' })
  for (const [e, data] of [
    [deep, bomb],
    [long, many],
    [texts, same],
  ] as const) {
    const item = parseAbiItem(`event E(${e.inputs[0]?.type ?? ''} a)`)
    expect(viemArgs(item as object, [e.topic0 as string], data) === undefined).toBe(e !== long)
  }
})

test('on random events and logs, whole and broken, the decoder says what viem says', () => {
  console.log(`decoders: PIPE_TEST_SEED=${SEED}`)
  const seen = { fit: 0, misfit: 0, stricter: 0 }
  fc.assert(
    fc.property(
      eventArbitrary,
      fc.array(damageArbitrary, { minLength: 6, maxLength: 6 }),
      ({ types, indexed, values, anonymous }, damages) => {
        const text = textOf(types, indexed, anonymous)
        const item = { ...(parseAbiItem(`event ${text.replace(/ anonymous$/, '')}`) as object), anonymous }
        const ours = event(text)
        if (!anonymous) expect(ours.topic0).toBe(toEventSelector(item as never))
        const whole = logOf(ours.topic0, types, indexed, values)
        for (const damage of [undefined, ...damages]) {
          const { topics, data } = damage ? broken(whole, damage) : whole
          const theirs = viemArgs(item, topics, data)
          const { args, misfit } = ours.decode(topics, data)
          if (args) {
            expect(theirs).not.toBeUndefined()
            expect(args).toEqual(asOurs(theirs, ours))
            seen.fit++
          } else if (theirs) {
            // Where a decoder is stricter than viem, as it says.
            expect(topics.length > whole.topics.length || (data.length - 2) / 2 < headOf(types, indexed), `${text} ${data} ${misfit}`).toBe(
              true,
            )
            seen.stricter++
          } else seen.misfit++
          if (!damage) expect(args, text).toBeDefined()
        }
      },
    ),
    { numRuns: CASES, seed: SEED, endOnFailure: true },
  )
  expect(seen.fit).toBeGreaterThan(CASES)
  expect(seen.misfit).toBeGreaterThan(CASES / 4)
})

interface Log {
  readonly topics: readonly string[]
  readonly data: string
}

/** A type with a value of it, as viem's encoder takes both. */
interface Typed {
  readonly type: AbiType
  readonly value: unknown
}

const hexOf = (min: number, max: number) =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`)
const integer = (signed: boolean) =>
  fc.integer({ min: 1, max: 32 }).chain((bytes) => {
    const bits = BigInt(bytes * 8)
    const [min, max] = signed ? [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n] : [0n, 2n ** bits - 1n]
    const value = fc.oneof(fc.constantFrom(min, max, 0n), fc.bigInt({ min, max }))
    return value.map((value): Typed => ({ type: { type: `${signed ? '' : 'u'}int${bits}` }, value: bits > 48n ? value : Number(value) }))
  })
const elementary: fc.Arbitrary<Typed> = fc.oneof(
  integer(true),
  integer(false),
  fc.boolean().map((value) => ({ type: { type: 'bool' }, value })),
  hexOf(20, 20).map((value) => ({ type: { type: 'address' }, value })),
  fc.integer({ min: 1, max: 32 }).chain((size) => hexOf(size, size).map((value) => ({ type: { type: `bytes${size}` }, value }))),
  hexOf(0, 70).map((value) => ({ type: { type: 'bytes' }, value })),
  fc.string({ unit: 'binary', maxLength: 40 }).map((value) => ({ type: { type: 'string' }, value })),
)

/** A list of one type: the values are those of one drawn value, again and again, since all must be of the type. */
const { typed } = fc.letrec<{ typed: Typed }>((tie) => ({
  typed: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    { weight: 5, arbitrary: elementary },
    {
      weight: 1,
      arbitrary: fc.tuple(tie('typed'), fc.integer({ min: 0, max: 3 }), fc.boolean()).map(([item, length, fixed]): Typed => {
        const count = fixed ? Math.max(1, length) : length
        return {
          type: { ...item.type, type: `${item.type.type}[${fixed ? count : ''}]` },
          value: Array.from({ length: count }, () => item.value),
        }
      }),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.array(tie('typed'), { minLength: 1, maxLength: 3 }), fc.boolean()).map(([parts, named]): Typed => ({
        type: { type: 'tuple', components: parts.map(({ type }, i) => (named ? { ...type, name: `p${i}` } : type)) },
        value: named ? Object.fromEntries(parts.map(({ value }, i) => [`p${i}`, value])) : parts.map(({ value }) => value),
      })),
    },
  ),
}))

const eventArbitrary = fc
  .record({
    inputs: fc.array(fc.record({ typed, indexed: fc.boolean(), named: fc.integer({ min: 0, max: 5 }) }), { minLength: 1, maxLength: 5 }),
    anonymous: fc.integer({ min: 0, max: 7 }).map((n) => n === 0),
  })
  .map(({ inputs, anonymous }) => {
    let left = anonymous ? 4 : 3
    return {
      anonymous,
      types: inputs.map(({ typed: { type }, named }, i): AbiType => (named > 0 ? { ...type, name: `a${i}` } : type)),
      values: inputs.map(({ typed: { value } }) => value),
      indexed: inputs.map(({ indexed }) => indexed && left-- > 0),
    }
  })

const damageArbitrary = fc.record({
  kind: fc.constantFrom('cut', 'word', 'word', 'byte', 'append', 'topic more', 'topic less', 'topic'),
  at: fc.nat(),
  value: fc.oneof(fc.bigInt({ min: 0n, max: 300n }), fc.constantFrom(2n ** 256n - 1n, 2n ** 53n, 2n ** 53n - 1n, 2n ** 255n)),
})

function broken({ topics, data }: Log, { kind, at, value }: { kind: string; at: number; value: bigint }): Log {
  const size = (data.length - 2) / 2
  const put = (place: number, hex: string) => data.slice(0, 2 + 2 * place) + hex + data.slice(2 + 2 * place + hex.length)
  switch (kind) {
    case 'cut':
      return { topics, data: data.slice(0, 2 + 2 * (at % (size + 1))) }
    case 'word':
      return { topics, data: size < 32 ? data : put(32 * (at % (size >> 5)), word(value)) }
    case 'byte':
      return { topics, data: size === 0 ? data : put(at % size, (value & 255n).toString(16).padStart(2, '0')) }
    case 'append':
      return { topics, data: data + 'ab'.repeat(at % 70) }
    case 'topic more':
      return { topics: [...topics, FROM.toLowerCase()], data }
    case 'topic less':
      return { topics: topics.slice(0, -1), data }
    default:
      return { topics: topics.map((topic, i) => (i > 0 && i === at % 4 ? `0x${word(value)}` : topic)), data }
  }
}

function textOf(types: readonly AbiType[], indexed: readonly boolean[], anonymous: boolean): string {
  const typeText = ({ type, components }: AbiType): string =>
    components ? `(${components.map((each) => `${typeText(each)}${each.name ? ` ${each.name}` : ''}`).join(', ')})${type.slice(5)}` : type
  const inputs = types.map((type, i) =>
    [typeText(type), indexed[i] ? 'indexed' : '', type.name ?? ''].filter((part) => part !== '').join(' '),
  )
  return `Happened(${inputs.join(', ')})${anonymous ? ' anonymous' : ''}`
}

const isWord = ({ type }: AbiType) => !['string', 'bytes', 'tuple'].includes(type) && !type.endsWith(']')

function logOf(topic0: string | undefined, types: readonly AbiType[], indexed: readonly boolean[], values: readonly unknown[]): Log {
  const encode = (i: number) => encodeAbiParameters([types[i] as never], [values[i]] as never)
  const inTopics = types.flatMap((type, i) => (indexed[i] ? [isWord(type) ? encode(i) : `0x${'7e'.repeat(32)}`] : []))
  const rest = types.flatMap((type, i) => (indexed[i] ? [] : [[type, values[i]] as const]))
  const data = encodeAbiParameters(rest.map(([type]) => type) as never, rest.map(([, value]) => value) as never) as string
  return { topics: topic0 === undefined ? inTopics : [topic0, ...inTopics], data }
}

/** Undefined: the log does not fit. */
function viemArgs(item: object, topics: readonly string[], data: string): unknown {
  try {
    return (decodeEventLog({ abi: [item], topics, data, strict: true } as never) as { args?: unknown }).args ?? []
  } catch {
    return undefined
  }
}

/** What viem gives, by our keys: integers as bigint, addresses in lower case. */
function asOurs(args: unknown, { inputs }: EventDecoder): Record<string, AbiValue> {
  const listed = inputs.some(({ name }) => name === undefined)
  return Object.fromEntries(
    inputs.map((input, i) => [
      input.key,
      input.indexed && !isWord(input) ? (pick(args, listed ? i : input.key) as string) : plain(pick(args, listed ? i : input.key), input),
    ]),
  )
}

const pick = (of: unknown, key: string | number) => (of as Record<string, unknown>)[key]

function plain(value: unknown, { type, components = [] }: AbiType): AbiValue {
  if (type.endsWith(']')) return (value as unknown[]).map((item) => plain(item, { type: type.replace(/\[\d*\]$/, ''), components }))
  if (type !== 'tuple')
    return type.includes('int') ? BigInt(value as number) : type === 'address' ? (value as string).toLowerCase() : (value as AbiValue)
  return Array.isArray(value)
    ? value.map((item, i) => plain(item, components[i] as AbiType))
    : Object.fromEntries(components.map((component) => [component.name ?? '', plain(pick(value, component.name ?? ''), component)]))
}

/** Bytes of the head of what is not indexed. */
function headOf(types: readonly AbiType[], indexed: readonly boolean[]): number {
  return types.reduce((sum, type, i) => sum + (indexed[i] ? 0 : widthOf(type)), 0)
}

function widthOf({ type, components = [] }: AbiType): number {
  const [, of = '', length] = /^(.*)\[(\d*)\]$/.exec(type) ?? []
  if (length === '') return 32
  if (length !== undefined) return isDynamic({ type: of, components }) ? 32 : Number(length) * widthOf({ type: of, components })
  return type === 'tuple' && !isDynamic({ type, components }) ? components.reduce((sum, part) => sum + widthOf(part), 0) : 32
}

function isDynamic({ type, components = [] }: AbiType): boolean {
  return (
    type.endsWith('[]') ||
    type === 'string' ||
    type === 'bytes' ||
    (type.endsWith(']') && isDynamic({ type: type.replace(/\[\d+\]$/, ''), components })) ||
    (type === 'tuple' && components.some(isDynamic))
  )
}

test('spaces of any number take no time, and change nothing', () => {
  const many = ' '.repeat(50_000)
  const started = performance.now()
  expect(event(`E(uint256 a)${many}anonymous${many};${many}`).topic0).toBeUndefined()
  expect(event(`event${many}E(uint256${many}a)${many};`).topic0).toBe(event('E(uint256 a)').topic0)
  expect(() => event(`E(uint256 a)${many}anonymous${many}x`)).toThrow(AbiTextError)
  expect(performance.now() - started).toBeLessThan(1_000)
})
