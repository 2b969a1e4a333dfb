import { type Batch, type Json, PipelineTakenError, placed, type RunContext, UnitTakenError, type UnitWrite } from '../sdk/index.js'
import { runContext } from '../sdk/run-context.js'
import { intervalRule } from '../ledger/owner.js'
import { standing } from '../ledger/standing.js'
import { fittingCursor } from '../plan/config.js'
import { isEveryRound } from '../plan/plan.js'
import { asBatch, asBatches } from './batch-shape.js'
import type { BudgetShare } from './budget.js'
import { CheckFailedError, failedChecks, failedInWords } from './checks.js'
import { ForkSeenError } from './links.js'
import { failureOf, unitFailed, waitToRetry } from './failure.js'
import { Progress } from './progress.js'
import { selectWrites } from './select-writes.js'
import type { UnitTask } from './services.js'
import { leftInShadows, making, swapAtStop, swapping } from './shadows.js'
import { timedOut } from './step-timeout.js'
import { UnitPrograms } from './unit-programs.js'
import { UnitWrites, writeOnce } from './unit-writes.js'
import { untilAborted } from './until-aborted.js'

/** How one unit ended. */
export type UnitOutcome = 'done' | 'failed' | 'quarantined' | 'stopped' | 'taken' | 'forked'

/** Drives one unit from its checkpoint to its end, again after errors that may pass. Never throws for what a unit may do. */
export async function runUnit(task: UnitTask): Promise<UnitOutcome> {
  const { services, plan, unit, opened, signal } = task
  const { step } = plan
  const progress = new Progress(task)
  const everyRound = isEveryRound(plan)
  for (let attempt = 1; ; attempt++) {
    try {
      if (!(await attemptUnit(task, progress))) return 'stopped'
      task.links.ended(unit.key)
      services.emit({ type: 'unit:done', step: step.id, unit: unit.key })
      return progress.quarantinedKeys > 0 ? 'quarantined' : 'done'
    } catch (error) {
      // The run stops, and says why once.
      if (error instanceof PipelineTakenError) return 'taken'
      if (error instanceof UnitTakenError) {
        services.emit({ type: 'warning', step: step.id, message: error.message })
        return 'taken'
      }
      if (signal.aborted && !timedOut(signal)) {
        await record(task, progress, progress.mark({ state: 'pending' }))
        const message = swapAtStop(task, progress.resumes)
        if (message !== undefined) services.emit({ type: 'warning', step: step.id, message })
        return 'stopped'
      }
      if (error instanceof ForkSeenError) {
        services.forked(step, error)
        await record(task, progress, progress.mark({ state: 'pending' }))
        return 'forked'
      }
      const failure = failureOf(timedOut(signal) ? signal.reason : error)
      const left = progress.resumes ? undefined : leftInShadows(task)
      const attempts = (everyRound ? 0 : opened.attempts) + (failure.own ? attempt : 0)
      if (failure.own && failure.retryable && attempts < step.retry.attempts) {
        progress.rewind()
        await waitToRetry(services, step, unit.key, failure, attempt, signal)
        continue
      }
      const state = failure.own && attempts >= step.retry.attempts && !everyRound ? 'quarantined' : 'failed'
      await record(task, progress, progress.fail({ state, attempts, error: services.redact(failure.text) }))
      const hint = [failure.hint, left].filter((text) => text !== undefined).join('; ') || undefined
      services.emit(unitFailed(services, step.id, unit.key, { ...failure, hint }, state))
      return state
    }
  }
}

