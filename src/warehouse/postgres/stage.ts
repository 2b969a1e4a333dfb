import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import copyStreams from 'pg-copy-streams'
import type { PostgresSession } from '../../postgres/session.js'
import { coercer, type Column, type List, quoteIdentifier, type Row, type Value, ValueError } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { sqlType } from '../types.js'
import { writer } from './values.js'

/** Sent at once. While the server parses a piece the next one is written. */
const PIECE_BYTES = 128 * 1024

/** The number of each row, where the order of rows matters. */
export const ORDER = 'pipe_order'

/**
 * A temporary table that rows pass through, filled by COPY. Values are made exact on their way in. It lives as long as its
 * connection and is empty between transactions.
 */
export class Stage {
  /** Quoted, for SQL. */
  readonly table: string
  /** SELECT that gives the staged rows with their declared types. */
  readonly source: string
  readonly #create: string
  readonly #copy: string
  readonly #columns: readonly {
    readonly name: string
    readonly coerce: (value: unknown) => Value
    readonly text: (value: Value) => string
  }[]
  readonly #known: ReadonlySet<string>
  readonly #ordered: boolean
  #place = 0
  #replaced: number[] = []

  /**
   * @param extra Further columns of `source`, as SQL.
   * @param ordered Whether rows are numbered, in the column `ORDER`.
   */
  constructor(
    name: string,
    columns: readonly Column[],
    { extra = [], ordered = false }: { readonly extra?: readonly string[]; readonly ordered?: boolean } = {},
  ) {
    this.#ordered = ordered
    this.#known = new Set(columns.map((column) => column.name))
    this.#columns = columns.map((column) => ({
      name: column.name,
      coerce: coercer(column, undefined, () => this.#replaced.push(this.#place)),
      text: copied(column),
    }))
    this.table = `pg_temp.${quoteIdentifier(name)}`
    const order = ordered ? [ORDER] : []
    const definitions = columns.map((column) => `${quoteIdentifier(column.name)} ${sqlType(column.type, 'postgres')}`)
    this.#create = `CREATE TEMPORARY TABLE IF NOT EXISTS ${quoteIdentifier(name)} (${[...definitions, ...order.map((each) => `${each} int`)].join(', ')}) ON COMMIT DELETE ROWS`
    this.#copy = `COPY ${this.table} (${[...columns.map((column) => quoteIdentifier(column.name)), ...order].join(', ')}) FROM STDIN`
    this.source = `SELECT ${[identifiers(columns.map((column) => column.name)), ...extra, ...order].filter((text) => text !== '').join(', ')} FROM ${this.table}`
  }

  /** Makes the table where the session lacks it. Outside of a transaction. */
  async ready(session: PostgresSession): Promise<void> {
    const made = madeIn(session)
    if (made.has(this.table)) return
    await this.create(session)
    made.add(this.table)
  }

  /** Makes the table for the transaction that is open, whether or not there is one. */
  async create(session: PostgresSession): Promise<void> {
    await session.query(this.#create)
  }

  /**
   * Adds rows. `describe` names a row in errors. Resolves to the place of the row of each text in which U+FFFD took one.
   *
   * @throws {ValueError} for a value that does not fit, a required one that is missing, a column that is not known. The
   * transaction must be rolled back then.
   */
  async append(session: PostgresSession, rows: List<Row>, describe: (row: Row) => string): Promise<readonly number[]> {
    this.#replaced = []
    const stream = session.client.query(copyStreams.from(this.#copy))
    // Awaited below; until then it must not count as unheard.
    const end = finished(stream)
    end.catch(() => undefined)
    try {
      const piece = new Piece()
      let place = 0
      for (const row of rows) {
        this.#line(row, place++, describe, piece)
        if (!piece.full) continue
        // Where it was destroyed meanwhile, `end` says why.
        if (!stream.write(piece.take())) await Promise.race([once(stream, 'drain'), end])
      }
      stream.end(piece.take())
    } catch (error) {
      stream.destroy(error instanceof Error ? error : undefined)
      await end.catch(() => undefined)
      throw error
    }
    await end
    return this.#replaced
  }

  #line(row: Row, number: number, describe: (row: Row) => string, piece: Piece): void {
    for (const name in row) {
      if (!this.#known.has(name))
        throw new ValueError(`${describe(row)}, column ${name}`, `no such column; rows bring ${[...this.#known].join(', ')}`)
    }
    this.#place = number
    let first = true
    for (const { name, coerce, text } of this.#columns) {
      let exact: Value
      try {
        exact = coerce(row[name])
      } catch (error) {
        throw error instanceof ValueError ? new ValueError(`${describe(row)}, column ${name}`, error.problem) : error
      }
      if (!first) piece.byte(TAB)
      first = false
      piece.text(exact === null ? '\\N' : text(exact))
    }
    if (this.#ordered) {
      if (!first) piece.byte(TAB)
      piece.text(String(number))
    }
    piece.byte(NEWLINE)
  }
}

const TAB = 9
const NEWLINE = 10

/** Bytes that are sent at once. Written as they come: strings put together would be garbage twice the size of the rows. */
class Piece {
  #bytes = Buffer.allocUnsafeSlow(PIECE_BYTES)
  #length = 0

  get full(): boolean {
    return this.#length >= PIECE_BYTES / 2
  }

  text(text: string): void {
    this.#room(3 * text.length)
    this.#length += this.#bytes.write(text, this.#length)
  }

  byte(byte: number): void {
    this.#room(1)
    this.#bytes[this.#length++] = byte
  }

  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length)
    this.#bytes = Buffer.allocUnsafeSlow(PIECE_BYTES)
    this.#length = 0
    return taken
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const more = Buffer.allocUnsafeSlow(2 * (this.#length + bytes))
    this.#bytes.copy(more, 0, 0, this.#length)
    this.#bytes = more
  }
}

const made = new WeakMap<PostgresSession, Set<string>>()

function madeIn(session: PostgresSession): Set<string> {
  let tables = made.get(session)
  if (!tables) made.set(session, (tables = new Set()))
  return tables
}

/** A value as COPY reads it. */
function copied({ type }: Column): (value: Value) => string {
  const text = writer(type)
  return type.kind === 'text' || type.kind === 'json' ? (value) => escaped(text(value)) : text
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escaped(text: string): string {
  return /[\\\n\r\t]/.test(text) ? text.replace(/[\\\n\r\t]/g, (char) => ESCAPES[char] ?? char) : text
}
