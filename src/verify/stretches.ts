import {
  type ColumnType,
  formatDay,
  formatInstant,
  identifier,
  joinSql,
  type LedgerRow,
  type Output,
  type Param,
  parseDay,
  sql,
  sqlText,
  type Statement,
  type Table,
  type Value,
  type Wanted,
  type WarehouseReader,
} from '../sdk/index.js'
import { rowStretch } from '../ledger/axis.js'
import { type Interval, union } from '../ledger/intervals.js'

const DAY_US = 86_400_000_000n

/** Rows of one table that are a step's own, laid along a column that its units are stretches of. */
export interface Line {
  readonly table: Table
  readonly column: string
  readonly type: ColumnType
  readonly constants: Readonly<Record<string, string>>
}

/** Where the rows of an output lie by unit, or undefined when no column says. */
export function lineOf(output: Output, table: Table, wanted: Wanted): Line | undefined {
  const name = output.range ?? table.range
  const type = table.columns.find((column) => column.name === name)?.type
  if (name === undefined || !type || wanted.kind !== 'stretches') return undefined
  const timed = type.kind === 'timestamp' || type.kind === 'date'
  return timed === (wanted.axis.of === 'time') ? { table, column: name, type, constants: output.constants } : undefined
}

/** Where the rows of an output lie by the numbers that units of time hold; undefined where their time says it, or nothing does. */
export function numberLineOf(output: Output, table: Table, wanted: Wanted): Line | undefined {
  const name = output.range ?? table.range
  const type = table.columns.find((column) => column.name === name)?.type
  if (name === undefined || !type || wanted.kind !== 'stretches' || wanted.axis.of !== 'time') return undefined
  return type.kind === 'timestamp' || type.kind === 'date' ? undefined : { table, column: name, type, constants: output.constants }
}

/** Where the rows of a block are among those of a time that holds more than it. */
export function blockLineOf(output: Output, table: Table): Line | undefined {
  const type = table.columns.find((column) => column.name === output.number)?.type
  return output.number === undefined || !type ? undefined : { table, column: output.number, type, constants: output.constants }
}

/** What of a line a unit holds: numbers, or microseconds UTC. Both ends are included. */
export function stretchOf(wanted: Wanted, row: LedgerRow): Interval | undefined {
  return wanted.kind === 'stretches' ? rowStretch(wanted.axis, row) : undefined
}

export function stretchesOf(wanted: Wanted, rows: readonly LedgerRow[]): Interval[] {
  return rows.map((row) => stretchOf(wanted, row)).filter((stretch) => stretch !== undefined)
}

/** Stretches of all units that may have rows: done ones under whatever definition, and those under way. */
export function claimed(wanted: Wanted, rows: readonly LedgerRow[]): Interval[] {
  return union(stretchesOf(wanted, rows))
}

/** Conditions for the rows of a line; `within` narrows them to a stretch, whose ends may be open. */
export function along(
  line: Line | Pick<Line, 'constants'>,
  within: readonly [bigint | undefined, bigint | undefined] = [undefined, undefined],
): Statement {
  const conditions = Object.entries(line.constants).map(([name, value]) => sql`${identifier(name)} = ${{ type: { kind: 'text' }, value }}`)
  if ('column' in line) {
    const column = identifier(line.column)
    if (within[0] !== undefined) conditions.push(sql`${column} >= ${at(line.type, within[0])}`)
    if (within[1] !== undefined) conditions.push(sql`${column} <= ${at(line.type, within[1])}`)
  }
  return conditions.length === 0 ? sqlText('1 = 1') : joinSql(conditions, ' AND ')
}

/** A place on a line as the column's own type: comparing in a wider one reads the whole table. */
function at(type: ColumnType, value: bigint): Param {
  switch (type.kind) {
    case 'timestamp':
      return { type: { kind: 'timestamp' }, value }
    case 'date': {
      const days = value >= 0n ? value / DAY_US : -((-value + DAY_US - 1n) / DAY_US)
      return { type: { kind: 'date' }, value: formatDay(Number(days)) }
    }
    case 'uint256':
    case 'int256':
      return { type: { kind: 'int256' }, value }
    default:
      return { type: { kind: 'bigint' }, value }
  }
}

/** A value of a line's column, as it was read, as a place on the line. */
export function placeOf(value: Value | undefined): bigint {
  if (typeof value !== 'string') return BigInt(value as bigint)
  const day = parseDay(value)
  return day === undefined ? BigInt(value) : BigInt(day) * DAY_US
}

/** A place as SQL that people can type. */
export function literal(type: ColumnType, value: Value | undefined): string {
  if (type.kind === 'timestamp') return `'${formatInstant(placeOf(value)).replace('T', ' ').replace('Z', '')}'`
  return type.kind === 'date' ? `'${String(value)}'` : String(value)
}

const COUNTS_AT_ONCE = 100

/** How many rows each stretch holds, in the order of the stretches. An end that is undefined is open. */
export async function countRows(
  warehouse: WarehouseReader,
  line: Line,
  stretches: readonly (readonly [bigint | undefined, bigint | undefined])[],
): Promise<bigint[]> {
  const counts: bigint[] = []
  for (let from = 0; from < stretches.length; from += COUNTS_AT_ONCE) {
    const some = stretches.slice(from, from + COUNTS_AT_ONCE)
    const parts = some.map(
      (stretch, i) =>
        sql`SELECT ${sqlText(String(i))} AS i, count(*) AS n FROM ${identifier(line.table.name)} WHERE ${along(line, stretch)}`,
    )
    for await (const page of warehouse.query(joinSql(parts, ' UNION ALL ')))
      for (const row of page) counts[from + Number(row.i)] = BigInt(row.n as bigint)
  }
  return counts
}

/** The numbers of a line that have a row, as sorted stretches that do not touch. */
export async function present(warehouse: WarehouseReader, line: Line): Promise<Interval[]> {
  const number = sql`CAST(${identifier(line.column)} AS BIGINT)`
  const found: Interval[] = []
  const query = sql`SELECT min(n) AS first, max(n) AS last FROM (
  SELECT n, n - row_number() OVER (ORDER BY n) AS island FROM (
    SELECT DISTINCT ${number} AS n FROM ${identifier(line.table.name)} WHERE ${along(line)} AND ${identifier(line.column)} IS NOT NULL
  ) AS numbers
) AS islands GROUP BY island ORDER BY 1`
  for await (const page of warehouse.query(query))
    for (const row of page) found.push([BigInt(row.first as bigint), BigInt(row.last as bigint)])
  return found
}

/** What lies between the stretches and beyond them. */
export function between(stretches: readonly Interval[]): (readonly [bigint | undefined, bigint | undefined])[] {
  const sorted = union(stretches)
  const gaps: (readonly [bigint | undefined, bigint | undefined])[] = []
  let before: bigint | undefined
  for (const [from, to] of sorted) {
    gaps.push([before, from - 1n])
    before = to + 1n
  }
  gaps.push([before, undefined])
  return gaps
}
