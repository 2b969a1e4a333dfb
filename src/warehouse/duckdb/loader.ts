import {
  type ColumnType,
  isExactNumber,
  type List,
  type Output,
  quoteIdentifier,
  type Row,
  show,
  sql,
  sqlText,
  type Table,
  typeLabel,
  ValueError,
} from '../../sdk/index.js'
import { identifiers, outside } from '../ddl.js'
import { broughtColumns, checkFilling, constantColumns, filled, insertSelected } from '../fill.js'
import { OWN_RULE, SqlError } from '../errors.js'
import { firstPrefix } from '../first-prefix.js'
import { rowName } from '../row-name.js'
import { tooFine } from '../text-values.js'
import { sqlType } from '../types.js'
import { statementError } from './errors.js'
import { Stage } from './stage.js'
import { type LoadEngine, moveRows } from '../load.js'
import { boundsOf, Touched, type Watched } from '../touched.js'
import { type Loaded, Loaders, LoadError, type Placing } from '../transaction.js'
import type { Transactions } from './transactions.js'

/** An output with its table and the stage that its rows pass through. */
export interface TableLoader {
  readonly output: Output
  readonly table: Table
  readonly stage: Stage
  /** SELECT of the rows as they will be, all columns, each key once. */
  readonly filled: string
  /** The same with every row, where SQL computes a part of the key, so nobody could tell before whether two rows have the same. */
  readonly every: string | undefined
}

/** Rows of the ledger's own tables replace what has their key. */
const REPLACING: Placing = { place: undefined, once: false, judge: undefined }
const NO_BOUNDS = () => Promise.resolve([])

/** From so many rows on it matters what is given back of each. */
const MANY_ROWS = 10_000

/** How rows are written. Aborted before its end, `signal` stops it with its reason. */
interface WriteOptions {
  readonly touched?: Touched
  readonly placing?: Placing
  readonly signal?: AbortSignal | undefined
}

/** Makes loaders and moves rows through them. */
export class TableLoaders {
  readonly #transactions: Transactions
  readonly #known = new Loaders<TableLoader>((output, table, index) => this.#make(output, table, index))

  constructor(transactions: Transactions) {
    this.#transactions = transactions
  }

  /** Outside of a transaction. @throws {OutputError} when the output does not fit the table. */
  of(output: Output, table: Table): Promise<TableLoader> {
    return this.#known.of(output, table)
  }

  /**
   * Stages rows and moves them into their table.
   *
   * @throws {ValueError} for a value that does not fit, before any SQL.
   * @throws {LoadError} when SQL refuses: `diagnose` may know more after the rollback.
   */
  async write(
    loader: TableLoader,
    rows: List<Row>,
    { touched = new Touched(new Map(), NO_BOUNDS), placing = REPLACING, signal }: WriteOptions = {},
  ): Promise<Loaded> {
    const { table, stage } = loader
    const replaced = await stage.append(rows, rowName(table.name, table.key), signal)
    const transactions = this.#transactions
    const engine: LoadEngine = {
      kind: 'duckdb',
      change: (statement) => transactions.execute(statement, 'step', signal),
      insertNew: (insert, watched) => this.#insertNew(loader, insert, watched, { rows: rows.length, touched, signal }),
      rows: (statement) => transactions.rows(statement),
    }
    const moved = await moveRows(loader, rows.length, engine, { touched, placing }).catch((error: unknown) => {
      signal?.throwIfAborted()
      // No row is to blame for a full disk or a conflict with another writer, so none is looked for.
      throw statementError(table.name, error) instanceof SqlError ? new LoadError(loader, rows, error) : error
    })
    await transactions.clear(stage)
    return { replaced, ...moved }
  }

