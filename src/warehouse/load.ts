import {
  differences,
  type DoneRow,
  identifier,
  isExactNumber,
  joinSql,
  KeyConflictError,
  type Output,
  quoteIdentifier,
  type RecordRule,
  type Row,
  sql,
  sqlText,
  type Statement,
  type Table,
  type UnitWrite,
} from '../sdk/index.js'
import { identifiers } from './ddl.js'
import { RowsNotDeletedError, RowsNotTakenError } from './errors.js'
import { differ, insertSelected, sameKey, typed } from './fill.js'
import { rowName } from './row-name.js'
import { boundsOf, type Touched, type Watched } from './touched.js'
import type { Loaded, Meeting, Placing } from './transaction.js'
import type { WarehouseKind } from './types.js'

/** Rows that are staged, on their way into their table. */
export interface Staged {
  readonly output: Output
  readonly table: Table
  /** SELECT of the rows as they will be, all columns of the table, each key once. */
  readonly filled: string
  /** The same with every row, where SQL computes a part of the key; else nobody gives a key twice. */
  readonly every: string | undefined
}

/** What moving staged rows takes of a warehouse, inside the transaction that is open. */
export interface LoadEngine {
  readonly kind: WarehouseKind
  /** Runs a statement. Resolves to the rows that it changed. */
  change(statement: Statement): Promise<number>
  /** Runs an INSERT that skips keys which are there. Resolves to the rows that it added, after `touched` was told of them. */
  insertNew(insert: string, watched: Watched, touched: Touched): Promise<number>
  /** Runs a query of ours, whose result is small. */
  rows(statement: Statement): Promise<readonly Row[]>
}

/**
 * Moves staged rows into their table. Most are new: they are added, and their number says that all of them were. Only where some
 * are not is the table asked for what it has under their keys.
 *
 * @throws {KeyConflictError} from `placing.judge`, and where SQL computes one key for two different rows.
 * @throws {RowsNotTakenError} when the table does not have all of the rows afterwards.
 */
export async function moveRows(
  staged: Staged,
  given: number,
  engine: LoadEngine,
  options: { readonly touched: Touched; readonly placing: Placing },
): Promise<Omit<Loaded, 'replaced'>> {
  const moved = await move(staged, given, engine, options)
  await refuseChanged(staged.table, staged.filled, engine)
  return moved
}

/**
 * Looks whether a table has the rows that were just written into it, where triggers run after that: what they do to rows is in no
 * count. `filled`: a SELECT of all columns of these rows.
 *
 * @throws {RowsNotTakenError}
 */
export async function refuseChanged(table: Table, filled: string, engine: Pick<LoadEngine, 'kind' | 'rows'>): Promise<void> {
  if (!hasTriggers(engine)) return
  const name = { type: { kind: 'text' }, value: quoteIdentifier(table.name) } as const
  const [triggers] = await engine.rows(
    sql`SELECT count(*) AS n, string_agg(quote_ident(tgname), ', ') FILTER (WHERE tgdeferrable) AS deferrable FROM pg_trigger
      WHERE (tgrelid = to_regclass(${name}) OR tgrelid IN (SELECT relid FROM pg_partition_tree(to_regclass(${name}))))
      AND NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgtype & 2 = 0 AND tgtype & 20 > 0`,
  )
  if (triggers?.n === 0n) return
  // One that waits for the end of the commit runs now.
  if (typeof triggers?.deferrable === 'string') await engine.rows(sqlText(`SET CONSTRAINTS ${triggers.deferrable} IMMEDIATE`))
  const keys = await count(engine, `SELECT DISTINCT ${identifiers(table.key)} FROM (${filled}) AS pipe_rows`)
  const rows = `(${typed(table, filled, engine.kind)}) AS n JOIN ${quoteIdentifier(table.name)} AS o ON ${sameKey(table, 'o', 'n')}`
  const taken = await count(engine, `SELECT 1 AS one FROM ${rows} WHERE NOT (${differ(table, 'o', 'n', engine.kind)})`)
  if (taken < keys) throw new RowsNotTakenError(table.name, keys, taken)
}

