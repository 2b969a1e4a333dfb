import type { Classified } from './classify.js'
import type { Given, Member } from './anchors.js'
import { Connection } from './connection.js'
import type { EndpointTrouble } from './errors.js'
import type { Exchange, Outcome } from '../net/exchange.js'
import { Latency } from './latency.js'
import { Limits } from './limits.js'
import type { Budget, BudgetOptions } from '../net/budget.js'
import { Pace } from '../net/pace.js'
import { type Ask, AskError, askBlock, askChainId, askHead, Question, readQuestion } from './questions.js'
import { Refusals } from './refusals.js'
import type { CallRequest } from './request.js'
import { showText } from '../net/text.js'
import type { Surroundings } from './surroundings.js'
import { ENDPOINT_BYTES } from './weights.js'

export interface EndpointConfig {
  readonly url: string
  readonly maxWorkers: number | undefined
  /** Lower is asked first. */
  readonly priority: number
  readonly requestsPerSecond: number | undefined
  /** Most blocks of one call for logs. A call that asks for more goes to another endpoint. */
  readonly maxBlockRange: number | undefined
  readonly headers: Readonly<Record<string, string>>
  /** Credits a second. Undefined: none are counted. */
  readonly budget?: BudgetOptions | undefined
}

/** `out`: never asked again in this run (until `outUntil`). */
export type Health = 'unchecked' | 'up' | 'down' | 'out'

const CHECKS = 5
const FIRST_WAIT_MS = 500
const MAX_WAIT_MS = 8_000
const PROBE_MS = 5_000
const MAX_PROBE_MS = 60_000
const RATE_WAIT_MS = 30_000
const QUOTA_MS = 3_600_000
/** So many calls at a time may break every request that they are in, before it is the endpoint that answers none. */
const POISONED = 3
/** So long a first check may end at "too many requests", before the endpoint is down. */
const ONLY_RATES_MS = 600_000
/** A node that refuses to give a block is asked once more after this. */
const AGAIN_MS = 250
/** So often a check may end at a block that never comes, before that says nothing about the endpoint. */
const SILENT = 3

/** One endpoint: its health, and what it may be asked when. Shown by host only. */
export class Endpoint implements Member {
  readonly limits: Limits
  readonly pace: Pace
  /** Undefined where none is given. */
  readonly budget: Budget | undefined
  readonly priority: number
  readonly latency = new Latency()
  readonly refusals: Refusals
  health: Health = 'unchecked'
  reason = 'not asked yet'
  head: bigint | undefined
  headAt = -Infinity
  /** Nothing is sent before. */
  waitUntil = 0
  lastSuccess = -Infinity
  /** When it last had a word for some call, though it be that it lacks what was asked for. */
  lastAnswer = -Infinity
  /** Calls that got no answer since the last one that did, as many as are of interest. */
  readonly #unanswered = new Set<object>()
  vouched = false
  readonly met: Promise<void>

  readonly #connection: Connection
  readonly #around: Surroundings
  #under = 0
  #bytes = 0
  #checking: Promise<void> | undefined
  #checkedAt = -Infinity
  /** When it was first tried, as long as nothing is known of it. */
  #triedAt: number | undefined
  #refreshing: Promise<void> | undefined
  /** When a question of our own went that has no answer yet. */
  #askedAt: number | undefined
  #failures = 0
  #failedAt = -Infinity
  #probes = 0
  #downSince = -Infinity
  #retryAt = 0
  #outUntil = Infinity
  #rates = 0
  #ratedAt = -Infinity
  #why: 'login' | 'quota' | 'chain' | undefined
  #meet = (): void => undefined
  #silent = 0

