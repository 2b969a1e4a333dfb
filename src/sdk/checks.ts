import { type Static, Type } from '@sinclair/typebox'
import { formatInstant } from './calendar.js'
import { sqlFor, sqlTexts } from './dialect.js'
import { parseDuration } from './duration.js'
import { isPipeError, PipeError } from './errors.js'
import { isNumber, meets, parseExpectation } from './expectation.js'
import { referenceName } from './names.js'
import { bindSql, sqlProblem } from './references.js'
import type { CheckResult, CheckSample, ConfigProblem, RunContext } from './step.js'
import type { ResultColumn } from './stores.js'
import { queryProblem, tablesIn } from './sql-tables.js'
import { type ColumnType, type Row, sql, sqlText, type Statement, type Table, type Value } from './values.js'

const query = (description: string) =>
  Type.Union([Type.String(), Type.Record(Type.String(), Type.String())], { references: 'sql', description })

const expectation = (description: string) => Type.Union([Type.Number(), Type.String()], { description })

/** JSON Schema of a list of checks, as a gate and a part of a rebuild have it. */
export const checksSchema = Type.Array(
  Type.Object(
    {
      name: Type.String({ minLength: 1, description: 'What holds when the check passes, in words.' }),
      sql: query('Query that gives one number.'),
      expect: expectation(
        'What the number must be: `0`, `">= 80"`, `"< 5"`, `"between 1 and 5"`; a `%` behind it says no more than it reads.',
      ),
      while_running: Type.Optional(expectation('What is expected of it while the needs still run.')),
      severity: Type.Optional(
        Type.Union([Type.Literal('error'), Type.Literal('warn')], {
          default: 'error',
          description: '`warn` reports and leaves the gate open.',
        }),
      ),
      sample: Type.Optional(
        query('Query of the rows at fault: when the check does not pass, the first 20 of them are kept with its result.'),
      ),
      timeout: Type.Optional(Type.String({ default: '10m', description: 'Longest time that each of its queries may take.' })),
    },
    { additionalProperties: false },
  ),
  { minItems: 1, description: 'All of them must pass.' },
)

export type Check = Static<typeof checksSchema>[number]

/** A check can't be evaluated as it is written. Found before anything is fetched. */
export class CheckRefusedError extends PipeError {
  readonly code = 'CHECK_REFUSED'
  override readonly hint: string
  constructor(check: string, problem: string, hint: string, cause?: unknown) {
    super(`check ${JSON.stringify(check)}: ${problem}`, { cause })
    this.hint = hint
  }
}

const EXPECTATIONS = 'a number, or one of "= 0", ">= 80", "< 5", "between 1 and 5"; a $name stands alone: the sign belongs into its value'
const DURATIONS = 'for example 30s or 10m'

/**
 * What is wrong with checks beyond their schema. Paths begin at the list.
 *
 * @param shadows Names of tables `<table>__next` that a rebuild has made by then; nobody else may read one.
 */
export function* checkProblems(
  checks: readonly Check[],
  { tables, shadows = [] }: { readonly tables: ReadonlyMap<string, Table>; readonly shadows?: Iterable<string> },
): Iterable<ConfigProblem> {
  const known = new Set([...tables.keys(), ...shadows])
  const hidden = [...tables.keys()].map((table) => `${table}__next`).filter((shadow) => !known.has(shadow))
  const names = new Set<string>()
  for (const [i, check] of checks.entries()) {
    if (names.has(check.name))
      yield { path: [i, 'name'], message: `two checks are named ${JSON.stringify(check.name)}`, hint: 'each result is known by its name' }
    names.add(check.name)
    for (const field of ['expect', 'while_running'] as const) {
      const wanted = check[field]
      if (wanted !== undefined && referenceName(wanted) === undefined && parseExpectation(wanted) === undefined)
        yield { path: [i, field], message: `${JSON.stringify(String(wanted))} is no expectation`, hint: EXPECTATIONS }
    }
    const { timeout } = check
    if (timeout !== undefined && referenceName(timeout) === undefined && !parseDuration(timeout))
      yield { path: [i, 'timeout'], message: 'is no duration', hint: DURATIONS }
    for (const field of ['sql', 'sample'] as const)
      for (const text of sqlTexts(check[field] ?? {})) {
        const problem = sqlProblem(text) ?? queryProblem(text)
        if (problem) yield { path: [i, field], message: problem.message, hint: problem.hint }
        for (const shadow of tablesIn(text, hidden))
          yield {
            path: [i, field],
            message: `reads ${shadow}, which is there only while a rebuild makes it`,
            hint: 'a part of the rebuild may hold checks',
          }
      }
  }
}

/** What evaluating a check takes. */
export type CheckPorts = Pick<RunContext<unknown, unknown>, 'scope' | 'warehouse' | 'signal'>

/**
 * Prepares every query of checks whose params are put in: a typo must not wait for the end of a backfill.
 *
 * @throws {PipeError}
 */
export async function describeChecks(checks: readonly Check[], ports: Omit<CheckPorts, 'signal'>): Promise<void> {
  for (const check of checks) {
    for (const wanted of [check.expect, check.while_running])
      if (wanted !== undefined && parseExpectation(wanted) === undefined)
        throw new CheckRefusedError(check.name, `${JSON.stringify(String(wanted))} is no expectation`, EXPECTATIONS)
    if (check.timeout !== undefined && !parseDuration(check.timeout))
      throw new CheckRefusedError(check.name, `timeout ${JSON.stringify(check.timeout)} is no duration`, DURATIONS)
    for (const field of ['sql', 'sample'] as const)
      try {
        const statement = statementOf(check, field, ports)
        if (statement) await ports.warehouse.describe(statement)
      } catch (error) {
        if (!isPipeError(error) || error.blame === 'outage') throw error
        throw new CheckRefusedError(check.name, `${field}: ${error.message}`, error.hint ?? 'mend the query', error)
      }
  }
}

