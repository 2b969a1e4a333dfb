import { isDeep, sameJson, TooDeepError } from '../net/json-depth.js'

/** What a reply says of one call. */
export type Item = { readonly result?: unknown; readonly error?: unknown }

/** A reply, taken apart. */
export type Demuxed =
  /** By place of the call; undefined where the reply has nothing. `loose` is an error with no id: it speaks of all that are missing. */
  | {
      readonly kind: 'items'
      readonly items: readonly (Item | undefined)[]
      readonly missing: number
      readonly unknown: number
      readonly loose: unknown
    }
  /** One error for the request as a whole. */
  | { readonly kind: 'error'; readonly error: unknown }
  /** Contradicts itself or is no JSON-RPC. */
  | { readonly kind: 'invalid'; readonly problem: string }

/**
 * Pairs the answers of a request with its calls by id; `base` is the id of the first of `count` calls. The order of the
 * reply does not matter. An id given twice must say the same twice. `"3"` stands for 3. Ids that were not asked for are
 * counted and left out.
 */
export function demux(reply: unknown, base: number, count: number): Demuxed {
  if (!Array.isArray(reply)) return demuxSingle(reply, base, count)
  const items = new Array<Item | undefined>(count).fill(undefined)
  let found = 0
  let unknown = 0
  let loose: unknown
  for (let i = 0; i < reply.length; i++) {
    const item: unknown = reply[i]
    if (typeof item !== 'object' || item === null) {
      unknown++
      continue
    }
    const { id } = item as { id?: unknown }
    const place = (typeof id === 'number' ? id : typeof id === 'string' && /^\d{1,16}$/.test(id) ? Number(id) : NaN) - base
    if (!(place >= 0 && place < count && Number.isInteger(place))) {
      if ((id === null || id === undefined) && (item as Item).error !== undefined) loose ??= shallow(item).error
      else unknown++
      continue
    }
    const before = items[place]
    if (before === undefined) {
      items[place] = shallow(item)
      found++
    } else if (!same(before, item)) {
      return { kind: 'invalid', problem: 'two different answers with one id' }
    }
  }
  if (found === 0 && loose !== undefined) return { kind: 'error', error: loose }
  return { kind: 'items', items, missing: count - found, unknown, loose }
}

function demuxSingle(reply: unknown, base: number, count: number): Demuxed {
  if (typeof reply !== 'object' || reply === null) return { kind: 'invalid', problem: 'no JSON-RPC answer' }
  const { id, error, result, message } = reply as { id?: unknown; error?: unknown; result?: unknown; message?: unknown }
  if (error !== undefined && error !== null) {
    const own = count === 1 && (id === base || id === String(base))
    const item = shallow(reply)
    return own ? { kind: 'items', items: [item], missing: 0, unknown: 0, loose: undefined } : { kind: 'error', error: item.error }
  }
  // A gateway's own way to complain.
  if (result === undefined && typeof message === 'string') return { kind: 'error', error: reply }
  return demux([reply], base, count)
}

/** An item with an error that can be shown. A result is looked at when it is judged. */
function shallow(item: Item): Item {
  return isDeep(item.error) ? { error: `the error is ${new TooDeepError().message}` } : item
}

function same(a: Item, b: Item): boolean {
  if (isDeep(a) || isDeep(b)) return false
  return sameJson(a.result, b.result) && sameJson(a.error, b.error)
}
