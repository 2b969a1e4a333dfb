import { type Clock, formatDuration, type RunFact } from '../sdk/index.js'
import type { Endpoint } from './endpoint.js'

/** What was found out about an endpoint, for the next run. */
export interface LearnedEndpoint {
  readonly endpoint: string
  readonly batch: number
  readonly maxBatch: number | undefined
  readonly parallel: number
  /** Blocks of one call for logs; undefined as long as none was refused. */
  readonly maxBlockRange: number | undefined
}

export interface LearnedOptions {
  readonly chain: { readonly name: string }
  readonly clock: Clock
  readonly emit: (fact: RunFact) => void
  /** Called whenever `all` gives something else than before. */
  readonly onLearned?: (() => void) | undefined
}

const LIMITS_EVENT_MS = 1_000

/** What the endpoints of a chain have shown of themselves in this run: kept for the next one, and told as it changes. */
export class Learned {
  readonly #options: LearnedOptions
  readonly #endpoints = new Map<string, LearnedEndpoint>()
  readonly #told = new Map<Endpoint, { at: number; batch: number; parallel: number }>()

  /** Endpoints with methods of which it was said that they don't answer them. */
  readonly #lacking = new Set<string>()

  constructor(options: LearnedOptions) {
    this.#options = options
  }

  /** Of the endpoints that were asked. */
  all(): readonly LearnedEndpoint[] {
    return [...this.#endpoints.values()]
  }

  /** Keeps what is known of an endpoint now. One that never answered has shown nothing but what it refused. */
  keep({ name, limits, refusals, lastSuccess }: Endpoint): void {
    const { batch, maxBatch, parallel } = limits
    const range = refusals.range.learned
    const maxBlockRange = range < Infinity ? range : undefined
    if (lastSuccess === -Infinity && maxBatch === undefined) return
    const before = this.#endpoints.get(name)
    if (
      before &&
      before.batch === batch &&
      before.maxBatch === maxBatch &&
      before.parallel === parallel &&
      before.maxBlockRange === maxBlockRange
    )
      return
    this.#endpoints.set(name, { endpoint: name, batch, maxBatch, parallel, maxBlockRange })
    this.#options.onLearned?.()
  }

  /** Tells the limits of an endpoint, now and then, and once which method it does not answer. */
  tell(endpoint: Endpoint, now: number): void {
    this.#tellLacking(endpoint)
    const { batch, parallel } = endpoint.limits
    const told = this.#told.get(endpoint)
    if (told && (now - told.at < LIMITS_EVENT_MS || (told.batch === batch && told.parallel === parallel))) return
    this.#told.set(endpoint, { at: now, batch, parallel })
    const { chain, emit } = this.#options
    const creditsPerSecond = endpoint.budget?.credits.perSecond
    emit({ type: 'limits', from: { chain: chain.name }, endpoint: endpoint.name, batch, parallel, creditsPerSecond })
  }

  #tellLacking({ name, refusals }: Endpoint): void {
    for (const { method, text, ms } of refusals.lacking) {
      const told = `${name} ${method}`
      if (this.#lacking.has(told)) continue
      this.#lacking.add(told)
      const meanwhile = `what it gives is asked for in other ways, and it is looked at again in ${formatDuration(ms)}`
      const { chain, emit } = this.#options
      emit({ type: 'warning', message: `${chain.name}: ${name} does not answer ${method} (${text}): ${meanwhile}` })
    }
  }
}
