import { Accounts } from './accounts.js'
import { openEndpoint } from './endpoint.js'
import type { FakeEndpoint, ServeOptions } from './endpoint.js'
import { blockJson, logJson, receiptsJson } from './json.js'
import type { FakeCost, FakeTransaction } from './json.js'
import { seal } from './seal.js'
import type { ChainHasher, Seal } from './seal.js'
import { draw, drawHex, kinds } from './random.js'
import { matchesFilter, receiptOf } from './source.js'
import type { ChainSource, ContractAnswer, ContractCall, Hex, LogFilter } from './source.js'

/** A log that a block is to contain. Topics and address are `0x` text. */
export interface FakeLog {
  readonly address: Hex
  readonly topics: readonly Hex[]
  readonly data: Hex
}

export interface FakeChainOptions {
  /** Everything follows from it: same seed and same calls, same chain. Default 1. */
  readonly seed?: number
  /** Default 1. */
  readonly chainId?: number
  /** How many miners take turns at random. Default 5. */
  readonly miners?: number
  /** Blocks after the genesis block to begin with. Default 0. */
  readonly blocks?: number
  /** Time of the genesis block in unix seconds. Default 1,600,000,000. */
  readonly genesisTime?: number
  /** Seconds from block to block. Default 12. */
  readonly blockTime?: number
  /**
   * Time of each block in unix seconds, in place of both. Asked again whenever a block is served, so it must depend on the number and the
   * fork that the block is of alone: 0, and one more with each `fork`.
   */
  readonly timeOf?: (block: number, fork: number) => number
  /** Transactions in every block besides payouts of miners, or in each one by its number and fork, as for `timeOf`. Default 0. */
  readonly transactions?: number | ((block: number, fork: number) => number)
  /** Balances before block 1, in wei. Miners that are not named start at amounts of every magnitude from 0 to 2^250. */
  readonly balances?: Readonly<Record<Hex, bigint>>
  /**
   * What the transactions of a block cost, by their index and its fork, and which of them create a contract. Default: 21,000 gas at 2 gwei
   * each. Asked again whenever a block is served, so it must depend on these numbers alone.
   */
  readonly costs?: (block: bigint, index: number, fork: number) => FakeCost & { readonly creates?: boolean }
  /** Makes hashes and roots real, so that they prove what they stand for; else they are drawn. A block then takes about a millisecond. */
  readonly hasher?: ChainHasher
  /** Logs of each block after the genesis block. Asked again whenever a block is served, so it must depend on the number alone. */
  readonly logs?: (block: bigint) => readonly FakeLog[]
}

/** A block as tests compare with. Hashes and addresses are lower-case `0x` text. */
export interface FakeBlock {
  readonly number: bigint
  readonly hash: Hex
  readonly parentHash: Hex
  /** Unix seconds. */
  readonly timestamp: bigint
  readonly miner: Hex
  /** What the miner was paid in wei, before what it may have paid out. */
  readonly reward: bigint
}

export type FakeContract = (data: Hex, block: bigint, from: Hex | undefined) => ContractAnswer

/** A chain that exists in memory only and answers like a node. */
export interface FakeChain extends ChainSource {
  /** Grows the chain. */
  add(blocks: number): void
  /**
   * A reorg: the last `depth` blocks are replaced by `newBlocks` others (default `depth + 1`), whose hashes, miners and
   * balances differ. Everything below stays.
   */
  fork(depth: number, newBlocks?: number): void
  /** Undoes the last `fork`: the very blocks that it replaced are there again, and none above them. @throws {RangeError} when there was none. */
  unfork(): void
  readonly miners: readonly Hex[]
  /** The truth about a block. @throws {RangeError} when there is none. */
  block(number: bigint | number): FakeBlock
  /** The truth about a balance after a block, in wei; 0 for an address that nothing is known about. @throws {RangeError} */
  balance(address: Hex, number: bigint | number): bigint
  /** Puts a contract on the chain. `answer` gets the call's data, the block it is asked at and who seems to ask. */
  contract(address: Hex, answer: FakeContract): void
  /** Opens a node for this chain on 127.0.0.1. There may be many, each with its own head and faults. */
  serve(options?: ServeOptions): Promise<FakeEndpoint>
}

