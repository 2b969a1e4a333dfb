import {
  type CheckContext,
  checkRow,
  checkRowsPart,
  type ConfigProblem,
  fieldPath,
  type Json,
  type KnownNames,
  type Output,
  pathRoot,
  rowNames,
  rowOutputs,
  type RowsConfig,
  rowsOf,
  type Table,
} from '../../src/sdk/authors.js'
import { isHeader } from './agree.js'
import { blockNames, mentionedNames } from './calls.js'
import { type CallConfig, type Config, headerCall, isBlocks } from './config.js'
import { paramProblems } from './params.js'
import { checkProof } from './provable.js'

/** Whether every height gives a row: none may be left out. */
function leavesNoneOut({ over, calls }: Config): boolean {
  return (
    isBlocks(over) && over.may_skip !== true && !Object.values(calls).some((call) => call.on_null === 'skip' || call.on_revert === 'skip')
  )
}

/** Where rows go; a redone stretch of blocks is deleted by their number. */
export function outputsOf({ config, into, tables, chain }: Pick<CheckContext<Config>, 'config' | 'into' | 'tables' | 'chain'>): Output[] {
  const all = rowsOf(config, into)
  const blocks = isBlocks(config.over)
  return rowOutputs(all, tables, chain, ({ row }, table) => (blocks ? blockColumn(row, table) : undefined)).map((output, i) =>
    leavesNoneOut(config) && all[i]?.each === undefined
      ? { ...output, oneEach: true }
      : blocks
        ? output
        : { ...output, atBlock: askedAt(config, all[i]?.row ?? {}) },
  )
}

/** The columns that hold the block that a row of a query was asked at, or was given of. */
function askedAt({ calls }: Config, row: RowsConfig['row']): string[] {
  const asked = new Set(Object.values(calls).flatMap(blockNames))
  const headers = Object.entries(calls).flatMap(([name, call]) => ('method' in call && isHeader(call.method) ? [`${name}.number`] : []))
  return Object.entries(row).flatMap(([column, field]) => {
    const path = fieldPath(field)
    return path !== undefined && (asked.has(path) || headers.includes(path) || /\.blockNumber$/.test(path)) ? [column] : []
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
  for (const [name, call] of Object.entries(config.calls)) {
    yield* checkNumbers(name, call)
    yield* checkNothing(name, call, blocks)
  }
  if (isBlocks(config.over) && config.over.may_skip === true && headerCall(config) === undefined)
    yield {
      path: ['over', 'may_skip'],
      message: 'no call reads the block of each height, so nothing can prove that there is none',
      hint: 'add a call: block: { method: eth_getBlockByNumber, params: [$number, false] }',
    }
  yield* checkProof(config, rowsOf(config, into))
  for (const rows of rowsOf(config, into)) {
    yield* checkRow(rows, { tables, roots: blocks ? known : undefined })
    yield* checkCopied(rows, config)
    yield* checkNullable(rows, config, tables.get(rows.into))
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

/** Numbers that can't be sent as the method takes them. */
export function* checkNumbers(name: string, call: CallConfig): Iterable<Required<ConfigProblem>> {
  if ('method' in call) {
    for (const [i, param] of (call.params ?? []).entries())
      yield* paramProblems(call.method, i, param as Json, ['calls', name, 'params', i])
    return
  }
  yield* paramProblems('eth_call', 1, (call.block ?? null) as Json, ['calls', name, 'block'])
  for (const [i, arg] of (call.args ?? []).entries()) yield* fractions(arg as Json, ['calls', name, 'args', i])
}

function* fractions(value: Json, path: readonly (string | number)[]): Iterable<Required<ConfigProblem>> {
  if (typeof value === 'number' && !Number.isInteger(value))
    yield { path, message: `${value} is no whole number`, hint: 'contracts know integers only: multiply by the decimals' }
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) yield* fractions(item as Json, [...path, Array.isArray(value) ? Number(key) : key])
}

function* checkNothing(name: string, call: CallConfig, blocks: boolean): Iterable<ConfigProblem> {
  for (const field of ['on_null', 'on_revert'] as const) {
    if (call[field] === 'skip' && !blocks)
      yield {
        path: ['calls', name, field],
        message: 'a row of a query is done when the table has it, so one that is skipped would be asked for in every run',
        hint: `use ${field}: null, or leave such rows out of \`over.sql\``,
      }
  }
}

/** What may be null by the file needs a column that may be. */
function* checkNullable({ row, each, path }: RowsConfig, { calls }: Config, table: Table | undefined): Iterable<ConfigProblem> {
  for (const [column, field] of Object.entries(row)) {
    const root = typeof field === 'string' ? pathRoot(field) : ''
    const call = each && root in each ? undefined : calls[root]
    const says = call?.on_null === null ? 'on_null' : 'on_revert'
    const type = table?.columns.find(({ name }) => name === column)
    if (call?.[says] === null && type?.nullable === false)
      yield {
        path: [...path, 'row', column],
        message: `is null where ${root} is, by its \`${says}: null\`, and column ${column} may not be`,
        hint: `let it be null in \`tables\`: ${type.type.kind}?`,
      }
  }
}

/** A row of a query is done when the first table has its key, and by it the rows of one are told from those of another. */
function* checkCopied({ row, path, into }: RowsConfig, { over }: Config): Iterable<ConfigProblem> {
  if (isBlocks(over)) return
  const copied = new Set(Object.values(row))
  for (const [i, key] of over.key.entries()) {
    if (!copied.has(key))
      yield {
        path: path.length === 0 ? ['over', 'key', i] : [...path, 'row'],
        message: path.length === 0 ? `${key} is copied into no column` : `copies ${key} of \`over.key\` into no column of ${into}`,
        hint: `a row is done when the table has its key: row: { COLUMN: ${key} }`,
      }
  }
}
