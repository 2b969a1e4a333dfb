import type { PlanContext, Unit } from '../sdk/index.js'
import { PortMissingError, runContext } from '../sdk/run-context.js'
import type { Findings, StepLook } from './look.js'

/** What is incomplete above a gate. */
export interface GateGaps {
  /** Steps with findings of their own. */
  readonly found: readonly string[]
  /** What is missing of steps that are not verified with it, in words. */
  readonly unseen: readonly string[]
}

/** Evaluates a gate as a run would at its end. */
export async function checkGate(
  { step, plan, advice }: StepLook,
  context: PlanContext<never>,
  { found, unseen }: GateGaps,
  signal: AbortSignal,
  findings: Findings,
): Promise<void> {
  const allowed = plan.wanted.kind === 'task' && plan.wanted.allowGaps === true
  const open = [...unseen, ...(found.length > 0 ? [`there are findings in ${found.join(', ')}`] : [])].join('; ')
  if (allowed)
    findings.notes.add(`allow_gaps: it opens although something above it is incomplete${open === '' ? '' : `, as it is now: ${open}`}`)
  else if (open !== '') {
    findings.notes.add(`not evaluated: ${open}`)
    if (unseen.length > 0) findings.add('gate', `closed: ${unseen.join('; ')}`, [advice.run()])
    return
  }
  const unit: Unit = { key: 'check', piece: { kind: 'task', early: false }, size: 1 }
  const run = runContext({ step: context, unit, ports: {}, signal, user: `step ${step.id}, evaluated again by verify,` })
  try {
    for await (const batch of step.definition.run(run)) {
      for (const { name, passed, severity, value, expect, problem } of batch.checks ?? []) {
        if (passed || severity !== 'error') continue
        findings.add('gate', `${name}: ${problem ?? `is ${value ?? 'nothing'}, expected ${expect}`}`, [advice.run()])
      }
    }
  } catch (error) {
    if (!(error instanceof PortMissingError)) throw error
    // Verify asks the warehouse alone; a gate that asks more is a run's matter.
    findings.notes.add(`not evaluated: ${error.message}`)
  }
}
