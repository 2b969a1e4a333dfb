import { sql, sqlText, type Table } from '../../sdk/index.js'
import { quoteIdentifier } from '../../sdk/index.js'
import { VERSION } from './ddl.js'
import type { Sql } from './sql.js'
import { tombstones } from './stretch.js'
import { generationOf, generationSql } from './versions.js'

/** What someone wrote behind the last checkpoint of a unit: nobody's once the unit is another one's. */
export interface Orphaned {
  /** Version of the last checkpoint. */
  readonly committed: bigint
  /** Of those that take its place. */
  readonly version: bigint
}

/** Rows that no checkpoint speaks of. */
export class Orphans {
  readonly #sql: Sql

  constructor(sqls: Sql) {
    this.#sql = sqls
  }

  /** Takes them away, but for those that a later version has overwritten. */
  async sweep(units: readonly Orphaned[], tables: readonly Table[]): Promise<void> {
    if (units.length === 0) return
    const byGeneration = new Map(units.map((unit) => [generationOf(unit.committed), unit]))
    const least = units.reduce((low, { committed }) => (committed < low ? committed : low), units[0]?.committed ?? 0n)
    for (const table of tables) {
      // One column of every row, and as a rule none is found.
      const found = await this.#sql.all(
        `SELECT ${generationSql(VERSION)} AS generation, max(${VERSION}) AS last FROM ${quoteIdentifier(table.name)} WHERE ${VERSION} > ${least} GROUP BY generation`,
        { versions: true },
      )
      for (const { generation, last } of found) {
        const unit = byGeneration.get(BigInt(generation as bigint))
        if (!unit || BigInt(last as bigint) <= unit.committed) continue
        const own = `${VERSION} > ${unit.committed} AND ${generationSql(VERSION)} = ${generationOf(unit.committed)}`
        await this.#sql.execute(tombstones(table, sqlText(own), unit.version))
      }
    }
  }

  /** Takes away rows of one version, but for those that a later one has overwritten: of a writer that lost its unit meanwhile. */
  async retract(version: bigint, tables: readonly Table[]): Promise<void> {
    for (const table of tables) await this.#sql.execute(tombstones(table, sql`${sqlText(`${VERSION} = ${version}`)}`, version + 1n))
  }
}
