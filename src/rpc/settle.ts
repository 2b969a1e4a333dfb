import { type KeptFields, type PipeError, type Random, type RpcCall, type RpcErrorClass, type RunFact } from '../sdk/index.js'
import { at } from '../net/at.js'
import { classify, type Classified, isLogs, type ProviderError, saysNothing } from './classify.js'
import type { Endpoint } from './endpoint.js'
import {
  RpcBehindError,
  RpcCallError,
  RpcLoginError,
  RpcMethodError,
  RpcNullError,
  RpcOtherBlockError,
  RpcRangeError,
  RpcStateError,
  RpcTooLargeError,
  RpcUnreachableError,
} from './errors.js'
import type { Outcome } from '../net/exchange.js'
import { isDeep, TooDeepError } from '../net/json-depth.js'
import { flawOf } from '../net/json-numbers.js'
import { sifted } from '../net/sifted.js'
import { blockOf, isOther, mustExist, rangeOf } from './methods.js'
import { awayError, outlook, refusalError } from './outlook.js'
import { providerError, readReply, type Reply } from './reply.js'
import type { CallRequest } from './request.js'
import { showCall } from './show-call.js'
import type { Taken } from './step-queue.js'
import { ALONE_AFTER } from './take.js'
import {
  dropVerdict,
  type Failure,
  type Lesson,
  type Nothing,
  replaceableTimes,
  requestVerdict,
  type RequestVerdict,
  type Said,
  type Verdict,
  verdict,
} from './verdict.js'

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

const HEAVY_BYTES = 1_000_000

/** Deeper below the head than this, a block that is not there has been pruned. */
export const NEAR_HEAD = 256n

/**
 * Gives every call of an ended request its answer, its final error, or its place in the queue again, as `verdict` says.
 * Tells the endpoint what it showed of itself. Returns the answers that came.
 */
export function settle(request: CallRequest, outcome: Outcome, context: SettleContext): number {
  const { endpoint } = request
  // Those that follow may be as large as this one, also where it was no answer.
  if (outcome.bytes >= HEAVY_BYTES) request.weigh(outcome.bytes)
  if (outcome.kind === 'failed') {
    settleWhole(
      request,
      { came: outcome.cause === 'unreadable' ? 'garbled' : outcome.cause },
      endpoint.show(outcome.text),
      undefined,
      context,
    )
    return 0
  }
  // Calls are gone from the request once they are answered.
  const { keep } = request
  const reply = readReply(outcome, request.base, request.segments.length, context.utc, keep)
  switch (reply.kind) {
    case 'items':
      return settleItems(request, { ...reply, keep }, outcome, context)
    case 'refused': {
      const { error, classified } = reply
      const wordless = !/batch|too (large|big)|size/i.test(error.message)
      settleWhole(request, { came: 'refused', class: classified.class, wordless }, endpoint.show(error.message), reply, context)
      return 0
    }
    case 'broken':
      settleWhole(request, { came: reply.suspicious ? 'broken' : 'garbled' }, endpoint.show(reply.text), undefined, context)
      return 0
    case 'redirected':
      endpoint.redirected(reply.location)
      request.queue.giveBack(request)
      return 0
  }
}

/** A request that brought no answers. */
function settleWhole(
  request: CallRequest,
  nothing: Nothing,
  text: string,
  refused: { readonly error: ProviderError; readonly classified: Classified } | undefined,
  context: SettleContext,
): void {
  const { endpoint, queue, sentAt } = request
  const { now } = context
  const count = request.segments.length
  const decided = requestVerdict(nothing, count)
  if (decided.limit) learnLimit(request, decided.limit, refused?.classified.maxBatch, now)
  switch (decided.next) {
    case 'one': {
      // Only a refusal is one call's own answer.
      const { error, classified } = refused as NonNullable<typeof refused>
      const settling = new Settling(request, context)
      settling.failed(0, { ...error, method: request.call(0).method }, classified)
      return settling.finish()
    }
    case 'too-large': {
      const settling = new Settling(request, context)
      settling.carryOut(0, { as: decided.as, next: 'refused', error: 'too-large', enough: 'once' }, text)
      return settling.finish()
    }
    case 'again': {
      const waitMs = decided.refused && refused ? endpoint.refused(now, sentAt, refused.classified, text) : 0
      report(context, endpoint, decided.as, count, waitMs, text)
      return queue.giveBack(request)
    }
    case 'counted': {
      const waitMs = decided.failed ? endpoint.failed(now, sentAt, text) : 0
      report(context, endpoint, decided.as, count, waitMs, text)
      return giveBackCounted(request, text, decided.weight, context)
    }
  }
}

