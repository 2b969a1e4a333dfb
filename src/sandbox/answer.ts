import type { Arming, CallFault, Fault, SentCall } from './fault.js'
import { alterLogs, isLogFault } from './log-fault.js'
import { answerCall } from './methods.js'
import type { NodeView } from './methods.js'
import { errorBody, wordings } from './wordings.js'
import type { RpcError } from './wordings.js'

export interface Answers {
  readonly text: string
  readonly errors: number
  readonly faults: readonly Fault['kind'][]
}

interface Item {
  readonly text: string
  readonly error: boolean
}

/**
 * Answers a request body: one call or an array of them, with the faults of single calls, their order and their size.
 * Calls from `granted` on are over a rate and get `tooMany`.
 */
export function answerBatch(
  view: NodeView,
  body: unknown,
  faults: readonly Arming[],
  granted: number,
  tooMany: RpcError,
  random: () => number,
): Answers {
  if (body === undefined) return { text: errorBody(null, { code: -32700, message: 'parse error' }), errors: 1, faults: [] }
  const calls: readonly unknown[] = Array.isArray(body) ? body : [body]
  if (calls.length === 0) return { text: errorBody(null, { code: -32600, message: 'empty batch' }), errors: 1, faults: [] }
  const ofCalls = faults.filter(({ fault }) => isCallFault(fault) || isLogFault(fault))
  const struck: Fault['kind'][] = []
  if (granted < calls.length) struck.push('rate')
  const limit = faults.find(({ fault }) => fault.kind === 'max-response')
  const limitFault = limit?.fault.kind === 'max-response' ? limit.fault : undefined

  const items: Item[] = []
  let size = 2
  let fitting = 0
  calls.forEach((call, i) => {
    const answers = i >= granted ? [failed(idOf(call), tooMany)] : answerOne(view, call, ofCalls, calls.length, struck)
    for (const item of answers) {
      items.push(item)
      size += item.text.length + 1
      if (limitFault && size <= limitFault.bytes) fitting++
    }
  })
  if (limitFault && fitting < items.length && limit?.strikes(calls.filter(isCall), calls.length)) {
    struck.push('max-response')
    const error = limitFault.error ?? wordings.gethResponseTooLarge
    if (limitFault.style === 'whole') return { text: errorBody(null, error), errors: calls.length, faults: struck }
    if (limitFault.style === 'rest') items.splice(fitting, Infinity, ...calls.slice(fitting).map((call) => failed(idOf(call), error)))
    else items.splice(0, Infinity, failed(idOf(calls[0]), error))
  }
  const order = faults.find((arming) => arming.fault.kind === 'reorder' && arming.strikes(calls.filter(isCall), calls.length))
  if (order) {
    struck.push('reorder')
    shuffle(items, random)
  }
  const errors = items.reduce((sum, item) => sum + (item.error ? 1 : 0), 0)
  const text = Array.isArray(body) ? `[${items.map((item) => item.text).join(',')}]` : (items[0]?.text ?? '')
  return { text, errors, faults: struck }
}

function answerOne(view: NodeView, call: unknown, faults: readonly Arming[], batch: number, struck: Fault['kind'][]): readonly Item[] {
  if (!isCall(call)) return [failed(idOf(call), { code: -32600, message: 'invalid request' })]
  // A notification wants no answer.
  if (call.id === undefined) return []
  let answer = answerCall(view, call.method, Array.isArray(call.params) ? call.params : [])
  let id = idText(call.id)
  let double: string | undefined
  for (const arming of faults) {
    const { fault } = arming
    if (isLogFault(fault)) {
      const altered = typeof answer === 'string' ? alterLogs(fault, call, answer, view.head) : undefined
      if (altered === undefined || !arming.strikes([call], batch)) continue
      if (!struck.includes(fault.kind)) struck.push(fault.kind)
      answer = altered
      continue
    }
    if (!isCallFault(fault) || !arming.strikes([call], batch)) continue
    if (!struck.includes(fault.kind)) struck.push(fault.kind)
    switch (fault.kind) {
      case 'omit':
        return []
      case 'error':
        answer = fault.error
        break
      case 'result':
        answer = JSON.stringify(fault.result)
        break
      case 'raw':
        answer = typeof fault.text === 'string' ? fault.text : fault.text(typeof answer === 'string' ? answer : 'null')
        break
      case 'duplicate':
        double = fault.result === undefined ? 'same' : JSON.stringify(fault.result)
        break
      case 'id':
        id = { missing: '', string: `"id":"${String(call.id)}",`, null: '"id":null,', unknown: '"id":987654321,' }[fault.id]
    }
  }
  const item =
    typeof answer === 'string' ? result(id, answer) : { text: `{"jsonrpc":"2.0",${id}"error":${JSON.stringify(answer)}}`, error: true }
  if (double === undefined) return [item]
  return [item, double === 'same' ? item : result(id, double)]
}

function result(id: string, text: string): Item {
  return { text: `{"jsonrpc":"2.0",${id}"result":${text}}`, error: false }
}

function failed(id: unknown, error: RpcError): Item {
  return { text: errorBody(id, error), error: true }
}

function idText(id: unknown): string {
  return typeof id === 'number' ? `"id":${id},` : `"id":${JSON.stringify(id)},`
}

function idOf(call: unknown): unknown {
  return typeof call === 'object' && call !== null && 'id' in call ? call.id : null
}

function isCall(call: unknown): call is SentCall {
  return typeof call === 'object' && call !== null && 'method' in call && typeof call.method === 'string'
}

const callFaults = new Set<string>(['error', 'result', 'raw', 'omit', 'duplicate', 'id'] satisfies CallFault['kind'][])

function isCallFault(fault: Fault): fault is Fault & CallFault {
  return callFaults.has(fault.kind)
}

function shuffle(items: Item[], random: () => number): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const item = items[i]!
    items[i] = items[j]!
    items[j] = item
  }
}
