import {
  type CheckContext,
  checkRow,
  checkRowsPart,
  type ConfigProblem,
  fieldPath,
  type KnownNames,
  type Output,
  parseDuration,
  parseInstant,
  referenceName,
  rowNames,
  rowOutputs,
  type RowsConfig,
  rowsOf,
  type Table,
  textReferences,
} from '../../src/sdk/authors.js'
import type { Config } from './config.js'

/** What `request` may name beside params: they change from page to page. */
const PAGE_NAMES = ['cursor', 'offset', 'page', 'tie', 'start', 'end', 'size'] as const
export type PageName = (typeof PAGE_NAMES)[number]

const KINDS = ['next', 'link', 'time', 'offset', 'page', 'key'] as const
export type CursorKind = (typeof KINDS)[number] | 'window'

/** How pages follow each other. With `window`, `time` is only the unit of its bounds unless `$cursor` is asked for. */
export function kindOf({ cursor, request }: Pick<Config, 'cursor' | 'request'>): CursorKind {
  const kinds = KINDS.filter((kind) => cursor[kind] !== undefined && !(kind === 'time' && timeIsUnit({ cursor, request })))
  return kinds[0] ?? 'window'
}

/** `time` beside another cursor says what `$start` and `$end` are in. */
function timeIsUnit({ cursor, request }: Pick<Config, 'cursor' | 'request'>): boolean {
  if (KINDS.some((kind) => kind !== 'time' && cursor[kind] !== undefined)) return true
  return cursor.window !== undefined && !namesIn(request).has('cursor')
}

/** Names that a request mentions. */
export function namesIn(request: Config['request']): ReadonlySet<string> {
  const query = Object.values(request.query ?? {}).flatMap((value) => referenceName(value) ?? [])
  return new Set([...query, ...textReferences(request.path).map(({ name }) => name)])
}

/** Where rows go; what is redone of a stretch of time is deleted by the column of `cover.time`. */
export function outputsOf({ config, into, tables, chain }: Pick<CheckContext<Config>, 'config' | 'into' | 'tables' | 'chain'>): Output[] {
  return rowOutputs(rowsOf(config, into), tables, chain, ({ row }, table) => timeColumn(config, row, table))
}

/** The timestamp column that gets the time which `cover` goes by. */
function timeColumn({ cover }: Pick<Config, 'cover'>, row: RowsConfig['row'], table: Table | undefined): string | undefined {
  const time = cover && samePath(cover.time)
  return Object.entries(row).find(([column, field]) => {
    const path = fieldPath(field)
    return path !== undefined && samePath(path) === time && isTimestamp(table, column)
  })?.[0]
}

export function isTimestamp(table: Table | undefined, column: string): boolean {
  return table?.columns.find(({ name }) => name === column)?.type.kind === 'timestamp'
}

/** `item.block.time` is `block.time`. */
export const samePath = (path: string) => path.replace(/^item\./, '')

export function* namesOf({ config, into }: CheckContext<Config>): Iterable<KnownNames> {
  yield { path: ['request'], names: PAGE_NAMES }
  for (const rows of rowsOf(config, into)) yield rowNames(rows, [])
}

/** What can be said of `with` before any value is known. */
export function* checkConfig({ config, into, tables, names }: CheckContext<Config>): Iterable<ConfigProblem> {
  yield* checkRowsPart(config, into, '{ id: id, time: time }')
  for (const rows of rowsOf(config, into)) yield* checkRow(rows, { tables, roots: undefined })
  yield* checkParams(config, names)
  yield* checkCover(config, into, tables)
  yield* checkCursor(config)
  if (config.error?.ok !== undefined && config.error.path === undefined)
    yield { path: ['error', 'ok'], message: 'stands without `path`', hint: 'say where it stands: error: { path: status, ok: "1" }' }
  for (const field of ['overlap'] as const) yield* checkDuration(config[field], [field])
}

function* checkParams({ request }: Config, names: ReadonlySet<string>): Iterable<ConfigProblem> {
  for (const name of namesIn(request)) {
    if (PAGE_NAMES.includes(name as PageName) && names.has(name))
      yield { path: ['request'], message: `uses $${name}, which is also a param`, hint: 'give the param another name' }
  }
}