/** Evaluates checks one after the other; see `evaluateCheck`. */
export async function evaluateChecks(checks: readonly Check[], ports: CheckPorts, early = false): Promise<CheckResult[]> {
  const results: CheckResult[] = []
  for (const check of checks) results.push(await evaluateCheck(check, ports, early))
  return results
}

/**
 * Asks for the number of a check and compares it. What it meets on the way (an error of the SQL, its timeout, no number) is a
 * result that did not pass, with its words.
 *
 * @param early While the needs still run: `while_running` counts where it is there.
 * @throws when the signal is aborted, and what is no `PipeError`.
 */
export async function evaluateCheck(check: Check, ports: CheckPorts, early = false): Promise<CheckResult> {
  const wanted = (early ? check.while_running : undefined) ?? check.expect
  const { name, severity = 'error' } = check
  const base = { name, severity, expect: String(wanted), sql: sqlFor(check.sql, ports.warehouse.kind, 'sql') }
  try {
    const { value, problem } = await askNumber(check, ports)
    const expected = parseExpectation(wanted)
    const passed = value !== null && expected !== undefined && meets(value, expected) === true
    return { ...base, passed, value, problem, sample: passed ? undefined : await sampled(check, ports) }
  } catch (error) {
    if (ports.signal.aborted || !isPipeError(error)) throw error
    return { ...base, passed: false, value: null, problem: error.message }
  }
}

/** Types whose values are numbers. Postgres' `numeric` without a scale reads back as int256, with its fraction. */
const NUMBERS: ReadonlySet<ColumnType['kind']> = new Set(['int', 'bigint', 'int256', 'uint256', 'decimal', 'float'])

/** The one number that a query gives, as exact text, or why there is none. */
async function askNumber(check: Check, ports: CheckPorts): Promise<{ readonly value: string | null; readonly problem?: string }> {
  const none = (problem: string) => ({ value: null, problem })
  const { columns, rows } = await firstRows(statementOf(check, 'sql', ports), 2, check, ports)
  const [column] = columns
  if (!column || columns.length !== 1) return none(`gave ${columns.length} columns, one is wanted`)
  if (rows.length !== 1) return none(rows.length === 0 ? 'gave no row, one is wanted' : 'gave more than one row, one is wanted')
  const [value = null] = Object.values(rows[0] ?? {})
  if (value === null) return none('gave NULL')
  const text = textOf(value, column)
  if (!NUMBERS.has(column.type.kind)) return none(`gave ${JSON.stringify(shortened(text))} of type ${column.sqlType}, which is no number`)
  return isNumber(text) ? { value: text } : none(`gave ${shortened(text)}, which is no number`)
}

const SAMPLE_ROWS = 20
const SAMPLE_TEXT = 1_000
/** Characters of a whole sample. */
const SAMPLE_SIZE = 16_000

/** The first rows of the `sample` of a check. That it can't be read is said and changes nothing of the result. */
async function sampled(check: Check, ports: CheckPorts): Promise<CheckSample | undefined> {
  const statement = statementOf(check, 'sample', ports)
  if (!statement) return undefined
  try {
    const { columns, rows } = await firstRows(statement, SAMPLE_ROWS + 1, check, ports)
    const kept: Record<string, string | null>[] = []
    let size = 0
    for (const row of rows.slice(0, SAMPLE_ROWS)) {
      const texts = Object.entries(row).map(([name, value], i): [string, string | null] => [
        name,
        value === null ? null : shortened(textOf(value, columns[i])),
      ])
      size += texts.reduce((sum, [name, text]) => sum + name.length + (text?.length ?? 0), 0)
      if (size > SAMPLE_SIZE) break
      kept.push(Object.fromEntries(texts))
    }
    return { rows: kept, more: rows.length > kept.length }
  } catch (error) {
    if (ports.signal.aborted || !isPipeError(error)) throw error
    return { rows: [], more: false, problem: error.message }
  }
}

const TIMEOUT_MS = 600_000

/** The first rows of a query with its columns; the warehouse makes no more of them than are asked for. */
async function firstRows(statement: Statement | undefined, most: number, { timeout }: Check, { warehouse, signal }: CheckPorts) {
  if (!statement) return { columns: [], rows: [] }
  const columns = await warehouse.describe(statement)
  const limited: Statement = sql`SELECT * FROM (${statement}
) AS checked LIMIT ${sqlText(String(most))}`
  const rows: Row[] = []
  for await (const page of warehouse.query(limited, { signal, timeoutMs: parseDuration(timeout ?? '') ?? TIMEOUT_MS }))
    for (const row of page) rows.push(row)
  return { columns, rows }
}

function statementOf(check: Check, field: 'sql' | 'sample', { scope, warehouse }: Omit<CheckPorts, 'signal'>): Statement | undefined {
  const text = check[field]
  return text === undefined ? undefined : bindSql(sqlFor(text, warehouse.kind, field), scope)
}

/** A value as exact text: instants in ISO 8601, lists and objects as JSON. */
function textOf(value: Exclude<Value, null>, column: ResultColumn | undefined): string {
  if (column?.type.kind === 'timestamp' && typeof value === 'bigint') return formatInstant(value)
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** A text that fits a report; what is left out is counted. */
function shortened(text: string): string {
  return text.length <= SAMPLE_TEXT ? text : `${text.slice(0, SAMPLE_TEXT)}… (${text.length} characters)`
}
