import type { Wait } from '../net/waits.js'
import { type Clock, formatDuration, type RunFact } from '../sdk/index.js'

export interface WatchdogOptions {
  readonly clock: Clock
  readonly emit: (fact: RunFact) => void
  /** A number that changes when something moves. */
  moved(): number
  /** Whether there is anything that could move: not between two rounds. */
  working(): boolean
  /** What endpoints are waited for. */
  waits(): readonly Wait[]
  /** What else is known of steps and endpoints, in words. */
  steps(): string
  /** `duckdb`, `postgres`: what statements are under way in. */
  readonly warehouse: string
}

const LOOK_MS = 5_000
/** Told first after this time, then once a minute. */
const FIRST_MS = 30_000
const EVERY_MS = 60_000

/** Says what a run waits for that does not get on. */
export class Watchdog {
  readonly #options: WatchdogOptions
  readonly #statements = new Map<symbol, number>()
  readonly #stop = new AbortController()
  readonly #watching: Promise<void>

  constructor(options: WatchdogOptions) {
    this.#options = options
    this.#watching = this.#watch()
  }

  /** The same object, each call of which is known while it is under way. */
  watching<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, key) => {
        const value: unknown = Reflect.get(target, key, target)
        if (typeof value !== 'function') return value
        return (...args: unknown[]): unknown => this.#during(Reflect.apply(value as (...given: unknown[]) => unknown, target, args))
      },
    })
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#watching
  }

  #during(result: unknown): unknown {
    if (!(result instanceof Promise)) return result
    const key = Symbol('statement')
    this.#statements.set(key, this.#options.clock.monotonic())
    return result.finally(() => this.#statements.delete(key))
  }

  async #watch(): Promise<void> {
    const { clock, emit, moved, working } = this.#options
    const { signal } = this.#stop
    let last = moved()
    // Looks are counted, not the time: a machine that slept has not waited.
    let stillMs = 0
    for (;;) {
      await clock.sleep(LOOK_MS, signal).catch(() => undefined)
      if (signal.aborted) return
      const now = moved()
      stillMs = now === last && working() ? stillMs + LOOK_MS : 0
      last = now
      if (stillMs >= FIRST_MS && (stillMs - FIRST_MS) % EVERY_MS === 0) emit({ type: 'run:waiting', ms: stillMs, for: this.#words() })
    }
  }

  #words(): string {
    const { clock, waits, steps, warehouse } = this.#options
    const now = clock.monotonic()
    const begun = [...this.#statements.values()]
    const statements =
      begun.length === 0
        ? []
        : [`${begun.length === 1 ? 'a statement' : `${begun.length} statements`} in ${warehouse} since ${long(now - Math.min(...begun))}`]
    return [...waits().flatMap((wait) => wordsOf(wait, clock.now())), ...statements, steps()].join('; ')
  }
}

/** @param utc Milliseconds UTC now. */
function wordsOf({ endpoint, requests, sinceMs, quietMs, reason }: Wait, utc: number): string[] {
  const words: string[] = []
  if (requests > 0) words.push(`${requests === 1 ? 'a request' : `${requests} requests`} to ${endpoint} since ${long(sinceMs)}`)
  if (quietMs > 0) {
    const until = new Date(utc + quietMs).toISOString().slice(11, 19)
    words.push(`endpoint ${endpoint}, which gets nothing until ${until} UTC${reason === undefined ? '' : ` (${reason})`}`)
  }
  return words
}

const long = (ms: number) => formatDuration(Math.max(1_000, Math.round(ms / 1_000) * 1_000))
