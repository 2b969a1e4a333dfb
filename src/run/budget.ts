/** The requests that a step may make in one run. */
export class Budget {
  readonly most: number
  #left: number

  constructor(most: number | undefined) {
    this.most = most ?? Infinity
    this.#left = this.most
  }

  /** Takes one; false when none is left. */
  take(): boolean {
    if (this.#left <= 0) {
      this.refused = true
      return false
    }
    this.#left--
    return true
  }

  /** Whether a unit asked for a request when none was left. */
  refused = false

  /** The budget as one unit sees it: it takes from the same requests, and knows whether this unit was refused one. */
  share(): BudgetShare {
    const share = {
      refused: false,
      take: () => {
        const granted = this.take()
        share.refused ||= !granted
        return granted
      },
    }
    return share
  }
}

export interface BudgetShare {
  take(): boolean
  readonly refused: boolean
}
