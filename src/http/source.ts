import type {
  Clock,
  HttpClient,
  HttpOptions,
  HttpReply,
  HttpRequest,
  PipeError,
  Random,
  RpcErrorClass,
  RunFact,
  UnfitReply,
} from '../sdk/index.js'
import { Exchange, type Outcome } from '../net/exchange.js'
import { Flight } from '../net/flight.js'
import { Line } from '../net/line.js'
import { Pace } from '../net/pace.js'
import type { Wait } from '../net/waits.js'
import { basicOf, type ProxyOf } from '../net/proxies.js'
import { type Scrub, scrubber, showText } from '../net/text.js'
import {
  HttpClosedError,
  HttpLoginError,
  HttpOriginError,
  HttpQuotaError,
  HttpRateError,
  HttpStatusError,
  HttpTooLargeError,
  HttpUnreachableError,
  HttpUnreadableError,
} from './errors.js'
import { statedRate } from './rate-headers.js'
import { readBody } from './reply.js'
import { said } from './said.js'

export interface SourceConfig {
  readonly name: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Where each header's value comes from, for messages: `X-API-Key` to `HIRO_API_KEY`. */
  readonly settings: Readonly<Record<string, string>>
  readonly requestsPerSecond: number | undefined
  /** Requests under way at once. */
  readonly concurrency: number | undefined
  /** For one request from its sending to the end of its body. */
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly retry: { readonly attempts: number; readonly waitMs: number; readonly maxWaitMs: number }
}

export interface SourceOptions {
  readonly source: SourceConfig
  readonly clock: Clock
  readonly random: Random
  readonly emit: (fact: RunFact) => void
  /** Of all answers that are being read. Default: of this source alone. */
  readonly flight?: Flight | undefined
  /** Default: the source is reached straight. */
  readonly proxyOf?: ProxyOf
}

/** A REST source that is open. */
export interface Source extends HttpClient {
  /** What is waited for now. */
  waits(): Wait
  /** Has a login that was refused tried again with the next request. */
  tryLogin(): void
  close(): Promise<void>
}

const CONCURRENCY = 4
/** Longer than this is a quota, not a rate. */
const QUOTA_AFTER_MS = 600_000
const RATE_WAIT_MS = 30_000
const RATE_FIRST_WAIT_MS = 1_000
/** Rate limits alone for so long are an error. */
const RATE_GIVE_UP_MS = 600_000
const REDIRECTS = 3
/** Statuses that lead elsewhere. Another one below 400 is no answer to what was asked: 304 is for those who sent a condition. */
const REDIRECTIONS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** A wait that people are told of. */
const ANNOUNCED_WAIT_MS = 1_000

/** Made once: a reason of its own for each request would cost a stack trace. */
const OVER = new Error('the request is over')

type Reply = Outcome & { readonly kind: 'reply' }
const NO_CONTENT = { kind: 'json' as const, body: null, exact: () => null }

/** Opens a source. Nothing is asked before the first `get`. */
export function openSource(options: SourceOptions): Source {
  return new RestSource(options)
}

class RestSource implements Source {
  readonly #config: SourceConfig
  readonly #clock: Clock
  readonly #random: Random
  readonly #emit: (fact: RunFact) => void
  readonly #url: URL
  readonly #host: string
  readonly #headers: Record<string, string>
  readonly #scrub: Scrub
  readonly #pace: Pace
  readonly #flight: Flight
  readonly #line: Line
  #closed = false
  #free: number
  readonly #waiting: (() => void)[] = []
  /** Nothing is sent before. Monotonic milliseconds; shared by all who ask. */
  #waitUntil = 0
  #rates = 0
  #ratedAt = -Infinity
  /** Requests under way, and when they were sent. */
  readonly #sentAt = new Map<Exchange, number>()
  /** Why nothing is sent before `#waitUntil`. */
  #reason: string | undefined
  #health: 'up' | 'waiting' | 'down' = 'up'
  #login: HttpLoginError | undefined

