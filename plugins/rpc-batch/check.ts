import {
  type CheckContext,
  type ConfigProblem,
  didYouMean,
  type Json,
  type Output,
  pathRoot,
  referenceName,
  referencesIn,
  sqlReferences,
  type Table,
} from '../../src/sdk/index.js'
import { mentionedNames } from './calls.js'
import type { Config } from './config.js'

interface RowsConfig {
  readonly into: string
  readonly each?: Readonly<Record<string, string>>
  readonly row: NonNullable<Config['row']>
  readonly compute?: Readonly<Record<string, string>>
  /** Where it stands below `with`. */
  readonly path: readonly (string | number)[]
}

/** `row` and `rows` in one form. */
export function rowsOf(config: Config, into: Table | undefined): RowsConfig[] {
  if (config.rows) return config.rows.map((rows, i) => ({ ...rows, path: ['rows', i] }))
  if (config.row && into) return [{ into: into.name, row: config.row, ...(config.compute ? { compute: config.compute } : {}), path: [] }]
  return []
}

export function isBlocks(over: Config['over']): over is Extract<Config['over'], { blocks: unknown }> {
  return 'blocks' in over
}

/** One output a table, or an output for each `rows` entry where several fill one. */
export function outputsOf({ config, into, tables, chain }: Pick<CheckContext<Config>, 'config' | 'into' | 'tables' | 'chain'>): Output[] {
  const all = rowsOf(config, into)
  return all.map(({ into: table, row, compute, each }, i): Output => {
    const first = all.findIndex((other) => other.into === table)
    const constants = Object.entries(row).flatMap(([column, field]): [string, string][] =>
      field === '$chain.name' && chain ? [[column, chain.name]] : [],
    )
    const range = isBlocks(config.over) ? blockColumn(row, tables.get(table)) : undefined
    return {
      id: first === i ? table : `${table}#${i + 1}`,
      table,
      columns: Object.keys(row).filter((column) => !constants.some(([name]) => name === column)),
      compute: compute ?? {},
      constants: Object.fromEntries(constants),
      ...(range === undefined ? {} : { range }),
      ...(each === undefined && isBlocks(config.over) ? { oneEach: true } : {}),
    }
  })
}

/** The column that holds the block's number: what a redone stretch is deleted by. */
function blockColumn(row: RowsConfig['row'], table: Table | undefined): string | undefined {
  const numbers = Object.entries(row).filter(
    ([, field]) => field === 'number' || (typeof field === 'string' && /^\w+\.(number|blockNumber)$/.test(field)),
  )
  const inKey = numbers.find(([column]) => table?.key.includes(column))
  return (inKey ?? numbers[0])?.[0]
}

/** What can be said of `with` before any value is known. Columns of `over.sql` are known to `plan` only. */
export function* checkConfig({ config, into, tables, names }: CheckContext<Config>): Iterable<ConfigProblem> {
  const calls = Object.keys(config.calls)
  if (config.row && config.rows) yield { path: ['rows'], message: 'stands beside `row`', hint: 'use one of them' }
  if (!config.row && !config.rows)
    yield { path: [], message: 'has neither `row` nor `rows`', hint: 'say which columns get what: row: { number: block.number }' }
  if (config.row && !into) yield { path: ['row'], message: 'has no table', hint: 'name one in the step: into: TABLE' }
  if (config.compute && config.rows)
    yield { path: ['compute'], message: 'stands beside `rows`', hint: 'put it into the entry of `rows` that it belongs to' }
  const blocks = isBlocks(config.over)
  if (isBlocks(config.over)) {
    const { from, to } = config.over.blocks as { from: unknown; to: unknown }
    if (typeof from === 'number' && typeof to === 'number' && from > to)
      yield { path: ['over', 'blocks', 'from'], message: `is ${from}, after \`to\` (${to})`, hint: 'swap them' }
  }
  yield* checkOver(config.over, names)
  const known = new Set([...(blocks ? ['number'] : []), ...calls])
  yield* checkCalls(config, calls, known, names, blocks)
  for (const rows of rowsOf(config, into)) yield* checkRow(rows, config, tables, known, names, blocks)
}

