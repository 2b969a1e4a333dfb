import { createHash } from 'node:crypto'
import { type PostgresAddress, postgresAddress } from '../postgres/address.js'
import { serverFault } from '../postgres/faults.js'
import { pause } from '../postgres/pause.js'
import { PostgresSession, refusePooler } from '../postgres/session.js'
import { isPipeError, WarehouseOpenError } from '../sdk/errors.js'
import type { Holder } from '../sdk/index.js'

/** What holds a pipeline in a database: a session of its own, ended by the server when its process is gone. */
export interface PostgresLock {
  /** Asks the session whether it is there, and cuts one that does not answer. */
  check(): Promise<void>
  release(): Promise<void>
}

/**
 * Takes an advisory lock, by pipeline and schema, in the database itself: whoever runs the pipeline, from whatever
 * machine. Resolves to the holder when somebody else has it, undefined where he can't be told. `taken` is called when the lock
 * was lost later, and somebody else took it.
 *
 * @throws {WarehouseOpenError} when the server, which is the warehouse's, can't be reached.
 * @throws {PostgresPoolerError} behind a pool in transaction mode, where the lock would hold nothing.
 */
export async function takePostgresLock(
  url: string,
  pipeline: string,
  self: Holder,
  taken: (by: Holder) => void = () => undefined,
): Promise<PostgresLock | { readonly heldBy: Holder | undefined }> {
  const address = postgresAddress(url)
  try {
    const lock = await take(address, pipeline, self)
    if ('heldBy' in lock) return lock
    return hold(lock, { address, pipeline, self, taken })
  } catch (error) {
    const fault = serverFault(error)
    throw fault && !isPipeError(error) ? new WarehouseOpenError(address.display, fault.problem, fault.hint, error) : error
  }
}

/** How long a killed holder's session may still be there: the server learns of its end a moment later. */
const TRIES = 4

async function take(
  address: PostgresAddress,
  pipeline: string,
  self: Holder,
): Promise<PostgresSession | { readonly heldBy: Holder | undefined }> {
  const session = await PostgresSession.open(address, { name: nameOf(self), setup: KEEPALIVE })
  try {
    await refusePooler(address, session)
    const schema = address.schema ?? (await session.query('SELECT current_schema() AS name')).rows[0]?.name ?? ''
    const key = keyOf(schema, pipeline)
    for (let attempt = 1; ; attempt++) {
      const { rows } = await session.query('SELECT pg_try_advisory_lock($1::bigint) AS taken', [key])
      if (rows[0]?.taken === 't') return session
      const heldBy = await holderOf(session, key)
      if (attempt === TRIES) {
        await session.close()
        return { heldBy }
      }
      await pause(attempt, 50, 100)
    }
  } catch (error) {
    await session.close()
    throw error
  }
}

/**
 * A session that ends takes its lock with it: a server that restarts, an administrator, a network. The lock is taken again then,
 * unless somebody else was quicker, which `taken` is told.
 */
function hold(
  first: PostgresSession,
  { address, pipeline, self, taken }: { address: PostgresAddress; pipeline: string; self: Holder; taken: (by: Holder) => void },
): PostgresLock {
  const released = new AbortController()
  let session: PostgresSession | undefined
  const keep = (held: PostgresSession): void => {
    session = held
    held.onLost(() => void again())
  }
  const again = async (): Promise<void> => {
    for (let attempt = 1; !released.signal.aborted; attempt++) {
      try {
        await pause(attempt, 100, 5_000, released.signal)
        const lock = await take(address, pipeline, self)
        if ('heldBy' in lock) {
          // The server may not have noticed yet that our session of before is gone, and of one that just ended nobody knows whose it was.
          if (!lock.heldBy || nameOf(lock.heldBy) === nameOf(self)) continue
          return taken(lock.heldBy)
        }
        if (released.signal.aborted) await lock.close()
        else keep(lock)
        return
      } catch {
        // It was released, or the server is not back yet.
      }
    }
  }
  keep(first)
  return {
    async check() {
      const asked = session
      if (!asked || asked.lost) return
      const answered = new AbortController()
      AbortSignal.timeout(SILENT_MS).addEventListener('abort', () => asked.cut(), { once: true, signal: answered.signal })
      await asked.query('SELECT 1').catch(() => undefined)
      answered.abort()
    },
    async release() {
      if (released.signal.aborted) return
      released.abort()
      await session?.close()
    },
  }
}

/** A session that says nothing for so long is lost: between us and the server is a network that lets nothing through. */
const SILENT_MS = 8_000

/**
 * The server gives the lock of a machine that went away back when it notices that nobody answers: within a minute, and not after
 * the two hours of most systems.
 */
const KEEPALIVE = ['SET tcp_keepalives_idle = 20', 'SET tcp_keepalives_interval = 10', 'SET tcp_keepalives_count = 3']

/** The advisory locks of Postgres are numbers. */
function keyOf(schema: string, pipeline: string): string {
  const digest = createHash('sha256')
    .update(JSON.stringify(['pipe', schema, pipeline]))
    .digest()
  return String(digest.readBigInt64BE())
}

/** `pipe 4242 @box 1700000000000`: what others read of who holds it. A name of a session has 63 bytes at most. */
function nameOf({ pid, host, since }: Holder): string {
  const room = 63 - `pipe ${pid} @ ${since}`.length
  const short = Buffer.from(host.replace(/[^\x21-\x7e]/g, '?')).subarray(0, room)
  return `pipe ${pid} @${short.toString()} ${since}`
}

async function holderOf(session: PostgresSession, key: string): Promise<Holder | undefined> {
  const { rows } = await session.query(
    "SELECT a.application_name AS name FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND (l.classid::bigint << 32) | l.objid::bigint = $1::bigint",
    [key],
  )
  const [, pid, host, since] = /^pipe (\d+) @(\S*) (\d+)$/.exec(rows[0]?.name ?? '') ?? []
  return pid === undefined || host === undefined ? undefined : { pid: Number(pid), host, since: Number(since) }
}
