/** A `$name` in a SQL text. `offset` is that of the `$`. */
export interface SqlReference {
  readonly name: string
  readonly offset: number
}

export interface SqlScan {
  readonly references: readonly SqlReference[]
  /** Offsets of `$1`, `$2`, … */
  readonly positional: readonly number[]
  /** The text between semicolons, from its first character that is no blank or comment; parts without one are left out. */
  readonly statements: readonly { readonly text: string; readonly offset: number }[]
  /** A quote or comment that runs to the end of the text; what follows it was read as quoted. */
  readonly unclosed: { readonly what: string; readonly offset: number } | undefined
}

// Letters as the lexers of Postgres and DuckDB see them: everything beyond ASCII is one.
const WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y
const REFERENCE = /\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*(?:\.[\w\u0080-\uffff]+)*)/y
const DOLLAR_QUOTE = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y
const POSITIONAL = /\$\d+/y
const NUMBER = /\d[\w.]*/y

/**
 * Finds the `$name`s and the statements of a SQL text by the lexical rules that Postgres and DuckDB share: `'…'` with `''`, `E'…'` with
 * backslashes, `"…"`, backticks, `--`, nested comments, `$$…$$`, `$tag$…$tag$`; a `$` inside a name belongs to the name.
 */
export function scanSql(sql: string): SqlScan {
  const references: SqlReference[] = []
  const positional: number[] = []
  const statements: { text: string; offset: number }[] = []
  let at = 0
  let begun: number | undefined
  const end = (offset: number): void => {
    if (begun !== undefined) statements.push({ text: sql.slice(begun, offset).trimEnd(), offset: begun })
    begun = undefined
  }
  const unclosed = (what: string, offset: number): SqlScan => {
    end(sql.length)
    return { references, positional, statements, unclosed: { what, offset } }
  }
  while (at < sql.length) {
    const char = sql.charAt(at)
    const start = at
    const comment = (char === '-' && sql[at + 1] === '-') || (char === '/' && sql[at + 1] === '*')
    if (!comment && char !== ';' && !/\s/.test(char)) begun ??= at
    if (char === ';') {
      end(at)
      at++
    } else if (char === "'" || char === '"' || char === '`') {
      const after = endOfQuote(sql, at + 1, char, false)
      if (after === undefined) return unclosed(char, start)
      at = after
    } else if (comment && char === '-') {
      at = endOfLine(sql, at)
    } else if (comment) {
      const after = endOfComment(sql, at)
      if (after === undefined) return unclosed('/*', start)
      at = after
    } else if (char === '$') {
      const tag = match(DOLLAR_QUOTE, sql, at)
      const name = tag ? undefined : match(REFERENCE, sql, at)
      if (tag) {
        const close = sql.indexOf(tag[0], at + tag[0].length)
        if (close === -1) return unclosed(tag[0], start)
        at = close + tag[0].length
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
        const after = endOfQuote(sql, at + 2, "'", true)
        if (after === undefined) return unclosed(`${char}'`, start)
        at = after
      } else {
        at += word?.[0].length ?? match(NUMBER, sql, at)?.[0].length ?? 1
      }
    }
  }
  end(sql.length)
  return { references, positional, statements, unclosed: undefined }
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
