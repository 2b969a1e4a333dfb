import { Type } from '@sinclair/typebox'
import { parseInstant } from './calendar.js'
import { compileEach, compileRow, fieldPath, isTimeField, pathRoot, type Records, type TimeRule } from './mapping.js'
import { referenceName } from './names.js'
import type { Scope } from './scope.js'
import type { ChainInfo, ConfigProblem, KnownNames, Output } from './step.js'
import { didYouMean } from './suggest.js'
import { type TimeField, timeFieldSchema } from './times.js'
import type { Row, Table } from './values.js'

/** `row` of a step: what each column gets. */
export const rowSchema = Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean(), timeFieldSchema]), {
  description: 'Column: path into a record, `$name`, or a number; of a time also `{ path, unit, range }`.',
  // `$coin` is a value, and a text that is put in for it would be read as a path.
  references: 'kept',
})

/** `compute` of a step. */
export const computeSchema = Type.Record(Type.String(), Type.String(), { description: 'Column: SQL over the row.' })

/** `rows` of a step: several tables, or several rows a record. */
export const rowsSchema = Type.Array(
  Type.Object(
    {
      into: Type.String({ description: 'Table.' }),
      each: Type.Optional(
        Type.Record(Type.String(), Type.String(), {
          description: 'Name: path of a list. One row an element; several lists are walked side by side, `index` counts.',
        }),
      ),
      row: rowSchema,
      compute: Type.Optional(computeSchema),
    },
    { additionalProperties: false },
  ),
  { minItems: 1, description: 'Instead of `row`: several tables, or several rows an item.' },
)

type RowFields = Readonly<Record<string, string | number | boolean | TimeField>>

/** The part of a step's `with` that says which columns get what. */
export interface RowsPart {
  readonly row?: RowFields
  readonly compute?: Readonly<Record<string, string>>
  readonly rows?: readonly Omit<RowsConfig, 'path'>[]
}

/** One table and what its columns get. */
export interface RowsConfig {
  readonly into: string
  readonly each?: Readonly<Record<string, string>>
  readonly row: RowFields
  readonly compute?: Readonly<Record<string, string>>
  /** Where it stands below `with`. */
  readonly path: readonly (string | number)[]
}

/** `row` and `rows` in one form. */
export function rowsOf(config: RowsPart, into: Table | undefined): RowsConfig[] {
  if (config.rows) return config.rows.map((rows, i) => ({ ...rows, path: ['rows', i] }))
  if (config.row && into) return [{ into: into.name, row: config.row, compute: config.compute, path: [] }]
  return []
}

/**
 * One output a table, or an output for each `rows` entry where several fill one. Text columns that are filled by `$chain.…`
 * are constants. `rangeOf` gives the column that a unit covers a stretch of, where it is not the table's own.
 */
export function rowOutputs(
  all: readonly RowsConfig[],
  tables: ReadonlyMap<string, Table>,
  chain: ChainInfo | undefined,
  rangeOf: (rows: RowsConfig, table: Table | undefined) => string | undefined,
): Output[] {
  return all.map((rows, i): Output => {
    const { into, row, compute } = rows
    const table = tables.get(into)
    const isText = (column: string) => table?.columns.find(({ name }) => name === column)?.type.kind === 'text'
    const constants = Object.entries(row).flatMap(([column, field]): [string, string][] =>
      chain && typeof field === 'string' && (field === '$chain.name' || (/^\$chain\.about\.[\w.]+$/.test(field) && isText(column)))
        ? [[column, field === '$chain.name' ? chain.name : field]]
        : [],
    )
    const range = rangeOf(rows, table)
    return {
      id: all.findIndex((other) => other.into === into) === i ? into : `${into}#${i + 1}`,
      table: into,
      columns: Object.keys(row).filter((column) => !constants.some(([name]) => name === column)),
      compute: compute ?? {},
      constants: Object.fromEntries(constants),
      range,
    }
  })
}

/** Whether `row`, `compute` and `rows` stand together as they may. */
export function* checkRowsPart(config: RowsPart, into: Table | undefined, example: string): Iterable<ConfigProblem> {
  if (config.row && config.rows) yield { path: ['rows'], message: 'stands beside `row`', hint: 'use one of them' }
  if (!config.row && !config.rows)
    yield { path: [], message: 'has neither `row` nor `rows`', hint: `say which columns get what: row: ${example}` }
  if (config.row && !into) yield { path: ['row'], message: 'has no table', hint: 'name one in the step: into: TABLE' }
  if (config.compute && config.rows)
    yield { path: ['compute'], message: 'stands beside `rows`', hint: 'put it into the entry of `rows` that it belongs to' }
}

/** That a field of a record is written without `$`, for `names` of a step type with rows. */
export function rowNames({ path, each }: RowsConfig, records: readonly string[]): KnownNames {
  const known = new Set([...records, ...Object.keys(each ?? {}), ...(each ? ['index'] : [])])
  return {
    path: [...path, 'row'],
    names: [],
    hint: (name) => (known.has(pathRoot(name)) ? `a field of the record is a path: ${name}` : undefined),
  }
}

