import { Type } from '@sinclair/typebox'
import type { Step } from '../pipeline/pipeline.js'
import { viewOf } from '../report/status.js'
import type { RunRecord } from '../state/store.js'
import { stateOf, UNDER_WAY } from './answers.js'

/** The pipeline that the admin API of old operates. */
export const BACKFILLED = 'enrichment'

/** How the backfill stands, in the words of the admin API of old: a process is a step. */
export interface Backfill {
  readonly running: boolean
  /** ISO 8601 in UTC; null where it has never run. */
  readonly startedAt: string | null
  readonly currentProcess: string | null
  readonly completedProcesses: readonly string[]
  readonly failedProcesses: readonly string[]
  readonly progress: { readonly total: number; readonly completed: number; readonly failed: number }
}

export const backfillAction = Type.Object(
  { action: Type.Union([Type.Literal('start'), Type.Literal('stop')]) },
  { additionalProperties: false },
)

const COMPLETED: ReadonlySet<string> = new Set(['complete', 'skipped', 'limited'])
/** One that waits for a step that failed or was stopped has not failed itself. */
const FAILED: ReadonlySet<string> = new Set(['failed', 'incomplete', 'closed'])

/** `steps`: those of the file, which say how many there are before a run has told of its own, and which are gates: no processes. */
export function backfill(run: RunRecord | undefined, steps: readonly Step[]): Backfill {
  const gates = new Set(steps.filter(({ definition }) => definition.closes === true).map(({ id }) => id))
  const all = (run ? viewOf(run).steps : []).filter(({ id }) => !gates.has(id))
  const idsOf = (states: ReadonlySet<string>) => all.filter(({ state }) => states.has(state)).map(({ id }) => id)
  const completedProcesses = idsOf(COMPLETED)
  const failedProcesses = idsOf(FAILED)
  return {
    running: UNDER_WAY.has(stateOf(run)),
    startedAt: run ? new Date(run.startedAt).toISOString() : null,
    currentProcess: all.find(({ state }) => state === 'running')?.id ?? null,
    completedProcesses,
    failedProcesses,
    progress: { total: all.length || steps.length - gates.size, completed: completedProcesses.length, failed: failedProcesses.length },
  }
}
