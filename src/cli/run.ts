import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { facts } from '../sdk/events.js'
import { isPipeError, type RunFact, type Warehouse } from '../sdk/index.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import type { RunView } from '../report/view.js'
import { waitsFor } from '../report/words.js'
import type { StateStore } from '../state/store.js'
import { type Io, Exit, exitCodeOf, StopSignal } from './io.js'
import type { Demo } from './demo.js'
import type { RunCommandOptions } from './options.js'
import { againOf } from './again.js'
import { measuredRates } from './rates.js'
import { createRedactor, redactDeep } from './redact.js'
import { forgetDone } from './fresh.js'
import {
  createMoment,
  openChains,
  openSources,
  openState,
  pipelineFor,
  refuseDrift,
  refusePending,
  stateFolder,
  warehouseUrl,
} from './wire.js'

/** Fetches what is missing. Resolves to the exit code. @throws {PipeError} what kept it from starting. */
export async function runCommand(file: string, options: RunCommandOptions, io: Io): Promise<number> {
  const found = await pipelineFor(file, options, io, options.demo ? 'warn' : 'require')
  if (!found) return Exit.notStarted
  if (!options.demo) return runPipeline(found, options, io, { standIn: {}, now: undefined })
  const { startDemo } = await import('./demo.js')
  const demo = await startDemo(found, io)
  try {
    const code = await runPipeline(demo.pipeline, options, io, demo)
    if (options.output !== 'json') await demo.show(io)
    return code
  } finally {
    await demo.close()
  }
}

/** What a demo puts in place of the world outside. */
type World = Pick<Demo, 'standIn' | 'now'>

async function runPipeline(pipeline: Pipeline, options: RunCommandOptions, io: Io, world: World): Promise<number> {
  const [{ lockPipeline, PipelineHeldError }, { openWarehouse }] = await Promise.all([
    import('../state/lock.js'),
    import('../warehouse/open.js'),
  ])
  const startedAt = Math.round(io.clock.now())
  const self = { pid: io.pid, host: io.host, since: startedAt }
  const url = warehouseUrl(pipeline.warehouse, io)
  const lock = await lockPipeline({
    pipeline: pipeline.name,
    warehouse: url,
    stateDir: stateFolder(options.state, io),
    clock: io.clock,
    self,
    alive: (pid) => io.alive(pid),
  }).catch(async (error: unknown) => {
    // While another run holds the pipeline, the file is that one's.
    if (options.statusFile !== undefined && !(error instanceof PipelineHeldError))
      await tellFailedStart(resolve(io.cwd, options.statusFile), pipeline, error, io)
    throw error
  })
  let warehouse: Warehouse | undefined
  let state: StateStore | undefined
  try {
    warehouse = await openWarehouse(url, { mode: 'write' })
    if (pipeline.migrations !== undefined) {
      await warehouse.prepare([])
      if (options.demo) await (await import('./migrate.js')).migrate(warehouse, pipeline, io, io.stderr)
      else await refusePending(warehouse, pipeline)
    }
    await refuseDrift(warehouse, pipeline)
    await warehouse.prepare([...pipeline.tables.values()])
    state = await openState(options.state, io)
    return await runOpened({ pipeline, options, io, world, warehouse, state, startedAt, lockFile: lock.path })
  } catch (error) {
    // A run that did not begin has no events, and the file would go on telling of the one before.
    if (!state && options.statusFile !== undefined) await tellFailedStart(resolve(io.cwd, options.statusFile), pipeline, error, io)
    throw error
  } finally {
    await warehouse?.close()
    await state?.close()
    await lock.release()
  }
}

async function tellFailedStart(path: string, pipeline: Pipeline, error: unknown, io: Io): Promise<void> {
  const [{ statusFileReporter }, { initialView }] = await Promise.all([import('../report/status-file.js'), import('../report/view.js')])
  const view = initialView()
  const warn = (text: string) => void io.stderr.write(`${text}\n`)
  const reporter = statusFileReporter({ path, view, clock: io.clock, warn, pid: io.pid })
  const exitCode = io.signal.aborted ? stopCode(io) : exitCodeOf(error)
  Object.assign(view, { pipeline: pipeline.name, state: 'ended', outcome: 'error', exitCode, at: Math.round(io.clock.now()) })
  await reporter.close()
}

