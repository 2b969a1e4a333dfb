import { isPipeError, PipeError } from '../sdk/index.js'
import { consumersOf } from '../pipeline/steps/inputs.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { planContext, planStep } from '../plan/plan-step.js'
import { preflight } from '../plan/preflight.js'
import { isSelected } from '../plan/select.js'
import { whenHolds } from '../plan/when.js'
import { Committer } from './committer.js'
import { countRows } from './count-rows.js'
import { runEarlyChecks } from './run-check.js'
import { runStep } from './run-step.js'
import { decide, type ScheduledStep, type StepState } from './schedule.js'
import type { RunOptions, RunServices, StepEnd } from './services.js'
import { Slots } from './slots.js'
import { planSource } from './unit-source.js'

export interface RunResult {
  readonly outcome: 'done' | 'incomplete' | 'stopped'
  readonly steps: ReadonlyMap<string, StepEnd>
}

/** A step asks an endpoint and names no chain. */
export class StepWithoutChainError extends PipeError {
  readonly code = 'STEP_WITHOUT_CHAIN'
  override readonly hint = 'name a chain of `chains` in the step: chain: NAME'
  constructor(step: string) {
    super(`step ${step} asks an RPC endpoint and has no chain`)
  }
}

const STEPS_AT_ONCE = 16
const UNITS_AT_ONCE = 64

/** Runs all steps of a round, each when what it needs is there, and says how each ended. */
export async function run(options: RunOptions): Promise<RunResult> {
  const { pipeline, signal, emit } = options
  const states = new Map<string, StepState>()
  const ends = new Map<string, StepEnd>()
  const services = createServices(options, ends)
  const acting = actingSteps(pipeline, options.select)
  options.warehouse.watch(consumersOf(pipeline))
  await countRows(pipeline, options.warehouse)
  await preflight({ ...options, steps: pipeline.steps.filter((step) => acting.has(step.id) && whenHolds(step, options)) })
  const end = (step: string, result: StepEnd) => {
    states.set(step, result.outcome)
    ends.set(step, result)
    const { outcome, missing, quarantined, reason } = result
    emit({ type: 'step:ended', step, outcome, missing, quarantined, reason })
  }
  for (const step of pipeline.steps) {
    if (acting.has(step.id)) states.set(step.id, 'waiting')
    else if (gateNeeds(pipeline, acting, step.id)) ends.set(step.id, await look(services, step))
  }
  const scheduled = pipeline.steps.filter((step) => acting.has(step.id)).map(toScheduled)
  const running = new Map<string, Promise<void>>()
  const early = earlyGates(services, acting, states)
  for (;;) {
    const { start, block } = decide(scheduled, states, STEPS_AT_ONCE)
    for (const { step, by } of block) end(step, { outcome: 'blocked', missing: 0, quarantined: 0, reason: `needs ${by}` })
    for (const id of start) {
      const step = pipeline.steps.find((candidate) => candidate.id === id)
      if (!step) continue
      if (signal.aborted) {
        end(id, { outcome: 'stopped', missing: 0, quarantined: 0 })
        continue
      }
      states.set(id, 'running')
      running.set(
        id,
        doStep(services, step).then((result) => {
          running.delete(id)
          end(id, result)
        }),
      )
    }
    if (start.length > 0 && running.size === 0) continue
    if (running.size === 0 && block.length === 0) break
    if (running.size > 0) await Promise.race(running.values())
  }
  await early.stop()
  await services.committer.flush()
  const outcomes = [...ends].filter(([id]) => states.has(id)).map(([, { outcome }]) => outcome)
  if (signal.aborted) return { outcome: 'stopped', steps: ends }
  return { outcome: outcomes.every((outcome) => outcome === 'complete' || outcome === 'skipped') ? 'done' : 'incomplete', steps: ends }
}

/** Gates that want it (`everyMs`) are evaluated also while what they need still runs. That closes nothing: it is for people to see. */
function earlyGates(services: RunServices, acting: ReadonlySet<string>, states: ReadonlyMap<string, StepState>): { stop(): Promise<void> } {
  const stop = new AbortController()
  const signal = AbortSignal.any([services.signal, stop.signal])
  const open = (id: string) => states.get(id) === 'waiting' || states.get(id) === 'running'
  const loops = services.pipeline.steps
    .filter((step) => acting.has(step.id) && isGate(step) && step.needs.length > 0 && whenHolds(step, services))
    .map((step) => runEarlyChecks(services, step, signal, () => step.needs.some(open)))
  return {
    stop: async () => {
      stop.abort()
      await Promise.all(loops)
    },
  }
}

