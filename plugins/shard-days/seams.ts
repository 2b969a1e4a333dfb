import type { Json, RpcLog } from '../../src/sdk/authors.js'
import type { Header } from './times.js'

/** Where a time begins: its first block, and the time in microseconds UTC. */
export interface Border {
  readonly number: bigint
  readonly time: bigint
}

/** A page with the times at its ends. */
export interface Part {
  readonly from: bigint
  readonly to: bigint
  readonly logs: readonly RpcLog[]
  /** Of the blocks of its logs, where they are needed. */
  readonly headers: ReadonlyMap<bigint, Header>
  readonly evidence: Json
  readonly endpoints: readonly string[]
  /** Hash of the block before its first one, and of its last, where headers were read. */
  readonly parentHash?: string | undefined
  readonly lastHash?: string | undefined
  /** The block that the time of its first block begins with, and the one that the time behind its last one does. */
  readonly begins: Border
  readonly ends: Border
}

/**
 * Cuts pages where a time begins. What is read is told in time, and blocks may share one: those at the end of a page that have
 * the time of the next page's first go with that page, which waits for them.
 */
export class Seams {
  /** By the block that they begin with. */
  readonly #waiting = new Map<bigint, Part>()
  /** What goes with the page that begins with this block. */
  readonly #tails = new Map<bigint, Part>()

  /** The parts that are whole now. The times of one reach from `begins` to before `ends`. */
  add(part: Part): Part[] {
    const given: Part[] = []
    this.#waiting.set(part.from, part)
    for (let next: Part | undefined = part; next; next = this.#waiting.get(next.to + 1n)) {
      const tail = this.#tails.get(next.from)
      if (next.begins.number < next.from && !tail) break
      this.#waiting.delete(next.from)
      this.#tails.delete(next.from)
      const whole: Part = tail
        ? { ...next, logs: [...tail.logs, ...next.logs], headers: new Map([...tail.headers, ...next.headers]) }
        : next
      const { number } = whole.ends
      if (number <= whole.to) this.#tails.set(whole.to + 1n, { ...whole, logs: whole.logs.filter((log) => log.blockNumber >= number) })
      given.push(number <= whole.to ? { ...whole, logs: whole.logs.filter((log) => log.blockNumber < number) } : whole)
    }
    return given
  }
}
