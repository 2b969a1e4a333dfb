import type { PostgresAddress } from '../../postgres/address.js'
import { codeOf, serverFault } from '../../postgres/faults.js'
import { PostgresSession, type TextRow } from '../../postgres/session.js'
import type { ResultColumn, Row, Statement } from '../../sdk/index.js'
import { SqlError, SqlTimeoutError } from '../errors.js'
import { render } from '../statement.js'
import type { QueryOptions } from '../transactional-engine.js'
import { milliseconds } from './duration.js'
import { openError, statementError } from './errors.js'
import { stoppable } from './stop.js'
import { type Field, paramText, portableType, reader } from './values.js'

/** Rows of one round trip. */
const PAGE = 2_000
/** Queries at once. A further one waits until one ends. */
const MOST = 4
/** How often a query is begun again whose connection was lost before it gave anything. */
const RETRIES = 5

const CURSOR = 'DECLARE pipe_cursor NO SCROLL CURSOR FOR '

/** Connections that can only read, beside the writer. One query has one of them to itself, from its first to its last page. */
export class Reads {
  readonly #address: PostgresAddress
  #idle: PostgresSession[] = []
  readonly #busy = new Set<PostgresSession>()
  readonly #waiting: (() => void)[] = []
  #taken = 0
  #setup: readonly string[] = []
  #generation = 0

  constructor(address: PostgresAddress) {
    this.#address = address
  }

  /** Statements that every connection runs first: temporary tables are known to their connection only. */
  async setup(statements: readonly string[]): Promise<void> {
    this.#setup = statements
    this.#generation++
    await this.#drop(this.#idle.splice(0))
  }

  async *query<R extends Row>(statement: Statement, { signal, timeoutMs }: QueryOptions = {}): AsyncGenerator<readonly R[]> {
    signal?.throwIfAborted()
    // The limit is real time and not the clock's, since the database works in real time.
    const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs)
    const stops = [signal, timeout].filter((stop) => stop !== undefined)
    const explain = (error: unknown): unknown => {
      signal?.throwIfAborted()
      if (timeout?.aborted) return new SqlTimeoutError(timeoutMs ?? 0)
      return codeOf(error) === '57014' ? new SqlTimeoutError(milliseconds(this.#address.settings.statement_timeout), error) : error
    }
    const begun = await this.#begin(statement, stops, explain)
    let session: PostgresSession | undefined = begun.session
    try {
      for (let page = begun.first; ; page = await this.#stoppable(session, stops, fetchPage)) {
        const last = page.rows.length < PAGE
        // The session is given back before the caller works with the page: a small result keeps no connection busy.
        if (last && session) session = await this.#end(session)
        if (page.rows.length > 0) yield toRows<R>(page)
        if (last || !session) return
      }
    } catch (error) {
      throw statementError(this.#address.display, explain(error))
    } finally {
      if (session) await this.#end(session)
    }
  }

  async describe(statement: Statement): Promise<readonly ResultColumn[]> {
    const { session, first } = await this.#begin(statement, [], (error) => error, 0)
    try {
      const ids = first.fields.map(({ dataTypeID }) => String(dataTypeID))
      const modifiers = first.fields.map(({ dataTypeModifier }) => String(dataTypeModifier))
      const { rows } = await session.query(
        `SELECT format_type(id, modifier) AS name
        FROM unnest($1::oid[], $2::int[]) WITH ORDINALITY AS t(id, modifier, n)
        ORDER BY n`,
        [ids, modifiers],
      )
      return first.fields.map((field, i) => {
        const type = portableType(field)
        return { name: field.name, sqlType: rows[i]?.name ?? 'unknown', type, approximate: type.kind === 'float' }
      })
    } finally {
      await this.#end(session)
    }
  }

  /** Runs a statement of ours, outside of any transaction. */
  async ask(text: string, values: readonly string[] = []): Promise<readonly TextRow[]> {
    const session = await this.#take()
    try {
      return (await session.query(text, values)).rows
    } finally {
      await this.#end(session)
    }
  }

  async close(): Promise<void> {
    this.#generation++
    await this.#drop([...this.#idle.splice(0), ...this.#busy])
  }

  /** A cursor and its first page. Before anything was seen of it, a query may be begun again. */
  async #begin(statement: Statement, stops: readonly AbortSignal[], explain: (error: unknown) => unknown, rows = PAGE) {
    const { text, params } = render(statement, 'postgres')
    const values = params.map(paramText)
    const declare = `${CURSOR}${text}\n`
    for (let attempt = 0; ; attempt++) {
      const session = await this.#take()
      try {
        const first = await this.#stoppable(session, stops, async () => {
          await session.query('BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY')
          // Postgres takes nothing but a SELECT here, and that changes no data.
          await session.query(declare, values)
          return rows === 0 ? session.queryArrays('FETCH 0 FROM pipe_cursor') : fetchPage(session)
        })
        return { session, first }
      } catch (error) {
        await this.#end(session)
        const explained = explain(error)
        const lost = serverFault(error)?.kind === 'lost' && !stops.some((stop) => stop.aborted)
        if (lost && attempt < RETRIES) continue
        throw refused(explained) ?? statementError(this.#address.display, explained, { text: declare, prefix: CURSOR.length })
      }
    }
  }

