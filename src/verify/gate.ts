import type { PlanContext, Unit } from '../sdk/index.js'
import { PortMissingError, runContext } from '../sdk/run-context.js'
import type { Findings, StepLook } from './look.js'

/** Evaluates a gate as a run would at its end. */
export async function checkGate(
  { step, advice }: StepLook,
  context: PlanContext<never>,
  signal: AbortSignal,
  findings: Findings,
): Promise<void> {
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
