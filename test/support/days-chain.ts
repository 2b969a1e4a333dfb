import { encodeAbiParameters } from 'viem'
import { event, formatInstant, type Json } from '../../src/sdk/authors.js'
import { fakeChain, type FakeChain, type FakeEndpoint, type FakeLog } from '../../src/sandbox/index.js'
import { draw } from '../../src/sandbox/random.js'

export const COIN = `0x${'2a'.repeat(20)}`
export const TOKENS = `0x${'4d'.repeat(20)}`
export const MARKET = `0x${'5b'.repeat(20)}`

export const TRANSFER = 'Transfer(address indexed from, address indexed to, uint256 value)'
export const SINGLE = 'TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value)'
export const BATCH = 'TransferBatch(address indexed operator, address indexed from, address indexed to, uint256[] ids, uint256[] values)'
export const REGISTERED = 'TokenRegistered(uint256 indexed token0, uint256 indexed token1, bytes32 indexed conditionId)'

const word = (value: bigint | number) => `0x${BigInt(value).toString(16).padStart(64, '0')}`
const account = (n: number) => `0x${(n + 1).toString(16).padStart(40, 'e0')}`
const topics = new Map<string, string>()
const topic = (text: string): string => {
  const known = topics.get(text) ?? (event(text).topic0 as string)
  topics.set(text, known)
  return known
}
const of = (address: string) => word(BigInt(address))

/** What a log is about, as a test compares tables with it. */
export type Truth =
  | { readonly kind: 'coin'; readonly from: string; readonly to: string; readonly value: bigint }
  | {
      readonly kind: 'tokens'
      readonly from: string
      readonly to: string
      readonly ids: readonly bigint[]
      readonly values: readonly bigint[]
    }
  | { readonly kind: 'market'; readonly condition: string; readonly tokens: readonly [bigint, bigint] }
  /** A token that is no coin, moved by the contract of the coin. */
  | { readonly kind: 'nft' }
  /** A batch whose lists do not belong together. */
  | { readonly kind: 'torn' }
  /** A log of the coin that nobody asks for. */
  | { readonly kind: 'other' }

/** What happens in a block: a few logs of every kind, the same whenever it is asked. */
export function truthsOf(block: bigint): Truth[] {
  const n = Number(block)
  return Array.from({ length: draw(5, 1, 0, n) % 4 }, (_, i): Truth => {
    const dice = draw(5, 2, i, n)
    const [from, to] = [account(dice % 7), account(dice % 11)]
    switch (dice % 16) {
      case 0:
        return { kind: 'nft' }
      case 1:
        return { kind: 'torn' }
      case 2:
        return { kind: 'other' }
      case 3:
        return { kind: 'market', condition: word(block * 8n + BigInt(i)), tokens: [block * 100n + 1n, 2n ** 255n + block] }
      case 4:
      case 5:
      case 6:
        return { kind: 'tokens', from, to, ids: [BigInt(dice)], values: [2n ** 200n + block] }
      case 7:
      case 8: {
        const length = (dice >>> 8) % 4
        const ids = Array.from({ length }, (_, j) => BigInt(dice) + BigInt(j))
        return { kind: 'tokens', from, to, ids, values: ids.map((id) => id * 3n) }
      }
      default:
        return { kind: 'coin', from, to, value: BigInt(dice) << BigInt(dice % 200) }
    }
  })
}

function logOf(truth: Truth): FakeLog {
  const batch = (from: string, to: string, ids: readonly bigint[], values: readonly bigint[]): FakeLog => ({
    address: TOKENS,
    topics: [topic(BATCH), of(from), of(from), of(to)],
    data: encodeAbiParameters([{ type: 'uint256[]' }, { type: 'uint256[]' }], [ids, values]),
  })
  switch (truth.kind) {
    case 'coin':
      return { address: COIN, topics: [topic(TRANSFER), of(truth.from), of(truth.to)], data: word(truth.value) }
    case 'nft':
      return { address: COIN, topics: [topic(TRANSFER), of(account(1)), of(account(2)), word(77)], data: '0x' }
    case 'other':
      return { address: COIN, topics: [word(12345)], data: '0x' }
    case 'torn':
      return batch(account(1), account(2), [1n, 2n], [3n])
    case 'market':
      return { address: MARKET, topics: [topic(REGISTERED), word(truth.tokens[0]), word(truth.tokens[1]), truth.condition], data: '0x' }
    case 'tokens': {
      const { from, to, ids, values } = truth
      if (ids.length !== 1) return batch(from, to, ids, values)
      return {
        address: TOKENS,
        topics: [topic(SINGLE), of(from), of(from), of(to)],
        data: `${word(ids[0] ?? 0n)}${word(values[0] ?? 0n).slice(2)}`,
      }
    }
  }
}

/** A block is served many times. */
function logsAt(block: bigint): FakeLog[] {
  const known = logsOf.get(block) ?? truthsOf(block).map(logOf)
  logsOf.set(block, known)
  return known
}

export interface DaysChain {
  readonly chain: FakeChain
  readonly head: number
  /** Unix seconds. */
  time(block: number): number
  /** The first block that is not before a time: `2024-03-01T12:00:00`. */
  block(time: string): number
  /** Opens a node whose blocks have these times. */
  serve(options?: Parameters<FakeChain['serve']>[0]): Promise<FakeEndpoint>
}

const logsOf = new Map<bigint, FakeLog[]>()

/** A chain with a block at each of these times. */
export function chainAt(times: readonly number[], options: Parameters<typeof fakeChain>[0] = {}): DaysChain {
  const chain = fakeChain({ seed: 3, blocks: times.length - 1, logs: logsAt, ...options })
  const time = (block: number) => times[block] ?? NaN
  const methods = {
    eth_getBlockByNumber: ([tag, full]: readonly unknown[]): Json => {
      const number = typeof tag === 'string' && tag.startsWith('0x') ? Number(tag) : times.length - 1
      const text = chain.blockJson(BigInt(number), full === true)
      return text === undefined ? null : { ...(JSON.parse(text) as object), timestamp: `0x${time(number).toString(16)}` }
    },
  }
  const block = (text: string) => times.findIndex((each) => each >= Date.parse(`${text}Z`) / 1000)
  return { chain, head: times.length - 1, time, block, serve: (served = {}) => chain.serve({ ...served, methods }) }
}

/** Times as chains have them and as they might: equal ones, gaps of hours, a block at midnight and some beside it. */
export function unevenTimes(from: number, to: number, seed = 1): number[] {
  const times = [from]
  for (let i = 0; (times.at(-1) ?? 0) < to; i++) {
    const dice = draw(seed, 9, 0, i)
    const before = times.at(-1) ?? 0
    const next = before + ([0, 0, 1, 12, 60, 600, 1_200, 2_400, dice % 97 === 0 ? 9_000 : 30][dice % 9] ?? 0)
    const midnight = Math.ceil((before + 1) / 86_400) * 86_400
    // Three blocks at midnight, and one a second before.
    if (next >= midnight) times.push(midnight - 1, midnight, midnight, midnight)
    else times.push(next)
  }
  return times
}

export const dayOf = (seconds: number) => formatInstant(BigInt(seconds) * 1_000_000n).slice(0, 10)
