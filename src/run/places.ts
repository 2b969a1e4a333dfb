import {
  type ColumnType,
  formatInstant,
  type Interval,
  type Output,
  parseDay,
  parseInstant,
  PipeError,
  type List,
  only,
  type Row,
  type Table,
  type Value,
} from '../sdk/index.js'
import type { UnitTask } from './services.js'

/** A step gave rows that lie outside of its unit. A redo would not find them again, and another unit's would take their place. */
export class RowsOutsideError extends PipeError {
  readonly code = 'ROWS_OUTSIDE'
  override readonly hint: string
  constructor(step: string, { unit, table, column, place }: { unit: string; table: string; column: string; place: string }) {
    super(`step ${step} gave table ${table} a row with ${column} ${place} in unit ${unit}, which does not hold it`)
    this.hint = `a step may give only rows that lie in \`unit.piece\`; where another column of ${table} holds their place, name it: \`range:\` of the table`
  }
}

export const DAY_US = 86_400_000_000n

/**
 * Looks at the place of each row of a unit that is a stretch. Not where a step asks page by page: a page does not end where a unit
 * does. A value that says no place is refused when it is written.
 *
 * @throws {RowsOutsideError}
 */
export function refuseOutside({ plan, unit, services }: UnitTask, output: Output, rows: List<Row>): void {
  const { piece } = unit
  if (piece.kind !== 'stretch' || plan.wanted.kind !== 'stretches' || plan.wanted.limitBy === 'requests') return
  const { column, type } = rangeOf(output, services.pipeline.tables)
  if (column === undefined || isTimed(type) !== (piece.axis.of === 'time')) return
  for (const row of only(rows, [column])) {
    const value = row[column]
    const at = placeOf(value, type)
    if (!at || (at[1] >= piece.from && at[0] <= piece.to)) continue
    const place = typeof value === 'bigint' && isTimed(type) ? formatInstant(value) : String(value)
    throw new RowsOutsideError(plan.step.id, { unit: unit.key, table: output.table, column, place })
  }
}

/** The column that says where a row of an output lies on the axis, and the kind of its type. */
export function rangeOf({ table: name, range }: Output, tables: ReadonlyMap<string, Table>) {
  const table = tables.get(name)
  const column = range ?? table?.range
  return { column, type: table?.columns.find((each) => each.name === column)?.type.kind }
}

export const isTimed = (type: ColumnType['kind'] | undefined): boolean => type === 'timestamp' || type === 'date'

/** The place that a value says, as a stretch: a day is all of its microseconds. Undefined where it says none. */
function placeOf(value: Value | undefined, type: ColumnType['kind'] | undefined): Interval | undefined {
  if (typeof value === 'bigint') return [value, value]
  if (typeof value === 'number') return Number.isSafeInteger(value) ? [BigInt(value), BigInt(value)] : undefined
  if (typeof value !== 'string') return undefined
  if (type === 'date') {
    const day = parseDay(value)
    return day === undefined ? undefined : [BigInt(day) * DAY_US, BigInt(day + 1) * DAY_US - 1n]
  }
  if (type === 'timestamp') return at(parseInstant(value))
  return at(/^-?\d+$/.test(value) ? BigInt(value) : undefined)
}

const at = (place: bigint | undefined): Interval | undefined => (place === undefined ? undefined : [place, place])
