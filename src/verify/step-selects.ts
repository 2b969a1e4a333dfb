import type { Batch, LedgerRow, PlanContext } from '../sdk/index.js'
import { runContext } from '../sdk/run-context.js'
import { stretchOf } from './stretches.js'
import type { StepLook } from './look.js'

/** The queries that a step would run inside the warehouse for a unit. Runs none of them. */
export async function selectsOf(
  { step, plan }: StepLook,
  context: PlanContext<never>,
  row: LedgerRow,
  signal: AbortSignal,
): Promise<NonNullable<Batch['selects']>> {
  const stretch = stretchOf(plan.wanted, row)
  const run = runContext({
    step: context,
    unit: {
      key: row.unit,
      piece:
        stretch && plan.axis
          ? { kind: 'stretch', axis: plan.axis, from: stretch[0], to: stretch[1], order: 'newest-first' }
          : { kind: 'task' },
      size: 1,
    },
    ports: {},
    signal,
    user: `step ${step.id}, asked for its queries by verify,`,
  })
  const selects = []
  for await (const batch of step.definition.run(run)) selects.push(...(batch.selects ?? []))
  return selects
}
