import { type Counted, type Row, sql, type Statement, type Table } from '../../sdk/index.js'
import { COUNTS } from '../ledger.js'
import { countsIn, ofCounted, presentRows, recounted, Tally } from '../tally.js'
import { VERSION } from './ddl.js'
import type { Sql } from './sql.js'

/** Writes `_pipe_counts`: how many rows a day has of the tables that steps look at by their counts. */
export class Counts {
  readonly #sql: Sql
  readonly #select: (statement: Statement) => Promise<readonly Row[]>
  #counted: readonly Counted[] = []
  /** The highest version of its rows; undefined until it is asked for. */
  #version: bigint | undefined

  constructor(sqls: Sql) {
    this.#sql = sqls
    this.#select = (statement) => sqls.select(statement)
  }

  watch(counted: readonly Counted[]): void {
    this.#counted = counted
  }

  /** Follows what one commit does to them. */
  tally(tables: ReadonlyMap<string, Table>): Tally {
    return new Tally(this.#counted, tables, 'clickhouse', this.#select)
  }

  /** Writes rows over those that have their keys. */
  async put(rows: readonly Row[]): Promise<void> {
    if (rows.length === 0) return
    this.#version ??= BigInt(
      ((await this.#sql.all(`SELECT max(${VERSION}) AS v FROM _pipe_counts`, { versions: true }))[0]?.v ?? 0n) as bigint,
    )
    const at = ++this.#version
    await this.#sql.insert(
      COUNTS,
      rows.map((row): [Row, bigint] => [row, at]),
    )
  }

  /** Rows that a kill left without a checkpoint are gone: nobody knows whether they were counted, so what is left is. */
  async recount(swept: ReadonlySet<string>, tables: readonly Table[]): Promise<void> {
    for (const counted of this.#counted) {
      const table = swept.has(counted.table) ? tables.find(({ name }) => name === counted.table) : undefined
      if (!table) continue
      const known = countsIn(await this.#select(sql`SELECT "day", "rows" FROM _pipe_counts WHERE ${ofCounted(counted)}`))
      if (known) await this.put(recounted(counted, await presentRows({ counted, table }, 'clickhouse', this.#select), known))
    }
  }
}
