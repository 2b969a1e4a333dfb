import { setMaxListeners } from 'node:events'
import type { Clock, Random, RpcAnswers, RpcCall, RpcOptions, RpcPool, RpcTurn, RunFact } from '../sdk/index.js'
import { at } from '../net/at.js'
import { Anchors } from './anchors.js'
import { Endpoint, type EndpointConfig, type Surroundings } from './endpoint.js'
import {
  RpcAwayError,
  RpcBehindError,
  RpcClosedError,
  RpcLoginError,
  RpcQuotaError,
  RpcRateError,
  RpcUnreachableError,
  WrongChainError,
} from './errors.js'
import type { Exchange, Outcome } from '../net/exchange.js'
import { Flight } from '../net/flight.js'
import type { ProxyOf } from '../net/proxies.js'
import type { Wait } from '../net/waits.js'
import type { LogsPort } from './logs/port.js'
import { readAllLogs } from './logs/read.js'
import { SizesByFilter } from './logs/sizes.js'
import { CallRequest } from './request.js'
import { NEAR_HEAD, settle } from './settle.js'
import { showCall } from './show-call.js'
import { StepQueue, type StepQueueOptions } from './step-queue.js'
import { Stops } from './stops.js'
import { take } from './take.js'
import { ENDPOINT_BYTES } from './weights.js'

export type { EndpointConfig } from './endpoint.js'
export type { StepQueueOptions } from './step-queue.js'

export interface ChainRpcOptions {
  readonly chain: { readonly name: string; readonly id: number }
  readonly endpoints: readonly EndpointConfig[]
  readonly clock: Clock
  readonly random: Random
  readonly emit: (fact: RunFact) => void
  /** Learned by an earlier run, by host. */
  readonly limits: readonly {
    readonly endpoint: string
    readonly batch?: number | undefined
    readonly maxBatch?: number | undefined
    readonly parallel?: number | undefined
    readonly maxBlockRange?: number | undefined
  }[]
  /** Hash of block 0 or what else `onGenesis` was given. An endpoint with another one is refused by name. */
  readonly genesis?: string | undefined
  /**
   * Called when nothing was expected, before anything is fetched: with the hash of block 0 or, where nobody gives that,
   * with the number and hash of another old block (`58701:0x…`).
   */
  readonly onGenesis?: ((hash: string) => Promise<void>) | undefined
  /** Called whenever `learned` gives something else than before. */
  readonly onLearned?: (() => void) | undefined
  /** For a request with its answer, headers and body together. Default 60 s. */
  readonly timeoutMs?: number
  /** Of one answer, packed and unpacked. Default 256 MB. */
  readonly maxBytes?: number
  /** Of all answers that are being read. Default: of this chain alone. */
  readonly flight?: Flight | undefined
  /** Default: endpoints are reached straight. */
  readonly proxyOf?: ProxyOf
}

/** What was found out about an endpoint, for the next run. */
export interface LearnedEndpoint {
  readonly endpoint: string
  readonly batch: number
  readonly maxBatch: number | undefined
  readonly parallel: number
  /** Blocks of one call for logs; undefined as long as none was refused. */
  readonly maxBlockRange: number | undefined
}

/** All endpoints of one chain. */
export interface ChainRpc {
  /**
   * The highest head of the endpoints that answer, each checked for its chain id first.
   *
   * @throws {PipeError} when none is reachable or all are of another chain, naming hosts and what to check.
   */
  head(signal: AbortSignal): Promise<bigint>
  /**
   * The same for one request: of the endpoints with the first priority that answer, each is asked in turn, and what the others
   * said last counts as well. All are asked when none of these answers, and now and then while nothing moves: the head of one may be stuck.
   *
   * @throws as `head`
   */
  poll(signal: AbortSignal): Promise<bigint>
  /** The pool as one step sees it, with its ceilings. */
  forStep(step: StepQueueOptions): RpcPool
  /** Of the endpoints that were asked in this run. */
  learned(): readonly LearnedEndpoint[]
  /** What is waited for now. */
  waits(): readonly Wait[]
  /** Has logins that were refused tried again with the next work. */
  tryLogins(): void
  /** Rejects what is still open and closes all connections. */
  close(): Promise<void>
}

