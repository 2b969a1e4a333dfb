import { resolve } from 'node:path'
import { Flight } from '../net/flight.js'
import type { Chain, Pipeline, Step } from '../pipeline/pipeline.js'
import { listsOf } from '../pipeline/steps/lists.js'
import type { Moment } from '../plan/scope.js'
import { actingSteps } from '../plan/select.js'
import { lagsOf } from '../report/lag.js'
import type { RunView } from '../report/view.js'
import { waitsFor } from '../report/words.js'
import { runProgram } from '../programs/run-program.js'
import type { Bus } from '../run/bus.js'
import { Control } from '../run/control.js'
import { Heartbeat } from '../run/heartbeat.js'
import { Retention } from '../run/retention.js'
import { type RoundsEnd, runRounds } from '../run/rounds.js'
import { run } from '../run/run.js'
import { type About, PipelineTakenError, type RunFact } from '../sdk/index.js'
import type { StateStore } from '../state/store.js'
import { openChains } from './chains.js'
import { Follow } from './follow.js'
import { forgetDone } from './fresh.js'
import type { Held } from './hold.js'
import { keepFacts } from './keep-facts.js'
import { asJson, keepState } from './keep-state.js'
import { measuredRates } from './measured-rates.js'
import { createMoment } from './moment.js'
import { openNotices } from './notices.js'
import type { PartRequest } from './plan.js'
import { redactDeep } from './redact.js'
import { openSources } from './sources.js'
import { isDemo, StopSignal, type Surroundings, type World } from './surroundings.js'
import { createTelling, type Telling } from './telling.js'
import { Wakes } from './wakes.js'
import { Watchdog } from './watchdog.js'
import { writeWhole } from './write-whole.js'

export interface RunRequest extends PartRequest {
  /** Marks what the steps have done as not done, before the first round is planned. */
  readonly fresh?: boolean
  /** Deletes what was read of blocks that a reorg replaced, however deep it is. */
  readonly force?: boolean
  /** Rounds until nothing is missing. */
  readonly untilComplete?: boolean
  /** Rounds for what is new, until it is stopped. Each has its own heads and its own now. */
  readonly follow?: boolean
  /** At most so many rounds. */
  readonly maxRuns?: number
  /** Milliseconds between rounds; when following, from the beginning of one to that of the next (default: the block time of the quickest chain). */
  readonly waitMs?: number
  /** Milliseconds of the whole run. */
  readonly timeoutMs?: number
  /** Milliseconds in which nothing may move; 0 switches it off. */
  readonly stallMs?: number
}

export interface RunEnd extends RoundsEnd {
  /** As `run:ended` says it: 0 done, 1 incomplete, 2 ended by an error, 3 when another run took the pipeline, 128 and more stopped by a signal. */
  readonly exitCode: number
}

/** A pipeline that is held, and who is told of its run. */
export interface Running {
  readonly id: string
  readonly pipeline: Pipeline
  readonly surroundings: Surroundings
  /** Stops the run: that of the surroundings, or the session's own. */
  readonly signal: AbortSignal
  readonly world: World
  readonly held: Held
  readonly state: StateStore
  readonly bus: Bus
  readonly view: RunView
  readonly about: About
}

const WAIT_MS = 60_000
const STALL_MS = 300_000
/** No chain is asked for its head more often than that. */
const LEAST_POLL_MS = 200
/** A look at the heads while a round is under way comes after so many waits between rounds. */
const LOOK_WAITS = 2

