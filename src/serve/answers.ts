import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { widthOf } from '../pipeline/steps/width.js'
import type { Lag } from '../report/lag.js'
import { type StatusCheck, statusReport, type StatusStep, viewOf } from '../report/status.js'
import type { RunView } from '../report/view.js'
import { nextTimes, type Schedule } from '../schedule/times.js'
import type { Json, Width } from '../sdk/index.js'
import type { CheckRecord, RunRecord } from '../state/store.js'

/** How a pipeline stands. `interrupted`: the process of its run is gone without a word; the next run goes on where it ended. */
export type PipelineState =
  'never' | 'starting' | 'running' | 'pausing' | 'paused' | 'stopping' | 'done' | 'incomplete' | 'stopped' | 'error' | 'interrupted'

/** A run in a list. Times are ISO 8601 in UTC. */
export interface RunAnswer {
  readonly id: string
  readonly pipeline: string
  readonly state: PipelineState
  readonly exitCode: number | null
  readonly error: string | null
  readonly warehouse: string
  readonly host: string
  readonly pid: number
  readonly startedAt: string
  readonly endedAt: string | null
  /** When it was last heard of. */
  readonly updatedAt: string
  readonly elapsedMs: number
  readonly rows: Readonly<Record<string, number>>
}

/** A pipeline in a list. */
export interface PipelineAnswer {
  readonly name: string
  readonly description: string | null
  readonly file: string
  readonly state: PipelineState
  /** The run that runs, else the last one. */
  readonly run: RunAnswer | null
  /** Of that run: how many of its steps are in each state. */
  readonly steps: Readonly<Record<string, number>>
  /** Pieces of that run: blocks, rows and days together; checks of gates are none. */
  readonly progress: { readonly done: number; readonly total: number | null; readonly quarantined: number }
  /** When the server runs it by itself. */
  readonly schedule: ScheduleAnswer | null
}

export interface ScheduleAnswer extends Schedule {
  /** False where this server was started with --no-schedules: then it begins no run by itself. */
  readonly enabled: boolean
  /** The next three times, ISO 8601 in UTC. */
  readonly next: readonly string[]
}

export interface StepAnswer {
  readonly id: string
  readonly title: string
  readonly type: string
  readonly needs: readonly string[]
  readonly chain: string | null
  readonly source: string | null
  /** Tables that it fills. */
  readonly tables: readonly string[]
  /** How much it does at once, by the file; null: it does one thing. */
  readonly parallel: Width | null
}

export interface ParamAnswer {
  readonly name: string
  readonly type: string
  readonly default: Json
  /** The values that it may have; null: any of its type. */
  readonly oneOf: readonly Json[] | null
  readonly description: string | null
}

/** One pipeline: what the file says, and how it stands. */
export interface PipelineDetail extends PipelineAnswer {
  readonly params: readonly ParamAnswer[]
  readonly graph: readonly StepAnswer[]
}

/** One run, with everything that is known of it. */
export interface RunDetail extends RunAnswer {
  readonly params: Readonly<Record<string, string>>
  readonly heads: Readonly<Record<string, string>>
  readonly steps: readonly StatusStep[]
  readonly checks: readonly StatusCheck[]
  readonly lag: readonly Lag[]
  readonly view: RunView
}

/** States of a pipeline of which a run is under way. */
export const UNDER_WAY: ReadonlySet<PipelineState> = new Set<PipelineState>(['starting', 'running', 'pausing', 'paused', 'stopping'])

export function stateOf(run: RunRecord | undefined): PipelineState {
  if (!run) return 'never'
  if (run.outcome === 'crashed') return 'interrupted'
  if (run.outcome !== 'running') return run.outcome
  const { state } = viewOf(run)
  return state === 'ended' ? 'stopping' : state
}

export function runAnswer(run: RunRecord, now: number): RunAnswer {
  const { run: status } = statusReport({ pipeline: run.pipeline, file: run.file, runs: [run], checks: [], now })
  if (!status) throw new Error('a report of a run says nothing of it')
  const { id, exitCode, error, warehouse, host, pid, startedAt, endedAt, updatedAt, elapsedMs, rows } = status
  const { pipeline } = run
  return { id, pipeline, state: stateOf(run), exitCode, error, warehouse, host, pid, startedAt, endedAt, updatedAt, elapsedMs, rows }
}

/** A moment, and whether schedules are kept. */
export interface Now {
  readonly now: number
  readonly schedules: boolean
}

export function pipelineAnswer(
  { name, description, file, schedule }: Pipeline,
  run: RunRecord | undefined,
  { now, schedules }: Now,
): PipelineAnswer {
  const steps: Record<string, number> = {}
  const view = run && viewOf(run)
  for (const { state } of view?.steps ?? []) steps[state] = (steps[state] ?? 0) + 1
  const counted = (view?.steps ?? []).filter(({ word }) => word !== 'checks')
  const of = (pick: (step: RunView['steps'][number]) => number) =>
    // Parts of days add up with a rest of floats.
    Number(counted.reduce((sum, step) => sum + pick(step), 0).toFixed(6))
  const isPlanned = counted.some(({ total }) => total !== null)
  return {
    name,
    description: description ?? null,
    file,
    state: stateOf(run),
    run: run ? runAnswer(run, now) : null,
    steps,
    progress: {
      done: of(({ done }) => done),
      total: isPlanned ? of(({ total }) => total ?? 0) : null,
      quarantined: of((step) => step.quarantined),
    },
    schedule: schedule ? scheduleAnswer(schedule, { now, schedules }) : null,
  }
}

function scheduleAnswer(schedule: Schedule, { now, schedules: enabled }: Now): ScheduleAnswer {
  const next = enabled ? nextTimes(schedule, now, 3).map((time) => new Date(time).toISOString()) : []
  return { ...schedule, enabled, next }
}

export function pipelineDetail(pipeline: Pipeline, run: RunRecord | undefined, now: Now): PipelineDetail {
  const params = [...pipeline.params.values()].map(({ name, type, default: value, oneOf, list, description }): ParamAnswer => ({
    name,
    type,
    default: value ?? null,
    // Of a list each item is one of them.
    oneOf: list ? null : (oneOf ?? null),
    description: description ?? null,
  }))
  return { ...pipelineAnswer(pipeline, run, now), params, graph: pipeline.steps.map(stepAnswer) }
}

function stepAnswer(step: Step): StepAnswer {
  const { id, title, definition, needs, chain, source, outputs } = step
  return {
    id,
    title,
    type: definition.type,
    needs,
    chain: chain ?? null,
    source: source ?? null,
    tables: [...new Set(outputs.map(({ table }) => table))],
    parallel: definition.closes === true ? null : widthOf(step),
  }
}

export function runDetail(run: RunRecord, checks: readonly CheckRecord[], now: number): RunDetail {
  const { steps, checks: results, lag } = statusReport({ pipeline: run.pipeline, file: run.file, runs: [run], checks, now })
  const view = viewOf(run)
  const { params, heads } = view
  return { ...runAnswer(run, now), params, heads, steps, checks: results, lag, view }
}
