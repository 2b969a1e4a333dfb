import {
  type Column,
  identifier,
  isExactNumber,
  joinSql,
  type LedgerRow,
  type Output,
  quoteIdentifier,
  type Row,
  sql,
  sqlText,
  type Statement,
  type Table,
  type Value,
} from '../sdk/index.js'
import { rowStretch } from '../ledger/axis.js'
import { numbersOf } from '../ledger/coverage.js'
import { along, lineOf, numberLineOf, placeOf } from './stretches.js'
import { all, type Findings, MOST, outputsOf, rowsWord, type StepLook, unitAt } from './look.js'

/** Checks the rows of the step themselves. `unkeyed`: tables of which the database does not see to it that a key is there once. */
export async function checkTables(look: StepLook, unkeyed: ReadonlySet<string>, findings: Findings): Promise<void> {
  const seen = new Set<string>()
  for (const { output, table } of outputsOf(look)) {
    const own = JSON.stringify([table.name, Object.entries(output.constants).sort()])
    if (!seen.has(own)) {
      await findNulls(look, output, table, findings)
      if (unkeyed.has(table.name)) await findDuplicates(look, output, table, findings)
    }
    seen.add(own)
    await findMiscomputed(look, output, table, findings)
  }
}

async function findNulls(look: StepLook, output: Output, table: Table, findings: Findings): Promise<void> {
  const required = table.columns.filter(({ nullable }) => !nullable)
  const isNull = (column: Column) => sql`${identifier(column.name)} IS NULL`
  if (required.length === 0) return
  const rows = await rowsWhere(look, output, table, joinSql(required.map(isNull), ' OR '), required)
  for (const row of rows) {
    const empty = required.filter(({ name }) => row[name] === null).map(({ name }) => name)
    findings.add(
      'null',
      `${empty.join(', ')} of ${table.name} ${empty.length === 1 ? 'is' : 'are'} null and required`,
      fix(look, output, table, row, rows.length > FEW),
      {
        table: table.name,
        unit: unitOf(look, output, table, row),
        key: keyOf(table, row),
      },
    )
  }
}

async function findDuplicates(look: StepLook, output: Output, table: Table, findings: Findings): Promise<void> {
  const key = joinSql(table.key.map(identifier), ', ')
  const line = lineOf(output, table, look.plan.wanted)
  const place =
    line && !table.key.includes(line.column) ? sql`, min(${identifier(line.column)}) AS ${identifier(line.column)}` : sqlText('')
  const query = sql`
    SELECT ${key}${place}, count(*) AS pipe_n
    FROM ${identifier(table.name)}
    WHERE ${along({ constants: output.constants })}
    GROUP BY ${key}
    HAVING count(*) > 1
    LIMIT ${sqlText(String(MOST + 1))}`
  const rows = await all(look.warehouse, query)
  for (const row of rows) {
    findings.add(
      'duplicate',
      `${table.name} has ${rowsWord(row.pipe_n as bigint)} of one key`,
      [deletion(table, row), ...fix(look, output, table, row, rows.length > FEW)],
      {
        table: table.name,
        unit: unitOf(look, output, table, row),
        key: keyOf(table, row),
      },
    )
  }
}

/** Computed columns of exact numbers. Others (a time of loading, a random id) may rightly be different now. */
async function findMiscomputed(look: StepLook, output: Output, table: Table, findings: Findings): Promise<void> {
  const computed = table.columns.filter(({ name, type }) => name in output.compute && isExactNumber(type))
  if (computed.length === 0) return
  const others = look.plan.outputs.filter((other) => other.table === table.name)
  if (others.length > 1) {
    findings.notes.add(`${table.name}: several outputs fill it, so what is computed is not computed again`)
    return
  }
  const conditions = computed.map(({ name }) => {
    const stored = identifier(name)
    const again = sqlText(`(${output.compute[name] ?? 'NULL'}\n)`)
    return sql`(${stored} <> ${again} OR (${stored} IS NULL AND ${again} IS NOT NULL) OR (${stored} IS NOT NULL AND ${again} IS NULL))`
  })
  const rows = await rowsWhere(look, output, table, joinSql(conditions, ' OR '), computed)
  for (const row of rows) {
    const values = computed.map(({ name }) => `${name} ${String(row[name])}`).join(', ')
    findings.add(
      'computed',
      `${values} of ${table.name} is not what its expression gives (${computed.map(({ name }) => output.compute[name]).join('; ')})`,
      fix(look, output, table, row, rows.length > FEW),
      {
        table: table.name,
        unit: unitOf(look, output, table, row),
        key: keyOf(table, row),
      },
    )
  }
}

