import type { CheckResult } from '../sdk/index.js'
import { runContext } from '../sdk/run-context.js'
import type { Step } from '../pipeline/pipeline.js'
import type { PlannedUnit, StepPlan } from '../plan/plan.js'
import { planStep } from '../plan/plan-step.js'
import { asBatches, asChecks } from './batch-shape.js'
import { failedChecks, failedInWords } from './checks.js'
import { failureOf, unitFailed, waitToRetry } from './failure.js'
import type { Gaps } from './gaps.js'
import type { RunServices, StepEnd } from './services.js'
import type { Slots } from './slots.js'
import { StepTimeoutError, timedOut, withTimeout } from './step-timeout.js'
import { stoppable } from './stoppable.js'
import { untilAborted } from './until-aborted.js'

/** Evaluates a step that closes once what it needs has ended. Nothing of it is in the ledger: it is evaluated in every run. */
export async function runCheck(services: RunServices, plan: StepPlan, signal: AbortSignal): Promise<StepEnd> {
  const { step, wanted } = plan
  const [unit] = plan.units
  const gaps = services.gapsAbove(step)
  const allowed = wanted.kind === 'task' && wanted.allowGaps === true && gaps?.closed !== true
  if (gaps !== undefined && !allowed) return closed(`${gaps.words}; not evaluated`)
  if (!unit) throw new Error(`step ${step.id} closes and has no unit`)
  services.emit({ type: 'step:started', step: step.id })
  const found = await evaluate(services, plan, unit, gaps, signal)
  if (found === undefined) return { outcome: 'stopped', missing: 0, quarantined: 0 }
  if (typeof found === 'string') return closed(`its checks could not be evaluated: ${found}`)
  if (found.length === 0) return closed('it gave no checks')
  services.emit({ type: 'unit:done', step: step.id, unit: unit.key })
  const failed = failedChecks(found)
  const beside = gaps === undefined ? [] : [`with gaps (allow_gaps): ${gaps.words}`]
  if (failed.length > 0) return closed([...failed.map(failedInWords), ...beside].join('; '))
  const open = { outcome: 'complete' as const, missing: 0, quarantined: 0 }
  return gaps === undefined ? open : { ...open, reason: `open ${beside.join('')}`, gaps: gaps.words }
}

const closed = (reason: string): StepEnd => ({ outcome: 'closed', missing: 0, quarantined: 0, reason })

/** Whether what a step needs has ended, runs, or has not begun. */
export type NeedsState = 'ended' | 'running' | 'waiting'

/**
 * Evaluates a step that closes at the distance that it wants (`everyMs`), while its needs run. That closes nothing: one that
 * can't be planned is not evaluated early, since the evaluation after its needs meets the same error and reports it.
 *
 * @param turns Of all such steps of a run: slow queries of many must not take the connections that steps read with.
 */
export async function runEarlyChecks(
  services: RunServices,
  step: Step,
  signal: AbortSignal,
  needs: () => NeedsState,
  turns: Slots,
): Promise<void> {
  const plan = await planStep({ ...services, step, limit: undefined, upstream: [] }).catch(() => undefined)
  const everyMs = plan?.wanted.kind === 'task' ? plan.wanted.everyMs : undefined
  if (!plan || everyMs === undefined) return
  const unit: PlannedUnit = { key: 'check', piece: { kind: 'task', early: true }, size: 1, reason: 'every', redo: false }
  const { timeoutMs: ms } = step
  const limit = ms === undefined ? undefined : { ms, error: new StepTimeoutError(step.id, ms) }
  for (;;) {
    await services.clock.sleep(everyMs, signal).catch(() => undefined)
    if (signal.aborted || needs() === 'ended') return
    if (needs() === 'waiting' || services.control.paused) continue
    const look = async () => {
      if (!signal.aborted)
        await withTimeout(services.clock, signal, limit, (all) => runCheckUnit(services, plan, unit, { final: false }, all))
    }
    const turn = services.control.during(() => turns.use(look))
    await untilSignal(turn, signal).catch((error: unknown) => {
      if (signal.aborted) return
      const { message } = failureOf(error)
      services.emit({ type: 'warning', step: step.id, message: services.redact(`not evaluated while its needs run: ${message}`) })
    })
  }
}

/** What `work` resolves to, or the reason of the signal as soon as it is aborted. */
async function untilSignal(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const over = new AbortController()
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true, signal: over.signal })
  })
  try {
    await Promise.race([work, aborted])
  } finally {
    over.abort()
    // What comes of it later is of no use any more.
    void work.catch(() => undefined)
  }
}

/** The results that open or close the step, or in words why there are none; undefined when the run is stopped. */
async function evaluate(
  services: RunServices,
  plan: StepPlan,
  unit: PlannedUnit,
  gaps: Gaps | undefined,
  signal: AbortSignal,
): Promise<readonly CheckResult[] | string | undefined> {
  const { step } = plan
  for (let attempt = 1; ; attempt++) {
    try {
      return await runCheckUnit(services, plan, unit, { final: true, gaps }, signal)
    } catch (error) {
      if (signal.aborted && !timedOut(signal)) return undefined
      const failure = failureOf(timedOut(signal) ? signal.reason : error)
      if (failure.own && failure.retryable && attempt < step.retry.attempts) {
        await waitToRetry(services, step, unit.key, failure, attempt, signal)
        continue
      }
      services.emit(unitFailed(services, step.id, unit.key, failure, 'failed'))
      return services.redact(failure.message)
    }
  }
}

async function runCheckUnit(
  services: RunServices,
  plan: StepPlan,
  unit: PlannedUnit,
  about: { readonly final: boolean; readonly gaps?: Gaps | undefined },
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  const { step } = plan
  const results: CheckResult[] = []
  const context = runContext({
    step: services.stepContext(plan, stoppable(services.warehouse, signal)),
    unit,
    ports: { rpc: services.rpc(step, plan.config), http: services.http(step), head: () => services.head(step) },
    signal,
    user: `step ${step.id}, which closes,`,
  })
  for await (const given of untilAborted(asBatches(step.id, step.definition.run(context)), signal)) {
    signal.throwIfAborted()
    const found = await asChecks(step.id, given, signal)
    const checks = found.map((result): CheckResult => ({ ...result, gaps: about.gaps?.words }))
    services.checks(step.id, checks, about.final)
    results.push(...checks)
  }
  signal.throwIfAborted()
  return results
}
