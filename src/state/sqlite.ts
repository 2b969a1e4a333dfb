import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Knex } from 'knex'
import type { Clock } from '../sdk/index.js'
import { makeFolders } from '../sdk/folders.js'
import { emptyStore } from './empty.js'
import { explainFileError, StateFileError } from './file-errors.js'
import { KnexState } from './knex-state.js'
import { migrateState } from './migrate.js'
import type { StateOptions } from './open.js'
import type { StateStore } from './store.js'

/**
 * Opens the state store in a file, creating folder, file and tables as needed.
 *
 * @throws {StateFileError} naming the path, when it can't be used.
 * @throws {StateNewerError} when a later version wrote it.
 */
export async function openSqliteState(file: string, options: StateOptions): Promise<StateStore> {
  const path = resolve(file)
  if (options.readOnly && !existsSync(path)) return emptyStore
  await refuseFolder(path)
  const explain = (error: unknown) => explainFileError(path, error)
  const db = await connect(path, options.clock)
  try {
    await migrateState(db, { name: path, enter: enterWriting })
  } catch (error) {
    await db.destroy()
    throw explain(error)
  }
  return new KnexState(db, explain, options.machine)
}

/** A write as the first statement waits for other processes; a read that becomes a write later would fail instead. */
async function enterWriting(transaction: Knex): Promise<void> {
  await transaction.raw(`PRAGMA application_id = ${applicationId}`)
}

/** "pipe" in ASCII: marks the file as ours for `file` and friends. */
const applicationId = 0x70697065
/** How long a statement waits for another process that writes. */
const busyMs = 5_000

async function refuseFolder(path: string): Promise<void> {
  try {
    await makeFolders(dirname(path))
  } catch (error) {
    throw explainFileError(dirname(path), error)
  }
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) throw new StateFileError(path, 'is a folder', 'give the path of a file that pipe may write')
}

async function connect(path: string, clock: Clock): Promise<Knex> {
  const [{ default: knex }, { default: BetterSqlite3 }, { default: Libsql }] = await Promise.all([
    import('knex'),
    // @ts-expect-error knex declares no types for its dialects
    import('knex/lib/dialects/better-sqlite3/index.js') as Promise<{ default: typeof Knex.Client }>,
    import('libsql'),
  ])
  class LibsqlClient extends BetterSqlite3 {
    _driver() {
      return Libsql
    }
  }
  const afterCreate = (db: InstanceType<typeof Libsql>, done: (error?: unknown) => void) => {
    void prepareConnection(db, clock).then(() => done(), done)
  }
  const db = knex({
    client: LibsqlClient,
    connection: { filename: path },
    useNullAsDefault: true,
    pool: { min: 1, max: 1, afterCreate, acquireTimeoutMillis: 60_000, createTimeoutMillis: 30_000, propagateCreateError: true },
    log: { warn: () => undefined, error: () => undefined, deprecate: () => undefined, debug: () => undefined },
  })
  return db
}

async function prepareConnection(db: { exec(sql: string): unknown }, clock: Clock): Promise<void> {
  db.exec(`PRAGMA busy_timeout = ${busyMs}`)
  for (let attempt = 1; ; attempt++) {
    try {
      db.exec('PRAGMA journal_mode = WAL')
      break
    } catch (error) {
      // SQLite does not wait for this one: another process may be changing the mode of a new file.
      if (attempt === 50 || !(error instanceof Error) || !('code' in error) || error.code !== 'SQLITE_BUSY') throw error
      await clock.sleep(20)
    }
  }
  db.exec('PRAGMA synchronous = NORMAL')
}
