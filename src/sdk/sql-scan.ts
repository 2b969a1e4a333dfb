import { NAME, type TextReference } from './names.js'

/** A name, or one of `( ) , ; .` outside of quotes and comments. `quoted`: it was written in `"…"` or backticks. */
export interface SqlToken {
  readonly text: string
  readonly quoted: boolean
  readonly offset: number
}

export interface SqlScan {
  /** Names and separators in order. Texts, numbers, operators and `$name`s are left out. */
  readonly tokens: readonly SqlToken[]
  readonly references: readonly TextReference[]
  /** Offsets of `$1`, `$2`, … */
  readonly positional: readonly number[]
  /** A quote or comment that runs to the end of the text; what follows it was read as quoted. */
  readonly unclosed: { readonly what: string; readonly offset: number } | undefined
}

// Letters as the lexers of Postgres and DuckDB see them: everything beyond ASCII is one.
const WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y
const REFERENCE = new RegExp(`\\$(${NAME})`, 'y')
const DOLLAR_QUOTE = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y
const POSITIONAL = /\$\d+/y
const NUMBER = /\d[\w.]*/y
const SEPARATORS = '(),;.'

/**
 * Finds the `$name`s of a SQL text by the lexical rules that Postgres and DuckDB share: `'…'` with `''`, `E'…'` with
 * backslashes, `"…"`, backticks, `--`, nested comments, `$$…$$`, `$tag$…$tag$`; a `$` inside a name belongs to the name.
 */
export function scanSql(sql: string): SqlScan {
  const tokens: SqlToken[] = []
  const references: TextReference[] = []
  const positional: number[] = []
  let at = 0
  const unclosed = (what: string, offset: number): SqlScan => ({ tokens, references, positional, unclosed: { what, offset } })
  while (at < sql.length) {
    const char = sql.charAt(at)
    const start = at
    if (char === "'" || char === '"' || char === '`') {
      const end = endOfQuote(sql, at + 1, char, false)
      if (end === undefined) return unclosed(char, start)
      if (char !== "'") tokens.push({ text: sql.slice(start + 1, end - 1).replaceAll(char + char, char), quoted: true, offset: start })
      at = end
    } else if (char === '-' && sql[at + 1] === '-') {
      at = endOfLine(sql, at)
    } else if (char === '/' && sql[at + 1] === '*') {
      const end = endOfComment(sql, at)
      if (end === undefined) return unclosed('/*', start)
      at = end
    } else if (char === '$') {
      const tag = match(DOLLAR_QUOTE, sql, at)
      const name = tag ? undefined : match(REFERENCE, sql, at)
      if (tag) {
        const end = sql.indexOf(tag[0], at + tag[0].length)
        if (end === -1) return unclosed(tag[0], start)
        at = end + tag[0].length
      } else if (name) {
        references.push({ name: name[1] ?? '', offset: at })
        at += name[0].length
      } else {
        const number = match(POSITIONAL, sql, at)
        if (number) positional.push(at)
        at += number?.[0].length ?? 1
      }
    } else {
      const word = match(WORD, sql, at)
      if (word && word[0].length === 1 && word[0].toUpperCase() === 'E' && sql[at + 1] === "'") {
        const end = endOfQuote(sql, at + 2, "'", true)
        if (end === undefined) return unclosed(`${char}'`, start)
        at = end
      } else {
        if (word || SEPARATORS.includes(char)) tokens.push({ text: word?.[0] ?? char, quoted: false, offset: at })
        at += word?.[0].length ?? match(NUMBER, sql, at)?.[0].length ?? 1
      }
    }
  }
  return { tokens, references, positional, unclosed: undefined }
}

/**
 * The statements of a SQL text: what lies between semicolons outside of quotes and comments, from its first character that is
 * no blank or comment. Parts without one are left out.
 */
export function sqlStatements(sql: string): readonly { readonly text: string; readonly offset: number }[] {
  const ends = scanSql(sql).tokens.flatMap(({ text, quoted, offset }) => (text === ';' && !quoted ? [offset] : []))
  const statements: { text: string; offset: number }[] = []
  let from = 0
  for (const end of [...ends, sql.length]) {
    const offset = startOfCode(sql, from)
    if (offset < end) statements.push({ text: sql.slice(offset, end).trimEnd(), offset })
    from = end + 1
  }
  return statements
}

function startOfCode(sql: string, from: number): number {
  let at = from
  while (at < sql.length) {
    if (/\s/.test(sql.charAt(at))) at++
    else if (sql.startsWith('--', at)) at = endOfLine(sql, at)
    else if (sql.startsWith('/*', at)) at = endOfComment(sql, at) ?? sql.length
    else break
  }
  return at
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

/** The offset after the closing quote. A doubled quote is a quote; so is one after a backslash, where backslashes escape. */
function endOfQuote(sql: string, from: number, quote: string, backslash: boolean): number | undefined {
  for (let at = from; at < sql.length; at++) {
    if (backslash && sql[at] === '\\') at++
    else if (sql[at] === quote) {
      if (sql[at + 1] !== quote) return at + 1
      at++
    }
  }
  return undefined
}

function endOfLine(sql: string, from: number): number {
  for (let at = from; at < sql.length; at++) if (sql[at] === '\n' || sql[at] === '\r') return at
  return sql.length
}

function endOfComment(sql: string, from: number): number | undefined {
  let depth = 0
  for (let at = from; at < sql.length; at++) {
    if (sql[at] === '/' && sql[at + 1] === '*') {
      depth++
      at++
    } else if (sql[at] === '*' && sql[at + 1] === '/') {
      depth--
      at++
      if (depth === 0) return at + 1
    }
  }
  return undefined
}
