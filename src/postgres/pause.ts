import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits before a server is asked again. A server is waited for in real time, whatever clock a run has. `attempt` counts
 * from 1; the wait doubles up to `mostMs`, and half of it is chance, so that those who met do not meet again.
 */
export async function pause(attempt: number, leastMs: number, mostMs: number, signal?: AbortSignal): Promise<void> {
  const ms = Math.min(mostMs, leastMs * 2 ** (attempt - 1))
  await sleep(ms / 2 + (Math.random() * ms) / 2, undefined, signal ? { signal } : {})
}
