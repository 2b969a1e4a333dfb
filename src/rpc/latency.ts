/** Requests of one kind that are remembered, and as few as say something. */
const REMEMBERED = 100
const ENOUGH = 20
/** A new time counts so much beside those before. */
const NEW = 0.2
/** What was measured counts half after this: who was slow is tried again. */
const HALF_MS = 10_000

/** How long the requests of one endpoint take. Milliseconds. */
export class Latency {
  readonly #kinds = new Map<string, { readonly times: number[]; next: number }>()
  #mean = 0
  #at = -Infinity

  /** A request of this kind was answered. */
  took(kind: string, ms: number, now: number): void {
    this.#mean = this.#mean === 0 ? ms : this.expected(now) * (1 - NEW) + ms * NEW
    this.#at = now
    let known = this.#kinds.get(kind)
    if (!known) this.#kinds.set(kind, (known = { times: [], next: 0 }))
    known.times[known.next] = ms
    known.next = (known.next + 1) % REMEMBERED
  }

  /** What a request may be expected to take, by the last ones; 1 where nothing is known, or nothing any more. */
  expected(now: number): number {
    return Math.max(1, this.#mean * 0.5 ** ((now - this.#at) / HALF_MS))
  }

  /** What 95 of 100 requests of this kind keep within; undefined before there were enough. */
  usual(kind: string): number | undefined {
    const times = this.#kinds.get(kind)?.times ?? []
    return times.length < ENOUGH ? undefined : [...times].sort((a, b) => a - b)[Math.ceil(times.length * 0.95) - 1]
  }
}
