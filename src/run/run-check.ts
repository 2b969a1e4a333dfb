import type { InputPage, LedgerRow } from '../sdk/index.js'
import type { Step } from '../pipeline/pipeline.js'
import type { PlannedUnit, StepPlan } from '../plan/plan.js'
import { planStep } from '../plan/plan-step.js'
import { Budget } from './budget.js'
import type { RunServices, StepEnd } from './services.js'
import { runUnit } from './unit.js'

/** Evaluates a gate once what it needs has ended. */
export async function runCheck(services: RunServices, plan: StepPlan, signal: AbortSignal): Promise<StepEnd> {
  const [unit] = plan.units
  const left = services.incompleteNeeds(plan.step)
  const allowGaps = plan.wanted.kind === 'check' && plan.wanted.allowGaps === true
  if (left !== undefined && !allowGaps) return { outcome: 'closed', missing: 0, quarantined: 0, reason: `not evaluated: ${left}` }
  if (!unit) throw new Error(`gate ${plan.step.id} has no unit`)
  services.emit({ type: 'step:started', step: plan.step.id })
  const failed = services.collectChecks(plan.step.id)
  const outcome = await runUnit({
    services,
    plan,
    unit,
    opened: noRow(plan, unit),
    rpc: services.rpc(plan.step),
    budget: NO_LIMIT,
    room: 0,
    signal,
    input: noInput,
  })
  if (outcome === 'stopped') return { outcome: 'stopped', missing: 0, quarantined: 0 }
  const closed = failed()
  if (outcome !== 'done') return { outcome: 'closed', missing: 0, quarantined: 0, reason: 'its checks could not be evaluated' }
  if (closed.length > 0) return { outcome: 'closed', missing: 0, quarantined: 0, reason: closed.join('; ') }
  if (left !== undefined) return { outcome: 'closed', missing: 0, quarantined: 0, reason: `evaluated with gaps: ${left}` }
  return { outcome: 'complete', missing: 0, quarantined: 0 }
}

/** Evaluates a gate with `every` at that distance for as long as its needs are open. */
export async function runEarlyChecks(services: RunServices, step: Step, signal: AbortSignal, open: () => boolean): Promise<void> {
  if (typeof step.with !== 'object' || step.with === null || !('every' in step.with)) return
  try {
    const plan = await planStep({ ...services, step, limit: undefined, upstream: [] })
    const everyMs = plan.wanted.kind === 'check' ? plan.wanted.everyMs : undefined
    if (everyMs === undefined) return
    for (;;) {
      await services.clock.sleep(everyMs, signal)
      if (!open()) return
      const unit: PlannedUnit = { key: 'check', piece: { kind: 'check', early: true }, size: 1, reason: 'every', redo: false }
      await runUnit({
        services,
        plan,
        unit,
        opened: noRow(plan, unit),
        rpc: services.rpc(step),
        budget: NO_LIMIT,
        room: 0,
        signal,
        input: noInput,
      })
    }
  } catch (error) {
    // The evaluation after the needs will fail with the same error, and then it counts.
    if (!signal.aborted)
      services.emit({
        type: 'warning',
        step: step.id,
        message: `not evaluated while its needs run: ${services.redact(error instanceof Error ? error.message : String(error))}`,
      })
  }
}

const NO_LIMIT = new Budget(undefined)

function noRow(plan: StepPlan, unit: PlannedUnit): LedgerRow {
  return {
    step: plan.step.id,
    unit: unit.key,
    state: 'running',
    fingerprint: plan.fingerprint,
    epoch: 0n,
    cursor: undefined,
    rows: {},
    attempts: 0,
    endpoint: undefined,
    parentHash: undefined,
    lastHash: undefined,
    evidence: undefined,
    error: undefined,
    startedAt: 0n,
    updatedAt: 0n,
  }
}

async function* noInput(): AsyncIterable<InputPage> {
  throw new Error('this unit has no input')
}
