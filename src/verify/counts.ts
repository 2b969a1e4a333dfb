import { formatDay, NO_DAY, quoteIdentifier } from '../sdk/index.js'
import { type Interval, intersect, subtract } from '../ledger/intervals.js'
import { type CountedBy, countedOf } from '../pipeline/steps/counted.js'
import { type Findings, outputsOf, rowsWord, type StepLook } from './look.js'
import { countRows, type Line, lineOf, literal, stretchesOf } from './stretches.js'
import { literalOf } from './tables.js'

const DAY_US = 86_400_000_000n

/** Days that follow each other and lack rows, or have too many. Their ends are those of days. */
interface Differing {
  readonly at: Interval
  /** Rows that commits left, and rows that there are. */
  readonly left: bigint
  readonly there: bigint
}

/** Compares the rows of tables that a REST source fills with what commits counted, day by day. */
export async function checkCounted(look: StepLook, findings: Findings): Promise<void> {
  const { pipeline, step, warehouse, advice, ledger } = look
  if (step.source === undefined || ledger.length === 0) return
  const counted = countedOf(pipeline).filter(({ steps }) => steps.some(({ id }) => id === step.id))
  for (const name of new Set(outputsOf(look).map(({ table }) => table.name)))
    if (!counted.some(({ table }) => table.name === name))
      findings.notes.add(`${name}: its rows are not counted, since SQL fills it, too, or computes its key`)
  for (const each of counted) {
    const { table } = each
    const known = await warehouse.counts(each.counted)
    if (known === undefined) {
      findings.add(
        'uncounted',
        `rows of ${table.name} are not counted: they were written by an older version, and nothing says how many there must be`,
        advice.reset(),
        { table: table.name },
      )
      continue
    }
    await compare(look, each, known, findings)
  }
}

async function compare(look: StepLook, counted: CountedBy, known: ReadonlyMap<bigint, bigint>, findings: Findings): Promise<void> {
  const { warehouse, advice, plan } = look
  const { table } = counted
  const oldest = oldestKept(look, counted)
  if (oldest === undefined) {
    findings.notes.add(`${table.name}: its rows are not counted, since its retention goes by a column other than their time`)
    return
  }
  const present = await warehouse.present(counted.counted, table)
  const timed = counted.counted.column !== undefined && plan.wanted.kind === 'stretches'
  for (const { at, left, there } of differing(known, present, oldest)) {
    const lost = there < left
    const hasDay = counted.counted.column !== undefined && at[0] !== NO_DAY
    const range = hasDay ? `${dayOf(at[0])}..${dayOf(at[1])}` : undefined
    const where = hasDay ? ` of ${at[1] - at[0] < DAY_US ? dayOf(at[0]) : range}` : ''
    const problem = lost
      ? `${table.name} lacks ${left - there} of the ${rowsWord(left)}${where} that were written`
      : `${table.name} has ${rowsWord(there)}${where}, and ${left} were written: ${there - left} too many`
    const fix = timed && range !== undefined ? await mend(look, counted, { at, left, there }, range) : advice.reset()
    findings.add(lost ? 'missing' : 'surplus', problem, fix, { table: table.name, unit: timed ? range : undefined })
  }
}

/** From which day on all rows must be there. Undefined: the retention does not say. */
function oldestKept({ now }: StepLook, { table, counted }: CountedBy): bigint | undefined {
  const { retention } = table
  if (!retention) return -(2n ** 63n)
  return retention.column === counted.column ? now - BigInt(retention.ms) * 1000n : undefined
}

function differing(known: ReadonlyMap<bigint, bigint>, present: ReadonlyMap<bigint, bigint>, oldest: bigint): Differing[] {
  const found: Differing[] = []
  let open: Differing | undefined
  const days = [...new Set([...known.keys(), ...present.keys()])].sort((a, b) => (a < b ? -1 : 1))
  for (const day of days) {
    const [left, there] = [known.get(day) ?? 0n, present.get(day) ?? 0n]
    if ((day !== NO_DAY && day < oldest) || (left === 0n && there === 0n)) continue
    const at: Interval = day === NO_DAY ? [day, day] : [day, day + DAY_US - 1n]
    if (left === there) open = undefined
    else if (open && open.at[0] !== NO_DAY && there < left === open.there < open.left)
      found[found.length - 1] = open = { at: [open.at[0], at[1]], left: open.left + left, there: open.there + there }
    else found.push((open = { at, left, there }))
  }
  return found
}

/** The commands that make days right: they are read again, or, where rows lie that no unit has been at, those are deleted. */
async function mend(look: StepLook, counted: CountedBy, { at, left, there }: Differing, range: string): Promise<readonly string[]> {
  const { plan, done, warehouse, advice } = look
  const { wanted } = plan
  const line = lineFor(look, counted)
  if (line && there > left) {
    const outside = subtract([at], stretchesOf(wanted, done))
    const counts = await countRows(warehouse, line, outside)
    if (counts.reduce((sum, n) => sum + n, 0n) === there - left)
      return outside.filter((_, i) => (counts[i] ?? 0n) > 0n).map((stretch) => deletion(line, stretch))
  }
  const commands = advice.reset(range)
  if (wanted.kind !== 'stretches' || wanted.domain === 'inputs' || intersect([at], [wanted.domain]).length > 0) return commands
  return [
    ...commands,
    `# with params that ask for it: the last run asked for ${dayOf(wanted.domain[0])} to ${dayOf(wanted.domain[1])} only`,
  ]
}

function lineFor(look: StepLook, { table, counted }: CountedBy): Line | undefined {
  const output = outputsOf(look).find(
    (each) => each.table === table && literalOfConstants(each.output) === literalOfConstants(counted),
  )?.output
  return output && lineOf(output, table, look.plan.wanted)
}

const literalOfConstants = ({ constants }: { readonly constants: Readonly<Record<string, string>> }) =>
  JSON.stringify(Object.entries(constants).sort())

function deletion({ table, column, type, constants }: Line, [from, to]: Interval): string {
  const place = (instant: bigint) => literal(type, type.kind === 'date' ? dayOf(instant) : instant)
  const own = Object.entries(constants).map(([name, value]) => ` AND ${quoteIdentifier(name)} = ${literalOf(value)}`)
  const name = quoteIdentifier(column)
  return `DELETE FROM ${quoteIdentifier(table.name)} WHERE ${name} >= ${place(from)} AND ${name} <= ${place(to)}${own.join('')}`
}

function dayOf(instant: bigint): string {
  const rest = ((instant % DAY_US) + DAY_US) % DAY_US
  return formatDay(Number((instant - rest) / DAY_US))
}
