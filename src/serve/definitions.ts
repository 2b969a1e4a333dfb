import type { Pipeline } from '../pipeline/pipeline.js'
import { stepFingerprint } from '../plan/plan-step.js'
import type { Moment } from '../plan/scope.js'
import { isPipeError } from '../sdk/index.js'
import type { LastRun } from '../session/last-run.js'

/** Under which definition units of a step count as done. With `problem` it can't be told, so that none do: a plan fails as well. */
export interface Definition {
  readonly fingerprint: string
  readonly problem: string | undefined
}

/** The definitions that a run with the params of the last one has, by step. Asks no chain: heads are those that the last run saw. */
export async function definitionsOf(
  pipeline: Pipeline,
  { params, heads, now }: Pick<LastRun, 'params' | 'heads' | 'now'>,
): Promise<ReadonlyMap<string, Definition>> {
  const moment = momentOf({ heads, now })
  const found = pipeline.steps.map(async (step): Promise<[string, Definition]> => {
    try {
      return [step.id, { fingerprint: await stepFingerprint({ pipeline, step, given: params, moment }), problem: undefined }]
    } catch (error) {
      if (!isPipeError(error)) throw error
      return [step.id, { fingerprint: '', problem: error.message }]
    }
  })
  return new Map(await Promise.all(found))
}

/** When the last run looked, with the heads that it saw. */
export function momentOf({ heads, now }: Pick<LastRun, 'heads' | 'now'>): Moment {
  return { now: BigInt(now ?? 0), head: (chain) => Promise.resolve(BigInt(heads[chain] ?? 0)) }
}
