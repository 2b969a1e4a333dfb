/** So many whole ranges must go well before a longer one is tried, at first and at most. */
const FIRST_PATIENCE = 4
const MOST_PATIENCE = 256

/**
 * How many blocks one endpoint may be asked for in one call for logs. Without a refusal there is no limit. A refusal sets it
 * to what the provider says, else to half; it grows back by doubling, and each try that is refused makes the next one rarer.
 */
export class RangeLimit {
  #most: number
  #fine = 0
  #patience = FIRST_PATIENCE
  #tried = false

  /** @param learned What an earlier run ended with. */
  constructor(learned?: number) {
    this.#most = learned ?? Infinity
  }

  get most(): number {
    return this.#most
  }

  /** What the next run begins with: a longer range that is only about to be tried has shown nothing yet. */
  get learned(): number {
    return this.#tried ? this.#most / 2 : this.#most
  }

  /** Blocks of a call that was answered. */
  answered(blocks: number): void {
    if (blocks < this.#most) return
    this.#tried = false
    if (++this.#fine < this.#patience) return
    this.#fine = 0
    this.#most *= 2
    this.#tried = true
  }

  /** Blocks of a call that was refused as too many, and how many the provider says would work. */
  refused(blocks: number, stated?: number): void {
    const most = Math.max(1, stated !== undefined && stated < blocks ? stated : Math.floor(blocks / 2))
    // Those that went together are refused together, and say nothing new.
    if (most >= this.#most) return
    if (this.#tried) this.#patience = Math.min(MOST_PATIENCE, this.#patience * 2)
    this.#tried = false
    this.#fine = 0
    this.#most = most
  }
}
