import { setMaxListeners } from 'node:events'
import { isPipeError, PipeError } from '../sdk/index.js'
import { consumersOf } from '../pipeline/steps/inputs.js'
import { ancestors } from '../pipeline/steps/graph.js'
import type { Step } from '../pipeline/pipeline.js'
import { leftOf } from '../plan/left.js'
import { planContext } from '../plan/plan-step.js'
import { preflight } from '../plan/preflight.js'
import { actingSteps, isGate } from '../plan/select.js'
import { whenHolds } from '../plan/when.js'
import { Committer } from './committer.js'
import { Control } from './control.js'
import { countRows } from './count-rows.js'
import { gapsAbove } from './gaps.js'
import { type NeedsState, runEarlyChecks } from './run-check.js'
import { runStep } from './run-step.js'
import { Reorgs } from './reorgs.js'
import { decide, type ScheduledStep, type StepState } from './schedule.js'
import type { RunOptions, RunServices, StepEnd } from './services.js'
import { Retention } from './retention.js'
import { dropLeftovers, withShadows } from './shadows.js'
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
/** Early evaluations at once: one of the connections that Postgres reads with is always left. */
const EARLY_AT_ONCE = 3

/** How often a round is gone through, when its steps meet one reorg after the other, and the wait before each time but the second. */
const PASSES = 5
const AGAIN_MS = 1_000

/**
 * Runs all steps of a round, each when what it needs is there, and says how each ended. Where a step met a fork that what was read
 * before is not of, all of it is gone through again: what the reorg replaced is deleted while nothing is under way.
 */
export async function run(options: RunOptions): Promise<RunResult> {
  const reorgs = new Reorgs()
  for (let pass = 1; ; pass++) {
    const result = await runPass(options, reorgs)
    const [met] = reorgs.met
    // What was read may be of blocks that were replaced since: a run that ends well says what the chain says then.
    const again = met !== undefined || (!isStopped(options) && (await reorgs.settleAfter(options)))
    if (!again || isStopped(options)) return result
    if (pass === PASSES) {
      const message = met
        ? `${options.redact(met.message)} (${met.hint})`
        : 'the chain was reorganized again and again while it was read; run again'
      options.emit({ type: 'warning', message })
      return { ...result, outcome: 'incomplete' }
    }
    if (pass > 1) await options.clock.sleep(AGAIN_MS, options.signal).catch(() => undefined)
  }
}

