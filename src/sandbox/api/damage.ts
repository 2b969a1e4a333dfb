import type { Json } from '../../sdk/index.js'
import type { Reply } from '../wire.js'
import { bodyFaults, pageFaults, requestFaults } from './fault.js'
import type { ApiArming, ApiFault, ApiRequestFault, BodyFault, PageFault } from './fault.js'
import type { List, Page, PageRequest } from './page.js'
import type { ApiRequest } from './server.js'
import type { Transactions } from './world.js'

type Struck = ApiFault['kind'][]

export interface ApiRefusal {
  readonly reply: Reply | 'drop' | 'hang' | 'hang-after-headers'
  readonly fault: ApiFault['kind']
}

/** The first fault that strikes the request as a whole, with what is said instead. */
export function refuse(faults: readonly ApiArming[], request: ApiRequest): ApiRefusal | undefined {
  for (const arming of faults) {
    const { fault } = arming
    if (!isRequestFault(fault)) continue
    // A rate strikes only what is over it, so its bucket is asked before it counts as a hit.
    const waitMs = arming.waitMs()
    if ((fault.kind === 'rate' && waitMs === 0) || !arming.strikes(request)) continue
    return { reply: refusalOf(fault, waitMs), fault: fault.kind }
  }
  return undefined
}

function isRequestFault(fault: ApiFault): fault is ApiFault & ApiRequestFault {
  return Object.hasOwn(requestFaults, fault.kind)
}

function isPageFault(fault: ApiFault): fault is ApiFault & PageFault {
  return Object.hasOwn(pageFaults, fault.kind)
}

function isBodyFault(fault: ApiFault): fault is ApiFault & BodyFault {
  return Object.hasOwn(bodyFaults, fault.kind)
}

function refusalOf(fault: ApiRequestFault, waitMs: number): ApiRefusal['reply'] {
  switch (fault.kind) {
    case 'http': {
      const body = fault.body ?? ''
      const type = /^\s*</.test(body)
        ? 'text/html; charset=utf-8'
        : /^\s*[[{]/.test(body)
          ? 'application/json'
          : 'text/plain; charset=utf-8'
      return { status: fault.status, headers: { 'content-type': type, ...fault.headers }, body }
    }
    case 'rate-limit':
      return tooMany(fault.status ?? 429, fault.retryAfter)
    case 'rate':
      return tooMany(429, fault.retryAfter ? Math.ceil(waitMs / 1000) : undefined)
    case 'hang':
      return fault.headers ? 'hang-after-headers' : 'hang'
    case 'drop':
      return 'drop'
  }
}

function tooMany(status: number, retryAfter: number | string | undefined): Reply {
  const json = { 'content-type': 'application/json' }
  const headers = retryAfter === undefined ? json : { ...json, 'retry-after': String(retryAfter) }
  return { status, headers, body: '{"error":"Too Many Requests"}' }
}

/** Reads a page with the faults of pages. `before`: the cursor of the request before, empty when it had none. */
export function changePage(
  list: List,
  transactions: Transactions,
  asked: PageRequest,
  before: string | undefined,
  faults: readonly ApiArming[],
  request: ApiRequest,
  struck: Struck,
): Page {
  let ask = asked
  const changes: ((page: Page) => Page)[] = []
  for (const arming of faults) {
    const { fault } = arming
    // A cursor can cycle only when there was one before.
    if (fault.kind === 'cursor' && fault.next === 'cycle' && !before) continue
    if (!isPageFault(fault) || !arming.strikes(request)) continue
    struck.push(fault.kind)
    switch (fault.kind) {
      case 'short':
        ask = { ...ask, take: Math.min(ask.take, fault.rows) }
        break
      case 'empty':
        ask = { ...ask, take: 0, mark: String(arming.hits) }
        if (fault.cursor === false) changes.push((page) => ({ ...page, next: undefined }))
        break
      case 'double':
        changes.push((page) => {
          const again = page.rows.slice(-fault.rows).map((row) => (fault.change ? { ...row, fee: row.fee + 1 } : row))
          return { ...page, rows: [...page.rows, ...again] }
        })
        break
      case 'total':
        changes.push((page) => ({ ...page, total: page.total + fault.by }))
        break
      case 'cursor':
        changes.push((page) => ({ ...page, next: nextOf(fault.next, page.next, request.query.cursor, before) }))
    }
  }
  return changes.reduce((page, change) => change(page), list.read(transactions, ask))
}

function nextOf(wanted: string, truth: string | undefined, sent: string | undefined, before: string | undefined): string | undefined {
  if (wanted === 'none') return undefined
  if (wanted === 'same') return sent ?? truth
  return wanted === 'cycle' ? before : wanted
}

/** Changes the JSON of a reply as faults of bodies say. `records`: where its rows are; undefined when it is the rows. */
export function changeBody(
  reply: Reply,
  records: string | undefined,
  faults: readonly ApiArming[],
  request: ApiRequest,
  struck: Struck,
): Reply {
  let body: Json | undefined
  let mark = ''
  for (const arming of faults) {
    const { fault } = arming
    if (!isBodyFault(fault) || !arming.strikes(request)) continue
    struck.push(fault.kind)
    // The cast holds: the body was written as JSON just before.
    const truth = body ?? (JSON.parse(reply.body) as Json)
    switch (fault.kind) {
      case 'error':
        body = { error: fault.error }
        break
      case 'records':
        body = records === undefined ? (fault.value ?? null) : setField(truth, [records], fault.value)
        break
      case 'field':
        body = changeRows(truth, records, (row, i) =>
          fault.row === undefined || fault.row === i ? changeField(row, fault.path, fault.as) : row,
        )
        break
      case 'reply':
        body = fault.change(truth, request)
        break
      case 'bom':
        mark = '\uFEFF'
    }
  }
  if (body === undefined && mark === '') return reply
  return { ...reply, body: mark + (body === undefined ? reply.body : JSON.stringify(body)) }
}

function changeRows(body: Json, records: string | undefined, change: (row: Json, i: number) => Json): Json {
  if (records === undefined) return Array.isArray(body) ? body.map(change) : body
  const rows = getField(body, records)
  return Array.isArray(rows) ? setField(body, [records], rows.map(change)) : body
}

function changeField(row: Json, path: string, as: 'missing' | { readonly name: string } | { readonly value: Json }): Json {
  const names = path.split('.')
  if (as === 'missing') return setField(row, names, undefined)
  if ('value' in as) return setField(row, names, as.value)
  const value = names.reduce<Json | undefined>((at, name) => (at === undefined ? undefined : getField(at, name)), row)
  return setField(setField(row, names, undefined), [...names.slice(0, -1), as.name], value)
}

function getField(value: Json, name: string): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as { readonly [key: string]: Json })[name]
    : undefined
}

/** The value with one field set, or without it when `to` is undefined. */
function setField(value: Json, [name = '', ...rest]: readonly string[], to: Json | undefined): Json {
  // The cast holds: what is no object becomes an empty one.
  const fields = (typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}) as { readonly [key: string]: Json }
  if (rest.length > 0) return { ...fields, [name]: setField(fields[name] ?? {}, rest, to) }
  const { [name]: _, ...others } = fields
  return to === undefined ? others : { ...others, [name]: to }
}
