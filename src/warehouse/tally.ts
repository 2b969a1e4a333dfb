import {
  coercer,
  type Column,
  type Counted,
  COUNTED_AS_ONE,
  formatInstant,
  identifier,
  joinSql,
  NO_DAY,
  quoteIdentifier,
  type OwnRows,
  parseDay,
  type Row,
  sql,
  sqlText,
  type Statement,
  type Stretch,
  type Table,
  touchedBounds,
  type UnitWrite,
  type Value,
  ValueError,
} from '../sdk/index.js'
import { areOwn, literal } from './fill.js'
import { COUNTED } from './ledger.js'
import { text } from './ledger-where.js'
import { sqlType, type WarehouseKind } from './types.js'

/** Runs a query inside of the commit. */
type Select = (statement: Statement) => Promise<readonly Row[]>

const DAY_US = 86_400_000_000n
/** Keys of one query. */
const AT_ONCE = 5_000

/**
 * What the writes of one commit do to the counts of rows by day. A count is what commits left, never what a table holds: so
 * rows that somebody else deletes or adds are found by comparing. Rows that are overwritten are looked up before they are, since
 * their time may have been another one.
 */
export class Tally {
  readonly #lines: readonly CountedLine[]
  readonly #kind: WarehouseKind
  readonly #select: Select
  readonly #changes = new Map<CountedLine, Map<bigint, bigint>>()

  constructor(counted: readonly Counted[], tables: ReadonlyMap<string, Table>, kind: WarehouseKind, select: Select) {
    this.#lines = counted.flatMap((each) => {
      const table = tables.get(each.table)
      return table ? [{ counted: each, table }] : []
    })
    this.#kind = kind
    this.#select = select
  }

  /** Takes note of rows that are about to be deleted. */
  async deletes(own: OwnRows | Stretch): Promise<void> {
    const line = this.#line(own)
    if (line) await this.#subtract(line, areOwn(own, line.table))
  }

  /** Takes note of rows that are about to be written, after the deletes. Each key is there once. */
  async rows(writes: readonly UnitWrite[]): Promise<void> {
    const byLine = new Map<CountedLine, Row[]>()
    for (const { output, rows } of this.#lines.length === 0 ? [] : writes.flatMap((write) => write.rows)) {
      const line = this.#line(output)
      if (!line || rows.length === 0) continue
      const known = byLine.get(line)
      if (known) for (const row of rows) known.push(row)
      else byLine.set(line, [...rows])
    }
    for (const [line, rows] of byLine) await this.#write(line, rows)
  }

  /** Rows of `_pipe_counts` as the commit leaves them, each in the place of the one that has its key. */
  async puts(): Promise<readonly Row[]> {
    const puts: Row[] = []
    for (const [{ counted }, changes] of this.#changes) {
      const changed = [...changes].filter(([, n]) => n !== 0n)
      if (changed.length === 0) continue
      const days = joinSql(
        changed.map(([day]) => sqlText(String(day))),
        ', ',
      )
      const there = await this.#select(sql`SELECT "day", "rows" FROM _pipe_counts WHERE ${ofCounted(counted)} AND "day" IN (${days})`)
      const before = new Map(there.map(({ day, rows }) => [day, rows as bigint]))
      for (const [day, n] of changed) puts.push(countRow(counted, day, (before.get(day) ?? 0n) + n))
    }
    return puts
  }

  async #write(line: CountedLine, rows: readonly Row[]): Promise<void> {
    const { table, counted } = line
    const key = table.columns.filter(({ name }) => table.key.includes(name)).map((column) => valueOf(column, counted))
    const column = table.columns.find(({ name }) => name === counted.column)
    const place = column && valueOf(column, counted)
    try {
      for (let from = 0; from < rows.length; from += AT_ONCE) {
        const some = rows.slice(from, from + AT_ONCE)
        const keys = some.map((row) => `(${key.map(({ column: { type }, of }) => written(of(row), type, this.#kind)).join(', ')})`)
        const names = key.map(({ column: { name } }) => quoteIdentifier(name)).join(', ')
        const held = sqlText(`(${names}) IN (${among(keys, key.length, this.#kind)})`)
        await this.#subtract(line, sql`${areOwn(ownOf(counted), table)} AND ${held}`)
        for (const row of some) this.#add(line, place ? dayOf(place.of(row)) : COUNTED_AS_ONE, 1n)
      }
    } catch (error) {
      // The row is refused by name when it is loaded, and nothing of this commit is kept.
      if (!(error instanceof ValueError)) throw error
    }
  }

  async #subtract(line: CountedLine, which: Statement): Promise<void> {
    for (const row of await this.#select(countsOf(line, this.#kind, which))) this.#add(line, row.day as bigint, -(row.n as bigint))
  }

  #add(line: CountedLine, day: bigint, n: bigint): void {
    let changes = this.#changes.get(line)
    if (!changes) this.#changes.set(line, (changes = new Map()))
    changes.set(day, (changes.get(day) ?? 0n) + n)
  }

  #line({ table, constants }: OwnRows): CountedLine | undefined {
    const own = constantsText({ constants })
    return this.#lines.find(({ counted }) => counted.table === table && constantsText(counted) === own)
  }
}

