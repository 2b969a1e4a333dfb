import { setMaxListeners } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock, Json } from '../sdk/index.js'
import { answerBatch } from './answer.js'
import { systemClock } from './clock.js'
import { Arming } from './fault.js'
import type { ArmedFault, Fault, HeadsFault, SentCall } from './fault.js'
import { Listener } from './listener.js'
import { seededRandom } from './random.js'
import { refuse } from './refuse.js'
import { HeadSocket } from './socket.js'
import type { ChainSource } from './source.js'
import { isWireFault, send, sendDamaged } from './wire.js'
import type { Reply } from './wire.js'
import { dialects } from './wordings.js'
import type { Client } from './wordings.js'

export interface ServeOptions {
  /** Default: one that is free. */
  readonly port?: number
  /** For messages and logs of the test. Default `node`. */
  readonly name?: string
  /** Whose words errors are in. Default `geth`. */
  readonly client?: Client
  /** Another chain id than the chain's, for an endpoint that is not what it seems. */
  readonly chainId?: number
  /** How many blocks its head is behind. Default 0. */
  readonly lag?: number
  /** State below this block is gone. Default 0: an archive node. */
  readonly archiveFrom?: bigint | number
  readonly faults?: readonly Fault[]
  /** Methods of the test's own, by name. They are asked before the built-in ones. */
  readonly methods?: Readonly<Record<string, (params: readonly unknown[]) => Json>>
  /** False keeps `totals` only: for millions of calls. Default true. */
  readonly log?: boolean
  /** Of everything random about its faults. Default 1. */
  readonly seed?: number
  /** Time for latency, slow replies and rate limits. Default: the machine's. */
  readonly clock?: Clock
}

/** One HTTP request as it came in, and what became of it. */
export interface RequestLog {
  /** When its headers were in, by the endpoint's monotonic clock, in milliseconds. */
  readonly at: number
  readonly headers: IncomingHttpHeaders
  /** Bytes of body. */
  readonly bytes: number
  /** Empty when the body was not JSON-RPC. */
  readonly calls: readonly SentCall[]
  /** Whether the body was an array. */
  readonly batch: boolean
  /** Requests open at this endpoint when it came, itself included. */
  readonly inFlight: number
  /** Undefined while it waits, and for ever when the client left first. */
  readonly answer: RequestAnswer | undefined
}

export interface RequestAnswer {
  readonly at: number
  /** 0 when no HTTP answer was given: dropped, reset before headers, hanging. */
  readonly status: number
  /** Bytes of body sent. */
  readonly bytes: number
  /** Calls that got an error. */
  readonly errors: number
  /** Kinds of faults that struck. Empty: the truth was told. */
  readonly faults: readonly Fault['kind'][]
}

export interface Totals {
  readonly requests: number
  readonly calls: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Calls by method. */
  readonly methods: Readonly<Record<string, number>>
  /** Most requests open at one time. */
  readonly peakInFlight: number
}

/** A node on 127.0.0.1 that tells the truth except where a fault says otherwise. */
export interface FakeEndpoint {
  readonly name: string
  /** `http://127.0.0.1:<port>`. Any path below it answers as well, so a test may put a secret there. By `ws` it tells of new heads. */
  readonly url: string
  /** Its own head: the chain's, less its lag. */
  readonly head: bigint
  /** Puts its head this many blocks behind the chain's. A larger number later is a head that goes back. */
  lag(blocks: number): void
  /** Removes state below a block, as a node that is no archive does. */
  prune(below: bigint | number): void
  /** Puts a fault in place. Faults are tried in the order in which they came. */
  fault(fault: Fault): ArmedFault
  readonly faults: readonly ArmedFault[]
  /** Every request so far, oldest first. */
  readonly log: readonly RequestLog[]
  readonly totals: Totals
  /** The headers of each WebSocket so far, oldest first. */
  readonly sockets: readonly IncomingHttpHeaders[]
  /** Calls so far, of one method or of all. */
  count(method?: string): number
  /** Forgets the log and the totals. */
  clearLog(): void
  /** Removes all faults and forgets the log. Lag and pruning stay. */
  clear(): void
  /** Stops listening and cuts all connections. */
  close(): Promise<void>
}

