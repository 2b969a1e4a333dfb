import { setMaxListeners } from 'node:events'
import { at } from '../net/at.js'
import { Budgets } from '../net/budget.js'
import type { Outcome } from '../net/exchange.js'
import { Flight } from '../net/flight.js'
import type { Wait } from '../net/waits.js'
import type { RpcAnswers, RpcCall, RpcOptions, RpcPool } from '../sdk/index.js'
import { Anchors } from './anchors.js'
import type { ChainRpc, ChainRpcOptions } from './chain-rpc.js'
import { sooner } from './choose.js'
import { Deadlines } from './deadlines.js'
import { Endpoint } from './endpoint.js'
import { endpointNames } from './endpoint-names.js'
import { RpcClosedError, RpcRateError } from './errors.js'
import { Heads } from './heads.js'
import { type Counted, Hedges } from './hedges.js'
import { Learned, type LearnedEndpoint } from './learned.js'
import { aboutEndpoints } from './logs/of-pool.js'
import type { LogsPort } from './logs/port.js'
import { readAllLogs } from './logs/read.js'
import { SizesByFilter } from './logs/sizes.js'
import { outageOf, troublesOf } from './outage.js'
import { PassedOver } from './passed-over.js'
import { prove } from './prove.js'
import { CallRequest } from './request.js'
import { hasRoom } from './room.js'
import { settle } from './settle.js'
import { type Load, StepQueue, type StepQueueOptions } from './step-queue.js'
import { Stops } from './stops.js'
import type { Surroundings } from './surroundings.js'
import { take } from './take.js'
import { turns } from './turns.js'

export type { ChainRpc, ChainRpcOptions } from './chain-rpc.js'
export type { EndpointConfig } from './endpoint.js'
export { endpointNames } from './endpoint-names.js'
export type { StepQueueOptions } from './step-queue.js'

/** Makes the pool of a chain. Does no IO: endpoints are checked when the first work comes. */
export function openChainRpc(options: ChainRpcOptions): ChainRpc {
  return new ChainPool(options)
}