interface Opened {
  readonly pipeline: Pipeline
  readonly options: RunCommandOptions
  readonly io: Io
  readonly world: World
  readonly warehouse: Warehouse
  readonly state: StateStore
  readonly startedAt: number
  readonly lockFile: string | undefined
}

async function runOpened({ pipeline, options, io, world, warehouse, state, startedAt, lockFile }: Opened): Promise<number> {
  const [{ actingSteps, run }, { runRounds }, { Heartbeat }, { createBus }, { openReporters }] = await Promise.all([
    import('../run/run.js'),
    import('../run/rounds.js'),
    import('../run/heartbeat.js'),
    import('../run/bus.js'),
    import('./reporters.js'),
  ])
  const acting = actingSteps(pipeline, options.select)
  const redact = createRedactor(pipeline.secrets)
  const id = randomUUID()
  const bus = createBus(io.clock, id)
  const moved = { count: 0 }
  const emit = (fact: RunFact) => {
    if (facts[fact.type].moves) moved.count++
    bus.emit(facts[fact.type].quiet ? fact : redactDeep(fact, redact))
  }
  await state.startRun({
    id,
    pipeline: pipeline.name,
    warehouse: warehouse.display,
    file: pipeline.file,
    hash: pipeline.hash,
    pid: io.pid,
    host: io.host,
    startedAt,
    lockFile,
  })
  const reporters = await openReporters({
    bus,
    io,
    output: options.output,
    statusFile: options.statusFile === undefined ? undefined : resolve(io.cwd, options.statusFile),
    pipeline,
    again: againOf(pipeline.file, options),
  })
  const { view } = reporters
  const keeper = keepState(state, id, view, io)
  const limit = new AbortController()
  const signal = AbortSignal.any([io.signal, limit.signal])
  const chains = openChains({ pipeline, warehouse, state, io, signal, emit, endpoint: world.standIn.chain, remember: true })
  const sources = openSources({ pipeline, io, emit, standIn: world.standIn.source })
  const onStop = () => emit({ type: 'run:stopping', signal: io.signal.reason instanceof StopSignal ? io.signal.reason.signal : 'SIGINT' })
  io.signal.addEventListener('abort', onStop, { once: true })
  let exitCode: number = Exit.notStarted
  try {
    emit({
      type: 'run:started',
      pipeline: pipeline.name,
      warehouse: warehouse.display,
      pid: io.pid,
      host: io.host,
      steps: pipeline.steps
        .filter((step) => acting.has(step.id))
        .map(({ id: step, title, definition, needs }) => ({
          id: step,
          title,
          type: definition.type,
          needs: needs.filter((need) => acting.has(need)),
        })),
    })
    const moment = createMoment(world.now ?? io.clock.now(), async (chain) => {
      const head = await chains.head(chain)
      emit({ type: 'run:resolved', heads: chains.heads(), params: options.params })
      await state.updateRun(
        id,
        { resolved: { heads: chains.heads(), params: options.params, now: String(moment.now) } },
        Math.round(io.clock.now()),
      )
      return head
    })
    // Also where no head is asked for: `pipe verify` looks at what this run was asked for.
    await state.updateRun(id, { resolved: { heads: {}, params: options.params, now: String(moment.now) } }, Math.round(io.clock.now()))
    if (options.fresh) await forgetDone(pipeline, options, warehouse, io)
    const heartbeat = new Heartbeat(
      { worker: `${pipeline.name}@${io.host}`, pipeline: pipeline.name, host: io.host, pid: io.pid, startedAt: BigInt(startedAt) * 1_000n },
      io.clock,
    )
    const round = () =>
      run({
        pipeline,
        warehouse,
        moment,
        clock: io.clock,
        random: io.random,
        emit,
        signal,
        given: options.params,
        select: options.select,
        limit: options.limit,
        rpc: (step) => chains.lane(step),
        http: (step) => sources.client(step),
        redact,
        heartbeat,
        onCheck: (step, check) =>
          void state
            .recordCheck(id, step, redactDeep(check, redact), Math.round(io.clock.now()))
            .catch((error: unknown) =>
              emit({ type: 'warning', step, message: `the result of a check was not kept: ${redact(String(error))}` }),
            ),
      })
    const { outcome, reason } = await runRounds({
      round,
      untilComplete: options.untilComplete,
      maxRuns: options.maxRuns,
      waitMs: options.wait ?? WAIT_MS,
      timeoutMs: options.timeout,
      stallMs: (options.stall ?? (options.untilComplete ? STALL_MS : 0)) || undefined,
      moved: () => (waitsForOthers(view, pipeline) ? moved.count : undefined),
      waitsFor: () => waitsFor(view),
      clock: io.clock,
      emit,
      signal: io.signal,
      limit,
    })
    exitCode = outcome === 'stopped' ? stopCode(io) : outcome === 'done' ? Exit.done : Exit.incomplete
    emit({ type: 'run:ended', outcome, exitCode, error: reason })
    await chains.remember()
    await state.rememberRates(measuredRates(pipeline.name, view.steps, io.clock.now()))
  } catch (error) {
    exitCode = io.signal.aborted ? stopCode(io) : Exit.notStarted
    emit({
      type: 'run:ended',
      outcome: io.signal.aborted ? 'stopped' : 'error',
      exitCode,
      error: error instanceof Error ? error.message : String(error),
    })
    if (!io.signal.aborted)
      throw isPipeError(error) ? error : new Error(redact(error instanceof Error ? error.message : String(error)), { cause: error })
  } finally {
    io.signal.removeEventListener('abort', onStop)
    await Promise.all([chains.close(), sources.close()])
    await keeper.close()
    await state
      .updateRun(
        id,
        {
          endedAt: Math.round(io.clock.now()),
          outcome: view.outcome ?? 'error',
          exitCode,
          view: JSON.parse(JSON.stringify(view)) as never,
        },
        Math.round(io.clock.now()),
      )
      .catch((error: unknown) =>
        emit({ type: 'warning', message: `the end of the run was not kept in the state store: ${redact(String(error))}` }),
      )
    await reporters.close()
  }
  return exitCode
}

