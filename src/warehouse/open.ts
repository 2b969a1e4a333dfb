import { duckdbSettings, type LedgerReader, localPlace, type Warehouse } from '../sdk/index.js'
import { WarehouseUrlError } from './errors.js'

/**
 * Opens the warehouse of a URL. With `plan` nothing is created or changed: what is opened so can't write, by its type.
 *
 * @throws {WarehouseUrlError} for a scheme that is not known.
 */
export function openWarehouse(url: string, options: { readonly mode: 'write' }): Promise<Warehouse>
export function openWarehouse(url: string, options: { readonly mode: 'plan' }): Promise<LedgerReader>
export async function openWarehouse(url: string, options: { readonly mode: 'write' | 'plan' }): Promise<Warehouse> {
  const { scheme, rest } = split(url)
  switch (scheme) {
    case 'duckdb': {
      const { path, settings } = localPlace(`duckdb:${rest}`) ?? { path: '', settings: '' }
      if (path === '') throw new WarehouseUrlError('duckdb: names no file')
      const given = duckdbSettings(settings)
      if ('message' in given) throw new WarehouseUrlError(given.message)
      const { openDuckdb } = await import('./duckdb/index.js')
      return openDuckdb({ ...options, path, ...given })
    }
    case 'clickhouse':
    case 'clickhouses':
    case 'http':
    case 'https':
    case 'chdb': {
      const { openClickhouse } = await import('./clickhouse/index.js')
      return openClickhouse({ ...options, url: url.trim() })
    }
    case 'postgres':
    case 'postgresql': {
      const { openPostgres } = await import('./postgres/index.js')
      return openPostgres({ ...options, url })
    }
    case undefined:
      throw new WarehouseUrlError('has no scheme')
    default:
      throw new WarehouseUrlError(`scheme ${scheme}: is not known`)
  }
}

/** Never shown whole: what follows the scheme may hold a password. */
function split(url: string): { readonly scheme: string | undefined; readonly rest: string } {
  const match = /^([a-z][a-z0-9+.-]{1,20}):(.*)$/is.exec(url.trim())
  return { scheme: match?.[1]?.toLowerCase(), rest: match?.[2] ?? '' }
}
