/** Blocks of the first range where nothing is known: what most providers take. */
const START_BLOCKS = 1_000
/** Logs that a range is made for: half of the smallest cap that is common, and little enough to be held. */
const TARGET_LOGS = 5_000
/** Wider ranges save nothing, and what is read of one is lost when it fails. */
const MOST_BLOCKS = 100_000
/** Answers of exactly so many logs were cut off, as far as anybody can tell. */
const KNOWN_CAPS = [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000]

/** How many blocks to ask for at once, by how many logs of one filter they had. */
export class Sizes {
  readonly #caps = new Set(KNOWN_CAPS)
  #cap = Infinity
  /** Logs a block, lately. */
  #density: number | undefined
  /** The longest range that was answered lately. */
  #read = 0
  /** Most addresses, and most topics of one position, a call may name. */
  places = Infinity
  /** Whether any endpoint may offer eth_getLogs. */
  offered = true

  /** Whether any range was answered, so that the next ones may go together. */
  get known(): boolean {
    return this.#read > 0
  }

  /** @param expected Logs a block, where the caller knows. */
  blocks(expected: number | undefined): number {
    const density = this.#density ?? expected
    const target = Math.min(TARGET_LOGS, this.#cap / 2)
    const fitting = density === undefined || density === 0 ? Infinity : target / density
    const tried = this.#read === 0 ? (density === undefined ? START_BLOCKS : MOST_BLOCKS) : this.#read * 4
    return Math.max(1, Math.floor(Math.min(fitting, tried, MOST_BLOCKS)))
  }

  /** Whether a node may have left out what was beyond its cap. */
  isCap(logs: number): boolean {
    return this.#caps.has(logs)
  }

  answered(blocks: number, logs: number): void {
    const density = logs / blocks
    // Up at once, down slowly: busy stretches come in a row.
    this.#density = this.#density === undefined || density > this.#density ? density : this.#density * 0.7 + density * 0.3
    this.#read = Math.max(blocks, Math.floor(this.#read / 2))
  }

  /** A range had too many logs. `cap`: as the provider says. */
  crowded(blocks: number, cap: number | undefined): void {
    if (cap !== undefined) {
      this.#caps.add(cap)
      this.#cap = Math.min(this.#cap, cap)
    }
    this.#density = Math.max(this.#density ?? 0, (cap ?? Math.min(this.#cap, 2 * TARGET_LOGS)) / blocks)
  }
}

const MOST_KEPT = 32

/** The sizes of each filter that a step asks with; of the last ones, where it asks with ever new ones. */
export class SizesByFilter {
  readonly #sizes = new Map<string, Sizes>()

  of(filter: unknown): Sizes {
    const key = JSON.stringify(filter)
    const sizes = this.#sizes.get(key) ?? new Sizes()
    this.#sizes.delete(key)
    this.#sizes.set(key, sizes)
    for (const oldest of this.#sizes.keys()) if (this.#sizes.size > MOST_KEPT) this.#sizes.delete(oldest)
    return sizes
  }
}
