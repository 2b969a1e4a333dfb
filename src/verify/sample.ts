import {
  type Batch,
  coercer,
  type Column,
  formatInstant,
  identifier,
  type InputPage,
  isExactNumber,
  isPipeError,
  joinSql,
  type Json,
  type Output,
  type Piece,
  type PlanContext,
  type Random,
  type Row,
  type RpcPool,
  type RunContext,
  sql,
  sqlText,
  type Statement,
  type Table,
  type Value,
} from '../sdk/index.js'
import { canonicalJson } from '../pipeline/fingerprint.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { parseIntervalKey } from '../plan/intervals.js'
import { KEY_COLUMN, missingCount, missingPage } from '../plan/missing.js'
import { outputTable, single } from '../plan/rows-units.js'
import type { Moment } from '../plan/scope.js'
import type { VerifiedStep } from './report.js'
import { unexpired } from './rows.js'
import { along, type Line } from './stretches.js'
import { fix, keyOf, unitOf } from './tables.js'
import { all, type Findings, linesOf, outputsOf, type StepView } from './view.js'

/** One endpoint, asked by itself. */
export interface Fetcher {
  /** As the ledger names it. */
  readonly host: string
  readonly rpc: RpcPool
}

export interface SampleOptions {
  readonly view: StepView
  readonly number: number
  readonly pipeline: Pipeline
  readonly moment: Moment
  context(): PlanContext<never>
  fetchers(step: Step): readonly Fetcher[]
  readonly random: Random
  readonly signal: AbortSignal
}

/** What is fetched again as one: a unit, or a part of a large one. */
interface Sample {
  readonly unit: string
  readonly piece: Piece
  readonly size: number
  /** Hosts that the ledger names for it. */
  readonly from: string | undefined
  readonly page: InputPage | undefined
  /** Where its stored rows lie. Undefined: they are looked up by key. */
  readonly within: readonly [bigint, bigint] | undefined
}

/** Blocks or rows of a unit that are fetched again: a larger unit is represented by a part of it. */
const PIECES = 1_000
/** Rows that a table lacks which are looked at, so that they are not fetched again. */
const LACKING = 100_000

/**
 * Fetches units again, from an endpoint that did not give them where there is one, and compares what is stored. Where
 * all endpoints gave a unit, each of them is asked.
 */
export async function sample(options: SampleOptions, findings: Findings): Promise<VerifiedStep['sampled']> {
  const { view, number, random } = options
  const { step, plan } = view
  if (plan.wanted.kind !== 'range' && plan.wanted.kind !== 'rows') {
    findings.notes.add('not sampled: its rows do not come from calls for blocks or rows')
    return { units: 0, rows: 0 }
  }
  const fetchers = options.fetchers(step)
  if (fetchers.length === 0) {
    findings.notes.add('not sampled: it has no chain')
    return { units: 0, rows: 0 }
  }
  const samples = plan.wanted.kind === 'range' ? await rangeSamples(view, number, random) : await rowsSamples(view, number, random)
  let rows = 0
  for (const chosen of samples) {
    const named = chosen.from?.split(', ') ?? []
    const others = fetchers.filter(({ host }) => !named.includes(host))
    if (others.length === 0 && fetchers.length === 1)
      findings.notes.add(`fetched again from ${fetchers[0]?.host ?? ''}, which gave it: there is no other endpoint`)
    for (const fetcher of others.length > 0 ? pick(others, 1, random) : fetchers) rows += await compare(options, chosen, fetcher, findings)
  }
  return { units: samples.length, rows }
}

