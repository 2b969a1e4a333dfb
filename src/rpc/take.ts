import type { PipeError } from '../sdk/index.js'
import { at } from '../net/at.js'
import type { Endpoint } from './endpoint.js'
import { RpcMethodError, RpcRangeTooLongError, RpcStateError } from './errors.js'
import { blockOf } from './methods.js'
import type { Segment } from './segment.js'
import { showCall } from './show-call.js'
import type { Choice, StepQueue, Taken } from './step-queue.js'

/** After so many requests that came to nothing a call goes alone: it may be what breaks them. */
const ALONE_AFTER = 4

/**
 * Takes up to `most` calls that this endpoint may answer out of the queue. Calls that no endpoint may answer any more
 * fail here.
 */
export function take(queue: StepQueue, endpoint: Endpoint, endpoints: readonly Endpoint[], most: number, now: number): Taken {
  const choose = (segment: Segment, index: number): Choice => {
    if (may(endpoint, segment, index)) return (segment.states.get(index)?.drops ?? 0) >= ALONE_AFTER ? 'alone' : 'take'
    if (endpoints.some((other) => hopeful(other) && may(other, segment, index))) return 'leave'
    return whyNobody(endpoint, endpoints, segment, index)
  }
  const has = (block: bigint): boolean => endpoint.head === undefined || block <= endpoint.head
  return queue.take({ most, takesAny: !endpoint.refusals.any, has, choose }, now)
}

/** Whether an endpoint may still come to answer something. */
function hopeful(endpoint: Endpoint): boolean {
  return endpoint.health === 'up' || endpoint.health === 'unchecked'
}

/** Whether this endpoint may get the call, as far as is known of it. */
function may(endpoint: Endpoint, segment: Segment, index: number): boolean {
  const { refusals } = endpoint
  if (segment.only !== undefined && segment.only !== endpoint) return false
  const state = segment.states.get(index)
  if (state?.avoid?.has(endpoint) && !segment.only) return false
  if (!refusals.any) return true
  const call = at(segment.calls, index)
  if (refusals.unsupported.has(call.method) || refusals.tooLong(call)) return false
  if (!refusals.lacking) return true
  const block = blockOf(call)
  // One that was refused once may ask once more: nodes are known to say so by mistake.
  return block === undefined || block > refusals.lacking.block || state?.lacking?.get(endpoint) === 1
}

function whyNobody(endpoint: Endpoint, endpoints: readonly Endpoint[], segment: Segment, index: number): PipeError {
  const call = at(segment.calls, index)
  const { unsupported, lacking } = endpoint.refusals
  const missing = unsupported.get(call.method)
  if (missing !== undefined) return new RpcMethodError(showCall(call), endpoint.name, missing)
  if (endpoint.refusals.tooLong(call)) {
    const limits = endpoints.flatMap(({ name, refusals }) =>
      refusals.tooLong(call) ? [{ endpoint: name, blocks: refusals.maxBlockRange }] : [],
    )
    return new RpcRangeTooLongError(showCall(call), limits)
  }
  const last = segment.states.get(index)?.last
  return new RpcStateError(
    showCall(call),
    last?.endpoint ?? endpoint.name,
    blockOf(call) ?? segment.block,
    last?.text ?? lacking?.text ?? 'no state',
  )
}
