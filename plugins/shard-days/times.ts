import { readTime, type RpcPool } from '../../src/sdk/authors.js'
import { HeaderRefusedError } from './errors.js'

/** A block's header, with what places it on the chain and in time. */
export interface Header {
  readonly number: bigint
  /** Microseconds UTC. */
  readonly time: bigint
  readonly hash: string
  readonly parentHash: string
  /** As the node gives it. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** What a question may depend on: `top` is the highest block that counts. */
export interface Asking {
  readonly top: bigint
  readonly signal: AbortSignal
}

type Point = Omit<Header, 'fields'>

const known = new WeakMap<RpcPool, BlockTimes>()

/** The times of blocks of one chain, and which block a time begins with. What was found is kept for all units of a run. */
export class BlockTimes {
  readonly #rpc: RpcPool
  /** By number. */
  #points: Point[] = []
  readonly #searches = new Map<bigint, Promise<Found>>()
  readonly #asking = new Map<string, Promise<void>>()

  constructor(rpc: RpcPool) {
    this.#rpc = rpc
  }

  static of(rpc: RpcPool): BlockTimes {
    let times = known.get(rpc)
    if (!times) known.set(rpc, (times = new BlockTimes(rpc)))
    return times
  }

  /**
   * The first block whose time is not before `us`, with the one before it, which must be its parent. Times of blocks may be equal and
   * as far apart as they like, but none is before that of its parent. Undefined: all blocks up to `top` are before it.
   *
   * @throws {PipeError}
   */
  async first(us: bigint, asking: Asking): Promise<Found> {
    const running = this.#searches.get(us)
    // One that failed was stopped with its own unit, or will fail here for the same reason.
    const found = await running?.catch(() => undefined)
    if (found) return found
    const search = this.#search(us, asking)
    this.#searches.set(us, search)
    try {
      return await search
    } finally {
      this.#searches.delete(us)
    }
  }

  /** The block with which the time of a block begins that has one before it. @throws {PipeError} */
  async border(number: bigint, asking: Asking): Promise<{ readonly number: bigint; readonly time: bigint }> {
    const [before, at] = (await this.headers([number - 1n, number], asking)) as [Header, Header]
    if (at.parentHash !== before.hash)
      throw new HeaderRefusedError(`block ${number} goes on from ${at.parentHash}, and block ${before.number} is ${before.hash}`)
    if (before.time < at.time) return { number, time: at.time }
    this.#keep(at)
    const { at: first } = await this.first(at.time, asking)
    return { number: first?.number ?? number, time: at.time }
  }

  /** Headers of blocks up to `top`, in the order of the numbers. @throws {PipeError} */
  async headers(numbers: readonly bigint[], { top, signal }: Asking): Promise<Header[]> {
    const calls = numbers.map((number) => ({ method: 'eth_getBlockByNumber', params: [`0x${number.toString(16)}`, false] }))
    const { values, errors } = await this.#rpc.batch(calls, { signal, block: top })
    const [error] = errors?.values() ?? []
    if (error) throw error
    return numbers.map((number, i) => headerOf(number, values[i]))
  }

  async #search(us: bigint, asking: Asking): Promise<Found> {
    try {
      return await this.#narrow(us, asking)
    } catch (error) {
      // What does not agree may have been known before: all of it is asked again.
      if (error instanceof HeaderRefusedError) this.#points = []
      throw error
    }
  }

