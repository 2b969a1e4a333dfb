import { postgresAddress } from '../../postgres/address.js'
import { sqlName } from '../../postgres/grants.js'
import { PostgresSession, refusePooler } from '../../postgres/session.js'
import type { Warehouse } from '../../sdk/index.js'
import { WarehouseOpenError } from '../errors.js'
import { LEDGER_TABLES } from '../ledger.js'
import { TransactionalWarehouse } from '../transactional.js'
import { openError } from './errors.js'
import { PostgresEngine } from './engine.js'
import type { TableLoader } from './loader.js'

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database?schema=…`; see `postgresAddress`. */
  readonly url: string
  /** `plan` reads only, and creates nothing. */
  readonly mode: 'write' | 'plan'
}

/**
 * Opens a schema of a Postgres database; `prepare` makes it when it is missing.
 *
 * @throws {PostgresUrlError} for a URL that can't be read.
 * @throws {WarehouseOpenError} for a server that can't be reached, a refused login, a standby.
 * @throws {RightsError} where the user may not fill the ledger that is there.
 * @throws {PostgresPoolerError} behind a pool in transaction mode.
 * @throws {LedgerVersionError} when a newer pipe wrote it.
 */
export async function openPostgres({ url, mode }: PostgresOptions): Promise<Warehouse> {
  const address = postgresAddress(url)
  let session: PostgresSession | undefined
  let warehouse: TransactionalWarehouse<TableLoader> | undefined
  try {
    session = await PostgresSession.open(address)
    await refusePooler(address, session)
    const { rows } = await session.query(`
      SELECT
        current_schema() AS schema,
        current_user AS role,
        current_setting('transaction_read_only') AS read_only,
        pg_is_in_recovery() AS standby,
        current_setting('server_version_num')::int >= 140000 AS known`)
    const [found] = rows
    if (found?.known !== 't') throw new WarehouseOpenError(address.display, 'is older than Postgres 14', 'use a newer server')
    if (mode === 'write' && (found.standby === 't' || found.read_only === 'on'))
      throw new WarehouseOpenError(address.display, 'only reads: a standby, or default_transaction_read_only', 'name the primary server')
    const schema = address.schema ?? found.schema
    if (schema === null || schema === undefined)
      throw new WarehouseOpenError(
        address.display,
        'the search_path of the user names no schema that exists and that it may use',
        `add ?schema=NAME to the warehouse URL, or have its owner type: GRANT USAGE, CREATE ON SCHEMA … TO ${sqlName(found.role ?? '')}`,
      )
    if (mode === 'plan') await session.close()
    const engine = new PostgresEngine({ address, schema, session: mode === 'write' ? session : undefined })
    warehouse = new TransactionalWarehouse<TableLoader>(engine, mode)
    // All rights that lack at once, before the first of them stops something.
    await engine.mayFill(LEDGER_TABLES, true)
    await warehouse.checkVersion()
    return warehouse
  } catch (error) {
    await warehouse?.close()
    await session?.close()
    throw openError(address.display, error)
  }
}
