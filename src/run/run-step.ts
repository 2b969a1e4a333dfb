import { setMaxListeners } from 'node:events'
import { counted, formatInstant, noun, type InputPage, type Row, type Width } from '../sdk/index.js'
import { ownerRule } from '../ledger/owner.js'
import { brokenSeams, seamInWords } from '../ledger/seams.js'
import type { Step } from '../pipeline/pipeline.js'
import { unitsAtOnce, widthOf } from '../pipeline/steps/width.js'
import { KEY_COLUMN, missingPage, recordRule } from '../plan/missing.js'
import { isEveryRound, type PlannedUnit, type StepPlan } from '../plan/plan.js'
import { amount, leftInWords, lostInWords } from '../plan/left.js'
import { clockDue } from '../plan/clock-due.js'
import { planAgain, planStep } from '../plan/plan-step.js'
import { outputTable } from '../plan/rows-units.js'
import { readsHead } from '../plan/scope.js'
import { Budget } from './budget.js'
import { closedBecause } from './checks.js'
import { Crew } from './crew.js'
import { Links } from './links.js'
import { packed, unpacked } from './packed-rows.js'
import { checkRedo } from './redo-shared.js'
import { runCheck } from './run-check.js'
import type { RunServices, StepEnd } from './services.js'
import { Slots } from './slots.js'
import { compactLedger, joinRule, ledgerStep, reconcileLedger } from './step-ledger.js'
import { type StepTime, StepTimeoutError, timedOut, withTimeout } from './step-timeout.js'
import { stoppable } from './stoppable.js'
import type { TakenUnit } from './unit-source.js'
import { runUnit, type UnitOutcome } from './unit.js'

/** Rows of a step that may wait for their commit, of all its open units together. */
const ROWS_WAITING = 6_400
/** How long a run that is stopped looks for what is left of a step. */
const LOOK_MS = 3_000

/** What became of the units of a step in this run. */
interface Worked {
  readonly plan: StepPlan
  /** The names of those that are done. */
  readonly computed: ReadonlySet<string>
  /** How many ended with an error. */
  readonly failed: number
  readonly budget: Budget
  /** Its timeout was over before its units ended. */
  readonly late: boolean
}

/** Plans a step, does its units and plans it again: it is complete when nothing is left to plan. */
export async function runStep(services: RunServices, step: Step, signal: AbortSignal): Promise<StepEnd> {
  const { id, timeoutMs: ms } = step
  const limit = ms === undefined ? undefined : { ms, error: new StepTimeoutError(id, ms) }
  // What is planned late is begun all the same: the time of its units is their own.
  const plan = await withTimeout(services.clock, signal, limit, (all) =>
    planStep({ ...services, warehouse: stoppable(services.warehouse, all), step, limit: services.limit, upstream: [] }),
  )
  announce(services, plan)
  const worked = await withTimeout(services.clock, signal, limit, (all, time) => {
    // Every unit that is open or waits for its commit listens to it, and Node warns at more than ten listeners.
    setMaxListeners(0, all)
    return workOn({ ...services, warehouse: stoppable(services.warehouse, all) }, plan, all, time)
  })
  const end = 'outcome' in worked ? worked : await ended(services, worked, signal)
  // What an earlier run had published was ended here, and computes nothing of what came in since.
  if (end.outcome === 'complete' && end.dueAt === 0n && wasPublished(plan)) return runStep(services, step, signal)
  return { ...end, dueAt: end.dueAt ?? clockDue(services, plan) }
}

/** Whether the unit of a step that is named by its inputs was computed by an earlier run, which was ended behind it. */
function wasPublished({ wanted, units, ledger }: StepPlan): boolean {
  const isNamed = wanted.kind === 'task' && wanted.named === 'inputs'
  return isNamed && units.some(({ key }) => ledger.rows.some((row) => row.unit === key && row.cursor !== undefined && row.state !== 'done'))
}

async function workOn(services: RunServices, plan: StepPlan, signal: AbortSignal, time: StepTime): Promise<StepEnd | Worked> {
  const { step } = plan
  if (step.definition.closes === true) return runCheck(services, plan, signal)
  await checkRedo(services, plan)
  await reconcileLedger(services, plan)
  const budget = new Budget(mostRequests(plan, services.limit))
  if (plan.units.length === 0) return { plan, computed: new Set(), failed: 0, budget, late: false }
  services.emit({ type: 'step:started', step: step.id })
  services.reads(step)
  await services.warehouse.checkOutputs(plan.outputs, services.pipeline.tables)
  const ends = await runUnits(services, plan, budget, { signal, time })
  return { plan, ...ends, budget, late: timedOut(signal) }
}

