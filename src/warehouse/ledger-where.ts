import {
  type DonePlace,
  joinSql,
  type LedgerRow,
  type LedgerStep,
  type Param,
  type Row,
  sql,
  sqlText,
  type Statement,
  type UnitPage,
  type WarehouseReader,
  type WhichUnits,
} from '../sdk/index.js'
import { UNIT_COLUMNS } from './ledger.js'

/** Which rows of a ledger table are a pipeline's, or one step's. */
export function ofStep(pipeline: string, step: string | undefined): Statement {
  const all = sql`pipeline = ${text(pipeline)}`
  return step === undefined ? all : sql`${all} AND step = ${text(step)}`
}

const COVERAGE = 'CAST(coverage AS VARCHAR)'
/** Units that are done, whole and as one, or were before `pipe reset`: all that is to be known of them is where they lie. */
const PLAIN = sqlText(`state = 'done' AND "first" IS NOT NULL AND "last" IS NOT NULL
    AND (coverage IS NULL OR (${COVERAGE} NOT LIKE '%"tentative"%' AND ${COVERAGE} NOT LIKE '%"units"%'))`)

const ROWS = `REPLACE(CAST("rows" AS VARCHAR), ' ', '')`
const NO_ROW = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((digit) => `${ROWS} NOT LIKE '%:${digit}%'`).join(' AND ')
const IS_EMPTY = `evidence IS NOT NULL AND CAST(evidence AS VARCHAR) <> 'null' AND ${ROWS} <> '{}' AND ${NO_ROW}`
/** The name of a day or an hour has its dashes where no stretch of numbers has. */
const IS_TIME = `unit LIKE '____-__-__%'`

/** What units are believed by, where their evidence says it, without spaces, which databases put in as they like. */
const SAID = `REPLACE(CAST(evidence AS VARCHAR), ' ', '')`
const PROOF = '"verified":"proof"'
const SAYS = `evidence IS NOT NULL AND ${SAID} LIKE '%"verified"%'`
const IS_PROVED = `evidence IS NOT NULL AND ${SAID} LIKE '%${PROOF}%' AND REPLACE(${SAID}, '${PROOF}', '') NOT LIKE '%"verified"%'`

/** The kind of a place as one number, by which neighbours are compared. */
const [TIME, EMPTY, OTHER, SAYING, PROVED, END] = [1, 2, 4, 8, 16, 32]
const bit = (condition: string, value: number): Statement => sqlText(`CASE WHEN ${condition} THEN ${value} ELSE 0 END`)
const kindOf = (fingerprint: Param): Statement =>
  sql`CAST(${bit(IS_TIME, TIME)} + ${bit(IS_EMPTY, EMPTY)} + ${bit(SAYS, SAYING)} + ${bit(IS_PROVED, PROVED)}
    + CASE WHEN fingerprint = ${fingerprint} THEN 0 ELSE ${sqlText(String(OTHER))} END AS BIGINT)`

/** A place beyond all others: where it begins, the last stretch ends. */
const BEYOND = `CAST('9223372036854775807' AS BIGINT)`

/** Where stretches of done units begin that touch and are of one kind, each with where the stretch before it ended. */
export function placesOfDone({ pipeline, step, fingerprint }: LedgerStep, kind: WarehouseReader['kind']) {
  // ClickHouse 25.8 has no `lag`.
  const lag = sqlText(kind === 'clickhouse' ? 'lagInFrame' : 'lag')
  return {
    of: sql`${ofStep(pipeline, step)} AND ${PLAIN}`,
    within: (units: Statement) => sql`SELECT place, ended, kind FROM (
      SELECT place, kind, ${lag}(until) OVER w AS ended, ${lag}(kind) OVER w AS before FROM (
        SELECT "first" AS place, "last" AS until, ${kindOf(text(fingerprint))} AS kind FROM (${units}) AS u
        UNION ALL SELECT ${sqlText(`${BEYOND}, ${BEYOND}, CAST(${END} AS BIGINT)`)}
      ) AS k WINDOW w AS (ORDER BY place)
    ) AS p WHERE ended IS NULL OR ended <> place - 1 OR before <> kind ORDER BY place`,
  }
}

/** Stretches, by where each begins and the one before it ended. */
export async function* donePlaces(pages: AsyncIterable<readonly Row[]>): AsyncGenerator<readonly DonePlace[]> {
  let open: { readonly first: bigint; readonly kind: number } | undefined
  for await (const page of pages) {
    const places: DonePlace[] = []
    for (const { place, ended, kind } of page) {
      // The columns are of these types, and the condition leaves out what is null.
      if (open) places.push(donePlace(open.first, ended as bigint, open.kind))
      open = { first: place as bigint, kind: Number(kind) }
    }
    yield places
  }
}

