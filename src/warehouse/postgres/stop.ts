import type { PostgresAddress } from '../../postgres/address.js'
import { PostgresSession } from '../../postgres/session.js'

/** What was told to stop and still runs: its connection is cut. */
const STOP_WAIT_MS = 3_000

/**
 * Runs work on a session, and stops what it does when one of the signals is aborted. When it resolves, nothing that was sent to
 * stop it is under way any more.
 *
 * @throws the reason of the signal.
 */
export async function stoppable<T>(
  address: PostgresAddress,
  session: PostgresSession,
  stops: readonly AbortSignal[],
  work: () => Promise<T>,
): Promise<T> {
  for (const stop of stops) stop.throwIfAborted()
  const ended = new AbortController()
  let stopping: Promise<void> | undefined
  for (const signal of stops)
    signal.addEventListener('abort', () => (stopping ??= stop(address, session, ended.signal)), { once: true, signal: ended.signal })
  try {
    return await work()
  } catch (error) {
    for (const { aborted, reason } of stops) if (aborted) throw reason
    throw error
  } finally {
    ended.abort()
    await stopping
  }
}

async function stop(address: PostgresAddress, session: PostgresSession, ended: AbortSignal): Promise<void> {
  AbortSignal.timeout(STOP_WAIT_MS).addEventListener('abort', () => session.cut(), { once: true, signal: ended })
  let other: PostgresSession | undefined
  try {
    other = await PostgresSession.open(address)
    // Postgres ignores a cancel that comes before the statement has begun, so it is sent again until the statement has ended.
    while (!ended.aborted) {
      await other.query('SELECT pg_cancel_backend($1::int)', [String(session.pid)])
      await other.query('SELECT pg_sleep(0.02)')
    }
  } catch {
    // No other session could be opened to cancel the statement, so its own connection is cut.
    if (!ended.aborted) session.cut()
  } finally {
    await other?.close()
  }
}