function learnLimit({ endpoint, segments, sentAt }: CallRequest, limit: RequestVerdict['limit'], stated: number | undefined, now: number) {
  const { limits } = endpoint
  if (limit === 'dropped') limits.dropped(now, segments.length)
  if (limit === 'too-many' || limit === 'too-many-and-slow') limits.tooMany(now, segments.length, stated)
  if (limit === 'too-slow' || limit === 'too-many-and-slow') limits.tooSlow(now, sentAt)
}

function giveBackCounted(request: CallRequest, text: string, weight: number, context: SettleContext): void {
  const { endpoint, queue } = request
  const again: Taken = { segments: [], indexes: [] }
  for (let i = 0; i < request.segments.length; i++) {
    const segment = at(request.segments, i)
    const index = at(request.indexes, i)
    const state = segment.state(index, context.now)
    state.drops += weight
    endpoint.failsAll(state)
    const answered = context.endpoints.some((other) => other.lastAnswer >= state.since)
    const decided = dropVerdict(state.drops, queue.options.attempts, answered)
    if (decided === 'unreachable') {
      queue.reject(segment, new RpcUnreachableError(context.chain, [{ endpoint: endpoint.name, reason: text }]))
      continue
    }
    if (decided === 'refused') {
      const call = request.call(i)
      const drops = Math.ceil(state.drops)
      // It was alone, and stays so elsewhere.
      state.drops = ALONE_AFTER
      const error = () => unanswered(call, endpoint, text, drops, endpoint.failsAll(state), context)
      state.refusals.set(endpoint, { times: drops, final: true, answer: false, text, error })
      const next = afterRefusal(request, i, context)
      if (next instanceof Error) {
        segment.fail(index, next)
        continue
      }
    }
    again.segments.push(segment)
    again.indexes.push(index)
  }
  queue.giveBack(again)
}

/** The error of a call that got no answer. It is to blame itself unless the endpoint answers no other one either. */
function unanswered(call: RpcCall, endpoint: Endpoint, text: string, attempts: number, failsAll: boolean, { chain }: SettleContext) {
  return failsAll ? silent(call, endpoint, text, chain) : new RpcCallError(showCall(call), endpoint.name, text, attempts)
}

function silent(call: RpcCall, endpoint: Endpoint, text: string, chain: string): PipeError {
  return new RpcUnreachableError(chain, [{ endpoint: endpoint.name, reason: `${showCall(call)}: ${text}` }])
}

const FLAWS = {
  rounded: 'a JSON number above 2^53, which may have been rounded',
  deep: `the answer is ${new TooDeepError().message}`,
} as const

/** What becomes of a call that was refused: asked of others at once, of all again later, or its error. */
function afterRefusal(
  { queue, segments, indexes }: CallRequest,
  i: number,
  { endpoints, now }: SettleContext,
): 'again' | 'later' | PipeError {
  const segment = at(segments, i)
  const state = segment.states.get(at(indexes, i))
  const asked = { call: at(segment.calls, at(indexes, i)), reach: segment.reach, only: segment.only, state }
  const found = outlook(asked, endpoints, now, queue.patienceMs)
  if (found.next === 'ask') return 'again'
  if (found.next === 'refused') return refusalError(asked, endpoints)
  if (found.next === 'away') return awayError(asked, found.endpoints)
  if (found.next === 'wait') return 'again'
  state?.avoid.clear()
  return 'later'
}

/** A reply that speaks of single calls. Returns the number of answers. */
function settleItems(
  request: CallRequest,
  reply: Reply & { readonly kind: 'items'; readonly keep: KeptFields | undefined },
  outcome: Outcome & { readonly kind: 'reply' },
  context: SettleContext,
): number {
  const { segments, indexes, endpoint } = request
  const { now } = context
  const settling = new Settling(request, context)
  const missing: number[] = []
  let answered = 0
  endpoint.lastAnswer = now
  if (reply.items.some((item) => item?.result !== undefined && item.result !== null)) {
    endpoint.succeeded(now)
    if (outcome.bytes < HEAVY_BYTES) request.weigh(outcome.bytes)
  }
  for (let i = 0; i < segments.length; i++) {
    const item = reply.items[i]
    const segment = at(segments, i)
    const result = item?.result
    const error = item?.error
    if (error !== undefined && error !== null) {
      settling.failed(i, { ...providerError(error, outcome.status), method: request.call(i).method })
    } else if (result === undefined) {
      missing.push(i)
    } else if (result === null && segment.block !== undefined && mustExist(request.call(i), segment.block)) {
      endpoint.refusals.withheld(request.call(i))
      settling.judge(i, 'NULL', 'null')
    } else if (isOther(request.call(i), result)) {
      settling.judge(i, 'OTHER', `got block ${String((result as { number: unknown }).number)}`)
    } else {
      const flaw = typeof result === 'string' ? undefined : flawIn(result, reply.keep)
      if (flaw !== undefined) {
        settling.judge(i, 'USELESS', FLAWS[flaw])
        continue
      }
      if (result === null) endpoint.refusals.withheld(request.call(i))
      else endpoint.refusals.answered(request.call(i))
      if (result !== null && request.call(i).method === 'eth_getTransactionReceipt')
        endpoint.refusals.gaveReceipt(now, request.sentAt, result)
      segment.answer(at(indexes, i), result, endpoint.name)
      answered++
    }
  }
  if (answered > 0) {
    endpoint.limits.answered(now, segments.length, endpoint.under, request.queue.waiting > 0 && !endpoint.pace.searching)
  }
  for (const i of missing) {
    if (reply.loose !== undefined) settling.failed(i, { ...providerError(reply.loose), method: request.call(i).method })
    else if (settling.shrunk) settling.judge(i, 'LEFT_OUT', '')
    else settling.judge(i, 'MISSING', 'no answer to this call in the reply')
  }
  settling.finish()
  return answered
}

