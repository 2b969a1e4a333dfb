import { formatDay, identifier, joinSql, type Param, sql, sqlText, type Statement, type Stretch, type Table } from '../../sdk/index.js'
import { FIRST_DAY, FIRST_TIME, LAST_DAY, LAST_TIME } from './values.js'

const DAY_US = 86_400_000_000n

/** The rows of a stretch, as a condition. Ends that no time of ClickHouse reaches are its own ends. */
export function inStretch({ column, from, to, constants }: Stretch, table: Table): Statement {
  const type = table.columns.find(({ name }) => name === column)?.type
  const end = (value: bigint): Param => {
    if (type?.kind === 'timestamp') return { type, value: value < FIRST_TIME ? FIRST_TIME : value > LAST_TIME ? LAST_TIME : value }
    if (type?.kind === 'date')
      return { type, value: value < FIRST_TIME ? FIRST_DAY : value > LAST_TIME ? LAST_DAY : formatDay(Number(floorDays(value))) }
    // In the column's own width: in a wider type it would read the whole table.
    return { type: { kind: type?.kind === 'uint256' || type?.kind === 'int256' ? 'int256' : 'bigint' }, value }
  }
  // A day belongs to the stretch when its midnight does.
  const first = type?.kind === 'date' && from > FIRST_TIME && from % DAY_US !== 0n ? from + DAY_US : from
  const name = identifier(column)
  return joinSql([sql`${name} >= ${end(first)}`, sql`${name} <= ${end(to)}`, ...equal(constants)], ' AND ')
}

/** Rows with these fixed columns, as conditions. */
export function equal(constants: Readonly<Record<string, string>>): Statement[] {
  return Object.entries(constants).map(([name, value]) => sql`${identifier(name)} = ${{ type: { kind: 'text' }, value }}`)
}

/** Marks the rows of a condition as gone, in a version that must be higher than theirs. */
export function tombstones(table: Table, condition: Statement, version: bigint): Statement {
  const key = joinSql(table.key.map(identifier), ', ')
  return sql`INSERT INTO ${identifier(table.name)} (${key}, _pipe_version, _pipe_deleted) SELECT ${key}, ${sqlText(String(version))}, 1 FROM ${identifier(table.name)} WHERE ${condition}`
}

function floorDays(us: bigint): bigint {
  return (us - (((us % DAY_US) + DAY_US) % DAY_US)) / DAY_US
}
