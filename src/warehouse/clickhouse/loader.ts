import {
  type Column,
  type ColumnType,
  differences,
  jsonText,
  KeyConflictError,
  type List,
  type Output,
  pieces,
  quoteIdentifier,
  type Row,
  show,
  type Table,
  typeLabel,
  type Value,
  ValueError,
} from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { OWN_RULE, SqlError } from '../errors.js'
import { broughtColumns, checkFilling } from '../fill.js'
import { keyOf } from '../load.js'
import { sqlType } from '../types.js'
import { type Computed, computedColumns, type TypeOf, widens } from './compute.js'
import { DELETED, VERSION } from './ddl.js'
import type { Block, Laying } from './engine.js'
import { instantText } from './instant-text.js'
import { constantColumn, nativeBlock, nativeColumn, nativeType, orderColumn, versionColumn } from './native.js'
import { rowName } from '../row-name.js'
import { escape, table } from './tsv.js'
import { held } from './values.js'

/** Rows with the version that they get. */
export interface Versioned {
  readonly rows: List<Row>
  readonly version: bigint
}

/** Rows of one commit, their values made exact and checked. */
export interface Encoded {
  readonly loader: TableLoader
  readonly rows: List<Row>
  readonly versions: readonly (readonly [version: bigint, rows: number])[]
  /** The values of each column that rows bring, by row. */
  readonly values: readonly (readonly Value[])[]
  /** The rows as they are sent, however often. Undefined where columns are computed. */
  readonly block: Block | undefined
  /** The rows as a table of SQL, where they were laid. Left out: they are a part of it. */
  readonly laid?: string | undefined
  /** Of each text that was changed so that every warehouse stores it, the place of its row. */
  readonly replaced: readonly number[]
}

/**
 * The way of one output's rows into its table. Rows without computed columns go into it as a block, as they are; others
 * go as lines through a SELECT, which costs ClickHouse several times as much.
 */
export class TableLoader {
  readonly output: Output
  readonly table: Table
  readonly computed: readonly Computed[]
  readonly #columns: readonly Column[]
  readonly #known: ReadonlySet<string>
  readonly #name: (row: Row) => string
  readonly #structure: string
  readonly #source: string
  readonly #computesKey: boolean

