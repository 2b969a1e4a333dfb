import {
  formatDay,
  identifier,
  joinSql,
  type OwnRows,
  type Param,
  sql,
  sqlText,
  type Statement,
  type Stretch,
  type Table,
} from '../../sdk/index.js'
import { FIRST_DAY, FIRST_TIME, LAST_DAY, LAST_TIME } from './values.js'

const DAY_US = 86_400_000_000n

/** Rows of a step's own, as a condition. */
export function areOwn(own: OwnRows | Stretch, table: Table): Statement {
  return joinSql(['column' in own ? inStretch(own, table) : sqlText('TRUE'), ...equal(own.constants)], ' AND ')
}

/** The rows of a stretch, as a condition. Ends that no time of ClickHouse reaches are its own ends. */
function inStretch({ column, from, to }: Stretch, table: Table): Statement {
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
  return sql`${name} >= ${end(first)} AND ${name} <= ${end(to)}`
}

/** Rows with these fixed columns, as conditions. */
function equal(constants: Readonly<Record<string, string>>): Statement[] {
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
