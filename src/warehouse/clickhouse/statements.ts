import { quoteIdentifier, type Statement, sql, sqlText, type Table } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { SqlError } from '../errors.js'
import type { Sql } from './sql.js'
import { bound } from './values.js'

const ALLOWED = /^\s*(?:INSERT|ALTER|CREATE|DROP|RENAME|EXCHANGE|TRUNCATE|OPTIMIZE|DELETE|SELECT|WITH)\b/i
const INSERT = /^\s*INSERT\s+INTO\s+(?:TABLE\s+)?("(?:[^"]|"")*"|`[^`]*`|\w+)\s*(\([^()]*\))?\s*(SELECT\b|WITH\b|\()?/i

/**
 * A statement of a step as it is run, checked as far as it can be without running it: what a commit has written before
 * can't be taken back. Rows that it inserts get the version of the commit.
 *
 * @throws {SqlError}
 */
export async function prepared(statement: Statement, tables: ReadonlyMap<string, Table>, version: bigint, sqls: Sql): Promise<Statement> {
  const first = statement.parts[0] ?? ''
  if (!ALLOWED.test(first)) {
    throw new SqlError(`a step may not run ${/^\s*(\w+)/.exec(first)?.[1]?.toUpperCase() ?? 'such'} statements`, {
      hint: 'insert, delete, alter, create, drop, rename or exchange',
    })
  }
  if (/^\s*(?:SELECT|WITH)\b/i.test(first)) {
    const { text, params } = bound(statement)
    await sqls.describe(text, params)
    return statement
  }
  const insert = INSERT.exec(first)
  if (!insert) return statement
  const name = (insert[1] ?? '').replace(/^["`](.*)["`]$/, '$1')
  const table = tables.get(name)
  if (!table) return statement
  if (insert[3] === undefined)
    throw new SqlError(`INSERT INTO ${name} brings rows by VALUES or a format`, { hint: 'write INSERT INTO … SELECT …, or yield the rows' })
  const columns = insert[2]?.slice(1, -1).trim() ?? identifiers(table.columns.map((column) => column.name))
  const query: Statement = {
    parts: [first.slice(insert[0].length - insert[3].length), ...statement.parts.slice(1)],
    params: statement.params,
  }
  const { text, params } = bound(query)
  await sqls.describe(text, params)
  return sql`INSERT INTO ${sqlText(`${quoteIdentifier(name)} (${columns}, _pipe_version)`)} SELECT *, ${sqlText(String(version))} FROM (${query}
) AS pipe_query`
}
