import { identifier, type LedgerRow, noun, numberAxis, type Output, quoteIdentifier, sql, type Table, type Wanted } from '../sdk/index.js'
import { nameOf } from '../ledger/axis.js'
import { type Interval, intersect, subtract, union } from '../ledger/intervals.js'
import { isStated, newestUnit } from '../ledger/standing.js'
import { isWanted } from './advice.js'
import { checkCounted } from './counts.js'
import { along, between, claimed, countRows, type Line, lineOf, literal, numberLineOf, placeOf, present, stretchesOf } from './stretches.js'
import { literalOf } from './tables.js'
import { all, type FilledLine, type Findings, isComputed, linesOf, named, numbersOf, outputsOf, rowsWord, type StepLook } from './look.js'
import { numberedUnits, type WholeUnit, wholeUnits } from './whole-units.js'

/** What other steps say of the same tables: their ledger, by step. */
export type Others = (step: string) => Promise<readonly LedgerRow[]>

/** Compares the ledger with what the tables hold, unit by unit. */
export async function checkRows(look: StepLook, others: Others, findings: Findings): Promise<void> {
  const { wanted } = look.plan
  await checkCounted(look, findings)
  if (wanted.kind === 'task' && isComputed(wanted)) await checkWhole(look, findings)
  for (const filled of linesOf(look)) {
    const { line } = filled
    // Units that meet read the same rows: their tables are counted by day instead.
    if (meets(wanted) && look.step.source !== undefined) continue
    if (meets(wanted)) {
      findings.notes.add(`${line.table.name}: its rows are not counted, since units that meet read the same ones`)
      continue
    }
    const alive = await unexpired(look, line)
    if (alive === undefined) {
      findings.notes.add(`${line.table.name}: all of it is older than its retention`)
      continue
    }
    if (alive > FIRST) findings.notes.add(`${line.table.name}: what its retention lets go is left out`)
    const oneEach = filled.outputs.length === 1 && filled.outputs[0]?.oneEach === true && !mayMove(look, line, filled.outputs)
    if (oneEach) await checkNumbers(look, line, alive, findings)
    else await checkCounts(look, filled, alive, findings)
    if (!isComputed(wanted) || isReplaced(look, filled.outputs)) await findOrphans(look, line, alive, others, findings)
  }
  for (const filled of linesOf(look, numberLineOf)) {
    const alive = await unexpired(look, filled.line)
    if (alive !== undefined) await checkCounts(look, filled, alive, findings, numberedUnits(wanted, look.done))
  }
}

/** Below every number and instant that a column can hold. */
const FIRST = -(2n ** 63n)

/**
 * From where on a line's rows must be there: what is older than the table's retention may be gone or not. Undefined: nowhere.
 */
export async function unexpired({ warehouse, now }: StepLook, line: Line): Promise<bigint | undefined> {
  const { retention, columns, name } = line.table
  if (!retention) return FIRST
  const oldest = now - BigInt(retention.ms) * 1000n
  const timed = line.type.kind === 'timestamp' || line.type.kind === 'date'
  if (retention.column === line.column && timed) return oldest
  const type = columns.find((column) => column.name === retention.column)?.type
  if (!type) return FIRST
  const kept = along({ ...line, column: retention.column, type }, [oldest, undefined])
  const [row] = await all(
    warehouse,
    sql`SELECT min(${identifier(line.column)}) AS first, count(*) AS n FROM ${identifier(name)} WHERE ${kept}`,
  )
  return row === undefined || BigInt(row.n as bigint) === 0n ? undefined : placeOf(row.first)
}

/** Every number of a done stretch has its row: the ones that have none are named. */
async function checkNumbers(look: StepLook, line: Line, alive: bigint, findings: Findings): Promise<void> {
  const { warehouse, done, plan, advice } = look
  const stretches = union(stretchesOf(plan.wanted, done))
  if (stretches.length === 0) return
  const here = await present(warehouse, line)
  const table = line.table.name
  for (const interval of subtract(stretches, here)) {
    for (const part of intersect([interval], [[alive, interval[1] > alive ? interval[1] : alive]])) {
      const many = part[1] > part[0]
      findings.add(
        'missing',
        `${many ? plan.word : plan.word.replace(/s$/, '')} ${named(part)} ${many ? 'are' : 'is'} done by the ledger, and ${table} has no ${many ? 'rows' : 'row'} for ${many ? 'them' : 'it'}`,
        again(look, part),
        { table, unit: nameOf(numberAxis(1), part) },
      )
    }
  }
  // Where the key says that there is one row a number, there are no two.
  if (line.table.key.every((column) => column === line.column || column in line.constants)) return
  const column = identifier(line.column)
  const doubled = await all(
    warehouse,
    sql`
      SELECT ${column} AS place, count(*) AS n
      FROM ${identifier(table)}
      WHERE ${along(line)}
      GROUP BY ${column}
      HAVING count(*) > 1
      ORDER BY ${column}`,
  )
  for (const row of doubled) {
    const place = placeOf(row.place)
    if (intersect([[place, place]], stretches).length === 0) continue
    const unit = nameOf(numberAxis(1), [place, place])
    findings.add('surplus', `${table} has ${rowsWord(placeOf(row.n))} for ${place}, and the step gives one`, advice.reset(unit), {
      table,
      unit,
    })
  }
}

