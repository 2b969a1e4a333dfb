import pg from 'pg'
import { PipeError, quoteIdentifier } from '../sdk/index.js'
import type { PostgresAddress } from './address.js'
import { codeOf, serverFault } from './faults.js'
import { grantFor } from './grants.js'
import { pause } from './pause.js'

/** Between us and the server is a pool that gives each transaction another session: settings, temporary tables and locks would be lost. */
export class PostgresPoolerError extends PipeError {
  readonly code = 'POSTGRES_POOLER'
  override readonly blame = 'outage'
  override readonly hint = 'connect to the server itself, or to a pool in session mode (often another port)'
  constructor(readonly display: string) {
    super(`${display}: is reached through a pool in transaction mode, where a lock of a session holds nothing`)
  }
}

export interface SessionOptions {
  /** What others see in pg_stat_activity, at most 63 bytes. Default `pipe`, or what the URL gives. */
  readonly name?: string
  /** Nothing but temporary tables can be written. */
  readonly readOnly?: boolean
  /** Run before it becomes read-only. */
  readonly setup?: readonly string[]
  /** How often a server that can't be reached is tried again; one that is busy always is. Default 0. */
  readonly retries?: number
}

/** One connection with settings that read and print every value exactly. It keeps the process alive until it is closed. */
export class PostgresSession {
  readonly client: pg.Client
  /** Of the process that serves us. */
  readonly pid: number
  #lost = false
  #onLost: (() => void) | undefined

  private constructor(client: pg.Client, pid: number) {
    this.client = client
    this.pid = pid
    // Also while nothing runs: without a listener it would end the process.
    client.on('error', () => this.#lose())
    client.on('end', () => this.#lose())
  }

  /** @throws what `pg` throws; `serverFault` says what it means. */
  static async open(address: PostgresAddress, options: SessionOptions = {}): Promise<PostgresSession> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await PostgresSession.#open(address, options)
      } catch (error) {
        const kind = serverFault(error)?.kind
        const most = kind === 'busy' ? Math.max(BUSY_RETRIES, options.retries ?? 0) : kind === 'lost' ? (options.retries ?? 0) : 0
        if (attempt > most) throw error
        await pause(attempt, 100, 5_000)
      }
    }
  }

  static async #open(address: PostgresAddress, { name, readOnly, setup = [] }: SessionOptions): Promise<PostgresSession> {
    const client = new pg.Client({
      ...address.config,
      application_name: name,
      fallback_application_name: 'pipe',
      types: { getTypeParser: () => asText },
    })
    // Where the connection fails more than once, the first error is the one that is thrown.
    const ignored = () => undefined
    client.on('error', ignored)
    try {
      await client.connect()
      for (const text of [settings(address, readOnly === true), ...setup]) await client.query(text)
      if (readOnly) await client.query('SET default_transaction_read_only = on')
      const { rows } = await client.query<{ pid: string }>('SELECT pg_backend_pid() AS pid')
      return new PostgresSession(client, Number(rows[0]?.pid))
    } catch (error) {
      // A connection that was never made has nothing to end.
      await client.end().catch(ignored)
      throw withGrant(error, client)
    }
  }

  get lost(): boolean {
    return this.#lost
  }

  /** Called once when the connection ends before it was closed. */
  onLost(call: () => void): void {
    this.#onLost = call
    if (this.#lost) this.#lose()
  }

  /** Runs one statement, never more, whatever its text is. Every value is text or null. */
  async query(text: string, values: readonly (string | null | readonly (string | null)[])[] = []): Promise<pg.QueryResult<TextRow>> {
    try {
      return await this.client.query<TextRow>(single({ text, values: [...values] }))
    } catch (error) {
      throw withGrant(error, this.client, text)
    }
  }

  /** The same with rows as arrays, for results whose columns may share a name. */
  async queryArrays(text: string): Promise<pg.QueryArrayResult<(string | null)[]>> {
    return this.client.query<(string | null)[]>({ text, rowMode: 'array' })
  }

  /** Ends it, in the middle of whatever it does when it does not end by itself. */
  async close(): Promise<void> {
    this.#onLost = undefined
    // Our own end is no loss that somebody must hear of; whether the server heard it does not matter.
    await this.client.end().catch(() => undefined)
  }

  /** Cuts the connection: what runs fails, and the server rolls it back when it notices. */
  cut(): void {
    this.#lose()
    ;(this.client as unknown as { readonly connection: { readonly stream: { destroy(): void } } }).connection.stream.destroy()
  }

  #lose(): void {
    this.#lost = true
    const call = this.#onLost
    this.#onLost = undefined
    call?.()
  }
}

