import type { Knex } from 'knex'
import { type PostgresAddress, postgresAddress } from '../postgres/address.js'
import { serverFault } from '../postgres/faults.js'
import { grantFor } from '../postgres/grants.js'
import { userOf } from '../postgres/session.js'
import { isPipeError, quoteIdentifier } from '../sdk/index.js'
import { emptyStore } from './empty.js'
import { KnexState } from './knex-state.js'
import { migrateState, tableName } from './migrate.js'
import type { StateOptions } from './open.js'
import { StateServerError } from './server-errors.js'
import type { StateStore } from './store.js'

/** Apart from the tables of pipelines, so that a warehouse may live in the same database. */
const DEFAULT_SCHEMA = 'pipe_state'
/** Whoever migrates first, the others wait. Any number, the same for all. */
const MIGRATION_LOCK = 7_065_728_101

/**
 * Opens the state store in a schema of a Postgres database, `pipe_state` unless the URL says `?schema=`, creating what is
 * missing of it.
 *
 * @throws {StateServerError} when the server can't be used.
 * @throws {StateNewerError} when a later version wrote it.
 */
export async function openPostgresState(url: string, { machine, readOnly }: StateOptions): Promise<StateStore> {
  const address = postgresAddress(url)
  const schema = address.schema ?? DEFAULT_SCHEMA
  const explain = (error: unknown) => explained(address, error)
  const db = await connect(address, schema)
  try {
    const found = await db.raw<{ rows: { there: boolean }[] }>('SELECT to_regclass(?) IS NOT NULL AS there', [
      `${quoteIdentifier(schema)}.${quoteIdentifier(tableName)}`,
    ])
    const there = found.rows[0]?.there === true
    if (readOnly && !there) {
      await db.destroy()
      return emptyStore
    }
    await migrateState(db, {
      name: address.display,
      async enter(transaction) {
        await transaction.raw('SELECT pg_advisory_xact_lock(?)', [MIGRATION_LOCK])
        // IF NOT EXISTS would take the right to make schemas also where there is nothing to make.
        const known = await transaction.raw<{ rows: unknown[] }>('SELECT 1 FROM pg_namespace WHERE nspname = ?', [schema])
        if (known.rows.length === 0) await transaction.raw(`CREATE SCHEMA ${quoteIdentifier(schema)}`)
      },
    })
  } catch (error) {
    await db.destroy()
    throw explain(error)
  }
  return new KnexState(db, explain, machine)
}

async function connect({ config, settings }: PostgresAddress, schema: string): Promise<Knex> {
  const { default: knex } = await import('knex')
  const all = { ...settings, timezone: 'UTC', client_min_messages: 'warning' }
  return knex({
    client: 'pg',
    connection: { ...config, application_name: 'pipe state' } as Knex.PgConnectionConfig,
    searchPath: [schema],
    pool: {
      min: 0,
      max: 2,
      afterCreate: (client: { query(text: string, done: (error?: unknown) => void): void }, done: (error?: unknown) => void) =>
        client.query(
          Object.entries(all)
            .map(([name, value]) => `SET ${name} = '${value}'`)
            .join('; '),
          done,
        ),
      acquireTimeoutMillis: 60_000,
      propagateCreateError: true,
    },
    log: { warn: () => undefined, error: () => undefined, deprecate: () => undefined, debug: () => undefined },
  })
}

function explained(address: PostgresAddress, error: unknown): unknown {
  const { display } = address
  if (isPipeError(error)) return error
  const fault = serverFault(error)
  if (fault) return new StateServerError(display, fault.problem, fault.hint, error)
  if (error instanceof Error && 'code' in error && error.code === '42501')
    return new StateServerError(
      display,
      'no permission to make or use its tables',
      // Before the server's words, knex writes the statement.
      `have the owner of its database type: ${grantFor(error.message.replace(/^.* - /s, ''), userOf(address), '') ?? `GRANT CREATE ON DATABASE … TO ${userOf(address)}`}; or name a schema of yours with ?schema=`,
      error,
    )
  return error
}
