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

/** A request that has ended and counts. */
export interface Counted {
  readonly request: CallRequest
  readonly outcome: Outcome
  /** When it ended. */
  readonly at: number
}

/** A late request, and the parts in which another endpoint was sent the same calls: one, unless it takes fewer calls a request. */
export interface Hedge {
  readonly late: CallRequest
  readonly parts: readonly CallRequest[]
  /** Parts that came whole, and wait for the others. */
  readonly whole: Counted[]
}

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
 * first whole answer counts, and the other one is stopped. One that takes fewer calls a request is sent parts.
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
    const { endpoint, queue, segments, sentAt } = request
    this.#left--
    const parts = partsOf(request, other).map((load) => this.#options.send(other, queue, load, now))
    const hedge = { late: request, parts, whole: [] }
    for (const each of [request, ...parts]) {
      each.hedge = hedge
      each.hedged = true
    }
    const from = { chain: this.#options.chain.name }
    const ms = Math.round(now - sentAt)
    this.#options.emit({ type: 'hedge', from, endpoint: endpoint.name, to: other.name, calls: segments.length, ms })
  }

  /** Which requests count now that one has ended: of a late one and its parts the first whole answer does, or whatever the last of them brings. */
  counted(request: CallRequest, outcome: Outcome, now: number): readonly Counted[] {
    const { hedge, beaten } = request
    const own = { request, outcome, at: now }
    if (!hedge) return beaten ? [] : [own]
    const { late, parts, whole } = hedge
    const others = parts.filter((part) => part !== request && whole.every((each) => each.request !== part))
    if (request === late) {
      close(hedge)
      if (!isWhole(outcome)) return whole
      for (const part of others) beat(part, now)
      return [own]
    }
    if (isWhole(outcome)) whole.push(own)
    else for (const part of others) beat(part, now)
    if (isWhole(outcome) && others.length > 0) return []
    close(hedge)
    if (!isWhole(outcome)) return []
    beat(late, now)
    return whole
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

function close({ late, parts }: Hedge): void {
  for (const each of [late, ...parts]) each.hedge = undefined
}

/** The others were quicker: what still comes of it is nothing, and that it was late is all that is held against its endpoint. */
function beat(request: CallRequest, now: number): void {
  request.beaten = true
  request.endpoint.latency.took(request.kind, now - request.sentAt, now)
  request.stop('another endpoint has answered')
}

/** What an endpoint is sent of a request: no more calls at once than it takes. */
function partsOf(request: CallRequest, { limits, budget }: Endpoint): Load[] {
  const { segments, indexes, load } = request
  return Array.from({ length: Math.ceil(segments.length / limits.batch) }, (_, part) => {
    const [from, to] = [part * limits.batch, Math.min(segments.length, (part + 1) * limits.batch)]
    return {
      segments: segments.slice(from, to),
      indexes: indexes.slice(from, to),
      bytes: (load.bytes * (to - from)) / segments.length,
      credits: budget ? request.cost(budget, from, to) : 0,
    }
  })
}

/** Whether an outcome answers every call of its request. */
function isWhole(outcome: Outcome): boolean {
  return outcome.kind === 'reply' && outcome.status === 200 && !PARTIAL.test(outcome.text)
}

/** Whether an endpoint may be sent the request now, by all of its limits. A rate that is known lets one request go, and no parts. */
function hasRoom(endpoint: Endpoint, request: CallRequest, now: number): boolean {
  const { health, full, rating, limits, under, parallel, waitUntil, pace, budget } = endpoint
  const parts = Math.ceil(request.segments.length / limits.batch)
  if (health !== 'up' || full || rating || waitUntil > now || pace.next() > now) return false
  if (parts > 1 && (pace.perSecond < Infinity || under + parts > parallel)) return false
  return request.queue.under + parts <= request.queue.parallel && (!budget || budget.credits.spare(request.cost(budget), now))
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
