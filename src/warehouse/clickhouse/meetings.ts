import { type Column, type Output, quoteIdentifier, type UnitWrite } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { meetingOf } from '../load.js'
import type { Loaded, Meeting } from '../transaction.js'
import { changesOf } from './changes.js'
import type { Encoded } from './loader.js'
import type { Sql } from './sql.js'

/** Of a table with more rows than this the keys are not looked up with each commit: where they are hashes, that reads all of them. */
const MOST_ROWS = 50_000_000

/** A part of a commit, and the writes that bring its rows. */
export interface Part {
  readonly encoded: Encoded
  readonly output: Output
  readonly from: readonly UnitWrite[]
}

/** What a look at the rows that the table has under the keys of a part found. */
export interface Met extends Pick<Loaded, 'there' | 'overwritten'> {
  readonly meetings: readonly Meeting[]
  /** The table is too large for a look. */
  readonly unseen: boolean
}

const NONE: Met = { there: 0, overwritten: 0, meetings: [], unseen: false }

/**
 * Asks the table for rows under the keys of a part. Nobody asks where none can be there: each thing is read once, the key holds
 * the place of a row, and all rows lie in their own unit.
 */
export async function meet(sqls: Sql, { encoded, output, from }: Part): Promise<Met> {
  const { table } = encoded.loader
  const place = output.range ?? table.range
  // A look at the keys of each commit would halve what is loaded, so those that nothing depends on are not counted here.
  const looking = from.filter(
    ({ owner, rereads, records }) => owner !== undefined || rereads === true || records?.columns(output) !== undefined,
  )
  if (looking.length === 0 || (looking.every(({ rereads }) => rereads !== true) && isApart(encoded, place, from))) return NONE
  const [size] = await sqls.all(
    `SELECT ifNull(total_rows, 0) AS n FROM system.tables WHERE database = currentDatabase() AND name = '${table.name}'`,
  )
  if (Number(size?.n ?? 0) === 0) return NONE
  if (Number(size?.n) > MOST_ROWS) return { ...NONE, unseen: true }
  const rows = encoded.loader.filled(encoded)
  const key = identifiers(table.key)
  const name = quoteIdentifier(table.name)
  const [found] = await sqls.all(`SELECT count() AS n FROM ${name} WHERE (${key}) IN (SELECT ${key} FROM (${rows}) AS pipe_rows)`)
  const there = Number(found?.n ?? 0)
  if (there === 0) return NONE
  const all = identifiers(table.columns.map((column) => column.name))
  const texts = table.columns.flatMap((column, i) =>
    ['o', 'n'].map((of) => `toString(${of}.${quoteIdentifier(column.name)}) AS pipe_${of}_${i}`),
  )
  const rest = table.columns.filter((column) => !table.key.includes(column.name))
  const selected =
    place === undefined ? texts : [`o.${quoteIdentifier(place)} AS pipe_there`, `n.${quoteIdentifier(place)} AS pipe_given`, ...texts]
  const different =
    rest.length === 0
      ? []
      : await sqls.all(
          `${changesOf(table, rows).ctes} SELECT ${selected.join(', ')} FROM pipe_new AS n
          INNER JOIN (SELECT ${all} FROM ${name} WHERE (${key}) IN (SELECT ${key} FROM pipe_new)) AS o
          ON ${table.key.map((column) => `n.${quoteIdentifier(column)} = o.${quoteIdentifier(column)}`).join(' AND ')}
          WHERE ${rest.map(differs).join(' OR ')}`,
        )
  const meetings = different.map((row) => meetingOf(row, output, table))
  return { there, overwritten: meetings.length, meetings, unseen: false }
}

function differs({ name }: Column): string {
  const [n, o] = [`toString(n.${quoteIdentifier(name)})`, `toString(o.${quoteIdentifier(name)})`]
  return `(isNull(${n}) != isNull(${o}) OR ifNull(${n} != ${o}, 0))`
}

/** Whether the key holds the place of each row, and the place lies in the unit that brings it. */
function isApart({ loader, values }: Encoded, place: string | undefined, from: readonly UnitWrite[]): boolean {
  if (place === undefined || !loader.table.key.includes(place)) return false
  const column = loader.output.columns.indexOf(place)
  const [least, most] = [from.map(({ ledger }) => ledger.first), from.map(({ ledger }) => ledger.last)]
  if (column === -1 || from.length === 0 || [...least, ...most].includes(undefined)) return false
  const low = least.reduce((a, b) => ((b as bigint) < (a as bigint) ? b : a)) as bigint
  const high = most.reduce((a, b) => ((b as bigint) > (a as bigint) ? b : a)) as bigint
  return (values[column] ?? []).every((value) => typeof value === 'bigint' && value >= low && value <= high)
}