/** Makes the pool of a chain. Does no IO: endpoints are checked when the first work comes. */
export function openChainRpc(options: ChainRpcOptions): ChainRpc {
  return new ChainPool(options)
}

/** What endpoints are called in logs and in the ledger: by host, numbered where several have the same one. */
export function endpointNames(endpoints: readonly { readonly url: string }[]): readonly string[] {
  const hosts = new Map<string, number>()
  return endpoints.map(({ url }) => {
    const { host } = new URL(url)
    const same = (hosts.get(host) ?? 0) + 1
    hosts.set(host, same)
    return same === 1 ? host : `${host}#${same}`
  })
}

/** What an endpoint that is down or lags gives. */
function notAsked({ health, trouble, name, head }: Endpoint, calls: readonly RpcCall[]): Promise<RpcAnswers> {
  const away = [health === 'up' ? { endpoint: name, reason: `head ${head}` } : trouble]
  const errors = new Map(calls.map((call, i) => [i, new RpcAwayError(showCall(call), [], away)]))
  return Promise.resolve({ values: new Array<unknown>(calls.length), errors, endpoints: [] })
}

const TIMEOUT_MS = 60_000
const MAX_BYTES = 256_000_000
const HEAD_AGE_MS = 1_000
const ONLY_RATES_MS = 600_000
const LIMITS_EVENT_MS = 1_000
/** After so many polls that found nothing new, all endpoints are asked for their heads. */
const STILL = 10
const LONG_REPLY = 1_000
/** Calls of a step that may be asked for and not over, before it is told to wait: an answer and what asked for it take a kilobyte or two. */
const MOST_HELD = 20_000

class ChainPool implements ChainRpc {
  readonly #options: ChainRpcOptions
  readonly #around: Surroundings
  readonly #endpoints: readonly Endpoint[]
  readonly #queues: StepQueue[] = []
  readonly #closing = new AbortController()
  readonly #stops = new Stops()
  /** Requests under way, in no order: a handful. */
  readonly #under: { readonly exchange: Exchange; deadline: number }[] = []
  readonly #learned = new Map<string, LearnedEndpoint>()
  readonly #shown = new Map<Endpoint, { at: number; batch: number; parallel: number }>()
  /** Endpoints that calls wait for although another one is up, until when. */
  readonly #awaited = new Map<Endpoint, number>()
  readonly #prefixes = new Map<string, string>()
  readonly #leaveFlight: () => void
  #nextId = 1
  #turn = 0
  #pumpQueued = false
  #wakeAt = Infinity
  #watching = false
  /** Polls so far, and how many of them in a row found nothing new. */
  #polls = 0
  #still = 0
  #answeredAt: number
  #rated = false
  #broken: Error | undefined

