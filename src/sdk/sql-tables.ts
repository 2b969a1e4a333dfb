import { scanSql, type SqlToken } from './sql-scan.js'

/** Words after which a table is named. */
const BEFORE_TABLE = new Set(['from', 'join', 'table', 'pivot', 'unpivot'])
/** Words between them and the name. */
const SKIPPED = new Set(['lateral', 'only'])
/** Words that end a list of tables. */
const AFTER_TABLES = new Set(
  'select with values where group order having limit offset fetch union intersect except window qualify'.split(' '),
)
const BEGINNINGS = new Set(['select', 'with', 'from', 'values', 'table', 'pivot', 'unpivot', '('])

/**
 * Which of the tables a query reads, by their names after FROM and JOIN. A column or an alias of the same name does not
 * count; a name of WITH that is also a table does. What a view reads can't be seen here.
 */
export function tablesIn(sql: string, tables: Iterable<string>): readonly string[] {
  const named = namesAfterFrom(scanSql(sql).tokens)
  return [...tables].filter((table) =>
    named.some(({ text, quoted }) => (quoted ? text === table : text.toLowerCase() === table.toLowerCase())),
  )
}

/** Words with which a part of a query begins. */
const CLAUSES = new Set('select from where on using group having order limit window qualify'.split(' '))
/** Words between two queries. */
const BETWEEN = new Set(['union', 'intersect', 'except'])
/** Words that may let in what a condition beside them leaves out. */
const LOOSENING = new Set(['or', 'not', 'case', 'right', 'full'])
/** Words that stand behind a table and are no name for it. */
const NO_ALIAS = new Set([
  ...CLAUSES,
  ...BETWEEN,
  ...BEFORE_TABLE,
  ...'left inner cross outer natural asof anti semi any all positional final tablesample lateral fetch offset'.split(' '),
])

/** One query, or a part of it in brackets. */
interface Part {
  /** Its tables, by the names that its columns go by. */
  readonly tables: { readonly name: string; readonly asked: boolean }[]
  /** The tables of which it says `column = value`. */
  readonly said: Set<string>
  clause: string
}

const part = (): Part => ({ tables: [], said: new Set(), clause: '' })

/**
 * Whether a query reads of the tables only rows whose column has one value: wherever it names one of them it says `column = value` of
 * it in the same WHERE, or in the ON of its own JOIN, in no brackets of their own; and nowhere OR, NOT (but IS NOT NULL), CASE, RIGHT
 * or FULL. `value` is a `$name` or a text. In doubt it does not.
 */
export function readsOnly(sql: string, tables: Iterable<string>, column: string, value: string): boolean {
  const { tokens } = scanSql(sql)
  const word = (at: number) => (tokens[at]?.quoted === false ? tokens[at].text.toLowerCase() : undefined)
  if (tokens.some((_, at) => LOOSENING.has(word(at) ?? '') && word(at + 1) !== 'null')) return false
  const named = new Set(namesAfterFrom(tokens))
  const names = new Set([...tables].map((table) => table.toLowerCase()))
  const written = value.startsWith('$') ? value : `'${value.replaceAll("'", "''")}'`
  const outer: Part[] = []
  const parts = [part()]
  let here = parts[0] as Part
  const begin = () => void parts.push((here = part()))
  for (const [at, token] of tokens.entries()) {
    const is = word(at)
    if (named.has(token)) {
      here.tables.push({ name: aliasOf(tokens, at), asked: names.has(token.text.toLowerCase()) })
    } else if (is === '(') {
      outer.push(here)
      begin()
    } else if (is === ')') {
      here = outer.pop() ?? here
    } else if (is !== undefined && BETWEEN.has(is)) {
      begin()
    } else if (is !== undefined && CLAUSES.has(is)) {
      here.clause = is
    } else if (token.text.toLowerCase() === column.toLowerCase() && isEqual(sql, token, written)) {
      const [only, ...others] = here.tables
      const table = word(at - 1) === '.' ? tokens[at - 2]?.text.toLowerCase() : others.length === 0 ? only?.name : undefined
      if (table !== undefined && (here.clause === 'where' || (here.clause === 'on' && table === here.tables.at(-1)?.name)))
        here.said.add(table)
    }
  }
  return parts.every(({ tables: all, said }) => all.every(({ name, asked }) => !asked || said.has(name)))
}

/** The name that columns of a table go by, behind which the table is named. */
function aliasOf(tokens: readonly SqlToken[], at: number): string {
  const named = tokens[at + 1]?.quoted === false && tokens[at + 1]?.text.toLowerCase() === 'as'
  const next = tokens[named ? at + 2 : at + 1]
  const isAlias = next && (next.quoted || (/^\w/.test(next.text) && !NO_ALIAS.has(next.text.toLowerCase())))
  return ((isAlias ? next : tokens[at])?.text ?? '').toLowerCase()
}

/** Whether `= value` stands behind a column, and nothing that would make another value of it. */
function isEqual(sql: string, { offset, text, quoted }: SqlToken, written: string): boolean {
  const [, after] = /^\s*=\s*(.*)$/s.exec(sql.slice(offset + text.length + (quoted ? 2 : 0))) ?? []
  return after?.startsWith(written) === true && /^(\s+([a-z]|--|\/\*)|\s*(\)|$))/i.test(after.slice(written.length))
}

/** Why a text is not one query, as far as that can be told without a database; undefined when it may be one. */
export function queryProblem(sql: string): { readonly message: string; readonly hint: string } | undefined {
  const { tokens } = scanSql(sql)
  const [first] = tokens
  if (!first) return { message: 'is empty', hint: 'write one SELECT' }
  if (first.quoted || !BEGINNINGS.has(first.text.toLowerCase()))
    return { message: `begins with ${first.text.slice(0, 40)}`, hint: 'only a SELECT may run here; the step itself writes what it gives' }
  const end = tokens.find(({ text, quoted }) => text === ';' && !quoted)
  return end && { message: 'holds a ;', hint: 'one SELECT, without a ; after it' }
}

/** In each pair of brackets: whether a list of tables is open, and whether the next name is one. */
interface Level {
  list: boolean
  expected: boolean
}

function namesAfterFrom(tokens: readonly SqlToken[]): SqlToken[] {
  const found: SqlToken[] = []
  const levels: Level[] = [{ list: false, expected: false }]
  for (const [i, token] of tokens.entries()) {
    const level = levels.at(-1) ?? { list: false, expected: false }
    const word = token.quoted ? undefined : token.text.toLowerCase()
    if (word === '(') {
      levels.push({ list: level.expected, expected: level.expected })
      level.expected = false
    } else if (word === ')') {
      if (levels.length > 1) levels.pop()
    } else if (word === ',') {
      level.expected = level.list
    } else if (word === '.' || word === ';') {
      continue
    } else if (word !== undefined && BEFORE_TABLE.has(word)) {
      level.list = true
      level.expected = true
    } else if (word !== undefined && AFTER_TABLES.has(word)) {
      level.list = false
      level.expected = false
    } else if (level.expected && !(word !== undefined && SKIPPED.has(word))) {
      // Of `schema.table` the last part.
      if (tokens[i + 1]?.text === '.' && tokens[i + 1]?.quoted === false) continue
      found.push(token)
      level.expected = false
    }
  }
  return found
}
