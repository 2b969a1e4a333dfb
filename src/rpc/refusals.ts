import type { RpcCall } from '../sdk/index.js'
import { isLogs } from './classify.js'
import { rangeOf } from './methods.js'

/** What one endpoint does not answer: what the file says of it, and what it has shown, for as long as that is believed. */
export class Refusals {
  /** Methods that it does not have, with its words. */
  readonly unsupported = new Map<string, string>()
  #lacking: { readonly block: bigint; readonly text: string; readonly until: number } | undefined
  #lackHits = 0
  #lackMs = 60_000

  /** @param maxBlockRange Most blocks that one call for logs may ask for; undefined where the file does not say. */
  constructor(readonly maxBlockRange: number | undefined) {}

  /** Whether any call needs a closer look before it is sent. */
  get any(): boolean {
    return this.unsupported.size > 0 || this.#lacking !== undefined || this.maxBlockRange !== undefined
  }

  /** Whether a call for logs asks for more blocks than `maxBlockRange`. Without two numbers nobody knows, and it is sent. */
  tooLong(call: RpcCall): boolean {
    if (this.maxBlockRange === undefined || !isLogs(call.method)) return false
    const range = rangeOf(call)
    return range !== undefined && range.to - range.from >= BigInt(this.maxBlockRange)
  }

  /** It lacks the state of blocks up to this one, as its words say. */
  get lacking(): { readonly block: bigint; readonly text: string } | undefined {
    return this.#lacking
  }

  /** It said that it lacks the state of a block; twice is enough to believe it for a while. */
  lacks(now: number, block: bigint, text: string): void {
    if (++this.#lackHits < 2) return
    const before = this.#lacking
    if (!before) this.#lackMs = Math.min(600_000, this.#lackMs * 2)
    this.#lacking = { block: before && before.block > block ? before.block : block, text, until: now + this.#lackMs }
  }

  /** Forgets what it lacked when that is long ago. */
  refresh(now: number): void {
    if (!this.#lacking || now < this.#lacking.until) return
    this.#lacking = undefined
    this.#lackHits = 0
  }
}
