import type { Batch, PlanContext, RunContext } from '../sdk/index.js'
import { stretchOf } from './stretches.js'
import type { StepView } from './view.js'

/** The queries that a step would run inside the warehouse for a unit. Runs none of them. */
export async function selectsOf(
  { step, plan }: StepView,
  context: PlanContext<never>,
  unit: string,
  signal: AbortSignal,
): Promise<NonNullable<Batch['selects']>> {
  const stretch = stretchOf(plan.wanted, unit)
  const outside = (): never => {
    throw new Error('what SQL makes asks the warehouse only')
  }
  const run: RunContext<never, never> = {
    ...context,
    unit: {
      key: unit,
      piece: stretch ? { kind: 'interval', start: stretch[0], end: stretch[1] + 1n } : { kind: 'once' },
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