const TIMEOUT_MS = 60_000
const MAX_BYTES = 256_000_000
const ONLY_RATES_MS = 600_000
const LONG_REPLY = 1_000
class ChainPool implements ChainRpc {
  readonly #options: ChainRpcOptions
  readonly #around: Surroundings
  readonly #endpoints: readonly Endpoint[]
  readonly #queues: StepQueue[] = []
  readonly #closing = new AbortController()
  readonly #stops = new Stops()
  readonly #deadlines: Deadlines
  readonly #learned: Learned
  readonly #heads: Heads
  readonly #passedOver: PassedOver
  readonly #hedges: Hedges
  readonly #prefixes = new Map<string, string>()
  readonly #leaveFlight: () => void
  #nextId = 1
  #turn = 0
  #pumpQueued = false
  #wakeAt = Infinity
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
      budgets: options.budgets ?? new Budgets(),
      closed: this.#closing.signal,
      anchors: new Anchors({
        chain: options.chain.name,
        clock: options.clock,
        closed: this.#closing.signal,
        kept: options.genesis,
        keep: options.onGenesis,
        warn: (message) => options.emit({ type: 'warning', message }),
      }),
      started: (exchange) => this.#deadlines.started(exchange),
      ended: (exchange) => this.#deadlines.ended(exchange),
      changed: () => this.#pumpSoon(),
      broken: (error) => this.#break(error),
    }
    this.#deadlines = new Deadlines({
      clock: options.clock,
      timeoutMs: this.#around.timeoutMs,
      closed: this.#closing.signal,
      guarded: (work) => this.#guarded(work),
      look: (exchange, now) => {
        if (exchange instanceof CallRequest && !this.#rated && !flight.full) this.#hedges.look(exchange, now)
      },
    })
    this.#answeredAt = options.clock.monotonic()
    const names = endpointNames(options.endpoints)
    this.#endpoints = options.endpoints.map((config, i) => {
      const name = at(names, i)
      return new Endpoint(config, name, this.#around, options.limits.find((limit) => limit.endpoint === name) ?? {})
    })
    this.#around.anchors.members.push(...this.#endpoints)
    this.#learned = new Learned(options)
    this.#passedOver = new PassedOver(options.chain.name, this.#endpoints)
    this.#hedges = new Hedges({
      ...{ chain: options.chain, emit: options.emit, endpoints: this.#endpoints },
      send: (endpoint, queue, load, now) => this.#request(endpoint, queue, load, now),
    })
    this.#heads = new Heads({
      chain: options.chain,
      endpoints: this.#endpoints,
      clock: options.clock,
      closed: this.#closing.signal,
      mayGoOn: (signal) => this.#mayGoOn(signal),
      unlessStopped: (work, signal) => this.#stops.unlessStopped(work, signal),
    })
  }

  head(signal: AbortSignal): Promise<bigint> {
    return this.#heads.head(signal)
  }

  poll(signal: AbortSignal): Promise<bigint> {
    return this.#heads.poll(signal)
  }

  forStep(step: StepQueueOptions): RpcPool {
    const queue = new StepQueue(step)
    this.#queues.push(queue)
    const ready = (signal: AbortSignal): Promise<void> => this.#ready(queue, signal)
    const { chain, clock, emit, random } = this.#options
    const about = aboutEndpoints({ chain, clock, emit, endpoints: this.#endpoints, heads: this.#heads, learned: this.#learned })
    const asking = {
      ...{ chain, emit, random, endpoints: this.#endpoints },
      sleep: (ms: number, signal: AbortSignal) => this.#stops.unlessStopped(clock.sleep(ms, this.#closing.signal), signal),
      mayGoOn: (signal: AbortSignal) => this.#mayGoOn(signal),
    }
    const portOf = (work?: number): LogsPort => ({
      ...about,
      batch: (calls, options) => this.#batch(queue, calls, options, { work }),
      turns: (options) =>
        turns({
          ...asking,
          ...options,
          attempts: queue.options,
          ask: (only, calls, options) => this.#batch(queue, calls, options, { only, work }),
        }),
      ready,
      begin: () => portOf(queue.begin()),
    })
    const port = portOf()
    const { batch } = port
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
      turns: port.turns,
      prove: (parts) => prove(parts, chain.id),
      ready,
    }
  }

  bound(step: string, parallel: number): void {
    for (const queue of this.#queues) if (queue.options.id === step) queue.parallel = parallel
    this.#pumpSoon()
  }

  tryLogins(): void {
    for (const endpoint of this.#endpoints) endpoint.tryLogin(this.#options.clock.monotonic())
  }

  learned(): readonly LearnedEndpoint[] {
    return this.#learned.all()
  }

  waits(): readonly Wait[] {
    const now = this.#options.clock.monotonic()
    return this.#endpoints.map((endpoint) => {
      const sent = this.#deadlines
        .all()
        .flatMap((exchange) => (exchange instanceof CallRequest && exchange.endpoint === endpoint ? [exchange.sentAt] : []))
      const next =
        this.#busy() && endpoint.health !== 'out'
          ? endpoint.health === 'up'
            ? endpoint.dueFor(now)
            : Math.max(endpoint.waitUntil, endpoint.dueAt)
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
    while (!hasRoom(queue, this.#endpoints)) {
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
      this.#passedOver.clear()
      wakeAt = Math.min(wakeAt, this.#send(now), this.#passedOver.tend(this.#queues, now))
    }
    for (const queue of this.#queues)
      if (queue.roomWaiters.size > 0 && hasRoom(queue, this.#endpoints)) for (const { go } of queue.roomWaiters.all()) go()
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
      wakeAt = Math.min(wakeAt, endpoint.tend(now, !up || this.#passedOver.isAwaited(endpoint)))
      if (endpoint.health === 'up' || endpoint.health === 'unchecked' || endpoint.checking) hope = true
    }
    if (!hope) this.#rejectAll(outageOf(this.#options.chain.name, this.#endpoints))
    else if (this.#rated && now - this.#answeredAt > ONLY_RATES_MS) {
      this.#answeredAt = now
      this.#rejectAll(new RpcRateError(this.#options.chain.name, ONLY_RATES_MS / 60_000, troublesOf(this.#endpoints)))
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
        const at = endpoint.turn(now)
        if (at > now) wakeAt = Math.min(wakeAt, at)
        else if (!best || sooner(endpoint, best, now)) best = endpoint
      }
      if (!best) return wakeAt
      // One whose next call costs more than is free has its turn when that is free.
      if (!this.#sendTo(best, now) && !best.budget?.short) (idle ??= new Set()).add(best)
    }
  }

  #sendTo(endpoint: Endpoint, now: number): boolean {
    const queues = this.#queues
    for (let i = 0; i < queues.length; i++) {
      const queue = at(queues, (this.#turn + i) % queues.length)
      if (!queue.ready) continue
      const load = take(queue, endpoint, this.#endpoints, Math.min(endpoint.limits.batch, queue.batch), now, this.#passedOver.awaits)
      if (endpoint.budget?.short) return false
      if (load.segments.length === 0) continue
      this.#turn = (this.#turn + i + 1) % queues.length
      this.#request(endpoint, queue, load, now)
      return true
    }
    return false
  }

  #request(endpoint: Endpoint, queue: StepQueue, load: Load, now: number): CallRequest {
    const { maxBytes, flight } = this.#around
    const request = new CallRequest(maxBytes, flight, endpoint, queue, load, this.#nextId, now, this.#ended)
    this.#nextId += load.segments.length
    queue.sent()
    endpoint.send(request, request.body(this.#prefixes))
    return request
  }

  readonly #ended = (request: CallRequest, outcome: Outcome): void => this.#guarded(() => this.#settle(request, outcome))

  #settle(request: CallRequest, outcome: Outcome): void {
    const { endpoint, queue } = request
    const { clock, chain, emit } = this.#options
    this.#around.ended(request)
    endpoint.ended(request)
    queue.ended()
    if (this.#closing.signal.aborted) return
    const now = clock.monotonic()
    emit({
      type: 'request',
      from: { chain: chain.name },
      figures: {
        endpoint: endpoint.name,
        calls: request.segments.length,
        bytes: outcome.bytes,
        ms: now - request.sentAt,
        credits: endpoint.budget && request.load.credits,
      },
    })
    for (const each of this.#hedges.counted(request, outcome, now)) this.#count(each, now)
    this.#pump()
  }

  /** Gives the calls of a request that counts what they have come to. */
  #count({ request, outcome, at: endedAt }: Counted, now: number): void {
    const { endpoint } = request
    const { clock, chain, random, emit } = this.#options
    this.#hedges.ended()
    if (outcome.kind === 'reply') endpoint.latency.took(request.kind, endedAt - request.sentAt, now)
    // A long answer takes a while to read; until then the endpoint has work already. A short one may be a refusal.
    const isLong = outcome.kind === 'reply' && outcome.status === 200 && outcome.text.length > LONG_REPLY
    if (isLong && !outcome.text.slice(0, LONG_REPLY).includes('"error"')) this.#pump()
    const utc = clock.now()
    const { maxBytes } = this.#around
    const answered = settle(request, outcome, { chain: chain.name, endpoints: this.#endpoints, random, emit, maxBytes, now, utc })
    if (answered > 0) {
      endpoint.pace.answered(now)
      this.#answeredAt = now
      this.#rated = false
    } else if (endpoint.rating) {
      this.#rated = true
    }
    this.#learned.keep(endpoint)
    this.#learned.tell(endpoint, now)
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

  #rejectAll(error: Error): void {
    for (const queue of this.#queues) for (const segment of queue.open) queue.reject(segment, error)
  }

  #mayGoOn(signal: AbortSignal): void {
    signal.throwIfAborted()
    this.#closing.signal.throwIfAborted()
    if (this.#broken) throw this.#broken
  }
}
