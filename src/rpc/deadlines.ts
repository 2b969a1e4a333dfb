import type { Exchange } from '../net/exchange.js'
import type { Clock } from '../sdk/index.js'

export interface DeadlinesOptions {
  readonly clock: Clock
  readonly timeoutMs: number
  readonly closed: AbortSignal
  /** Looks at one that has not reached its deadline, once a second. */
  readonly look: (exchange: Exchange, now: number) => void
  /** Does what nobody waits for. */
  readonly guarded: (work: () => void) => void
}

/** Requests under way, each of which is stopped at its deadline: one timer watches all of them. */
export class Deadlines {
  readonly #options: DeadlinesOptions
  /** In no order: a handful. */
  readonly #under: { readonly exchange: Exchange; deadline: number }[] = []
  #watching = false

  constructor(options: DeadlinesOptions) {
    this.#options = options
  }

  started(exchange: Exchange): void {
    this.#under.push({ exchange, deadline: this.#options.clock.monotonic() + this.#options.timeoutMs })
    this.#watch()
  }

  ended(exchange: Exchange): void {
    const place = this.#under.findIndex((under) => under.exchange === exchange)
    const last = this.#under.pop()
    if (last && last.exchange !== exchange) this.#under[place] = last
  }

  /** What is under way now. */
  all(): readonly Exchange[] {
    return this.#under.map(({ exchange }) => exchange)
  }

  #watch(): void {
    if (this.#watching || this.#under.length === 0) return
    const { clock, timeoutMs, closed, guarded, look } = this.#options
    this.#watching = true
    clock.sleep(Math.max(10, Math.min(1000, timeoutMs / 8)), closed).then(
      () =>
        guarded(() => {
          this.#watching = false
          const now = clock.monotonic()
          for (const under of [...this.#under]) {
            if (under.exchange.held) under.deadline = now + timeoutMs
            else if (under.deadline <= now) under.exchange.stop(`no complete answer in ${timeoutMs} ms`)
            else look(under.exchange, now)
          }
          this.#watch()
        }),
      () => {},
    )
  }
}
