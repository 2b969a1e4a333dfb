import { at } from '../net/at.js'
import type { Endpoint } from './endpoint.js'
import { HEAD_AGE_MS } from './passed-over.js'
import { awayError, outlook, refusalError } from './outlook.js'
import type { Segment } from './segment.js'
import type { Choice, Load, StepQueue } from './step-queue.js'

/** After so many requests that came to nothing a call goes alone: it may be what breaks them. */
export const ALONE_AFTER = 4

/**
 * Takes up to `most` calls that this endpoint may answer out of the queue. Calls that no endpoint may answer any more
 * fail here. `awaits` is told of endpoints that calls wait for, with the time when they give up.
 */
export function take(
  queue: StepQueue,
  endpoint: Endpoint,
  endpoints: readonly Endpoint[],
  most: number,
  now: number,
  awaits: (endpoint: Endpoint, until: number) => void,
): Load {
  const choose = (segment: Segment, index: number): Choice => {
    const call = at(segment.calls, index)
    const state = segment.states.get(index)
    const asked = { call, reach: segment.reach, only: segment.only, state }
    const found = outlook(asked, endpoints, now, queue.patienceMs)
    switch (found.next) {
      case 'round':
        // The one that was to be asked in this round has left meanwhile.
        state?.avoid.clear()
        return choose(segment, index)
      case 'ask':
        if (state) state.waitsSince = undefined
        if (!found.endpoints.includes(endpoint)) return 'leave'
        return (state?.drops ?? 0) >= ALONE_AFTER ? 'alone' : 'take'
      case 'wait':
        segment.state(index, now).waitsSince ??= now
        for (const away of found.endpoints) awaits(away, found.until)
        return 'leave'
      case 'away':
        return awayError(asked, found.endpoints)
      case 'refused':
        return refusalError(asked, endpoints)
    }
  }
  let lags = false
  const has = (block: bigint): boolean => {
    const reaches = endpoint.reaches(block)
    if (!reaches) lags = true
    return reaches
  }
  const load = queue.take({ most, budget: endpoint.budget, takesAny: !endpoint.refusals.any, has, choose }, now)
  // It may have caught up, also while others do its work.
  if (lags) void endpoint.refreshHead(HEAD_AGE_MS)
  return load
}
