import { joinSql, type Row, sql, sqlText } from '../sdk/index.js'
import { text } from './ledger-where.js'
import type { Transaction } from './transaction.js'

/** Rows of one statement. */
const AT_ONCE = 1_000

/** Writes rows of `_pipe_counts` over those that have their keys. */
export async function putCounts(tx: Pick<Transaction, 'run'>, rows: readonly Row[]): Promise<void> {
  for (let from = 0; from < rows.length; from += AT_ONCE) {
    const some = rows.slice(from, from + AT_ONCE).map(({ pipeline, counted, constants, day, rows: n }) => {
      const numbers = sqlText(`${day as bigint}, ${n as bigint}`)
      return sql`(${text(String(pipeline))}, ${text(String(counted))}, ${text(String(constants))}, ${numbers})`
    })
    await tx.run(sql`
      INSERT INTO _pipe_counts (pipeline, counted, constants, "day", "rows")
      VALUES ${joinSql(some, ', ')}
      ON CONFLICT (pipeline, counted, constants, "day") DO UPDATE SET "rows" = excluded."rows"`)
  }
}
