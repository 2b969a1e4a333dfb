import { viewOf } from '../report/status.js'
import type { RunRecord } from '../state/store.js'
import { type PipelineState, stateOf } from './answers.js'

/** A process that is at work on a pipeline. Times are ISO 8601 in UTC. */
export interface WorkerAnswer {
  readonly run: string
  readonly host: string
  readonly pid: number
  /** Started by this server. */
  readonly own: boolean
  readonly state: PipelineState
  readonly since: string
  readonly lastSeen: string
  /** Units under way by step: how many, and those that were begun first. */
  readonly steps: readonly {
    readonly step: string
    readonly units: number
    readonly first: readonly { readonly unit: string; readonly since: string }[]
  }[]
}

/** Who is at work, whoever started it: the process of the run that runs. What it is at it says once a second, to this server at once. */
export function workersOf(run: RunRecord | undefined, isOwn: boolean): readonly WorkerAnswer[] {
  if (run?.outcome !== 'running') return []
  const view = viewOf(run)
  const { id, host, pid, startedAt, updatedAt } = run
  const steps = view.steps
    .filter(({ open }) => open.units > 0)
    .map(({ id: step, open: { units, first } }) => ({
      step,
      units,
      first: first.map(({ unit, since }) => ({ unit, since: instant(since) })),
    }))
  const lastSeen = instant(Math.max(updatedAt, view.at ?? 0))
  return [{ run: id, host, pid, own: isOwn, state: stateOf(run), since: instant(startedAt), lastSeen, steps }]
}

const instant = (ms: number) => new Date(ms).toISOString()
