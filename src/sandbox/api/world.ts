import { draw, drawHex, kinds } from '../random.js'
import type { Hex } from '../source.js'
import { openApi } from './server.js'
import type { ApiServer, ServeApiOptions } from './server.js'

export interface FakeApiOptions {
  /** Everything follows from it: same seed and same calls, same world. Default 1. */
  readonly seed?: number
  /** Transactions to begin with. Default 0. */
  readonly rows?: number
  /** Time of the first block in unix seconds. Default 1,700,000,000. */
  readonly from?: number
  /** Seconds from block to block. Default 10. */
  readonly every?: number
  /** At most so many transactions share a block, and so its second; each block has a seeded number of them. Default 6. */
  readonly ties?: number
  /** At most so many senders. They turn up one after the other. Default 100. */
  readonly wallets?: number
}

/** A transaction of the world, as tests compare with. */
export interface ApiTransaction {
  /** `0x` text. */
  readonly id: Hex
  readonly sender: string
  /** How many of the sender came before it. */
  readonly nonce: number
  /** In micro-STX. */
  readonly fee: number
  readonly height: number
  /** Of the block. */
  readonly hash: Hex
  /** Unix seconds of the block. Many share one. */
  readonly time: number
  /** Unix seconds, at most ten minutes before `time`. */
  readonly burnTime: number
  /** In its block. */
  readonly index: number
  readonly status: string
  readonly type: string
}

/** The transactions that a server shows, newest first. */
export interface Transactions {
  readonly size: number
  /** The `i`th newest. Newer time first and, within a second, higher index first. */
  at(i: number): ApiTransaction | undefined
  /** How many have a time above `seconds`: the place of the first that has not. */
  newerThan(seconds: number): number
  /** The place of a transaction, or where it was before it was removed. Undefined when there never was one. */
  place(name: { readonly id: Hex } | { readonly height: number; readonly index: number }): number | undefined
}

/** Transactions that exist in memory only, and that a REST API shows. */
export interface FakeApi {
  readonly seed: number
  /** All there are, newest first: the truth. */
  readonly transactions: readonly ApiTransaction[]
  readonly size: number
  /**
   * Grows the world by so many. Without `at` they come after all before them, in blocks `every` seconds apart, and the
   * last block may be filled up first. With `at` (unix seconds) all of them get that time: late rows behind the newest,
   * rows in the future, or hundreds in one second. Returns them, oldest first.
   */
  add(count: number, options?: { readonly at?: number }): readonly ApiTransaction[]
  /** Takes one away, as if it had never been in the list. */
  remove(id: Hex): void
  /** The list without what is newer than `lagSeconds` before the newest: what an API shows that is behind. */
  shown(lagSeconds: number): Transactions
  /** Opens a REST API for this world on 127.0.0.1. There may be many, each with its own faults. */
  serve(options?: ServeApiOptions): Promise<ApiServer>
}

/**
 * A world of transactions grown inside a test. Several share a block and its second, senders turn up over time, and
 * nothing depends on the machine's clock.
 */
export function fakeApi(options: FakeApiOptions = {}): FakeApi {
  const api = new World(options)
  api.add(options.rows ?? 0)
  return api
}

const firstHeight = 4_000_000
const types = ['token_transfer', 'contract_call', 'contract_call', 'smart_contract', 'coinbase', 'tenure_change']

class World implements FakeApi {
  readonly seed: number
  readonly #from: number
  readonly #every: number
  readonly #ties: number
  readonly #wallets: number
  /** Oldest first, so that growth is at the end. */
  readonly #rows: ApiTransaction[] = []
  readonly #places = new Map<string, ApiTransaction>()
  readonly #indexes = new Map<number, number>()
  readonly #nonces = new Map<string, number>()
  #made = 0
  #blocks = 0
  #room = 0

  constructor(options: FakeApiOptions) {
    this.seed = options.seed ?? 1
    this.#from = options.from ?? 1_700_000_000
    this.#every = options.every ?? 10
    this.#ties = options.ties ?? 6
    this.#wallets = options.wallets ?? 100
  }

  get transactions(): readonly ApiTransaction[] {
    return this.#rows.toReversed()
  }

  get size(): number {
    return this.#rows.length
  }

  add(count: number, { at }: { readonly at?: number } = {}): readonly ApiTransaction[] {
    return Array.from({ length: count }, () => {
      if (at === undefined && this.#room === 0) this.#room = 1 + (draw(this.seed, kinds.ties, 0, ++this.#blocks) % this.#ties)
      if (at === undefined) this.#room--
      const row = this.#make(at ?? this.#from + (this.#blocks - 1) * this.#every)
      this.#rows.splice(this.#upTo(row.time, row.index), 0, row)
      this.#places.set(row.id, row).set(`${row.height}:${row.index}`, row)
      return row
    })
  }

  remove(id: Hex): void {
    const row = this.#places.get(id)
    const place = row ? this.#upTo(row.time, row.index) - 1 : -1
    if (this.#rows[place] !== row || !row) throw new RangeError(`there is no transaction ${id}`)
    this.#rows.splice(place, 1)
  }

  shown(lagSeconds: number): Transactions {
    const rows = this.#rows
    const newest = rows.at(-1)?.time ?? 0
    const size = lagSeconds === 0 ? rows.length : this.#upTo(newest - lagSeconds, Infinity)
    return {
      size,
      at: (i) => rows[size - 1 - i],
      newerThan: (seconds) => Math.max(0, size - this.#upTo(seconds, Infinity)),
      place: (name) => {
        const row = this.#places.get('id' in name ? name.id : `${name.height}:${name.index}`)
        return row && Math.max(0, size - this.#upTo(row.time, row.index))
      },
    }
  }

  serve(options: ServeApiOptions = {}): Promise<ApiServer> {
    return openApi(this, options)
  }

  #make(time: number): ApiTransaction {
    const n = this.#made++
    const dice = draw(this.seed, kinds.apiDice, 0, n)
    const wallet = dice % Math.min(this.#wallets, 4 + Math.floor(n / 10))
    const sender = 'SP' + drawHex(this.seed, kinds.address, 1, wallet).slice(0, 38).toUpperCase()
    const nonce = this.#nonces.get(sender) ?? 0
    this.#nonces.set(sender, nonce + 1)
    const height = firstHeight + Math.floor((time - this.#from) / this.#every)
    const index = this.#indexes.get(height) ?? 0
    this.#indexes.set(height, index + 1)
    return {
      id: '0x' + drawHex(this.seed, kinds.apiTransaction, 0, n),
      sender,
      nonce,
      fee: dice % 13 === 0 ? 0 : 180 + (draw(this.seed, kinds.apiFee, 0, n) % 300_000),
      height,
      hash: '0x' + drawHex(this.seed, kinds.blockHash, 1, height),
      time,
      burnTime: time - (time % 600),
      index,
      status: dice % 16 === 1 ? 'abort_by_response' : 'success',
      type: types[(dice >>> 8) % types.length]!,
    }
  }

  /** How many rows are not above a time and an index. */
  #upTo(time: number, index: number): number {
    let low = 0
    let high = this.#rows.length
    while (low < high) {
      const middle = (low + high) >> 1
      const row = this.#rows[middle]!
      if (row.time < time || (row.time === time && row.index <= index)) low = middle + 1
      else high = middle
    }
    return low
  }
}
