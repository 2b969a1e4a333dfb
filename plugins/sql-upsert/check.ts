import {
  type CheckContext,
  type ConfigProblem,
  didYouMean,
  type KnownNames,
  parseDuration,
  queryProblem,
  readsOnly,
  type SqlByWarehouse,
  sqlProblem,
  sqlReferences,
  sqlTexts,
  type StepInput,
  type Table,
  tablesIn,
} from '../../src/sdk/authors.js'
import type { Config } from './config.js'

const DAY_MS = 86_400_000
const BOUNDS = ['start', 'end']
const TEXTS: ReadonlySet<string> = new Set(['text', 'address', 'hash', 'bytes'])

type Path = readonly (string | number)[]

/** `$start` and `$end` are the borders of an interval. */
export function* namesOf({ config }: CheckContext<Config>): Iterable<KnownNames> {
  if (config.interval) yield { path: ['sql'], names: BOUNDS }
  else
    yield {
      path: ['sql'],
      names: [],
      hint: (name) => (BOUNDS.includes(name) ? 'it is the border of an interval: interval: { by: 1d, of: { TABLE: COLUMN } }' : undefined),
    }
}

/** What can be said of `with` before any value is known. The columns of the SELECT are known to `plan` only. */
export function* checkConfig(context: CheckContext<Config>): Iterable<ConfigProblem> {
  const { config } = context
  for (const { text, path } of textsOf(config.sql)) yield* checkText(text, path, context)
  yield* checkInterval(context)
  yield* checkConstants(context)
  if (config.timeout !== undefined && !isDuration(config.timeout))
    yield { path: ['timeout'], message: 'is no time span', hint: 'for example 30s, 10m or 1h' }
}

/**
 * The tables that the step is computed from. With an interval those of `of`, by their times; another that the SQL names has
 * no time to go by, so a change in it touches every interval. The table that it fills is no input. Where the SQL asks each table for
 * the step's own constants, rows of others are none of its business.
 */
export function inputsOf({ config, into, tables }: Pick<CheckContext<Config>, 'config' | 'into' | 'tables'>): readonly StepInput[] {
  // The table decides what is missing.
  if (config.mode === 'rows') return []
  const named = [...new Set(sqlTexts(config.sql).flatMap((text) => tablesIn(text, tables.keys())))].filter((table) => table !== into?.name)
  const constantsOf = ownTexts({ config, tables })
  const { interval } = config
  if (!interval) return named.map((table) => ({ table, interval: 'whole', constants: constantsOf(table) }))
  const { everyUs, lookbackUs } = spanOf(interval)
  const read = (table: string, how: StepInput['interval']): StepInput => ({ table, interval: how, constants: constantsOf(table) })
  return [
    ...Object.entries(interval.of).map(([table, column]) => read(table, { column, everyUs, lookbackUs })),
    ...named.filter((table) => !Object.hasOwn(interval.of, table)).map((table) => read(table, 'every')),
  ]
}

/** Of each table the step's constants that the SQL asks it for, in every dialect. */
function ownTexts({
  config,
  tables,
}: Pick<CheckContext<Config>, 'config' | 'tables'>): (table: string) => Readonly<Record<string, string>> {
  const asked = Object.entries(config.constants ?? {}).map(([column, value]) => {
    const having = [...tables.values()].filter(({ columns }) => columns.some(({ name }) => name === column)).map(({ name }) => name)
    const all = sqlTexts(config.sql).every((text) => readsOnly(text, having, column, value))
    return { column, value, having: new Set(all ? having : []) }
  })
  return (table) => Object.fromEntries(asked.flatMap(({ column, value, having }) => (having.has(table) ? [[column, value]] : [])))
}

/** The length of an interval and of what it looks back to, in microseconds. */
export function spanOf({ by, lookback }: NonNullable<Config['interval']>): { readonly everyUs: bigint; readonly lookbackUs: bigint } {
  return { everyUs: BigInt(parseDuration(by) ?? 0) * 1000n, lookbackUs: BigInt(parseDuration(lookback ?? '0s') ?? 0) * 1000n }
}

function textsOf(sql: SqlByWarehouse): readonly { readonly text: string; readonly path: Path }[] {
  return typeof sql === 'string'
    ? [{ text: sql, path: ['sql'] }]
    : Object.entries(sql).map(([kind, text]) => ({ text, path: ['sql', kind] }))
}

function* checkText(text: string, path: Path, { config }: CheckContext<Config>): Iterable<ConfigProblem> {
  const problem = sqlProblem(text) ?? queryProblem(text)
  if (problem) {
    yield { path, message: problem.message, hint: problem.hint }
    return
  }
  const used = sqlReferences(text).map(({ name }) => name)
  if (config.interval && !used.some((name) => BOUNDS.includes(name)))
    yield {
      path,
      message: 'names neither $start nor $end, so every interval would give the same rows',
      hint: 'WHERE time >= $start AND time < $end; or leave out `interval`',
    }
}

