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
  api.grow(options.rows ?? 0)
  return api
}

const firstHeight = 4_000_000
const types = ['token_transfer', 'contract_call', 'contract_call', 'smart_contract', 'coinbase', 'tenure_change']

/** What of a transaction does not follow from the seed and its number alone. A million of them cost little. */
interface Made {
  readonly n: number
  readonly time: number
  readonly height: number
  readonly index: number
  readonly wallet: number
  readonly nonce: number
}

class World implements FakeApi {
  readonly seed: number
  readonly #from: number
  readonly #every: number
  readonly #ties: number
  readonly #wallets: number
  /** Oldest first, so that growth is at the end. */
  readonly #rows: Made[] = []
  readonly #removed: Made[] = []
  readonly #sizes = new Map<number, number>()
  readonly #nonces: number[] = []
  readonly #senders: string[] = []
  /** By id, filled when it is first asked for. */
  readonly #named = new Map<Hex, Made>()
  readonly #unnamed: Made[] = []
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
    return this.#rows.map((made) => this.#transaction(made)).reverse()
  }

  get size(): number {
    return this.#rows.length
  }

  add(count: number, { at }: { readonly at?: number } = {}): readonly ApiTransaction[] {
    return this.grow(count, at).map((made) => this.#transaction(made))
  }

  /** `add` for millions: makes no whole rows. */
  grow(count: number, at?: number): readonly Made[] {
    const added: Made[] = []
    for (let i = 0; i < count; i++) {
      if (at === undefined && this.#room === 0) this.#room = 1 + (draw(this.seed, kinds.ties, 0, ++this.#blocks) % this.#ties)
      if (at === undefined) this.#room--
      const made = this.#make(at ?? this.#from + (this.#blocks - 1) * this.#every)
      const newest = this.#rows.at(-1)
      if (!newest || newest.time <= made.time) this.#rows.push(made)
      else this.#rows.splice(this.#upTo(made.time, made.index), 0, made)
      this.#unnamed.push(made)
      added.push(made)
    }
    return added
  }

  remove(id: Hex): void {
    const made = this.#byId(id)
    const place = made ? this.#upTo(made.time, made.index) - 1 : -1
    if (!made || this.#rows[place] !== made) throw new RangeError(`there is no transaction ${id}`)
    this.#removed.push(...this.#rows.splice(place, 1))
  }

  shown(lagSeconds: number): Transactions {
    const rows = this.#rows
    const newest = rows.at(-1)?.time ?? 0
    const size = lagSeconds === 0 ? rows.length : this.#upTo(newest - lagSeconds, Infinity)
    return {
      size,
      at: (i) => {
        const made = rows[size - 1 - i]
        return made && this.#transaction(made)
      },
      newerThan: (seconds) => Math.max(0, size - this.#upTo(seconds, Infinity)),
      place: (name) => {
        const made = 'id' in name ? this.#byId(name.id) : this.#byIndex(name.height, name.index)
        return made && Math.max(0, size - this.#upTo(made.time, made.index))
      },
    }
  }

  serve(options: ServeApiOptions = {}): Promise<ApiServer> {
    return openApi(this, options)
  }

  #make(time: number): Made {
    const n = this.#made++
    const wallet = draw(this.seed, kinds.wallet, 0, n) % Math.min(this.#wallets, 4 + Math.floor(n / 10))
    const nonce = this.#nonces[wallet] ?? 0
    this.#nonces[wallet] = nonce + 1
    const height = firstHeight + Math.floor((time - this.#from) / this.#every)
    const index = this.#sizes.get(height) ?? 0
    this.#sizes.set(height, index + 1)
    return { n, time, height, index, wallet, nonce }
  }

  #transaction({ n, time, height, index, wallet, nonce }: Made): ApiTransaction {
    const dice = draw(this.seed, kinds.apiDice, 0, n)
    return {
      id: this.#id(n),
      sender: (this.#senders[wallet] ??= 'SP' + drawHex(this.seed, kinds.address, 1, wallet).slice(0, 38).toUpperCase()),
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

  #id(n: number): Hex {
    return '0x' + drawHex(this.seed, kinds.apiTransaction, 0, n)
  }

  #byId(id: Hex): Made | undefined {
    for (const made of this.#unnamed.splice(0)) this.#named.set(this.#id(made.n), made)
    return this.#named.get(id)
  }

  /** Heights follow from times, so that a block's rows stand together. */
  #byIndex(height: number, index: number): Made | undefined {
    const end = this.#upTo(this.#from + (height - firstHeight + 1) * this.#every - 1, Infinity)
    for (let i = end - 1; i >= 0 && this.#rows[i]!.height === height; i--) if (this.#rows[i]!.index === index) return this.#rows[i]
    return this.#removed.find((made) => made.height === height && made.index === index)
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
