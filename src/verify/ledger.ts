import { counted } from '../sdk/index.js'
import { nameOf, stretchOf as stretchOfName } from '../ledger/axis.js'
import { type Interval, union } from '../ledger/intervals.js'
import { brokenSeams, seamInWords } from '../ledger/seams.js'
import { lostInWords } from '../plan/left.js'
import { KEY_COLUMN, missingPage } from '../plan/missing.js'
import type { PlannedUnit } from '../plan/plan.js'
import { TOUCHED } from '../plan/touched-units.js'
import { outputTable } from '../plan/rows-units.js'
import { countRows } from './stretches.js'
import { all, type Findings, linesOf, named, numbersOf, rowsWord, type StepLook } from './look.js'

/** Finds what the ledger itself says is not right: gaps, what is set aside, neighbours of different chains. */
export async function checkLedger(look: StepLook, findings: Findings): Promise<void> {
  const { plan, advice } = look
  for (const { key, error, attempts } of plan.quarantined) {
    const text = `in quarantine after ${counted(attempts, 'attempts')}: ${error.split('\n', 1)[0] ?? ''}`
    findings.add('quarantine', text, [advice.retry(), advice.run()], plan.axis && stretchOfName(plan.axis, key) ? { unit: key } : { key })
  }
  if (plan.wanted.kind === 'rows') await findMissingRows(look, findings)
  else await findGaps(look, findings)
  findSeams(look, findings)
}

const KEYS_SHOWN = 3

async function findMissingRows(look: StepLook, findings: Findings): Promise<void> {
  const { pipeline, plan, warehouse, advice } = look
  if (plan.wanted.kind !== 'rows') return
  const into = outputTable(pipeline, plan.outputs, plan.wanted)
  for (const unit of plan.units) {
    const keys = (await all(warehouse, missingPage(plan.wanted, into, unit.rows ?? {}, KEYS_SHOWN))).map((row) => String(row[KEY_COLUMN]))
    const shown = `${keys.join('; ')}${unit.size > keys.length ? '; …' : ''}`
    const problem =
      unit.reason === 'new' || unit.reason === 'missing'
        ? `${into.name} lacks ${rowsWord(unit.size)} of the query, or has them with other copied columns: ${shown}`
        : `${rowsWord(unit.size)} to do again (${unit.reason}): ${shown}`
    findings.add('gap', problem, [advice.run()], {
      table: into.name,
      unit: unit.key,
      key: keys.length === 1 && unit.size === 1 ? keys[0] : undefined,
    })
  }
}

/** It has its rows, and they are of before. */
const touched =
  'was computed before its inputs changed last: a run that is stopped, or steps below that are not run, leave it so, and the next run computes it again'

/** What a run would do, neighbours with one reason together. Rows that are in a gap already are deleted first. */
async function findGaps(look: StepLook, findings: Findings): Promise<void> {
  const { plan, warehouse, advice } = look
  if (!numbersOf(plan.wanted)) {
    // What is done and due in every run is no gap.
    for (const unit of plan.units.filter(({ recompute }) => recompute !== true))
      findings.add('gap', unit.reason === TOUCHED ? touched : `not done (${unit.reason})`, [advice.run()], { unit: unit.key })
    const lost = lostInWords(plan)
    if (lost !== undefined) findings.add('gap', lost, [], {})
    return
  }
  const lines = linesOf(look)
  for (const { interval, reason, redo } of gapsOf(plan.units)) {
    const unit = `${interval[0]}-${interval[1]}`
    const there: string[] = []
    for (const { line } of redo ? [] : lines) {
      const [n = 0n] = await countRows(warehouse, line, [interval])
      if (n > 0n) there.push(`${line.table.name} has ${rowsWord(n)} there`)
    }
    const why = reason === 'new' || reason === 'missing' ? 'asked for and not in the ledger' : `to do again: ${reason}`
    findings.add(
      'gap',
      `${interval[0] === interval[1] ? plan.word.replace(/s$/, '') : plan.word} ${named(interval)} ${why}${there.length > 0 ? `, though ${there.join(' and ')}` : ''}`,
      there.length > 0 ? advice.reset(unit) : [advice.run()],
      { unit },
    )
  }
}

function gapsOf(units: readonly PlannedUnit[]): { interval: Interval; reason: string; redo: boolean }[] {
  const byReason = new Map<string, { intervals: Interval[]; redo: boolean }>()
  for (const { piece, reason, redo } of units) {
    if (piece.kind !== 'stretch') continue
    const known = byReason.get(reason)
    if (known) known.intervals.push([piece.from, piece.to])
    else byReason.set(reason, { intervals: [[piece.from, piece.to]], redo })
  }
  return [...byReason].flatMap(([reason, { intervals, redo }]) => union(intervals).map((interval) => ({ interval, reason, redo })))
}

/** The hash that a stretch ended with is the parent hash of the next one, or one of them is of another fork. */
function findSeams({ plan, advice }: StepLook, findings: Findings): void {
  const { axis } = plan
  if (!axis) return
  for (const seam of brokenSeams(plan.ledger, axis)) {
    const { lower, upper } = seam
    findings.add('seam', seamInWords(seam, axis), advice.reset(nameOf(axis, [lower.at[0], upper.at[1]])), { unit: lower.unit })
  }
}
