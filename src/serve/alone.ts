/** Lets works of one name happen one after the other: a file of DuckDB is open in one process at a time. */
export class Alone {
  readonly #last = new Map<string, Promise<unknown>>()

  async do<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name) ?? Promise.resolve()
    const mine = before.then(work, work)
    this.#last.set(name, mine)
    try {
      return await mine
    } finally {
      if (this.#last.get(name) === mine) this.#last.delete(name)
    }
  }
}
