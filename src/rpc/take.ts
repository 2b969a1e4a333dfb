import type { PipeError } from '../sdk/index.js'
import { at } from '../net/at.js'
import type { Endpoint } from './endpoint.js'
import { RpcMethodError, RpcStateError } from './errors.js'
import type { Lane, Segment } from './lane.js'
import { blockOf } from './methods.js'
import { showCall } from './show-call.js'

/** After so many requests that came to nothing a call goes alone: it may be what breaks them. */
const ALONE_AFTER = 4

export interface Taken {
  readonly segments: Segment[]
  readonly indexes: number[]
}

/**
 * Takes up to `most` calls that this endpoint may answer out of the queue, first those to be asked again. Calls that no
 * endpoint may answer any more fail here.
 */
export function take(lane: Lane, endpoint: Endpoint, endpoints: readonly Endpoint[], most: number, now: number): Taken {
  const segments: Segment[] = []
  const indexes: number[] = []
  const { queue } = lane
  let place = 0
  while (place < queue.length && segments.length < most) {
    const segment = at(queue, place)
    if (segment.block !== undefined && endpoint.head !== undefined && segment.block > endpoint.head) {
      segment.behindSince ??= now
      place++
      continue
    }
    segment.behindSince = undefined
    const alone = segment.again.length > 0 && takeAgain(lane, segment, endpoint, endpoints, most, segments, indexes)
    if (!alone) takeFresh(lane, segment, endpoint, endpoints, most, segments, indexes)
    if (segment.settled || segment.waiting === 0) {
      segment.queued = false
      queue.splice(place, 1)
    } else {
      place++
    }
    if (alone) break
  }
  lane.waiting -= segments.length
  return { segments, indexes }
}

function takeFresh(
  lane: Lane,
  segment: Segment,
  endpoint: Endpoint,
  endpoints: readonly Endpoint[],
  most: number,
  segments: Segment[],
  indexes: number[],
): void {
  const end = Math.min(segment.calls.length, segment.next + most - segments.length)
  if (!endpoint.restricted) {
    for (let index = segment.next; index < end; index++) {
      segments.push(segment)
      indexes.push(index)
    }
    segment.next = end
    return
  }
  while (segment.next < segment.calls.length && segments.length < most && !segment.settled) {
    const index = segment.next++
    if (may(endpoint, segment, index)) {
      segments.push(segment)
      indexes.push(index)
    } else if (endpoints.some((other) => hopeful(other) && may(other, segment, index))) {
      segment.again.push(index)
    } else {
      lane.waiting--
      segment.fail(index, whyNobody(endpoint, segment, index))
    }
  }
}

/** Returns true when it took a call that must go alone. */
function takeAgain(
  lane: Lane,
  segment: Segment,
  endpoint: Endpoint,
  endpoints: readonly Endpoint[],
  most: number,
  segments: Segment[],
  indexes: number[],
): boolean {
  const rest: number[] = []
  let alone = false
  for (let i = 0; i < segment.again.length; i++) {
    const index = at(segment.again, i)
    if (alone || segments.length >= most || segment.settled) {
      rest.push(index)
      continue
    }
    const state = segment.states.get(index)
    if (!may(endpoint, segment, index)) {
      if (endpoints.some((other) => hopeful(other) && may(other, segment, index))) {
        rest.push(index)
      } else {
        lane.waiting--
        segment.fail(index, whyNobody(endpoint, segment, index))
      }
    } else if (state !== undefined && state.drops >= ALONE_AFTER) {
      if (segments.length > 0) {
        rest.push(index)
        continue
      }
      segments.push(segment)
      indexes.push(index)
      alone = true
    } else {
      segments.push(segment)
      indexes.push(index)
    }
  }
  segment.again = rest
  return alone
}

/** Whether an endpoint may still come to answer something. */
function hopeful(endpoint: Endpoint): boolean {
  return endpoint.health === 'up' || endpoint.health === 'unchecked'
}

/** Whether this endpoint may get the call, as far as its refusals have shown. */
export function may(endpoint: Endpoint, segment: Segment, index: number): boolean {
  const state = segment.states.get(index)
  if (state?.avoid?.has(endpoint)) return false
  if (!endpoint.restricted) return true
  const call = at(segment.calls, index)
  if (endpoint.unsupported.has(call.method)) return false
  if (!endpoint.lacking) return true
  const block = blockOf(call)
  // One that was refused once may ask once more: nodes are known to say so by mistake.
  return block === undefined || block > endpoint.lacking.block || state?.lacking?.get(endpoint) === 1
}

function whyNobody(endpoint: Endpoint, segment: Segment, index: number): PipeError {
  const call = at(segment.calls, index)
  const missing = endpoint.unsupported.get(call.method)
  if (missing !== undefined) return new RpcMethodError(showCall(call), endpoint.name, missing)
  const last = segment.states.get(index)?.last
  return new RpcStateError(
    showCall(call),
    last?.endpoint ?? endpoint.name,
    blockOf(call) ?? segment.block,
    last?.text ?? endpoint.lacking?.text ?? 'no state',
  )
}
