import { setMaxListeners } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Clock, Json } from '../../sdk/index.js'
import { systemClock } from '../clock.js'
import { Listener } from '../listener.js'
import { seededRandom } from '../random.js'
import { isWireFault, send, sendDamaged } from '../wire.js'
import type { Reply } from '../wire.js'
import { changeBody, changePage, refuse } from './damage.js'
import { ApiArming } from './fault.js'
import type { ApiFault, ArmedApiFault } from './fault.js'
import { BadRequestError, jsonReply, whole } from './page.js'
import { marketChart } from './prices.js'
import { routes } from './routes.js'
import type { FakeApi } from './world.js'

export interface ServeApiOptions {
  /** Default: one that is free. */
  readonly port?: number
  /** Most rows of a page; a request for more gets a 400. Default 50. */
  readonly maxLimit?: number
  /** Whether rows at a bound of time (`end_time`, `before`, `end`) are inside it. Default inclusive. */
  readonly bound?: 'inclusive' | 'exclusive'
  /** Shows only what is at least so many seconds older than the newest row. Default 0. */
  readonly lag?: number
  /** Refuses requests without this header with 401. */
  readonly requires?: { readonly header: string; readonly value: string }
  readonly faults?: readonly ApiFault[]
  /** Replies of the test's own, by path. They are asked before the built-in ones. */
  readonly routes?: Readonly<Record<string, (request: ApiRequest) => Json>>
  /** Called for each request before it is answered: to grow the world while it is read. */
  readonly before?: (request: ApiRequest) => void
  /** False keeps `totals` only: for millions of requests. Default true. */
  readonly log?: boolean
  /** Of everything random about its faults. Default 1. */
  readonly seed?: number
  /** Time for latency, slow replies, rate limits and the end of prices. Default: the machine's. */
  readonly clock?: Clock
}

/** One request as it came in, and what became of it. */
export interface ApiRequest {
  /** When it came, by the server's monotonic clock, in milliseconds. */
  readonly at: number
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: IncomingHttpHeaders
  /** Requests open at this server when it came, itself included. */
  readonly inFlight: number
  /** Undefined while it waits, and for ever when the client left first. */
  readonly answer: ApiAnswer | undefined
}

export interface ApiAnswer {
  readonly at: number
  /** 0 when no HTTP answer was given: dropped, reset before headers, hanging. */
  readonly status: number
  /** Bytes of body sent. */
  readonly bytes: number
  /** Rows of its page, before any fault of the body. */
  readonly rows: number
  /** Kinds of faults that struck. Empty: the truth was told. */
  readonly faults: readonly ApiFault['kind'][]
}

export interface ApiTotals {
  readonly requests: number
  readonly rows: number
  readonly bytesOut: number
  /** Requests by path. */
  readonly paths: Readonly<Record<string, number>>
  /** Most requests open at one time. */
  readonly peakInFlight: number
}

/** A REST API on 127.0.0.1 that tells the truth except where a fault says otherwise. */
export interface ApiServer {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string
  /** Shows only what is at least so many seconds older than the newest row. */
  lag(seconds: number): void
  /** Puts a fault in place. Faults are tried in the order in which they came. */
  fault(fault: ApiFault): ArmedApiFault
  readonly faults: readonly ArmedApiFault[]
  /** Every request so far, oldest first. */
  readonly log: readonly ApiRequest[]
  readonly totals: ApiTotals
  /** Requests so far, of one path or of all. */
  count(path?: string): number
  /** Forgets the log and the totals. */
  clearLog(): void
  /** Removes all faults and forgets the log. Lag stays. */
  clear(): void
  /** Stops listening and cuts all connections. */
  close(): Promise<void>
}

/** Opens a REST API for a world on 127.0.0.1. */
export async function openApi(api: FakeApi, options: ServeApiOptions = {}): Promise<ApiServer> {
  const server = new Server(api, options)
  await server.listener.listen(options.port ?? 0)
  return server
}