  constructor(
    config: EndpointConfig,
    readonly name: string,
    around: Surroundings,
    learned: { readonly batch?: number; readonly maxBatch?: number; readonly parallel?: number; readonly maxBlockRange?: number },
  ) {
    this.#around = around
    this.met = new Promise((resolve) => (this.#meet = resolve))
    this.#connection = new Connection(config.url, config.headers, around.proxyOf)
    this.refusals = new Refusals(config.maxBlockRange, learned.maxBlockRange)
    this.priority = config.priority
    this.limits = new Limits({ ...learned, parallelCeiling: config.maxWorkers })
    this.pace = new Pace(config.requestsPerSecond)
    this.budget = around.budgets.of(config)
  }

  /** Requests it may have under way now. */
  get parallel(): number {
    // One that fails gets one request at a time until one goes well.
    return this.#failures >= 2 ? 1 : this.limits.parallel
  }

  /** Whether it has as much under way as it may have: of requests, or of what their answers are going to weigh. */
  get full(): boolean {
    return this.#under >= this.parallel || (this.#under > 0 && this.#bytes >= ENDPOINT_BYTES)
  }

  get checking(): boolean {
    return this.#checking !== undefined
  }

  /** Whether it is asked for its head, and has not answered or was not sent the question yet. */
  get refreshing(): boolean {
    return this.#refreshing !== undefined
  }

  /** Since when it has not answered what its head is, monotonic. */
  get silentSince(): number | undefined {
    return this.#refreshing && this.#askedAt
  }

  /** Requests with calls of steps that are under way; questions of our own do not count. */
  get under(): number {
    return this.#under
  }

  get why(): 'login' | 'quota' | 'chain' | undefined {
    return this.#why
  }

  /** Whether it answers, or may be about to. */
  get hopeful(): boolean {
    return this.health === 'up' || this.health === 'unchecked'
  }

  /** Whether it has a block, as far as its head is known. */
  reaches(block: bigint | undefined): boolean {
    return block === undefined || this.head === undefined || block <= this.head
  }

  /** When a request may go, unless it is full; not in the past where nothing is in the way. */
  dueFor(now: number): number {
    return Math.max(this.waitUntil, this.pace.next(), this.budget?.due(now) ?? 0)
  }

  /** The same where one goes then: of those that share a budget, each has its turn. */
  turn(now: number): number {
    const at = Math.max(this.waitUntil, this.pace.next())
    return at > now || !this.budget ? at : this.budget.turn(now)
  }

  /** Until when a call that waits for it since `since` may hope, monotonic: for its head, or for its return. */
  hopeUntil(since: number, patienceMs: number): number {
    if (this.health === 'out') return -Infinity
    return (this.health === 'down' ? this.#downSince : since) + patienceMs
  }

  /** Whether the last thing it said was "too many requests". */
  get rating(): boolean {
    return this.#rates > 0
  }

  /** When its next check or probe is due; never for one that is up. */
  get dueAt(): number {
    return this.health === 'up' ? Infinity : this.health === 'out' ? this.#outUntil : this.#retryAt
  }

  get trouble(): EndpointTrouble {
    return { endpoint: this.name, reason: this.reason }
  }

  /** Text of the provider, fit to be shown. */
  show(text: string): string {
    return showText(text, this.#connection.scrub) || 'no message'
  }

  /** Sends the calls of a step. `ended` is to be called when the request has its outcome. */
  send(request: CallRequest, body: string): void {
    this.#under++
    this.#bytes += request.load.bytes
    this.#send(request, body, request.load.credits)
  }

  ended(request: CallRequest): void {
    this.#under--
    this.#bytes -= request.load.bytes
  }

  /**
   * Does what is due: the first check, a probe of an endpoint that is down, the end of a quota. `alone`: no other
   * endpoint is left, so a probe is not put off. Returns when something will be due.
   */
  tend(now: number, alone: boolean): number {
    if (this.health === 'out' && now >= this.#outUntil) {
      const reason = this.#why === 'login' ? 'its login may be right now' : 'its quota may have been renewed'
      this.#why = undefined
      this.#triedAt = undefined
      this.#set('unchecked', reason)
    }
    if (this.health === 'up' || this.health === 'out' || this.#checking) return Infinity
    const due = this.health === 'down' && alone ? Math.min(this.#retryAt, this.#checkedAt + 2_000) : this.#retryAt
    if (now < due) return due
    void this.check()
    return Infinity
  }

  /** Asks for chain id, head and the blocks that endpoints share. Never throws: the outcome is in `health`. */
  check(): Promise<void> {
    this.#checking ??= this.#check()
      .catch((error: unknown) => this.#around.broken(error))
      .finally(() => {
        this.#meet()
        this.#checking = undefined
        this.#checkedAt = this.#around.clock.monotonic()
        this.#around.changed()
      })
    return this.#checking
  }

  /** Asks for the head again unless that was done just now. Never throws. */
  refreshHead(maxAgeMs: number): Promise<void> {
    if (this.#around.clock.monotonic() - this.headAt < maxAgeMs) return Promise.resolve()
    this.#refreshing ??= askHead(this.#ask)
      .then((head) => this.#setHead(head))
      .catch((error: unknown) => this.#checkFailed(error))
      .catch((error: unknown) => this.#around.broken(error))
      .finally(() => {
        this.#refreshing = undefined
        this.headAt = this.#around.clock.monotonic()
        this.#around.changed()
      })
    return this.#refreshing
  }

  /** A call got no answer. Returns whether several did not, and none did: then it is hardly the call. */
  failsAll(call: object): boolean {
    if (this.#unanswered.size <= POISONED) this.#unanswered.add(call)
    return this.#unanswered.size > POISONED
  }

  /** A request brought at least one answer. */
  succeeded(now: number): void {
    this.#unanswered.clear()
    this.lastSuccess = now
    this.#failures = 0
    this.#rates = 0
    this.#probes = 0
    if (this.#announced === 'waiting') this.#announce('up')
  }

  /** A request that went at `sentAt` brought nothing. Those that were under way together count once. */
  failed(now: number, sentAt: number, reason: string): number {
    this.reason = reason
    if (sentAt < this.#failedAt) return Math.max(0, this.waitUntil - now)
    this.#failures++
    this.#failedAt = now
    if (this.#failures >= CHECKS) this.#down(now, `${reason} (${this.#failures} times)`)
    if (this.#failures < 2) return 0
    return this.#wait(now, this.#jitter(this.#failures - 1, MAX_WAIT_MS))
  }

  /** "Too many requests". Returns how long nothing is sent. */
  rated(now: number, sentAt: number, statedMs: number | undefined, reason: string): number {
    this.reason = reason
    this.limits.tooFast(now, this.pace.perSecond < Infinity && !this.pace.searching)
    this.pace.refused(now, sentAt)
    if (sentAt >= this.#ratedAt) {
      this.#rates++
      this.#ratedAt = now
    } else if (statedMs === undefined) {
      return Math.max(0, this.waitUntil - now)
    }
    return this.#wait(now, Math.max(statedMs ?? 0, this.#jitter(this.#rates, RATE_WAIT_MS)))
  }

  /** Not asked any more: refused by us or by itself. */
  leave(why: 'login' | 'quota' | 'chain', reason: string, forMs = Infinity): void {
    if (this.health === 'out') return
    this.#why = why
    this.#outUntil = this.#around.clock.monotonic() + forMs
    this.#set('out', reason)
    this.#around.emit({ type: 'warning', message: `${this.#around.chain.name}: ${this.name} is not asked any more: ${reason}` })
  }

  /** Has a refused login tried again: keys are put right while a run waits. */
  tryLogin(now: number): void {
    if (this.health === 'out' && this.#why === 'login') this.#outUntil = now
  }

  /** What the class of a refusal means for the endpoint as a whole. Returns how long nothing is sent. */
  refused(now: number, sentAt: number, classified: Classified, text: string): number {
    switch (classified.class) {
      case 'RATE':
        return this.rated(now, sentAt, classified.waitMs, text)
      case 'QUOTA':
        this.leave('quota', text, classified.waitMs ?? QUOTA_MS)
        return 0
      case 'AUTH':
        this.leave('login', text)
        return 0
      default:
        return this.failed(now, sentAt, text)
    }
  }

  redirected(location: string): void {
    const refused = this.#connection.redirect(location)
    if (refused !== undefined) this.leave('login', `redirects to ${refused}, which is not followed: put that address into the file`)
  }

  async block(number: bigint): Promise<Given> {
    try {
      const given = await askBlock(this.#ask, number)
      if ('hash' in given) return given
      await this.#around.clock.sleep(AGAIN_MS, this.#around.closed)
      return await askBlock(this.#ask, number)
    } catch (error) {
      // It has just said which chain it is of, so it is this block that it never gives.
      if (!(error instanceof AskError) || ['RATE', 'QUOTA'].includes(error.classified.class) || ++this.#silent < SILENT) throw error
      return { nothing: error.message }
    }
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  async #check(): Promise<void> {
    const { chain, anchors, clock } = this.#around
    this.#triedAt ??= clock.monotonic()
    try {
      const id = await askChainId(this.#ask)
      if (id !== BigInt(chain.id)) return this.leave('chain', `chain id ${id}, expected ${chain.id} (${chain.name})`)
      this.#setHead(await askHead(this.#ask))
      if (anchors.wanted) {
        const checked = await anchors.check(this, this.#meet)
        if ('refused' in checked) return this.leave('chain', checked.refused)
        this.vouched = checked.vouched
      }
      this.#failures = 0
      this.#probes = 0
      this.#set('up', 'up')
    } catch (error) {
      this.#checkFailed(error)
    }
  }

  #checkFailed(error: unknown): void {
    if (!(error instanceof AskError)) {
      if (!this.#around.closed.aborted) this.#around.broken(error)
      return
    }
    const now = this.#around.clock.monotonic()
    const { classified } = error
    if (classified.class === 'QUOTA' || classified.class === 'AUTH') return void this.refused(now, now, classified, error.message)
    if (classified.class === 'RATE') {
      this.rated(now, now, classified.waitMs, error.message)
      if (this.health === 'unchecked' && now - (this.#triedAt ?? now) > ONLY_RATES_MS) this.#down(now, error.message)
      this.#retryAt = Math.max(this.#retryAt, this.waitUntil)
      return
    }
    this.reason = error.message
    if (this.health === 'up') return void this.failed(now, now, error.message)
    this.#failures++
    if (this.#failures >= CHECKS || this.health === 'down') this.#down(now, `${error.message} (${this.#failures} tries)`)
    else this.#retryAt = now + this.#jitter(this.#failures, MAX_WAIT_MS)
  }

  #down(now: number, reason: string): void {
    if (this.health !== 'down') this.#downSince = now
    this.#retryAt = now + Math.min(MAX_PROBE_MS, PROBE_MS * 2 ** this.#probes++)
    this.#set('down', reason)
  }

  #setHead(head: bigint): void {
    this.head = head
    this.headAt = this.#around.clock.monotonic()
  }

  readonly #ask: Ask = async (method, params) => {
    const { clock, closed, maxBytes, flight, emit, chain } = this.#around
    const wait = Math.max(this.pace.next(), this.waitUntil) - clock.monotonic()
    if (wait > 0) await clock.sleep(wait, closed)
    const credits = (await this.budget?.afford(method, clock, closed)) ?? 0
    const sentAt = clock.monotonic()
    this.#askedAt = sentAt
    const outcome = await new Promise<Outcome>((resolve) => {
      const question = new Question(maxBytes, flight, resolve, this.#around.ended)
      this.#send(question, `{"jsonrpc":"2.0","id":1,"method":"${method}","params":${JSON.stringify(params)}}`, credits)
    })
    this.#askedAt = undefined
    emit({
      type: 'request',
      from: { chain: chain.name },
      figures: { endpoint: this.name, calls: 1, bytes: outcome.bytes, ms: clock.monotonic() - sentAt, credits: this.budget && credits },
    })
    if (outcome.kind === 'reply') this.pace.answered(clock.monotonic())
    return readQuestion(outcome, method, clock.now(), this)
  }

  #send(exchange: Exchange, body: string, credits: number): void {
    const now = this.#around.clock.monotonic()
    this.pace.take(now, this.limits.trying)
    this.budget?.spend(credits, now)
    this.#around.started(exchange)
    this.#connection.send(exchange, body)
  }

  #wait(now: number, ms: number): number {
    this.waitUntil = Math.max(this.waitUntil, now + ms)
    if (this.waitUntil - now >= 1000 && this.health === 'up') this.#announce('waiting')
    return this.waitUntil - now
  }

  #jitter(round: number, max: number): number {
    return this.#around.random() * Math.min(max, FIRST_WAIT_MS * 2 ** (round - 1))
  }

  #set(health: Health, reason: string): void {
    if (this.health === 'out' && health !== 'unchecked') return
    this.health = health
    this.reason = reason
    if (health !== 'unchecked') this.#announce(health === 'up' ? 'up' : 'down')
  }

  #announced: 'up' | 'waiting' | 'down' | undefined
  #announce(health: 'up' | 'waiting' | 'down'): void {
    if (this.#announced === health) return
    this.#announced = health
    const { emit, chain } = this.#around
    emit({
      type: 'endpoint',
      from: { chain: chain.name },
      endpoint: this.name,
      health,
      ...(health === 'up' ? {} : { reason: this.reason }),
    })
  }
}
