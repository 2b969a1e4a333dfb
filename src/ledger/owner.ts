import { type Axis, type LedgerRow, type Output, type OwnerOf, parseInstant, type Table, type Value } from '../sdk/index.js'
import { rowStretch } from './axis.js'
import { coveredBy } from './standing.js'

/**
 * Whose a row of a table is: the unit that is done with its place. A row that says no place is of a unit that brought rows to its
 * table. `ledger` holds what was done under the definition that counts now: what was done under another one is done again.
 *
 * `rereads`: of a step that reads things again, only a row of an older time meets an owner: what has changed since has a newer
 * time, or the same.
 */
export function ownerRule(axis: Axis | undefined, tables: ReadonlyMap<string, Table>, rereads: boolean): OwnerOf {
  return (output, places, ledger) => {
    const [at, given] = [places.there, places.given].map((place) => axis && placeOn(axis, output, place, tables.get(output.table)))
    if (rereads && (at === undefined || given === undefined || given >= at)) return undefined
    return ledger.find((row) => (axis && at !== undefined ? covers(axis, row, at) : (row.rows[output.table] ?? 0) > 0))?.unit
  }
}

function covers(axis: Axis, row: LedgerRow, at: bigint): boolean {
  return coveredBy(row, rowStretch(axis, row)).some(([from, to]) => from <= at && at <= to)
}

/** The place of a row on the axis of its unit; undefined where its column can't say it. */
function placeOn(axis: Axis, output: Output, place: Value | undefined, table: Table | undefined): bigint | undefined {
  const kind = table?.columns.find(({ name }) => name === (output.range ?? table.range))?.type.kind
  if (axis.of === 'time' && kind === 'date' && typeof place === 'string') return parseInstant(`${place}T00:00:00Z`)
  return typeof place === 'bigint' && (axis.of === 'time') === (kind === 'timestamp') ? place : undefined
}
