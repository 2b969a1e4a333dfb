import type { PostgresAddress } from '../../postgres/address.js'
import { codeOf, serverFault } from '../../postgres/faults.js'
import { pause } from '../../postgres/pause.js'
import { PostgresSession } from '../../postgres/session.js'
import { LockWaitError, SqlTimeoutError, WarehouseLostError, WriteConflictError } from '../errors.js'
import { milliseconds } from './duration.js'
import { onlyReads, statementError } from './errors.js'

/** Attempts of a transaction that another one, or the loss of its connection, came in the way of. */
const ATTEMPTS = 10
/** Of one that waited for a lock until `lock_timeout`. */
const LOCK_ATTEMPTS = 2
/** After so long somebody looks who holds what it waits for. */
const LOOK_MS = 1_000

/** Whether a transaction whose COMMIT was not answered is there. Asked on a new connection. */
export type Landed<T> = (session: PostgresSession, result: T) => Promise<boolean>

/** The one connection that writes. Its transactions wait for each other in a queue; a lost connection is made anew. */
export class Transactions {
  readonly #address: PostgresAddress
  #session: PostgresSession | undefined
  #tail: Promise<unknown> = Promise.resolve()

  constructor(address: PostgresAddress, session: PostgresSession | undefined) {
    this.#address = address
    this.#session = session
  }

  /**
   * Runs work alone and in one transaction: all of it is committed, or nothing when it throws. It is run again from its
   * beginning after a deadlock, a serialization failure or the loss of the connection. When the connection is lost so that
   * nobody knows whether the COMMIT was done, `landed` finds out. `before` makes temporary tables, outside of the
   * transaction, since a rollback would take them away.
   */
  run<T>(
    work: (session: PostgresSession) => Promise<T>,
    { before, landed }: { readonly before?: (session: PostgresSession) => Promise<unknown>; readonly landed?: Landed<T> } = {},
  ): Promise<T> {
    const result = this.#tail.then(async () => {
      for (let attempt = 1; ; attempt++) {
        const ended = await this.#attempt(work, before, landed)
        if ('result' in ended) return ended.result
        const { error } = ended
        if (attempt >= (error instanceof LockWaitError ? LOCK_ATTEMPTS : ATTEMPTS) || !isPassing(error)) throw error
        await pause(attempt, 50, 5_000)
      }
    })
    this.#tail = result.catch(() => undefined)
    return result
  }

  /** Resolves when no transaction is under way. */
  async settled(): Promise<void> {
    await this.#tail
  }

  async close(): Promise<void> {
    await this.#session?.close()
    this.#session = undefined
  }

  async #attempt<T>(
    work: (session: PostgresSession) => Promise<T>,
    before: ((session: PostgresSession) => Promise<unknown>) | undefined,
    landed: Landed<T> | undefined,
  ): Promise<{ readonly result: T } | { readonly error: Error }> {
    let session: PostgresSession | undefined
    let done: { readonly result: T } | undefined
    let holder: Promise<string | undefined> | undefined
    const over = new AbortController()
    try {
      const own = (session = await this.#open())
      AbortSignal.timeout(LOOK_MS).addEventListener('abort', () => (holder = this.#holder(own)), { once: true, signal: over.signal })
      await before?.(session)
      await session.query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE')
      const result = await work(session)
      done = { result }
      const { command } = await session.query('COMMIT')
      // After an error that somebody swallowed, COMMIT says ROLLBACK, and no error.
      if (command !== 'COMMIT') return { error: new Error(`the transaction was not committed: the server answered ${command}`) }
      return done
    } catch (error) {
      over.abort()
      if (session && !session.lost) await session.query('ROLLBACK').catch(() => session?.cut())
      if (done && session && outcomeUnknown(error)) {
        const found = await this.#found(session, done, landed)
        if (found !== 'absent') return found
      }
      // The server may have become a standby; a new connection may find the one that took over.
      if (onlyReads(error)) session?.cut()
      return { error: await this.#explain(error, await holder?.catch(() => undefined)) }
    } finally {
      over.abort()
    }
  }

  async #open(): Promise<PostgresSession> {
    if (this.#session && !this.#session.lost) return this.#session
    await this.#session?.close()
    this.#session = undefined
    return (this.#session = await PostgresSession.open(this.#address, { retries: ATTEMPTS }))
  }

  /** What became of a COMMIT that was not answered: its result, nothing, or an error when nobody can tell. */
  async #found<T>(
    old: PostgresSession,
    done: { readonly result: T },
    landed: Landed<T> | undefined,
  ): Promise<{ readonly result: T } | { readonly error: Error } | 'absent'> {
    if (!landed) return 'absent'
    try {
      const session = await this.#open()
      // The server may not have noticed yet that we are gone. Whatever it still does there ends now, one way or the other.
      await session.query(
        `SELECT pg_terminate_backend(pid)
        FROM pg_stat_activity
        WHERE pid = $1::int AND application_name = current_setting('application_name')`,
        [String(old.pid)],
      )
      return (await landed(session, done.result)) ? done : 'absent'
    } catch (error) {
      return {
        error: new WarehouseLostError(
          this.#address.display,
          'the connection was lost in the middle of a commit, and nobody answers whether it was done',
          'run again when the server is back: the ledger tells, and it goes on from there',
          error,
        ),
      }
    }
  }

  async #explain(error: unknown, holder: string | undefined): Promise<Error> {
    const { display, settings } = this.#address
    if (onlyReads(error)) {
      const fault = serverFault(error)
      return new WarehouseLostError(display, fault?.problem ?? '', fault?.hint ?? '', error)
    }
    if (codeOf(error) === '57014') return new SqlTimeoutError(milliseconds(settings.statement_timeout), error)
    const known = statementError(display, error)
    return known instanceof LockWaitError && known.holder === undefined ? new LockWaitError(display, holder, error) : known
  }

  /** Who holds what our session waits for, in words. */
  async #holder(session: PostgresSession): Promise<string | undefined> {
    const looking = await PostgresSession.open(this.#address)
    try {
      const { rows } = await looking.query(
        // The statement as one line of a message.
        `SELECT
          pid, usename, application_name, state,
          left(trim(regexp_replace(query, '\\s+', ' ', 'g')), 80) AS query,
          date_trunc('second', clock_timestamp() - xact_start) AS since
        FROM pg_stat_activity
        WHERE pid = ANY(pg_blocking_pids($1::int))
        ORDER BY xact_start
        LIMIT 1`,
        [String(session.pid)],
      )
      const [row] = rows
      if (!row) return undefined
      const name = row.application_name ? ` (${row.application_name})` : ''
      return `process ${row.pid}${name} of ${row.usename ?? 'another user'}, ${row.state ?? 'busy'} for ${row.since ?? 'some time'}: ${row.query ?? ''}`
    } finally {
      await looking.close()
    }
  }
}

/** Whether the same work may succeed when it is run again from its beginning. */
function isPassing(error: Error): boolean {
  return error instanceof WriteConflictError || error instanceof LockWaitError || error instanceof WarehouseLostError
}

/** Whether a COMMIT that failed so may have been done all the same. */
function outcomeUnknown(error: unknown): boolean {
  return serverFault(error)?.kind === 'lost' || codeOf(error) === '40003'
}
