/**
 * Things that come and go, in no order, each of which remembers where it lies.
 *
 * A `Set` or `Map` will not do for what comes and goes by the thousand: it makes a new table when the old one is full, and V8
 * lets the old one refer to the new. Once an old table has lived for a while, the quick collector keeps whatever comes into
 * any later one, so that every call with its answer was copied twice and left to the slow collector.
 */
export class Bag<T extends { index: number }> {
  readonly #items: T[] = []

  /** `item.index` belongs to the bag from now on. */
  add(item: T): void {
    item.index = this.#items.push(item) - 1
  }

  /** The item must be in the bag. */
  delete(item: T): void {
    // It holds `item`, so there is a last one.
    const last = this.#items.pop() as T
    if (last === item) return
    this.#items[item.index] = last
    last.index = item.index
  }

  get size(): number {
    return this.#items.length
  }

  /** What is in it now. */
  all(): T[] {
    return [...this.#items]
  }
}
