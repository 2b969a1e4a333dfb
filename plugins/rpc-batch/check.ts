import {
  type CheckContext,
  checkRow,
  checkRowsPart,
  type ConfigProblem,
  type KnownNames,
  type Output,
  rowNames,
  rowOutputs,
  type RowsConfig,
  rowsOf,
  type Table,
} from '../../src/sdk/authors.js'
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

/** A call may use the number of its block, or the columns of the query, which `plan` checks, and results of other calls. */
export function* namesOf({ config, into }: CheckContext<Config>): Iterable<KnownNames> {
  const known = ['number', ...Object.keys(config.calls)]
  const blocks = isBlocks(config.over)
  yield { path: ['calls'], names: blocks ? known : 'any' }
  for (const rows of rowsOf(config, into)) yield rowNames(rows, blocks ? known : [])
}

/** What can be said of `with` before any value is known. Columns of `over.sql` are known to `plan` only. */
export function* checkConfig({ config, into, tables }: CheckContext<Config>): Iterable<ConfigProblem> {
  const calls = Object.keys(config.calls)
  yield* checkRowsPart(config, into, '{ number: block.number }')
  const blocks = isBlocks(config.over)
  if (isBlocks(config.over)) {
    const { from, to } = config.over.blocks as { from: unknown; to: unknown }
    if (typeof from === 'number' && typeof to === 'number' && from > to)
      yield { path: ['over', 'blocks', 'from'], message: `is ${from}, after \`to\` (${to})`, hint: 'swap them' }
  }
  const known = new Set([...(blocks ? ['number'] : []), ...calls])
  yield* checkCalls(config, calls, blocks)
  for (const rows of rowsOf(config, into)) {
    yield* checkRow(rows, { tables, roots: blocks ? known : undefined })
    yield* checkCopied(rows, config)
  }
}

function* checkCalls(config: Config, calls: readonly string[], blocks: boolean): Iterable<ConfigProblem> {
  for (const [i, [name, call]] of Object.entries(config.calls).entries()) {
    if (blocks && name === 'number') yield { path: ['calls', name], message: 'has the name of the block number', hint: 'use another name' }
    for (const mentioned of mentionedNames(call)) {
      const at = calls.indexOf(mentioned.split('.', 1)[0] ?? '')
      if (at >= i)
        yield {
          path: ['calls', name],
          message: `uses $${mentioned}, which is ${at === i ? 'itself' : 'asked after it'}`,
          hint: 'a call may use results of calls above it',
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
