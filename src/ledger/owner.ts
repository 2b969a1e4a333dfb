import { type Axis, type DoneRow, type Output, type OwnerOf, parseInstant, type Table, type Value } from '../sdk/index.js'
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

/**
 * Whose a row is that was computed: the interval of its place. `ledger` holds those under the definition that counts now that
 * nothing touched since. One that is running without being touched has committed its rows, or is new and has none.
 */
export function intervalRule(axis: Axis | undefined, tables: ReadonlyMap<string, Table>): OwnerOf {
  return (output, { there }, ledger) => {
    const at = axis && placeOn(axis, output, there, tables.get(output.table))
    if (axis === undefined || at === undefined) return undefined
    return ledger.find((row) => {
      const [from, to] = rowStretch(axis, row) ?? []
      const isComputed = row.state === 'done' || row.state === 'running'
      return isComputed && from !== undefined && to !== undefined && from <= at && at <= to
    })?.unit
  }
}

function covers(axis: Axis, row: DoneRow, at: bigint): boolean {
  return coveredBy(row, rowStretch(axis, row)).some(([from, to]) => from <= at && at <= to)
}

/** The place of a row on the axis of its unit; undefined where its column can't say it. */
function placeOn(axis: Axis, output: Output, place: Value | undefined, table: Table | undefined): bigint | undefined {
  const kind = table?.columns.find(({ name }) => name === (output.range ?? table.range))?.type.kind
  if (axis.of === 'time' && kind === 'date' && typeof place === 'string') return parseInstant(`${place}T00:00:00Z`)
  return typeof place === 'bigint' && (axis.of === 'time') === (kind === 'timestamp') ? place : undefined
}
