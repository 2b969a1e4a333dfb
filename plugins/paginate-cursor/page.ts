import { createHash } from 'node:crypto'
import {
  type Batch,
  compileEach,
  compileField,
  compilePath,
  compileRow,
  fieldPath,
  type Getter,
  type HttpReply,
  isTimeField,
  type Json,
  pathRoot,
  type Records,
  type Row,
  type RowsConfig,
  rowsOf,
  type RunContext,
  type Table,
  type TimeField,
  timeRange,
  type Value,
} from '../../src/sdk/authors.js'
import { isTimestamp, samePath } from './check.js'
import type { Config, StoredCursor } from './config.js'
import { PageErrorError, PageShapeError } from './errors.js'
import { readTime } from './time.js'
import { saysEmpty, toldBy } from './told.js'

export type Context = RunContext<Config, StoredCursor>

/** One record of a page with what was made of it. */
export interface PageRow {
  /** Equal for records of equal key. */
  readonly key: string
  /** Microseconds UTC; undefined without `cover`. */
  readonly time: bigint | undefined
  readonly record: Json
  /** JSON pointer into the reply. */
  readonly pointer: string
  /** By output, in their order. */
  readonly made: readonly (readonly Row[])[]
}

export interface Page {
  /** As the source gave them. */
  readonly rows: readonly PageRow[]
  readonly reply: HttpReply
  /** Whether the reply says that there are more pages (`cursor.more`); undefined where nothing is declared. */
  readonly more?: boolean | undefined
  /** What of `end` the reply is. */
  readonly end?: string
  /** The refusal that was read as a page without rows. */
  readonly refused?: unknown
  /** Of a page without rows: the page before it, asked for again in between. */
  readonly before?: Page
  /** The other answer of a place that was asked for twice. */
  readonly twin?: Page
  /** Whether it was asked for by the twin of its place. */
  readonly higher?: boolean
}

/** What a unit hands over at once. */
export type PageBatch = Batch<StoredCursor>

type Maker = (records: Records, pointer: string) => Row[]

/** Turns replies into rows, each value exact in its column's type. */
export class PageReader {
  readonly #records: string
  readonly #error: Config['error']
  readonly #list: readonly string[]
  readonly #time: { readonly get: Getter; readonly path: string; readonly read: TimeReader } | undefined
  readonly #makers: readonly Maker[]
  readonly #keyColumns: readonly string[] | undefined
  readonly #mentionsItem: boolean
  /** Whether a column of JSON is filled, which keeps numbers digit for digit. */
  readonly #keepsDigits: boolean
  readonly outputs: readonly string[]

