import type { ClientConfig } from 'pg'
import { PipeError } from '../sdk/index.js'

/** A `postgres://` URL can't be read. Nothing was connected to. */
export class PostgresUrlError extends PipeError {
  readonly code = 'POSTGRES_URL'
  override readonly hint = 'write postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=SCHEMA, with %-codes for special characters'
  constructor(problem: string) {
    super(`the Postgres URL ${problem}`)
  }
}

/** Where a server is and how it is spoken to. */
export interface PostgresAddress {
  readonly config: ClientConfig
  /** Schema that everything lives in; undefined leaves that to the role's `search_path`. */
  readonly schema: string | undefined
  /** Settings of the session that the URL gives, `statement_timeout` and the like, for SET. */
  readonly settings: Readonly<Record<string, string>>
  /** For people: no user, no password. */
  readonly display: string
}

/** Settings that are made after connecting: given before, a pool between us and the server would refuse them. */
const SETTINGS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'] as const

/**
 * Reads `postgres://user:password@host:port/database?…`: `schema`, `statement_timeout`, `lock_timeout` and
 * `idle_in_transaction_session_timeout` (each as Postgres reads it, bare numbers are milliseconds), `connect_timeout` in
 * seconds; everything else (`sslmode`, `sslrootcert`, `application_name`, `options`, `host`, …) is as libpq knows it.
 *
 * @throws {PostgresUrlError} without showing the URL.
 */
export function postgresAddress(url: string): PostgresAddress {
  const parsed = parse(url)
  const params = parsed.searchParams
  const take = (name: string): string | undefined => {
    const value = params.get(name) ?? undefined
    params.delete(name)
    return value === '' ? undefined : value
  }
  const schema = take('schema')
  const settings = Object.fromEntries(
    SETTINGS.flatMap((name) => {
      const value = take(name)
      if (value === undefined) return []
      if (!/^\d+\s*(?:us|ms|s|min|h|d)?$/.test(value))
        throw new PostgresUrlError(`has ${name}=${value}, which is no time (write 30s or 30000)`)
      return [[name, value]]
    }),
  )
  // What `require` and `verify-ca` mean elsewhere; `pg` by itself takes them for `verify-full`, and warns.
  if (params.has('sslmode')) params.set('uselibpqcompat', 'true')
  const seconds = take('connect_timeout')
  if (seconds !== undefined && !/^\d{1,6}$/.test(seconds))
    throw new PostgresUrlError(`has connect_timeout=${seconds}, which is no number of seconds`)
  return {
    config: {
      connectionString: parsed.href,
      connectionTimeoutMillis: Number(seconds ?? 10) * 1000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 30_000,
    },
    schema,
    settings,
    display: display(parsed, schema),
  }
}

function parse(url: string): URL {
  let parsed: URL
  try {
    parsed = new URL(url)
    // What is not well encoded would be found later, in an error that shows it.
    for (const part of [parsed.username, parsed.password, parsed.hostname, parsed.pathname]) decodeURIComponent(part)
  } catch {
    throw new PostgresUrlError("can't be read")
  }
  if (parsed.hostname.includes(',')) throw new PostgresUrlError('names several hosts; name one, or an address that moves with the primary')
  return parsed
}

function display(parsed: URL, schema: string | undefined): string {
  const host = parsed.searchParams.get('host') ?? decodeURIComponent(parsed.hostname)
  const port = parsed.searchParams.get('port') ?? parsed.port
  return `postgres://${host}${port === '' ? '' : `:${port}`}${decodeURIComponent(parsed.pathname)}${schema === undefined ? '' : `?schema=${schema}`}`
}