/** Resolves to true when the unit came to its end, to false when its step was refused a further request of this run. */
async function attemptUnit(task: UnitTask, progress: Progress): Promise<boolean> {
  const { services, plan, unit, signal } = task
  const { step } = plan
  const writes = new UnitWrites(task, progress)
  const programs = new UnitPrograms(task)
  const budget = task.budget.share()
  const outputOf = (id: string) => progress.output(id)
  // One that is computed in every run finds rows of an earlier moment in any interval.
  // A unit that goes on from a cursor put its shadows in place before.
  let makes = progress.cursor === undefined ? await making(task) : undefined
  const isKept = plan.wanted.kind === 'stretches' && plan.wanted.due === 'touched'
  const owner = isKept ? intervalRule(plan.axis, services.pipeline.tables) : undefined
  try {
    const batches = asBatches(
      step.id,
      step.definition.run(contextOf(task, await fittingCursor(step, progress.cursor), { budget, programs })),
    )
    for await (const given of untilAborted(batches, signal)) {
      const batch = await asBatch(step.id, given, signal)
      signal.throwIfAborted()
      judge(task, batch)
      await writes.room()
      const selects = await selectWrites(batch, unit, outputOf, services.pipeline.tables, services.warehouse, owner).catch(
        (error: unknown) => {
          throw placed(batch.named, error)
        },
      )
      const write = progress.write(batch, { selects, makes, swap: await swapping(task, batch) })
      makes = undefined
      tellFailedKeys(task, batch)
      writes.push(write, batch)
      // How many rows a query gave is known when it is committed, and belongs into the unit's last checkpoint.
      if (selects.length > 0 || batch.swap || batch.readsInputs === true) await writes.committed()
    }
    // A step may answer an abort by returning early. Its unit is not done then.
    signal.throwIfAborted()
    writes.push(budget.refused ? progress.stop() : progress.end())
    task.produced?.()
    await writes.committed()
    return !budget.refused
  } finally {
    await Promise.all([writes.close(), programs.close()])
    progress.witness(programs.stopped)
  }
}

function contextOf(
  task: UnitTask,
  cursor: Json | undefined,
  { budget, programs }: { readonly budget: BudgetShare; readonly programs: UnitPrograms },
): RunContext<never, never> {
  const { services, plan, unit, rpc, signal, context } = task
  const { step } = plan
  return runContext({
    step: context,
    unit,
    cursor,
    ports: {
      input: () => task.input(),
      // No more is asked for than is on its way into the warehouse.
      rpc: {
        ...rpc,
        ready: async (until) => {
          await rpc.ready(until)
          await services.committer.room()
        },
      },
      http: services.http(step),
      head: () => services.head(step),
      budget,
      write: services.write,
      program: services.program && ((program) => programs.start(program)),
      covered: () => (plan.axis ? standing(plan.axis, plan.ledger).done : []),
    },
    signal,
    user: `step ${step.id}`,
  })
}

/** Tells of the checks of a batch, before anything of it is written. @throws {CheckFailedError} when one keeps it out. */
function judge({ services, plan, unit }: UnitTask, { checks, named }: Batch): void {
  if (!checks) return
  services.checks(plan.step.id, checks, true)
  const failed = failedChecks(checks)
  if (failed.length === 0) return
  services.closes(
    plan.step.id,
    failed.map((check) => `${named ?? `unit ${unit.key}`}: ${failedInWords(check)}`),
  )
  throw placed(named, new CheckFailedError(failed))
}

function tellFailedKeys({ services, plan, unit }: UnitTask, { failed = [] }: Batch): void {
  for (const { key, error } of failed) {
    const { code, hint } = error
    const type = error.blame === 'own' ? 'key:quarantined' : 'key:failed'
    services.emit({ type, step: plan.step.id, unit: unit.key, key, error: services.redact(error.message), code, hint })
  }
}

/**
 * Writes into the ledger how a unit ended. When that fails, the row stays as the last commit left it: the unit is open, and the
 * next run does it again. So the failure is told and not thrown.
 */
async function record(task: UnitTask, progress: Progress, write: UnitWrite): Promise<void> {
  try {
    await writeOnce(task, write, progress)
  } catch (error) {
    if (error instanceof PipelineTakenError) return
    task.services.emit({
      type: 'warning',
      step: task.plan.step.id,
      message: `unit ${task.unit.key} stays open: ${task.services.redact(String((error as Error).message))}`,
    })
  }
}
