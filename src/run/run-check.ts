import type { CheckResult } from '../sdk/index.js'
import { runContext } from '../sdk/run-context.js'
import type { Step } from '../pipeline/pipeline.js'
import type { PlannedUnit, StepPlan } from '../plan/plan.js'
import { planStep } from '../plan/plan-step.js'
import { asBatches, asChecks } from './batch-shape.js'
import { failedChecks } from './checks.js'
import { failureOf, unitFailed, waitToRetry } from './failure.js'
import type { RunServices, StepEnd } from './services.js'
import { timedOut } from './step-timeout.js'
import { untilAborted } from './until-aborted.js'

/** Evaluates a step that closes once what it needs has ended. Nothing of it is in the ledger: it is evaluated in every run. */
export async function runCheck(services: RunServices, plan: StepPlan, signal: AbortSignal): Promise<StepEnd> {
  const { step, wanted } = plan
  const [unit] = plan.units
  const left = services.incompleteNeeds(step)
  const allowGaps = wanted.kind === 'task' && wanted.allowGaps === true
  if (left !== undefined && !allowGaps) return closed(`not evaluated: ${left}`)
  if (!unit) throw new Error(`step ${step.id} closes and has no unit`)
  services.emit({ type: 'step:started', step: step.id })
  const results = await evaluate(services, plan, unit, true, signal)
  if (signal.aborted && !timedOut(signal)) return { outcome: 'stopped', missing: 0, quarantined: 0 }
  if (!results) return closed('its checks could not be evaluated')
  if (results.length === 0) return closed('it gave no checks')
  services.emit({ type: 'unit:done', step: step.id, unit: unit.key })
  const failed = failedChecks(results)
  if (failed.length > 0) return closed(failed.join('; '))
  if (left !== undefined) return closed(`evaluated with gaps: ${left}`)
  return { outcome: 'complete', missing: 0, quarantined: 0 }
}

const closed = (reason: string): StepEnd => ({ outcome: 'closed', missing: 0, quarantined: 0, reason })

/**
 * Evaluates a step that closes at the distance that it wants (`everyMs`), for as long as its needs are open. One that can't
 * be planned is not evaluated early: the evaluation after its needs throws the same error, and it is reported there.
 */
export async function runEarlyChecks(services: RunServices, step: Step, signal: AbortSignal, open: () => boolean): Promise<void> {
  const plan = await planStep({ ...services, step, limit: undefined, upstream: [] }).catch(() => undefined)
  const everyMs = plan?.wanted.kind === 'task' ? plan.wanted.everyMs : undefined
  if (!plan || everyMs === undefined) return
  const unit: PlannedUnit = { key: 'check', piece: { kind: 'task', early: true }, size: 1, reason: 'every', redo: false }
  for (;;) {
    const woken = await services.clock.sleep(everyMs, signal).then(
      () => true,
      () => false,
    )
    if (!woken || !open()) return
    await evaluate(services, plan, unit, false, signal)
  }
}

/** The results of one evaluation, or undefined when it failed or was stopped. `final`: they open or close the step. */
async function evaluate(
  services: RunServices,
  plan: StepPlan,
  unit: PlannedUnit,
  final: boolean,
  signal: AbortSignal,
): Promise<readonly CheckResult[] | undefined> {
  const { step } = plan
  for (let attempt = 1; ; attempt++) {
    try {
      return await runCheckUnit(services, plan, unit, final, signal)
    } catch (error) {
      if (signal.aborted && !timedOut(signal)) return undefined
      const failure = failureOf(timedOut(signal) ? signal.reason : error)
      if (failure.own && failure.retryable && attempt < step.retry.attempts) {
        await waitToRetry(services, step, unit.key, failure, attempt, signal)
        continue
      }
      services.emit(unitFailed(services, step.id, unit.key, failure, 'failed'))
      return undefined
    }
  }
}

async function runCheckUnit(
  services: RunServices,
  plan: StepPlan,
  unit: PlannedUnit,
  final: boolean,
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  const { step } = plan
  const results: CheckResult[] = []
  const context = runContext({
    step: services.stepContext(plan, services.warehouse),
    unit,
    ports: { rpc: services.rpc(step, plan.config), http: services.http(step), head: () => services.head(step) },
    signal,
    user: `step ${step.id}, which closes,`,
  })
  for await (const given of untilAborted(asBatches(step.id, step.definition.run(context)), signal)) {
    signal.throwIfAborted()
    const checks = await asChecks(step.id, given, signal)
    services.checks(step.id, checks, final)
    results.push(...checks)
  }
  signal.throwIfAborted()
  return results
}
