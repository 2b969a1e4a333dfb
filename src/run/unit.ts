import type { TSchema } from '@sinclair/typebox'
import { Value as Schema } from '@sinclair/typebox/value'
import { isPipeError, type LedgerChange, type PipeError, type RunContext, UnitTakenError } from '../sdk/index.js'
import { asBatch, asBatches } from './batch-shape.js'
import type { Committed, Session } from './committer.js'
import { Progress, type ProgressWrite } from './progress.js'
import { backoff } from './retry.js'
import { selectWrites } from './selects.js'
import type { UnitTask } from './services.js'
import { untilAborted } from './until-aborted.js'

/** How one unit ended. */
export type UnitOutcome = 'done' | 'failed' | 'quarantined' | 'stopped' | 'taken'

/** A batch on its way into the warehouse. */
interface Waiting {
  readonly rows: number
  readonly done: Promise<void>
}

/** Writes without rows are small, and yet not for nothing. */
const WRITES_WAITING = 256

/** Drives one unit from its checkpoint to its end, again after errors that may pass. Never throws for what a unit may do. */
export async function runUnit(task: UnitTask): Promise<UnitOutcome> {
  const { services, plan, unit, opened, signal } = task
  const { step } = plan
  const progress = new Progress(task)
  for (let attempt = 1; ; attempt++) {
    try {
      if (!(await attemptUnit(task, progress))) return 'stopped'
      services.emit({ type: 'unit:done', step: step.id, unit: unit.key })
      return progress.quarantinedKeys > 0 ? 'quarantined' : 'done'
    } catch (error) {
      if (error instanceof UnitTakenError) {
        services.emit({ type: 'warning', step: step.id, message: error.message })
        return 'taken'
      }
      if (signal.aborted && !isTimeout(signal)) {
        await record(task, progress, { state: 'pending' })
        return 'stopped'
      }
      const failure = isTimeout(signal) ? (signal.reason as PipeError) : error
      const own = !isPipeError(failure) || failure.blame === 'own'
      const attempts = opened.attempts + (own ? attempt : 0)
      const message = failure instanceof Error ? failure.message : String(failure)
      const code = isPipeError(failure) ? failure.code : 'UNEXPECTED'
      if (own && isPipeError(failure) && failure.retryable && attempts < step.retry.attempts) {
        const waitMs = backoff(attempt, step.retry.waitMs, step.retry.maxWaitMs, services.random)
        services.emit({ type: 'unit:retrying', step: step.id, unit: unit.key, error: message, code, attempt, waitMs })
        progress.rewind()
        await services.clock.sleep(waitMs, signal).catch(() => undefined)
        continue
      }
      const state = own && attempts >= step.retry.attempts ? 'quarantined' : 'failed'
      const text = isPipeError(failure) || !(failure instanceof Error) ? message : (failure.stack ?? message)
      await record(task, progress, { state, attempts, error: services.redact(text) })
      const hint = isPipeError(failure) ? failure.hint : undefined
      services.emit({
        type: 'unit:failed',
        step: step.id,
        unit: unit.key,
        error: services.redact(message),
        code,
        hint,
        state,
      })
      return state
    }
  }
}

