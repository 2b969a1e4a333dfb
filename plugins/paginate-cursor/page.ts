import { createHash } from 'node:crypto'
import {
  compileEach,
  compileField,
  compilePath,
  compileRow,
  type Getter,
  type HttpReply,
  type Json,
  pathRoot,
  type Records,
  referenceName,
  type Row,
  type RowsConfig,
  rowsOf,
  type RunContext,
  type Table,
  type Value,
} from '../../src/sdk/authors.js'
import { isTimestamp, samePath } from './check.js'
import type { Config, StoredCursor } from './config.js'
import { PageErrorError, PageShapeError } from './errors.js'
import { readTime } from './time.js'

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
}

type Maker = (records: Records, pointer: string) => Row[]

/** Turns replies into rows, each value exact in its column's type. */
export class PageReader {
  readonly #records: string
  readonly #list: readonly string[]
  readonly #time: { readonly get: Getter; readonly path: string } | undefined
  readonly #unit: NonNullable<NonNullable<Config['cover']>['unit']>
  readonly #makers: readonly Maker[]
  readonly #keyColumns: readonly string[] | undefined
  readonly #mentionsItem: boolean
  readonly outputs: readonly string[]

  constructor({ config, into, outputs, tables, scope }: Context) {
    const all = rowsOf(config, into)
    this.#records = config.records
    this.#list = config.records === '' || config.records === '.' ? [] : config.records.split('.')
    this.#time = config.cover && { get: compilePath(samePath(config.cover.time)), path: samePath(config.cover.time) }
    this.#unit = config.cover?.unit ?? 's'
    this.outputs = outputs.map(({ id }) => id)
    const times = config.cover ? this.#unit : undefined
    this.#makers = all.map((rows, i) => {
      const output = outputs[i]
      const table = tables.get(rows.into)
      if (!output || !table) throw new Error(`no output for ${rows.into}`)
      const own = Object.fromEntries(Object.entries(rows.row).filter(([column]) => output.columns.includes(column)))
      return maker({ ...rows, row: own }, table, times, (row) => compileRow(row, output, table, scope), scope)
    })
    const key = tables.get(all[0]?.into ?? '')?.key ?? []
    const own = new Set(outputs[0]?.columns)
    const constant = new Set(Object.keys(outputs[0]?.constants ?? {}))
    const columns = key.filter((column) => !constant.has(column))
    this.#keyColumns = all[0]?.each === undefined && columns.every((column) => own.has(column)) ? columns : undefined
    this.#mentionsItem = all.some(({ row, each }) =>
      [...Object.values(row), ...Object.values(each ?? {})].some((field) => typeof field === 'string' && pathRoot(field) === 'item'),
    )
  }

  /** @throws {PageShapeError} {PageErrorError} {PageTimeError} */
  read(reply: HttpReply): Page {
    const list = this.#listOf(reply.body)
    const at = pointerOf(this.#list)
    return { reply, rows: list.map((record, i) => this.#row(record, `${at}/${i}`)) }
  }

  #listOf(body: Json): readonly Json[] {
    const reported = reportedError(body)
    let value: Json | undefined = body
    for (const [i, key] of this.#list.entries()) {
      const next: Json | undefined = fieldOf(value, key)
      if (next === undefined) {
        if (reported !== undefined) throw new PageErrorError(reported)
        throw new PageShapeError(pointerOf(this.#list.slice(0, i + 1)), `is missing (\`records: ${this.#records}\`)`)
      }
      value = next
    }
    if (reported !== undefined) throw new PageErrorError(reported)
    if (!Array.isArray(value)) throw new PageShapeError(pointerOf(this.#list), `is ${kindOfValue(value)}, not a list of records`)
    return value as readonly Json[]
  }

  #row(record: Json, pointer: string): PageRow {
    if (typeof record !== 'object' || record === null) throw new PageShapeError(pointer, `is ${kindOfValue(record)}, not a record`)
    // Paths pick fields of an object, and elements of a list by their number.
    const fields = record as Records
    const records: Records = this.#mentionsItem ? { ...fields, item: record } : fields
    let time: bigint | undefined
    if (this.#time) {
      const value = this.#time.get(fields)
      const where = pointer + pointerOf(this.#time.path.split('.'))
      if (value === undefined) throw new PageShapeError(where, 'is missing (`cover.time`)')
      time = readTime(value, this.#unit, where)
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

/** Rows of one entry of `rows`. Times are read in the declared unit, everything else as its column wants it. */
function maker(
  rows: RowsConfig,
  table: Table,
  unit: 's' | 'ms' | 'iso' | undefined,
  compile: (row: RowsConfig['row']) => (records: Records) => Row,
  scope: Context['scope'],
): Maker {
  const isTime = ([column, field]: [string, unknown]) =>
    unit !== undefined && typeof field === 'string' && referenceName(field) === undefined && isTimestamp(table, column)
  const entries = Object.entries(rows.row)
  const rest = compile(Object.fromEntries(entries.filter((entry) => !isTime(entry))))
  const times = entries.filter(isTime).map(([column, field]) => ({
    column,
    path: samePath(String(field)),
    get: compileField(field, scope),
    nullable: table.columns.find(({ name }) => name === column)?.nullable === true,
  }))
  const make = (records: Records, pointer: string): Row => {
    try {
      const row = rest(records) as Record<string, Value>
      for (const { column, path, get, nullable } of times) {
        const value = get(records)
        const none = value === undefined || value === null
        if (none && !nullable) throw new PageShapeError(pointer + pointerOf(path.split('.')), `is ${value === null ? 'null' : 'missing'}`)
        row[column] = none ? null : readTime(value, unit ?? 's', pointer + pointerOf(path.split('.')))
      }
      return row
    } catch (error) {
      if (!(error instanceof Error) || ('code' in error && error.code !== 'VALUE_REFUSED')) throw error
      const missing = missingField(rows, table, records)
      throw missing ? new PageShapeError(pointer + missing.path, missing.problem, error) : new PageShapeError(pointer, error.message, error)
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
    if (typeof field !== 'string' || referenceName(field) !== undefined) continue
    if (table.columns.find(({ name }) => name === column)?.nullable !== false) continue
    const value = compilePath(field)(records)
    if (value === undefined || value === null)
      return {
        path: pointerOf(samePath(field).split('.')),
        problem: `is ${value === null ? 'null' : 'missing'}, and ${into}.${column} is required`,
      }
  }
  return undefined
}

/** What a reply says went wrong, when it does. */
function reportedError(body: Json): string | undefined {
  for (const name of ['error', 'errors'] as const) {
    const error = fieldOf(body, name)
    if (error === undefined || error === null || error === false || error === '' || (Array.isArray(error) && error.length === 0)) continue
    const text = typeof error === 'string' ? error : JSON.stringify(error)
    return text.length > 200 ? `${text.slice(0, 199)}…` : text
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
