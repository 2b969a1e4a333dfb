import { type BlockLink, type LedgerRow, PipeError } from '../sdk/index.js'
import { blockEnds, blocksOf } from '../ledger/hashes.js'
import { linkedIn } from '../ledger/seams.js'

/** Two readings of one step do not go on from each other: the chain was reorganized between them, or endpoints differ. Nothing of the later one is written. */
export class ForkSeenError extends PipeError {
  readonly code = 'FORK_SEEN'
  override readonly blame = 'outage'
  override readonly hint =
    'the endpoints of the chain give different forks: nothing was mixed, and the next run goes on when they agree with what is stored; `pipe reset FILE --step S --range A..B` has that read again'
  constructor(
    step: string,
    readonly block: bigint,
    [one, other]: readonly [string, string],
  ) {
    super(`step ${step}: block ${block} is ${one}, and what goes on from it says ${other}`)
  }
}

interface Said {
  readonly unit: string
  readonly hash: string
}

/**
 * Where readings of one step meet: the hash of a block, as its reader gave it, and as the reader of the next block did. Kept for
 * the ends of batches and units, until both units are done.
 */
export class Links {
  readonly #step: string
  readonly #hashes = new Map<bigint, Said>()
  readonly #parents = new Map<bigint, Said>()
  readonly #open = new Map<string, Set<bigint>>()

  /** @param rows Of the ledger, as far as they are done under the definition that counts now. */
  constructor(step: string, rows: readonly LedgerRow[]) {
    this.#step = step
    for (const row of rows) {
      const ends = blockEnds(row)
      for (const [number, hash] of blocksOf(row.coverage)) this.#hashes.set(number, { unit: row.unit, hash })
      for (const { unit, at, parentHash, lastHash } of ends ? linkedIn(row, ends) : []) {
        if (parentHash !== undefined) this.#parents.set(at[0] - 1n, { unit, hash: parentHash })
        if (lastHash !== undefined) this.#hashes.set(at[1], { unit, hash: lastHash })
      }
    }
    for (const block of [...this.#parents.keys()]) this.#forget(block)
  }

  /** Takes note of the ends of what was read, in the order of their numbers. @throws {ForkSeenError} when another reading contradicts it; then nothing of it is noted. */
  say(unit: string, blocks: readonly BlockLink[]): void {
    if (blocks.length === 0) return
    const ends = blocks.filter(({ number }, i) => blocks[i - 1]?.number !== number - 1n || blocks[i + 1]?.number !== number + 1n)
    for (const { number, hash, parentHash } of ends) {
      this.#compare(number, hash, this.#parents.get(number)?.hash)
      this.#compare(number - 1n, this.#hashes.get(number - 1n)?.hash, parentHash)
    }
    this.#note(unit, ends)
  }

  /** Forgets what an attempt at a unit said, but for what is committed: the rest is read again, perhaps from another fork. */
  forget(unit: string, committed: readonly BlockLink[]): void {
    for (const block of this.#open.get(unit) ?? [])
      for (const said of [this.#hashes, this.#parents]) if (said.get(block)?.unit === unit) said.delete(block)
    this.#open.set(unit, new Set())
    this.#note(unit, committed)
  }

  /** A unit is done: nothing of it is read again. */
  ended(unit: string): void {
    const blocks = this.#open.get(unit) ?? []
    this.#open.delete(unit)
    for (const block of blocks) this.#forget(block)
  }

  #note(unit: string, ends: readonly BlockLink[]): void {
    let open = this.#open.get(unit)
    if (!open) this.#open.set(unit, (open = new Set()))
    for (const { number, hash, parentHash } of ends) {
      if (hash !== undefined) this.#hashes.set(number, { unit, hash })
      if (parentHash !== undefined) this.#parents.set(number - 1n, { unit, hash: parentHash })
      open.add(number).add(number - 1n)
    }
  }

  /** Forgets where two units meet that are both done, or two batches of one. */
  #forget(block: bigint): void {
    const [one, other] = [this.#hashes.get(block), this.#parents.get(block)]
    if (!one || !other || this.#open.has(one.unit) || this.#open.has(other.unit)) return
    this.#hashes.delete(block)
    this.#parents.delete(block)
  }

  #compare(block: bigint, hash: string | undefined, parent: string | undefined): void {
    if (hash !== undefined && parent !== undefined && hash !== parent) throw new ForkSeenError(this.#step, block, [hash, parent])
  }
}
