import {
  type CheckContext,
  checkRow,
  checkRowsPart,
  type ConfigProblem,
  didYouMean,
  type Json,
  type Output,
  referencesIn,
  rowOutputs,
  type RowsConfig,
  rowsOf,
  sqlReferences,
  type Table,
} from '../../src/sdk/index.js'
import { mentionedNames } from './calls.js'
import type { Config } from './config.js'

export function isBlocks(over: Config['over']): over is Extract<Config['over'], { blocks: unknown }> {
  return 'blocks' in over
}

/** Where rows go; a redone stretch of blocks is deleted by their number. */
export function outputsOf({ config, into, tables, chain }: Pick<CheckContext<Config>, 'config' | 'into' | 'tables' | 'chain'>): Output[] {
  const all = rowsOf(config, into)
  const blocks = isBlocks(config.over)
  return rowOutputs(all, tables, chain, ({ row }, table) => (blocks ? blockColumn(row, table) : undefined)).map((output, i) =>
    blocks && all[i]?.each === undefined ? { ...output, oneEach: true } : output,
  )
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
  yield* checkRowsPart(config, into, '{ number: block.number }')
  const blocks = isBlocks(config.over)
  if (isBlocks(config.over)) {
    const { from, to } = config.over.blocks as { from: unknown; to: unknown }
    if (typeof from === 'number' && typeof to === 'number' && from > to)
      yield { path: ['over', 'blocks', 'from'], message: `is ${from}, after \`to\` (${to})`, hint: 'swap them' }
  }
  yield* checkOver(config.over, names)
  const known = new Set([...(blocks ? ['number'] : []), ...calls])
  yield* checkCalls(config, calls, known, names, blocks)
  for (const rows of rowsOf(config, into)) {
    yield* checkRow(rows, { tables, roots: blocks ? known : undefined, names })
    yield* checkCopied(rows, config)
  }
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

/** A row of a query is done when the table has its key, so the key must be copied. */
function* checkCopied(rows: RowsConfig, config: Config): Iterable<ConfigProblem> {
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