/** Opens a node for a source on 127.0.0.1. */
export async function openEndpoint(source: ChainSource, options: ServeOptions = {}): Promise<FakeEndpoint> {
  const endpoint = new Endpoint(source, options)
  await endpoint.listener.listen(options.port ?? 0)
  return endpoint
}

type OpenRequest = { -readonly [Field in keyof RequestLog]: RequestLog[Field] }

class Endpoint implements FakeEndpoint {
  readonly name: string
  readonly listener = new Listener(
    (request, response) => this.#receive(request, response),
    (request, socket) => this.#connect(request, socket),
  )
  readonly #source: ChainSource
  readonly #options: ServeOptions
  readonly #clock: Clock
  readonly #random: () => number
  readonly #closing = new AbortController()
  #lag: number
  #archiveFrom: bigint
  #faults: readonly Arming[] = []
  #log: RequestLog[] = []
  #inFlight = 0
  readonly #sockets = new Set<HeadSocket>()
  readonly sockets: IncomingHttpHeaders[] = []
  #unwatch: (() => void) | undefined
  #totals = { requests: 0, calls: 0, bytesIn: 0, bytesOut: 0, methods: {} as Record<string, number>, peakInFlight: 0 }

  constructor(source: ChainSource, options: ServeOptions) {
    // One for every answer that waits.
    setMaxListeners(0, this.#closing.signal)
    this.name = options.name ?? 'node'
    this.#source = source
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#random = seededRandom(options.seed ?? 1)
    this.#lag = options.lag ?? 0
    this.#archiveFrom = BigInt(options.archiveFrom ?? 0)
    for (const fault of options.faults ?? []) this.fault(fault)
  }

  get url(): string {
    return this.listener.url
  }

  get head(): bigint {
    const head = this.#source.head - BigInt(this.#lag)
    return head > 0n ? head : 0n
  }

  get faults(): readonly ArmedFault[] {
    return this.#faults
  }

  get log(): readonly RequestLog[] {
    return this.#log
  }

  get totals(): Totals {
    return this.#totals
  }

  lag(blocks: number): void {
    this.#lag = blocks
  }

  prune(below: bigint | number): void {
    this.#archiveFrom = BigInt(below)
  }

  fault(fault: Fault): ArmedFault {
    const arming = new Arming(fault, this.#random, this.#clock, (gone) => {
      this.#faults = this.#faults.filter((other) => other !== gone)
    })
    this.#faults = [...this.#faults, arming]
    return arming
  }

  count(method?: string): number {
    return method === undefined ? this.#totals.calls : (this.#totals.methods[method] ?? 0)
  }

  clearLog(): void {
    this.#log = []
    this.#totals = { requests: 0, calls: 0, bytesIn: 0, bytesOut: 0, methods: {}, peakInFlight: 0 }
  }

