import type { PlanContext, RunContext } from '../sdk/index.js'
import type { Findings, StepView } from './view.js'

/** Evaluates a gate as a run would at its end. */
export async function checkGate(
  { step, advice }: StepView,
  context: PlanContext<never>,
  signal: AbortSignal,
  findings: Findings,
): Promise<void> {
  const closed = (): never => {
    throw new Error('a gate asks the warehouse only')
  }
  const run: RunContext<never, never> = {
    ...context,
    unit: { key: 'check', piece: { kind: 'task', early: false }, size: 1 },
    cursor: undefined,
    input: closed,
    get rpc() {
      return closed()
    },
    get http() {
      return closed()
    },
    head: closed,
    turn: () => true,
    signal,
  }
  for await (const batch of step.definition.run(run)) {
    for (const { name, passed, severity, value, expect, problem } of batch.checks ?? []) {
      if (passed || severity !== 'error') continue
      findings.add('gate', `${name}: ${problem ?? `is ${value ?? 'nothing'}, expected ${expect}`}`, [advice.run()])
    }
  }
}