  private constructor(output: Output, table: Table, computed: readonly Computed[]) {
    this.output = output
    this.table = table
    this.computed = computed
    const columns = broughtColumns(output, table)
    const constants = Object.entries(output.constants)
    this.#columns = columns
    this.#known = new Set(columns.map(({ name }) => name))
    this.#name = rowName(table.name, table.key)
    this.#computesKey = table.key.some((name) => name in output.compute)
    const wide = widens(output)
    this.#structure = [
      ...columns.map((column, i) => `c${i} ${nativeType(column)}`),
      ...constants.map((_, i) => `k${i} String`),
      'pipe_version UInt64',
      'pipe_order UInt32',
    ].join(', ')
    this.#source = [
      ...columns.map((column, i) => `${staged(column, `c${i}`, wide)} AS ${quoteIdentifier(column.name)}`),
      ...constants.map(([name], i) => `k${i} AS ${quoteIdentifier(name)}`),
      'pipe_version',
      'pipe_order',
    ].join(', ')
  }

  /** @throws {OutputError} when the output does not fit the table. */
  static async make(output: Output, table: Table, typeOf: TypeOf): Promise<TableLoader> {
    checkFilling(output, table)
    return new TableLoader(output, table, await computedColumns(output, table, typeOf))
  }

  /** @throws {ValueError} for a value that does not fit, a required one that is missing, a column that is not known, a key that comes twice. */
  encode(parts: readonly Versioned[]): Encoded {
    const rows = parts.length === 1 && parts[0] ? parts[0].rows : parts.flatMap((part) => [...part.rows])
    const versions = parts.map((part): [bigint, number] => [part.version, part.rows.length])
    const replaced: number[] = []
    const columns = this.#columns.map((column) => new ExactColumn(column, rows.length, replaced, this.#name))
    for (const piece of pieces(rows, AT_ONCE)) {
      this.#checkNames(piece)
      for (const column of columns) column.add(piece)
    }
    const values = columns.map((column) => column.values)
    if (!this.#computesKey) this.#checkKeys(values, rows.length)
    const block = this.computed.length > 0 ? undefined : this.#block(values, versions, rows.length)
    return { loader: this, rows, versions, values, block, replaced }
  }

  /** `INSERT` of rows with computed columns, checked. */
  insertSelect(encoded: Encoded): string {
    const names = this.table.columns.map(({ name }) => name)
    const guard = `NOT throwIf(${this.computed.map(({ bad }) => `(${bad})`).join(' OR ')}, 'pipe: a computed value does not fit')`
    const into = `INSERT INTO ${quoteIdentifier(this.table.name)} (${identifiers([...names, VERSION, DELETED])})`
    const select = [...names.map((name) => this.#valueOf(name)), 'pipe_version', '0'].join(', ')
    return `${into} SELECT ${select} FROM (${this.#from(encoded)}) AS pipe_row WHERE ${guard}${this.#last()}`
  }

  /** SELECT of the rows as they will be in the table: all of its columns, each under its name. */
  filled(encoded: Encoded): string {
    return `${this.#each(encoded)}${this.#last()}`
  }

  /** The same with all rows of a key. */
  #each(encoded: Encoded): string {
    const selected = this.table.columns.map(({ name }) => `${this.#valueOf(name)} AS ${quoteIdentifier(name)}`)
    return `SELECT ${selected.join(', ')} FROM (${this.#from(encoded)}) AS pipe_row`
  }

  /**
   * Where SQL computes a part of the key, nobody could tell before whether two rows have the same.
   *
   * @throws {KeyConflictError} when two different ones have.
   */
  async refuseDoubles(encoded: Encoded, query: (text: string) => Promise<readonly Row[]>): Promise<void> {
    const { table } = this
    const rest = table.columns.filter(({ name }) => !table.key.includes(name))
    if (!this.#computesKey || rest.length === 0) return
    const texts = table.columns.flatMap(({ name }, i) =>
      ['min', 'max'].map((of) => `${of}(toString(${quoteIdentifier(name)})) AS pipe_${of}_${i}`),
    )
    const differ = rest.map(({ name }) => `uniqExact(ifNull(concat('=', toString(${quoteIdentifier(name)})), '')) > 1`)
    const [row] = await query(
      `SELECT ${texts.join(', ')} FROM (${this.#each(encoded)}) AS pipe_rows GROUP BY ${identifiers(table.key)} HAVING ${differ.join(' OR ')} LIMIT 1`,
    )
    if (!row) return
    const side = (of: 'min' | 'max'): Row => Object.fromEntries(table.columns.map(({ name }, i) => [name, row[`pipe_${of}_${i}`] ?? null]))
    throw new KeyConflictError(
      rowName(table.name, table.key)(keyOf(table, side('min'))),
      `${differences(table, side('min'), side('max'))}, computed in one commit`,
    )
  }

  /**
   * The row that SQL can't be computed for, by name, or undefined when no single row is to blame.
   *
   * @param query Runs a query and gives its rows.
   */
  async diagnose({ rows: given }: Encoded, query: (text: string) => Promise<readonly Row[]>): Promise<ValueError | undefined> {
    const rows = [...given]
    const keys = this.output.columns.filter((name) => this.table.key.includes(name))
    const name = rowName(this.table.name, keys)
    for (const { column, bad, text } of this.computed) {
      const look = async (some: readonly Row[]): Promise<ValueError | undefined> => {
        const from = this.#from(this.encode([{ rows: some, version: 0n }]))
        try {
          const [found] = await query(`SELECT pipe_order AS row, ${text} AS shown FROM (${from}) AS pipe_row WHERE ${bad} LIMIT 1`)
          const row = found && some[Number(found.row)]
          if (!row) return undefined
          const problem = found.shown === null ? NOT_AT_ALL : `is computed as ${String(found.shown)}, which does not fit`
          return new ValueError(`${name(row)}, column ${column.name}`, `${problem} ${typeLabel(column.type)}`)
        } catch (error) {
          if (!(error instanceof SqlError)) throw error
          const [row] = some
          if (some.length === 1 && row)
            return new ValueError(`${name(row)}, column ${column.name}`, `${NOT_AT_ALL} ${typeLabel(column.type)}`)
          return (await look(some.slice(0, some.length >> 1))) ?? (await look(some.slice(some.length >> 1)))
        }
      }
      const found = await look(rows)
      if (found) return found
    }
    return undefined
  }

  /** The row of a block that a check of the table refuses, by the number that the server gives it. */
  refusedRow(rows: List<Row>, error: unknown): ValueError | undefined {
    if (!(error instanceof SqlError)) return undefined
    const [, check, number, expression = '', values = ''] =
      /Constraint (`(?:[^`\\]|\\.)*`|\S+) for table .* is violated at row (\d+)\. Expression: (.*?)\. Column values: (.*)/s.exec(
        error.message,
      ) ?? []
    const row = rows.at(Number(number) - 1)
    const words = new Set(expression.match(/\w+/g))
    const column = this.output.columns.find((name) => words.has(name))
    // A server that counted otherwise shows other values.
    if (!row || column === undefined || !values.includes(String(row[column]))) return undefined
    const place = `${rowName(this.table.name, this.table.key)(row)}, column ${column}`
    return new ValueError(place, `${show(row[column])} is refused by its check ${check} ${expression}`, OWN_RULE)
  }

  #checkNames(rows: readonly Row[]): void {
    const names = [...this.#known]
    for (const row of rows) {
      let i = 0
      for (const name in row) {
        // Most rows have their columns in the order of the output.
        if (name !== names[i++] && !this.#known.has(name))
          throw new ValueError(`${this.#name(row)}, column ${name}`, `no such column; rows bring ${names.join(', ')}`)
      }
    }
  }

  /** What is left of rows with one key would be chance. */
  #checkKeys(values: Encoded['values'], rows: number): void {
    const keys = this.#columns.flatMap((column, i) => (this.table.key.includes(column.name) ? [{ column, values: values[i] ?? [] }] : []))
    if (keys.length === 0 || ascend(keys, rows)) return
    const texts = keys.map(({ column }) => cellText(column))
    const seen = new Set<string>()
    for (let row = 0; row < rows; row++) seen.add(keys.map((key, i) => texts[i]?.(key.values[row] ?? null)).join('\t'))
    if (seen.size !== rows) throw new Error(`${rows - seen.size} rows for ${this.table.name} share a key with another of the same commit`)
  }

  #block(values: Encoded['values'], versions: Encoded['versions'], rows: number): Block {
    const columns = [
      ...this.#columns.map((column, i) => nativeColumn(column, values[i] ?? [])),
      ...Object.entries(this.output.constants).map(([name, value]) => constantColumn(name, value, rows)),
      versionColumn(VERSION, versions),
    ]
    return { table: this.table.name, columns, bytes: nativeBlock(columns, rows) }
  }

  #valueOf(name: string): string {
    const computed = this.computed.find(({ column }) => column.name === name)
    if (computed) return computed.value
    const column = this.#columns.find((candidate) => candidate.name === name)
    if (column) {
      const { type, nullable } = column
      const quoted = quoteIdentifier(name)
      if (!widens(this.output) || (type.kind !== 'int' && type.kind !== 'bigint')) return quoted
      const back = sqlType(type, 'clickhouse')
      return `CAST(${quoted} AS ${nullable ? `Nullable(${back})` : back})`
    }
    return name in this.output.constants ? quoteIdentifier(name) : 'NULL'
  }

  /** Rows that SQL computes more columns of, to be laid where it reads them. Undefined for few, which are a part of it. */
  laying(encoded: Encoded): Laying | undefined {
    const many = !encoded.block && encoded.rows.length >= MANY_ROWS
    return many ? { structure: this.#structure, blocks: this.#blocks(encoded) } : undefined
  }

  /** What SQL computes of a block is in memory at once. */
  *#blocks({ values, versions, rows }: Encoded): Iterable<Uint8Array> {
    const constants = Object.values(this.output.constants)
    const all = versionColumn('pipe_version', versions)
    for (let from = 0; from < rows.length; from += BLOCK_ROWS) {
      const to = Math.min(from + BLOCK_ROWS, rows.length)
      const columns = [
        ...this.#columns.map((column, i) => nativeColumn({ ...column, name: `c${i}` }, values[i]?.slice(from, to) ?? [])),
        ...constants.map((value, i) => constantColumn(`k${i}`, value, to - from)),
        { ...all, bytes: all.bytes.subarray(8 * from, 8 * to) },
        orderColumn('pipe_order', from, to),
      ]
      yield nativeBlock(columns, to - from)
    }
  }

  #from(encoded: Encoded): string {
    return `SELECT ${this.#source} FROM ${encoded.laid ?? table(this.#structure, this.#lines(encoded))}`
  }

  /** The rows as lines of tab-separated values. */
  #lines({ values, versions }: Encoded): string {
    const texts = this.#columns.map(cellText)
    const constants = Object.values(this.output.constants).map(escape)
    const lines: string[] = []
    for (const [version, count] of versions) {
      for (const end = lines.length + count; lines.length < end;) {
        const row = lines.length
        const cells = texts.map((text, i) => text(values[i]?.[row] ?? null))
        lines.push([...cells, ...constants, version, `${row}\n`].join('\t'))
      }
    }
    return lines.join('')
  }

  /** Keeps the last of the rows with one key. */
  #last(): string {
    return this.#computesKey ? ` ORDER BY pipe_order DESC LIMIT 1 BY ${this.table.key.map((name) => this.#valueOf(name)).join(', ')}` : ''
  }
}