const donePlace = (first: bigint, last: bigint, kind: number): DonePlace => ({
  first,
  last,
  axis: (kind & TIME) > 0 ? 'time' : 'numbers',
  isEmpty: (kind & EMPTY) > 0,
  isCurrent: (kind & OTHER) === 0,
  isProved: (kind & SAYING) === 0 ? undefined : (kind & PROVED) > 0,
})

export function someUnits(pipeline: string, step: string | undefined, { at, besidesDonePlaces = false }: WhichUnits): Statement {
  const place = sqlText(String(at ?? 0))
  const near = at === undefined ? ofStep(pipeline, step) : sql`${ofStep(pipeline, step)} AND "first" <= ${place} AND "last" >= ${place}`
  return besidesDonePlaces ? sql`${near} AND NOT (${PLAIN})` : near
}

/** A page of the rows of a step. */
export function pageOfUnits(pipeline: string, step: string, { states, after, limit }: UnitPage): Statement {
  const all = ofStep(pipeline, step)
  const list = joinSql(
    (states ?? []).map((state) => sql`${text(state)}`),
    ', ',
  )
  const some = states ? sql`${all} AND state IN (${list})` : all
  return sql`${some} AND ${behind(after)} ORDER BY CASE WHEN "first" IS NULL THEN 1 ELSE 0 END, "first", unit LIMIT ${sqlText(String(limit))}`
}

function behind(after: UnitPage['after']): Statement {
  if (!after) return sqlText('1 = 1')
  const unit = sql`unit > ${text(after.unit)}`
  if (after.first === undefined) return sql`"first" IS NULL AND ${unit}`
  const first = sqlText(String(after.first))
  return sql`("first" IS NULL OR "first" > ${first} OR ("first" = ${first} AND ${unit}))`
}

/** The same of rows that were read: an older ledger does not say where they lie. */
export function pageIn(rows: readonly LedgerRow[], { states, after, limit }: UnitPage): readonly LedgerRow[] {
  const some = states ? rows.filter(({ state }) => states.includes(state)) : rows
  const sorted = [...some].sort(byPlace)
  return sorted.filter((row) => after === undefined || byPlace(after, row) < 0).slice(0, limit)
}

type Placed = Pick<LedgerRow, 'unit' | 'first'>

function byPlace(a: Placed, b: Placed): number {
  if (a.first !== b.first) return a.first === undefined || (b.first !== undefined && a.first > b.first) ? 1 : -1
  return a.unit < b.unit ? -1 : Number(a.unit > b.unit)
}

/** Rows of units that know hashes of blocks: first those that kept some near the head, the newest of them, then the highest. */
export function newestLinked(pipeline: string, step: string, most: number): Statement {
  const near = sqlText(`CAST("coverage" AS VARCHAR) LIKE '%"blocks"%'`)
  const parts = sqlText(`CAST("coverage" AS VARCHAR) LIKE '%"ends"%'`)
  return sql`${ofStep(pipeline, step)} AND (${near} OR ${parts} OR (last_hash IS NOT NULL AND "last" IS NOT NULL))
    ORDER BY CASE WHEN ${near} THEN epoch ELSE -1 END DESC, "last" DESC LIMIT ${sqlText(String(most))}`
}

/** Lets keys of a step out of quarantine; undefined: all of them. */
export function releaseKeys(pipeline: string, step: string, keys: readonly string[] | undefined): Statement {
  const which = ofStep(pipeline, step)
  const list = joinSql(
    (keys ?? []).map((key) => sql`${text(key)}`),
    ', ',
  )
  const named = keys && (keys.length === 0 ? sqlText('FALSE') : sql`key IN (${list})`)
  return sql`DELETE FROM _pipe_quarantine WHERE ${named ? sql`${which} AND ${named}` : which}`
}

/** Reads what was done of a step under the definition that counts now. */
export function unitsOf({ pipeline, step, fingerprint }: LedgerStep): Statement {
  return sql`SELECT ${sqlText(UNIT_COLUMNS)} FROM _pipe_units
    WHERE pipeline = ${text(pipeline)} AND step = ${text(step)} AND fingerprint = ${text(fingerprint)}`
}

/** The same without what a commit touched since, which is done again. */
export function untouchedUnits(of: LedgerStep): Statement {
  const touched = sql`SELECT unit FROM _pipe_touched WHERE pipeline = ${text(of.pipeline)} AND step = ${text(of.step)}`
  return sql`${unitsOf(of)} AND unit NOT IN (${touched})`
}

/** A text to be bound. */
export const text = (value: string): Param => ({ type: { kind: 'text' }, value })