function* checkCover(config: Config, into: Table | undefined, tables: ReadonlyMap<string, Table>): Iterable<ConfigProblem> {
  const { cover } = config
  if (!cover) {
    if (config.cursor.time !== undefined || config.cursor.window !== undefined)
      yield {
        path: ['cursor'],
        message: 'goes by time, and there is no `cover`',
        hint: 'say what is to be covered: cover: { last: 30, time: FIELD }',
      }
    return
  }
  if ((cover.last === undefined) === (cover.from === undefined))
    yield { path: ['cover'], message: 'needs one of `last` and `from`', hint: 'last: 180 (days), or from: 2024-01-01' }
  if (cover.last !== undefined && cover.to !== undefined)
    yield { path: ['cover', 'to'], message: 'stands beside `last`, which ends now', hint: 'use `from` and `to`' }
  if (typeof cover.last === 'string' && referenceName(cover.last) === undefined) yield* checkDuration(cover.last, ['cover', 'last'])
  const ends = (['from', 'to'] as const).flatMap((end) => [
    { path: ['cover', end], value: cover[end] },
    { path: ['cover', 'range', end], value: cover.range?.[end] },
  ])
  for (const { path, value } of ends) {
    if (typeof value === 'string' && referenceName(value) === undefined && parseInstant(value) === undefined)
      yield { path, message: `is no time (${JSON.stringify(value)})`, hint: 'write 2024-03-01 or 2024-03-01T12:00:00Z' }
  }
  for (const rows of rowsOf(config, into)) {
    if (timeColumn(config, rows.row, tables.get(rows.into)) === undefined)
      yield {
        path: [...rows.path, 'row'],
        message: `maps ${cover.time} to no timestamp column`,
        hint: `a stretch of time is found again by it: row: { COLUMN: ${cover.time} }`,
      }
  }
  if (config.expect_total !== undefined)
    yield { path: ['expect_total'], message: 'counts the whole list, and `cover` takes a part of it', hint: 'leave one of them out' }
}

function* checkCursor(config: Config): Iterable<ConfigProblem> {
  const { cursor, request } = config
  const kinds = KINDS.filter((kind) => cursor[kind] !== undefined && !(kind === 'time' && timeIsUnit(config)))
  const names = namesIn(request)
  if (kinds.length > 1) yield { path: ['cursor'], message: `is ${kinds.join(' and ')} at once`, hint: 'use one of them' }
  if (kinds.length === 0 && cursor.window === undefined)
    yield { path: ['cursor'], message: 'says nothing', hint: 'one of next, link, time, offset, page, key, window' }
  const needs = (name: PageName, why: string): ConfigProblem[] =>
    names.has(name) ? [] : [{ path: ['request'], message: `does not use $${name}`, hint: `${why}: query: { NAME: $${name} }` }]
  const kind = kindOf(config)
  if (kind === 'time' || kind === 'key') yield* needs('cursor', 'the API must be told where to go on')
  if (kind === 'offset') yield* needs('offset', 'the API must be told how many rows to leave out')
  if (kind === 'page') yield* needs('page', 'the API must be told which page')
  if (cursor.window !== undefined) {
    yield* checkDuration(cursor.window, ['cursor', 'window'])
    if (kind !== 'time') yield* [...needs('start', 'a window has two ends'), ...needs('end', 'a window has two ends')]
  }
  if (cursor.ties !== undefined) {
    if (kind !== 'time') yield { path: ['cursor', 'ties'], message: 'belongs to `time`', hint: 'leave it out' }
    else yield* needs(cursor.ties === 'offset' ? 'offset' : 'tie', 'rows of one instant are read on by it')
  }
  if (cursor.optional !== undefined && kind !== 'next')
    yield { path: ['cursor', 'optional'], message: 'belongs to `next`', hint: 'leave it out' }
  if (names.has('size') && config.page_size === undefined)
    yield { path: ['request'], message: 'uses $size, and there is no `page_size`', hint: 'add it: page_size: 100' }
}

function* checkDuration(text: string | undefined, path: readonly string[]): Iterable<ConfigProblem> {
  if (text !== undefined && referenceName(text) === undefined && !parseDuration(text) && text !== '0s')
    yield { path, message: `is no duration (${JSON.stringify(text)})`, hint: 'write 60s, 12h or 1d' }
}