  constructor(options: ChainRpcOptions) {
    this.#options = options
    const flight = options.flight ?? new Flight()
    this.#leaveFlight = flight.whenRoom(() => this.#pumpSoon())
    // One for every wait that is under way.
    setMaxListeners(0, this.#closing.signal)
    this.#around = {
      chain: options.chain,
      clock: options.clock,
      random: options.random,
      emit: options.emit,
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      maxBytes: Math.min(options.maxBytes ?? MAX_BYTES, flight.most),
      flight,
      proxyOf: options.proxyOf ?? (() => undefined),
      closed: this.#closing.signal,
      anchors: new Anchors({
        chain: options.chain.name,
        clock: options.clock,
        closed: this.#closing.signal,
        kept: options.genesis,
        keep: options.onGenesis,
        warn: (message) => options.emit({ type: 'warning', message }),
      }),
      started: (exchange) => {
        this.#under.push({ exchange, deadline: options.clock.monotonic() + this.#around.timeoutMs })
        this.#watch()
      },
      ended: (exchange) => {
        const place = this.#under.findIndex((under) => under.exchange === exchange)
        const last = this.#under.pop()
        if (last && last.exchange !== exchange) this.#under[place] = last
      },
      changed: () => this.#pumpSoon(),
      broken: (error) => this.#break(error),
    }
    this.#answeredAt = options.clock.monotonic()
    const names = endpointNames(options.endpoints)
    this.#endpoints = options.endpoints.map((config, i) => {
      const name = at(names, i)
      return new Endpoint(config, name, this.#around, options.limits.find((limit) => limit.endpoint === name) ?? {})
    })
    this.#around.anchors.members.push(...this.#endpoints)
  }

  async head(signal: AbortSignal): Promise<bigint> {
    const { clock } = this.#options
    for (;;) {
      this.#mayGoOn(signal)
      const now = clock.monotonic()
      // One that is waiting for its next try is left alone; one that is down is tried when there is no other.
      const others = this.#endpoints.some((endpoint) => endpoint.health === 'up')
      const asked = this.#endpoints.map((endpoint) => {
        if (endpoint.health === 'up') return endpoint.refreshHead(0)
        endpoint.tend(now, !others)
        return endpoint.checking ? endpoint.check() : Promise.resolve()
      })
      await this.#unlessStopped(Promise.all(asked), signal)
      this.#mayGoOn(signal)
      const head = this.#newest()
      if (head !== undefined) return head
      if (this.#endpoints.every((endpoint) => endpoint.health === 'down' || endpoint.health === 'out')) throw this.#outage()
      const after = clock.monotonic()
      const due = Math.min(...this.#endpoints.map((endpoint) => endpoint.dueAt))
      if (due > after) await this.#unlessStopped(clock.sleep(Math.min(due - after, 60_000), this.#closing.signal), signal)
    }
  }

  async poll(signal: AbortSignal): Promise<bigint> {
    this.#mayGoOn(signal)
    const up = this.#endpoints.filter(({ health }) => health === 'up')
    const first = up.filter(({ priority }) => priority === Math.min(...up.map((endpoint) => endpoint.priority)))
    const before = this.#newest()
    const asked = this.#still < STILL ? first[this.#polls++ % first.length] : undefined
    if (asked) await this.#unlessStopped(asked.refreshHead(0), signal)
    this.#mayGoOn(signal)
    const head = (asked && this.#newest()) ?? (await this.head(signal))
    this.#still = asked && before !== undefined && head <= before ? this.#still + 1 : 0
    return head
  }

  forStep(step: StepQueueOptions): RpcPool {
    const queue = new StepQueue(step)
    this.#queues.push(queue)
    const ready = (signal: AbortSignal): Promise<void> => this.#ready(queue, signal)
    const logsPort = this.#logsPort()
    const portOf = (work?: number): LogsPort => ({
      ...logsPort,
      batch: (calls, options) => this.#batch(queue, calls, options, { work }),
      turns: (options) => this.#turns(queue, options, work),
      ready,
      begin: () => portOf(queue.begin()),
    })
    const port = portOf()
    const { batch, turns } = port
    const sizes = new SizesByFilter()
    return {
      batch,
      request: async (method, params, options) => {
        const { values, errors } = await batch([{ method, params }], options)
        const error = errors?.get(0)
        if (error) throw error
        return values[0]
      },
      logs: (filter, options) => readAllLogs(port, sizes, filter, options),
      turns,
      ready,
    }
  }

  #logsPort(): Omit<LogsPort, 'batch' | 'turns' | 'ready' | 'begin'> {
    const { chain, clock, emit } = this.#options
    const named = (name: string): Endpoint | undefined => this.#endpoints.find((endpoint) => endpoint.name === name)
    return {
      chain,
      mostBlocks: () => {
        const hopeful = this.#endpoints.filter((endpoint) => endpoint.hopeful)
        const first = Math.min(...hopeful.map(({ priority }) => priority))
        return Math.max(1, ...hopeful.flatMap(({ priority, refusals }) => (priority === first ? refusals.mostBlocks : [])))
      },
      newest: () => this.#newest(),
      answered: (name, blocks) => {
        named(name)?.refusals.range.answered(blocks)
      },
      refusedBlocks: (name, blocks, stated) => {
        const endpoint = named(name)
        endpoint?.refusals.range.refused(blocks, stated)
        if (endpoint) this.#learn(endpoint)
      },
      headBelow: async (name, block) => {
        const endpoint = named(name)
        if (endpoint?.head === undefined || endpoint.head - block > NEAR_HEAD) return undefined
        await endpoint.refreshHead(0)
        return endpoint.reaches(block) ? undefined : endpoint.head
      },
      refuse: (name, call, message) => {
        named(name)?.refusals.wrong(clock.monotonic(), call)
        emit({ type: 'retry', from: { chain: chain.name }, endpoint: name, class: 'SERVER', calls: 1, waitMs: 0, message })
      },
    }
  }

  tryLogins(): void {
    for (const endpoint of this.#endpoints) endpoint.tryLogin(this.#options.clock.monotonic())
  }

  learned(): readonly LearnedEndpoint[] {
    return [...this.#learned.values()]
  }

  waits(): readonly Wait[] {
    const now = this.#options.clock.monotonic()
    return this.#endpoints.map((endpoint) => {
      const sent = this.#under.flatMap(({ exchange }) =>
        exchange instanceof CallRequest && exchange.endpoint === endpoint ? [exchange.sentAt] : [],
      )
      const next =
        this.#busy() && endpoint.health !== 'out'
          ? Math.max(endpoint.waitUntil, endpoint.health === 'up' ? endpoint.pace.next() : endpoint.dueAt)
          : now
      return {
        endpoint: endpoint.name,
        requests: sent.length,
        sinceMs: now - Math.min(now, ...sent),
        quietMs: Math.max(0, next - now),
        reason: endpoint.health === 'up' && endpoint.reason === 'up' ? undefined : endpoint.reason,
      }
    })
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    const error = new RpcClosedError(this.#options.chain.name)
    this.#closing.abort(error)
    this.#leaveFlight()
    this.#rejectAll(error)
    for (const queue of this.#queues) for (const { go } of queue.roomWaiters.all()) go()
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.close()))
  }

  async *#turns(queue: StepQueue, { signal, block, rounds }: Parameters<RpcPool['turns']>[0], work?: number): AsyncIterable<RpcTurn> {
    const { clock, random, emit, chain } = this.#options
    const { attempts, waitMs, maxWaitMs } = queue.options
    for (let round = 0; round < (rounds ?? attempts); round++) {
      const wait = round === 0 ? 0 : random() * Math.min(maxWaitMs, waitMs * 2 ** (round - 1))
      if (wait > 0) await this.#unlessStopped(clock.sleep(wait, this.#closing.signal), signal)
      for (const endpoint of this.#endpoints) {
        this.#mayGoOn(signal)
        const { name, health, why } = endpoint
        if (why === 'chain') continue
        const asked = health === 'up' && endpoint.reaches(block)
        yield {
          endpoint: name,
          batch: (calls, options) => (asked ? this.#batch(queue, calls, options, { only: endpoint, work }) : notAsked(endpoint, calls)),
          refuse: (calls, message) =>
            emit({ type: 'retry', from: { chain: chain.name }, endpoint: name, class: 'SERVER', calls, waitMs: 0, message }),
        }
      }
    }
  }

  #batch(
    queue: StepQueue,
    calls: readonly RpcCall[],
    { signal, block }: RpcOptions,
    { only, work }: { readonly only?: Endpoint; readonly work: number | undefined },
  ): Promise<RpcAnswers> {
    if (calls.length === 0) return Promise.resolve({ values: [], errors: undefined, endpoints: [] })
    return new Promise<RpcAnswers>((resolve, reject) => {
      this.#mayGoOn(signal)
      if (!this.#busy()) this.#answeredAt = this.#options.clock.monotonic()
      const end = (outcome: RpcAnswers | Error): void => {
        this.#stops.remove(stop)
        if (outcome instanceof Error) reject(outcome)
        else resolve(outcome)
      }
      const segment = queue.add(calls, block, end, only, work)
      const stop = this.#stops.add(signal, () =>
        this.#guarded(() => {
          queue.reject(segment, signal.reason as Error)
          this.#pumpSoon()
        }),
      )
      this.#pumpSoon()
    })
  }

  async #ready(queue: StepQueue, signal: AbortSignal): Promise<void> {
    this.#mayGoOn(signal)
    while (!this.#hasRoom(queue)) {
      await new Promise<void>((resolve) => {
        const go = (): void => {
          this.#stops.remove(stop)
          queue.roomWaiters.delete(waiter)
          resolve()
        }
        const stop = this.#stops.add(signal, go)
        const waiter = { go, index: 0 }
        queue.roomWaiters.add(waiter)
      })
      this.#mayGoOn(signal)
    }
  }

  /** Twice what may be under way: the next requests are ready when the last end. It is no more than what memory has room for. */
  #hasRoom(queue: StepQueue): boolean {
    let places = 0
    let calls = 0
    for (const { health, limits } of this.#endpoints) {
      if (health === 'out') continue
      const parallel = Math.min(limits.parallel, queue.parallel - places)
      if (parallel <= 0) break
      places += parallel
      calls += parallel * Math.min(limits.batch, queue.batch)
    }
    return queue.held < MOST_HELD && (queue.waiting === 0 || (queue.waiting < calls * 2 && queue.waitingBytes < ENDPOINT_BYTES * 2))
  }

  /** Once after everything that is queued at this moment, so that calls asked for together go together. */
  #pumpSoon(): void {
    if (this.#pumpQueued) return
    this.#pumpQueued = true
    queueMicrotask(() => {
      this.#pumpQueued = false
      this.#guarded(() => this.#pump())
    })
  }

  /** Does what nobody waits for: what it throws would be lost, and what still waits with it. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#break(error)
    }
  }

  /** Ends all that waits. Calls none of what may have thrown. */
  #break(error: unknown): void {
    this.#broken ??= error instanceof Error ? error : new Error(String(error))
    this.#rejectAll(this.#broken)
    for (const queue of this.#queues) for (const { go } of queue.roomWaiters.all()) go()
  }

  /** Sends what may be sent now, and sees to it that it is called again when more may be. */
  #pump(): void {
    if (this.#closing.signal.aborted) return
    const now = this.#options.clock.monotonic()
    let wakeAt = Infinity
    for (const queue of this.#queues) wakeAt = Math.min(wakeAt, queue.wake(now))
    if (this.#broken) this.#rejectAll(this.#broken)
    if (this.#busy()) {
      wakeAt = Math.min(wakeAt, this.#tend(now))
      this.#awaited.clear()
      wakeAt = Math.min(wakeAt, this.#send(now), this.#behind(now), this.#await(now))
    }
    for (const queue of this.#queues)
      if (queue.roomWaiters.size > 0 && this.#hasRoom(queue)) for (const { go } of queue.roomWaiters.all()) go()
    if (wakeAt < Infinity) this.#wake(wakeAt, now)
  }

  /** Whether any call waits. */
  #busy(): boolean {
    for (const queue of this.#queues) if (queue.waiting > 0) return true
    return false
  }

  /** Checks endpoints that are due. When none can come back, or none has answered for too long, nothing waits any more. */
  #tend(now: number): number {
    let up = false
    let hope = false
    for (const endpoint of this.#endpoints) if (endpoint.health === 'up') up = true
    let wakeAt = Infinity
    for (const endpoint of this.#endpoints) {
      endpoint.refusals.refresh(now)
      wakeAt = Math.min(wakeAt, endpoint.tend(now, !up || this.#awaited.has(endpoint)))
      if (endpoint.health === 'up' || endpoint.health === 'unchecked' || endpoint.checking) hope = true
    }
    if (!hope) this.#rejectAll(this.#outage())
    else if (this.#rated && now - this.#answeredAt > ONLY_RATES_MS) {
      this.#answeredAt = now
      this.#rejectAll(new RpcRateError(this.#options.chain.name, ONLY_RATES_MS / 60_000, this.#troubles()))
    }
    return hope ? wakeAt : Infinity
  }

  /** Returns when a place will be free for another reason than the end of a request. */
  #send(now: number): number {
    let idle: Set<Endpoint> | undefined
    for (;;) {
      // It calls when there is room again.
      if (this.#around.flight.full) return Infinity
      let best: Endpoint | undefined
      let wakeAt = Infinity
      for (const endpoint of this.#endpoints) {
        if (endpoint.health !== 'up' || endpoint.full || idle?.has(endpoint)) continue
        const at = Math.max(endpoint.waitUntil, endpoint.pace.next())
        if (at > now) wakeAt = Math.min(wakeAt, at)
        else if (
          !best ||
          endpoint.priority < best.priority ||
          (endpoint.priority === best.priority && endpoint.under * best.parallel < best.under * endpoint.parallel)
        )
          best = endpoint
      }
      if (!best) return wakeAt
      if (!this.#sendTo(best, now)) (idle ??= new Set()).add(best)
    }
  }

  #sendTo(endpoint: Endpoint, now: number): boolean {
    const queues = this.#queues
    for (let i = 0; i < queues.length; i++) {
      const queue = at(queues, (this.#turn + i) % queues.length)
      if (!queue.ready) continue
      const { segments, indexes, bytes } = take(
        queue,
        endpoint,
        this.#endpoints,
        Math.min(endpoint.limits.batch, queue.batch),
        now,
        this.#awaits,
      )
      if (segments.length === 0) continue
      this.#turn = (this.#turn + i + 1) % queues.length
      const request = new CallRequest(
        this.#around.maxBytes,
        this.#around.flight,
        endpoint,
        queue,
        segments,
        indexes,
        bytes,
        this.#nextId,
        now,
        this.#ended,
      )
      this.#nextId += segments.length
      queue.sent()
      endpoint.send(request, request.body(this.#prefixes))
      return true
    }
    return false
  }

  readonly #ended = (request: CallRequest, outcome: Outcome): void => this.#guarded(() => this.#settle(request, outcome))

  #settle(request: CallRequest, outcome: Outcome): void {
    const { endpoint, queue } = request
    const { clock, chain, random, emit } = this.#options
    this.#around.ended(request)
    endpoint.ended(request)
    queue.ended()
    if (this.#closing.signal.aborted) return
    const now = clock.monotonic()
    // A long answer takes a while to read; until then the endpoint has work already. A short one may be a refusal.
    if (
      outcome.kind === 'reply' &&
      outcome.status === 200 &&
      outcome.text.length > LONG_REPLY &&
      !outcome.text.slice(0, LONG_REPLY).includes('"error"')
    ) {
      this.#pump()
    }
    emit({
      type: 'request',
      from: { chain: chain.name },
      figures: { endpoint: endpoint.name, calls: request.segments.length, bytes: outcome.bytes, ms: now - request.sentAt },
    })
    const answered = settle(request, outcome, {
      chain: chain.name,
      endpoints: this.#endpoints,
      random,
      emit,
      maxBytes: this.#around.maxBytes,
      now,
      utc: clock.now(),
    })
    if (answered > 0) {
      endpoint.pace.answered(now)
      this.#answeredAt = now
      this.#rated = false
    } else if (endpoint.rating) {
      this.#rated = true
    }
    this.#learn(endpoint)
    this.#showLimits(endpoint, now)
    this.#pump()
  }

  readonly #awaits = (endpoint: Endpoint, until: number): void => {
    this.#awaited.set(endpoint, Math.max(until, this.#awaited.get(endpoint) ?? 0))
  }

  /** Calls that only endpoints may answer that are down or lag: asks those for their heads, and looks again when the wait is over. */
  #await(now: number): number {
    let wakeAt = Infinity
    for (const [endpoint, until] of this.#awaited) {
      wakeAt = Math.min(wakeAt, until, now + HEAD_AGE_MS)
      if (endpoint.health === 'up') void endpoint.refreshHead(HEAD_AGE_MS)
    }
    return wakeAt
  }

  /**
   * Calls above every head: asks for the heads again, and gives up after as long as attempts would take. A block that is far above
   * all of them is not waited for, once each endpoint has said again where its head is.
   */
  #behind(now: number): number {
    let wakeAt = Infinity
    for (const queue of this.#queues) {
      for (const { segment, block, since } of queue.behind()) {
        const up = this.#endpoints.filter((endpoint) => endpoint.health === 'up')
        if (up.some((endpoint) => endpoint.head !== undefined && endpoint.head >= block)) continue
        const { attempts, maxWaitMs } = queue.options
        const far = this.#endpoints.every(
          ({ health, head }) => health === 'out' || (health === 'up' && head !== undefined && block - head > NEAR_HEAD),
        )
        if (now - since > (far ? 2 * HEAD_AGE_MS : attempts * maxWaitMs)) {
          const heads = up.map((endpoint) => ({ endpoint: endpoint.name, reason: `head ${endpoint.head ?? 'unknown'}` }))
          queue.reject(segment, new RpcBehindError(this.#options.chain.name, block, heads.length > 0 ? heads : this.#troubles()))
          continue
        }
        for (const endpoint of up) void endpoint.refreshHead(HEAD_AGE_MS)
        wakeAt = Math.min(wakeAt, now + HEAD_AGE_MS)
      }
    }
    return wakeAt
  }

  #wake(at: number, now: number): void {
    if (at >= this.#wakeAt) return
    this.#wakeAt = at
    this.#options.clock.sleep(Math.max(1, Math.ceil(at - now)), this.#closing.signal).then(
      () => {
        if (this.#wakeAt === at) this.#wakeAt = Infinity
        this.#guarded(() => this.#pump())
      },
      () => {},
    )
  }

  /** Keeps an eye on the deadlines of all requests: one timer for all of them. */
  #watch(): void {
    if (this.#watching || this.#under.length === 0) return
    const { timeoutMs } = this.#around
    const { clock } = this.#options
    this.#watching = true
    clock.sleep(Math.max(10, Math.min(1000, timeoutMs / 8)), this.#closing.signal).then(
      () =>
        this.#guarded(() => {
          this.#watching = false
          const now = clock.monotonic()
          for (const under of [...this.#under]) {
            if (under.exchange.held) under.deadline = now + timeoutMs
            else if (under.deadline <= now) under.exchange.stop(`no complete answer in ${timeoutMs} ms`)
          }
          this.#watch()
        }),
      () => {},
    )
  }

  /** One that never answered has shown nothing but what it refused. */
  #learn({ name, limits, refusals, lastSuccess }: Endpoint): void {
    const { batch, maxBatch, parallel } = limits
    const range = refusals.range.learned
    const maxBlockRange = range < Infinity ? range : undefined
    if (lastSuccess === -Infinity && maxBatch === undefined) return
    const before = this.#learned.get(name)
    const learned = { endpoint: name, batch, maxBatch, parallel, maxBlockRange }
    if (
      before &&
      before.batch === batch &&
      before.maxBatch === maxBatch &&
      before.parallel === parallel &&
      before.maxBlockRange === maxBlockRange
    )
      return
    this.#learned.set(name, learned)
    this.#options.onLearned?.()
  }

  #showLimits(endpoint: Endpoint, now: number): void {
    const { batch, parallel } = endpoint.limits
    const shown = this.#shown.get(endpoint)
    if (shown && (now - shown.at < LIMITS_EVENT_MS || (shown.batch === batch && shown.parallel === parallel))) return
    this.#shown.set(endpoint, { at: now, batch, parallel })
    this.#options.emit({ type: 'limits', from: { chain: this.#options.chain.name }, endpoint: endpoint.name, batch, parallel })
  }

  #troubles(): readonly { endpoint: string; reason: string }[] {
    return this.#endpoints.map((endpoint) => endpoint.trouble)
  }

  #outage(): Error {
    const { name } = this.#options.chain
    const troubles = this.#troubles()
    // What a person can mend comes first.
    const whys = new Set(this.#endpoints.map((endpoint) => endpoint.why))
    if (whys.has(undefined) || whys.size === 0) return new RpcUnreachableError(name, troubles)
    if (whys.has('quota')) return new RpcQuotaError(name, troubles)
    if (whys.has('login')) return new RpcLoginError(name, troubles)
    return new WrongChainError(name, troubles)
  }

  #rejectAll(error: Error): void {
    for (const queue of this.#queues) for (const segment of queue.open) queue.reject(segment, error)
  }

  /** The highest head that is known of those that answer. */
  #newest(): bigint | undefined {
    const heads = this.#endpoints.flatMap(({ health, head }) => (health === 'up' && head !== undefined ? [head] : []))
    return heads.length > 0 ? heads.reduce((a, b) => (a > b ? a : b)) : undefined
  }

  #mayGoOn(signal: AbortSignal): void {
    signal.throwIfAborted()
    this.#closing.signal.throwIfAborted()
    if (this.#broken) throw this.#broken
  }

  async #unlessStopped(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
    let go = (): void => {}
    const stopped = new Promise<void>((resolve) => (go = resolve))
    const stop = this.#stops.add(signal, go)
    try {
      await Promise.race([work, stopped])
    } finally {
      this.#stops.remove(stop)
    }
  }
}
