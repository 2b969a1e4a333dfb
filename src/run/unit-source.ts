import { type LedgerRow, micros, PipelineTakenError } from '../sdk/index.js'
import { type PlannedUnit, type StepPlan, unitRecord } from '../plan/plan.js'
import type { RunServices } from './services.js'

/** A unit that is this worker's: opened, so that nobody who opened it earlier can commit to it. */
export interface TakenUnit {
  readonly unit: PlannedUnit
  readonly opened: LedgerRow
}

/** Where workers get units from. They know nothing else of who planned them. */
export interface UnitSource {
  /** The next unit, or undefined when there are none left or `signal` is aborted. Each is given once. @throws what kept it from being opened. */
  next(signal: AbortSignal): Promise<TakenUnit | undefined>
  /** Gives back what is opened and was not taken. Nothing is taken afterwards. Never throws. */
  close(): Promise<void>
}

/** Units opened by one statement, at first and at most. */
const OPEN_FIRST = 64
const OPEN_MOST = 4_096

/** How long the units of one statement last, in milliseconds: fewer are opened when they last longer, more when they are taken sooner. */
const LASTS_LESS = 500
const LASTS_MORE = 2_000

/**
 * The units of a plan, for workers of the process that planned. They are opened when they are taken, about as many by one
 * statement as the workers take in a second, so that a killed run leaves few of them open and unbegun. A run that stops
 * gives those back: they stay `pending`.
 */
export function planSource(
  {
    clock,
    warehouse,
    pipeline,
    committer,
    emit,
    redact,
  }: Pick<RunServices, 'clock' | 'warehouse' | 'pipeline' | 'committer' | 'emit' | 'redact'>,
  plan: StepPlan,
): UnitSource {
  const { units } = plan
  const step = { pipeline: pipeline.name, step: plan.step.id, fingerprint: plan.fingerprint }
  let ready: TakenUnit[] = []
  let taken = 0
  let next = 0
  let size = OPEN_FIRST
  let openedAt = -Infinity
  let opening: Promise<unknown> | undefined
  let failure: { readonly error: unknown } | undefined

  const open = async (): Promise<void> => {
    const lasted = clock.monotonic() - openedAt
    if (lasted < LASTS_LESS) size = Math.min(OPEN_MOST, size * 2)
    else if (lasted > LASTS_MORE) size = Math.max(OPEN_FIRST, size / 2)
    const some = units.slice(next, next + size).map(unitRecord)
    next += some.length
    const keys = some.map(({ key }) => key)
    const rows = await warehouse.open(step, keys, micros(clock))
    // Units that are open already are given before those that were opened now.
    ready = [...ready.slice(taken), ...some.map((unit) => ({ unit, opened: rowOf(rows, unit) }))]
    taken = 0
    openedAt = clock.monotonic()
  }
  const more = () => {
    if (opening || next >= units.length) return
    opening = open().then(
      () => (opening = undefined),
      (error: unknown) => {
        opening = undefined
        failure = { error }
      },
    )
  }

  return {
    async next(signal) {
      while (!signal.aborted) {
        const unit = ready[taken]
        if (unit) {
          taken++
          if (ready.length - taken < size / 2) more()
          return unit
        }
        if (failure) throw failure.error
        more()
        if (!opening) return undefined
        await opening
      }
      return undefined
    },
    async close() {
      next = units.length
      await opening
      // `open` makes only new units `running` and leaves the state of known ones, so only new ones have to become `pending` again.
      const unbegun = ready.slice(taken).filter(({ opened }) => opened.state === 'running' && opened.fingerprint === plan.fingerprint)
      ready = []
      const at = micros(clock)
      const writes = unbegun.map(({ unit, opened: { epoch } }) =>
        committer.push(
          { step, unit: unit.key, epoch, at, deletes: [], rows: [], sql: [], ledger: { state: 'pending' } },
          { broken: false },
        ),
      )
      const failed = (await Promise.allSettled(writes)).find((result) => result.status === 'rejected')
      if (failed && !(failed.reason instanceof PipelineTakenError))
        emit({ type: 'warning', step: step.step, message: `units that were not begun stay open: ${redact(String(failed.reason))}` })
    },
  }
}

function rowOf(rows: ReadonlyMap<string, LedgerRow>, { key }: PlannedUnit): LedgerRow {
  const row = rows.get(key)
  if (!row) throw new Error(`unit ${key} was not opened`)
  return row
}