async function runPass(options: RunOptions, reorgs: Reorgs): Promise<RunResult> {
  const { pipeline, signal, drain, emit } = options
  const over = AbortSignal.any(drain ? [signal, drain] : [signal])
  // Each step that is held by a pause listens to it.
  setMaxListeners(0, over)
  const states = new Map<string, StepState>()
  const ends = new Map<string, StepEnd>()
  const services = createServices(options, ends, reorgs)
  const { control } = services
  const acting = actingSteps(pipeline, options.select)
  options.warehouse.watch(consumersOf(pipeline))
  await dropLeftovers(options)
  if (options.again !== true) {
    await countRows(pipeline, options.warehouse)
    await preflight({ ...options, steps: pipeline.steps.filter((step) => acting.has(step.id) && whenHolds(step, options)) })
  }
  await reorgs.settle(
    options,
    pipeline.steps.filter((step) => acting.has(step.id) && whenHolds(step, options)),
  )
  const end = (step: string, result: StepEnd) => {
    states.set(step, result.outcome)
    ends.set(step, result)
    const { outcome, missing, quarantined, reason, gaps } = result
    emit({ type: 'step:ended', step, outcome, missing, quarantined, reason, gaps })
  }
  const judged = ancestors(
    pipeline.steps,
    pipeline.steps.filter((step) => acting.has(step.id) && judges(step)).map(({ id }) => id),
  )
  for (const step of pipeline.steps) {
    if (acting.has(step.id)) states.set(step.id, 'waiting')
    else if (judged.has(step.id)) ends.set(step.id, await look(services, step))
  }
  const scheduled = pipeline.steps.filter((step) => acting.has(step.id)).map((step) => toScheduled(step, pipeline.steps, acting))
  const running = new Map<string, Promise<void>>()
  const early = earlyGates(services, scheduled, states)
  for (;;) {
    const { start, block } = decide(scheduled, states, STEPS_AT_ONCE)
    for (const { step, by } of block) end(step, { outcome: 'blocked', missing: 0, quarantined: 0, reason: blockedBy(by, ends.get(by)) })
    for (const id of start) {
      const step = pipeline.steps.find((candidate) => candidate.id === id)
      if (!step) continue
      if (isStopped(options)) {
        end(id, STOPPED)
        continue
      }
      states.set(id, 'running')
      running.set(
        id,
        // An early evaluation that is still at it must not be taken for the one that decides.
        early
          .stop(id)
          .then(() => control.mayBegin(over))
          .then(() => (isStopped(options) ? STOPPED : control.during(() => doStep(services, step))))
          .then((result) => {
            running.delete(id)
            end(id, result)
          }),
      )
    }
    if (start.length > 0 && running.size === 0) continue
    if (running.size === 0 && block.length === 0) break
    if (running.size > 0) await control.whileWaiting(() => Promise.race(running.values()))
  }
  await Promise.all(scheduled.map(({ id }) => early.stop(id)))
  await services.committer.flush()
  await (options.retention ?? new Retention()).carryOut(services, ends)
  const steps = new Map([...ends].filter(([id]) => states.has(id)))
  if (signal.aborted) return { outcome: 'stopped', steps }
  // Who let gaps pass says so, and so does the exit code: what is missing may lie in a step that was not selected.
  const well = ({ outcome, gaps }: StepEnd) => (outcome === 'complete' && gaps === undefined) || outcome === 'skipped'
  if ([...steps.values()].every(well)) return { outcome: 'done', steps }
  return { outcome: isStopped(options) ? 'stopped' : 'incomplete', steps }
}

const STOPPED: StepEnd = { outcome: 'stopped', missing: 0, quarantined: 0 }

/** Whether nothing further is begun. */
const isStopped = ({ signal, drain }: Pick<RunOptions, 'signal' | 'drain'>) => signal.aborted || drain?.aborted === true

/** Gates that want it (`everyMs`) are evaluated also while what they need still runs. That closes nothing: it is for people to see. */
function earlyGates(
  services: RunServices,
  scheduled: readonly ScheduledStep[],
  states: ReadonlyMap<string, StepState>,
): { stop(id: string): Promise<void> } {
  const loops = new Map<string, () => Promise<void>>()
  const turns = new Slots(EARLY_AT_ONCE)
  for (const { id, needs, gate } of scheduled) {
    const step = services.pipeline.steps.find((candidate) => candidate.id === id)
    if (!step || !gate || !whenHolds(step, services)) continue
    const stop = new AbortController()
    const state = (): NeedsState => {
      const of = needs.map((need) => states.get(need))
      if (of.includes('running')) return 'running'
      return of.includes('waiting') ? 'waiting' : 'ended'
    }
    const loop = runEarlyChecks(services, step, AbortSignal.any([services.signal, stop.signal]), state, turns)
    loops.set(id, () => {
      stop.abort()
      return loop
    })
  }
  return { stop: (id) => loops.get(id)?.() ?? Promise.resolve() }
}

/** Why a step does not run. Of a need that was not run itself, its own line says why. */
function blockedBy(need: string, end: StepEnd | undefined): string {
  if (!end || end.outcome === 'blocked' || end.reason === undefined) return `needs ${need}`
  return `needs ${need}, which is ${end.outcome}: ${end.reason}`
}