/** Counted rows with the table that they are in. */
export interface CountedLine {
  readonly counted: Counted
  readonly table: Table
}

/** How many rows of a table there are, by day: `day`, `n`. */
function countsOf({ counted, table }: CountedLine, kind: WarehouseKind, which = areOwn(ownOf(counted), table)): Statement {
  const { column } = counted
  const from = sql`FROM ${identifier(table.name)} WHERE ${which}`
  if (column === undefined) return sql`SELECT ${sqlText(`CAST(${COUNTED_AS_ONE} AS BIGINT)`)} AS day, count(*) AS n ${from}`
  const { first } = touchedBounds(identifier(column), { everyUs: DAY_US, lookbackUs: 0n }, kind)
  return sql`SELECT coalesce(${first}, ${sqlText(`CAST(${NO_DAY} AS BIGINT)`)}) AS day, count(*) AS n ${from} GROUP BY 1`
}

/** How many rows a table has now, by day. */
export async function presentRows(line: CountedLine, kind: WarehouseKind, select: Select): Promise<ReadonlyMap<bigint, bigint>> {
  return new Map((await select(countsOf(line, kind))).map(({ day, n }) => [day as bigint, n as bigint]))
}

/**
 * Rows of `_pipe_counts` that take what a table holds for what commits left. `known`: the counts as they are; undefined: not
 * every commit kept count, as it does from now on.
 */
export function recounted(
  counted: Counted,
  present: ReadonlyMap<bigint, bigint>,
  known: ReadonlyMap<bigint, bigint> | undefined,
  days?: readonly (readonly [bigint, bigint])[],
): readonly Row[] {
  const found = new Map<bigint, bigint>([...Array.from(known?.keys() ?? [], (day): [bigint, bigint] => [day, 0n]), ...present])
  const wanted = (day: bigint) => days?.some(([from, to]) => from <= day && day <= to) ?? true
  const puts = [...found].filter(([day, n]) => wanted(day) && known?.get(day) !== n)
  const base = known ? [] : [countRow(counted, COUNTED, 0n)]
  return [...puts.map(([day, n]) => countRow(counted, day, n)), ...base]
}

/** Counts as rows of `_pipe_counts` hold them. Undefined: not every commit kept count. */
export function countsIn(rows: readonly Row[]): ReadonlyMap<bigint, bigint> | undefined {
  const known = new Map(rows.map(({ day, rows: n }) => [day as bigint, n as bigint]))
  return known.delete(COUNTED) ? known : undefined
}

/** Which rows of `_pipe_counts` are those of counted rows. */
export function ofCounted(counted: Counted): Statement {
  return sql`pipeline = ${text(counted.pipeline)} AND counted = ${text(counted.table)} AND constants = ${text(constantsText(counted))}`
}

/** A row of `_pipe_counts`. */
function countRow(counted: Counted, day: bigint, rows: bigint): Row {
  return { pipeline: counted.pipeline, counted: counted.table, constants: constantsText(counted), day, rows }
}

const ownOf = ({ table, constants }: Counted): OwnRows => ({ table, constants })

function constantsText({ constants }: Pick<OwnRows, 'constants'>): string {
  return JSON.stringify(Object.entries(constants).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Reads a column of rows that an output brings, as the table will hold it. */
function valueOf(column: Column, { constants }: OwnRows): { readonly column: Column; of(row: Row): Value } {
  const exact = coercer({ ...column, nullable: true })
  const constant = constants[column.name]
  return { column, of: constant === undefined ? (row) => exact(row[column.name]) : () => constant }
}

function dayOf(value: Value): bigint {
  if (value === null) return NO_DAY
  if (typeof value === 'string') return BigInt(parseDay(value) ?? 0) * DAY_US
  const at = value as bigint
  return at - (((at % DAY_US) + DAY_US) % DAY_US)
}

/** Keys as what stands behind IN. As values of a query, DuckDB and Postgres hash keys of several columns. */
function among(keys: readonly string[], columns: number, kind: WarehouseKind): string {
  const list = keys.join(', ')
  return columns === 1 || kind === 'clickhouse' ? list : `SELECT * FROM (VALUES ${list}) AS pipe_keys`
}

/** A value of a key as SQL. Written out: no server takes so many that are bound. */
function written(value: Value, type: Column['type'], kind: WarehouseKind): string {
  if (value === null) return 'NULL'
  const as = (given: string) => `CAST(${literal(given, kind)} AS ${sqlType(type, kind)})`
  switch (type.kind) {
    case 'text':
    case 'address':
    case 'hash':
    case 'bytes':
      return literal(String(value as string), kind)
    case 'int':
    case 'bigint':
      return String(value as bigint)
    case 'timestamp':
      return as(
        formatInstant(value as bigint)
          .replace('T', ' ')
          .replace('Z', ''),
      )
    default:
      return as(typeof value === 'object' ? JSON.stringify(value) : String(value))
  }
}
