import { SqlTimeoutError } from '../errors.js'
import type { WriteOptions } from './engine.js'
import { passing, ServerUnreachableError, statementError } from './errors.js'
import { pause } from './stop.js'

/** Waits before another attempt: in all about two minutes. A server that restarts is back by then. */
export const WAITS_MS: readonly number[] = [100, 250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 60_000]

/**
 * Runs the very same again while its outcome is unknown or the trouble passes by itself.
 *
 * @throws {ServerUnreachableError} when no attempt was left. @throws the reason of the signal.
 */
export async function retrying<T>(
  display: string,
  waitsMs: readonly number[],
  work: () => Promise<T>,
  { timeoutMs, signal }: Pick<WriteOptions, 'timeoutMs' | 'signal'> = {},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      signal?.throwIfAborted()
      const why = error instanceof ServerUnreachableError ? passing(error.cause) : passing(error)
      const known = statementError(display, error, timeoutMs)
      if (why === undefined || known instanceof SqlTimeoutError) throw known
      const waitMs = waitsMs[attempt - 1]
      if (waitMs === undefined) throw new ServerUnreachableError(display, why, attempt, error)
      // The server's time is real, so what waits for it does, too.
      await pause(waitMs, signal)
    }
  }
}