async function rangeSamples(view: StepView, number: number, random: Random): Promise<Sample[]> {
  const { done, plan } = view
  const order = 'order' in plan.wanted ? plan.wanted.order : 'oldest-first'
  const alive: bigint[] = []
  for (const { line } of linesOf(view)) {
    const from = await unexpired(view, line)
    if (from === undefined) return []
    alive.push(from)
  }
  const whole = done.filter(({ unit }) => {
    const stretch = parseIntervalKey(unit)
    return stretch !== undefined && alive.every((from) => from <= stretch[0])
  })
  return pick(whole, number, random).flatMap((row) => {
    const stretch = parseIntervalKey(row.unit)
    if (!stretch) return []
    const size = Number(stretch[1] - stretch[0] + 1n)
    const from = stretch[0] + BigInt(Math.floor(random() * Math.max(1, size - PIECES + 1)))
    const to = size <= PIECES ? stretch[1] : from + BigInt(PIECES) - 1n
    const piece = { kind: 'range', from: size <= PIECES ? stretch[0] : from, to, order } as const
    return [
      {
        unit: row.unit,
        piece,
        size: Number(piece.to - piece.from + 1n),
        from: row.endpoint,
        page: undefined,
        within: [piece.from, piece.to] as const,
      },
    ]
  })
}

/** Parts of the query: of random units where their names say what they hold, else of random places in all of it. */
async function rowsSamples({ done, plan, pipeline, warehouse, ledger }: StepView, number: number, random: Random): Promise<Sample[]> {
  const { wanted } = plan
  if (wanted.kind !== 'rows') return []
  const into = outputTable(pipeline, plan.outputs, wanted)
  const hosts = [...new Set(ledger.flatMap(({ endpoint }) => endpoint?.split(', ') ?? []))].join(', ')
  const cells = done.filter(({ unit }) => parseIntervalKey(unit))
  const places =
    cells.length > 0
      ? pick(cells, number, random).map((row) => ({ unit: row.unit, from: row.endpoint, keys: parseIntervalKey(row.unit) }))
      : Array.from({ length: done.length > 0 ? number : 0 }, () => ({ unit: undefined, from: hosts, keys: undefined }))
  const samples: Sample[] = []
  for (const { unit, from, keys } of places) {
    const filter = keys ? { keys, redo: true } : { redo: true }
    const total = Number(await single(warehouse, missingCount(wanted, into, filter)))
    const skip = Math.floor(random() * Math.max(1, total - PIECES + 1))
    const page = await all(warehouse, sql`${missingPage(wanted, into, filter, PIECES)} OFFSET ${sqlText(String(skip))}`)
    // What the table lacks is a gap, and said there.
    const lacking = await all(warehouse, missingPage(wanted, into, keys ? { keys } : {}, LACKING))
    const gone = new Set(lacking.map((row) => row[KEY_COLUMN]))
    const rows = page.filter((row) => !gone.has(row[KEY_COLUMN] ?? null))
    if (rows.length === 0) continue
    const names = rows.map((row) => String(row[KEY_COLUMN]))
    samples.push({
      unit: unit ?? `${names[0] ?? ''}..${names.at(-1) ?? ''}`,
      piece: keys ? { kind: 'rows', order: wanted.order, keys, redo: true } : { kind: 'rows', order: wanted.order, redo: true },
      size: rows.length,
      from,
      page: { keys: names, rows },
      within: undefined,
    })
  }
  return samples
}

/** Runs the step for a sample and compares. Resolves to how many rows were. */
async function compare(options: SampleOptions, chosen: Sample, { host, rpc }: Fetcher, findings: Findings): Promise<number> {
  const { view, moment, signal } = options
  const { step, advice } = view
  const context: RunContext<never, never> = {
    ...options.context(),
    unit: { key: chosen.unit, piece: chosen.piece, size: chosen.size },
    cursor: undefined,
    input: () => pages(chosen.page),
    rpc,
    get http(): never {
      throw new Error('a sample asks endpoints of a chain only')
    },
    head: () => moment.head(step.chain ?? ''),
    turn: () => true,
    signal,
  }
  const fetched = new Map<string, Row[]>()
  try {
    for await (const batch of step.definition.run(context)) {
      signal.throwIfAborted()
      collect(batch as Batch, fetched)
      for (const { key, error } of batch.failed ?? [])
        findings.add('sample', `could not be fetched again from ${host}: ${error.message}`, [advice.run()], { unit: chosen.unit, key })
    }
    return await compareRows(view, chosen, host, fetched, findings)
  } catch (error) {
    signal.throwIfAborted()
    if (!isPipeError(error)) throw error
    findings.add(
      'sample',
      `could not be fetched again from ${host}: ${error.message}`,
      error.hint === undefined ? [] : [`# ${error.hint}`],
      {
        unit: chosen.unit,
      },
    )
    return 0
  }
}

