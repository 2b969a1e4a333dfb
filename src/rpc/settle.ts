import type { PipeError, Random, RpcErrorClass, RunFact } from '../sdk/index.js'
import { at } from '../net/at.js'
import { classify, type Classified, isLogs, type ProviderError } from './classify.js'
import type { Item } from './demux.js'
import type { Endpoint } from './endpoint.js'
import {
  RpcBehindError,
  RpcCallError,
  RpcMethodError,
  RpcNullError,
  RpcRangeError,
  RpcStateError,
  RpcTooLargeError,
  RpcUnreachableError,
} from './errors.js'
import type { Outcome } from '../net/exchange.js'
import { unsafeNumber } from '../net/json-numbers.js'
import type { CallState } from './lane.js'
import { blockOf, mustExist, rangeOf } from './methods.js'
import { providerError, readReply, type Reply } from './reply.js'
import type { CallRequest } from './request.js'
import { showCall } from './show-call.js'

export interface SettleContext {
  readonly chain: string
  readonly endpoints: readonly Endpoint[]
  readonly random: Random
  readonly emit: (fact: RunFact) => void
  readonly maxBytes: number
  /** Monotonic, and UTC for dates in headers. Milliseconds. */
  readonly now: number
  readonly utc: number
}

/** Deeper below the head than this, a block that is not there has been pruned. */
const NEAR_HEAD = 256n
/** A call whose requests come to nothing has so many tries an attempt: mostly it is the line, not the call. */
const DROPS_AN_ATTEMPT = 3

/** What became of a call that was not answered. */
type Next = 'again' | 'later' | PipeError

/** Calls of one request to be asked again. */
interface Group {
  readonly segments: CallRequest['segments'][number][]
  readonly indexes: number[]
}

/**
 * Gives every call of an ended request its answer, its final error, or its place in the queue again. Tells the endpoint
 * what it showed of itself. Returns the answers that came.
 */
export function settle(request: CallRequest, outcome: Outcome, context: SettleContext): number {
  const { endpoint } = request
  const count = request.segments.length
  if (outcome.kind === 'failed') {
    settleFailed(request, outcome, context)
    return 0
  }
  const reply = readReply(outcome, request.base, count, context.utc)
  switch (reply.kind) {
    case 'items':
      return new Settling(request, context, outcome).items(reply)
    case 'refused':
      settleRefused(request, reply.error, reply.classified, context)
      return 0
    case 'broken':
      if (reply.suspicious) endpoint.limits.dropped(context.now, count)
      settleDropped(request, 'SERVER', endpoint.show(reply.text), 1, context)
      return 0
    case 'redirected':
      endpoint.redirected(reply.location)
      request.lane.giveBack(request.segments, request.indexes)
      return 0
  }
}

function settleFailed(request: CallRequest, outcome: Outcome & { readonly kind: 'failed' }, context: SettleContext): void {
  const { endpoint, lane } = request
  const count = request.segments.length
  const text = endpoint.show(outcome.text)
  switch (outcome.cause) {
    case 'too-large':
      if (count === 1) {
        at(request.segments, 0).fail(
          at(request.indexes, 0),
          new RpcTooLargeError(showCall(request.call(0)), endpoint.name, context.maxBytes),
        )
        report(context, endpoint, 'BATCH', 1, 0, text)
        return
      }
      endpoint.limits.tooMany(context.now, count)
      report(context, endpoint, 'BATCH', count, 0, text)
      lane.giveBack(request.segments, request.indexes)
      return
    case 'timeout':
      // Too much for it at once, or a call that it never finishes: either way smaller requests tell.
      if (count > 1) endpoint.limits.tooMany(context.now, count)
      endpoint.limits.tooSlow(context.now, request.sentAt)
      return settleDropped(request, 'SERVER', text, DROPS_AN_ATTEMPT, context)
    case 'broken':
      endpoint.limits.dropped(context.now, count)
      return settleDropped(request, 'SERVER', text, 1, context)
    case 'connect':
      return settleDropped(request, 'SERVER', text, 0, context)
  }
}

