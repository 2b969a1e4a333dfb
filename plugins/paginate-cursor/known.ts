import { identifier, type Row, sql, type Statement } from '../../src/sdk/authors.js'
import type { Context } from './page.js'
import { target } from './target.js'

/** Stretches that are asked for rows at once. */
const STRETCHES = 50

/**
 * Time of the newest row below an instant that is in the table and lies in a stretch that was covered under this definition;
 * undefined when there is none. Only as far down as the step reads.
 */
export async function knownBelow(ctx: Context, below: bigint): Promise<bigint | undefined> {
  const { outputs, warehouse } = ctx
  const [output] = outputs
  const asked = target(ctx)
  if (!output?.range || !asked) return undefined
  const time = identifier(output.range)
  const at = (value: bigint) => ({ type: { kind: 'timestamp' as const }, value })
  const own = Object.entries(output.constants).map(
    ([column, value]): Statement => sql` AND ${identifier(column)} = ${{ type: { kind: 'text' as const }, value }}`,
  )
  const covered = ctx
    .covered()
    .flatMap(([from, to]): [bigint, bigint][] => {
      const [low, high] = [from < asked.from ? asked.from : from, to < below ? to : below - 1n]
      return low <= high ? [[low, high]] : []
    })
    .toReversed()
    .slice(0, STRETCHES)
  for (const [from, to] of covered) {
    let statement = sql`SELECT max(${time}) AS newest FROM ${identifier(output.table)} WHERE ${time} >= ${at(from)} AND ${time} <= ${at(to)}`
    for (const part of own) statement = sql`${statement}${part}`
    let found: Row | undefined
    for await (const page of warehouse.query(statement)) found ??= page[0]
    if (typeof found?.newest === 'bigint') return found.newest
  }
  return undefined
}