  clear(): void {
    this.#faults = []
    this.clearLog()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#unwatch?.()
    for (const socket of this.#sockets) socket.close()
    await this.listener.close()
  }

  #connect(request: IncomingMessage, socket: Duplex): void {
    const heads = new HeadSocket(request, socket, (method, params) => {
      if (method !== 'eth_subscribe' || params[0] !== 'newHeads') return new Error(`the method ${method} is not available here`)
      return this.#headsFault('refused') ? new Error('subscriptions are not available') : '0x1'
    })
    this.#sockets.add(heads)
    this.sockets.push(request.headers)
    socket.once('close', () => this.#sockets.delete(heads))
    this.#unwatch ??= this.#source.watch?.(() => this.#tellHead())
  }

  #tellHead(): void {
    const block = this.#source.blockJson(this.head, false)
    for (const socket of this.#sockets) {
      if (this.#headsFault('made-up')) socket.tell('{"number":"0xffffffffffffffff"}')
      if (this.#headsFault('closed')) socket.close()
      else if (block !== undefined && !this.#headsFault('silent')) socket.tell(block)
    }
  }

  #headsFault(as: HeadsFault['as']): boolean {
    return this.#faults.some((arming) => arming.fault.kind === 'heads' && arming.fault.as === as && arming.strikes([], 0))
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const entry: OpenRequest = {
      at: this.#clock.monotonic(),
      headers: request.headers,
      bytes: 0,
      calls: [],
      batch: false,
      inFlight: ++this.#inFlight,
      answer: undefined,
    }
    this.#totals.requests++
    this.#totals.peakInFlight = Math.max(this.#totals.peakInFlight, this.#inFlight)
    if (this.#options.log !== false) this.#log.push(entry)
    response.once('close', () => this.#inFlight--)
    const refusal = this.#faults.find((arming) => arming.fault.kind === 'refuse-body' && arming.strikes([], 0))
    if (refusal) {
      this.#answered(entry, 0, 0, 0, [refusal.fault.kind])
      request.socket.resetAndDestroy()
      return
    }
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = chunks.length === 1 ? chunks[0]!.toString() : Buffer.concat(chunks).toString()
      entry.bytes = Buffer.byteLength(text)
      this.#totals.bytesIn += entry.bytes
      if (request.method !== 'POST') {
        this.#answered(entry, 405, send(response, { status: 405, headers: { allow: 'POST' }, body: 'method not allowed\n' }), 0, [])
        return
      }
      const body = parse(text)
      entry.batch = Array.isArray(body)
      entry.calls = (Array.isArray(body) ? body : [body]).filter(isCall)
      this.#totals.calls += entry.calls.length
      for (const { method } of entry.calls) this.#totals.methods[method] = (this.#totals.methods[method] ?? 0) + 1
      const delays = this.#faults.filter((arming) => arming.fault.kind === 'latency' && arming.strikes(entry.calls, entry.calls.length))
      if (delays.length === 0) {
        this.#answer(request, response, entry, body, [])
        return
      }
      const ms = delays.reduce(
        (sum, { fault }) => sum + (fault.kind === 'latency' ? fault.ms + (fault.jitterMs ?? 0) * this.#random() : 0),
        0,
      )
      this.#clock.sleep(ms, this.#closing.signal).then(
        () => this.#answer(request, response, entry, body, ['latency']),
        () => undefined,
      )
    })
  }

  #answer(request: IncomingMessage, response: ServerResponse, entry: OpenRequest, body: unknown, struck: Fault['kind'][]): void {
    if (response.destroyed) return
    try {
      this.#decide(request, response, entry, body, struck)
    } catch (error) {
      // A function of the test threw (`if`, `logs`, a contract): it is the test that must fail, without a client that waits.
      request.socket.destroy()
      throw error
    }
  }

  #decide(request: IncomingMessage, response: ServerResponse, entry: OpenRequest, body: unknown, struck: Fault['kind'][]): void {
    const refusal = refuse(this.#faults, entry.calls, entry.batch)
    if (refusal.fault) struck.push(refusal.fault)
    if (refusal.reply === 'drop') {
      this.#answered(entry, 0, 0, 0, struck)
      request.socket.destroy()
      return
    }
    if (refusal.reply === 'hang' || refusal.reply === 'hang-after-headers') {
      if (refusal.reply === 'hang-after-headers')
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 }).flushHeaders()
      this.#answered(entry, refusal.reply === 'hang' ? 0 : 200, 0, 0, struck)
      return
    }
    let reply: Reply
    let errors = entry.calls.length
    if (refusal.reply) {
      reply = refusal.reply
    } else {
      const view = {
        source: this.#source,
        head: this.head,
        chainId: this.#options.chainId ?? this.#source.chainId,
        dialect: dialects[this.#options.client ?? 'geth'],
        archiveFrom: this.#archiveFrom,
        methods: this.#options.methods ?? {},
      }
      const answers = answerBatch(view, body, this.#faults, refusal.granted, refusal.tooMany, this.#random)
      reply = { status: 200, headers: { 'content-type': 'application/json' }, body: answers.text }
      errors = answers.errors
      struck.push(...answers.faults)
    }
    const damage = this.#faults.find((arming) => isWireFault(arming.fault) && arming.strikes(entry.calls, entry.calls.length))?.fault
    if (!damage || !isWireFault(damage)) {
      this.#answered(entry, reply.status, send(response, reply), errors, struck)
      return
    }
    sendDamaged(request, response, reply, damage, this.#clock).then(
      (bytes) => this.#answered(entry, reply.status, bytes, errors, [...struck, damage.kind]),
      () => undefined,
    )
  }

  #answered(entry: OpenRequest, status: number, bytes: number, errors: number, faults: readonly Fault['kind'][]): void {
    this.#totals.bytesOut += bytes
    entry.answer = { at: this.#clock.monotonic(), status, bytes, errors, faults }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isCall(value: unknown): value is SentCall {
  return typeof value === 'object' && value !== null && 'method' in value && typeof value.method === 'string'
}