async function doStep(services: RunServices, step: Step): Promise<StepEnd> {
  if (!whenHolds(step, services)) return { outcome: 'skipped', missing: 0, quarantined: 0, reason: `when ${JSON.stringify(step.when)}` }
  try {
    return await runStep(services, step, services.signal)
  } catch (error) {
    if (services.signal.aborted) return { outcome: 'stopped', missing: 0, quarantined: 0 }
    const message = services.redact(error instanceof Error ? error.message : String(error))
    const hint = isPipeError(error) && error.hint !== undefined ? ` (${error.hint})` : ''
    if (!isPipeError(error) && error instanceof Error)
      services.emit({ type: 'warning', step: step.id, message: services.redact(error.stack ?? message) })
    const lasting = isPipeError(error) && (error.blame === 'outage' || error.retryable) ? {} : { lasting: true as const }
    return { outcome: 'failed', missing: 0, quarantined: 0, reason: `${message}${hint}`, ...lasting }
  }
}

/** The selected steps, and gates among what they need: `--select` never jumps a gate. */
export function actingSteps(pipeline: Pipeline, select: readonly string[] | undefined): Set<string> {
  if (!select) return new Set(pipeline.steps.map((step) => step.id))
  const acting = new Set(pipeline.steps.filter((step) => isSelected(step, select)).map((step) => step.id))
  for (const step of [...pipeline.steps].reverse()) {
    if (!acting.has(step.id)) continue
    for (const need of step.needs) if (isGate(pipeline.steps.find(({ id }) => id === need))) acting.add(need)
  }
  return acting
}

const isGate = (step: Step | undefined) => step?.definition.closes === true

/** Whether an unselected step is a need of an acting gate, so that its completeness matters. */
function gateNeeds(pipeline: Pipeline, acting: ReadonlySet<string>, id: string): boolean {
  return pipeline.steps.some((step) => acting.has(step.id) && isGate(step) && step.needs.includes(id))
}

/** How a step stands, without doing anything. */
async function look(services: RunServices, step: Step): Promise<StepEnd> {
  if (!whenHolds(step, services) || isGate(step)) return { outcome: 'skipped', missing: 0, quarantined: 0 }
  const { units, pieces: due, quarantined } = await planStep({ ...services, step, limit: undefined, upstream: [] })
  const pieces = due - units.filter(({ recompute }) => recompute).length
  return {
    outcome: pieces === 0 && quarantined.length === 0 ? 'complete' : 'incomplete',
    missing: pieces,
    quarantined: quarantined.length,
    reason: `${pieces} missing`,
  }
}

const toScheduled = (step: Step): ScheduledStep => ({ id: step.id, needs: step.needs, onError: step.onError, gate: isGate(step) })

function createServices(options: RunOptions, ends: ReadonlyMap<string, StepEnd>): RunServices {
  const { pipeline, warehouse, clock, emit, onCheck } = options
  const closed = new Map<string, readonly string[]>()
  const committer = new Committer({ warehouse, tables: pipeline.tables, clock, emit, heartbeat: options.heartbeat })
  return {
    ...options,
    committer,
    source: (plan) => planSource({ ...options, committer }, plan),
    slots: new Slots(UNITS_AT_ONCE),
    stepContext: (plan, reader) => planContext({ pipeline, warehouse: reader, step: plan.step }, plan.config, plan.scope),
    head: (step) => {
      if (step.chain === undefined) throw new StepWithoutChainError(step.id)
      return options.moment.head(step.chain)
    },
    checks: (step, results, final) => {
      for (const result of results) {
        emit({ type: 'check:evaluated', step, result, final })
        onCheck(step, result)
      }
    },
    closes: (step, reasons) => void closed.set(step, [...(closed.get(step) ?? []), ...reasons]),
    closedBy: (step) => closed.get(step) ?? [],
    incompleteNeeds: (step) => {
      for (const need of step.needs) {
        const end = ends.get(need)
        if (end && end.outcome !== 'complete' && end.outcome !== 'skipped')
          return `${need} is ${end.outcome}${end.reason === undefined ? '' : ` (${end.reason})`}`
      }
      return undefined
    },
  }
}
