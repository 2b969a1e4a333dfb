import { joinSql, type LedgerStep, type Param, sql, sqlText, type Statement } from '../sdk/index.js'
import { UNIT_COLUMNS } from './ledger.js'

/** Which rows of a ledger table are a pipeline's, or one step's. */
export function ofStep(pipeline: string, step: string | undefined): Statement {
  const all = sql`pipeline = ${text(pipeline)}`
  return step === undefined ? all : sql`${all} AND step = ${text(step)}`
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
