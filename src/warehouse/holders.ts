import { type Claim, type Holder, type Row, sql, sqlText, type Statement } from '../sdk/index.js'
import { text } from './ledger-where.js'
import type { WarehouseKind } from './types.js'

/** The row of `_pipe_holders` of whoever takes a pipeline. */
export function holderRow({ pipeline, id, self }: Pick<Claim, 'pipeline' | 'id' | 'self'>): Row {
  return { pipeline, holder: id, host: self.host, pid: BigInt(self.pid), since: BigInt(self.since) * 1_000n, seen_at: null }
}

/** Who it is, of a row of `_pipe_holders`. */
export function holderOf({ pid, host, since }: Row): Holder {
  return { pid: Number(pid), host: String(host), since: Number((since as bigint) / 1_000n) }
}

/** Those who hold a pipeline, the last one first. `locked`: nobody takes it until the transaction ends. */
export function holdersOf(pipeline: string, kind: WarehouseKind, { locked = false } = {}): Statement {
  // DuckDB lets one process write: nobody else can take anything in the middle of a transaction.
  const lock = locked && kind === 'postgres' ? sqlText('FOR SHARE') : sqlText('')
  return sql`SELECT holder, host, pid, since FROM _pipe_holders WHERE pipeline = ${text(pipeline)} ORDER BY since DESC ${lock}`
}

/** Takes a pipeline from whoever held it. */
export function takeOver(claim: Claim): readonly Statement[] {
  const { pipeline, holder, host, pid, since } = holderRow(claim) as Record<'pipeline' | 'holder' | 'host', string> &
    Record<'pid' | 'since', bigint>
  return [
    sql`DELETE FROM _pipe_holders WHERE pipeline = ${text(pipeline)}`,
    sql`
      INSERT INTO _pipe_holders (pipeline, holder, host, pid, since)
      VALUES (
        ${text(pipeline)}, ${text(holder)}, ${text(host)},
        ${{ type: { kind: 'bigint' }, value: pid }}, ${{ type: { kind: 'timestamp' }, value: since }}
      )`,
  ]
}