/** Requests that a run may make for steps that ask page by page: for them, `--limit` counts pages. */
function mostRequests({ wanted }: StepPlan, limit: number | undefined): number | undefined {
  if (wanted.kind === 'rows') return undefined
  const asks = wanted.kind === 'task' ? wanted.due === 'once' : wanted.limitBy === 'requests'
  return Math.min((asks ? limit : undefined) ?? Infinity, wanted.maxRequests ?? Infinity)
}

/**
 * Plans the step again and takes its outcome from what is left: that its units ended proves nothing, and where one failed the step is
 * not complete. Steps that this one does not wait for may have changed its inputs since it was planned. A unit that is due for that
 * reason (it was computed in this run, or was not planned) is left to the next run and does not count as missing.
 */
async function ended(services: RunServices, { plan, computed, failed, budget, late }: Worked, signal: AbortSignal): Promise<StepEnd> {
  const { step } = plan
  const left = await leftOf(services, plan, signal)
  const again = step.inputs.length > 0 || isEveryRound(plan)
  const later = again ? dueLater(plan, left, computed) : 0
  const missing = left.pieces - later
  const quarantined = left.quarantined.length
  // One that is due in every round has no round of its own.
  const rest = { missing, quarantined, dueAt: later > 0 && !isEveryRound(plan) ? 0n : undefined }
  if (signal.aborted) return { outcome: 'stopped', ...rest }
  const closed = services.closedBy(step.id)
  if (closed.length > 0) return { outcome: 'closed', ...rest, reason: closedBecause(closed) }
  const nothingLeft = missing === 0 && quarantined === 0
  const complete = nothingLeft && failed === 0
  await compactLedger(services, plan, left, complete)
  const seam = brokenSeamOf(left)
  if (seam !== undefined) return { outcome: 'incomplete', ...rest, reason: seam, lasting: true }
  // Nothing can be done for what is lost, so those below go on.
  const gaps = lostInWords(left)
  if (complete && gaps !== undefined) return { outcome: 'complete', ...rest, reason: gaps, gaps }
  const told = plan.note ?? plan.later
  if (complete) return told === undefined ? { outcome: 'complete', ...rest } : { outcome: 'complete', ...rest, reason: told }
  if (services.drain?.aborted) return { outcome: 'stopped', ...rest }
  if (budget.refused && quarantined === 0) {
    const given = budget.most === services.limit ? '--limit' : 'max_pages'
    const outcome = budget.most === services.limit ? 'limited' : 'incomplete'
    if (!gotOn(plan, left)) {
      const reason = `${given} ${budget.most} is too small to get on: every run would read the same ${noun(budget.most ?? 0, 'pages')}; it takes at least ${budget.most + 1}`
      return { outcome, ...rest, reason, lasting: true }
    }
    const resume = `${counted(budget.most ?? 0, 'pages')} read; the next run goes on ${resumePoint(left.units)}`
    return { outcome, ...rest, reason: given === '--limit' ? `--limit: ${resume}` : `max_pages reached: ${resume}`, goesOn: true }
  }
  const limited = missing > 0 && quarantined === 0 && missing <= plan.leftOut
  if (limited) return { outcome: 'limited', ...rest, reason: `--limit left ${amount(missing)} ${noun(missing, plan.word)} out` }
  const parts = [
    leftInWords(left, missing, quarantined),
    nothingLeft ? `${failed === 1 ? 'a unit' : `${failed} units`} failed after all rows were there` : '',
    late ? 'its timeout was over' : '',
  ]
  return { outcome: 'incomplete', ...rest, reason: parts.filter(Boolean).join(', ') }
}

/**
 * Whether a run whose requests were used up left less for the next one. What came in since the last run does not count: every
 * run begins with it.
 */
function gotOn(before: StepPlan, after: StepPlan): boolean {
  const cursorOf = ({ ledger }: StepPlan, { key, resumeFrom }: PlannedUnit) =>
    JSON.stringify(ledger.rows.find(({ unit }) => unit === key)?.cursor ?? resumeFrom)
  const left = new Map(after.units.map((unit) => [unit.key, unit]))
  const deep = before.units.filter(({ reason }) => reason !== 'recent')
  return (deep.length > 0 ? deep : before.units).some((unit) => {
    const same = left.get(unit.key)
    return same === undefined || cursorOf(before, unit) !== cursorOf(after, same)
  })
}

/** What is stored and can't be all of one fork, whoever stored it. */
function brokenSeamOf({ ledger, axis }: StepPlan): string | undefined {
  const [seam] = axis ? brokenSeams(ledger, axis) : []
  return seam && axis && `${seamInWords(seam, axis)}; \`pipe verify FILE\` names the commands that mend it`
}