function collect(batch: Batch, fetched: Map<string, Row[]>): void {
  for (const [id, rows] of Object.entries(batch.rows ?? {})) {
    const known = fetched.get(id)
    if (known) for (const row of rows) known.push(row)
    else fetched.set(id, [...rows])
  }
}

async function compareRows(
  view: StepView,
  chosen: Sample,
  host: string,
  fetched: ReadonlyMap<string, readonly Row[]>,
  findings: Findings,
): Promise<number> {
  let compared = 0
  for (const { table, outputs, line } of groups(view)) {
    const [first] = outputs
    if (!first) continue
    const expected = new Map<string, Row>()
    for (const output of outputs)
      for (const row of await completed(view, output, table, fetched.get(output.id) ?? [])) expected.set(keyOf(table, row), row)
    const columns = comparable(outputs, table)
    const stored = new Map(
      (chosen.within && line
        ? await all(view.warehouse, select(columns, table, along(line, chosen.within)))
        : await storedByKey(view, columns, table, [...expected.values()])
      ).map((row) => [keyOf(table, exact(row, columns, table)), exact(row, columns, table)] as const),
    )
    for (const key of new Set([...expected.keys(), ...stored.keys()])) {
      const [there, wanted] = [stored.get(key), expected.get(key)]
      compared++
      const about = (row: Row) => ({ table: table.name, unit: unitOf(view, first, table, row) ?? chosen.unit, key })
      // Said where the ledger is compared with the table.
      if (!there && (!chosen.within || outputs.every((output) => output.oneEach))) continue
      const row = there ?? wanted
      if (!row) continue
      for (const { name, type } of there && wanted ? columns : table.columns.filter((column) => column.name === table.key[0])) {
        const [before, now] = [there && shown(there[name], type), wanted && shown(wanted[name], type)]
        if (before === now) continue
        const difference = {
          column: name,
          stored: before ?? null,
          fetched: now ?? null,
          storedFrom: chosen.from ?? null,
          fetchedFrom: host,
        }
        const problem =
          there && wanted
            ? `${name} of ${table.name} is ${before ?? 'NULL'}${chosen.from === undefined ? '' : ` (from ${chosen.from})`}, and ${host} says ${now ?? 'NULL'}`
            : there
              ? `${table.name} has a row that ${host} does not give`
              : `${host} gives a row that ${table.name} does not have`
        findings.add('sample', problem, fix(view, first, table, row), { ...about(row), difference })
      }
    }
  }
  return compared
}

interface Group {
  readonly table: Table
  readonly outputs: readonly Output[]
  readonly line: Line | undefined
}

/** Outputs that fill the same rows of a table, together. */
function groups(view: StepView): Group[] {
  const lines = linesOf(view)
  const found = new Map<string, { table: Table; outputs: Output[]; line: Line | undefined }>()
  for (const { output, table } of outputsOf(view)) {
    const name = JSON.stringify([table.name, Object.entries(output.constants).sort()])
    const known = found.get(name)
    if (known) known.outputs.push(output)
    else found.set(name, { table, outputs: [output], line: lines.find(({ outputs }) => outputs.includes(output))?.line })
  }
  return [...found.values()]
}

/** What rows bring, exact computed columns, and the key: all that must be the same when it is made again. */
function comparable(outputs: readonly Output[], table: Table): readonly Column[] {
  return table.columns.filter(
    ({ name, type }) =>
      table.key.includes(name) ||
      outputs.every(
        (output) => output.columns.includes(name) || name in output.constants || (name in output.compute && isExactNumber(type)),
      ),
  )
}

const AT_ONCE = 50