const WAIT_MS = 60_000
const STALL_MS = 300_000

/** Whether every step that runs reads from outside: a long SQL statement or program moves nothing, and has a timeout of its own. */
function waitsForOthers(view: RunView, pipeline: Pipeline): boolean {
  const running = view.steps.filter(({ state }) => state === 'running')
  return running.every(({ id }) => pipeline.steps.some((step) => step.id === id && (step.chain !== undefined || step.source !== undefined)))
}

const KEEP_MS = 1_000

/** Writes the view into the state store about once a second, for `pipe status` of other processes. */
function keepState(state: StateStore, run: string, view: RunView, io: Io): { close(): Promise<void> } {
  const stop = new AbortController()
  let failed = false
  const work = (async () => {
    while (!stop.signal.aborted) {
      await io.clock.sleep(KEEP_MS, stop.signal).catch(() => undefined)
      if (stop.signal.aborted) return
      try {
        await state.updateRun(run, { view: JSON.parse(JSON.stringify(view)) as never }, Math.round(io.clock.now()))
      } catch (error) {
        // Others see less; the run goes on.
        if (!failed)
          io.stderr.write(`warning: the state store can't be written: ${error instanceof Error ? error.message : String(error)}\n`)
        failed = true
      }
    }
  })()
  return {
    close: async () => {
      stop.abort()
      await work
    },
  }
}

const stopCode = (io: Io) => (io.signal.reason instanceof StopSignal ? io.signal.reason.exitCode : 130)