/** What is left of a plan. After a stop it is looked for so long and no longer: it is only told then. */
async function leftOf(services: RunServices, plan: StepPlan, signal: AbortSignal): Promise<StepPlan> {
  if (plan.units.length === 0) return { ...plan, pieces: plan.pieces + plan.leftOut }
  const again = (until: AbortSignal) =>
    planAgain({ ...services, warehouse: stoppable(services.warehouse, until), step: plan.step, limit: undefined, upstream: [] }, plan)
  if (!signal.aborted) return again(signal)
  const late = new Error('the run was stopped')
  return withTimeout(services.clock, new AbortController().signal, { ms: LOOK_MS, error: late }, again).catch((error: unknown) => {
    if (error !== late) throw error
    return plan
  })
}

/** How many units are due again since an input changed: they were computed in this run, or were not planned. */
function dueLater(plan: StepPlan, left: StepPlan, computed: ReadonlySet<string>): number {
  const planned = new Set(plan.units.map(({ key }) => key))
  const isNew = (key: string) => plan.leftOut === 0 && !planned.has(key)
  return left.units.filter(({ key }) => computed.has(key) || isNew(key)).length
}

function resumePoint(units: readonly PlannedUnit[]): string {
  const tops = units.flatMap(({ piece }) => (piece.kind === 'stretch' && piece.axis.of === 'time' ? [formatInstant(piece.to)] : []))
  return tops.length > 0 ? `from ${tops.slice(0, 3).join(' and from ')}${tops.length > 3 ? ', …' : ''}` : 'where this one ended'
}

function announce(services: RunServices, plan: StepPlan): void {
  const reasons: Record<string, number> = {}
  for (const unit of plan.units) reasons[unit.reason] = (reasons[unit.reason] ?? 0) + unit.size
  services.emit({
    type: 'step:planned',
    step: plan.step.id,
    units: plan.units.length,
    pieces: plan.pieces,
    done: plan.done,
    requests: plan.requests ?? 0,
    reasons,
    word: plan.word,
    time: plan.time,
    blocks: followed(services, plan),
    span: spanOf(plan),
    parallel: parallelOf(services, plan),
  })
}

/** How much a step does at once, where it can do several things. */
function parallelOf({ control }: RunServices, { step, wanted }: StepPlan): Width | undefined {
  return wanted.kind === 'task' ? undefined : widthOf(step, control.parallel(step.id))
}

/** What a step wants of its axis, done or not. */
function spanOf({ wanted }: StepPlan) {
  if (wanted.kind !== 'stretches' || wanted.domain === 'inputs') return undefined
  const [from, to] = wanted.domain
  return to < from ? undefined : { of: wanted.axis.of, from: String(from), to: String(to) }
}

/** Up to where a step reads its chain, where that moves with the head. */
function followed({ pipeline, given }: RunServices, { step, wanted }: StepPlan) {
  if (wanted.kind !== 'stretches' || wanted.domain === 'inputs' || step.chain === undefined) return undefined
  return readsHead(pipeline, step, given) ? { chain: step.chain, last: String(wanted.domain[1]) } : undefined
}

