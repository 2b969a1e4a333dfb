/** With more runs than this the integers count as unordered. */
const MOST = 1_000

/** Integers as stretches in which they only rise or only fall. Much cheaper than to remember each of them. */
export class Runs {
  readonly #runs: { low: bigint; high: bigint; rises: boolean | undefined }[] = []
  #last: bigint | undefined

  /** What follows is a run of its own: lists of several writers are each in order, and not one behind the other. */
  begin(): void {
    this.#last = undefined
  }

  /** Returns false when the value is no integer or there are too many runs, so that nothing can be said. */
  add(value: unknown): boolean {
    if (typeof value !== 'bigint') return false
    const last = this.#last
    const run = last === undefined ? undefined : this.#runs[this.#runs.length - 1]
    this.#last = value
    if (run && last !== undefined && value > last && run.rises !== false) {
      run.rises = true
      run.high = value
      return true
    }
    if (run && last !== undefined && value < last && run.rises !== true) {
      run.rises = false
      run.low = value
      return true
    }
    return this.#runs.push({ low: value, high: value, rises: undefined }) <= MOST
  }

  /** Whether no two runs overlap, so that no value came twice. False says nothing. */
  apart(): boolean {
    const sorted = this.#runs.toSorted((a, b) => (a.low < b.low ? -1 : 1))
    return sorted.every(({ low }, i) => i === 0 || low > (sorted[i - 1]?.high ?? low))
  }
}
