import { type Column, formatColumnType, isExactNumber, type Output, quoteIdentifier, type Table } from '../../sdk/index.js'
import { OutputError } from '../errors.js'
import { broughtColumns, constantColumns } from '../fill.js'
import { tooFine } from '../text-values.js'
import { nullableType, sqlType } from '../types.js'
import { portableType } from './values.js'

/** A column that SQL fills: what goes in, and how to tell that it would not be what the expression says. */
export interface Computed {
  readonly column: Column
  /** SQL of the value, of the column's type, NULL where it does not fit. */
  readonly value: string
  /** SQL that is true where the value may not be written. */
  readonly bad: string
  /** SQL of the value as people read it, for messages. */
  readonly text: string
}

/** The type of the one column that a query gives. */
export type TypeOf = (select: string) => Promise<string>

const EXACT = ['int', 'bigint', 'uint256', 'int256']
const LIMITS: Record<string, readonly [least: bigint, most: bigint]> = {
  int: [-(2n ** 31n), 2n ** 31n - 1n],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n],
}

/** Whether an expression adds, subtracts or multiplies. */
function calculates(expression: string): boolean {
  return /[-+*]/.test(bare(expression))
}

/** The expression without texts, quoted names, comments, and exponents of numbers. */
function bare(expression: string): string {
  return expression
    .replace(/'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|\/\*[^]*?\*\//g, ' ')
    .replace(/\b\d[\d.]*e[+-]?\d+/gi, '1')
}

/**
 * How each `compute` of an output is written and checked.
 *
 * ClickHouse's integers wrap around in silence. Its 256-bit ones do it at 2^256, so a result differs from the true one by
 * a multiple of that: the same expression over the columns as floats, wrong in its 16th digit at worst, tells which.
 * Narrower columns are widened to 256 bits first. So `after - before` of two uint256 gives the exact int256 at every
 * border, and what has no right result is refused, never stored.
 *
 * @throws {OutputError} for an expression that can't be checked so.
 */
export async function computedColumns(output: Output, table: Table, typeOf: TypeOf): Promise<readonly Computed[]> {
  const brought = broughtColumns(output, table)
  const widened = widens(output)
  const empty = [
    ...brought.map((column) => `CAST(NULL AS ${scopeType(column, widened)}) AS ${quoteIdentifier(column.name)}`),
    ...constantColumns(output, 'clickhouse'),
    '1 AS pipe_one',
  ]
  const source = `(SELECT ${empty.join(', ')}) AS pipe_row`
  const computed: Computed[] = []
  for (const [name, expression] of Object.entries(output.compute)) {
    const column = table.columns.find((candidate) => candidate.name === name)
    if (!column) continue
    const where = `compute of ${table.name}.${name}`
    const type = await typeOf(`SELECT (${expression}\n) AS pipe_value FROM ${source}`)
    const shadow = shadowOf(expression, brought)
    const checked = isExactNumber(column.type) && calculates(expression) && shadow !== undefined
    if (isExactNumber(column.type) && portableType(type).kind === 'decimal' && /\//.test(bare(expression)))
      throw new OutputError(
        where,
        'divides, and ClickHouse cuts off what does not divide',
        `cast to Float64 and round, or declare ${formatColumnType({ kind: 'float' })}`,
      )
    if (checked) await checkShadow(shadow, expression, source, typeOf, where)
    computed.push(computedColumn(column, `(${expression}\n)`, type, checked ? shadow : undefined))
  }
  return computed
}

/** Whether integers of the rows are widened to 256 bits before the expressions see them. */
export function widens(output: Output): boolean {
  return Object.values(output.compute).some(calculates)
}

/** The type of a column of the rows as expressions see it. */
function scopeType({ type }: Column, widened: boolean): string {
  return nullableType(widened && (type.kind === 'int' || type.kind === 'bigint') ? { kind: 'int256' } : type, 'clickhouse')
}

/** The expression over floats: as a lambda, whose arguments go before the columns of their names. */
function shadowOf(expression: string, brought: readonly Column[]): string | undefined {
  const numbers = brought.filter(({ type }) => isExactNumber(type)).map(({ name }) => quoteIdentifier(name))
  if (numbers.length === 0) return undefined
  return `toFloat64(arrayMap((${numbers.join(', ')}) -> (${expression}\n), ${numbers.map((name) => `[toFloat64(${name})]`).join(', ')})[1])`
}

async function checkShadow(shadow: string, expression: string, source: string, typeOf: TypeOf, where: string): Promise<void> {
  const hint = 'compute one column for the sum or difference and use it in another, or cast to decimal(76,0) first, which ClickHouse checks'
  const problem = 'adds, subtracts or multiplies in a way that can’t be checked for wrapping around, which ClickHouse does in silence'
  if (/\|\||\b(?:to|re)?(?:string|concat|text|varchar)\b/i.test(bare(expression))) throw new OutputError(where, problem, hint)
  try {
    await typeOf(`SELECT ${shadow} AS pipe_value FROM ${source}`)
  } catch (error) {
    throw new OutputError(where, `${problem} (${error instanceof Error ? error.message : String(error)})`, hint)
  }
}

/** Farther than a float's error from the true value, nearer than any other that wraps around to the same bits. */
const far = (value: string, shadow: string): string => `ifNull(NOT (abs(toFloat64(${value}) - ${shadow}) < pow(2, 250)), 0)`

/** How an expression of that type becomes a value of the column. `shadow`: the same over floats, where integers might wrap around. */
export function computedColumn(column: Column, expression: string, type: string, shadow?: string): Computed {
  const { type: wanted, nullable } = column
  const given = portableType(type).kind
  const sql = sqlType(wanted, 'clickhouse')
  const parts = (value: string, ...bad: string[]): Computed => {
    const lost = nullable ? `(${expression} IS NOT NULL AND ${value} IS NULL)` : `${value} IS NULL`
    const shown =
      shadow === undefined ? `toString(${expression})` : `if(${far(expression, shadow)}, toString(${shadow}), toString(${expression}))`
    return { column, value, bad: [lost, ...bad].map((condition) => `ifNull(${condition}, 0)`).join(' OR '), text: shown }
  }
  if (EXACT.includes(wanted.kind)) {
    if (given === 'text') {
      const value = `accurateCastOrNull(${expression}, '${sql}')`
      // A number too wide for 256 bits wraps around when it is read from text, too.
      return parts(value, `toString(${value}) != replaceRegexpOne(${expression}, '^(-?)0+([0-9])', '\\\\1\\\\2')`)
    }
    if (shadow === undefined) return parts(`accurateCastOrNull(${expression}, '${sql}')`)
    const wide = `${wanted.kind === 'uint256' ? 'toUInt256' : 'toInt256'}(${expression})`
    const limits = LIMITS[wanted.kind]
    if (!limits) return parts(wide, far(wide, shadow))
    const outside = `${wide} < ${limits[0]} OR ${wide} > ${limits[1]}`
    return parts(`CAST(${wide} AS Nullable(${sql}))`, far(wide, shadow), outside)
  }
  switch (wanted.kind) {
    case 'decimal': {
      const value =
        given === 'decimal' ? `accurateCastOrNull(${expression}, '${sql}')` : `accurateCastOrNull(toString(${expression}), '${sql}')`
      const border = `abs(toDecimal256(${value}, ${wanted.scale})) >= toDecimal256('1${'0'.repeat(wanted.precision - wanted.scale)}', 0)`
      const cut = given === 'text' ? [`match(${expression}, '${tooFine(wanted)}')`] : []
      return parts(value, border, ...cut, ...(shadow === undefined ? [] : [far(expression, shadow)]))
    }
    case 'json':
      return parts(`CAST(${expression} AS Nullable(String))`)
    case 'date':
      // The time of a day would be cut off.
      return given === 'timestamp'
        ? parts(`toDate32(${expression})`, `toDateTime64(toDate32(${expression}), 6, 'UTC') != toDateTime64(${expression}, 6, 'UTC')`)
        : parts(`CAST(${expression} AS Nullable(${sql}))`)
    default:
      return parts(`CAST(${expression} AS Nullable(${sql}))`)
  }
}
