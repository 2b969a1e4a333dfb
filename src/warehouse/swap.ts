import {
  joinSql,
  type Making,
  type Move,
  quoteIdentifier,
  type Shadow,
  sql,
  sqlText,
  type Statement,
  type Swap,
  type Table,
  type UnitWrite,
} from '../sdk/index.js'
import { differ, sameKey } from './fill.js'
import { VERSIONS, versionValues } from './ledger.js'
import { ofStep, text } from './ledger-where.js'
import { boundsOf, type Touched, type Watched } from './touched.js'
import type { Transaction } from './transaction.js'

/** The declared tables, and those that writes of a commit fill beside them. */
export function withShadows(tables: ReadonlyMap<string, Table>, writes: readonly UnitWrite[]): ReadonlyMap<string, Table> {
  const shadows = writes.flatMap((write) => write.shadows ?? [])
  return shadows.length === 0 ? tables : new Map([...tables, ...shadows.map((shadow) => [shadow.name, shadowTable(shadow)] as const)])
}

/** A shadow as a table. */
const shadowTable = ({ table, name }: Shadow): Table => ({ ...table, name, indexes: {} })

/** Makes tables anew, inside of the transaction that is open. @throws {ShadowTakenError} */
export async function make(tx: Transaction, { drops, tables, ...of }: Making): Promise<void> {
  await drop(tx, drops)
  for (const { table, name } of tables) await tx.makeLike(table, name)
  await putVersions(tx, of)
}

/**
 * Lets tables change their names, inside of the transaction that is open. Units that are computed from them are touched by the
 * rows in which the new table differs from the one before.
 */
export async function swap(tx: Transaction, { moves, drops, ...of }: Swap, touched: Touched): Promise<void> {
  for (const move of moves) {
    const watched = touched.of(move.table)
    if (watched) for (const changed of differences(move, watched)) await touched.see(watched, changed)
  }
  if (moves.length > 0) await tx.move(moves)
  await drop(tx, drops)
  await putVersions(tx, of)
}

/** Those writes of a commit that would put into place what was computed from inputs that changed since. */
export async function changedSwaps(
  writes: readonly UnitWrite[],
  rows: (statement: Statement) => Promise<readonly unknown[]>,
): Promise<ReadonlySet<UnitWrite>> {
  const changed = new Set<UnitWrite>()
  for (const write of writes) if (write.swap && (await rows(touchOf(write))).length > 0) changed.add(write)
  return changed
}

/** A row for a unit that was touched. */
function touchOf({ step, unit, touchedAs = unit }: UnitWrite): Statement {
  return sql`SELECT unit FROM _pipe_touched WHERE ${ofStep(step.pipeline, step.step)} AND unit = ${text(touchedAs)} LIMIT 1`
}

async function drop(tx: Transaction, names: readonly string[]): Promise<void> {
  for (const name of names) await tx.run(sqlText(`DROP TABLE IF EXISTS ${quoteIdentifier(name)}`))
}

async function putVersions(tx: Transaction, { pipeline, step, versions }: Pick<Swap, 'pipeline' | 'step' | 'versions'>): Promise<void> {
  await tx.run(sql`DELETE FROM _pipe_versions WHERE ${ofStep(pipeline, step)}`)
  if (versions.length === 0) return
  const columns = VERSIONS.columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  const rows = versions.map((version) => {
    const values = versionValues(pipeline, version)
    const params = VERSIONS.columns.map(({ name, type }) => sql`${{ type, value: values[name] ?? null }}`)
    return sql`(${joinSql(params, ', ')})`
  })
  await tx.run(sql`INSERT INTO _pipe_versions (${sqlText(columns)}) VALUES ${joinSql(rows, ', ')}`)
}

/** Bounds of the rows that only one of two tables has. */
function differences({ table, comes }: Move, watched: Watched): Statement[] {
  const [now, next] = [quoteIdentifier(table.name), quoteIdentifier(comes)]
  const same = `${sameKey(table, 'o', 'n')} AND NOT (${differ(table, 'o', 'n', watched.kind)})`
  return [
    [now, next],
    [next, now],
  ].map(
    ([one, other]) =>
      sql`SELECT DISTINCT ${boundsOf(watched, 'o')} FROM ${sqlText(`${one} AS o WHERE NOT EXISTS (SELECT 1 FROM ${other} AS n WHERE ${same})`)}`,
  )
}
