import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '../sdk/index.js'

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await wait(ms, undefined, signal ? { signal } : undefined)
    } catch (error) {
      throw signal?.aborted ? signal.reason : error
    }
  },
}
