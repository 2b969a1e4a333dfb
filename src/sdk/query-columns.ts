import { formatColumnType, isExactNumber } from './columns.js'
import { PipeError } from './errors.js'
import type { ResultColumn } from './stores.js'
import { didYouMean } from './suggest.js'
import type { Column, Table } from './values.js'

/** Types that a number, or the text of one, may come in. */
const NUMBERS: ReadonlySet<string> = new Set(['int', 'bigint', 'uint256', 'int256', 'decimal', 'float', 'text'])

/**
 * What is wrong with the columns of a query whose rows go into a table, matched by name; empty when nothing is. An exact
 * column is never filled from a float: it would be rounded in silence.
 *
 * @param constants Columns that are filled without the query, which may give them, too.
 */
export function queryColumnProblems(columns: readonly ResultColumn[], table: Table, constants: Iterable<string>): readonly string[] {
  const declared = new Map(table.columns.map((column) => [column.name, column]))
  const given = columns.map(({ name }) => name)
  const filled = new Set([...given, ...constants])
  const lacking = table.columns.filter(({ name, nullable }) => !nullable && !filled.has(name)).map(({ name }) => name)
  return [
    ...given.filter((name, i) => given.indexOf(name) !== i).map((name) => `gives ${name} twice`),
    ...columns.flatMap((column) => {
      const target = declared.get(column.name)
      if (target) return mismatch(column, target)
      const near = didYouMean(column.name, declared.keys())
      return [`gives ${column.name}, and table ${table.name} has no such column (${near ?? `it has ${[...declared.keys()].join(', ')}`})`]
    }),
    ...(lacking.length > 0
      ? [`does not give ${lacking.join(', ')} of table ${table.name} (name them with AS, or let them be null: TYPE?)`]
      : []),
  ]
}

function mismatch({ name, sqlType, type, approximate }: ResultColumn, { type: wanted }: Column): string[] {
  const label = formatColumnType(wanted)
  if (isExactNumber(wanted)) {
    if (approximate)
      return [
        `gives ${name} as ${sqlType}, which would be rounded into ${label} (multiply and divide decimal(p) columns, not uint256, and CAST the result; or declare float)`,
      ]
    if (!NUMBERS.has(type.kind)) return [`gives ${name} as ${sqlType}, which is no ${label}`]
    const scale = wanted.kind === 'decimal' ? wanted.scale : 0
    if (type.kind === 'decimal' && type.scale > scale)
      return [`gives ${name} as ${sqlType}, which would be rounded into ${label} (CAST it yourself, or declare more fraction digits)`]
    return []
  }
  const times = wanted.kind === 'timestamp' || wanted.kind === 'date'
  if (times && type.kind !== 'timestamp' && type.kind !== 'date' && type.kind !== 'text')
    return [`gives ${name} as ${sqlType}, which is no ${label}`]
  if (type.kind === 'bytes') return [`gives ${name} as ${sqlType}, which is no ${label} (give the text of it: 0x…)`]
  return []
}

/** The columns of a SELECT do not fit the table that it fills. Found before anything is fetched. */
export class SelectColumnsError extends PipeError {
  readonly code = 'SELECT_COLUMNS'
  override readonly hint = 'compare the columns of the SELECT with those of the table'
  constructor(problems: readonly string[]) {
    super(problems.map((problem) => `the SELECT ${problem}`).join('; '))
  }
}