async function doStep(services: RunServices, step: Step): Promise<StepEnd> {
  const resting = services.rest?.get(step.id)
  if (resting) return resting
  if (!whenHolds(step, services)) return { outcome: 'skipped', missing: 0, quarantined: 0, reason: `when ${JSON.stringify(step.when)}` }
  const gaps = step.definition.needsWhole === true ? services.gapsAbove(step) : undefined
  if (gaps) return { outcome: 'blocked', missing: 0, quarantined: 0, reason: `needs all of it: ${gaps.words}` }
  const refused = services.refusal(step)
  if (refused)
    return { outcome: 'failed', missing: 0, quarantined: 0, reason: `${services.redact(refused.message)} (${refused.hint})`, lasting: true }
  try {
    return await runStep(services, step, services.signal)
  } catch (error) {
    if (services.signal.aborted) return STOPPED
    const message = services.redact(error instanceof Error ? error.message : String(error))
    const hint = isPipeError(error) && error.hint !== undefined ? ` (${error.hint})` : ''
    if (!isPipeError(error) && error instanceof Error)
      services.emit({ type: 'warning', step: step.id, message: services.redact(error.stack ?? message) })
    const lasting = isPipeError(error) && (error.blame === 'outage' || error.retryable) ? undefined : true
    // Where it was not even planned, only the file says when it is due again.
    const dueAt = step.everyMs === undefined ? undefined : services.moment.now + BigInt(step.everyMs) * 1000n
    return { outcome: 'failed', missing: 0, quarantined: 0, reason: `${message}${hint}`, lasting, dueAt }
  }
}

/** Whether a step acts only on what is whole: a gate, and one that publishes. */
const judges = (step: Step) => isGate(step) || step.definition.needsWhole === true

/** How a step stands that does not act, without doing anything. */
async function look(services: RunServices, step: Step): Promise<StepEnd> {
  if (!whenHolds(step, services)) return { outcome: 'skipped', missing: 0, quarantined: 0 }
  try {
    const { missing, quarantined, words } = await leftOf({ ...services, step })
    return words === '' ? { outcome: 'complete', missing, quarantined } : { outcome: 'incomplete', missing, quarantined, reason: words }
  } catch (error) {
    if (services.signal.aborted || !isPipeError(error)) throw error
    return { outcome: 'failed', missing: 0, quarantined: 0, reason: `can't be looked at: ${services.redact(error.message)}` }
  }
}

/**
 * A step waits for the acting steps among its needs, and through needs that don't act for the gates above them; a gate, and what
 * publishes, for all that acts above it.
 */
function toScheduled(step: Step, steps: readonly Step[], acting: ReadonlySet<string>): ScheduledStep {
  const above = ancestors(steps, [step.id], ({ id }) => !acting.has(id))
  const waits = (need: Step) => acting.has(need.id) && (step.needs.includes(need.id) || isGate(need) || judges(step))
  const needs = steps.filter((need) => above.has(need.id) && waits(need)).map(({ id }) => id)
  return { id: step.id, needs, onError: step.onError, gate: isGate(step) }
}

function createServices(options: RunOptions, ends: ReadonlyMap<string, StepEnd>, reorgs: Reorgs): RunServices {
  const { pipeline, warehouse, clock, emit, onCheck } = options
  const closed = new Map<string, readonly string[]>()
  const committer = new Committer({ warehouse, tables: withShadows(pipeline), clock, emit, heartbeat: options.heartbeat })
  return {
    ...options,
    control: options.control ?? new Control({ clock, emit, over: options.signal }),
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
        onCheck(step, result, final)
      }
    },
    forked: (step, error) => reorgs.meet(step, error),
    reads: (step) => reorgs.reads(step),
    refusal: ({ chain }) => reorgs.refusal(chain),
    closes: (step, reasons) => void closed.set(step, [...(closed.get(step) ?? []), ...reasons]),
    closedBy: (step) => closed.get(step) ?? [],
    gapsAbove: (step) => gapsAbove(step, pipeline.steps, ends),
  }
}
