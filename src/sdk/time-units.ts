import { formatDay, formatInstant, parseDay, parseInstant } from './calendar.js'
import type { IntervalInput, WarehouseReader } from './stores.js'
import { type Statement, sql, sqlText } from './values.js'

const DAY_US = 86_400_000_000n

/** The name of the unit that begins there: `2024-03-01` where units are whole days, else `2024-03-01T05:00:00Z`. */
export function timeUnit(startUs: bigint, everyUs: bigint): string {
  return everyUs % DAY_US === 0n ? formatDay(Number(startUs / DAY_US)) : formatInstant(startUs)
}

/** Where the unit of a name begins, or undefined for what is no unit of that length. */
export function timeUnitStart(unit: string, everyUs: bigint): bigint | undefined {
  const days = parseDay(unit)
  const start = days === undefined ? parseInstant(unit) : BigInt(days) * DAY_US
  return start !== undefined && floorTo(start, everyUs) === start && timeUnit(start, everyUs) === unit ? start : undefined
}

/** Starts of the units that a row of this time falls into, and of those that look back to it: from `first` to `last`, both included. */
export function touchedStarts({ first, last }: { readonly first: bigint; readonly last: bigint }, everyUs: bigint): bigint[] {
  const starts: bigint[] = []
  for (let start = first; start <= last; start += everyUs) starts.push(start)
  return starts
}

/** The greatest multiple of `everyUs` that is not after `us`. */
export function floorTo(us: bigint, everyUs: bigint): bigint {
  return us - (((us % everyUs) + everyUs) % everyUs)
}

/** SQL of the first and the last unit that rows touch, as microseconds: what `touchedStarts` takes. `time` is SQL of a timestamp or a date. */
export function touchedBounds(
  time: Statement,
  { everyUs, lookbackUs }: Pick<IntervalInput, 'everyUs' | 'lookbackUs'>,
  kind: WarehouseReader['kind'],
): { readonly first: Statement; readonly last: Statement } {
  const us = microseconds(time, kind)
  return { first: floorSql(us, everyUs), last: floorSql(sql`(${us} + CAST(${sqlText(String(lookbackUs))} AS BIGINT))`, everyUs) }
}

/** SQL of a timestamp or a date as microseconds UTC, exact. */
function microseconds(time: Statement, kind: WarehouseReader['kind']): Statement {
  switch (kind) {
    case 'duckdb':
      return sql`epoch_us(CAST(${time} AS TIMESTAMP))`
    case 'postgres':
      return sql`CAST(extract(epoch FROM CAST(${time} AS timestamp)) * 1000000 AS bigint)`
    case 'clickhouse':
      return sql`toUnixTimestamp64Micro(CAST(${time} AS DateTime64(6, 'UTC')))`
  }
}

/** Division cuts towards zero on every warehouse, so times before 1970 take a remainder that is never negative. */
function floorSql(us: Statement, everyUs: bigint): Statement {
  // Cast: ClickHouse takes a number this large for unsigned, and the remainder with it.
  const every = sqlText(`CAST(${everyUs} AS BIGINT)`)
  return sql`(${us} - ((${us} % ${every}) + ${every}) % ${every})`
}