function settleRefused(request: CallRequest, error: ProviderError, classified: Classified, context: SettleContext): void {
  const { endpoint, lane } = request
  const { now } = context
  const count = request.segments.length
  const text = endpoint.show(error.message)
  switch (classified.class) {
    case 'RATE':
    case 'QUOTA':
    case 'AUTH': {
      const waitMs = endpoint.refused(now, request.sentAt, classified, text)
      report(context, endpoint, classified.class, count, waitMs, text)
      return lane.giveBack(request.segments, request.indexes)
    }
    case 'SERVER':
      return settleDropped(request, 'SERVER', text, 1, context)
    default:
      if (count === 1) return void new Settling(request, context, undefined).one(error, classified)
      if (classified.class === 'BATCH' || classified.class === 'SPLIT') {
        // 400 and 405 without a word about it mean batches as such, sooner or later.
        if (!/batch|too (large|big)|size/i.test(error.message)) endpoint.limits.dropped(now, count)
        else endpoint.limits.tooMany(now, count, classified.maxBatch)
        report(context, endpoint, 'BATCH', count, 0, text)
        return giveBackCounted(request, text, 0.5, context)
      }
      // One bad call may spoil a whole request; alone each gets its own answer.
      endpoint.limits.dropped(now, count)
      report(context, endpoint, classified.class, count, 0, text)
      return giveBackCounted(request, text, 1, context)
  }
}

/** The request brought nothing. The endpoint is to blame until it turns out to be the call. */
function settleDropped(request: CallRequest, kind: RpcErrorClass, text: string, weight: number, context: SettleContext): void {
  const waitMs = request.endpoint.failed(context.now, request.sentAt, text)
  report(context, request.endpoint, kind, request.segments.length, waitMs, text)
  giveBackCounted(request, text, weight, context)
}

function giveBackCounted(request: CallRequest, text: string, weight: number, context: SettleContext): void {
  const { endpoint, lane } = request
  const group: Group = { segments: [], indexes: [] }
  for (let i = 0; i < request.segments.length; i++) {
    const segment = at(request.segments, i)
    const index = at(request.indexes, i)
    const state = stateOf(request, i, context.now)
    state.drops += weight
    state.last = { endpoint: endpoint.name, text }
    // While nothing else goes well either, it is not the call.
    const own = context.endpoints.some((other) => other.lastSuccess >= state.since)
    if (state.drops <= lane.options.attempts * DROPS_AN_ATTEMPT) {
      group.segments.push(segment)
      group.indexes.push(index)
    } else if (own) {
      segment.fail(index, new RpcCallError(showCall(request.call(i)), endpoint.name, text, Math.ceil(state.drops)))
    } else {
      lane.reject(segment, new RpcUnreachableError(context.chain, [{ endpoint: endpoint.name, reason: text }]))
    }
  }
  lane.giveBack(group.segments, group.indexes)
}

/** A reply that speaks of single calls. */
class Settling {
  readonly #request: CallRequest
  readonly #context: SettleContext
  readonly #outcome: (Outcome & { readonly kind: 'reply' }) | undefined
  readonly #again: Group = { segments: [], indexes: [] }
  readonly #later: Group = { segments: [], indexes: [] }
  readonly #causes = new Map<RpcErrorClass, { calls: number; text: string }>()
  #rounds = 0
  #waitMs = 0
  #shrunk = false

  constructor(request: CallRequest, context: SettleContext, outcome: (Outcome & { readonly kind: 'reply' }) | undefined) {
    this.#request = request
    this.#context = context
    this.#outcome = outcome
  }