type OpenRequest = { -readonly [Field in keyof ApiRequest]: ApiRequest[Field] }

class Server implements ApiServer {
  readonly listener = new Listener((request, response) => this.#receive(request, response))
  readonly #api: FakeApi
  readonly #options: ServeApiOptions
  readonly #clock: Clock
  readonly #random: () => number
  readonly #closing = new AbortController()
  #lag: number
  #faults: readonly ApiArming[] = []
  #log: ApiRequest[] = []
  #inFlight = 0
  #totals = { requests: 0, rows: 0, bytesOut: 0, paths: {} as Record<string, number>, peakInFlight: 0 }
  /** The cursor of the request before, by path: what a cursor that cycles leads back to. */
  readonly #before = new Map<string, string>()

  constructor(api: FakeApi, options: ServeApiOptions) {
    // One for every answer that waits.
    setMaxListeners(0, this.#closing.signal)
    this.#api = api
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#random = seededRandom(options.seed ?? 1)
    this.#lag = options.lag ?? 0
    for (const fault of options.faults ?? []) this.fault(fault)
  }

  get url(): string {
    return this.listener.url
  }

  get faults(): readonly ArmedApiFault[] {
    return this.#faults
  }

  get log(): readonly ApiRequest[] {
    return this.#log
  }

  get totals(): ApiTotals {
    return this.#totals
  }

  lag(seconds: number): void {
    this.#lag = seconds
  }

  fault(fault: ApiFault): ArmedApiFault {
    const arming = new ApiArming(fault, this.#random, this.#clock, (gone) => {
      this.#faults = this.#faults.filter((other) => other !== gone)
    })
    this.#faults = [...this.#faults, arming]
    return arming
  }

  count(path?: string): number {
    return path === undefined ? this.#totals.requests : (this.#totals.paths[path] ?? 0)
  }

  clearLog(): void {
    this.#log = []
    this.#totals = { requests: 0, rows: 0, bytesOut: 0, paths: {}, peakInFlight: 0 }
  }

  clear(): void {
    this.#faults = []
    this.clearLog()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.listener.close()
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url)
    const entry: OpenRequest = {
      at: this.#clock.monotonic(),
      method: request.method ?? 'GET',
      path: pathname,
      query: Object.fromEntries(searchParams),
      headers: request.headers,
      inFlight: ++this.#inFlight,
      answer: undefined,
    }
    this.#totals.requests++
    this.#totals.paths[pathname] = (this.#totals.paths[pathname] ?? 0) + 1
    this.#totals.peakInFlight = Math.max(this.#totals.peakInFlight, this.#inFlight)
    if (this.#options.log !== false) this.#log.push(entry)
    response.once('close', () => this.#inFlight--)
    request.resume()
    const delays = this.#faults.filter((arming) => arming.fault.kind === 'latency' && arming.strikes(entry))
    if (delays.length === 0) {
      this.#answer(request, response, entry, [])
      return
    }
    const ms = delays.reduce(
      (sum, { fault }) => sum + (fault.kind === 'latency' ? fault.ms + (fault.jitterMs ?? 0) * this.#random() : 0),
      0,
    )
    this.#clock.sleep(ms, this.#closing.signal).then(
      () => this.#answer(request, response, entry, ['latency']),
      () => undefined,
    )
  }

  #answer(request: IncomingMessage, response: ServerResponse, entry: OpenRequest, struck: ApiFault['kind'][]): void {
    if (response.destroyed) return
    try {
      this.#options.before?.(entry)
      this.#decide(request, response, entry, struck)
    } catch (error) {
      // A function of the test threw (`if`, `before`, a route): it is the test that must fail, without a client that waits.
      request.socket.destroy()
      throw error
    }
  }

  #decide(request: IncomingMessage, response: ServerResponse, entry: OpenRequest, struck: ApiFault['kind'][]): void {
    const refusal = refuse(this.#faults, entry)
    if (refusal) struck.push(refusal.fault)
    if (refusal?.reply === 'drop') {
      this.#answered(entry, 0, 0, 0, struck)
      request.socket.destroy()
      return
    }
    if (refusal?.reply === 'hang' || refusal?.reply === 'hang-after-headers') {
      const silent = refusal.reply === 'hang'
      if (!silent) response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 }).flushHeaders()
      this.#answered(entry, silent ? 0 : 200, 0, 0, struck)
      return
    }
    const { reply, rows } = refusal ? { reply: refusal.reply, rows: 0 } : this.#reply(entry, struck)
    const damage = this.#faults.find((arming) => isWireFault(arming.fault) && arming.strikes(entry))?.fault
    if (!damage || !isWireFault(damage)) {
      this.#answered(entry, reply.status, send(response, reply), rows, struck)
      return
    }
    sendDamaged(request, response, reply, damage, this.#clock).then(
      (bytes) => this.#answered(entry, reply.status, bytes, rows, [...struck, damage.kind]),
      () => undefined,
    )
  }

  /** What the API says, with the faults of pages and bodies. */
  #reply(request: ApiRequest, struck: ApiFault['kind'][]): { readonly reply: Reply; readonly rows: number } {
    const { requires, maxLimit = 50, bound = 'inclusive' } = this.#options
    if (requires && request.headers[requires.header.toLowerCase()] !== requires.value) {
      return { reply: refused(401, `no valid ${requires.header} given`), rows: 0 }
    }
    if (request.method !== 'GET') return { reply: refused(405, `Route ${request.method}:${request.path} not allowed`), rows: 0 }
    try {
      const own = this.#options.routes?.[request.path]
      if (own) return { reply: changeBody(jsonReply(own(request)), undefined, this.#faults, request, struck), rows: 0 }
      const [, coin] = /^\/api\/v3\/coins\/([^/]+)\/market_chart\/range$/.exec(request.path) ?? []
      if (coin !== undefined) {
        const chart = marketChart(this.#api.seed, decodeURIComponent(coin), request.query, this.#clock.now() / 1000)
        return { reply: changeBody(chart, 'prices', this.#faults, request, struck), rows: 0 }
      }
      const list = routes[request.path]
      if (!list) return { reply: refused(404, `Route ${request.method}:${request.path} not found`), rows: 0 }
      const limit = whole(request.query, 'limit', Math.min(20, maxLimit))
      if (limit > maxLimit) throw new BadRequestError(`querystring/limit must be <= ${maxLimit}`)
      if (limit < 1) throw new BadRequestError('querystring/limit must be >= 1')
      const asked = { ...request, url: this.url, limit, take: limit, inclusive: bound === 'inclusive', mark: '' }
      const before = this.#before.get(request.path)
      this.#before.set(request.path, request.query.cursor ?? '')
      const page = changePage(list, this.#api.shown(this.#lag), asked, before, this.#faults, request, struck)
      return { reply: changeBody(list.write(page, asked), list.records, this.#faults, request, struck), rows: page.rows.length }
    } catch (error) {
      if (error instanceof BadRequestError) return { reply: refused(400, error.message), rows: 0 }
      throw error
    }
  }

  #answered(entry: OpenRequest, status: number, bytes: number, rows: number, faults: readonly ApiFault['kind'][]): void {
    this.#totals.bytesOut += bytes
    this.#totals.rows += rows
    entry.answer = { at: this.#clock.monotonic(), status, bytes, rows, faults }
  }
}

const words: Readonly<Record<number, string>> = { 400: 'Bad Request', 401: 'Unauthorized', 404: 'Not Found', 405: 'Method Not Allowed' }

function refused(status: number, message: string): Reply {
  return { ...jsonReply({ statusCode: status, error: words[status] ?? 'Error', message }), status }
}