/** Every `$name` of `over` is a param or built in: nothing else is known when the step is planned. */
function* checkOver(over: Config['over'], names: ReadonlySet<string>): Iterable<ConfigProblem> {
  const unknown = (name: string) => !names.has(name) && !names.has(name.split('.', 1)[0] ?? '')
  const problem = (path: readonly (string | number)[], name: string): ConfigProblem => ({
    path,
    message: `$${name} is not defined`,
    hint: didYouMean(name, names)?.replace('"', '"$') ?? `known here: ${[...names].map((known) => `$${known}`).join(', ')}`,
  })
  for (const { name, path } of referencesIn(over as Json)) if (unknown(name)) yield problem(['over', ...path], name)
  if (isBlocks(over)) return
  const texts = typeof over.sql === 'string' ? [over.sql] : Object.values(over.sql)
  for (const text of texts) for (const { name } of sqlReferences(text)) if (unknown(name)) yield problem(['over', 'sql'], name)
}

function* checkCalls(
  config: Config,
  calls: readonly string[],
  known: ReadonlySet<string>,
  names: ReadonlySet<string>,
  blocks: boolean,
): Iterable<ConfigProblem> {
  for (const [i, [name, call]] of Object.entries(config.calls).entries()) {
    if (blocks && name === 'number') yield { path: ['calls', name], message: 'has the name of the block number', hint: 'use another name' }
    for (const mentioned of mentionedNames(call)) {
      const root = mentioned.split('.', 1)[0] ?? ''
      const at = calls.indexOf(root)
      if (at >= i)
        yield {
          path: ['calls', name],
          message: `uses $${mentioned}, which is ${at === i ? 'itself' : 'asked after it'}`,
          hint: 'a call may use results of calls above it',
        }
      // Fields of a query are known when the warehouse has looked at it.
      else if (blocks && at < 0 && !known.has(root) && !names.has(mentioned) && !names.has(root))
        yield {
          path: ['calls', name],
          message: `$${mentioned} is not defined`,
          hint: didYouMean(root, [...known, ...names]) ?? `known here: ${[...known].map((n) => `$${n}`).join(', ')}`,
        }
    }
  }
}

function* checkRow(
  rows: RowsConfig,
  config: Config,
  tables: ReadonlyMap<string, Table>,
  known: ReadonlySet<string>,
  names: ReadonlySet<string>,
  blocks: boolean,
): Iterable<ConfigProblem> {
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
  const records = new Set([...known, ...Object.keys(rows.each ?? {}), ...(rows.each ? ['index'] : [])])
  for (const [column, field] of Object.entries(rows.row)) {
    if (typeof field !== 'string') continue
    const reference = referenceName(field)
    if (reference !== undefined) {
      if (!names.has(reference) && !names.has(reference.split('.', 1)[0] ?? ''))
        yield {
          path: [...rows.path, 'row', column],
          message: `$${reference} is not defined`,
          hint: records.has(pathRoot(reference))
            ? `a field of the record is a path: ${reference}`
            : (didYouMean(reference, names) ?? 'params and $chain are known here'),
        }
    } else if (blocks && !records.has(pathRoot(field))) {
      yield {
        path: [...rows.path, 'row', column],
        message: `${field} begins with no call or field`,
        hint: didYouMean(pathRoot(field), records) ?? `it begins with one of ${[...records].join(', ')}`,
      }
    }
  }
  for (const [name, path] of Object.entries(rows.each ?? {})) {
    if (blocks && !known.has(pathRoot(path)))
      yield {
        path: [...rows.path, 'each', name],
        message: `${path} begins with no call or field`,
        hint: didYouMean(pathRoot(path), known) ?? `it begins with one of ${[...known].join(', ')}`,
      }
  }
  if (!isBlocks(config.over) && rows.path.length === 0) {
    const copied = new Set(Object.values(rows.row))
    for (const [i, key] of config.over.key.entries()) {
      if (!copied.has(key))
        yield {
          path: ['over', 'key', i],
          message: `${key} is copied into no column`,
          hint: `a row is done when the table has its key: row: { COLUMN: ${key} }`,
        }
    }
  }
}
