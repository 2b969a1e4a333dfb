import { literal } from '../fill.js'

const AGAIN_MS = 50

/** Resolves when the time is over or the signal is aborted. It keeps no process alive. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    for (const end of [AbortSignal.timeout(ms), signal]) end?.addEventListener('abort', () => resolve(), { once: true })
  })
}

/**
 * Runs a statement, and stops it by `kill` when the signal is aborted: again until it has ended, since one that has not begun is
 * not there to be killed. What `kill` throws is left to the next time.
 *
 * @throws the reason of the signal.
 */
export async function stoppable<T>(signal: AbortSignal | undefined, work: () => Promise<T>, kill: () => unknown): Promise<T> {
  if (!signal) return work()
  signal.throwIfAborted()
  const ended = new AbortController()
  let killing: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      try {
        await kill()
      } catch {
        // The statement itself says how it ends.
      }
      await pause(AGAIN_MS, ended.signal)
    }
  }
  const begin = (): void => void (killing = stop())
  signal.addEventListener('abort', begin, { once: true })
  try {
    return await work()
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    ended.abort()
    signal.removeEventListener('abort', begin)
    await killing
  }
}

/** Stops what runs under this name, which is its setting `log_comment`. */
export const killQuery = (name: string): string => `KILL QUERY WHERE Settings['log_comment'] = ${literal(name, 'clickhouse')} ASYNC`
