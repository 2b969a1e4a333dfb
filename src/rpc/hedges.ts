import type { Outcome } from '../net/exchange.js'
import type { RunFact } from '../sdk/index.js'
import type { Endpoint } from './endpoint.js'
import { sooner } from './choose.js'
import { outlook } from './outlook.js'
import type { CallRequest } from './request.js'
import type { Load, StepQueue } from './step-queue.js'

/** A request is late after so many times what is usual at its endpoint, and never before the floor. */
const TIMES = 3
const FLOOR_MS = 2_000
/** The same where nobody knows what is usual. */
const UNKNOWN_MS = 10_000
/** Of the requests that have ended, so many may be hedged; those that were not needed are kept for later, up to a few. */
const SHARE = 0.05
const MOST = 5

/** An answer of which some call has none: an error, or nothing. */
const PARTIAL = /"error"\s*:\s*\{|"result"\s*:\s*null/

export interface HedgesOptions {
  readonly chain: { readonly name: string }
  readonly endpoints: readonly Endpoint[]
  readonly emit: (fact: RunFact) => void
  readonly send: (endpoint: Endpoint, queue: StepQueue, load: Load, now: number) => CallRequest
}

/**
 * Sends requests that are late to another endpoint, too. At most one in twenty: what is slow everywhere is left as it is. Of the two the
 * first whole answer counts, and the other one is stopped.
 */
export class Hedges {
  readonly #options: HedgesOptions
  #left = 1

  constructor(options: HedgesOptions) {
    this.#options = options
  }

  /** A request has been answered, or has failed. */
  ended(): void {
    this.#left = Math.min(MOST, this.#left + SHARE)
  }

  /** Hedges a request that is late, where another endpoint may answer it. */
  look(request: CallRequest, now: number): void {
    if (this.#left < 1 || !isLate(request, now)) return
    const other = this.#other(request, now)
    if (!other) return
    const { endpoint, queue, load, segments, sentAt } = request
    this.#left--
    const credits = other.budget ? request.cost(other.budget) : 0
    request.twin = this.#options.send(other, queue, { ...load, credits }, now)
    request.twin.twin = request
    request.hedged = true
    request.twin.hedged = true
    const from = { chain: this.#options.chain.name }
    const ms = Math.round(now - sentAt)
    this.#options.emit({ type: 'hedge', from, endpoint: endpoint.name, to: other.name, calls: segments.length, ms })
  }

  /** Whether the outcome of a request counts: the first whole answer of two does, or whatever the last of them brings. */
  wins(request: CallRequest, outcome: Outcome, now: number): boolean {
    const { twin, beaten } = request
    if (!twin) return !beaten
    request.twin = undefined
    twin.twin = undefined
    if (!isWhole(outcome)) return false
    twin.beaten = true
    // That it was late is all that is held against it.
    twin.endpoint.latency.took(twin.kind, now - twin.sentAt, now)
    twin.stop('another endpoint has answered')
    return true
  }

  #other(request: CallRequest, now: number): Endpoint | undefined {
    const { endpoints } = this.#options
    let best: Endpoint | undefined
    for (const other of endpoints) {
      if (other === request.endpoint || (best && !sooner(other, best, now))) continue
      if (hasRoom(other, request, now) && mayAnswer(other, request, now, endpoints)) best = other
    }
    return best
  }
}

/** Whether a request has taken far longer than its endpoint usually does, while that takes what it is sent. */
function isLate({ endpoint, queue, kind, sentAt, hedged }: CallRequest, now: number): boolean {
  const ms = now - sentAt
  if (ms < FLOOR_MS || hedged || endpoint.rating || queue.under >= queue.parallel) return false
  const usual = endpoint.latency.usual(kind)
  return ms >= (usual === undefined ? UNKNOWN_MS : Math.max(FLOOR_MS, usual * TIMES))
}

/** Whether an outcome answers every call of its request. */
function isWhole(outcome: Outcome): boolean {
  return outcome.kind === 'reply' && outcome.status === 200 && !PARTIAL.test(outcome.text)
}

/** Whether an endpoint may be sent the request now, by all of its limits. */
function hasRoom(endpoint: Endpoint, request: CallRequest, now: number): boolean {
  const { health, full, rating, limits, waitUntil, pace, budget } = endpoint
  if (health !== 'up' || full || rating || request.segments.length > limits.batch) return false
  if (waitUntil > now || pace.next() > now) return false
  return !budget || budget.credits.spare(request.cost(budget), now)
}

/** Whether it has what every call asks for, as far as anyone knows. What is asked of one endpoint alone is asked of no other. */
function mayAnswer(endpoint: Endpoint, request: CallRequest, now: number, endpoints: readonly Endpoint[]): boolean {
  let open = false
  for (let i = 0; i < request.segments.length; i++) {
    const { segment, index } = request.place(i)
    if (segment.only) return false
    if (segment.settled) continue
    open = true
    const asked = { call: request.call(i), reach: segment.reach, only: undefined, state: segment.states.get(index) }
    const found = outlook(asked, endpoints, now, request.queue.patienceMs)
    if (found.next !== 'ask' || !found.endpoints.includes(endpoint)) return false
  }
  return open
}