/** Rows of an output that meet a condition, with their key, their place and these columns. One more than is shown. */
async function rowsWhere(look: StepLook, output: Output, table: Table, condition: Statement, columns: readonly Column[]): Promise<Row[]> {
  const line = lineOf(output, table, look.plan.wanted)
  const names = [...new Set([...table.key, ...(line ? [line.column] : []), ...columns.map(({ name }) => name)])]
  return all(
    look.warehouse,
    sql`
      SELECT ${joinSql(names.map(identifier), ', ')}
      FROM ${identifier(table.name)}
      WHERE ${along({ constants: output.constants })} AND (${condition})
      ORDER BY ${joinSql(table.key.map(identifier), ', ')}
      LIMIT ${sqlText(String(MOST + 1))}`,
  )
}

export function keyOf(table: Table, row: Row): string {
  return table.key.map((name) => String(row[name])).join(', ')
}

/** The unit that a row is of, as `--range` wants it: as narrow as can be, or `whole`. */
export function unitOf(look: StepLook, output: Output, table: Table, row: Row, whole = false): string | undefined {
  const { wanted } = look.plan
  if (wanted.kind === 'rows') {
    const [source = ''] = wanted.key
    const [target] = Object.entries(wanted.copied).find(([, from]) => from === source) ?? []
    const value = target === undefined || wanted.key.length > 1 ? undefined : row[target]
    if (typeof value !== 'bigint') return undefined
    const { axis } = look.plan
    if (!axis) return undefined
    const holds = (row: LedgerRow) => {
      const cell = rowStretch(axis, row)
      return cell !== undefined && cell[0] <= value && value <= cell[1]
    }
    return (whole ? look.ledger.find(holds)?.unit : undefined) ?? `${value}-${value}`
  }
  const numbered = numberLineOf(output, table, wanted)
  if (numbered) return unitHolding(look, row[numbered.column])
  const line = lineOf(output, table, wanted)
  const value = line && row[line.column]
  return value === undefined || value === null ? undefined : unitAt(look, placeOf(value), whole)
}

/** The unit of time that holds a number. */
function unitHolding({ ledger }: StepLook, value: Value | undefined): string | undefined {
  if (value === undefined || value === null) return undefined
  const number = placeOf(value)
  const holds = ({ coverage }: LedgerRow) => {
    const numbers = numbersOf(coverage)
    return numbers !== undefined && numbers[0] <= number && number <= numbers[1]
  }
  return ledger.find(holds)?.unit
}

/** Of so many rows each has its own command; of more, their units are done again as a whole. */
export const FEW = 10

/** How a row is made anew: it or its whole unit is reset or, where a query says which rows should exist, it is deleted. */
export function fix(look: StepLook, output: Output, table: Table, row: Row, whole: boolean): readonly string[] {
  const unit = unitOf(look, output, table, row, whole)
  if (unit !== undefined) return look.advice.reset(unit)
  return look.plan.wanted.kind === 'rows' ? [deletion(table, row), look.advice.run()] : look.advice.reset()
}

function deletion(table: Table, row: Row): string {
  const equal = table.key.map((name) => {
    const value = row[name]
    const column = quoteIdentifier(name)
    return value === null || value === undefined ? `${column} IS NULL` : `${column} = ${literalOf(value)}`
  })
  return `DELETE FROM ${quoteIdentifier(table.name)} WHERE ${equal.join(' AND ')}`
}

/** A value as SQL of any warehouse has it. */
export function literalOf(value: Value): string {
  return typeof value === 'bigint' || typeof value === 'number' ? String(value) : `'${String(value).replaceAll("'", "''")}'`
}
