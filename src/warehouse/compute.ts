import {
  type Column,
  formatColumnType,
  isExactNumber,
  type Output,
  quoteIdentifier,
  type ResultColumn,
  sqlText,
  type Table,
  type WarehouseReader,
} from '../sdk/index.js'
import { OutputError, SqlError } from './errors.js'
import { broughtColumns, constantColumns } from './fill.js'
import { nullableType, type WarehouseKind } from './types.js'

/**
 * Describes every `compute` of an output over an empty row of its columns: names and functions must be known, and no
 * exact column may be filled from a float.
 *
 * @throws {OutputError} naming the column.
 */
export async function checkCompute(
  output: Output,
  table: Table,
  warehouse: Pick<WarehouseReader, 'describe'>,
  dialect: WarehouseKind,
): Promise<void> {
  const columns = broughtColumns(output, table)
  const empty = [
    ...columns.map(({ name, type }) => `CAST(NULL AS ${nullableType(type, dialect)}) AS ${quoteIdentifier(name)}`),
    ...constantColumns(output, dialect),
  ]
  // A column is selected beside the expression, so that the database refuses an aggregate: it means nothing for a single row.
  const source = `(SELECT ${[...empty, '1 AS pipe_one'].join(', ')}) AS pipe_row`
  for (const [name, expression] of Object.entries(output.compute)) {
    const where = `compute of ${table.name}.${name}`
    const [computed, ...others] = await described(
      warehouse,
      `SELECT (${expression}\n) AS pipe_value, pipe_one FROM ${source}`,
      where,
      columns.map((column) => column.name),
    )
    if (!computed || others.length !== 1)
      throw new OutputError(where, 'gives more than one value', 'one expression a column; quote it if it holds a comma')
    const declared = table.columns.find((column) => column.name === name)
    if (declared && isExactNumber(declared.type)) refuseRounding(computed, declared, where)
  }
}

async function described(
  warehouse: Pick<WarehouseReader, 'describe'>,
  text: string,
  where: string,
  known: readonly string[],
): Promise<readonly ResultColumn[]> {
  try {
    return await warehouse.describe(sqlText(text))
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    throw new OutputError(where, error.message, `it may use the columns that the row brings: ${known.join(', ') || 'none'}`)
  }
}

const NUMBERS: readonly string[] = ['int', 'bigint', 'uint256', 'int256', 'decimal', 'float', 'text']

function refuseRounding(computed: ResultColumn, declared: Column, where: string): void {
  const label = formatColumnType(declared.type)
  const scale = declared.type.kind === 'decimal' ? declared.type.scale : 0
  // What no portable type describes reads as text, too: a row, a list, a span of time.
  const other = computed.type.kind === 'text' && !/char|text|string/i.test(computed.sqlType)
  if (other || !NUMBERS.includes(computed.type.kind)) throw new OutputError(where, `gives ${computed.sqlType}, which is no ${label}`)
  if (computed.approximate) {
    throw new OutputError(
      where,
      `gives ${computed.sqlType}, which would be rounded into ${label}`,
      'multiply and divide decimal(p) columns, not uint256, and cast the result; or declare float',
    )
  }
  if (computed.type.kind === 'decimal' && computed.type.scale > scale) {
    throw new OutputError(
      where,
      `gives ${computed.sqlType}, which would be rounded into ${label}`,
      'round it yourself with CAST(… AS …), or declare more fraction digits',
    )
  }
}
