import { identifier, type Row, sql, type Value } from '../../src/sdk/authors.js'
import type { Frame } from './coverage.js'
import type { Context, PageRow } from './page.js'
import { target } from './target.js'

/** Counts rows that turned up behind the newest one of an earlier run. */
export interface Late {
  saw(rows: readonly PageRow[]): void
  count(): number
}

/** Of the rows that lie where both runs looked, how many were not in the table. Undefined where there was no earlier run. */
export async function lateRows(ctx: Context, { unit: [from, to], head, overlap }: Frame): Promise<Late | undefined> {
  const { outputs, warehouse } = ctx
  const asked = target(ctx)
  const [output] = outputs
  if (!asked || !head || !output?.range || from <= asked.from || ctx.cursor?.down !== undefined) return undefined
  const time = identifier(output.range)
  const at = (value: bigint) => ({ type: { kind: 'timestamp' as const }, value })
  const statement = sql`SELECT count(*) AS n, max(${time}) AS newest FROM ${identifier(output.table)} WHERE ${time} >= ${at(from)} AND ${time} <= ${at(to)}`
  let found: Row | undefined
  for await (const page of warehouse.query(statement)) found ??= page[0]
  const newest = found?.newest as Value | undefined
  if (typeof newest !== 'bigint' || newest > from + 2n * overlap) return undefined
  const keys = new Set<string>()
  return {
    saw: (rows) => {
      for (const { key, time: instant } of rows) if (instant !== undefined && instant <= newest) keys.add(key)
    },
    count: () => Math.max(0, keys.size - Number(found?.n ?? 0)),
  }
}