/** Runs a pipeline that is held, from its first event to the entry of its end in the state store. */
export async function runHeld(running: Running, request: RunRequest): Promise<RunEnd> {
  const { id, pipeline, surroundings, signal, held, state, view } = running
  const { clock, pid, host } = surroundings
  const { warehouse, lockFile, since } = held
  const telling = createTelling(running.bus, pipeline, { ...running.about, params: request.params, select: request.select })
  warehouse.hear((message) => telling.emit({ type: 'warning', message }))
  const { name, file, hash } = pipeline
  await state.startRun({ id, pipeline: name, warehouse: warehouse.display, file, hash, pid, host, startedAt: since, lockFile })
  const control = new Control({ clock, emit: telling.emit, over: endingOf(running) })
  const keeper = keepState(
    { state, run: id, view, clock },
    {
      wished: (wish) => control.take(wish),
      failed: (error) => telling.emit({ type: 'warning', message: `the state store can't be written: ${telling.redact(wordsOf(error))}` }),
    },
  )
  const facts = keepFacts({ state, run: id, bus: running.bus, clock })
  const warn = (message: string) => telling.emit({ type: 'warning', message })
  const notices = await openNotices({ pipeline, surroundings, world: running.world, run: id, state, warn })
  if (notices) running.bus.subscribe((event) => notices.see(event))
  const over = new AbortController()
  for (const asked of [signal, surroundings.drain]) {
    const tell = () => telling.emit({ type: 'run:stopping', signal: stopOf(asked).signal })
    asked?.addEventListener('abort', tell, { once: true, signal: over.signal })
  }
  let exitCode = EXIT.error
  const end = (outcome: RunEnd['outcome'] | 'error', error?: string, code?: number) => {
    exitCode = code ?? (outcome === 'stopped' ? stopOf(signal.aborted ? signal : surroundings.drain).exitCode : EXIT[outcome])
    telling.emit({ type: 'run:ended', outcome, exitCode, error })
  }
  try {
    const { outcome, reason } = await runConnected({ ...running, control }, telling, request, ({ outcome: how, reason: why }) =>
      end(how, why),
    )
    return { outcome, reason, exitCode }
  } catch (thrown) {
    // What a run that lost its pipeline met else comes of that.
    const error: unknown = held.taken.aborted ? held.taken.reason : thrown
    if (signal.aborted) {
      end('stopped', wordsOf(error))
      return { outcome: 'stopped', exitCode }
    }
    end('error', wordsOf(error), error instanceof PipelineTakenError ? error.exitCode : undefined)
    throw error
  } finally {
    over.abort()
    await notices?.close()
    await Promise.all([keeper.close(), facts.close()])
    const at = Math.round(clock.now())
    await state.updateRun(id, { endedAt: at, outcome: view.outcome ?? 'error', exitCode, view: asJson(view) }, at).catch((error: unknown) =>
      telling.emit({
        type: 'warning',
        message: `the end of the run was not kept in the state store: ${telling.redact(String(error))}`,
      }),
    )
  }
}