  constructor({ source, clock, random, emit, flight, proxyOf }: SourceOptions) {
    this.#config = source
    this.#flight = flight ?? new Flight()
    this.#clock = clock
    this.#random = random
    this.#emit = emit
    this.#url = new URL(source.url)
    this.#host = this.#url.host
    this.#headers = { accept: 'application/json', 'accept-encoding': 'gzip, br' }
    if (this.#url.username || this.#url.password) {
      const login = `${decodeURIComponent(this.#url.username)}:${decodeURIComponent(this.#url.password)}`
      this.#headers['authorization'] = basicOf(login)
    }
    for (const [name, value] of Object.entries(source.headers)) if (value !== '') this.#headers[name.toLowerCase()] = value
    const proxy = proxyOf?.(this.#url)
    this.#line = new Line(this.#url, proxy)
    this.#scrub = scrubber(this.#url, source.headers, proxy?.url)
    this.#pace = new Pace(source.requestsPerSecond)
    this.#free = source.concurrency ?? CONCURRENCY
  }

  async get(request: HttpRequest, { signal, unfit, again = 0 }: HttpOptions): Promise<HttpReply> {
    const path = 'place' in request ? this.#withOwnQuery(new URL(request.place, this.#url.origin)) : this.#pathOf(request)
    const { attempts, waitMs, maxWaitMs } = this.#config.retry
    let failures = 0
    let ratedSince: number | undefined
    // The whole wait: what is asked for again must not come from the same moment.
    if (again > 0) await this.#sleep(Math.min(maxWaitMs, waitMs * 2 ** (again - 1)), signal)
    for (;;) {
      if (this.#login) throw this.#login
      const { outcome, sentAt } = await this.#inTurn(path, signal)
      signal.throwIfAborted()
      const now = this.#clock.monotonic()
      const verdict = this.#judge(outcome, path, now, sentAt, unfit)
      if (verdict.kind === 'ok') return verdict.reply
      if (verdict.kind === 'crowded') continue
      if (verdict.kind === 'rated') {
        ratedSince ??= now
        if (now - ratedSince > RATE_GIVE_UP_MS)
          throw new HttpRateError(this.#config.name, Math.round((now - ratedSince) / 60_000), verdict.text)
        continue
      }
      ratedSince = undefined
      failures++
      if (failures >= attempts) {
        if (verdict.error) throw verdict.error
        this.#announce('down', verdict.text)
        throw new HttpUnreachableError(this.#config.name, verdict.text, failures)
      }
      const wait = Math.max(verdict.waitMs ?? 0, this.#random() * Math.min(maxWaitMs, waitMs * 2 ** (failures - 1)))
      this.#retried('SERVER', wait, verdict.text)
      await this.#sleep(wait, signal)
    }
  }

  waits(): Wait {
    const now = this.#clock.monotonic()
    return {
      endpoint: this.#host,
      requests: this.#sentAt.size,
      sinceMs: now - Math.min(now, ...this.#sentAt.values()),
      quietMs: this.#waiting.length > 0 || this.#sentAt.size === 0 ? Math.max(0, this.#waitUntil - now) : 0,
      reason: this.#reason,
    }
  }

  tryLogin(): void {
    this.#login = undefined
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#line.close()
  }

  /** Sends when it is its turn: by place, rate, and what the source asked for. */
  async #inTurn(path: string, signal: AbortSignal): Promise<{ readonly outcome: Outcome; readonly sentAt: number }> {
    await this.#place(signal)
    try {
      for (;;) {
        await this.#flight.room(signal)
        const wait = Math.max(this.#waitUntil, this.#pace.next()) - this.#clock.monotonic()
        if (wait <= 0) break
        await this.#sleep(wait, signal)
      }
      if (this.#login) throw this.#login
      if (this.#closed) throw new HttpClosedError(this.#config.name)
      return await this.#follow(path, signal)
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }

  async #place(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#free > 0) {
      this.#free--
      return
    }
    await new Promise<void>((resolve, reject) => {
      const stop = () => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1)
        reject(signal.reason as Error)
      }
      const go = () => {
        signal.removeEventListener('abort', stop)
        resolve()
      }
      signal.addEventListener('abort', stop, { once: true })
      this.#waiting.push(go)
    })
  }

  /** One request, with redirects inside the source. */
  async #follow(first: string, signal: AbortSignal): Promise<{ readonly outcome: Outcome; readonly sentAt: number }> {
    let path = first
    for (let hops = 0; ; hops++) {
      const sentAt = this.#clock.monotonic()
      this.#pace.take(sentAt)
      const outcome = await this.#send(path, signal)
      const ms = this.#clock.monotonic() - sentAt
      this.#emit({
        type: 'request',
        from: { source: this.#config.name },
        figures: { endpoint: this.#host, calls: 1, bytes: outcome.bytes, ms },
      })
      if (outcome.kind === 'failed' || !REDIRECTIONS.has(outcome.status)) return { outcome, sentAt }
      const location = header(outcome, 'location')
      const to =
        location !== undefined && URL.canParse(location, this.#url.origin + path) ? new URL(location, this.#url.origin + path) : undefined
      if (!to || to.origin !== this.#url.origin) throw new HttpOriginError(this.#config.name, 'redirect', to?.origin ?? 'nowhere')
      if (hops >= REDIRECTS) throw new HttpUnreachableError(this.#config.name, `more than ${REDIRECTS} redirects`, 1)
      path = to.pathname + to.search
    }
  }

  async #send(path: string, signal: AbortSignal): Promise<Outcome> {
    const { timeoutMs, maxBytes } = this.#config
    const timer = new AbortController()
    return new Promise<Outcome>((resolve) => {
      const exchange = new Get(maxBytes, this.#flight, (outcome) => {
        timer.abort(OVER)
        this.#sentAt.delete(exchange)
        signal.removeEventListener('abort', onAbort)
        resolve(outcome)
      })
      const onAbort = () => exchange.stop('stopped')
      signal.addEventListener('abort', onAbort, { once: true })
      this.#untilLate(exchange, timer.signal).then(
        () => exchange.stop(`no whole reply within ${timeoutMs / 1000} s`),
        () => undefined,
      )
      this.#sentAt.set(exchange, this.#clock.monotonic())
      this.#line.send({ path, method: 'GET', headers: this.#headers }, exchange)
    })
  }

  /** Resolves when a request has had its time. What it waits for others to be read is no time of its own. */
  async #untilLate(exchange: Exchange, signal: AbortSignal): Promise<void> {
    do await this.#clock.sleep(this.#config.timeoutMs, signal)
    while (exchange.held)
  }

  /** What a reply means for the request and for the source as a whole. Throws what another try would not change. */
  #judge(outcome: Outcome, path: string, now: number, sentAt: number, unfit: HttpOptions['unfit']): Verdict {
    if (outcome.kind === 'failed') {
      if (outcome.cause === 'crowded') return { kind: 'crowded' }
      if (outcome.cause === 'unreadable') return this.#unreadable(path, outcome.text)
      if (outcome.cause === 'too-large')
        throw new HttpTooLargeError(this.#config.name, this.#shown(path), Math.min(this.#config.maxBytes, this.#flight.most))
      return { kind: 'failed', text: this.#show(outcome.text) }
    }
    const { status } = outcome
    const stated = statedRate(outcome.headers, this.#clock.now())
    if (status >= 200 && status < 300) {
      const read = status === 204 ? NO_CONTENT : readBody(outcome)
      if (read.kind === 'broken') return { kind: 'failed', text: this.#show(`HTTP ${status}: ${read.text}`) }
      if (read.kind === 'unreadable') return this.#unreadable(path, read.text)
      const wait = stated.retryAfterMs ?? stated.emptyMs
      if (read.kind === 'words') {
        const { text, error } = this.#unreadable(path, read.text)
        return this.#refused({ text, retry: true, error }, now, sentAt, wait)
      }
      const reply = this.#replyOf(outcome, read, path)
      const against = unfit?.(reply)
      if (against) return this.#refused(against, now, sentAt, wait)
      this.#pace.answered(now)
      this.#rates = 0
      if (stated.emptyMs !== undefined && stated.emptyMs <= QUOTA_AFTER_MS) this.#wait(now, stated.emptyMs, 'its rate limit is used up')
      else this.#announce('up')
      return { kind: 'ok', reply }
    }
    const text = this.#show(`HTTP ${status}: ${outcome.text}`)
    // Some answer 403 for too many requests, and say so in the headers.
    const limited = status === 429 || (status === 403 && (stated.retryAfterMs !== undefined || stated.emptyMs !== undefined))
    if (limited) return this.#rated(now, sentAt, stated.retryAfterMs ?? stated.emptyMs, text)
    if (status === 401 || status === 403 || status === 407) {
      throw this.#notLetIn(text)
    }
    if (status === 402) throw this.#usedUp(stated.retryAfterMs ?? 3_600_000, text)
    if (status < 400 || status >= 500 || status === 408 || status === 425) {
      if (stated.retryAfterMs !== undefined && stated.retryAfterMs > QUOTA_AFTER_MS) throw this.#usedUp(stated.retryAfterMs, text)
      if (stated.retryAfterMs !== undefined) this.#wait(now, stated.retryAfterMs, text)
      return { kind: 'failed', text, waitMs: stated.retryAfterMs }
    }
    throw new HttpStatusError(this.#config.name, status, this.#shown(path), this.#show(outcome.text))
  }

  /** A reply of status 200 that tells of an error is taken as one of the status that it should have had. */
  #refused(against: UnfitReply, now: number, sentAt: number, statedMs: number | undefined): Verdict {
    const text = this.#show(against.text)
    const { class: kind, waitMs = statedMs } = said(against)
    if (kind === 'AUTH') throw this.#notLetIn(text)
    if (kind === 'RATE') return this.#rated(now, sentAt, waitMs, text)
    if (kind === 'QUOTA') {
      if (waitMs !== undefined && waitMs <= QUOTA_AFTER_MS) return this.#rated(now, sentAt, waitMs, text)
      throw this.#usedUp(waitMs ?? 3_600_000, text)
    }
    if (!against.retry) throw against.error
    return { kind: 'failed', text, waitMs, error: against.error }
  }

  /** Bytes that are no text, or a text that is no JSON. A damaged one may come whole on another try. */
  #unreadable(path: string, text: string): Verdict & { readonly kind: 'failed'; readonly error: PipeError } {
    const shown = this.#show(text)
    return { kind: 'failed', text: shown, error: new HttpUnreadableError(this.#config.name, this.#shown(path), shown) }
  }

  #notLetIn(text: string): HttpLoginError {
    this.#login = new HttpLoginError(this.#config.name, text, this.#setting())
    this.#announce('down', text)
    this.#retried('AUTH', 0, text)
    return this.#login
  }

  #rated(now: number, sentAt: number, statedMs: number | undefined, text: string): Verdict {
    if (statedMs !== undefined && statedMs > QUOTA_AFTER_MS) throw this.#usedUp(statedMs, text)
    this.#pace.refused(now, sentAt)
    if (sentAt >= this.#ratedAt) {
      this.#rates++
      this.#ratedAt = now
    }
    const jitter = this.#random() * Math.min(RATE_WAIT_MS, RATE_FIRST_WAIT_MS * 2 ** (this.#rates - 1))
    const wait = statedMs ?? jitter
    this.#wait(now, wait, text)
    this.#retried('RATE', wait, text)
    return { kind: 'rated', text }
  }

  #usedUp(waitMs: number, text: string): HttpQuotaError {
    this.#announce('down', text)
    this.#retried('QUOTA', 0, text)
    return new HttpQuotaError(this.#config.name, waitMs, text)
  }

  #replyOf(outcome: Reply, { body, exact }: Pick<HttpReply, 'body' | 'exact'>, path: string): HttpReply {
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(outcome.headers))
      if (value !== undefined) headers[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value
    return { status: outcome.status, headers, body, exact, place: (address) => this.#placeOf(address, path) }
  }

  /** An address that a reply names, without what is secret of the source. */
  #placeOf(address: string, path: string): string {
    const base = this.#url.origin + path
    const to = URL.canParse(address, base) ? new URL(address, base) : undefined
    if (!to || to.origin !== this.#url.origin) throw new HttpOriginError(this.#config.name, 'next page', to?.origin ?? this.#show(address))
    for (const [name, value] of [...to.searchParams])
      if (this.#url.searchParams.has(name) || this.#scrub(value) !== value) to.searchParams.delete(name)
    return to.pathname + to.search
  }

  #pathOf({ path, query = {} }: Extract<HttpRequest, { path: string }>): string {
    const url = new URL(this.#url.origin)
    const [before = '', search = ''] = path.split('?', 2)
    url.pathname = `${this.#url.pathname.replace(/\/+$/, '')}/${before.replace(/^\/+/, '')}`
    url.search = search
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value))
    return this.#withOwnQuery(url)
  }

  /** With the query of the source's own URL (a key), which goes with every request. */
  #withOwnQuery(url: URL): string {
    for (const [name, value] of this.#url.searchParams) url.searchParams.set(name, value)
    return url.pathname + url.search
  }

  /** Which settings may be wrong when we are not let in. */
  #setting(): string {
    const { name, headers, settings } = this.#config
    const parts = Object.entries(settings).map(([header, variable]) => {
      const empty = !headers[header] ? ', which is empty and was not sent' : ''
      return `the header ${header} of sources.${name}${variable === '' ? '' : ` (${variable})`}${empty}`
    })
    return parts.length > 0 ? parts.join(' and ') : `sources.${name}: it has no headers, so perhaps a key is missing`
  }

  #wait(now: number, ms: number, reason: string): void {
    this.#waitUntil = Math.max(this.#waitUntil, now + ms)
    this.#reason = reason
    if (ms >= ANNOUNCED_WAIT_MS) this.#announce('waiting', reason)
  }

  #announce(health: 'up' | 'waiting' | 'down', reason?: string): void {
    if (this.#health === health) return
    this.#health = health
    this.#emit({
      type: 'endpoint',
      from: { source: this.#config.name },
      endpoint: this.#host,
      health,
      reason,
    })
  }

  #retried(kind: RpcErrorClass, waitMs: number, message: string): void {
    const source = this.#config.name
    this.#emit({ type: 'retry', from: { source }, endpoint: this.#host, class: kind, calls: 1, waitMs: Math.round(waitMs), message })
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(ms, signal)
    signal.throwIfAborted()
  }

  #show(text: string): string {
    return showText(text, this.#scrub) || 'no message'
  }

  /** A path for messages: as far as it says what was asked for. */
  #shown(path: string): string {
    return showText(path, this.#scrub)
  }
}

type Verdict =
  | { readonly kind: 'ok'; readonly reply: HttpReply }
  /** `error`: thrown after the last attempt, where the source can be reached and what it says is of no use. */
  | { readonly kind: 'failed'; readonly text: string; readonly waitMs?: number | undefined; readonly error?: PipeError }
  /** Not its fault: no attempt is used up. */
  | { readonly kind: 'rated'; readonly text: string }
  /** It had to make room for others. */
  | { readonly kind: 'crowded' }

class Get extends Exchange {
  constructor(
    maxBytes: number,
    flight: Flight,
    readonly whenDone: (outcome: Outcome) => void,
  ) {
    super(maxBytes, flight)
  }

  protected done(outcome: Outcome): void {
    this.whenDone(outcome)
  }
}

const header = (reply: Reply, name: string): string | undefined => {
  const value = reply.headers[name]
  return Array.isArray(value) ? value[0] : value
}