const NOT_AT_ALL = 'is computed as null or not at all, and is'

/** So many rows are no part of SQL that is run several times: it would be parsed as often. */
const MANY_ROWS = 10_000
const BLOCK_ROWS = 8_192

/** Rows whose values are made exact column by column. */
const AT_ONCE = 1_024

/** The values of a column, exact. `replaced` gets the place of the row of each text that was changed. */
class ExactColumn {
  readonly values: Value[]
  readonly #column: Column
  readonly #exact: (value: unknown) => Value
  readonly #name: (row: Row) => string
  #next = 0

  constructor(column: Column, rows: number, replaced: number[], name: (row: Row) => string) {
    this.values = new Array<Value>(rows)
    this.#column = column
    this.#exact = held(column, () => replaced.push(this.#next))
    this.#name = name
  }

  /** @throws {ValueError} */
  add(rows: readonly Row[]): void {
    const { name, nullable } = this.#column
    for (const row of rows) {
      const given = row[name]
      try {
        const value = this.#exact(given)
        if (value === null && !nullable) throw new ValueError(name, `is ${given === null ? 'null' : 'missing'}, and the column is required`)
        this.values[this.#next++] = value
      } catch (error) {
        throw error instanceof ValueError ? new ValueError(`${this.#name(row)}, column ${name}`, error.problem) : error
      }
    }
  }
}

/** Whether the key of each row is above that of the row before: then all of them differ. */
function ascend(keys: readonly { readonly column: Column; readonly values: readonly Value[] }[], rows: number): boolean {
  // Exact values of every other kind are of one type, which has an order.
  if (keys.some(({ column }) => column.type.kind === 'json')) return false
  for (let row = 1; row < rows; row++) {
    const key = keys.find(({ values }) => values[row] !== values[row - 1])
    if (!key || !((key.values[row] as bigint) > (key.values[row - 1] as bigint))) return false
  }
  return true
}

/** How values of a column stand in tab-separated values. */
function cellText({ type }: Column): (value: Value) => string {
  const text = textOf(type)
  return (value) => (value === null ? '\\N' : text(value))
}

function textOf(type: ColumnType): (value: Value) => string {
  switch (type.kind) {
    case 'text':
      return (value) => escape(value as string)
    case 'json':
      return (value) => escape(jsonText(value))
    case 'timestamp': {
      const text = instantText()
      return (value) => text(value as bigint)
    }
    default:
      return String
  }
}

function staged({ type }: Column, name: string, wide: boolean): string {
  if (type.kind === 'timestamp') return `CAST(${name} AS ${sqlType(type, 'clickhouse')})`
  return wide && (type.kind === 'int' || type.kind === 'bigint') ? `toInt256(${name})` : name
}
