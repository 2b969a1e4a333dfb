import { type LedgerChange, type LedgerRow, type LedgerStep, micros, timeUnitStart } from '../sdk/index.js'
import { type Interval, namedAs, parseIntervalKey, subtract, timeKey } from '../plan/intervals.js'
import { coveredBy, coveredCursor, isCoveredCursor, outdated, RESET_FINGERPRINT, type StepPlan, tentativeRound } from '../plan/plan.js'
import type { RunServices } from './services.js'

/**
 * Brings the ledger into the shape that the plan speaks of: units that an earlier run left half done become a done part
 * and an open part, and rows of an older definition lose their fingerprint before the first of them is overwritten.
 */
export async function settle(
  { pipeline, warehouse, clock, moment }: RunServices,
  plan: StepPlan,
  ledger: readonly LedgerRow[],
): Promise<void> {
  const at = micros(clock)
  const name = { pipeline: pipeline.name, step: plan.step.id }
  const current = { ...name, fingerprint: plan.fingerprint }
  const put: Amendment[] = []
  const drop: { step: string; unit: string }[] = []
  const planned = new Set(plan.units.map(({ key }) => key))
  const round = plan.wanted.kind === 'time' ? moment.now : undefined
  const redoes = plan.units.some((unit) => unit.redo || unit.piece.kind === 'interval' || (unit.piece.kind === 'rows' && unit.piece.redo))
  for (const row of ledger) {
    const all = parseIntervalKey(row.unit)
    if (row.fingerprint !== plan.fingerprint) {
      if (redoes && row.fingerprint !== outdated(row.fingerprint))
        put.push({ step: { ...name, fingerprint: outdated(row.fingerprint) }, unit: row.unit, state: row.state })
      continue
    }
    if (!all) continue
    const tentative = tentativeRound(row)
    if (tentative !== undefined && tentative !== round) drop.push({ step: plan.step.id, unit: row.unit })
    if (row.state === 'done') continue
    const covered = coveredBy(row)
    const { redo, at: place } = isCoveredCursor(row.cursor) ? row.cursor : { redo: undefined, at: undefined }
    // The upper end of a lane moves with the clock, so what is open of it is named anew in every run.
    const renamed = round !== undefined && row.state !== 'quarantined' && !planned.has(row.unit)
    if (covered.length === 0 && !renamed) continue
    const nameOf = namedAs(row.unit)
    if (covered.length > 0 || redo === undefined) drop.push({ step: plan.step.id, unit: row.unit })
    for (const [i, interval] of covered.entries())
      put.push({
        step: current,
        unit: nameOf(interval),
        state: 'done',
        // Where the list is at the lower end of what was read of it.
        ...(i === 0 && place !== undefined ? { cursor: coveredCursor([], undefined, place) } : {}),
        // It was read by batches that said what they cover, so its count is what the table holds.
        ...(round === undefined ? { cursor: coveredCursor([interval], undefined) } : {}),
        ...(covered.length === 1 ? { rows: row.rows } : {}),
        endpoint: row.endpoint,
      })
    for (const interval of subtract([all], covered)) {
      if (redo !== undefined)
        put.push({
          step: { ...name, fingerprint: redo === 'reset' ? RESET_FINGERPRINT : outdated('') },
          unit: nameOf(interval),
          state: 'done',
        })
      else if (!renamed)
        put.push({
          step: current,
          unit: nameOf(interval),
          state: row.state === 'running' ? 'pending' : row.state,
          attempts: row.attempts,
          error: row.error ?? null,
        })
    }
  }
  const change = plan.wanted.kind === 'time' && plan.wanted.windowUs === undefined ? joined(ledger, { put, drop }, current) : { put, drop }
  if (change.put.length > 0 || change.drop.length > 0) await warehouse.amend(pipeline.name, change, at)
}

interface LedgerAmendment {
  readonly put: readonly Amendment[]
  readonly drop: readonly { readonly step: string; readonly unit: string }[]
}