async function move(
  staged: Staged,
  given: number,
  engine: LoadEngine,
  { touched, placing }: { readonly touched: Touched; readonly placing: Placing },
): Promise<Omit<Loaded, 'replaced'>> {
  const { table, filled, output } = staged
  const watched = touched.of(table, output.constants)
  const insert = insertSelected(table, filled, 'keep')
  const added = watched ? await engine.insertNew(insert, watched, touched) : await engine.change(sqlText(insert))
  if (added === given) return { there: 0, overwritten: 0 }
  const distinct = await count(engine, `SELECT DISTINCT ${identifiers(table.key)} FROM (${filled}) AS pipe_rows`)
  if (distinct < given) {
    if (staged.every === undefined)
      throw new Error(`${given - distinct} rows for ${table.name} share a key with another of the same commit`)
    if (placing.once) await refuseComputed(staged, staged.every, engine)
  }
  const same = `FROM (${typed(table, filled, engine.kind)}) AS n JOIN ${quoteIdentifier(table.name)} AS o ON ${sameKey(table, 'o', 'n')}`
  if (hasTriggers(engine)) {
    const there = await count(engine, `SELECT 1 AS one ${same}`)
    if (there < distinct) throw new RowsNotTakenError(table.name, distinct, there)
  }
  const known = { there: given - added, overwritten: 0 }
  if (added === distinct) return known
  const differing = `${same} WHERE ${differ(table, 'o', 'n', engine.kind)}`
  const from = sqlText(differing)
  if (placing.judge) {
    const meetings = await meet(staged, from, engine, placing.place)
    if (meetings.length === 0) return known
    await placing.judge(meetings)
  }
  if (watched) {
    const seen = sql`SELECT DISTINCT ${boundsOf(watched, 'o', 'pipe_old')}, ${boundsOf(watched, 'n', 'pipe_new')} ${from}`
    if ((await touched.see(watched, seen)) === 0) return known
  }
  const changes = `${insertSelected(table, filled)} WHERE ${differ(table, quoteIdentifier(table.name), 'excluded', engine.kind)}`
  const overwritten = table.columns.length > table.key.length ? await engine.change(sqlText(changes)) : 0
  const left = hasTriggers(engine) ? await count(engine, `SELECT 1 AS one ${differing}`) : 0
  if (left > 0) throw new RowsNotTakenError(table.name, distinct, distinct - left)
  return { ...known, overwritten }
}

/**
 * Looks whether rows that were deleted are gone, where a trigger or a rule of the table may have kept them. `from`: the table and
 * the condition of the DELETE.
 *
 * @throws {RowsNotDeletedError}
 */
export async function refuseLeft(engine: Pick<LoadEngine, 'kind' | 'rows'>, table: Table, from: Statement): Promise<void> {
  if (!hasTriggers(engine)) return
  const name = { type: { kind: 'text' }, value: quoteIdentifier(table.name) } as const
  const [kept] = await engine.rows(
    sql`SELECT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(${name}) AND NOT tgisinternal AND tgtype & 8 > 0)
      OR EXISTS (SELECT 1 FROM pg_rewrite WHERE ev_class = to_regclass(${name}) AND ev_type = '4') AS may`,
  )
  if (kept?.may !== true) return
  const [row] = await engine.rows(sql`SELECT count(*) AS n FROM ${from}`)
  if (row?.n !== 0n) throw new RowsNotDeletedError(table.name, Number(row?.n))
}

/** DuckDB has none, so what a statement says of itself is what happened. */
const hasTriggers = ({ kind }: Pick<LoadEngine, 'kind'>): boolean => kind === 'postgres'

async function count(engine: Pick<LoadEngine, 'rows'>, query: string): Promise<number> {
  const [row] = await engine.rows(sqlText(`SELECT count(*) AS n FROM (${query}) AS pipe_counted`))
  return Number(row?.n)
}

/** Rows `n` and what a table has under their keys, `o`, by the SQL behind FROM. */
export async function meet(
  { output, table }: Pick<Staged, 'output' | 'table'>,
  from: Statement,
  engine: Pick<LoadEngine, 'rows'>,
  place: string | undefined,
): Promise<readonly Meeting[]> {
  const texts = table.columns.flatMap(({ name }, i) =>
    ['o', 'n'].map((of) => `CAST(${of}.${quoteIdentifier(name)} AS VARCHAR) AS pipe_${of}_${i}`),
  )
  const selected =
    place === undefined ? texts : [`o.${quoteIdentifier(place)} AS pipe_there`, `n.${quoteIdentifier(place)} AS pipe_given`, ...texts]
  const rows = await engine.rows(sql`SELECT ${sqlText(selected.join(', '))} ${from}`)
  return rows.map((row) => meetingOf(row, output, table))
}

/** A row of places and of texts of both rows as a meeting. */
export function meetingOf(row: Row, output: Output, table: Table): Meeting {
  const values = (of: 'o' | 'n'): Row => Object.fromEntries(table.columns.map(({ name }, i) => [name, row[`pipe_${of}_${i}`] ?? null]))
  return {
    output,
    table,
    places: { there: row.pipe_there ?? undefined, given: row.pipe_given ?? undefined },
    there: values('o'),
    given: values('n'),
  }
}

