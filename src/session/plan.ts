import type { Pipeline } from '../pipeline/pipeline.js'
import { budgetsOf, hasWork, type PlanReport, planPipeline } from '../plan/forecast.js'
import { type LedgerReader, PipeError } from '../sdk/index.js'
import type { StateStore } from '../state/store.js'
import type { Chains } from './chains.js'
import type { SessionMoment } from './moment.js'

/** A chain was asked for its head and must not be. */
export class OfflineError extends PipeError {
  readonly code = 'OFFLINE'
  override readonly hint = 'leave out --offline, or give the blocks as numbers: --param from=… --param to=…'
  constructor(readonly chain: string) {
    super(`needs the head of ${chain}`)
  }
}

/** Which part of a pipeline, with which values. */
export interface PartRequest {
  /** By name, as text: the params' types are the pipeline's business. */
  readonly params: Readonly<Record<string, string>>
  /** Step ids; undefined means all. */
  readonly select: readonly string[] | undefined
  /** At most this many input rows, blocks, days or pages a step. */
  readonly limit: number | undefined
}

export interface PlanRequest extends PartRequest {
  /** Asks no endpoint: what needs a head is left open. */
  readonly offline?: boolean
}

/** What a plan is made from. The warehouse has its tables, or assumes them. */
export interface Planned {
  readonly pipeline: Pipeline
  readonly warehouse: LedgerReader
  readonly state: StateStore
  readonly moment: SessionMoment
  /** What runs against the real world have shown says nothing of a demo. */
  readonly demo?: boolean
}

/** The head of a chain as a plan may ask for it. */
export function headFor(chains: Chains, { offline = false }: PlanRequest): (chain: string) => Promise<bigint> {
  return (chain) => (offline ? Promise.reject(new OfflineError(chain)) : chains.head(chain))
}

/** What a run would do, with what it costs by the figures of earlier runs. */
export async function makePlan({ pipeline, warehouse, state, moment, demo = false }: Planned, request: PlanRequest): Promise<PlanReport> {
  const batches = new Map<string, number>()
  for (const name of demo ? [] : pipeline.chains.keys()) {
    const sizes = (await state.limits(name)).flatMap(({ batch }) => batch ?? [])
    if (sizes.length > 0) batches.set(name, Math.max(...sizes))
  }
  const rates = new Map((demo ? [] : await state.rates(pipeline.name)).map((rate) => [rate.step, rate.piecesPerSecond]))
  const steps = await planPipeline({
    pipeline,
    warehouse,
    moment,
    given: request.params,
    select: request.select,
    limit: request.limit,
    budgets: !demo,
    history: { batch: (chain) => batches.get(chain), piecesPerSecond: (step) => rates.get(step) },
  })
  return {
    pipeline: pipeline.name,
    warehouse: warehouse.display,
    file: pipeline.file,
    heads: moment.heads(),
    work: hasWork(steps),
    steps,
    budgets: budgetsOf(steps, pipeline),
  }
}
