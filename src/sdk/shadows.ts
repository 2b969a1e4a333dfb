import { quoteIdentifier, type Statement } from './values.js'
import { tablesIn } from './sql-tables.js'

/** The table that is filled beside a declared one, to take its place. */
export const shadowName = (table: string): string => `${table}__next`

const WITH = /^((?:\s|--[^\n]*\n|\/\*[^]*?\*\/)*)WITH\b(\s+RECURSIVE\b)?/i

/** The same query for a warehouse in which the shadows of these tables are not made yet: each reads as an empty one. */
export function withoutShadows(statement: Statement, tables: Iterable<string>): Statement {
  const [first = '', ...rest] = statement.parts
  const text = statement.parts.join(' ')
  const named = [...tables].filter((table) => tablesIn(text, [shadowName(table)]).length > 0)
  if (named.length === 0) return statement
  const empty = named.map((table) => `${quoteIdentifier(shadowName(table))} AS (SELECT * FROM ${quoteIdentifier(table)} WHERE 1 = 0)`)
  const own = WITH.exec(first)
  const begun = own ? `WITH${own[2] ?? ''} ${empty.join(', ')},${first.slice(own[0].length)}` : `WITH ${empty.join(', ')} ${first}`
  return { ...statement, parts: [begun, ...rest] }
}

/** How a kept version is called: `net_flows__v3_20240301T120000Z`, the time being when it was put away. */
export function keptName(table: string, version: number, at: bigint): string {
  const time = new Date(Number(at / 1000n)).toISOString().replace(/[-:]|\.\d+/g, '')
  return `${table}__v${version}_${time}`
}

/** The most characters that a name of a kept version has beside the table's. */
export const KEPT_SUFFIX = '__v999999_20240301T120000Z'.length
/** Names that kept versions of a table may have. */
export const isKeptName = (name: string, table: string): boolean =>
  name.toLowerCase().startsWith(`${table.toLowerCase()}__v`) && /^\d+_\d{8}T\d{6}Z$/i.test(name.slice(table.length + '__v'.length))
