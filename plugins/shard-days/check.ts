import {
  AbiTextError,
  type CheckContext,
  checkRow,
  type ConfigProblem,
  didYouMean,
  event,
  type EventDecoder,
  fieldPath,
  isTimeField,
  type KnownNames,
  type Output,
  parseDay,
  pathRoot,
  type PipeError,
  referenceName,
  rowNames,
  rowOutputs,
  type RowsConfig,
  type Table,
} from '../../src/sdk/authors.js'
import { type Config, isDays } from './config.js'
import { addressOf, topicOf } from './filters.js'
import { rowsOf } from './rows.js'

const LOG = ['address', 'topics', 'data', 'blockNumber', 'blockHash', 'transactionHash', 'transactionIndex', 'logIndex']
const EVENT_ROOTS = ['day', 'log', 'args', 'block']
const MISFIT_ROOTS = ['day', 'log', 'block', 'event', 'reason']

/** Where rows go, each with the column that tells which unit they are of. */
export function outputsOf({ config, tables, chain }: Pick<CheckContext<Config>, 'config' | 'tables' | 'chain'>): Output[] {
  const all = rowsOf(config)
  return rowOutputs(all, tables, chain, (rows, table) => placeColumn(config, rows, table)).map((output, i) => {
    const [number] = all[i] ? filledBy(all[i], tables.get(output.table), BLOCK) : []
    return number === undefined || number === output.range ? output : { ...output, number }
  })
}

const BLOCK = ['log.blockNumber', 'block.number']

/** Columns of these kinds that are filled by a field, those of the key first. */
function filledBy({ row }: RowsConfig, table: Table | undefined, wanted: readonly string[], kinds?: readonly string[]): string[] {
  const found = Object.entries(row).flatMap(([column, field]) => {
    const kind = table?.columns.find(({ name }) => name === column)?.type.kind ?? ''
    return wanted.includes(fieldPath(field) ?? '') && (kinds?.includes(kind) ?? true) ? [column] : []
  })
  const isKey = (column: string) => table?.key.includes(column) === true
  return [...found.filter(isKey), ...found.filter((column) => !isKey(column))]
}

/** The column that says a row's time or day, or its block: the `range` of the table or one of its key before others. */
function placeColumn({ over }: Config, rows: RowsConfig, table: Table | undefined): string | undefined {
  const blocks = filledBy(rows, table, BLOCK)
  // A day's rows are found by their time, by their day, or by the blocks of the day.
  const times = isDays(over)
    ? [...filledBy(rows, table, ['block.timestamp'], ['timestamp']), ...filledBy(rows, table, ['day'], ['date'])]
    : []
  const found = [...times, ...blocks]
  return found.find((column) => column === table?.range) ?? found.find((column) => table?.key.includes(column)) ?? found[0]
}

export function* namesOf({ config }: CheckContext<Config>): Iterable<KnownNames> {
  for (const rows of rowsOf(config)) yield rowNames(rows, isMisfits(rows) ? MISFIT_ROOTS : EVENT_ROOTS)
}

const isMisfits = ({ path }: RowsConfig) => path[0] === 'misfits'

/** What can be said of `with` before any value is known. */
export function* checkConfig(ctx: CheckContext<Config>): Iterable<ConfigProblem> {
  const { config, tables } = ctx
  yield* checkOver(config)
  for (const [i, each] of config.events.entries()) {
    let decoder: EventDecoder | undefined
    try {
      decoder = event(each.event)
    } catch (error) {
      if (!(error instanceof AbiTextError)) throw error
      yield { path: ['events', i, 'event'], message: error.problem, hint: error.hint }
    }
    if (decoder && each.contracts === undefined && decoder.topic0 === undefined)
      yield {
        path: ['events', i, 'event'],
        message: 'is anonymous, so that all logs of the chain would be asked for',
        hint: 'name the contracts whose logs it is looked for in: contracts: ["0x…"]',
      }
    yield* checkFilter(each, i, decoder)
    if (decoder) yield* checkPaths(each, i, decoder)
  }
  for (const rows of rowsOf(config)) {
    yield* checkRow(rows, { tables, roots: new Set(isMisfits(rows) ? MISFIT_ROOTS : EVENT_ROOTS) })
    yield* checkLogPaths(rows)
    yield* checkPlace(ctx, rows)
  }
}