  constructor({ config, into, outputs, tables, scope }: Context) {
    const all = rowsOf(config, into)
    this.#records = config.records
    this.#error = config.error
    this.#list = config.records === '' || config.records === '.' ? [] : config.records.split('.')
    const { cover } = config
    const path = samePath(cover?.time ?? '')
    // What `row` says of the same field comes first: it is one time.
    const stated = all
      .flatMap(({ row }) => Object.entries(row))
      .find(([, field]) => isTimeField(field) && field.unit !== undefined && samePath(field.path) === path)
    this.#time = cover && { get: compilePath(path), path, read: timeReader(stated?.[1] ?? path, cover, stated?.[0]) }
    this.outputs = outputs.map(({ id }) => id)
    this.#makers = all.map((rows, i) => {
      const output = outputs[i]
      const table = tables.get(rows.into)
      if (!output || !table) throw new Error(`no output for ${rows.into}`)
      const own = Object.fromEntries(Object.entries(rows.row).filter(([column]) => output.columns.includes(column)))
      return maker({ ...rows, row: own }, table, cover, (row) => compileRow(row, output, table, scope), scope)
    })
    this.#keepsDigits = all.some(({ into: name, row }) =>
      tables.get(name)?.columns.some((column) => column.type.kind === 'json' && typeof row[column.name] === 'string'),
    )
    const key = tables.get(all[0]?.into ?? '')?.key ?? []
    const own = new Set(outputs[0]?.columns)
    const constant = new Set(Object.keys(outputs[0]?.constants ?? {}))
    const columns = key.filter((column) => !constant.has(column))
    this.#keyColumns = all[0]?.each === undefined && columns.every((column) => own.has(column)) ? columns : undefined
    this.#mentionsItem = all.some(({ row, each }) =>
      [...Object.values(row), ...Object.values(each ?? {})].some((field) => pathRoot(fieldPath(field) ?? '') === 'item'),
    )
  }

  /** @throws {PageShapeError} {PageErrorError} {PageTimeError} */
  read(reply: HttpReply): Page {
    const list = this.#listOf(reply.body)
    const exact = this.#keepsDigits ? (this.#list.reduce(fieldOf, reply.exact()) as readonly Json[]) : list
    const at = pointerOf(this.#list)
    return { reply, rows: list.map((record, i) => this.#row(record, exact[i] as Json, `${at}/${i}`)) }
  }

  #listOf(body: Json): readonly Json[] {
    const keys = this.#list
    let value: Json | undefined = body
    const there = keys.findIndex((key) => (value = fieldOf(value, key)) === undefined)
    const told = toldBy(body, value, this.#error)
    if (told) throw new PageErrorError(told.text, told.status)
    if (Array.isArray(value)) return value as readonly Json[]
    if (saysEmpty(body, this.#error)) return []
    if (value === undefined) throw new PageShapeError(pointerOf(keys.slice(0, there + 1)), `is missing (\`records: ${this.#records}\`)`)
    throw new PageShapeError(pointerOf(keys), `is ${kindOfValue(value)}, not a list of records`)
  }

  /** `exact`: the same record with the digits of its numbers. */
  #row(record: Json, exact: Json, pointer: string): PageRow {
    if (typeof record !== 'object' || record === null) throw new PageShapeError(pointer, `is ${kindOfValue(record)}, not a record`)
    // Paths pick fields of an object, and elements of a list by their number.
    const fields = record as Records
    const records: Records = this.#mentionsItem ? { ...(exact as Records), item: exact } : (exact as Records)
    let time: bigint | undefined
    if (this.#time) {
      const value = this.#time.get(fields)
      const where = pointer + pointerOf(this.#time.path.split('.'))
      if (value === undefined) throw new PageShapeError(where, 'is missing (`cover.time`)')
      time = this.#time.read(value, where)
    }
    const made = this.#makers.map((make) => make(records, pointer))
    return { key: this.#keyOf(made[0]?.[0], record), time, record, pointer, made }
  }

  #keyOf(row: Row | undefined, record: Json): string {
    const text =
      this.#keyColumns && row ? this.#keyColumns.map((column) => String(row[column] as string)).join('\u0000') : JSON.stringify(record)
    return text.length <= 100 ? text : createHash('sha256').update(text).digest('hex')
  }
}

type TimeReader = (value: unknown, pointer: string) => bigint

/** Reads a time as its field declares it, else as `cover` does, whose default is seconds. `column`: that of `row` which gets it. */
function timeReader(field: Json | TimeField, cover: Config['cover'], column: string | undefined): TimeReader {
  const { unit, range } = isTimeField(field) ? field : {}
  const bounds = timeRange(range, timeRange(cover?.range))
  const write = (part: string) =>
    column === undefined ? `cover: { ${part} }` : `row: { ${column}: { path: ${fieldPath(field) ?? ''}, ${part} } }`
  return (value, pointer) => readTime(value, unit ?? cover?.unit ?? 's', bounds, pointer, write)
}

/** Rows of one entry of `rows`. Times are read in the declared unit, everything else as its column wants it. */
function maker(
  rows: RowsConfig,
  table: Table,
  cover: Config['cover'],
  compile: (row: RowsConfig['row']) => (records: Records) => Row,
  scope: Context['scope'],
): Maker {
  const isTime = ([column, field]: [string, Json | TimeField]) =>
    fieldPath(field) !== undefined &&
    isTimestamp(table, column) &&
    (cover !== undefined || (isTimeField(field) && field.unit !== undefined))
  const entries = Object.entries(rows.row)
  const rest = compile(Object.fromEntries(entries.filter((entry) => !isTime(entry))))
  const times = entries.filter(isTime).map(([column, field]) => ({
    column,
    path: samePath(fieldPath(field) ?? ''),
    get: compileField(field, scope),
    read: timeReader(field, cover, column),
    nullable: table.columns.find(({ name }) => name === column)?.nullable === true,
  }))
  const make = (records: Records, pointer: string): Row => {
    try {
      const row = rest(records) as Record<string, Value>
      for (const { column, path, get, read, nullable } of times) {
        const value = get(records)
        const none = value === undefined || value === null
        if (none && !nullable) throw new PageShapeError(pointer + pointerOf(path.split('.')), `is ${value === null ? 'null' : 'missing'}`)
        row[column] = none ? null : read(value, pointer + pointerOf(path.split('.')))
      }
      return row
    } catch (error) {
      if (!(error instanceof Error) || ('code' in error && error.code !== 'VALUE_REFUSED')) throw error
      const missing = missingField(rows, table, records)
      throw missing ? new PageShapeError(pointer + missing.path, missing.problem) : new PageShapeError(pointer, error.message, error)
    }
  }
  if (!rows.each) return (records, pointer) => [make(records, pointer)]
  const each = compileEach(rows.each)
  return (records, pointer) => {
    try {
      return [...each(records)].map((inner) => make(inner, pointer))
    } catch (error) {
      if (error instanceof TypeError) throw new PageShapeError(pointer, error.message, error)
      throw error
    }
  }
}

/** Which required path of `row` a record does not have. */
function missingField({ row, into }: RowsConfig, table: Table, records: Records): { path: string; problem: string } | undefined {
  for (const [column, field] of Object.entries(row)) {
    const path = fieldPath(field)
    if (path === undefined || table.columns.find(({ name }) => name === column)?.nullable !== false) continue
    const value = compilePath(path)(records)
    if (value === undefined || value === null)
      return {
        path: pointerOf(samePath(path).split('.')),
        problem: `is ${value === null ? 'null' : 'missing'}, and ${into}.${column} is required`,
      }
  }
  return undefined
}

/** A field of a plain JSON object or list. */
export function fieldOf(value: Json | undefined, key: string): Json | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Readonly<Record<string, Json>>)[key]
}

/** A dotted path as a JSON pointer. */
export function pointerOf(path: readonly string[]): string {
  return path.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

function kindOfValue(value: Json | undefined): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${JSON.stringify(value)?.slice(0, 60) ?? ''}`
}

/** Rows by output. */
export function tableRows(rows: readonly PageRow[], outputs: readonly string[]): Record<string, readonly Row[]> {
  return Object.fromEntries(outputs.map((id, i) => [id, rows.flatMap(({ made }) => made[i] ?? [])]))
}

/** Our clock or the source's, whichever is behind: what the source does not know yet may still turn up. */
export function serverNow(now: bigint, { reply }: Page): bigint {
  const date = Date.parse(reply.headers.date ?? '')
  const said = Number.isNaN(date) ? now : BigInt(date) * 1000n
  return said < now ? said : now
}
