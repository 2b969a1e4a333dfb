import type { Batch, LedgerRow, PlanContext, RunContext } from '../sdk/index.js'
import { stretchOf } from './stretches.js'
import type { StepView } from './view.js'

/** The queries that a step would run inside the warehouse for a unit. Runs none of them. */
export async function selectsOf(
  { step, plan }: StepView,
  context: PlanContext<never>,
  row: LedgerRow,
  signal: AbortSignal,
): Promise<NonNullable<Batch['selects']>> {
  const stretch = stretchOf(plan.wanted, row)
  const outside = (): never => {
    throw new Error('what SQL makes asks the warehouse only')
  }
  const run: RunContext<never, never> = {
    ...context,
    unit: {
      key: row.unit,
      piece:
        stretch && plan.axis
          ? { kind: 'stretch', axis: plan.axis, from: stretch[0], to: stretch[1], order: 'newest-first' }
          : { kind: 'task' },
      size: 1,
    },
    cursor: undefined,
    input: outside,
    get rpc() {
      return outside()
    },
    get http() {
      return outside()
    },
    head: outside,
    turn: () => true,
    signal,
  }
  const selects = []
  for await (const batch of step.definition.run(run)) selects.push(...(batch.selects ?? []))
  return selects
}