/**
 * A chain grown inside a test: block 0 first, then whatever `add` and `fork` make of it. In each block a seeded miner
 * earns a seeded reward, and in about every eighth block it pays some of its balance to another miner, so that
 * balances rise, fall, and change in blocks of others. Blocks are made when they are asked for: a million cost little.
 */
export function fakeChain(options: FakeChainOptions = {}): FakeChain {
  const chain = new Chain(options)
  chain.add(options.blocks ?? 0)
  return chain
}

// Widths in bits of the miners' first balances: where code that is careless with numbers goes wrong.
const widths = [0, 52, 63, 64, 127, 128, 200, 250]
const zeroHash = '0x' + '0'.repeat(64)
const zeroAddress = '0x' + '0'.repeat(40)
// The root of a trie that holds nothing.
const emptyRoot = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'
const payoutEvery = 8
const plain: ReturnType<NonNullable<FakeChainOptions['costs']>> = { gas: 21_000, price: 2_000_000_000n }

type Forks = readonly { readonly from: number; readonly id: number }[]

class Chain implements FakeChain {
  readonly chainId: number
  readonly miners: readonly Hex[]
  readonly #options: FakeChainOptions
  readonly #seed: number
  readonly #accounts = new Accounts()
  readonly #contracts = new Map<Hex, FakeContract>()
  readonly #payouts = new Map<number, { readonly to: Hex; readonly amount: bigint }>()
  /** Where each fork begins: the last one that begins at or below a block made it. */
  #forks: Forks = [{ from: 0, id: 0 }]
  #forkCount = 0
  /** What each fork left. */
  readonly #left: { readonly forks: Forks; readonly head: number; readonly kept: number }[] = []
  #head = 0
  #numbers = new Map<Hex, number>()
  readonly #hashes = new Map<number, Hex>()
  readonly #seals: Seal[] = []
  readonly #listeners = new Set<() => void>()
  /** Of transactions of blocks below `#searched`. */
  readonly #blockOf = new Map<Hex, number>()
  #searched = 0

