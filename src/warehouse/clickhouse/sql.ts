import type { Json, ResultColumn, Row, Statement, Table } from '../../sdk/index.js'
import { SqlError } from '../errors.js'
import type { Block, Engine, Laying, ReadOptions, WriteOptions } from './engine.js'
import { ledgerInsert } from './ledger-rows.js'
import { retrying } from './retrying.js'
import { bound, portableType, reader } from './values.js'

/** Statements on an engine, values in and out as `Row` promises them. */
export class Sql {
  readonly display: string
  readonly #engine: Engine
  readonly #waitsMs: readonly number[]

  constructor(engine: Engine, display: string, waitsMs: readonly number[]) {
    this.#engine = engine
    this.display = display
    this.#waitsMs = waitsMs
  }

  async *query<R extends Row = Row>(text: string, options: ReadOptions = {}): AsyncGenerator<readonly R[]> {
    let names: string[] | undefined
    let readers: ((value: Json) => Row[string])[] | undefined
    for await (const lines of this.#engine.read(text, options)) {
      const rows: Row[] = []
      for (const line of lines) {
        const values = JSON.parse(line) as Json[]
        if (!names) names = distinct(values as string[])
        else if (!readers) readers = (values as string[]).map(reader)
        else {
          const row: Record<string, Row[string]> = {}
          for (let i = 0; i < names.length; i++) row[names[i] as string] = readers[i]?.(values[i] ?? null) ?? null
          rows.push(row)
        }
      }
      // The caller names the row's shape: the columns are those of its own SELECT.
      if (rows.length > 0) yield rows as unknown as readonly R[]
    }
  }

  /** All rows of a query of our own, asked again when the server is away for a moment. */
  all(text: string, options: ReadOptions = {}): Promise<Row[]> {
    return retrying(
      this.display,
      this.#waitsMs,
      async () => {
        const rows: Row[] = []
        for await (const page of this.query(text, { ...options, own: true })) for (const row of page) rows.push(row)
        return rows
      },
      options,
    )
  }

  select(statement: Statement, options: Omit<ReadOptions, 'params'> = {}): Promise<Row[]> {
    const { text, params } = bound(statement)
    return this.all(text, { ...options, params })
  }

  async describe(text: string, params = {}): Promise<readonly ResultColumn[]> {
    single(text)
    const columns: ResultColumn[] = []
    for await (const page of this.query(`DESCRIBE (${text}\n)`, { params })) {
      for (const { name, type: sqlType } of page) {
        const type = portableType(String(sqlType))
        columns.push({ name: String(name), sqlType: String(sqlType), type, approximate: type.kind === 'float' })
      }
    }
    return columns
  }

  /** The type of the one column that a query gives. */
  async typeOf(select: string): Promise<string> {
    return (await this.describe(select))[0]?.sqlType ?? ''
  }

  write(text: string, options?: WriteOptions): Promise<void> {
    return this.#engine.write(text, options)
  }

  execute(statement: Statement, options: WriteOptions = {}): Promise<void> {
    const { text, params } = bound(statement)
    return this.write(text, { ...options, params })
  }

  /** Writes rows of a ledger table. */
  insert(table: Table, rows: readonly (readonly [row: Row, version: bigint])[], deleted = false): Promise<void> {
    return this.write(ledgerInsert(table, rows, deleted), { insert: true })
  }

  /** Adds rows to their table. */
  load(block: Block): Promise<void> {
    return this.#engine.load(block)
  }

  /** Lays rows where SQL can read them (`Engine.lay`). */
  lay(number: number, rows: Laying): Promise<string | undefined> {
    return this.#engine.lay?.(number, rows) ?? Promise.resolve(undefined)
  }

  close(): Promise<void> {
    return this.#engine.close()
  }
}

/** @throws {SqlError} when there is more than one statement. A server refuses that itself; chdb would run them all. */
export function single(text: string): void {
  const rest = text.replace(/'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.)*`|--[^\n]*|\/\*[^]*?\*\/|\$(\w*)\$[^]*?\$\1\$/g, ' ')
  if (/;\s*\S/.test(rest)) throw new SqlError('multiple statements in one text', { hint: 'write one statement' })
}

/** Names made different where a query gives one twice: `n`, `n:1`. */
function distinct(names: readonly string[]): string[] {
  const seen = new Map<string, number>()
  return names.map((name) => {
    const times = seen.get(name) ?? 0
    seen.set(name, times + 1)
    return times === 0 ? name : `${name}:${times}`
  })
}