/** Units whose ledger row says how many rows they have, where it can be believed. */
async function checkCounts(
  look: StepLook,
  { line, outputs }: FilledLine,
  alive: bigint,
  findings: Findings,
  units = wholeUnits(look.plan.wanted, look.done),
): Promise<void> {
  const { warehouse, done, plan } = look
  const table = line.table.name
  const elsewhere = plan.outputs.some((output) => output.table === table && !outputs.includes(output))
  const counted: { unit: WholeUnit; ledger: bigint; exact: boolean }[] = []
  let unknown = 0
  for (const unit of units) {
    const ledger = sum(unit.rows.map(({ rows }) => rows[table]))
    if (unit.stretch[0] < alive) continue
    if (ledger === undefined || elsewhere) unknown += unit.rows.length
    else counted.push({ unit, ledger, exact: unit.rows.every((row) => isExact(look, row, line, outputs)) })
  }
  if (unknown > 0)
    findings.notes.add(`${table}: the ledger does not say how many rows ${unknown} of ${done.length} ${noun(done.length, 'units')} have`)
  const counts = await countRows(
    warehouse,
    line,
    counted.map(({ unit }) => unit.stretch),
  )
  const moving = mayMove(look, line, outputs) && counts.some((n) => n > 0n)
  if (moving) findings.notes.add(`${table}: its rows are not counted by unit, since a row of one may take the place of another's`)
  counted.forEach(({ unit: { name, stretch, whole }, ledger, exact }, i) => {
    const n = counts[i] ?? 0n
    const lost = exact ? n < ledger : n === 0n && ledger > 0n && !moving
    // Rows of what is not done yet may be there, too.
    if (!lost && !(exact && whole && n > ledger)) return
    findings.add(
      lost ? 'missing' : 'surplus',
      `${table} has ${rowsWord(n)} of it, and the unit brought ${ledger}`,
      again(look, numbersOf(plan.wanted) ? stretch : name, stretch[0]),
      { table, unit: name },
    )
  })
}

/** Undefined where one of them is not known. */
const sum = (counts: readonly (number | undefined)[]): bigint | undefined =>
  counts.reduce<bigint | undefined>((all, n) => (all === undefined || n === undefined ? undefined : all + BigInt(n)), 0n)

/**
 * Whether a unit's count is what the table must hold: its batches said what they cover, or SQL made all of it at once, so none
 * was counted twice. Rows that SQL made may have been overwritten by another unit, unless their key holds the place; of those that
 * were fetched, two of one key are an error, unless the table says that the last one stays.
 */
function isExact(look: StepLook, row: LedgerRow, line: Line, outputs: readonly Output[]): boolean {
  const { table } = line
  const placed = table.key.includes(line.column)
  if (isComputed(look.plan.wanted)) return isReplaced(look, outputs) && placed
  return isStated(row) && (placed || table.onConflict !== 'last')
}

/** Whether all rows of a unit may have given their places to those of another, which then lie elsewhere. */
function mayMove(look: StepLook, { table, column }: Line, outputs: readonly Output[]): boolean {
  return !table.key.includes(column) && (table.onConflict === 'last' || (isComputed(look.plan.wanted) && !isReplaced(look, outputs)))
}

/** Units that meet read the same rows: those of time whose ends are where the clock was. */
const meets = (wanted: Wanted) => wanted.kind === 'stretches' && wanted.axis.of === 'time' && wanted.axis.names === 'ends'

const isReplaced = ({ replaced }: StepLook, outputs: readonly Output[]) => outputs.every(({ id }) => replaced.has(id))