export interface CheckRowOptions {
  readonly tables: ReadonlyMap<string, Table>
  /** What paths may begin with; undefined where nobody knows before records have come. */
  readonly roots: ReadonlySet<string> | undefined
}

/** Whether one entry of `rows` fills its table from what is there. */
export function* checkRow(rows: RowsConfig, { tables, roots }: CheckRowOptions): Iterable<ConfigProblem> {
  const table = tables.get(rows.into)
  if (!table) {
    yield {
      path: [...rows.path, 'into'],
      message: `no table ${rows.into}`,
      hint: didYouMean(rows.into, tables.keys()) ?? 'declare it in `tables`',
    }
    return
  }
  const columns = table.columns.map((column) => column.name)
  const computed = Object.keys(rows.compute ?? {})
  for (const [part, filled] of [
    ['row', Object.keys(rows.row)],
    ['compute', computed],
  ] as const) {
    for (const column of filled) {
      if (!columns.includes(column))
        yield {
          path: [...rows.path, part, column],
          message: `table ${table.name} has no column ${column}`,
          hint: didYouMean(column, columns) ?? `it has ${columns.join(', ')}`,
        }
      if (part === 'compute' && column in rows.row)
        yield { path: [...rows.path, part, column], message: 'is filled by `row` too', hint: 'keep one of them' }
    }
  }
  const missing = table.columns.filter((column) => !column.nullable && !(column.name in rows.row) && !computed.includes(column.name))
  if (missing.length > 0)
    yield {
      path: [...rows.path, 'row'],
      message: `does not fill ${missing.map((column) => column.name).join(', ')} of table ${table.name}`,
      hint: 'fill them, or let them be null: TYPE?',
    }
  const records = new Set([...(roots ?? []), ...Object.keys(rows.each ?? {}), ...(rows.each ? ['index'] : [])])
  for (const [column, field] of Object.entries(rows.row)) {
    if (isTimeField(field)) yield* checkTime(field, [...rows.path, 'row', column], table, column)
    const path = fieldPath(field)
    if (path !== undefined && roots && !records.has(pathRoot(path))) {
      yield {
        path: [...rows.path, 'row', column],
        message: `${path} begins with no call or field`,
        hint: didYouMean(pathRoot(path), records) ?? `it begins with one of ${[...records].join(', ')}`,
      }
    }
  }
  for (const [name, path] of Object.entries(rows.each ?? {})) {
    if (roots && !roots.has(pathRoot(path)))
      yield {
        path: [...rows.path, 'each', name],
        message: `${path} begins with no call or field`,
        hint: didYouMean(pathRoot(path), roots) ?? `it begins with one of ${[...roots].join(', ')}`,
      }
  }
}

function* checkTime({ path, range }: TimeField, at: ConfigProblem['path'], table: Table, name: string): Iterable<ConfigProblem> {
  const column = table.columns.find((candidate) => candidate.name === name)
  if (column && column.type.kind !== 'timestamp')
    yield {
      path: at,
      message: `states what a time is in, and ${table.name}.${name} is ${column.type.kind}`,
      hint: `declare it timestamp, or write the path alone: ${path}`,
    }
  if (referenceName(path) !== undefined)
    yield { path: [...at, 'path'], message: `is ${path}, and no path`, hint: 'write the path of a field' }
  for (const end of ['from', 'to'] as const) {
    const text = range?.[end]
    if (text !== undefined && parseInstant(text) === undefined)
      yield {
        path: [...at, 'range', end],
        message: `is no time (${JSON.stringify(text)})`,
        hint: 'write 2024-03-01 or 2024-03-01T12:00:00Z',
      }
  }
}

export interface RowMaker {
  readonly id: string
  /** Adds the rows of one item. @throws {ValueError} when a value does not fit its column. */
  make(records: Records, rows: Row[]): void
  /** The rows of one item, each made when it is asked for: for items that make very many. @throws as `make` */
  each(records: Records): Iterable<Row>
}

/** What fills each output, in their order. `times`: which times may come where a column does not say it. */
export function rowMakers(
  all: readonly RowsConfig[],
  outputs: readonly Output[],
  tables: ReadonlyMap<string, Table>,
  scope: Scope,
  times?: TimeRule,
): RowMaker[] {
  return all.map((rows, i): RowMaker => {
    // The outputs were made of the same list, and their tables are checked.
    const output = outputs[i] as Output
    const fields = Object.fromEntries(Object.entries(rows.row).filter(([column]) => output.columns.includes(column)))
    const make = compileRow(fields, output, tables.get(rows.into) as Table, scope, times)
    if (!rows.each) {
      return { id: output.id, make: (records, made) => void made.push(make(records)), each: (records) => [make(records)] }
    }
    const walk = compileEach(rows.each)
    const each = function* (records: Records) {
      for (const inner of walk(records)) yield make(inner)
    }
    return {
      id: output.id,
      make: (records, made) => {
        for (const row of each(records)) made.push(row)
      },
      each,
    }
  })
}
