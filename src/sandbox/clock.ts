import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '../sdk/index.js'

/** The machine's time, for endpoints that were given no other. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    await wait(ms, undefined, signal ? { signal } : {})
  },
}
