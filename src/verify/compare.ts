import {
  coercer,
  type Column,
  formatInstant,
  identifier,
  isExactNumber,
  joinSql,
  type Json,
  type Output,
  type Row,
  sql,
  sqlText,
  type Statement,
  type Table,
  type Value,
  ValueError,
} from '../sdk/index.js'
import { canonicalJson } from '../pipeline/steps/fingerprint.js'
import { mod } from '../ledger/intervals.js'
import { along, blockLineOf, type Line, lineOf, numberLineOf } from './stretches.js'
import { FEW, fix, keyOf, unitOf } from './tables.js'
import { all, type Findings, outputsOf, type StepLook } from './look.js'

/** Rows made again, to be compared with those that are stored. */
export interface Again {
  readonly unit: string
  /** Rows by output. */
  readonly rows: ReadonlyMap<string, readonly Row[]>
  /** Where all stored rows of them lie: a stretch, or everything of the step. Undefined: they are looked up by key. */
  readonly within: readonly [bigint, bigint] | 'all' | undefined
  /** Of a stretch of time, the numbers that it holds, for tables whose rows say a number. */
  readonly numbers?: readonly [bigint, bigint] | undefined
  /** Whether a row that is not stored is told of elsewhere. */
  readonly lackIsTold: (outputs: readonly Output[]) => boolean
  /** Whether the database made them, with all that it computes: they are as it stores them. */
  readonly made?: true
  /** Who says so: a host, or `its SQL`. */
  readonly by: string
  /** Hosts that the stored rows came from, as the ledger names them. */
  readonly from: string | undefined
  /** The unit to reset where a row does not say of which it is. */
  readonly resets?: string | undefined
  /** What differences are found by. */
  readonly check?: 'proof'
}

export interface Compared {
  readonly rows: number
  /** Rows that differ, or that one side has alone. */
  readonly different: number
}

/** Compares row by row and column by column. */
export async function compareRows(look: StepLook, again: Again, findings: Findings): Promise<Compared> {
  let compared = 0
  let different = 0
  for (const { table, outputs } of groups(look)) {
    const [first] = outputs
    if (!first) continue
    const expected = new Map<string, Row>()
    for (const output of outputs)
      for (const row of await completed(look, again, output, table, again.rows.get(output.id) ?? [])) expected.set(keyOf(table, row), row)
    const columns = comparable(outputs, table)
    const stored = new Map<string, Row>()
    for (const found of await storedRows(look, again, first, table, columns, [...expected.values()])) {
      const row = exact(found, columns, table)
      stored.set(keyOf(table, row), row)
    }
    const differing: { key: string; row: Row; whole: boolean; column: string; before: string | undefined; now: string | undefined }[] = []
    const keys = new Set([...expected.keys(), ...stored.keys()])
    for (const key of keys) {
      const [there, made] = [stored.get(key), expected.get(key)]
      const row = there ?? made
      if (!row || (!there && again.lackIsTold(outputs))) continue
      const whole = there !== undefined && made !== undefined
      // Of a row that only one side has, the first column of the key stands for all.
      for (const { name, type } of whole ? columns : columns.filter((column) => column.name === table.key[0])) {
        const [before, now] = [there && shown(there[name], type), made && shown(made[name], type)]
        if (before !== now && !(type.kind === 'float' && near(before, now))) differing.push({ key, row, whole, column: name, before, now })
      }
    }
    compared += keys.size
    const wrong = new Set(differing.map(({ key }) => key)).size
    different += wrong
    const many = wrong > FEW
    const { by, from, check = 'sample' } = again
    for (const { key, row, whole, column, before, now } of differing) {
      const problem = whole
        ? `${column} of ${table.name} is ${before ?? 'NULL'}${from === undefined ? '' : ` (from ${from})`}, and ${by} says ${now ?? 'NULL'}`
        : before === undefined
          ? `${by} gives a row that ${table.name} does not have`
          : `${table.name} has a row that ${by} does not give`
      const unit = unitOf(look, first, table, row)
      const mend = unit === undefined && again.resets !== undefined ? look.advice.reset(again.resets) : fix(look, first, table, row, many)
      findings.add(check, problem, mend, {
        table: table.name,
        unit: unit ?? again.unit,
        key,
        difference: { column, stored: before ?? null, fetched: now ?? null, storedFrom: from ?? null, fetchedFrom: by },
      })
    }
  }
  return { rows: compared, different }
}