/** Covered stretches that touch become one: a lane that is read every few minutes would leave a row each time. */
function joined(ledger: readonly LedgerRow[], { put, drop }: LedgerAmendment, current: LedgerStep): LedgerAmendment {
  const gone = new Set(drop.map(({ unit }) => unit))
  const covered = [
    ...ledger.filter(
      (row) => row.fingerprint === current.fingerprint && row.state === 'done' && !gone.has(row.unit) && tentativeRound(row) === undefined,
    ),
    ...put.filter(({ step, state }) => step.fingerprint === current.fingerprint && state === 'done'),
  ].flatMap((entry) => {
    const interval = parseIntervalKey(entry.unit)
    return interval ? [{ interval, entry }] : []
  })
  covered.sort((a, b) => (a.interval[0] < b.interval[0] ? -1 : 1))
  const groups: (typeof covered)[] = []
  for (const each of covered) {
    const group = groups.at(-1)
    const last = group?.at(-1)
    if (group && last && last.interval[1] + 1n === each.interval[0]) group.push(each)
    else groups.push([each])
  }
  const whole = groups.filter((group) => group.length > 1)
  const parts = new Set(whole.flatMap((group) => group.map(({ entry }) => entry.unit)))
  return {
    put: [...put.filter(({ unit }) => !parts.has(unit)), ...whole.map((group) => joinedRow(group, current))],
    drop: [...drop, ...ledger.filter(({ unit }) => parts.has(unit)).map(({ unit }) => ({ step: current.step, unit }))],
  }
}

function joinedRow(
  group: readonly { readonly interval: readonly [bigint, bigint]; readonly entry: LedgerRow | Amendment }[],
  current: LedgerStep,
): Amendment {
  // The lowest comes first: a list goes on from its cursor.
  const { interval: first, entry: lowest } = group[0] as (typeof group)[number]
  const last = (group.at(-1) as (typeof group)[number]).interval
  const rows: Record<string, number> = {}
  for (const { entry } of group) for (const [table, n] of Object.entries(entry.rows ?? {})) rows[table] = (rows[table] ?? 0) + n
  return {
    step: current,
    unit: timeKey([first[0], last[1]]),
    state: 'done',
    rows,
    cursor: lowest.cursor,
    endpoint: lowest.endpoint,
  }
}

type Amendment = LedgerChange & { readonly step: LedgerStep; readonly unit: string }

/**
 * Drops what the ledger says of older definitions, once everything is read under this one, and of attempts that came to
 * nothing where other units have done the work since.
 */
export async function forgetOld({ pipeline, warehouse, clock }: RunServices, plan: StepPlan): Promise<void> {
  const { wanted } = plan
  if (wanted.kind === 'check') return
  const rows = await warehouse.units(pipeline.name, plan.step.id)
  const asked = wanted.kind === 'range' || wanted.kind === 'time' ? ([[wanted.from, wanted.to]] as const) : undefined
  const keysOf = (some: readonly LedgerRow[]) => some.map((row) => parseIntervalKey(row.unit)).filter((key) => key !== undefined)
  const current = rows.filter((row) => row.fingerprint === plan.fingerprint)
  const failed = current.filter((row) => row.state !== 'done' && row.state !== 'quarantined')
  const left = subtract(keysOf(failed), keysOf(current.filter((row) => row.state === 'done')))
  const within = (row: LedgerRow, intervals: readonly Interval[]) => {
    const key = parseIntervalKey(row.unit)
    return key !== undefined && subtract([key], intervals).length === 0
  }
  const doneSince = (row: LedgerRow) => {
    const key = parseIntervalKey(row.unit)
    return key !== undefined && !left.some(([from, to]) => from <= key[1] && to >= key[0])
  }
  const replaced = (row: LedgerRow) => {
    // What is kept because its inputs have expired stays as it was done.
    if (wanted.kind === 'intervals') return timeUnitStart(row.unit, wanted.everyUs) === undefined
    return !asked || within(row, asked)
  }
  const older = plan.units.length > 0 ? rows.filter((row) => row.fingerprint !== plan.fingerprint && replaced(row)) : []
  const drop = [...older, ...failed.filter(doneSince)].map((row) => ({ step: plan.step.id, unit: row.unit }))
  if (drop.length > 0) await warehouse.amend(pipeline.name, { drop }, micros(clock))
}
