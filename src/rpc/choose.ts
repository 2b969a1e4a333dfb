import type { Endpoint } from './endpoint.js'

/**
 * Whether one endpoint comes before another one that could take the same work now: by priority, then by when it may be expected to
 * have it done. So a fast one gets more, a slow one what the fast one has no room for; and since what was measured is forgotten,
 * it is tried again.
 */
export function sooner(one: Endpoint, other: Endpoint, now: number): boolean {
  if (one.priority !== other.priority) return one.priority < other.priority
  return load(one, now) < load(other, now)
}

const load = (endpoint: Endpoint, now: number) => ((endpoint.under + 1) * endpoint.latency.expected(now)) / endpoint.parallel