/** A flaw of what is looked at. Of a long answer nothing else is there. */
function flawIn(result: unknown, keep: KeptFields | undefined): ReturnType<typeof flawOf> {
  const flaw = flawOf(result)
  if (flaw !== 'rounded' || isDeep(result)) return flaw
  const kept = sifted(Buffer.from(JSON.stringify({ result })), keep)
  return kept ? flawOf(JSON.parse(kept.toString())) : flaw
}

/** Carries out what `verdict` says of the calls of one request. */
class Settling {
  readonly #request: CallRequest
  readonly #context: SettleContext
  readonly #again: Taken = { segments: [], indexes: [] }
  readonly #later: Taken = { segments: [], indexes: [] }
  readonly #causes = new Map<RpcErrorClass, { calls: number; text: string }>()
  #rounds = 0
  #waitMs = 0
  #shrunk = false

  constructor(request: CallRequest, context: SettleContext) {
    this.#request = request
    this.#context = context
  }

  /** Whether the reply said that it was for too many calls. */
  get shrunk(): boolean {
    return this.#shrunk
  }

  /** The endpoint answered a call with an error. */
  failed(i: number, error: ProviderError, known?: Classified): void {
    const call = this.#request.call(i)
    if (call.nullable === true && saysNothing(error)) {
      at(this.#request.segments, i).answer(at(this.#request.indexes, i), null, this.#request.endpoint.name)
      return
    }
    const range = isLogs(call.method) ? rangeOf(call) : undefined
    const classified = known ?? classify({ ...error, calls: this.#request.segments.length, range })
    const said = classified.reverted ? 'REVERT' : classified.class
    this.judge(i, said, this.#request.endpoint.show(error.message), classified)
  }

  judge(i: number, said: Said, text: string, classified?: Classified): void {
    const { endpoint, segments, sentAt } = this.#request
    const call = this.#request.call(i)
    const block = blockOf(call) ?? at(segments, i).block
    const decided = verdict({
      said,
      logs: isLogs(call.method) ? logsOf(call) : undefined,
      calls: segments.length,
      old: block !== undefined && endpoint.head !== undefined && block + NEAR_HEAD <= endpoint.head,
      answers: endpoint.lastSuccess >= sentAt,
      replaceable: call.replaceable === true && endpoint.lastSuccess > -Infinity,
    })
    this.carryOut(i, decided, text, classified)
  }

  carryOut(i: number, decided: Verdict, text: string, classified?: Classified): void {
    const { segments, indexes } = this.#request
    const segment = at(segments, i)
    const index = at(indexes, i)
    if (decided.lesson) this.#learn(decided.lesson, this.#request.call(i), text, classified)
    const next = this.#next(i, decided, text, classified)
    if (next instanceof Error) {
      segment.fail(index, next)
    } else {
      const group = next === 'later' ? this.#later : this.#again
      group.segments.push(segment)
      group.indexes.push(index)
    }
    const cause = this.#causes.get(decided.as)
    if (cause) cause.calls++
    else this.#causes.set(decided.as, { calls: 1, text })
  }

  /** Puts back what is to be asked again, and reports each class once. */
  finish(): void {
    const { queue, endpoint } = this.#request
    const { random, now } = this.#context
    queue.giveBack(this.#again)
    let waitMs = this.#waitMs
    if (this.#later.segments.length > 0) {
      const { maxWaitMs, waitMs: first } = queue.options
      const most = Math.min(maxWaitMs, first * 2 ** Math.max(0, this.#rounds - 1))
      waitMs = Math.max(waitMs, random() * most)
      queue.giveBackAt(now + waitMs, this.#later)
    }
    for (const [kind, { calls, text }] of this.#causes) report(this.#context, endpoint, kind, calls, waitMs, text)
  }

  #next(i: number, decided: Verdict, text: string, classified: Classified | undefined): 'again' | 'later' | PipeError {
    if (decided.next === 'again') return 'again'
    if (decided.next === 'failed') return this.#error(decided.error, i, text, 1, classified)
    const { endpoint, queue, segments, indexes } = this.#request
    const { now } = this.#context
    const segment = at(segments, i)
    const { only } = segment
    const state = segment.state(at(indexes, i), now)
    const times = (state.refusals.get(endpoint)?.times ?? 0) + 1
    this.#rounds = Math.max(this.#rounds, times)
    state.avoid.add(endpoint)
    const failsAll = decided.error === 'unanswered' && endpoint.failsAll(state)
    const call = at(segment.calls, at(indexes, i))
    const enough = (call.replaceable === true && !failsAll ? replaceableTimes(decided) : undefined) ?? queue.options.attempts
    // One that is asked alone has its next turn from whoever asked.
    const final = decided.enough === 'once' || only !== undefined || times >= enough
    if (final && call.replaceable === true && (decided.as === 'SERVER' || decided.as === 'BUG')) endpoint.refusals.withheld(call, text)
    // Anew, so that the last to refuse it is the last.
    state.refusals.delete(endpoint)
    state.refusals.set(endpoint, {
      times,
      final,
      answer: decided.answer ?? false,
      text,
      error: () => this.#error(decided.error, i, text, times, classified),
    })
    return afterRefusal(this.#request, i, this.#context)
  }

  #learn(lesson: Lesson, call: RpcCall, text: string, classified: Classified | undefined): void {
    const { endpoint, segments, sentAt } = this.#request
    const { now } = this.#context
    switch (lesson) {
      case 'refused':
        if (classified) this.#waitMs = Math.max(this.#waitMs, endpoint.refused(now, sentAt, classified, text))
        return
      case 'unsupported':
        return endpoint.refusals.unsupported(now, sentAt, call, text)
      case 'lacks':
        return endpoint.refusals.refused(now, sentAt, call)
      case 'too-many':
        if (!this.#shrunk) endpoint.limits.tooMany(now, segments.length, classified?.maxBatch)
        this.#shrunk = true
    }
  }

  #error(failure: Failure, i: number, text: string, attempts: number, classified: Classified | undefined): PipeError {
    const { endpoint, segments } = this.#request
    const call = this.#request.call(i)
    const segment = at(segments, i)
    const block = blockOf(call) ?? segment.block
    switch (failure) {
      case 'silent':
        return silent(call, endpoint, text, this.#context.chain)
      case 'unanswered': {
        const state = segment.state(at(this.#request.indexes, i), this.#context.now)
        return unanswered(call, endpoint, text, attempts, endpoint.failsAll(state), this.#context)
      }
      case 'call':
        return new RpcCallError(showCall(call), endpoint.name, text, attempts, classified?.reverted ? 'reverted' : nothingIn(text))
      case 'range':
        return new RpcRangeError(
          showCall(call),
          endpoint.name,
          text,
          classified?.next,
          classified?.maxBlocks,
          classified?.over,
          classified?.maxResults,
        )
      case 'method':
        return new RpcMethodError(showCall(call), endpoint.name, text)
      case 'state':
        return new RpcStateError(showCall(call), endpoint.name, block, text, attempts)
      case 'behind':
        return new RpcBehindError(this.#context.chain, block ?? endpoint.head ?? 0n, [{ endpoint: endpoint.name, reason: text }])
      case 'null':
        return new RpcNullError(showCall(call), endpoint.name, block, attempts)
      case 'other':
        return new RpcOtherBlockError(showCall(call), endpoint.name, block, text, attempts)
      case 'login':
        return new RpcLoginError(this.#context.chain, [{ endpoint: endpoint.name, reason: `${showCall(call)}: ${text}` }])
      case 'too-large':
        return new RpcTooLargeError(showCall(call), endpoint.name, this.#context.maxBytes)
    }
  }
}

const nothingIn = (text: string): 'nothing' | undefined => (saysNothing({ message: text }) ? 'nothing' : undefined)

/** What a call for logs reads: without two numbers it may be any range. */
function logsOf(call: RpcCall): 'block' | 'range' {
  const range = rangeOf(call)
  return range !== undefined && range.from === range.to ? 'block' : 'range'
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
