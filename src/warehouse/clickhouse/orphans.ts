import { quoteIdentifier, type Table } from '../../sdk/index.js'
import { onCluster, type Place, VERSION } from './ddl.js'
import type { Sql } from './sql.js'
import { generationOf, generationSql } from './versions.js'

/**
 * Rows that no checkpoint speaks of: of a commit that failed or was killed between its rows and the ledger, or of a writer
 * that had lost its unit. They are deleted as if they had never come, so that what they hid shows again.
 */
export class Orphans {
  readonly #sql: Sql
  readonly #place: Place

  constructor(sqls: Sql, place: Place) {
    this.#sql = sqls
    this.#place = place
  }

  /** Deletes what was written behind these last checkpoints by those who made them. Resolves to the tables that had such rows. */
  async sweep(checkpoints: readonly bigint[], tables: readonly Table[]): Promise<ReadonlySet<string>> {
    const swept = new Set<string>()
    if (checkpoints.length === 0) return swept
    const byGeneration = new Map(checkpoints.map((version) => [generationOf(version), version]))
    const least = checkpoints.reduce((low, version) => (version < low ? version : low))
    for (const table of tables) {
      // One column of every row, and as a rule none is found.
      const found = await this.#sql.all(
        `SELECT ${generationSql(VERSION)} AS generation, max(${VERSION}) AS last FROM ${quoteIdentifier(table.name)} WHERE ${VERSION} > ${least} GROUP BY generation`,
        { versions: true },
      )
      const left = found.flatMap(({ generation, last }) => {
        const checkpoint = byGeneration.get(BigInt(generation as bigint))
        return checkpoint !== undefined && BigInt(last as bigint) > checkpoint ? [checkpoint] : []
      })
      if (left.length > 0) swept.add(table.name)
      for (const checkpoint of left)
        await this.#delete(table, `${VERSION} > ${checkpoint} AND ${generationSql(VERSION)} = ${generationOf(checkpoint)}`)
    }
    return swept
  }

  /** Deletes what has these versions. */
  async retract(versions: readonly bigint[], tables: readonly Table[]): Promise<void> {
    for (const table of tables) {
      const condition = `${VERSION} IN (${versions.join(', ')})`
      const [there] = await this.#sql.all(`SELECT 1 AS one FROM ${quoteIdentifier(table.name)} WHERE ${condition} LIMIT 1`, {
        versions: true,
      })
      if (there) await this.#delete(table, condition)
    }
  }

  #delete(table: Table, condition: string): Promise<void> {
    return this.#sql.write(`DELETE FROM ${quoteIdentifier(table.name)}${onCluster(this.#place)} WHERE ${condition}`)
  }
}
