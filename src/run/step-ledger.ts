import { type Amendments, type LedgerRow, type LedgerStep, micros, type UnitWrite } from '../sdk/index.js'
import { stretchOf } from '../ledger/axis.js'
import { outdated } from '../ledger/fingerprints.js'
import { forgotten } from '../ledger/forget.js'
import { asksRows, blockEnds } from '../ledger/hashes.js'
import { gathered } from '../ledger/gather.js'
import { horizon } from '../ledger/horizon.js'
import { joined } from '../ledger/join.js'
import { joinedIntervals } from '../ledger/join-intervals.js'
import { dropping, timedInputs, writtenLately } from '../plan/expired.js'
import { reconcile } from '../ledger/reconcile.js'
import type { StepPlan } from '../plan/plan.js'
import { recountMarked } from './count-rows.js'
import type { RunServices } from './services.js'

/** Brings the ledger into the shape that the plan speaks of, before the first of its units is opened. */
export async function reconcileLedger(services: RunServices, plan: StepPlan): Promise<void> {
  const { wanted, axis } = plan
  const { rows, fingerprint } = plan.ledger
  const redoes = plan.units.some(
    (unit) => unit.redo || computes(plan) || (wanted.kind === 'rows' && unit.piece.kind === 'rows' && unit.piece.redo),
  )
  let names: ReadonlySet<string> | undefined
  const changes = reconcile(plan.ledger, {
    step: ledgerStep(services, plan),
    axis,
    planned: (unit) => (names ??= new Set(plan.units.map(({ key }) => key))).has(unit),
    redoes,
    moves: axis?.of === 'time' && wanted.kind === 'stretches' && wanted.domain !== 'inputs' && axis.names === 'ends',
    round: services.moment.now,
  })
  await amend(services, changes)
  // Rows of another definition are deleted from here on, so their count begins with what is there.
  if (redoes && rows.some((row) => row.fingerprint !== fingerprint && row.fingerprint !== outdated(row.fingerprint)))
    await recountMarked(services.pipeline, plan.step.id, services.warehouse)
}

/**
 * Makes the ledger of a step small when it ends: done units that touch are joined, and, where the step is complete, rows that
 * no plan can need again are dropped. `left`: the plan over what the ledger says after the units of `plan` were done.
 */
export async function compactLedger(services: RunServices, plan: StepPlan, left: StepPlan, complete: boolean): Promise<void> {
  const { wanted, axis } = plan
  const domain = wanted.kind === 'stretches' ? wanted.domain : undefined
  const join = joinRule(services, plan)
  // A unit whose inputs have expired can't be computed again, so its row is kept under the definition that it was done with.
  const keeps = ({ unit }: LedgerRow) => domain === 'inputs' && axis !== undefined && stretchOf(axis, unit) !== undefined
  const gone = complete
    ? forgotten(left.ledger, axis, {
        asked: domain === 'inputs' ? undefined : domain,
        redone: plan.units.length > 0,
        byTable: wanted.kind === 'rows',
        keeps,
      })
    : []
  // What a query asked for is there, whoever left its unit open. The hashes stay for as long as a reorg may reach them.
  const ended = gone.filter((row) => wanted.kind === 'rows' && row.fingerprint === plan.fingerprint && asksRows(row))
  const dropped = new Set(gone)
  const rest = gone.length === 0 ? left.ledger.rows : left.ledger.rows.filter((row) => !dropped.has(row))
  const byName = complete && wanted.kind === 'rows' && axis === undefined
  const byInputs = domain === 'inputs' && (await joinIntervals(services, plan, rest))
  const together = byName ? gathered(rest, ledgerStep(services, plan), horizonOf(services, plan, rest)) : byInputs || join?.(rest)
  const { put, drop } = together ?? { put: [], drop: [] }
  // A row of a joined stretch's name is of another definition: dropped first, it leaves nothing of its own in the new row.
  const names = [
    ...rowsOf(
      gone.filter((row) => !ended.includes(row)),
      left.ledger.rows,
    ),
    ...put.map(({ unit }) => unit),
  ].map((unit) => ({
    step: plan.step.id,
    unit,
  }))
  const done = ended.map(({ unit }) => ({ step: ledgerStep(services, plan), unit, state: 'done' as const }))
  await amend(services, { put: [...put, ...done], drop: [...names, ...drop] })
}

