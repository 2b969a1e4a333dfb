import { createHash } from 'node:crypto'
import { type Column, type Output, quoteIdentifier, type Row, type Table, typeLabel, type Value, ValueError } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { SqlError } from '../errors.js'
import { broughtColumns, checkFilling } from '../fill.js'
import { sqlType } from '../types.js'
import { type Computed, computedColumns, type TypeOf, widens } from './compute.js'
import { DELETED, VERSION } from './ddl.js'
import { instantText } from './instant-text.js'
import { rowName } from '../row-name.js'
import { escape, table } from './tsv.js'
import { held } from './values.js'

/** Rows with the version that they get. */
export interface Versioned {
  readonly rows: readonly Row[]
  readonly version: bigint
}

/** Rows as text, made once and sent as they are, however often. */
export interface Encoded {
  readonly loader: TableLoader
  /** Lines of tab-separated values. */
  readonly data: string
  readonly rows: readonly Row[]
  /** Rows of which a text was changed so that every warehouse stores it, one entry a text. */
  readonly replaced: readonly Row[]
}

interface Cell {
  readonly column: Column
  readonly exact: (value: unknown) => Value
  readonly text: (value: Value) => string
}

/**
 * The way of one output's rows into its table. Rows without computed columns go straight from their lines into the
 * table; others pass through a SELECT, which costs ClickHouse twice as much.
 */
export class TableLoader {
  readonly output: Output
  readonly table: Table
  readonly computed: readonly Computed[]
  readonly #cells: readonly Cell[]
  readonly #known: ReadonlySet<string>
  /** Constants as the same cells in every line. */
  readonly #constants: string
  readonly #structure: string
  readonly #source: string
  readonly #computesKey: boolean
  #replaced: (() => void) | undefined

