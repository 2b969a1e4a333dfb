import { literal } from '../fill.js'

const AGAIN_MS = 50

/**
 * Runs a statement, and stops it by `kill` when the signal is aborted: again until it has ended, since one that has not begun is
 * not there to be killed. What `kill` throws is left to the next time.
 *
 * @throws the reason of the signal.
 */
export async function stoppable<T>(signal: AbortSignal | undefined, work: () => Promise<T>, kill: () => unknown): Promise<T> {
  if (!signal) return work()
  signal.throwIfAborted()
  let ended = false
  let killing: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    while (!ended) {
      try {
        await kill()
      } catch {
        // The statement itself says how it ends.
      }
      await new Promise<void>((resolve) => AbortSignal.timeout(AGAIN_MS).addEventListener('abort', () => resolve(), { once: true }))
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
    ended = true
    signal.removeEventListener('abort', begin)
    await killing
  }
}

/** Stops what runs under this name, which is its setting `log_comment`. */
export const killQuery = (name: string): string => `KILL QUERY WHERE Settings['log_comment'] = ${literal(name, 'clickhouse')} ASYNC`
