import type { Hex } from './source.js'

const maxBalance = 2n ** 256n - 1n

/** Balances after every block, kept as the changes of each account. */
export class Accounts {
  readonly #changes = new Map<Hex, { readonly blocks: number[]; readonly balances: bigint[] }>()

  latest(address: Hex): bigint {
    return this.#changes.get(address)?.balances.at(-1) ?? 0n
  }

  /** The balance after `block`. */
  at(address: Hex, block: number): bigint {
    const changes = this.#changes.get(address)
    if (!changes) return 0n
    let low = 0
    let high = changes.blocks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (changes.blocks[middle]! <= block) low = middle + 1
      else high = middle
    }
    return low === 0 ? 0n : changes.balances[low - 1]!
  }

  /** From `block` on. Blocks never go back, except by `rewind`. What is above 2^256-1 is cut off there. */
  set(address: Hex, block: number, balance: bigint): void {
    const changes = this.#changes.get(address)
    const exact = balance > maxBalance ? maxBalance : balance
    if (!changes) {
      this.#changes.set(address, { blocks: [block], balances: [exact] })
    } else if (changes.blocks.at(-1) === block) {
      changes.balances[changes.balances.length - 1] = exact
    } else {
      changes.blocks.push(block)
      changes.balances.push(exact)
    }
  }

  /** Forgets what happened after `block`. */
  rewind(block: number): void {
    for (const { blocks, balances } of this.#changes.values()) {
      while (blocks.length > 0 && blocks.at(-1)! > block) {
        blocks.pop()
        balances.pop()
      }
    }
  }
}