  constructor(options: FakeChainOptions) {
    this.#options = options
    this.#seed = options.seed ?? 1
    this.chainId = options.chainId ?? 1
    this.miners = Array.from({ length: options.miners ?? 5 }, (_, i) => this.#address(i))
    this.miners.forEach((miner, i) => {
      const width = widths[i % widths.length]!
      this.#accounts.set(miner, 0, width === 0 ? 0n : 2n ** BigInt(width) + BigInt(draw(this.#seed, kinds.start, 0, i)))
    })
    for (const [address, balance] of Object.entries(options.balances ?? {})) this.#accounts.set(address.toLowerCase(), 0, balance)
  }

  get head(): bigint {
    return BigInt(this.#head)
  }

  add(blocks: number): void {
    for (let i = 0; i < blocks; i++) {
      const number = ++this.#head
      const fork = this.#forkOf(number)
      const miner = this.#minerOf(number, fork)
      const reward = this.#reward(number, fork)
      this.#accounts.set(this.miners[miner]!, number, this.#accounts.latest(this.miners[miner]!) + reward)
      const dice = draw(this.#seed, kinds.payout, fork, number)
      if (dice % payoutEvery === 0 && this.miners.length > 1) {
        const others = this.miners.length - 1
        this.#pay(number, this.miners[miner]!, this.miners[(miner + 1 + ((dice >>> 8) % others)) % this.miners.length]!, reward * 5n)
      }
    }
    for (const listener of this.#listeners) listener()
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  fork(depth: number, newBlocks = depth + 1): void {
    if (!Number.isInteger(depth) || depth < 1 || depth > this.#head) {
      throw new RangeError(`a fork of depth ${depth} does not fit on a chain whose head is ${this.#head}`)
    }
    const kept = this.#head - depth
    this.#left.push({ forks: this.#forks, head: this.#head, kept })
    this.#replace(kept, [...this.#forks.filter((fork) => fork.from <= kept), { from: kept + 1, id: ++this.#forkCount }], newBlocks)
  }

  unfork(): void {
    const left = this.#left.pop()
    if (!left) throw new RangeError('there was no fork')
    this.#replace(left.kept, left.forks, left.head - left.kept)
  }

  /** Puts blocks of other forks above one. */
  #replace(kept: number, forks: Forks, blocks: number): void {
    this.#accounts.rewind(kept)
    for (let number = kept + 1; number <= this.#head; number++) this.#payouts.delete(number)
    this.#forks = forks
    this.#numbers = new Map()
    this.#hashes.clear()
    this.#seals.length = Math.min(this.#seals.length, kept + 1)
    this.#blockOf.clear()
    this.#searched = 0
    this.#head = kept
    this.add(blocks)
  }

  block(number: bigint | number): FakeBlock {
    const n = this.#existing(number)
    return this.#facts(n, this.#hash(n))
  }

  #facts(n: number, hash: Hex): FakeBlock {
    const fork = this.#forkOf(n)
    return {
      number: BigInt(n),
      hash,
      parentHash: n === 0 ? zeroHash : this.#hash(n - 1),
      timestamp: BigInt(this.#timeOf(n)),
      miner: n === 0 ? zeroAddress : this.miners[this.#minerOf(n, fork)]!,
      reward: n === 0 ? 0n : this.#reward(n, fork),
    }
  }

  balance(address: Hex, number: bigint | number): bigint {
    return this.#accounts.at(address.toLowerCase(), this.#existing(number))
  }

  contract(address: Hex, answer: FakeContract): void {
    this.#contracts.set(address.toLowerCase(), answer)
  }

  serve(options: ServeOptions = {}): Promise<FakeEndpoint> {
    return openEndpoint(this, options)
  }

  call(call: ContractCall, number: bigint): ContractAnswer | undefined {
    return this.#contracts.get(call.to.toLowerCase())?.(call.data, number, call.from)
  }

  blockJson(number: bigint, full: boolean): string | undefined {
    const n = Number(number)
    if (n > this.#head) return undefined
    const fork = this.#forkOf(n)
    const block = this.block(n)
    const transactions = this.#transactions(n)
    const root = (kind: number): Hex => (transactions.length === 0 ? emptyRoot : '0x' + drawHex(this.#seed, kind, fork, n))
    // No trie stands behind it, so any text will do that differs from block to block.
    const state = '0x' + block.hash.slice(34) + block.hash.slice(2, 34)
    const roots = this.#sealOf(n)?.roots ?? { state, transactions: root(kinds.transactionsRoot), receipts: root(kinds.receiptsRoot) }
    return blockJson(block, transactions, roots, full, this.chainId)
  }

  receiptsJson(number: bigint): string | undefined {
    if (number > this.head) return undefined
    return receiptsJson(this.block(number), this.#transactions(Number(number)))
  }

  receiptJson(transaction: Hex, head: bigint): string | undefined {
    for (; this.#searched <= this.#head; this.#searched++)
      for (const { hash } of this.#transactions(this.#searched)) this.#blockOf.set(hash, this.#searched)
    const number = this.#blockOf.get(transaction.toLowerCase())
    return number === undefined || BigInt(number) > head ? undefined : receiptOf(this.receiptsJson(BigInt(number)), transaction)
  }

  logsJson(number: bigint, filter: LogFilter): readonly string[] {
    if (!this.#options.logs || number > this.head) return []
    const block = this.block(number)
    return this.#transactions(Number(number)).flatMap((transaction, i) =>
      transaction.logs.filter(({ log }) => matchesFilter(log, filter)).map(({ log, index }) => logJson(block, transaction, i, log, index)),
    )
  }

  numberOf(hash: Hex): bigint | undefined {
    for (let n = this.#numbers.size; n <= this.#head; n++) this.#numbers.set(this.#hash(n), n)
    const number = this.#numbers.get(hash.toLowerCase())
    return number === undefined ? undefined : BigInt(number)
  }

  #pay(block: number, from: Hex, to: Hex, wanted: bigint): void {
    const balance = this.#accounts.latest(from)
    const amount = wanted < balance ? wanted : balance
    this.#accounts.set(from, block, balance - amount)
    this.#accounts.set(to, block, this.#accounts.latest(to) + amount)
    this.#payouts.set(block, { to, amount })
  }

  /** Hashes follow from parents, so all blocks below are sealed first. Undefined where hashes are drawn. */
  #sealOf(n: number): Seal | undefined {
    const { hasher } = this.#options
    if (!hasher) return undefined
    for (let next = this.#seals.length; next <= n; next++) {
      const state = '0x' + drawHex(this.#seed, kinds.blockHash, this.#forkOf(next), next)
      this.#seals.push(seal(hasher, this.#facts(next, zeroHash), this.#drawn(next), state, this.chainId))
    }
    return this.#seals[n]
  }

  #transactions(n: number): readonly FakeTransaction[] {
    const drawn = this.#drawn(n)
    const hashes = this.#sealOf(n)?.transactions
    return hashes ? drawn.map((transaction, i) => ({ ...transaction, hash: hashes[i]! })) : drawn
  }

  /** In the order of the block: the asked number of them from strangers, then the miner's payout. They share the logs. */
  #drawn(n: number): readonly FakeTransaction[] {
    if (n === 0) return []
    const logs = this.#options.logs?.(BigInt(n)) ?? []
    const payout = this.#payouts.get(n)
    const fork = this.#forkOf(n)
    const { transactions = 0 } = this.#options
    const wanted = typeof transactions === 'number' ? transactions : transactions(n, fork)
    const strangers = Math.max(wanted, logs.length > 0 && !payout ? 1 : 0)
    const count = strangers + (payout ? 1 : 0)
    if (count === 0) return []
    return Array.from({ length: count }, (_, i) => {
      const pays = payout !== undefined && i === strangers
      const { creates = false, ...cost } = this.#options.costs?.(BigInt(n), i, fork) ?? plain
      const to = pays ? payout.to : this.#address(1000 + ((n + 2 * i + 1) % 97))
      return {
        hash: '0x' + drawHex(this.#seed ^ i, kinds.transactionHash, fork, n),
        from: pays ? this.miners[this.#minerOf(n, fork)]! : this.#address(1000 + ((n + i) % 97)),
        to: creates ? undefined : to,
        value: pays ? payout.amount : 0n,
        cost,
        logs: logs.map((log, index) => ({ log, index })).filter(({ index }) => Math.floor((index * count) / logs.length) === i),
      }
    })
  }

  #existing(number: bigint | number): number {
    const n = Number(number)
    if (!Number.isInteger(n) || n < 0 || n > this.#head) throw new RangeError(`there is no block ${number}: the head is ${this.#head}`)
    return n
  }

  #forkOf(n: number): number {
    let i = this.#forks.length - 1
    while (this.#forks[i]!.from > n) i--
    return this.#forks[i]!.id
  }

  #hash(n: number): Hex {
    const sealed = this.#sealOf(n)?.hash
    if (sealed !== undefined) return sealed
    const known = this.#hashes.get(n)
    if (known !== undefined) return known
    const hash = '0x' + drawHex(this.#seed, kinds.blockHash, this.#forkOf(n), n)
    // Each is asked for twice, as a hash and as a parent's; blocks that are read together are near one another.
    if (this.#hashes.size === 4096) this.#hashes.clear()
    this.#hashes.set(n, hash)
    return hash
  }

  #address(i: number): Hex {
    return '0x' + drawHex(this.#seed, kinds.address, 0, i).slice(0, 40)
  }

  #minerOf(n: number, fork: number): number {
    return draw(this.#seed, kinds.miner, fork, n) % this.miners.length
  }

  #timeOf(n: number): number {
    const { timeOf, genesisTime = 1_600_000_000, blockTime = 12 } = this.#options
    return timeOf ? timeOf(n, this.#forkOf(n)) : genesisTime + n * blockTime
  }

  /** Up to about 0.14 ether. */
  #reward(n: number, fork: number): bigint {
    return (BigInt(draw(this.#seed, kinds.reward, fork, n) >>> 7) << 32n) + BigInt(draw(this.#seed, kinds.rewardLow, fork, n))
  }
}