  /** Returns the number of answers. */
  items(reply: Reply & { readonly kind: 'items' }): number {
    const { segments, indexes, endpoint } = this.#request
    const host = endpoint.name
    let answered = 0
    let missing = 0
    for (let i = 0; i < segments.length; i++) {
      const item: Item | undefined = reply.items[i]
      const segment = at(segments, i)
      if (item === undefined) {
        missing++
        continue
      }
      const { result, error } = item
      if (error !== undefined && error !== null) {
        this.#failed(i, { ...providerError(error, this.#outcome?.status), method: this.#request.call(i).method })
      } else if (result === undefined) {
        missing++
      } else if (result === null && segment.block !== undefined && mustExist(this.#request.call(i), segment.block)) {
        this.#place(i, 'LAG', this.#nothing(i), 'null')
      } else if (typeof result !== 'string' && unsafeNumber(result)) {
        const text = 'a JSON number above 2^53, which may have been rounded'
        this.#place(
          i,
          'SERVER',
          this.#attempt(i, text, () => this.#callError(i, text), true),
          text,
        )
      } else {
        segment.answer(at(indexes, i), result, host)
        answered++
      }
    }
    if (answered > 0) {
      endpoint.succeeded(this.#context.now)
      endpoint.limits.answered(
        this.#context.now,
        segments.length,
        this.#outcome?.bytes ?? 0,
        endpoint.under,
        this.#request.lane.waiting > 0 && !endpoint.pace.searching,
      )
    }
    if (missing > 0) this.#missing(reply)
    this.#finish()
    return answered
  }

  /** The request had one call and an error. */
  one(error: ProviderError, classified: Classified): void {
    const call = this.#request.call(0)
    this.#failed(0, { ...error, method: call.method }, classified)
    this.#finish()
  }

  /** Calls that the reply says nothing about. */
  #missing(reply: Reply & { readonly kind: 'items' }): void {
    const { segments } = this.#request
    const loose = reply.loose === undefined ? undefined : { ...providerError(reply.loose), calls: segments.length }
    for (let i = 0; i < segments.length; i++) {
      const item = reply.items[i]
      if (item !== undefined && (item.result !== undefined || (item.error !== undefined && item.error !== null))) continue
      if (loose) {
        this.#failed(i, { ...loose, method: this.#request.call(i).method })
      } else if (this.#shrunk) {
        // Left out because the answer was getting too large: not its fault.
        this.#place(i, 'BATCH', 'again', '')
      } else {
        const text = 'no answer to this call in the reply'
        this.#place(
          i,
          'SERVER',
          this.#attempt(i, text, () => this.#callError(i, text), false),
          text,
        )
      }
    }
  }

  #failed(i: number, error: ProviderError, known?: Classified): void {
    const { endpoint, segments, lane } = this.#request
    const { now, endpoints } = this.#context
    const count = segments.length
    const call = this.#request.call(i)
    const range = isLogs(call.method) ? rangeOf(call) : undefined
    const classified = known ?? classify({ ...error, calls: count, ...(range ? { range } : {}) })
    const text = endpoint.show(error.message)
    switch (classified.class) {
      case 'RATE':
      case 'QUOTA':
        this.#waitMs = Math.max(this.#waitMs, endpoint.refused(now, this.#request.sentAt, classified, text))
        return this.#place(i, classified.class, 'again', text)
      case 'AUTH':
        // Said of one call among answered ones it is about this call.
        if (count === 1 || endpoint.lastSuccess < this.#request.sentAt) {
          endpoint.refused(now, this.#request.sentAt, classified, text)
          return this.#place(i, 'AUTH', 'again', text)
        }
        return this.#place(
          i,
          'AUTH',
          this.#elsewhere(i, text, () => this.#callError(i, text)),
          text,
        )
      case 'SPLIT':
        if (isLogs(call.method))
          return this.#place(
            i,
            'SPLIT',
            new RpcRangeError(showCall(call), endpoint.name, text, classified.next, classified.maxBlocks),
            text,
          )
        return this.#tooMany(i, text, undefined)
      case 'BATCH':
        return this.#tooMany(i, text, classified.maxBatch)
      case 'STATE':
        return this.#place(i, 'STATE', this.#stateMissing(i, text), text)
      case 'LAG': {
        const block = blockOf(call) ?? at(segments, i).block
        if (block !== undefined && endpoint.head !== undefined && block + NEAR_HEAD <= endpoint.head)
          return this.#place(i, 'STATE', this.#stateMissing(i, text), text)
        return this.#place(
          i,
          'LAG',
          this.#behind(
            i,
            text,
            () => new RpcBehindError(this.#context.chain, block ?? endpoint.head ?? 0n, [{ endpoint: endpoint.name, reason: text }]),
          ),
          text,
        )
      }
      case 'UNSUP':
        endpoint.unsupported.set(call.method, text)
        if (endpoints.some((other) => other !== endpoint && other.health !== 'out' && !other.unsupported.has(call.method)))
          return this.#place(i, 'UNSUP', 'again', text)
        return this.#place(i, 'UNSUP', new RpcMethodError(showCall(call), endpoint.name, text), text)
      case 'SERVER':
        return this.#place(
          i,
          'SERVER',
          this.#attempt(i, text, () => this.#callError(i, text), lane.options.attempts > 1),
          text,
        )
      case 'BUG':
        return this.#place(i, 'BUG', new RpcCallError(showCall(call), endpoint.name, text, 1), text)
    }
  }

  #tooMany(i: number, text: string, stated: number | undefined): void {
    const { endpoint, segments } = this.#request
    if (segments.length === 1)
      return this.#place(
        i,
        'BATCH',
        this.#attempt(i, text, () => this.#callError(i, text), true),
        text,
      )
    if (!this.#shrunk) endpoint.limits.tooMany(this.#context.now, segments.length, stated)
    this.#shrunk = true
    this.#place(i, 'BATCH', 'again', text)
  }

  /** One more attempt, bounded. `move`: preferably at another endpoint. */
  #attempt(i: number, text: string, error: () => PipeError, move: boolean): Next {
    const { endpoint, lane } = this.#request
    const state = stateOf(this.#request, i, this.#context.now)
    state.attempts++
    state.last = { endpoint: endpoint.name, text }
    this.#rounds = Math.max(this.#rounds, state.attempts)
    if (state.attempts >= lane.options.attempts) return error()
    if (move) this.#avoid(state, true)
    return 'later'
  }

  #nothing(i: number): Next {
    const { endpoint, segments } = this.#request
    const call = this.#request.call(i)
    return this.#behind(
      i,
      'null',
      () =>
        new RpcNullError(
          showCall(call),
          endpoint.name,
          blockOf(call) ?? at(segments, i).block,
          stateOf(this.#request, i, this.#context.now).attempts,
        ),
    )
  }

  /** The node lags: another one, or this one a little later. */
  #behind(i: number, text: string, error: () => PipeError): Next {
    return this.#attempt(i, text, error, true)
  }

  #stateMissing(i: number, text: string): Next {
    const { endpoint, segments } = this.#request
    const { now } = this.#context
    const call = this.#request.call(i)
    const block = blockOf(call) ?? at(segments, i).block
    const state = stateOf(this.#request, i, now)
    state.last = { endpoint: endpoint.name, text }
    const times = (state.lacking?.get(endpoint) ?? 0) + 1
    state.lacking ??= new Map()
    state.lacking.set(endpoint, times)
    this.#rounds = Math.max(this.#rounds, times)
    if (block !== undefined) endpoint.lacks(now, block, text)
    const error = (): PipeError => new RpcStateError(showCall(call), endpoint.name, block, text)
    const others = this.#others(state)
    if (others.length === 0) {
      if (times < 2) return 'later'
      return error()
    }
    this.#avoid(state, false)
    return 'again'
  }

  /** Another endpoint, or the error. */
  #elsewhere(i: number, text: string, error: () => PipeError): Next {
    const state = stateOf(this.#request, i, this.#context.now)
    state.last = { endpoint: this.#request.endpoint.name, text }
    if (this.#others(state).length === 0) return error()
    this.#avoid(state, false)
    return 'again'
  }

  /** `again`: when all were avoided, all may be asked again. */
  #avoid(state: CallState, again: boolean): void {
    state.avoid ??= new Set()
    state.avoid.add(this.#request.endpoint)
    if (again && this.#others(state).length === 0) state.avoid.clear()
  }

  #others(state: CallState): readonly Endpoint[] {
    return this.#context.endpoints.filter(
      (other) => other !== this.#request.endpoint && (other.health === 'up' || other.health === 'unchecked') && !state.avoid?.has(other),
    )
  }

  #callError(i: number, text: string): PipeError {
    return new RpcCallError(
      showCall(this.#request.call(i)),
      this.#request.endpoint.name,
      text,
      stateOf(this.#request, i, this.#context.now).attempts,
    )
  }

  #place(i: number, kind: RpcErrorClass, next: Next, text: string): void {
    const segment = at(this.#request.segments, i)
    const index = at(this.#request.indexes, i)
    if (next !== 'again' && next !== 'later') {
      segment.fail(index, next)
    } else {
      const group = next === 'again' ? this.#again : this.#later
      group.segments.push(segment)
      group.indexes.push(index)
    }
    const cause = this.#causes.get(kind)
    if (cause) cause.calls++
    else this.#causes.set(kind, { calls: 1, text })
  }

  #finish(): void {
    const { lane } = this.#request
    const { random, now } = this.#context
    if (this.#again.segments.length > 0) lane.giveBack(this.#again.segments, this.#again.indexes)
    let waitMs = this.#waitMs
    if (this.#later.segments.length > 0) {
      const most = Math.min(lane.options.maxWaitMs, lane.options.waitMs * 2 ** Math.max(0, this.#rounds - 1))
      waitMs = Math.max(waitMs, random() * most)
      lane.giveBackAt(now + waitMs, this.#later.segments, this.#later.indexes)
    }
    for (const [kind, { calls, text }] of this.#causes) report(this.#context, this.#request.endpoint, kind, calls, waitMs, text)
  }
}

function stateOf(request: CallRequest, i: number, now: number): CallState {
  const { states } = at(request.segments, i)
  const index = at(request.indexes, i)
  let state = states.get(index)
  if (!state) states.set(index, (state = { attempts: 0, drops: 0, since: now, avoid: undefined, lacking: undefined, last: undefined }))
  return state
}

function report(
  { emit, chain }: SettleContext,
  endpoint: Endpoint,
  kind: RpcErrorClass,
  calls: number,
  waitMs: number,
  text: string,
): void {
  emit({ type: 'retry', from: { chain }, endpoint: endpoint.name, class: kind, calls, waitMs: Math.round(waitMs), message: text })
}