/** Runs the rounds with connections to chains and sources, and keeps what was learned of them. `ended` is told first. */
async function runConnected(
  { id, pipeline, surroundings, signal: stop, world, held, state, view, control }: Running & { readonly control: Control },
  { emit, redact, moved, gained }: Telling,
  request: RunRequest,
  ended: (end: RoundsEnd) => void,
): Promise<RoundsEnd> {
  const { clock, random, pid, host } = surroundings
  const { warehouse, taken } = held
  const limit = new AbortController()
  const onTaken = () => limit.abort(taken.reason)
  if (taken.aborted) onTaken()
  taken.addEventListener('abort', onTaken, { once: true })
  const signal = AbortSignal.any([stop, limit.signal])
  const flight = new Flight(pipeline.maxBytesInFlight)
  const chains = openChains({ pipeline, warehouse, state, surroundings, signal, emit, standIn: world.chain, remember: warehouse, flight })
  const unbound = control.onChange(() => {
    for (const { id: step } of pipeline.steps) {
      const most = control.parallel(step)
      if (most !== undefined) chains.bound(step, most)
    }
  })
  const sources = openSources({ pipeline, surroundings, emit, standIn: world.source, flight })
  const watchdog = new Watchdog({
    clock,
    emit,
    moved,
    working: () => !control.atRest && view.state !== 'ended' && (view.round?.nextAt ?? null) === null,
    waits: () => [...chains.waits(), ...sources.waits()],
    steps: () => waitsFor(view),
    warehouse: warehouse.display.replace(/:.*$/s, ''),
  })
  const blockTimeMs = (chain: string) => pipeline.chains.get(chain)?.blockTimeMs ?? WAIT_MS
  const wakes = request.follow ? new Wakes({ chains: followed(pipeline, request, world), surroundings, emit }) : undefined
  const pollMs = (chain: string | undefined) =>
    Math.max(LEAST_POLL_MS, request.waitMs ?? (chain === undefined ? WAIT_MS : blockTimeMs(chain)))
  try {
    const acting = actingSteps(pipeline, request.select)
    const steps = pipeline.steps.filter((step) => acting.has(step.id))
    emit(startedFact(steps, { ...partOf(request), pipeline: pipeline.name, warehouse: warehouse.display, pid, host }))
    const resolved = (moment: Moment, heads: Record<string, string>) => {
      const rests = Object.fromEntries([...(follow?.readUpTo(moment) ?? [])].map(([step, at]) => [step, String(at)]))
      return state.updateRun(id, { resolved: { heads, params: request.params, now: String(moment.now), rests } }, Math.round(clock.now()))
    }
    const tellLag = () => {
      if (!request.follow) return
      for (const { chain, head, behind, ms } of lagsOf(view, clock.now())) emit({ type: 'lag', chain, head: String(head), behind, ms })
    }
    const now = () => world.now ?? clock.now()
    const begin = async (known: ReadonlyMap<string, bigint> = new Map(), away: ReadonlyMap<string, unknown> = new Map()) => {
      const asked = async (heads: Record<string, string>) => {
        emit({ type: 'run:resolved', heads, params: request.params })
        tellLag()
        await resolved(moment, heads)
      }
      const moment = createMoment(
        now(),
        async (chain) => {
          if (away.has(chain)) throw away.get(chain) as Error
          return chains.head(chain)
        },
        asked,
        known,
      )
      // Also where no head is asked for: `pipe verify` looks at what this run was asked for.
      await (known.size > 0 ? asked(moment.heads()) : resolved(moment, {}))
      return moment
    }
    const poll = async (chain: string) => {
      const head = await chains.poll(chain)
      wakes?.polled(chain, head)
      return head
    }
    const follow: Follow | undefined = request.follow
      ? new Follow({
          poll,
          hasNews: (chain) => wakes?.hasNews(chain) === true,
          now,
          begin,
          blockTimeMs,
          pollMs,
          lists: listsOf(steps),
          clock,
          emit,
        })
      : undefined
    /** Says how heads move while a round is under way: one that reads much may last for hours. */
    const lookOn = async (of: Follow, ends: AbortSignal) => {
      const goesOn = () =>
        clock.sleep(LOOK_WAITS * quickest(steps, pollMs), AbortSignal.any([signal, ends])).then(
          () => true,
          () => false,
        )
      while (await goesOn()) {
        const heads = await of.heads()
        if (ends.aborted || signal.aborted) return
        for (const [chain, head] of heads) emit({ type: 'head', chain, head: String(head) })
        tellLag()
      }
    }
    const first = follow ? undefined : await begin()
    if (request.fresh) await forgetDone(pipeline, request, warehouse, clock)
    const heartbeat = new Heartbeat(
      { worker: `${pipeline.name}@${host}`, pipeline: pipeline.name, host, pid, startedAt: BigInt(held.since) * 1_000n },
      clock,
    )
    const untilComplete = request.untilComplete ?? false
    // One after the other, in the order in which they were found.
    let kept = Promise.resolve()
    let rounds = 0
    // The pace of a demo says nothing of that of the real world.
    const remember = async () => {
      if (!isDemo(world)) await state.rememberRates(measuredRates(pipeline.name, view.steps, clock.now()))
    }
    const retention = new Retention()
    const unsettled = new Set<string>()
    const end = await runRounds({
      // Complete is what was missing when the run began, so every round until then reads up to what the first one did.
      moment: () => {
        chains.tryLogins()
        sources.tryLogins()
        return control.during(async () => (follow ? follow.next() : first))
      },
      mayBegin: async (of) => {
        const looks = new AbortController()
        if (follow && control.paused) void lookOn(follow, looks.signal)
        await control.mayBegin(of)
        looks.abort()
      },
      isAtRest: () => control.atRest,
      round: (of) =>
        control.during(async () => {
          const looks = new AbortController()
          if (follow) void lookOn(follow, looks.signal)
          const result = await run({
            pipeline,
            warehouse: watchdog.watching(warehouse),
            moment: of,
            clock,
            random,
            emit,
            signal,
            drain: surroundings.drain,
            given: request.params,
            select: request.select,
            limit: request.limit,
            force: request.force,
            rpc: (step, config) => chains.lane(step, config),
            http: (step) => sources.client(step),
            redact,
            heartbeat,
            control,
            again: follow !== undefined && rounds > 0,
            rest: follow?.rest(of),
            retention,
            unsettled,
            program: (program, of) => runProgram(program, { ...surroundings, secrets: pipeline.secrets, signal: of }),
            write: (path, text) => writeWhole(resolve(surroundings.cwd, path), text),
            onCheck: (step, check, final) => {
              const at = Math.round(clock.now())
              kept = kept
                .then(() => state.recordCheck(id, step, redactDeep(check, redact), { final, at }))
                .catch((error: unknown) =>
                  emit({ type: 'warning', step, message: `the result of a check was not kept: ${redact(String(error))}` }),
                )
            },
          }).finally(() => looks.abort())
          rounds++
          // Later ones are as quick as the head.
          if (follow && rounds === 1) await remember()
          follow?.ended(result)
          tellLag()
          return result
        }),
      untilComplete,
      follow: follow !== undefined,
      maxRuns: request.maxRuns,
      waitMs: follow ? quickest(steps, pollMs) : (request.waitMs ?? WAIT_MS),
      timeoutMs: request.timeoutMs,
      stallMs: (request.stallMs ?? (untilComplete ? STALL_MS : 0)) || undefined,
      moved: () => (waitsForOthers(view, pipeline) ? moved() : undefined),
      gained,
      waitsFor: () => waitsFor(view),
      wait: (ms, of) => (wakes ? wakes.wait(ms, of) : clock.sleep(ms, of).catch(() => undefined)),
      clock,
      emit,
      signal: endingOf({ signal: stop, surroundings }),
      limit,
    })
    await kept
    // Whatever the rounds made of it: what they found done may be another run's.
    if (!stop.aborted) taken.throwIfAborted()
    ended(end)
    if (!follow) await remember()
    return end
  } finally {
    taken.removeEventListener('abort', onTaken)
    unbound()
    await Promise.all([watchdog.close(), wakes?.close(), chains.close(), sources.close()])
  }
}