function* checkInterval({ config, into, tables }: CheckContext<Config>): Iterable<ConfigProblem> {
  const { interval } = config
  if (!interval) return
  if (config.mode === 'rows') yield { path: ['interval'], message: 'has no use with `mode: rows`', hint: 'leave one of them out' }
  const byMs = parseDuration(interval.by)
  const at = (...rest: Path): Path => ['interval', ...rest]
  if (byMs === undefined || byMs <= 0) {
    yield { path: at('by'), message: `${JSON.stringify(interval.by)} is no time span`, hint: 'for example 1h, 1d or 7d' }
    return
  }
  const lookbackMs = interval.lookback === undefined ? 0 : parseDuration(interval.lookback)
  if (lookbackMs === undefined) {
    yield { path: at('lookback'), message: `${JSON.stringify(interval.lookback)} is no time span`, hint: 'for example 1h, 1d or 7d' }
    return
  }
  const wholeDays = byMs % DAY_MS === 0
  for (const [name, column] of Object.entries(interval.of))
    yield* checkInput(name, column, { tables, into, byMs, lookbackMs, wholeDays, path: at('of', name) })
  if (into && config.mode !== 'upsert') yield* checkRange(into, wholeDays, at())
}

interface Spans {
  readonly tables: ReadonlyMap<string, Table>
  readonly into: Table | undefined
  readonly byMs: number
  readonly lookbackMs: number
  readonly wholeDays: boolean
  readonly path: Path
}

function* checkInput(
  name: string,
  columnName: string,
  { tables, into, byMs, lookbackMs, wholeDays, path }: Spans,
): Iterable<ConfigProblem> {
  const table = tables.get(name)
  if (!table) {
    yield { path, message: `no table ${name}`, hint: didYouMean(name, tables.keys()) ?? 'declare it in `tables`' }
    return
  }
  if (table === into) yield { path, message: `${name} is the table that the step fills`, hint: 'name the tables that it is computed from' }
  const column = table.columns.find((candidate) => candidate.name === columnName)
  const times = table.columns.filter(({ type }) => type.kind === 'timestamp' || type.kind === 'date').map((each) => each.name)
  if (!column)
    yield {
      path,
      message: `table ${name} has no column ${columnName}`,
      hint: didYouMean(columnName, times) ?? `its times are ${times.join(', ') || 'none'}`,
    }
  else if (!times.includes(columnName))
    yield {
      path,
      message: `${columnName} of ${name} is ${column.type.kind}, not timestamp or date`,
      hint: times.length > 0 ? `its times are ${times.join(', ')}` : 'rows fall into intervals by a time',
    }
  else if (column.type.kind === 'date' && !wholeDays)
    yield { path, message: `${columnName} of ${name} is a date, which has no hours`, hint: 'let `by` be whole days: 1d' }
  const { retention } = table
  if (retention && retention.ms < byMs + lookbackMs)
    yield {
      path,
      message: `${name} keeps its rows for less time than one interval reads, so none could ever be computed`,
      hint: 'make `by` and `lookback` shorter, or `retention` longer',
    }
}

/** Rows of an interval are found again by a time in the table: what the SELECT no longer gives is deleted. */
function* checkRange(into: Table, wholeDays: boolean, path: Path): Iterable<ConfigProblem> {
  const range = into.columns.find(({ name }) => name === into.range)
  if (range && (range.type.kind === 'timestamp' || (range.type.kind === 'date' && wholeDays))) return
  const usable = into.columns.filter(({ type }) => type.kind === 'timestamp' || (type.kind === 'date' && wholeDays)).map(({ name }) => name)
  yield {
    path,
    message:
      range?.type.kind === 'date'
        ? `the rows of ${into.name} are told apart by ${range.name}, a date, which has no hours`
        : `the rows of ${into.name} can't be told apart by time: its range is ${range ? `${range.name}, which is ${range.type.kind}` : 'no column'}`,
    hint:
      usable.length > 0
        ? `write range: ${usable[0]} in table ${into.name}${usable.length > 1 ? ` (or ${usable.slice(1).join(', ')})` : ''}`
        : wholeDays
          ? 'give it a timestamp or date column, or use mode: upsert'
          : 'give it a timestamp column, let `by` be whole days, or use mode: upsert',
  }
}

function* checkConstants({ config, into }: CheckContext<Config>): Iterable<ConfigProblem> {
  for (const name of Object.keys(config.constants ?? {})) {
    const path = ['constants', name]
    const column = into?.columns.find((candidate) => candidate.name === name)
    if (into && !column)
      yield {
        path,
        message: `table ${into.name} has no column ${name}`,
        hint:
          didYouMean(
            name,
            into.columns.map((each) => each.name),
          ) ?? `it has ${into.columns.map((each) => each.name).join(', ')}`,
      }
    if (column && !TEXTS.has(column.type.kind))
      yield { path, message: `is ${column.type.kind}, and a constant is a text`, hint: 'use a text column' }
  }
}

const isDuration = (text: string): boolean => (parseDuration(text) ?? 0) > 0
