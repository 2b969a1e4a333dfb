import { mod } from '../ledger/intervals.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import type { StepPlan } from './plan.js'
import { type Moment, readsClock } from './scope.js'

/** How long what grows with the clock alone (a list, days that end) is left alone, microseconds. */
const BETWEEN_US = 60_000_000n

interface At {
  readonly pipeline: Pipeline
  readonly given: Readonly<Record<string, string>>
  readonly moment: Pick<Moment, 'now'>
}

/**
 * When the clock alone may make something due of a step that was planned in this round, microseconds UTC; undefined: never, only
 * what comes in does. A source is asked again when its `every` is over. A step that uses `$now`, or is due in every run, is due in every round. An interval that looks back to
 * rows is due once it has begun.
 */
export function clockDue(
  { pipeline, given, moment: { now } }: At,
  { step, wanted }: Pick<StepPlan, 'step' | 'wanted'>,
): bigint | undefined {
  if (step.everyMs !== undefined) return now + BigInt(step.everyMs) * 1000n
  const always = wanted.kind !== 'rows' && wanted.due === 'always' && step.definition.closes !== true
  if (always || readsClock(pipeline, step, given)) return now
  if (wanted.kind !== 'stretches' || wanted.axis.of !== 'time') return undefined
  if (wanted.domain !== 'inputs') return now + BETWEEN_US
  const looksBack = step.inputs.some(({ interval }) => typeof interval === 'object' && interval.lookbackUs > 0n)
  const { cut } = wanted.axis
  return looksBack && cut !== undefined ? now - mod(now, cut) + cut : undefined
}