/** Names of the rows that say of units, `gone` of `all`. A joined row goes with the last of its units. */
function rowsOf(gone: readonly LedgerRow[], all: readonly LedgerRow[]): string[] {
  const own = gone.flatMap(({ unit, isPart }) => (isPart ? [] : [unit]))
  const parts = new Set(gone.filter(({ isPart }) => isPart))
  if (parts.size === 0) return own
  const stay = new Set(all.flatMap((row) => (row.isPart && !parts.has(row) ? (row.joinedIn ?? []) : [])))
  return [...own, ...new Set([...parts].flatMap(({ joinedIn = [] }) => joinedIn.filter((name) => !stay.has(name))))]
}

/**
 * Computed intervals that are joined. Where a change of an input touches every row of the step, each keeps its own; so do, where the database
 * drops old rows by when they were written, those whose inputs are there only since they were opened lately.
 */
async function joinIntervals(
  { pipeline, warehouse, moment }: RunServices,
  { step, axis, fingerprint }: StepPlan,
  rows: readonly LedgerRow[],
): Promise<Amendments | undefined> {
  if (axis === undefined || step.inputs.some(({ interval }) => interval === 'every')) return undefined
  const inputs = timedInputs(step)
  const isWritten = writtenLately(inputs, pipeline, moment.now)
  const drops = (await dropping(inputs, pipeline, warehouse)) !== 'nothing'
  const keeps = (row: LedgerRow) => drops && row.first !== undefined && isWritten(row.first, row, undefined)
  return joinedIntervals(rows, { pipeline: pipeline.name, step: step.id, fingerprint }, axis, keeps)
}

/** How done units of a plan are joined in the commit that ends them; undefined where they are not. */
export function joinRule(services: RunServices, plan: StepPlan): UnitWrite['join'] {
  const { wanted, axis } = plan
  if (axis === undefined || wanted.kind !== 'stretches' || wanted.domain === 'inputs') return undefined
  return (done) => joined(done, ledgerStep(services, plan), axis, horizonOf(services, plan, done))
}

/**
 * Reorgs reach down to this place and not below it. Undefined: nothing reorganizes the axis. Only what was read under this
 * definition tells how far the chain is: a range that was reset may end anywhere.
 */
function horizonOf({ pipeline }: RunServices, { step, axis, fingerprint }: StepPlan, rows: readonly LedgerRow[]): bigint | undefined {
  const chain = step.chain === undefined ? undefined : pipeline.chains.get(step.chain)
  if (!chain || (axis !== undefined && axis.of !== 'numbers')) return undefined
  const read = rows.filter((row) => row.state === 'done' && row.fingerprint === fingerprint)
  const ends = read.flatMap((row) => (axis ? (row.last ?? []) : (blockEnds(row)?.[1] ?? [])))
  const newest = ends.reduce((high, end) => (end > high ? end : high), 0n)
  return horizon(newest, chain.confirmations)
}

const computes = ({ wanted }: StepPlan) => wanted.kind === 'stretches' && wanted.domain === 'inputs'

/** A plan's step, as the ledger names it. */
export function ledgerStep({ pipeline }: RunServices, { step, fingerprint }: StepPlan): LedgerStep {
  return { pipeline: pipeline.name, step: step.id, fingerprint }
}

async function amend({ pipeline, warehouse, clock }: RunServices, { put, drop }: Amendments): Promise<void> {
  if (put.length > 0 || drop.length > 0) await warehouse.amend(pipeline.name, { put, drop }, micros(clock))
}
