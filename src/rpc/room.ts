import type { Endpoint } from './endpoint.js'
import type { StepQueue } from './step-queue.js'
import { ENDPOINT_BYTES } from './weights.js'

/** Calls of a step that may be asked for and not over, before it is told to wait: an answer and what asked for it take a kilobyte or two. */
const MOST_HELD = 20_000

/**
 * Whether a step may ask for more: up to twice what may be under way, so that the next requests are ready when the last end, and no more
 * than memory has room for.
 */
export function hasRoom(queue: StepQueue, endpoints: readonly Endpoint[]): boolean {
  let places = 0
  let calls = 0
  for (const { health, limits } of endpoints) {
    if (health === 'out') continue
    const parallel = Math.min(limits.parallel, queue.parallel - places)
    if (parallel <= 0) break
    places += parallel
    calls += parallel * Math.min(limits.batch, queue.batch)
  }
  return queue.held < MOST_HELD && (queue.waiting === 0 || (queue.waiting < calls * 2 && queue.waitingBytes < ENDPOINT_BYTES * 2))
}