  /**
   * Adds the rows whose key is new and notes what they touch. Of few, DuckDB gives back which these are. Of many, all that were staged
   * touch something unless none was new: to compute more again than needed is right, and giving back each row takes as long as its work.
   */
  async #insertNew(
    { filled: staged }: TableLoader,
    insert: string,
    watched: Watched,
    { rows, touched, signal }: { readonly rows: number; readonly touched: Touched; readonly signal: AbortSignal | undefined },
  ): Promise<number> {
    const transactions = this.#transactions
    const bounds = boundsOf(watched, undefined)
    if (rows < MANY_ROWS)
      return touched.seeRows(watched, await transactions.select(sql`${sqlText(`${insert} RETURNING `)}${bounds}`, signal))
    const added = await transactions.execute(sqlText(insert), 'step', signal)
    if (added > 0)
      touched.seeRows(watched, await transactions.select(sql`SELECT DISTINCT ${bounds} FROM (${sqlText(staged)}) AS pipe_rows`, signal))
    return added
  }

  /** Stages rows and adds those whose key is not there yet. */
  async insert(loader: TableLoader, rows: List<Row>): Promise<void> {
    await loader.stage.append(rows, rowName(loader.table.name, loader.table.key))
    await this.#transactions.connection.run(insertSelected(loader.table, loader.filled, 'keep'))
    await this.#transactions.clear(loader.stage)
  }

  /** The row that SQL failed on, by name, or undefined when no single row is to blame. Changes nothing. */
  async diagnose({ output, table, stage }: TableLoader, rows: List<Row>): Promise<ValueError | undefined> {
    await stage.append(rows, rowName(table.name, table.key))
    const keys = output.columns.filter((name) => table.key.includes(name))
    for (const [name, expression] of Object.entries(output.compute)) {
      const column = table.columns.find((candidate) => candidate.name === name)
      if (!column) continue
      const raw = `TRY((${expression}\n))`
      const value = `TRY(CAST((${expression}\n) AS ${sqlType(column.type, 'duckdb')}))`
      const lost = column.nullable ? `(${value} IS NULL AND ${raw} IS NOT NULL)` : `${value} IS NULL`
      const rounded = isExactNumber(column.type) ? isTooFine(raw, column.type) : undefined
      const bad = [lost, rounded, outside(value, column.type, 'duckdb')].filter((condition) => condition !== undefined).join(' OR ')
      const text = `CASE WHEN ${rounded ?? 'FALSE'} THEN CAST(${raw} AS VARCHAR) ELSE coalesce(CAST(${value} AS VARCHAR), CAST(${raw} AS VARCHAR)) END`
      const sql = `SELECT ${[text, identifiers(keys)].filter(Boolean).join(', ')} FROM (${stage.source}) AS pipe_row WHERE ${bad} LIMIT 1`
      const [found] = await (await this.#transactions.connection.run(sql)).getRows()
      if (!found) continue
      const [computed, ...key] = found
      const row = Object.fromEntries(keys.map((keyColumn, i) => [keyColumn, typeof key[i] === 'bigint' ? key[i] : String(key[i])]))
      const problem =
        computed === null ? 'is computed as null or not at all, and is' : `is computed as ${String(computed)}, which does not fit`
      return new ValueError(`${rowName(table.name, keys)(row)}, column ${name}`, `${problem} ${typeLabel(column.type)}`)
    }
    return undefined
  }

  /**
   * The row that the table itself refuses: by a check, a narrower type, another unique index. It is the last of the fewest that
   * fail. `failure`: what work fails with, in a transaction of its own.
   */
  async refusedRow(
    loader: TableLoader,
    rows: readonly Row[],
    failure: (work: () => Promise<unknown>) => Promise<Error | undefined>,
  ): Promise<ValueError | undefined> {
    const { output, table, stage, filled: select } = loader
    const insert = (some: readonly Row[], statement: string) =>
      failure(async () => {
        await stage.append(some, rowName(table.name, table.key))
        await this.#transactions.connection.run(statement)
      })
    const whole = insertSelected(table, select, 'keep')
    if (!(await insert(rows, whole))) return undefined
    const last = await firstPrefix(rows.length, async (n) => (await insert(rows.slice(0, n), whole)) !== undefined)
    const error = await insert(rows.slice(0, last), whole)
    const row = rows[last - 1]
    if (!row || !error) return undefined
    let column = constrained(error.message, output.columns, row, table)
    for (const name of column === undefined ? output.columns : []) {
      const quoted = quoteIdentifier(name)
      const alone = `CREATE TEMPORARY TABLE pipe_column AS SELECT ${quoted} FROM main.${quoteIdentifier(table.name)} LIMIT 0; INSERT INTO temp.pipe_column SELECT ${quoted} FROM (${stage.source}) AS pipe_one`
      if (await insert([row], alone)) column ??= name
    }
    const where = `${rowName(table.name, table.key)(row)}${column === undefined ? '' : `, column ${column}`}`
    const value = column === undefined || row[column] === undefined ? '' : `${show(row[column])} `
    return new ValueError(
      where,
      `${value}is refused by the table (${error.message})`,
      error.message.includes('onstraint') ? OWN_RULE : undefined,
    )
  }

  async #make(output: Output, table: Table, index: number): Promise<TableLoader> {
    checkFilling(output, table)
    const computesKey = table.key.some((name) => name in output.compute)
    const extra = [...constantColumns(output), ...(computesKey ? ['rowid AS pipe_order'] : [])]
    const name = `_pipe_stage_${index}`
    const stage = await Stage.create(this.#transactions.connection, name, broughtColumns(output, table), extra)
    const only = computesKey ? lastOfKey : undefined
    const exact = { ...output, compute: exactly(output, table) }
    return {
      output,
      table,
      stage,
      filled: filled(exact, table, stage.source, only),
      every: computesKey ? filled(exact, table, stage.source) : undefined,
    }
  }
}

/** The column that a constraint speaks of: by its name, or by the value that came twice. */
function constrained(message: string, columns: readonly string[], row: Row, { key }: Table): string | undefined {
  if (!/constraint/i.test(message)) return undefined
  const words = new Set(message.match(/\w+/g))
  const double = /duplicate key "(.*?)"/i.exec(message)?.[1]
  return columns.find((name) => words.has(name)) ?? columns.find((name) => !key.includes(name) && show(row[name]) === double)
}

/** Keeps the last of the rows with one key. */
function lastOfKey(select: string, key: readonly string[]): string {
  return `${select} QUALIFY row_number() OVER (PARTITION BY ${key.join(', ')} ORDER BY pipe_order DESC) = 1`
}

/** What an output computes, with an error where DuckDB would round the text of a number without a word. */
function exactly({ compute }: Output, table: Table): Record<string, string> {
  return Object.fromEntries(
    Object.entries(compute).map(([name, expression]) => {
      const type = table.columns.find((column) => column.name === name)?.type
      if (!type || !isExactNumber(type)) return [name, expression]
      const value = `(${expression}\n)`
      return [name, `CASE WHEN ${isTooFine(value, type)} THEN error('more fraction digits than the column has') ELSE ${value} END`]
    }),
  )
}

/** Whether a value is a text with too many fraction digits. Of other types, none is by what `checkCompute` allows. */
function isTooFine(value: string, type: ColumnType): string {
  return `(typeof(${value}) = 'VARCHAR' AND coalesce(regexp_matches(CAST(${value} AS VARCHAR), '${tooFine(type)}'), FALSE))`
}