  async #narrow(us: bigint, asking: Asking): Promise<Found> {
    const { top } = asking
    let [low, high] = this.#around(us, top)
    if (!low && high?.number !== 0n) {
      await this.#ask([0n], asking)
      ;[low, high] = this.#around(us, top)
    }
    if (!high) {
      await this.#ask([top], asking)
      ;[low, high] = this.#around(us, top)
      if (!high) return { at: undefined, before: low as Point }
    }
    while (low && high && high.number - low.number > 1n) {
      await this.#ask(guesses(us, low, high), asking)
      ;[low, high] = this.#around(us, top)
    }
    const at = high as Point
    if (low && at.parentHash !== low.hash)
      throw new HeaderRefusedError(`block ${at.number} goes on from ${at.parentHash}, and block ${low.number} is ${low.hash}`)
    return { at, before: low }
  }

  async #ask(numbers: readonly bigint[], asking: Asking): Promise<void> {
    const key = numbers.join()
    // Units that begin together ask for the same blocks first.
    const running = this.#asking.get(key)
    if (
      running &&
      (await running.then(
        () => true,
        () => false,
      ))
    )
      return
    const asked = this.#read(numbers, asking).finally(() => this.#asking.delete(key))
    this.#asking.set(key, asked)
    await asked
  }

  async #read(numbers: readonly bigint[], asking: Asking): Promise<void> {
    for (const header of await this.headers(numbers, asking)) this.#keep(header)
  }

  /** @throws {HeaderRefusedError} for a time that does not lie between those of its neighbours. */
  #keep({ number, time, hash, parentHash }: Header): void {
    const at = indexOf(this.#points, (point) => point.number < number)
    const known = this.#points[at]?.number === number
    const [before, after] = [this.#points[at - 1], this.#points[known ? at + 1 : at]]
    if (before && time < before.time) throw new HeaderRefusedError(`block ${number} has an earlier time than block ${before.number}`)
    if (after && time > after.time) throw new HeaderRefusedError(`block ${after.number} has an earlier time than block ${number}`)
    this.#points.splice(at, known ? 1 : 0, { number, time, hash, parentHash })
  }

  /** The last known block before a time, and the first that is not. */
  #around(us: bigint, top: bigint): [Point | undefined, Point | undefined] {
    const at = indexOf(this.#points, (point) => point.time < us)
    const high = this.#points[at]
    return [this.#points[at - 1], high && high.number <= top ? high : undefined]
  }
}

/** How many of the first points are so: those behind them are not. */
function indexOf(points: readonly Point[], isSo: (point: Point) => boolean): number {
  let [from, to] = [0, points.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if (isSo(points[middle] as Point)) from = middle + 1
    else to = middle
  }
  return from
}

/** `at` undefined: no block up to the top is that late, and `before` is the top. */
export type Found = { readonly at: Point; readonly before: Point | undefined } | { readonly at: undefined; readonly before: Point }

/** Blocks between two that are asked together: the middle, so that each round halves what is left, and some near where the time should lie. */
function guesses(us: bigint, low: Point, high: Point): bigint[] {
  const span = high.number - low.number
  if (span <= 8n) return Array.from({ length: Number(span) - 1 }, (_, i) => low.number + BigInt(i) + 1n)
  const near = low.number + ((us - low.time) * span) / (high.time - low.time)
  const wanted = [low.number + span / 2n, near - span / 64n, near - span / 4096n - 1n, near, near + span / 4096n + 1n, near + span / 64n]
  const inside = wanted.map((number) => clamp(number, low.number + 1n, high.number - 1n))
  return [...new Set(inside)]
}

const clamp = (value: bigint, low: bigint, high: bigint) => (value < low ? low : value > high ? high : value)

/** @throws {HeaderRefusedError} for what is no header of that block. */
function headerOf(number: bigint, value: unknown): Header {
  const fields = (value ?? {}) as Readonly<Record<string, unknown>>
  const { hash, parentHash, timestamp } = fields
  if (quantity(fields.number) !== number)
    throw new HeaderRefusedError(`asked for block ${number} and got ${typeof fields.number === 'string' ? fields.number : 'none'}`)
  const time = readTime(timestamp, 's')
  if (time === undefined || typeof hash !== 'string' || typeof parentHash !== 'string')
    throw new HeaderRefusedError(`block ${number} has no timestamp, hash and parentHash`)
  return { number, time, hash: hash.toLowerCase(), parentHash: parentHash.toLowerCase(), fields }
}

function quantity(value: unknown): bigint | undefined {
  return typeof value === 'string' && /^0x[\da-f]{1,16}$/i.test(value) ? BigInt(value) : undefined
}
