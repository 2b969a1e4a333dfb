import {
  BIGINT,
  BOOLEAN,
  DECIMAL,
  DOUBLE,
  DuckDBDataChunk,
  DuckDBDecimalValue,
  type DuckDBConnection,
  type DuckDBType,
  type DuckDBValue,
  INTEGER,
  VARCHAR,
} from '@duckdb/node-api'
import {
  coercer,
  type Column,
  type ColumnType,
  jsonText,
  quoteIdentifier,
  type List,
  pieces,
  type Row,
  turn,
  type Value,
  ValueError,
} from '../../sdk/index.js'
import { sqlType } from '../types.js'

/** Rows of one vector, DuckDB's own unit of work. */
const CHUNK_ROWS = 2048
/** Rows that are staged in one go. Then others have their turn. */
const AT_ONCE = 5 * CHUNK_ROWS

/** How a portable type is staged: the vector it is written into, the value in it, and the SQL that reads it back exactly. */
interface Staged {
  readonly type: DuckDBType
  readonly value: (value: Value) => DuckDBValue
  readonly read: (name: string) => string
}

const as = (type: ColumnType) => (name: string) => `CAST(${name} AS ${sqlType(type, 'duckdb')})`
const same = (value: Value): DuckDBValue => value as DuckDBValue
const plain = (name: string): string => name

function staged(type: ColumnType): Staged {
  switch (type.kind) {
    case 'bool':
      return { type: BOOLEAN, value: same, read: plain }
    case 'int':
      return { type: INTEGER, value: Number, read: plain }
    case 'bigint':
      return { type: BIGINT, value: same, read: plain }
    case 'uint256':
    case 'int256':
      // Text that DuckDB parses is twice as fast as its BIGNUM bytes made here.
      return { type: VARCHAR, value: String, read: as(type) }
    case 'decimal': {
      const { precision, scale } = type
      // DuckDB takes ten times as long to parse their text. Exact ones have all of their fraction digits.
      let last: Value = null
      let made: DuckDBDecimalValue
      const value = (text: Value) => {
        // Many rows in a row have the same.
        if (text === last) return made
        last = text
        return (made = new DuckDBDecimalValue(BigInt(String(text).replace('.', '')), precision, scale))
      }
      return { type: DECIMAL(precision, scale), value, read: plain }
    }
    case 'date':
      return { type: VARCHAR, value: same, read: as(type) }
    case 'json':
      return { type: VARCHAR, value: (value) => jsonText(value), read: as(type) }
    case 'timestamp':
      return { type: BIGINT, value: same, read: (name) => `make_timestamp(${name})` }
    case 'float':
      return { type: DOUBLE, value: same, read: plain }
    case 'text':
    case 'address':
    case 'hash':
    case 'bytes':
      return { type: VARCHAR, value: same, read: plain }
  }
}

/**
 * A temporary table that rows pass through in columns. Values are made exact on their way in. It lives as long as its
 * connection and is empty between commits.
 */
export class Stage {
  /** Quoted, for SQL. */
  readonly table: string
  /** SELECT that gives the staged rows with their declared types. */
  readonly source: string
  /** The same in brackets, for FROM. */
  readonly rows: string
  readonly #connection: DuckDBConnection
  readonly #name: string
  readonly #columns: readonly { readonly name: string; readonly coerce: (value: unknown) => Value; readonly staged: Staged }[]
  readonly #known: ReadonlySet<string>
  /** The place of the row that is being written, and those in which a text was replaced. */
  #place = 0
  #replaced: number[] = []
  readonly #chunk: DuckDBDataChunk

  private constructor(connection: DuckDBConnection, name: string, columns: readonly Column[], extra: readonly string[]) {
    this.#connection = connection
    this.#name = name
    this.#columns = columns.map((column) => ({
      name: column.name,
      coerce: coercer(column, undefined, () => this.#replaced.push(this.#place)),
      staged: staged(column.type),
    }))
    this.#known = new Set(columns.map((column) => column.name))
    this.#chunk = DuckDBDataChunk.create(this.#columns.map((column) => column.staged.type))
    this.table = `temp.${quoteIdentifier(name)}`
    const selected = this.#columns.map((column) => `${column.staged.read(quoteIdentifier(column.name))} AS ${quoteIdentifier(column.name)}`)
    this.source = `SELECT ${[...selected, ...extra].join(', ')} FROM ${this.table}`
    this.rows = `(${this.source})`
  }

  /** @param extra Further columns of `source`, as SQL. */
  static async create(
    connection: DuckDBConnection,
    name: string,
    columns: readonly Column[],
    extra: readonly string[] = [],
  ): Promise<Stage> {
    const stage = new Stage(connection, name, columns, extra)
    const definitions = stage.#columns.map((column) => `${quoteIdentifier(column.name)} ${column.staged.type.toString()}`)
    await connection.run(`CREATE OR REPLACE TEMPORARY TABLE ${quoteIdentifier(name)} (${definitions.join(', ')})`)
    return stage
  }

  /**
   * Adds rows. `describe` names a row in errors. Resolves to the place of the row of each text in which U+FFFD took one.
   *
   * @throws {ValueError} for a value that does not fit, a required one that is missing, a column that is not known. Some
   * rows may be staged then: roll back or truncate.
   * @throws the reason of `signal`.
   */
  async append(rows: List<Row>, describe: (row: Row) => string, signal?: AbortSignal): Promise<readonly number[]> {
    this.#replaced = []
    const appender = await this.#connection.createAppender(this.#name, 'main', 'temp')
    try {
      let from = 0
      for (const piece of pieces(rows, CHUNK_ROWS)) {
        this.#write(piece, from, describe)
        appender.appendDataChunk(this.#chunk)
        from += CHUNK_ROWS
        if (from % AT_ONCE === 0) await turn()
        signal?.throwIfAborted()
      }
      appender.flushSync()
      return this.#replaced
    } finally {
      appender.closeSync()
    }
  }

  /** @param from The place of the first of these rows. */
  #write(rows: readonly Row[], from: number, describe: (row: Row) => string): void {
    const chunk = this.#chunk
    chunk.reset()
    chunk.rowCount = rows.length
    for (const row of rows) {
      for (const name in row) {
        if (!this.#known.has(name))
          throw new ValueError(`${describe(row)}, column ${name}`, `no such column; rows bring ${[...this.#known].join(', ')}`)
      }
    }
    this.#columns.forEach(({ name, coerce, staged: { value } }, index) => {
      const vector = chunk.getColumnVector(index)
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i] as Row
        this.#place = from + i
        let exact: Value
        try {
          exact = coerce(row[name])
        } catch (error) {
          throw error instanceof ValueError ? new ValueError(`${describe(row)}, column ${name}`, error.problem) : error
        }
        vector.setItem(i, exact === null ? null : value(exact))
      }
      vector.flush()
    })
  }
}