/** Tables that a unit replaces as a whole: by one query, or by others that are put into their place. */
async function checkWhole(look: StepLook, findings: Findings): Promise<void> {
  const { warehouse, done, advice } = look
  const seen = new Set<string>()
  for (const { output, table } of outputsOf(look)) {
    if (seen.has(table.name)) continue
    seen.add(table.name)
    const published = output.shadow === true
    const alone = published || look.plan.outputs.filter((other) => other.table === table.name).length === 1
    const unit = published ? newestUnit(done) : done.find((row) => row.unit === 'all')
    const ledger = unit?.rows[table.name]
    if (published && unit && ledger === undefined)
      findings.notes.add(`${table.name}: its rows are not counted, since the ledger does not say how many the version that is there had`)
    if (unit === undefined || ledger === undefined || !alone || !look.replaced.has(output.id) || table.retention) continue
    const [row] = await all(
      warehouse,
      sql`SELECT count(*) AS n FROM ${identifier(table.name)} WHERE ${along({ constants: output.constants })}`,
    )
    const n = BigInt(row?.n as bigint)
    if (n === BigInt(ledger)) continue
    findings.add(
      n < BigInt(ledger) ? 'missing' : 'surplus',
      `${table.name} has ${rowsWord(n)}, and ${published ? `what was published has ${ledger}` : `its SQL gave ${ledger}`}`,
      advice.reset(),
      {
        table: table.name,
        unit: unit.unit,
      },
    )
  }
}

/** Rows of the step's own that lie where no unit of it, or of another step that fills the same rows, has been. */
async function findOrphans(look: StepLook, line: Line, alive: bigint, others: Others, findings: Findings): Promise<void> {
  const { pipeline, step, plan, warehouse, ledger } = look
  const known = [...claimed(plan.wanted, ledger)]
  // What is wanted and not done is a gap, and said there.
  const asked = numbersOf(plan.wanted)
  if (asked) known.push(asked)
  for (const { piece } of plan.units) if (piece.kind === 'stretch') known.push([piece.from, piece.to])
  for (const other of pipeline.steps) {
    const shared = other.id === step.id ? [] : other.outputs.filter((output) => output.table === line.table.name && mayShare(output, line))
    if (shared.length === 0) continue
    if (!shared.every((output) => sameLine(output, line.table, line, plan.wanted))) {
      findings.notes.add(`${line.table.name}: ${other.id} fills it too, so extra rows can't be told`)
      return
    }
    known.push(...claimed(plan.wanted, await others(other.id)))
  }
  const gaps = between(union(known)).map(([from, to]) => [from === undefined || from < alive ? later(alive) : from, to] as const)
  const counts = await countRows(warehouse, line, gaps)
  for (const [i, gap] of gaps.entries()) {
    const n = counts[i] ?? 0n
    if (n === 0n) continue
    const table = line.table.name
    const [edge] = await all(
      warehouse,
      sql`
        SELECT min(${identifier(line.column)}) AS first, max(${identifier(line.column)}) AS last
        FROM ${identifier(table)}
        WHERE ${along(line, gap)}`,
    )
    const [first, last] = [literal(line.type, edge?.first), literal(line.type, edge?.last)]
    const unit = asked && plan.axis ? nameOf(plan.axis, [placeOf(edge?.first), placeOf(edge?.last)]) : undefined
    const own = Object.entries(line.constants).map(([name, value]) => ` AND ${quoteIdentifier(name)} = ${literalOf(value)}`)
    const column = quoteIdentifier(line.column)
    findings.add(
      'orphan',
      `${table} has ${rowsWord(n)} (${line.column} ${first} to ${last}) that no unit of ${step.id} brought`,
      [`DELETE FROM ${quoteIdentifier(table)} WHERE ${column} >= ${first} AND ${column} <= ${last}${own.join('')}`],
      { table, unit },
    )
  }
}

const later = (alive: bigint): bigint | undefined => (alive === FIRST ? undefined : alive)

/** Whether rows of an output may lie on a line: no constant says otherwise. */
function mayShare(output: Output, line: Line): boolean {
  return Object.entries(line.constants).every(([name, value]) => output.constants[name] === undefined || output.constants[name] === value)
}

function sameLine(output: Output, table: Table, line: Line, wanted: Wanted): boolean {
  return lineOf(output, table, wanted)?.column === line.column
}

/** The commands that have a stretch read again. Where no run asks for it any more, they say so. */
function again({ plan, advice }: StepLook, unit: Interval | string, place?: bigint): readonly string[] {
  const commands = advice.reset(typeof unit === 'string' ? unit : nameOf(numberAxis(1), unit))
  const ends = typeof unit === 'string' ? (place === undefined ? [] : [place]) : unit
  const asked = numbersOf(plan.wanted)
  if (!asked || ends.every((end) => isWanted(plan.wanted, end))) return commands
  return [...commands, `# with params that ask for it: the last run asked for ${asked[0]} to ${asked[1]} only`]
}
