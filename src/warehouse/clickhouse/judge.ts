import type { Output, SelectWrite, UnitWrite } from '../../sdk/index.js'
import { doneBefore, refuseOwned, refuseStanding } from '../load.js'
import { type Moved, note } from '../outcome.js'
import type { Encoded, TableLoader } from './loader.js'
import { meet } from './meetings.js'
import type { SelectOptions } from './selects.js'
import type { Sql } from './sql.js'
import type { Units } from './units.js'

/** What is judged of a commit. */
export interface Judging {
  readonly kept: readonly UnitWrite[]
  readonly loaders: ReadonlyMap<Output, TableLoader>
  /** Gets what rows met under their keys. */
  readonly moved: Map<UnitWrite, Moved>
}

/** Looks whom the rows of a part meet under their keys. @throws {KeyConflictError} when those may not be replaced. */
export async function judgeRows(sqls: Sql, units: Units, encoded: Encoded, { kept, loaders, moved }: Judging): Promise<void> {
  const { loader } = encoded
  const isOwn = (part: UnitWrite['rows'][number]) => part.rows.length > 0 && loaders.get(part.output) === loader
  const from = kept.filter(({ rows }) => rows.some(isOwn))
  const output = from[0]?.rows.find(isOwn)?.output
  if (!output) return
  const strict =
    loader.table.onConflict === 'last' ? undefined : from.find(({ owner, records }) => owner !== undefined || records !== undefined)
  if (strict && strict.rereads !== true) await loader.refuseDoubles(encoded, (query) => sqls.all(query))
  const { meetings, ...met } = await meet(sqls, { encoded, output, from })
  if (strict?.records) await refuseStanding(meetings, strict.records, (query) => sqls.select(query))
  if (strict?.owner && meetings.length > 0) {
    const { owner } = strict
    const ledger = await units.ofStep(strict.step)
    refuseOwned(meetings, (meeting) => owner(meeting.output, meeting.places, ledger), from)
  }
  note(moved, from, loader.table.name, met)
}

/** Looks whose rows of other intervals a query's rows meet; undefined where they may replace them. */
export function judgeSelect(
  units: Units,
  { owner, output }: SelectWrite,
  { write, kept }: { readonly write: UnitWrite; readonly kept: readonly UnitWrite[] },
): SelectOptions['judge'] {
  if (owner === undefined) return undefined
  return async (meetings) => {
    if (meetings.length === 0) return
    const done = doneBefore(write, kept.slice(0, kept.indexOf(write)))
    const ledger = [...(await units.ofStep(write.step, 'untouched')), ...done]
    refuseOwned(meetings, ({ places }) => owner(output, places, ledger), [write])
  }
}