/** What it was asked for, as it is told. */
const partOf = ({ params, select, limit, follow }: RunRequest) => ({ params, select, limit, follow: follow || undefined })

type Begun = Omit<Extract<RunFact, { type: 'run:started' }>, 'type' | 'steps'>

function startedFact(steps: readonly Step[], begun: Begun): RunFact {
  const acting = new Set(steps.map(({ id }) => id))
  const stepOf = ({ id, title, definition, needs }: Step) => ({
    id,
    title,
    type: definition.type,
    needs: needs.filter((need) => acting.has(need)),
  })
  return { type: 'run:started', ...begun, steps: steps.map(stepOf) }
}

/** The chains that steps read; none of them where something stands in for what they are. */
function followed(pipeline: Pipeline, { select }: RunRequest, world: World): Chain[] {
  const acting = actingSteps(pipeline, select)
  const read = new Set(pipeline.steps.flatMap(({ id, chain }) => (acting.has(id) && chain !== undefined ? [chain] : [])))
  return world.chain === undefined ? [...pipeline.chains.values()].filter(({ name }) => read.has(name)) : []
}

/** Between two looks at the heads of the chains in use. */
function quickest(steps: readonly Step[], pollMs: (chain: string | undefined) => number): number {
  const chains = new Set(steps.flatMap(({ chain }) => chain ?? []))
  return chains.size === 0 ? pollMs(undefined) : Math.min(...[...chains].map(pollMs))
}

/** Whether every step that runs reads from outside: a long SQL statement or program moves nothing, and has a timeout of its own. */
function waitsForOthers(view: RunView, pipeline: Pipeline): boolean {
  const running = view.steps.filter(({ state }) => state === 'running')
  return running.every(({ id }) => pipeline.steps.some((step) => step.id === id && (step.chain !== undefined || step.source !== undefined)))
}

/** Aborted when the run is to end, at once or when what is under way is done. */
const endingOf = ({ signal, surroundings: { drain } }: Pick<Running, 'signal' | 'surroundings'>) =>
  drain ? AbortSignal.any([signal, drain]) : signal

const EXIT: Readonly<Record<'done' | 'incomplete' | 'error', number>> = { done: 0, incomplete: 1, error: 2 }

const stopOf = (signal: AbortSignal | undefined) => (signal?.reason instanceof StopSignal ? signal.reason : new StopSignal('SIGINT'))

const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
