/** With more runs than this the values count as unordered. */
const MOST = 1_000

/** Which of two values is higher, as `Array.sort` takes it; undefined where nothing can be said. Of one value with itself: 0, or undefined. */
export type Compare<T> = (a: T, b: T) => number | undefined

/** Values as stretches in which they only rise or only fall. Much cheaper than to remember each of them. */
export class Runs<T> {
  readonly #compare: Compare<T>
  readonly #runs: { low: T; high: T; rises: boolean | undefined }[] = []
  #last: { readonly value: T } | undefined

  constructor(compare: Compare<T>) {
    this.#compare = compare
  }

  /** What follows is a run of its own: lists of several writers are each in order, and not one behind the other. */
  begin(): void {
    this.#last = undefined
  }

  /** Returns false when the value has no order or there are too many runs, so that nothing can be said. */
  add(value: T): boolean {
    const order = this.#compare(value, this.#last ? this.#last.value : value)
    if (order === undefined) return false
    const run = this.#last && this.#runs[this.#runs.length - 1]
    this.#last = { value }
    if (run && order > 0 && run.rises !== false) {
      run.rises = true
      run.high = value
      return true
    }
    if (run && order < 0 && run.rises !== true) {
      run.rises = false
      run.low = value
      return true
    }
    return this.#runs.push({ low: value, high: value, rises: undefined }) <= MOST
  }

  /** Whether no two runs overlap, so that no value came twice. False says nothing. */
  apart(): boolean {
    const sorted = this.#runs.toSorted((a, b) => this.#compare(a.low, b.low) ?? 0)
    return sorted.every(({ low }, i) => {
      const before = sorted[i - 1]
      return !before || (this.#compare(low, before.high) ?? 0) > 0
    })
  }
}