  private constructor(output: Output, table: Table, computed: readonly Computed[]) {
    this.output = output
    this.table = table
    this.computed = computed
    const columns = broughtColumns(output, table)
    const constants = Object.entries(output.constants)
    this.#cells = columns.map((column) => ({ column, exact: held(column, () => this.#replaced?.()), text: cellText(column) }))
    this.#known = new Set(columns.map(({ name }) => name))
    this.#constants = constants.map(([, value]) => `${escape(value)}\t`).join('')
    this.#computesKey = table.key.some((name) => name in output.compute)
    const wide = widens(output)
    this.#structure = [
      ...columns.map((column, i) => `c${i} ${stagedType(column)}`),
      ...constants.map((_, i) => `k${i} String`),
      'pipe_version UInt64',
      ...(computed.length > 0 ? ['pipe_order UInt32'] : []),
    ].join(', ')
    this.#source = [
      ...columns.map((column, i) => `${staged(column, `c${i}`, wide)} AS ${quoteIdentifier(column.name)}`),
      ...constants.map(([name], i) => `k${i} AS ${quoteIdentifier(name)}`),
      'pipe_version',
      ...(computed.length > 0 ? ['pipe_order'] : []),
    ].join(', ')
  }

  /** @throws {OutputError} when the output does not fit the table. */
  static async make(output: Output, table: Table, typeOf: TypeOf): Promise<TableLoader> {
    checkFilling(output, table)
    return new TableLoader(output, table, await computedColumns(output, table, typeOf))
  }

  /** @throws {ValueError} for a value that does not fit, a required one that is missing, a column that is not known, a key that comes twice. */
  encode(parts: readonly Versioned[]): Encoded {
    const name = rowName(this.table.name, this.table.key)
    const keys = this.table.key.map((key) => this.#cells.findIndex(({ column }) => column.name === key)).filter((index) => index >= 0)
    const seen = this.#computesKey ? undefined : new Set<string>()
    const replaced: Row[] = []
    const all: Row[] = []
    const lines: string[] = []
    const texts: string[] = []
    let current: Row = {}
    this.#replaced = () => replaced.push(current)
    for (const { rows, version } of parts) {
      const end = `${this.#constants}${version}`
      for (const row of rows) {
        current = row
        for (const column in row) {
          if (!this.#known.has(column))
            throw new ValueError(`${name(row)}, column ${column}`, `no such column; rows bring ${[...this.#known].join(', ')}`)
        }
        for (let i = 0; i < this.#cells.length; i++) {
          const cell = this.#cells[i] as Cell
          texts[i] = cellOf(cell, row, name)
        }
        seen?.add(keys.length === 1 ? (texts[keys[0] ?? 0] ?? '') : keys.map((i) => texts[i]).join('\t'))
        lines.push(this.computed.length > 0 ? `${texts.join('\t')}\t${end}\t${all.length}` : `${texts.join('\t')}\t${end}`)
        all.push(row)
      }
    }
    // What is left of rows with one key would be chance.
    if (seen && keys.length > 0 && seen.size !== all.length)
      throw new Error(`${all.length - seen.size} rows for ${this.table.name} share a key with another of the same commit`)
    // At once: a text that grows cell by cell is a tree of pieces, and all of them garbage.
    return { loader: this, data: lines.length === 0 ? '' : `${lines.join('\n')}\n`, rows: all, replaced }
  }

  /** `INSERT` of the rows, checked. With the token that names them: the same rows, the same token. */
  insert({ data }: Encoded): { readonly text: string; readonly token: string } {
    const into = this.computed.length > 0 ? this.#insertSelect() : undefined
    const token = createHash('sha256')
      .update(into?.join('') ?? this.#insertLines())
      .update(data)
      .digest('hex')
    return { text: into ? into.join(this.#from(data)) : this.#insertLines() + data, token }
  }

  /** SELECT of the rows as they will be in the table: all of its columns, each under its name. */
  filled({ data }: Encoded): string {
    const selected = this.table.columns.map(({ name }) => `${this.#valueOf(name)} AS ${quoteIdentifier(name)}`)
    return `SELECT ${selected.join(', ')} FROM (${this.#from(data)}) AS pipe_row${this.#last()}`
  }

  /**
   * The row that SQL can't be computed for, by name, or undefined when no single row is to blame.
   *
   * @param query Runs a query and gives its rows.
   */
  async diagnose({ rows }: Encoded, query: (text: string) => Promise<readonly Row[]>): Promise<ValueError | undefined> {
    const keys = this.output.columns.filter((name) => this.table.key.includes(name))
    const name = rowName(this.table.name, keys)
    for (const { column, bad, text } of this.computed) {
      const look = async (some: readonly Row[]): Promise<ValueError | undefined> => {
        const data = this.encode([{ rows: some, version: 0n }]).data
        try {
          const [found] = await query(
            `SELECT pipe_order AS row, ${text} AS shown FROM (${this.#from(data)}) AS pipe_row WHERE ${bad} LIMIT 1`,
          )
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

  #insertLines(): string {
    const names = [...this.#cells.map(({ column }) => column.name), ...Object.keys(this.output.constants), VERSION]
    return `INSERT INTO ${quoteIdentifier(this.table.name)} (${identifiers(names)}) FORMAT TabSeparated\n`
  }

  /** What is before the rows, and behind them. */
  #insertSelect(): readonly [before: string, after: string] {
    const names = this.table.columns.map(({ name }) => name)
    const guard = `NOT throwIf(${this.computed.map(({ bad }) => `(${bad})`).join(' OR ')}, 'pipe: a computed value does not fit')`
    const into = `INSERT INTO ${quoteIdentifier(this.table.name)} (${identifiers([...names, VERSION, DELETED])})`
    const select = [...names.map((name) => this.#valueOf(name)), 'pipe_version', '0'].join(', ')
    return [`${into} SELECT ${select} FROM (`, `) AS pipe_row WHERE ${guard}${this.#last()}`]
  }

  #valueOf(name: string): string {
    const computed = this.computed.find(({ column }) => column.name === name)
    if (computed) return computed.value
    const cell = this.#cells.find(({ column }) => column.name === name)
    if (cell) {
      const { type, nullable } = cell.column
      const quoted = quoteIdentifier(name)
      if (!widens(this.output) || (type.kind !== 'int' && type.kind !== 'bigint')) return quoted
      const back = sqlType(type, 'clickhouse')
      return `CAST(${quoted} AS ${nullable ? `Nullable(${back})` : back})`
    }
    return name in this.output.constants ? quoteIdentifier(name) : 'NULL'
  }

  #from(data: string): string {
    return `SELECT ${this.#source} FROM ${table(this.#structure, data)}`
  }

  /** Keeps the last of the rows with one key. */
  #last(): string {
    return this.#computesKey ? ` ORDER BY pipe_order DESC LIMIT 1 BY ${this.table.key.map((name) => this.#valueOf(name)).join(', ')}` : ''
  }
}

const NOT_AT_ALL = 'is computed as null or not at all, and is'

function cellOf({ column, exact, text }: Cell, row: Row, name: (row: Row) => string): string {
  const given = row[column.name]
  let value: Value
  try {
    value = exact(given)
  } catch (error) {
    throw error instanceof ValueError ? new ValueError(`${name(row)}, column ${column.name}`, error.problem) : error
  }
  if (value !== null) return text(value)
  if (column.nullable) return '\\N'
  throw new ValueError(`${name(row)}, column ${column.name}`, `is ${given === null ? 'null' : 'missing'}, and the column is required`)
}

function cellText({ type }: Column): (value: Value) => string {
  switch (type.kind) {
    case 'text':
      return (value) => escape(value as string)
    case 'json':
      return (value) => escape(JSON.stringify(value))
    case 'timestamp': {
      const text = instantText()
      return (value) => text(value as bigint)
    }
    default:
      return String
  }
}

/** The type that a column has in the lines. */
function stagedType({ type, nullable }: Column): string {
  // Without its zone, which would have to be quoted: ours is UTC.
  const name = type.kind === 'timestamp' ? 'DateTime64(6)' : sqlType(type, 'clickhouse')
  return nullable ? `Nullable(${name})` : name
}

function staged({ type }: Column, name: string, wide: boolean): string {
  if (type.kind === 'timestamp') return `CAST(${name} AS ${sqlType(type, 'clickhouse')})`
  return wide && (type.kind === 'int' || type.kind === 'bigint') ? `toInt256(${name})` : name
}