/** Does all units of a plan. Resolves to how many failed and, of a step that computes from inputs, the names of those that are done. */
async function runUnits(
  services: RunServices,
  plan: StepPlan,
  budget: Budget,
  { signal, time }: { readonly signal: AbortSignal; readonly time: StepTime },
): Promise<Pick<Worked, 'computed' | 'failed'>> {
  const { step } = plan
  const { definition } = step
  const { committer, slots, control } = services
  const width = () => Math.min(unitsAtOnce(step, control.parallel(step.id)), plan.units.length)
  const rpc = services.rpc(step, plan.config)
  const source = services.source(plan)
  const join = joinRule(services, plan)
  const owner = keeps(plan) ? ownerRule(plan.axis, services.pipeline.tables, definition.rereads === true) : undefined
  const records = plan.wanted.kind === 'rows' ? recordRule(plan.wanted, services.pipeline.tables) : undefined
  const context = services.stepContext(plan, services.warehouse)
  const named = ledgerStep(services, plan)
  const outages = new OutageGuard()
  const ending = new Set<Promise<void>>()
  const computes = step.inputs.length > 0 || isEveryRound(plan)
  const done = new Set<string>()
  let failed = 0
  let forked = false
  const links = new Links(
    step.id,
    plan.ledger.rows.filter((row) => row.fingerprint === plan.fingerprint),
  )
  const reads = new Slots(READS_AT_ONCE)
  let failure: { readonly error: unknown } | undefined
  const over = services.drain ? AbortSignal.any([signal, services.drain]) : signal
  const crew = new Crew({ control, width, over, time })
  /** Resolves when the unit has yielded its last batch. `ending` waits for its commit, so the next unit can begin before that. */
  const begin = async ({ unit, opened }: TakenUnit) => {
    services.emit({ type: 'unit:started', step: step.id, unit: unit.key, resumed: opened.cursor !== undefined, size: unit.size })
    let produced: () => void = () => undefined
    const given = new Promise<void>((resolve) => (produced = resolve))
    const end: Promise<void> = runUnit({
      services,
      plan,
      unit,
      opened,
      rpc,
      context,
      ledgerStep: named,
      links,
      join,
      owner,
      records,
      budget,
      room: ROWS_WAITING / width(),
      signal,
      input: () => input(services, plan, unit, reads),
      produced,
    }).then(
      (outcome) => {
        ending.delete(end)
        outages.saw(outcome)
        if (outcome === 'forked') forked = true
        if (outcome === 'stopped' || outcome === 'taken' || outcome === 'forked')
          services.emit({ type: 'unit:left', step: step.id, unit: unit.key, reason: outcome })
        if (outcome === 'failed' || outcome === 'quarantined') failed++
        if (computes && outcome === 'done' && unit.limit === undefined) done.add(unit.key)
        produced()
      },
      (error: unknown) => {
        ending.delete(end)
        failure ??= { error }
        produced()
      },
    )
    ending.add(end)
    void crew.during(() => end)
    await given
  }
  const worker = async (stays: () => boolean) => {
    const producer = committer.join()
    try {
      while (stays() && !over.aborted && !outages.tripped && !failure && !forked && !budget.refused) {
        // The slot comes before the unit: a unit that was taken and waited for a slot would be open and idle.
        const begun = await producer.wait(
          slots.use(async () => {
            await crew.mayBegin()
            return crew.during(async () => {
              const taken = await source.next(over)
              if (taken) await begin(taken)
              return taken !== undefined
            })
          }),
        )
        if (!begun) return
        await producer.wait(committer.room())
      }
    } catch (error) {
      failure ??= { error }
    } finally {
      producer.leave()
    }
  }
  await control.whileWaiting(async () => {
    await crew.work(worker)
    await Promise.all(ending)
  })
  await source.close()
  if (failure) throw failure.error
  return { computed: done, failed }
}

/** Whether what is done under a definition stays as it is. Rows that a query asks for again, and what is computed anew, replace what is there. */
function keeps({ wanted }: StepPlan): boolean {
  if (wanted.kind === 'rows') return false
  return wanted.kind === 'stretches' ? wanted.due === 'uncovered' : wanted.due === 'once'
}

/** Stops a step when ten units in a row failed: the next thousand would meet the same outage. */
class OutageGuard {
  #failures = 0

  get tripped(): boolean {
    return this.#failures >= 10
  }

  saw(outcome: UnitOutcome): void {
    this.#failures = outcome === 'failed' ? this.#failures + 1 : 0
  }
}

/** Rows of one page of a unit's input. A number of its own, so that batches of a unit are the same whatever pages the warehouse gives. */
const INPUT_ROWS = 200

/** Reads of inputs of one step at once. Each is a query over whole tables, so many of them would take turns and the memory of all. */
const READS_AT_ONCE = 2

/** All is read before the first page is given, and no read is held open across a commit. Rows wait packed: many units wait at once. */
async function* input({ pipeline, warehouse }: RunServices, plan: StepPlan, unit: PlannedUnit, reads: Slots): AsyncIterable<InputPage> {
  if (plan.wanted.kind !== 'rows' || !unit.rows) throw new Error(`unit ${unit.key} has no input`)
  const statement = missingPage(plan.wanted, outputTable(pipeline, plan.outputs, plan.wanted), unit.rows, unit.limit)
  const pages = await reads.use(async () => {
    const full: Buffer[] = []
    let rows: Row[] = []
    for await (const page of warehouse.query(statement)) {
      for (const row of page) {
        rows.push(row)
        if (rows.length < INPUT_ROWS) continue
        full.push(packed(rows))
        rows = []
      }
    }
    if (rows.length > 0) full.push(packed(rows))
    return full
  })
  for (let bytes = pages.shift(); bytes; bytes = pages.shift()) {
    const rows = unpacked(bytes)
    yield { keys: rows.map((row) => String(row[KEY_COLUMN])), rows }
  }
}