/** @throws {KeyConflictError} */
async function refuseComputed({ table }: Staged, every: string, engine: LoadEngine): Promise<void> {
  const rest = table.columns.filter(({ name }) => !table.key.includes(name)).map(({ name }) => name)
  if (rest.length === 0) return
  const shown = [...table.key, ...rest].map(
    (name, i) =>
      `CAST(min(CAST(${quoteIdentifier(name)} AS VARCHAR)) AS VARCHAR) AS pipe_a_${i}, CAST(max(CAST(${quoteIdentifier(name)} AS VARCHAR)) AS VARCHAR) AS pipe_b_${i}`,
  )
  const differs = rest.map((name) => {
    const text = `CAST(${quoteIdentifier(name)} AS VARCHAR)`
    return `min(${text}) <> max(${text}) OR (count(${text}) > 0 AND count(${text}) < count(*))`
  })
  const [row] = await engine.rows(
    sqlText(
      `SELECT ${shown.join(', ')} FROM (${every}) AS pipe_rows GROUP BY ${identifiers(table.key)} HAVING ${differs.join(' OR ')} LIMIT 1`,
    ),
  )
  if (!row) return
  const names = [...table.key, ...rest]
  const side = (of: 'a' | 'b'): Row => Object.fromEntries(names.map((name, i) => [name, row[`pipe_${of}_${i}`] ?? null]))
  throw new KeyConflictError(
    rowName(table.name, table.key)(keyOf(table, side('a'))),
    `${differences(table, side('a'), side('b'))}, computed in one commit`,
  )
}

/**
 * Refuses to replace rows that belong to what is done. `ownerOf` gives the unit that a row belongs to; `writes` bring the others.
 *
 * @throws {KeyConflictError}
 */
export function refuseOwned(
  meetings: readonly Meeting[],
  ownerOf: (meeting: Meeting) => string | undefined,
  writes: readonly UnitWrite[],
): void {
  for (const meeting of meetings) {
    const owner = ownerOf(meeting)
    if (owner === undefined) continue
    const { table, there, given } = meeting
    const units = [...new Set(writes.map(({ unit }) => unit))]
    const from =
      units.length === 1 && units[0] === owner
        ? `both of unit ${owner}`
        : `of unit ${owner}, which is in the table, and of unit ${units.slice(0, 3).join(' or ')}`
    throw new KeyConflictError(rowName(table.name, table.key)(keyOf(table, given)), `${differences(table, there, given)} (${from})`)
  }
}

/** Rows that are asked about at once: each is a part of one condition. */
const ASKED_AT_ONCE = 100

/**
 * Refuses to replace rows that stand for another record of the query than those that come. One whose record has changed since, or
 * is not in the query any more, may be replaced.
 *
 * @throws {KeyConflictError}
 */
export async function refuseStanding(
  meetings: readonly Meeting[],
  records: RecordRule,
  rows: (query: Statement) => Promise<readonly Row[]>,
): Promise<void> {
  const [first] = meetings
  const columns = first && records.columns(first.output)
  if (!columns) return
  const recordOf = (row: Row) => columns.map((name) => row[name]).join(',')
  const others = meetings.filter(({ there, given }) => recordOf(there) !== recordOf(given))
  for (let i = 0; i < others.length; i += ASKED_AT_ONCE) {
    const some = others.slice(i, i + ASKED_AT_ONCE)
    const [row] = await rows(records.standing(first.output, joinSql(some.map(hasItsKey), ' OR ')))
    if (!row) continue
    const { table, there, given } = some.find((meeting) => recordOf(meeting.there) === row._pipe_key) ?? first
    throw new KeyConflictError(
      rowName(table.name, table.key)(keyOf(table, given)),
      `${differences(table, there, given)} (of row ${recordOf(there)} of the query, which is in the table, and of row ${recordOf(given)})`,
    )
  }
}

/** Condition that a row `t` has the key of a meeting. */
function hasItsKey({ table, there }: Meeting): Statement {
  const equal = table.key.map(
    (name) => sql`CAST(t.${identifier(name)} AS VARCHAR) = ${{ type: { kind: 'text' }, value: String(there[name]) }}`,
  )
  return sql`(${joinSql(equal, ' AND ')})`
}

/** What other writes of the same commit and step leave done, which the ledger does not say yet. */
export function doneBefore({ step }: UnitWrite, others: readonly UnitWrite[]): readonly DoneRow[] {
  return others
    .filter((other) => other.step.pipeline === step.pipeline && other.step.step === step.step)
    .map(({ unit, ledger: { state, first, last, coverage, rows } }) => ({
      unit,
      state,
      first,
      last,
      coverage: coverage ?? undefined,
      rows: rows ?? {},
    }))
}

/** The key of a row whose values are text, as the row would have it. */
export function keyOf(table: Table, row: Row): Row {
  const numbers = new Set(table.columns.filter(({ type }) => isExactNumber(type)).map(({ name }) => name))
  return Object.fromEntries(
    table.key.map((name) => [
      name,
      numbers.has(name) && /^-?\d+$/.test(String(row[name])) ? BigInt(String(row[name])) : (row[name] ?? null),
    ]),
  )
}