function* checkOver({ over }: Config): Iterable<ConfigProblem> {
  if (!isDays(over)) {
    const { from, to } = over.blocks as { from: unknown; to: unknown }
    if (typeof from === 'number' && typeof to === 'number' && from > to)
      yield { path: ['over', 'blocks', 'from'], message: `is ${from}, after \`to\` (${to})`, hint: 'swap them' }
    return
  }
  if (!('from' in over.days)) return
  const ends = [over.days.from, over.days.to].map((text) => (referenceName(text) === undefined ? (parseDay(text) ?? 'none') : undefined))
  for (const [i, name] of (['from', 'to'] as const).entries())
    if (ends[i] === 'none') yield { path: ['over', 'days', name], message: `is no day: ${over.days[name]}`, hint: 'write it as 2024-03-01' }
  const [from, to] = ends
  if (typeof from === 'number' && typeof to === 'number' && from > to)
    yield { path: ['over', 'days', 'from'], message: `is ${over.days.from}, after \`to\` (${over.days.to})`, hint: 'swap them' }
}

/** Contracts and topics that stand in the file. Those of params are checked by `plan`. */
function* checkFilter(
  { contracts, topics = {} }: Config['events'][number],
  i: number,
  decoder: EventDecoder | undefined,
): Iterable<ConfigProblem> {
  const problem = (path: ConfigProblem['path'], check: () => unknown): ConfigProblem | undefined => {
    try {
      check()
      return undefined
    } catch (error) {
      return { path, message: (error as Error).message.trim(), hint: (error as PipeError).hint ?? '' }
    }
  }
  const isValue = (value: unknown): boolean => referenceName(value as string) === undefined
  for (const [j, contract] of [contracts ?? []].flat().entries()) {
    const found =
      isValue(contract) && problem(['events', i, 'contracts', ...(Array.isArray(contracts) ? [j] : [])], () => addressOf(contract, ''))
    if (found) yield found
  }
  const indexed = decoder?.inputs.filter((input) => input.indexed) ?? []
  for (const [key, given] of decoder ? Object.entries(topics) : []) {
    const input = indexed.find((each) => each.key === key)
    const path = ['events', i, 'topics', key]
    if (!input)
      yield {
        path,
        message: `${decoder?.name} has no indexed input ${key}`,
        hint:
          didYouMean(
            key,
            indexed.map((each) => each.key),
          ) ?? `indexed are ${indexed.map((each) => each.key).join(', ') || 'none'}`,
      }
    else
      for (const value of [given].flat()) {
        const found = isValue(value) && problem(path, () => topicOf(input, value, ''))
        if (found) yield found
      }
  }
}

/** That `args.…` names an input, and that `each` walks lists. */
function* checkPaths({ row, each = {} }: Config['events'][number], i: number, { name, inputs }: EventDecoder): Iterable<ConfigProblem> {
  const keys = inputs.map(({ key }) => key)
  const paths = [
    ...Object.entries(row).flatMap(([column, field]) => [{ at: ['row', column], path: fieldPath(field) ?? '', walked: false }]),
    ...Object.entries(each).map(([key, path]) => ({ at: ['each', key], path, walked: true })),
  ]
  for (const { at, path, walked } of paths) {
    if (pathRoot(path) !== 'args' || (pathRoot(path) in each && !walked)) continue
    const [, key, ...deeper] = path.split('.')
    const input = inputs.find((candidate) => candidate.key === key)
    if (!input)
      yield {
        path: ['events', i, ...at],
        message: `${path}: ${name} has no input ${key ?? ''}`,
        hint: didYouMean(key ?? '', keys) ?? (keys.length > 0 ? `it has ${keys.join(', ')}` : 'it has none'),
      }
    else if (walked && deeper.length === 0 && !input.type.endsWith(']'))
      yield {
        path: ['events', i, ...at],
        message: `${path} is ${input.type}, and no list`,
        hint: 'walk lists; what is none is a path of `row`',
      }
    else if (walked && input.indexed)
      yield {
        path: ['events', i, ...at],
        message: `${path} is indexed, so that a log has its hash only`,
        hint: 'its elements are not in the log',
      }
  }
}

function* checkLogPaths({ row, each = {}, path }: RowsConfig): Iterable<ConfigProblem> {
  for (const [column, field] of Object.entries(row)) {
    const text = isTimeField(field) ? field.path : fieldPath(field)
    const [root = '', key = ''] = text?.split('.') ?? []
    if (root !== 'log' || root in each || LOG.includes(key)) continue
    yield {
      path: [...path, 'row', column],
      message: `${text} is no field of a log`,
      hint: didYouMean(key, LOG) ?? `it has ${LOG.join(', ')}`,
    }
  }
}

/** Rows of a unit that is read again must be found, to be replaced. */
function* checkPlace({ config, tables }: CheckContext<Config>, rows: RowsConfig): Iterable<ConfigProblem> {
  const table = tables.get(rows.into)
  if (!table || placeColumn(config, rows, table) !== undefined) return
  yield {
    path: [...rows.path, 'row'],
    message: `no column of ${table.name} says the block of a row, by which rows of before are found when it is read again`,
    hint: 'add one to the table: block_number: bigint, and fill it: row: { block_number: log.blockNumber }',
  }
}
