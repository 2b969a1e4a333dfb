import { COVERAGE_STATES, type Stretch } from './coverage.js'

/**
 * Stretches that follow each other, apart and with neighbours of one state joined. They lie in three arrays of numbers: a million of
 * them, which differ from neighbour to neighbour, take 17 MB.
 */
export class Line implements Iterable<Stretch> {
  #from = new Float64Array(16)
  #to = new Float64Array(16)
  #state = new Uint8Array(16)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Adds one that begins after all the others, or goes on from the last. */
  add({ from, to, state }: Stretch): void {
    const code = COVERAGE_STATES.indexOf(state)
    const last = this.#length - 1
    if (last >= 0 && this.#state[last] === code && (this.#to[last] ?? 0) + 1 >= from) {
      this.#to[last] = Math.max(this.#to[last] ?? 0, to)
      return
    }
    if (this.#length === this.#from.length) this.#grow()
    this.#from[this.#length] = from
    this.#to[this.#length] = to
    this.#state[this.#length++] = code
  }

  at(i: number): Stretch | undefined {
    const [from, to, state] = [this.#from[i], this.#to[i], COVERAGE_STATES[this.#state[i] ?? 0]]
    return i < 0 || i >= this.#length || from === undefined || to === undefined || !state ? undefined : { from, to, state }
  }

  /** The first that ends at or after a place, by halving. */
  firstAt(place: number): number {
    let [low, high] = [0, this.#length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#to[middle] ?? 0) < place) low = middle + 1
      else high = middle
    }
    return low
  }

  *[Symbol.iterator](): Generator<Stretch> {
    for (let i = 0; i < this.#length; i++) yield this.at(i) as Stretch
  }

  #grow(): void {
    const more = this.#length * 2
    const [from, to, state] = [new Float64Array(more), new Float64Array(more), new Uint8Array(more)]
    from.set(this.#from)
    to.set(this.#to)
    state.set(this.#state)
    this.#from = from
    this.#to = to
    this.#state = state
  }
}