interface Group {
  readonly table: Table
  readonly outputs: readonly Output[]
}

/** Outputs that fill the same rows of a table, together. */
function groups(look: StepLook): Group[] {
  const found = new Map<string, { table: Table; outputs: Output[] }>()
  for (const { output, table } of outputsOf(look)) {
    const name = JSON.stringify([table.name, Object.entries(output.constants).sort()])
    const known = found.get(name)
    if (known) known.outputs.push(output)
    else found.set(name, { table, outputs: [output] })
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
async function completed({ warehouse }: StepLook, again: Again, output: Output, table: Table, rows: readonly Row[]): Promise<Row[]> {
  const brought = table.columns.filter(({ name }) => output.columns.includes(name))
  if (again.made) return rows.map((row) => ({ ...exact(row, brought, table), ...output.constants }))
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

async function storedRows(
  look: StepLook,
  { within, numbers }: Again,
  output: Output,
  table: Table,
  columns: readonly Column[],
  rows: readonly Row[],
): Promise<Row[]> {
  const line = lineOf(output, table, look.plan.wanted)
  if (within === 'all') return all(look.warehouse, select(columns, table, along({ constants: output.constants })))
  if (within && line && isWhole(line, within)) return all(look.warehouse, select(columns, table, along(line, within)))
  const numbered = numbers && numberLineOf(output, table, look.plan.wanted)
  if (numbered) return all(look.warehouse, select(columns, table, along(numbered, numbers)))
  const block = numbers && blockLineOf(output, table)
  if (block) {
    // The day of the block leaves out what need not be looked at.
    const where = [along(block, numbers), ...(within && line ? [along(line, within)] : [])]
    return all(look.warehouse, select(columns, table, joinSql(where, ' AND ')))
  }
  const key = table.columns.filter(({ name }) => table.key.includes(name))
  const found: Row[] = []
  for (let from = 0; from < rows.length; from += AT_ONCE) {
    const some = rows.slice(from, from + AT_ONCE).map((row) => {
      const equal = key.map(({ name, type }) => sql`${identifier(name)} = ${{ type, value: row[name] ?? null }}`)
      return sql`(${joinSql(equal, ' AND ')})`
    })
    found.push(...(await all(look.warehouse, select(columns, table, joinSql(some, ' OR ')))))
  }
  return found
}

const DAY_US = 86_400_000_000n

/** Whether no row of a stretch of time lies in the same place as one beside it: rows that say their day do. */
function isWhole({ type }: Line, [from, to]: readonly [bigint, bigint]): boolean {
  return type.kind !== 'date' || (mod(from, DAY_US) === 0n && mod(to + 1n, DAY_US) === 0n)
}

function select(columns: readonly Column[], table: Table, where: Statement): Statement {
  const names = columns.map(({ name }) => identifier(name))
  return sql`SELECT ${joinSql(names, ', ')} FROM ${identifier(table.name)} WHERE ${where}`
}

/** A row of the database in the form that fetched ones have. A value that its column should not hold is taken as it is. */
function exact(row: Row, columns: readonly Column[], table: Table): Row {
  const valueOf = (column: Column): Value => {
    const value = row[column.name] ?? null
    try {
      return coercer({ ...column, nullable: true }, table.name)(value)
    } catch (error) {
      if (error instanceof ValueError) return value
      throw error
    }
  }
  return Object.fromEntries(columns.map((column) => [column.name, valueOf(column)]))
}

/** A value as text; equal values give equal text. Undefined for NULL. */
function shown(value: Value | undefined, type: Column['type']): string | undefined {
  if (value === null || value === undefined) return undefined
  if (type.kind === 'timestamp' && typeof value === 'bigint') return formatInstant(value)
  // Not every database stores NUL.
  if (type.kind === 'text') return String(value as string).replaceAll('\0', '\ufffd')
  // JSON of a row holds no bigint.
  return typeof value === 'object' ? canonicalJson(value as Json) : String(value)
}

/** Sums of floats differ in their last digits with the order of their rows. */
function near(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return false
  const [x, y] = [Number(a), Number(b)]
  return Math.abs(x - y) <= 1e-9 * Math.max(Math.abs(x), Math.abs(y))
}
