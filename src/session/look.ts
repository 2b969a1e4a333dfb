import type { Pipeline } from '../pipeline/pipeline.js'
import type { PlanReport } from '../plan/forecast.js'
import { stoppable } from '../run/stoppable.js'
import type { LedgerReader } from '../sdk/index.js'
import type { StateStore } from '../state/store.js'
import type { VerifyReport } from '../verify/report.js'
import { openChains } from './chains.js'
import { type LastRun, lastRun } from './last-run.js'
import { refuseGone } from './gone.js'
import { createMoment } from './moment.js'
import { openState } from './open-state.js'
import { warehouseUrl } from './places.js'
import { headFor, makePlan, type PlanRequest } from './plan.js'
import { refuseDrift, refusePending } from './ready.js'
import { redacting } from './redact.js'
import { isDemo, type Surroundings, type World } from './surroundings.js'
import type { VerifyRequest } from './verify.js'

/** A pipeline that is looked at and not changed: not even an empty database is made. Others may run it meanwhile. */
export interface Look {
  readonly warehouse: LedgerReader
  readonly state: StateStore
  /** What the last run into this warehouse was asked for. */
  lastRun(): Promise<LastRun>
  /** What a run would do now, and why. @throws {MigrationsPendingError} @throws {SchemaDriftError} @throws {TableGoneError} */
  plan(request: PlanRequest): Promise<PlanReport>
  /** What is not as the ledger says, with what mends it. @throws {MigrationsPendingError} */
  verify(request: VerifyRequest): Promise<VerifyReport>
  close(): Promise<void>
}

export interface LookOptions {
  readonly state: string
  /** Hears what the warehouse has to say that is no error. */
  readonly hear?: (message: string) => void
  /** What stands in for what the pipeline reads: a demo. Its `run` applies migrations by itself, so that none is missed here. */
  readonly world?: World | undefined
}

/** Opens the pipeline's warehouse and the state store, both for reading. What it throws holds none of the pipeline's secrets. */
export function openLook(pipeline: Pipeline, surroundings: Surroundings, options: LookOptions): Promise<Look> {
  return redacting(pipeline.secrets, () => open(pipeline, surroundings, options))
}

async function open(pipeline: Pipeline, surroundings: Surroundings, options: LookOptions): Promise<Look> {
  const { openWarehouse } = await import('../warehouse/open.js')
  const opened = await openWarehouse(warehouseUrl(pipeline.warehouse, surroundings), { mode: 'plan' })
  if (options.hear) opened.hear(options.hear)
  const warehouse = stoppable(opened, surroundings.signal)
  let state: StateStore
  try {
    state = await openState(options.state, surroundings, { readOnly: true })
  } catch (error) {
    await warehouse.close()
    throw error
  }
  const { world } = options
  const { signal, clock } = surroundings
  const emit = () => undefined
  const chainsOf = (of: Pipeline) =>
    openChains({ pipeline: of, warehouse, state, surroundings, signal, emit, standIn: world?.chain, remember: undefined })
  return {
    warehouse,
    state,
    lastRun: () => lastRun(state, pipeline, warehouse.display),
    async plan(request) {
      const chains = chainsOf(pipeline)
      try {
        await warehouse.assume([])
        if (!world) await refusePending(warehouse, pipeline)
        await refuseDrift(warehouse, pipeline)
        await refuseGone(warehouse, pipeline)
        await warehouse.assume([...pipeline.tables.values()])
        const moment = createMoment(world?.now ?? clock.now(), headFor(chains, request))
        const of = { pipeline, warehouse, state, moment, demo: isDemo(world ?? {}) }
        return await redacting(pipeline.secrets, () => makePlan(of, request))
      } finally {
        await chains.close()
      }
    },
    async verify(request) {
      const { verify } = await import('./verify.js')
      const chains = chainsOf(request.pipeline)
      try {
        return await redacting(request.pipeline.secrets, () => verify({ warehouse, chains, surroundings, world }, request))
      } finally {
        await chains.close()
      }
    },
    async close() {
      await state.close()
      await warehouse.close()
    },
  }
}
