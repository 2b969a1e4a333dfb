import type { RpcCall } from '../sdk/index.js'
import { isLogs } from './classify.js'
import { kindOf, oldestOf, rangeOf } from './methods.js'
import { RangeLimit } from './range-limit.js'

/** So many requests must have been refused before an endpoint is believed to lack something. */
const BELIEVED_AFTER = 3
const FIRST_MS = 60_000
const MOST_MS = 600_000
/** Above every block: the border of a method that an endpoint does not know. */
const ALL = 2n ** 256n
const RECEIPTS = 'eth_getBlockReceipts'

/** What an endpoint has refused of one kind of method. */
interface Lack {
  /** Lowest and highest block that it refused. What is not above the highest is its border, as long as that is believed. */
  lowest: bigint
  highest: bigint
  hits: number
  hitAt: number
  /** Monotonic milliseconds; undefined while it is not believed. */
  until: number | undefined
  /** What it said of a method that it does not answer, and for how long that is believed. */
  text: string | undefined
  ms: number
}

/** A method that an endpoint is believed not to answer. */
export interface Lacking {
  readonly method: string
  readonly text: string
  readonly ms: number
}

/** So many blocks are remembered whose receipts it did not give together. */
const MOST_WITHHELD = 256

/**
 * What one endpoint does not answer: what the file says of it, and what it has shown, by kind of method (state, headers,
 * receipts, logs, traces), each with a border of its own. A border is believed after several refusals, for a while, and until
 * an answer disproves it. It only decides who is asked first: whether a call fails is the matter of its own refusals.
 */
export class Refusals {
  readonly #lacks = new Map<string, Lack>()
  readonly #times = new Map<string, number>()
  /** Kinds of which it gave a wrong answer, until when others are asked first. */
  readonly #wrong = new Map<string, number>()
  /** Blocks that one call for logs may ask for, by what it refused. */
  readonly range: RangeLimit
  /** Blocks, as they were asked for, whose receipts it did not give together, with what it said. */
  readonly #withheld = new Map<string, string>()
  #believed = 0

  /**
   * @param maxBlockRange Most blocks that one call for logs may ask for; undefined where the file does not say.
   * @param learnedRange The same, as an earlier run has found.
   */
  constructor(
    readonly maxBlockRange: number | undefined,
    learnedRange?: number,
  ) {
    this.range = new RangeLimit(learnedRange)
  }

  /** Whether any call needs a closer look before it is sent. */
  get any(): boolean {
    return this.#believed > 0 || this.#wrong.size > 0 || this.maxBlockRange !== undefined || this.range.most < Infinity
  }

  /** Most blocks that one call for logs should ask for. */
  get mostBlocks(): number {
    return Math.min(this.range.most, this.maxBlockRange ?? Infinity)
  }

  /** Whether a call for logs asks for more blocks than `maxBlockRange`. Without two numbers nobody knows, and it is sent. */
  tooLong(call: RpcCall): boolean {
    if (this.maxBlockRange === undefined || !isLogs(call.method)) return false
    const range = rangeOf(call)
    return range !== undefined && range.to - range.from >= BigInt(this.maxBlockRange)
  }