/** Resolves to whether the unit came to its end; not when its step may ask no more in this run. */
async function attemptUnit(task: UnitTask, progress: Progress): Promise<boolean> {
  const { services, plan, unit, signal } = task
  const { definition } = plan.step
  const producer = services.committer.join()
  const session: Session = { broken: false, ...progress.doubles }
  let cutShort = false
  const waiting: Waiting[] = []
  let rowsWaiting = 0
  const commit = async ({ write, pieces, rows, ...facts }: ProgressWrite): Promise<void> => {
    const { written, doubles, replaced, rows: made }: Committed = await services.committer.push(write, session)
    if (!written) throw new UnitTakenError(unit.key)
    progress.committed(write, made, session)
    services.emit({ type: 'batch:committed', step: plan.step.id, unit: unit.key, pieces, rows: { ...rows, ...made }, doubles, ...facts })
    if (replaced > 0)
      services.emit({
        type: 'warning',
        step: plan.step.id,
        message: `U+FFFD is in place of NUL or half a character, which not every warehouse stores, in ${replaced === 1 ? 'one text' : `${replaced} texts`}`,
      })
  }
  // A rejection may come while nobody waits for it; it is met again below.
  const later = (write: ProgressWrite) => {
    const done = commit(write)
    done.catch(() => undefined)
    const rows = Object.values(write.rows).reduce((sum, n) => sum + n, 0)
    rowsWaiting += rows
    waiting.push({ rows, done })
  }
  try {
    const cursor = definition.cursor && Schema.Check(definition.cursor as TSchema, progress.cursor) ? progress.cursor : undefined
    const context: RunContext<never, never> = {
      unit,
      cursor: cursor as never,
      input: () => task.input(),
      rpc: task.rpc,
      http: services.http(plan.step),
      turn: () => {
        const granted = task.turns.take()
        cutShort ||= !granted
        return granted
      },
      head: () => services.head(plan.step),
      signal,
      ...services.stepContext(plan),
    }
    for await (const given of untilAborted(asBatches(plan.step.id, definition.run(context)), signal)) {
      const batch = asBatch(plan.step.id, given)
      signal.throwIfAborted()
      if (unit.piece.kind === 'check') {
        services.checks(plan.step.id, batch.checks ?? [], !unit.piece.early)
        continue
      }
      // At least two batches may wait for their commit; of small ones, as many as the unit has room for.
      while (waiting.length >= 2 && (rowsWaiting >= task.room || waiting.length >= WRITES_WAITING)) {
        const { rows, done } = waiting.shift() as Waiting
        rowsWaiting -= rows
        await producer.wait(done)
      }
      const outputOf = (id: string) => progress.output(id)
      const selects = await selectWrites(batch, unit, outputOf, services.pipeline.tables, services.warehouse)
      const write = progress.write(batch, selects)
      for (const { key, error } of batch.failed ?? []) {
        const about = { step: plan.step.id, error: services.redact(error.message), code: error.code }
        if (error.blame === 'own') services.emit({ type: 'key:quarantined', unit: unit.key, key, ...about })
        else services.emit({ type: 'key:failed', unit: unit.key, key, ...about, hint: error.hint })
      }
      later(write)
      // How many rows a query gave is known when it is committed, and belongs into the unit's last checkpoint.
      if (selects.length > 0) {
        await producer.wait(Promise.all(waiting.map(({ done }) => done)))
        waiting.length = 0
        rowsWaiting = 0
      }
    }
    if (unit.piece.kind === 'check') return true
    // A step that was told to stop may just return.
    signal.throwIfAborted()
    later(cutShort ? progress.stop() : progress.end())
    task.produced?.()
    await producer.wait(Promise.all(waiting.map(({ done }) => done)))
    return !cutShort
  } finally {
    producer.leave()
    // What is queued must end before the unit may be tried again or recorded as failed.
    await Promise.allSettled(waiting.map(({ done }) => done))
  }
}

/** Writes how a unit ended, beside what its commits say. A ledger that can't be written changes nothing: the unit is open, and runs again. */
async function record(task: UnitTask, progress: Progress, change: LedgerChange): Promise<void> {
  if (task.unit.piece.kind === 'check') return
  const producer = task.services.committer.join()
  try {
    await producer.wait(task.services.committer.push(progress.mark(change), { broken: false, ...progress.doubles }))
  } catch (error) {
    task.services.emit({
      type: 'warning',
      step: task.plan.step.id,
      message: `unit ${task.unit.key} stays open: ${task.services.redact(String((error as Error).message))}`,
    })
  } finally {
    producer.leave()
  }
}

const isTimeout = (signal: AbortSignal) => signal.aborted && isPipeError(signal.reason) && signal.reason.code === 'STEP_TIMEOUT'