export type TextRow = Readonly<Record<string, string | null>>

/** Refuses a pool in transaction mode. @throws {PostgresPoolerError} */
export async function refusePooler(address: PostgresAddress, session: PostgresSession): Promise<void> {
  // A pool makes up the number of the process that serves us; without one between it is true.
  if (announcedPid(session) === session.pid) return
  // In session mode a process is ours alone. In transaction mode another client is given it as soon as we do nothing.
  const others: PostgresSession[] = []
  try {
    for (let i = 0; i < POOLER_PROBES; i++) {
      const other = await PostgresSession.open(address)
      others.push(other)
      const pids = new Set<string | null | undefined>()
      for (const each of [session, ...others]) pids.add((await each.query('SELECT pg_backend_pid() AS pid')).rows[0]?.pid)
      if (pids.size <= others.length) throw new PostgresPoolerError(address.display)
    }
  } finally {
    for (const other of others) await other.close()
  }
}

const POOLER_PROBES = 2
/** About half a minute. */
const BUSY_RETRIES = 10

const asText = (value: string): string => value

/** Sent so that Postgres takes one statement only. The types of `pg` don't know the field. */
function single(config: pg.QueryConfig): pg.QueryConfig {
  return { ...config, queryMode: 'extended' } as pg.QueryConfig
}

/** The user that an address logs in as: its own, or that of the environment. */
export function userOf({ config }: PostgresAddress): string {
  return new pg.Client(config).user ?? ''
}

/** A refusal for the lack of a right has what would give it as its hint, where the server has none of its own. */
function withGrant(error: unknown, { user }: pg.Client, text = ''): unknown {
  if (!(error instanceof pg.DatabaseError) || codeOf(error) !== '42501' || user === undefined) return error
  error.hint ??= grantFor(error.message, user, text)
  return error
}

function announcedPid(session: PostgresSession): number | null {
  return (session.client as unknown as { readonly processID: number | null }).processID
}

function settings({ schema, settings: given }: PostgresAddress, readOnly: boolean): string {
  const all: Record<string, string> = {
    timezone: "'UTC'",
    datestyle: "'ISO, YMD'",
    intervalstyle: 'postgres',
    bytea_output: 'hex',
    extra_float_digits: '1',
    // What a role or a database may have set otherwise, and the same SQL would give something else.
    lc_numeric: "'C'",
    lc_time: "'C'",
    lc_monetary: "'C'",
    timezone_abbreviations: "'Default'",
    default_text_search_config: "'pg_catalog.simple'",
    transform_null_equals: 'off',
    array_nulls: 'on',
    quote_all_identifiers: 'off',
    xmloption: 'content',
    xmlbinary: 'base64',
    // Rows that a policy would hide are an error, never missing in silence.
    row_security: 'off',
    standard_conforming_strings: 'on',
    client_encoding: "'UTF8'",
    client_min_messages: 'warning',
    lock_timeout: `'${LOCK_WAIT}'`,
    // Whole results are read, so a plan for the first rows is a bad one.
    ...(readOnly ? { cursor_tuple_fraction: '1' } : { idle_in_transaction_session_timeout: `'${IDLE}'` }),
    ...(schema === undefined ? {} : { search_path: quoteIdentifier(schema) }),
    ...Object.fromEntries(Object.entries(given).map(([name, value]) => [name, `'${value}'`])),
  }
  return Object.entries(all)
    .map(([name, value]) => `SET ${name} = ${value}`)
    .join('; ')
}

/** A process that was paused in the middle of a commit: what it locked is free after this, and what it wrote is rolled back. */
const IDLE = '60s'
/** Longer than any commit; whoever holds a row for longer is named. */
const LOCK_WAIT = '10s'
