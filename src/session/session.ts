import type { Pipeline } from '../pipeline/pipeline.js'
import type { PlanReport } from '../plan/forecast.js'
import { reduce } from '../report/reduce.js'
import type { TableFigures } from '../report/status-file.js'
import { initialView, type RunView } from '../report/view.js'
import { createBus } from '../run/bus.js'
import { stoppable } from '../run/stoppable.js'
import type { About, RunEvent, Warehouse } from '../sdk/index.js'
import type { StateStore } from '../state/store.js'
import { openChains } from './chains.js'
import { makeUnfilled, refuseGone } from './gone.js'
import { type Held, holdPipeline } from './hold.js'
import { createMoment } from './moment.js'
import { openState } from './open-state.js'
import { headFor, makePlan, type PlanRequest } from './plan.js'
import { refuseDrift, refusePending } from './ready.js'
import { redacting } from './redact.js'
import type { RunEnd, RunRequest } from './run-held.js'
import { isDemo, StopSignal, type Surroundings, type World } from './surroundings.js'
import { refuseMixed } from './worlds.js'

/**
 * One run of a pipeline that this process holds, without a terminal: nobody else can run or change it until `close`. What its
 * events say and what opening it, `plan` and `run` throw holds none of the pipeline's secrets.
 */
export interface Session {
  /** How far the run is. Changed in place, before subscribers are told of the event that changes it. */
  readonly view: RunView
  /** Calls `listener` with every later event. Calling the result ends that. */
  subscribe(listener: (event: RunEvent) => void): () => void
  /** What `run` would do now. */
  plan(request: PlanRequest): Promise<PlanReport>
  /**
   * Fetches what is missing, once a session. When it resolves, the state store knows how the run ended.
   *
   * @throws what kept it from going on, after `run:ended` has said so. Never after a stop.
   */
  run(request: RunRequest): Promise<RunEnd>
  /** What the table holds that the pipeline covers time in; `step`: of several, the one that is meant. */
  table(step: string | undefined): Promise<TableFigures>
  /** Asks the run to end after the commits that are under way. */
  stop(): void
  /** Lets go of warehouse, state store and lock. */
  close(): Promise<void>
}

export interface SessionOptions {
  /** Where runs and history are kept: `sqlite:PATH` or `postgres://…`. */
  readonly state: string
  /** What stands in for the world outside. */
  readonly world?: World
  /** Applies pending migrations. Without it they are refused. */
  readonly migrate?: (warehouse: Warehouse) => Promise<unknown>
  /** The run forgets what is done, and makes tables that are gone only then. */
  readonly fresh?: boolean
  /** What commands that are advised say beside what the run itself is asked for. */
  readonly about?: Pick<About, 'demo' | 'state'>
}

/**
 * Takes the lock, opens warehouse and state store, and makes what is missing of the tables.
 *
 * @throws {PipelineHeldError} @throws {WarehouseOpenError} @throws {MigrationsPendingError} @throws {SchemaDriftError}
 * @throws {TableGoneError} @throws {WorldsMixedError}
 */
export function openSession(pipeline: Pipeline, surroundings: Surroundings, options: SessionOptions): Promise<Session> {
  return redacting(pipeline.secrets, () => open(pipeline, surroundings, options))
}

async function open(pipeline: Pipeline, surroundings: Surroundings, options: SessionOptions): Promise<Session> {
  const held = await holdPipeline(pipeline, options.state, surroundings)
  try {
    await refuseMixed(held.warehouse, pipeline, isDemo(options.world ?? {}), surroundings)
    await makeReady(held.warehouse, pipeline, options)
    const state = await openState(options.state, surroundings)
    return createSession({
      pipeline,
      surroundings,
      world: options.world ?? {},
      held,
      state,
      about: { ...options.about, file: pipeline.file },
    })
  } catch (error) {
    await held.close()
    throw error
  }
}

async function makeReady(warehouse: Warehouse, pipeline: Pipeline, { migrate, fresh }: SessionOptions): Promise<void> {
  if (pipeline.migrations !== undefined) {
    await warehouse.prepare([])
    await (migrate ? migrate(warehouse) : refusePending(warehouse, pipeline))
  }
  await refuseDrift(warehouse, pipeline)
  if (fresh) {
    await makeUnfilled(warehouse, pipeline)
    return
  }
  await refuseGone(warehouse, pipeline)
  await warehouse.prepare([...pipeline.tables.values()])
}

interface Parts {
  readonly pipeline: Pipeline
  readonly surroundings: Surroundings
  readonly world: World
  readonly held: Held
  readonly state: StateStore
  readonly about: About
}

function createSession({ pipeline, surroundings, world, held, state, about }: Parts): Session {
  const { warehouse } = held
  const { clock } = surroundings
  const id = surroundings.newId()
  const bus = createBus(clock, id)
  const view = initialView()
  bus.subscribe((event) => void reduce(view, event))
  const stop = new AbortController()
  const signal = AbortSignal.any([surroundings.signal, stop.signal])
  let begun = false
  return {
    view,
    subscribe: (listener) => bus.subscribe(listener),
    async plan(request) {
      const chains = openChains({
        pipeline,
        warehouse,
        state,
        surroundings,
        signal,
        emit: () => undefined,
        standIn: world.chain,
        remember: undefined,
      })
      try {
        const moment = createMoment(world.now ?? clock.now(), headFor(chains, request))
        return await redacting(pipeline.secrets, () =>
          makePlan({ pipeline, warehouse: stoppable(warehouse, signal), state, moment, demo: isDemo(world) }, request),
        )
      } finally {
        await chains.close()
      }
    },
    async run(request) {
      if (begun) throw new Error('a session runs once: open another one')
      begun = true
      const { runHeld } = await import('./run-held.js')
      return redacting(pipeline.secrets, () =>
        runHeld({ id, pipeline, surroundings, signal, world, held, state, bus, view, about }, request),
      )
    },
    async table(step) {
      const { tableFigures } = await import('./table-figures.js')
      return tableFigures(pipeline, warehouse, step)
    },
    stop: () => stop.abort(new StopSignal('SIGTERM')),
    async close() {
      try {
        await state.close()
      } finally {
        await held.close()
      }
    },
  }
}
