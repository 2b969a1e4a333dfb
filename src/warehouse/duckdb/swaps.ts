import { type Move, quoteIdentifier, type Row, sql, sqlText, type Statement, type Table } from '../../sdk/index.js'
import { NotSwappableError, ShadowTakenError } from '../errors.js'
import { text } from '../ledger-where.js'
import { literal } from '../fill.js'
import type { Transactions } from './transactions.js'

/** A name as `CREATE TABLE` of the catalog begins with it. */
const BEGINNING = /^CREATE TABLE (?:(?:"(?:[^"]|"")*"|\w+)\.)*(?:"(?:[^"]|"")*"|\w+)\(/

/** Makes and exchanges tables, inside of the transaction that is open. Views of DuckDB go by the name of a table. */
export class Swaps {
  readonly #transactions: Transactions

  constructor(transactions: Transactions) {
    this.#transactions = transactions
  }

  async makeLike({ name: like }: Table, name: string): Promise<void> {
    await this.#refuseReferred(like)
    const [there] = await this.#rows(sql`SELECT sql, comment FROM duckdb_tables() WHERE ${isMain('table_name', like)}`)
    const made = String(there?.sql ?? '')
    if (!BEGINNING.test(made)) throw new NotSwappableError(like, 'its definition can not be read', 'drop it: the next run makes it anew')
    await this.#run(made.replace(BEGINNING, () => `CREATE TABLE ${quoteIdentifier(name)}(`)).catch((error: unknown) => {
      throw /already exists/i.test(String(error)) ? new ShadowTakenError(name, error) : error
    })
    await this.#comment(`TABLE ${quoteIdentifier(name)}`, there?.comment)
    const columns = await this.#rows(
      sql`SELECT column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL AND ${isMain('table_name', like)}`,
    )
    for (const column of columns)
      await this.#comment(`COLUMN ${quoteIdentifier(name)}.${quoteIdentifier(String(column.column_name))}`, column.comment)
  }

  /** A table that has an index can't be renamed, so the indexes are dropped, and made anew on what comes. */
  async move(moves: readonly Move[]): Promise<void> {
    for (const { table, comes, goes } of moves) {
      await this.#refuseReferred(table.name)
      const [name, next, old] = [table.name, comes, goes].map(quoteIdentifier)
      const indexes = await this.#rows(sql`SELECT index_name, sql, comment FROM duckdb_indexes() WHERE ${isMain('table_name', table.name)}`)
      for (const index of indexes) await this.#run(`DROP INDEX ${quoteIdentifier(String(index.index_name))}`)
      await this.#run(`ALTER TABLE ${name} RENAME TO ${old}`)
      await this.#run(`ALTER TABLE ${next} RENAME TO ${name}`)
      for (const index of indexes) {
        await this.#run(String(index.sql))
        await this.#comment(`INDEX ${quoteIdentifier(String(index.index_name))}`, index.comment)
      }
    }
  }

  /** A table that a foreign key refers to can't be renamed. */
  async #refuseReferred(name: string): Promise<void> {
    const [other] = await this.#rows(
      sql`SELECT table_name, constraint_text FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY' AND ${isMain('referenced_table', name)}`,
    )
    if (!other) return
    const problem = `table ${String(other.table_name)} refers to it (${String(other.constraint_text)}), and DuckDB renames no such table`
    throw new NotSwappableError(name, problem, `make ${String(other.table_name)} anew without that foreign key`)
  }

  async #comment(on: string, comment: Row[string] | undefined): Promise<void> {
    if (typeof comment === 'string') await this.#run(`COMMENT ON ${on} IS ${literal(comment, 'duckdb')}`)
  }

  async #run(statement: string): Promise<void> {
    await this.#transactions.connection.run(statement)
  }

  #rows(statement: Statement): Promise<Row[]> {
    return this.#transactions.rows(statement)
  }
}

/** DuckDB takes names that differ only in case for one. */
const isMain = (column: string, name: string): Statement =>
  sql`database_name = current_database() AND schema_name = 'main' AND lower(${sqlText(column)}) = lower(${text(name)})`
