import {
  type Batch,
  type Output,
  type OwnerOf,
  type SelectWrite,
  type Stretch,
  sql,
  sqlText,
  type Table,
  type WarehouseReader,
} from '../sdk/index.js'
import type { PlannedUnit } from '../plan/plan.js'

/**
 * The queries of a batch as the warehouse takes them: with the columns that each gives, and the stretch of its table that it
 * replaces. A unit that `--limit` cut takes so many rows and replaces nothing.
 */
export async function selectWrites(
  batch: Pick<Batch, 'selects'>,
  unit: PlannedUnit,
  outputOf: (id: string) => Output,
  tables: ReadonlyMap<string, Table>,
  warehouse: Pick<WarehouseReader, 'describe'>,
  owner: OwnerOf | undefined,
): Promise<SelectWrite[]> {
  const writes: SelectWrite[] = []
  for (const { output: id, sql: query, replace, timeoutMs } of batch.selects ?? []) {
    const output = outputOf(id)
    const table = tables.get(output.table)
    const limited =
      unit.limit === undefined
        ? query
        : sql`SELECT * FROM (
${query}
) AS pipe_limited LIMIT ${sqlText(String(unit.limit))}`
    writes.push({
      output: { ...output, columns: (await warehouse.describe(query)).map(({ name }) => name) },
      sql: limited,
      replace: replace && unit.limit === undefined ? replacedBy(unit, output, table) : undefined,
      // Where the key holds the time, rows of two intervals never share one.
      owner: table?.key.includes(output.range ?? table.range ?? '') ? undefined : owner,
      timeoutMs,
    })
  }
  return writes
}

function replacedBy({ piece }: PlannedUnit, output: Output, table: Table | undefined): Stretch | 'all' {
  if (piece.kind !== 'stretch') return 'all'
  const column = output.range ?? table?.range
  if (column === undefined) throw new Error(`table ${output.table} has no range column, and a unit of time replaces rows of it`)
  return { table: output.table, column, from: piece.from, to: piece.to, constants: output.constants }
}