  /** Whether it is believed to lack what the call asks for, to refuse that many blocks, or to answer wrongly. */
  lacks(call: RpcCall): boolean {
    if (this.#wrong.has(kindOf(call.method))) return true
    if (this.range.most < Infinity && isLogs(call.method)) {
      const range = rangeOf(call)
      if (range && Number(range.to - range.from) >= this.range.most) return true
    }
    if (this.#believed === 0) return false
    if (this.#lacks.get(call.method)?.until !== undefined) return true
    const lack = this.#lacks.get(kindOf(call.method))
    if (lack?.until === undefined) return false
    const block = oldestOf(call)
    return block !== undefined && block <= lack.highest
  }

  /** Whether it is believed not to answer the method at all. */
  knowsNot(method: string): Lacking | undefined {
    const lack = this.#believed > 0 ? this.#lacks.get(method) : undefined
    return lack?.until === undefined || lack.text === undefined ? undefined : { method, text: lack.text, ms: lack.ms }
  }

  /** The methods that it is believed not to answer. */
  get lacking(): readonly Lacking[] {
    return this.#believed === 0 ? [] : [...this.#lacks.keys()].flatMap((method) => this.knowsNot(method) ?? [])
  }

  /** A request that went at `sentAt` was refused since the endpoint does not have the block. Those under way together count once. */
  refused(now: number, sentAt: number, call: RpcCall): void {
    const block = oldestOf(call)
    if (block !== undefined) this.#add(now, sentAt, kindOf(call.method), block)
  }

  /** The same, since it does not answer the method. `text`: what it says. */
  unsupported(now: number, sentAt: number, { method }: RpcCall, text: string): void {
    this.#add(now, sentAt, method, ALL, text)
  }

  /** It did not give the receipts of a block together, in these words. That is no lack yet: it may not have them. */
  withheld({ method, params: [block] }: RpcCall, text = 'null for blocks that have some'): void {
    if (method !== RECEIPTS || typeof block !== 'string') return
    if (this.#withheld.size >= MOST_WITHHELD) this.#withheld.clear()
    this.#withheld.set(block.toLowerCase(), text)
  }

  /** It gave a receipt. Where it withheld all those of the block together, it has them, and does not give them so. */
  gaveReceipt(now: number, sentAt: number, receipt: unknown): void {
    if (this.#withheld.size === 0) return
    const { blockNumber, blockHash } = receipt as { readonly blockNumber?: unknown; readonly blockHash?: unknown }
    for (const block of [blockNumber, blockHash]) {
      const text = typeof block === 'string' ? this.#withheld.get(block.toLowerCase()) : undefined
      if (typeof block !== 'string' || text === undefined) continue
      this.#withheld.delete(block.toLowerCase())
      this.#add(now, sentAt, RECEIPTS, ALL, text)
    }
  }

  /** It gave a wrong answer. One more makes the time longer in which others are asked first. */
  wrong(now: number, call: RpcCall): void {
    const kind = kindOf(call.method)
    const ms = this.#times.get(kind) ?? FIRST_MS
    this.#times.set(kind, Math.min(MOST_MS, ms * 2))
    this.#wrong.set(kind, now + ms)
  }

  /** An answer disproves every lack of its kind at its block and above. */
  answered(call: RpcCall): void {
    if (this.#lacks.size === 0) return
    this.#delete(call.method)
    const kind = kindOf(call.method)
    const lack = this.#lacks.get(kind)
    const block = lack && oldestOf(call)
    if (!lack || block === undefined || block > lack.highest) return
    const { lowest } = lack
    this.#delete(kind)
    // A refusal further below is not disproved, but it no longer stands for more than itself.
    if (lowest < block) this.#lacks.set(kind, { ...lack, highest: block - 1n, hits: 1, until: undefined })
  }

  /** Forgets what was believed for long enough. */
  refresh(now: number): void {
    for (const [kind, until] of this.#wrong) if (until <= now) this.#wrong.delete(kind)
    if (this.#believed === 0) return
    for (const [of, { until }] of this.#lacks) if (until !== undefined && until <= now) this.#delete(of)
  }

  #add(now: number, sentAt: number, of: string, block: bigint, text?: string): void {
    let lack = this.#lacks.get(of)
    if (!lack) this.#lacks.set(of, (lack = { lowest: block, highest: block, hits: 0, hitAt: -Infinity, until: undefined, text, ms: 0 }))
    if (block < lack.lowest) lack.lowest = block
    if (block > lack.highest) lack.highest = block
    if (sentAt < lack.hitAt) return
    lack.hits++
    lack.hitAt = now
    if (lack.hits < BELIEVED_AFTER || lack.until !== undefined) return
    const ms = this.#times.get(of) ?? FIRST_MS
    this.#times.set(of, Math.min(MOST_MS, ms * 2))
    lack.until = now + ms
    lack.ms = ms
    lack.text = text
    this.#believed++
  }

  #delete(of: string): void {
    if (this.#lacks.get(of)?.until !== undefined) this.#believed--
    this.#lacks.delete(of)
  }
}
