/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/**
 * A value of a row. Integers and 256-bit values are bigint, decimals are text (or bigint), timestamps are bigint
 * microseconds UTC, dates are `YYYY-MM-DD`, bytes, addresses and hashes are `0x` text. No `Date`, no float for them.
 */
export type Value = Json | bigint

/** Values by column name. */
export type Row = { readonly [column: string]: Value }

/** A column type that every warehouse can hold exactly. */
export type ColumnType =
  | {
      readonly kind:
        'bool' | 'int' | 'bigint' | 'uint256' | 'int256' | 'float' | 'text' | 'address' | 'hash' | 'bytes' | 'json' | 'timestamp' | 'date'
    }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }

export interface Column {
  readonly name: string
  readonly type: ColumnType
  /** `?` after the type in YAML. All others are required. */
  readonly nullable: boolean
}

/** A declared table. */
export interface Table {
  readonly name: string
  readonly columns: readonly Column[]
  readonly key: readonly string[]
  /** The column that a unit covers a stretch of: redo, reorg, verify and sql-upsert intervals go by it. */
  readonly range: string | undefined
  /** The file names it: it is not only what comes first in the key. */
  readonly rangeNamed?: boolean
  readonly indexes: Readonly<Record<string, readonly string[]>>
  readonly retention: { readonly column: string; readonly ms: number } | undefined
  /** `last`: of two different rows of one key the one that is read last stays, and how many were replaced is counted. Left out: they are an error. */
  readonly onConflict?: 'last' | undefined
}

/** A value with the type it is bound as. */
export interface Param {
  readonly type: ColumnType
  readonly value: Value
}

/**
 * SQL with its values apart: `parts[0] params[0] parts[1] …`, so `parts` is one longer than `params`. A warehouse joins
 * it with its own placeholders and casts; nothing from a chain or a param is ever spliced into the text.
 */
export interface Statement {
  readonly parts: readonly string[]
  readonly params: readonly Param[]
}

/** SQL without values. */
export function sqlText(text: string): Statement {
  return { parts: [text], params: [] }
}

/** Tagged template for a statement: every `${}` is a `Param`, a nested `Statement`, or an identifier made by `identifier`. */
export function sql(strings: TemplateStringsArray, ...values: readonly (Param | Statement)[]): Statement {
  const parts: string[] = [strings[0] ?? '']
  const params: Param[] = []
  values.forEach((value, i) => {
    const after = strings[i + 1] ?? ''
    if ('parts' in value) {
      parts[parts.length - 1] += value.parts[0] ?? ''
      value.params.forEach((param, j) => {
        params.push(param)
        parts.push(value.parts[j + 1] ?? '')
      })
      parts[parts.length - 1] += after
    } else {
      params.push(value)
      parts.push(after)
    }
  })
  return { parts, params }
}

/** A name quoted for SQL, on every warehouse: `"a""b"`. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A quoted name, to be put into a `sql` template. */
export function identifier(name: string): Statement {
  return sqlText(quoteIdentifier(name))
}

/** Joins statements with a separator, as `Array.join` does. */
export function joinSql(statements: readonly Statement[], separator: string): Statement {
  const parts: string[] = ['']
  const params: Param[] = []
  statements.forEach((statement, i) => {
    parts[parts.length - 1] += (i > 0 ? separator : '') + (statement.parts[0] ?? '')
    statement.params.forEach((param, j) => {
      params.push(param)
      parts.push(statement.parts[j + 1] ?? '')
    })
  })
  return { parts, params }
}