  #stoppable<T>(
    session: PostgresSession | undefined,
    stops: readonly AbortSignal[],
    work: (session: PostgresSession) => Promise<T>,
  ): Promise<T> {
    if (!session) throw new Error('the query has ended')
    return stoppable(this.#address, session, stops, () => work(session))
  }

  async #take(): Promise<PostgresSession> {
    while (this.#taken >= MOST) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#taken++
    try {
      for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) if (!idle.lost) return this.#use(idle)
      const generation = this.#generation
      const session = await PostgresSession.open(this.#address, { readOnly: true, setup: this.#setup, retries: RETRIES })
      if (generation === this.#generation) return this.#use(session)
      await session.close()
      throw new Error('the warehouse was closed')
    } catch (error) {
      this.#free()
      throw openError(this.#address.display, error)
    }
  }

  #use(session: PostgresSession): PostgresSession {
    this.#busy.add(session)
    generationOf.set(session, this.#generation)
    return session
  }

  async #end(session: PostgresSession): Promise<undefined> {
    if (!this.#busy.delete(session)) return
    try {
      // The server rolls back by itself when a connection is lost.
      if (!session.lost) await session.query('ROLLBACK').catch(() => session.cut())
      if (session.lost || generationOf.get(session) !== this.#generation) await session.close()
      else this.#idle.push(session)
    } finally {
      this.#free()
    }
  }

  #free(): void {
    this.#taken--
    this.#waiting.shift()?.()
  }

  async #drop(sessions: readonly PostgresSession[]): Promise<void> {
    await Promise.all(sessions.map((session) => session.close()))
  }
}

const generationOf = new WeakMap<PostgresSession, number>()

const fetchPage = (session: PostgresSession) => session.queryArrays(`FETCH ${PAGE} FROM pipe_cursor`)

interface Page {
  readonly fields: readonly Field[]
  readonly rows: readonly (readonly (string | null)[])[]
}

function toRows<R extends Row>({ fields, rows }: Page): readonly R[] {
  const readers = fields.map(reader)
  const seen = new Map<string, number>()
  // As DuckDB names them: a, a:1, a:2.
  const names = fields.map(({ name }) => {
    const n = seen.get(name) ?? 0
    seen.set(name, n + 1)
    return n === 0 ? name : `${name}:${n}`
  })
  // The caller names the row's shape: the columns are those of its own SELECT.
  return rows.map((values) => {
    const row: Record<string, Row[string]> = {}
    values.forEach((text, i) => {
      const read = readers[i]
      row[names[i] ?? ''] = text === null || !read ? null : read(text)
    })
    return row
  }) as unknown as readonly R[]
}

/** Where a statement that is no SELECT ends up. */
function refused(error: unknown): SqlError | undefined {
  const code = codeOf(error)
  const position = Number((error as { readonly position?: string }).position)
  const message = error instanceof Error ? error.message : ''
  if (code === '42601' && position === CURSOR.length + 1) return notSelect(error)
  if (code === '25006' || (code === '0A000' && /DECLARE CURSOR/i.test(message))) return notSelect(error)
  return undefined
}

const notSelect = (cause: unknown) => new SqlError('a query must be a SELECT', { cause, hint: 'only steps write, through what they yield' })