/** Rows as they would be stored: exact, with constants, and with what the warehouse computes. */
async function completed({ warehouse }: StepView, output: Output, table: Table, rows: readonly Row[]): Promise<Row[]> {
  const brought = table.columns.filter(({ name }) => output.columns.includes(name))
  const exactly = brought.map((column) => [column, coercer(column, table.name)] as const)
  const made = rows.map((row) => ({
    ...Object.fromEntries(exactly.map(([{ name }, make]) => [name, make(row[name])])),
    ...output.constants,
  }))
  const computed = table.columns.filter(({ name }) => name in output.compute)
  if (computed.length === 0) return made
  const result: Row[] = []
  for (let from = 0; from < made.length; from += AT_ONCE) {
    const some = made.slice(from, from + AT_ONCE)
    const sources = some.map((row: Row, i) => {
      const values = [
        ...brought.map(({ name, type }) => sql`${{ type, value: row[name] ?? null }} AS ${identifier(name)}`),
        ...Object.entries(output.constants).map(([name, value]) => sql`${{ type: { kind: 'text' }, value }} AS ${identifier(name)}`),
      ]
      return sql`SELECT ${sqlText(String(i))} AS pipe_i${values.length > 0 ? sql`, ${joinSql(values, ', ')}` : sqlText('')}`
    })
    const expressions = computed.map(
      ({ name }) => sql`${sqlText(`(${output.compute[name] ?? 'NULL'}\n)`)} AS ${identifier(`pipe_${name}`)}`,
    )
    const query = sql`SELECT pipe_i, ${joinSql(expressions, ', ')} FROM (${joinSql(sources, ' UNION ALL ')}) AS pipe_row`
    for (const found of await all(warehouse, query)) {
      const row = some[Number(found.pipe_i)]
      const values = computed.map((column) => [
        column.name,
        coercer({ ...column, nullable: true }, table.name)(found[`pipe_${column.name}`]),
      ])
      if (row) result.push({ ...row, ...(Object.fromEntries(values) as Row) })
    }
  }
  return result
}

async function storedByKey(view: StepView, columns: readonly Column[], table: Table, rows: readonly Row[]): Promise<Row[]> {
  const key = table.columns.filter(({ name }) => table.key.includes(name))
  const found: Row[] = []
  for (let from = 0; from < rows.length; from += AT_ONCE) {
    const some = rows.slice(from, from + AT_ONCE).map((row) => {
      const equal = key.map(({ name, type }) => sql`${identifier(name)} = ${{ type, value: row[name] ?? null }}`)
      return sql`(${joinSql(equal, ' AND ')})`
    })
    found.push(...(await all(view.warehouse, select(columns, table, joinSql(some, ' OR ')))))
  }
  return found
}

function select(columns: readonly Column[], table: Table, where: Statement): Statement {
  const names = columns.map(({ name }) => identifier(name))
  return sql`SELECT ${joinSql(names, ', ')} FROM ${identifier(table.name)} WHERE ${where}`
}

/** A stored row in the form that fetched ones have. */
function exact(row: Row, columns: readonly Column[], table: Table): Row {
  return Object.fromEntries(columns.map((column) => [column.name, coercer({ ...column, nullable: true }, table.name)(row[column.name])]))
}

/** A value as text; equal values give equal text. Undefined for NULL. */
function shown(value: Value | undefined, type: Column['type']): string | undefined {
  if (value === null || value === undefined) return undefined
  if (type.kind === 'timestamp') return formatInstant(value as bigint)
  // JSON of a row holds no bigint.
  return typeof value === 'object' ? canonicalJson(value as Json) : String(value)
}

/** So many of a list, each at most once, by chance. */
function pick<T>(list: readonly T[], number: number, random: Random): T[] {
  const rest = [...list]
  return Array.from({ length: Math.min(number, rest.length) }, () => rest.splice(Math.floor(random() * rest.length), 1)[0] as T)
}

async function* pages(page: InputPage | undefined): AsyncIterable<InputPage> {
  await Promise.resolve()
  if (!page) throw new Error('this unit has no input')
  yield page
}
