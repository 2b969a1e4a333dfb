import { accountOf, type Clock } from '../sdk/index.js'

/** `budget` of an endpoint. */
export interface BudgetOptions {
  readonly creditsPerSecond: number
  /** Credits of a call, by method. */
  readonly costs: Readonly<Record<string, number>>
  /** Credits of a call of any other method. */
  readonly default: number
}

const SECOND = 1000
/** One that is told to wait for another's turn asks again after this. */
const TURN_MS = 5
/** One that does not come back for its turn has none any more. */
const GONE_MS = 1500

/**
 * Credits of one account: over any second no more are spent than one second has, by all who share it. Of several that wait the first to
 * wait comes first, so that none is starved by those who want less, or ask more often. Times are monotonic milliseconds.
 */
export class Credits {
  /** What was spent in the last second, the oldest first. */
  readonly #spent: { readonly at: number; readonly credits: number }[] = []
  #sum = 0
  /** Who waits, in the order they came, with when they last asked. */
  readonly #waiting = new Map<object, number>()

  constructor(readonly perSecond: number) {}

  /** Credits that may be spent now. */
  free(now: number): number {
    let over = 0
    for (const { at, credits } of this.#spent) {
      if (at + SECOND > now) break
      this.#sum -= credits
      over++
    }
    if (over > 0) this.#spent.splice(0, over)
    if (this.#spent.length === 0) this.#sum = 0
    return this.perSecond - this.#sum
  }

  /** When so many may be spent, as far as that depends on what was spent. */
  due(credits: number, now: number): number {
    let free = this.free(now)
    if (credits <= free) return now
    for (const { at, credits: spent } of this.#spent) {
      free += spent
      if (credits <= free) return at + SECOND
    }
    return now + SECOND
  }

  /** The same for `who`, who waits from now on unless it is its turn now. */
  turn(who: object, credits: number, now: number): number {
    for (const [other, at] of this.#waiting) if (now - at > GONE_MS) this.#waiting.delete(other)
    const due = this.due(credits, now)
    const [first = who] = this.#waiting.keys()
    if (due <= now && first === who) {
      this.#waiting.delete(who)
      return now
    }
    this.#waiting.set(who, now)
    return Math.max(due, now + TURN_MS)
  }

  /** Whether so many are free and nobody waits for any. */
  spare(credits: number, now: number): boolean {
    return this.#waiting.size === 0 && credits <= this.free(now)
  }

  spend(credits: number, now: number): void {
    this.free(now)
    this.#spent.push({ at: now, credits })
    this.#sum += credits
  }
}

/** What one endpoint may spend: the credits of its account, and what each method costs there. */
export class Budget {
  readonly credits: Credits
  readonly #costs: ReadonlyMap<string, number>
  readonly #default: number
  /** What the next call costs, once it was found to be too much for what was free. */
  #wanted = 0

  constructor(options: BudgetOptions, credits: Credits) {
    this.credits = credits
    this.#costs = new Map(Object.entries(options.costs))
    this.#default = options.default
  }

  /** Credits of a call. */
  of(method: string): number {
    return this.#costs.get(method) ?? this.#default
  }

  /** The next call costs so many, and they are not free yet. */
  wants(credits: number): void {
    this.#wanted = credits
  }

  /** Whether the next call waits for credits. */
  get short(): boolean {
    return this.#wanted > 0
  }

  /** When the next call may go. */
  due(now: number): number {
    return this.credits.due(this.#wanted, now)
  }

  /** The same for an endpoint that sends it then: see `Credits.turn`. */
  turn(now: number): number {
    const at = this.credits.turn(this, this.#wanted, now)
    // What is taken now may be something else.
    if (at <= now) this.#wanted = 0
    return at
  }

  /** Waits for a turn of its own, for a call that is in no queue. Returns what it costs. */
  async afford(method: string, clock: Clock, signal: AbortSignal): Promise<number> {
    const credits = this.of(method)
    const who = {}
    for (;;) {
      const now = clock.monotonic()
      const at = this.credits.turn(who, credits, now)
      if (at <= now) return credits
      await clock.sleep(at - now, signal)
    }
  }

  spend(credits: number, now: number): void {
    this.#wanted = 0
    this.credits.spend(credits, now)
  }
}

/** The budgets of all endpoints of a run: those of one account have the same credits. */
export class Budgets {
  readonly #accounts = new Map<string, Credits>()

  of(endpoint: {
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
    readonly budget?: BudgetOptions | undefined
  }): Budget | undefined {
    const { budget } = endpoint
    if (!budget) return undefined
    const account = accountOf(endpoint)
    let credits = this.#accounts.get(account)
    if (!credits) this.#accounts.set(account, (credits = new Credits(budget.creditsPerSecond)))
    return new Budget(budget, credits)
  }
}
