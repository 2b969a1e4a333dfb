import type { Random } from '../sdk/index.js'

/** Milliseconds to wait before try `attempt` (from 1): full jitter over a doubling range, so that waiters never wake together. */
export function backoff(attempt: number, waitMs: number, maxWaitMs: number, random: Random): number {
  return Math.round(random() * Math.min(maxWaitMs, waitMs * 2 ** (attempt - 1)))
}
