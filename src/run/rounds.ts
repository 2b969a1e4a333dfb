import { type Clock, formatDuration, isPipeError, PipeError, type RunFact } from '../sdk/index.js'
import type { Moment } from '../plan/scope.js'
import type { RunResult } from './run.js'

/** The time that a run was given is over. */
export class RunTimeUpError extends PipeError {
  readonly code = 'RUN_TIME_UP'
  override readonly blame = 'outage'
  override readonly hint = 'run it again: it goes on where this one ended; or give it more with --timeout'
  constructor(ms: number) {
    super(`its time of ${formatDuration(ms)} is used up (--timeout)`)
  }
}

/** Nothing moved for so long that waiting on is no use. */
export class RunStalledError extends PipeError {
  readonly code = 'RUN_STALLED'
  override readonly blame = 'outage'
  override readonly hint = 'look at what it waits for; --stall TIME says how long nothing may move'
  constructor(ms: number, waitsFor: string) {
    super(`nothing moved for ${formatDuration(ms)}; it waits for ${waitsFor}`)
  }
}

export interface RoundsOptions {
  /**
   * What the round that begins now reads up to: the same one for every round, or a new one for each. Undefined: nothing can be new
   * since the one before, so there is none.
   */
  moment(): Moment | undefined | Promise<Moment | undefined>
  /** Resolves when a round may begin: not while the run is paused. */
  mayBegin(signal: AbortSignal): Promise<void>
  /** Carries out one round: plans and runs everything that is missing. */
  round(moment: Moment): Promise<RunResult>
  /** Goes on until nothing is missing. Without it, and without `follow`, there is one round. */
  readonly untilComplete: boolean
  /** Goes on for what is new when nothing is missing, until it is stopped. */
  readonly follow: boolean
  /** At most so many rounds. */
  readonly maxRuns: number | undefined
  /** Between two rounds; when following, from the beginning of one to that of the next. */
  readonly waitMs: number
  /** Of all rounds and waits together. */
  readonly timeoutMs: number | undefined
  /** How long nothing may move. */
  readonly stallMs: number | undefined
  /** A number that changes when something moves; undefined while what runs can't tell (a long SQL statement, a program). */
  moved(): number | undefined
  /** A number that changes when rows come in, or a part is done that was not: what is only tried again is none of both. */
  gained(): number
  /** Whether nothing can move, since somebody paused the run. */
  isAtRest(): boolean
  /** What the run waits for, in words. */
  waitsFor(): string
  readonly clock: Clock
  readonly emit: (fact: RunFact) => void
  /** Waits between two rounds, until then or until something is known to be new. Never fails. */
  wait(ms: number, signal: AbortSignal): Promise<void>
  /** Somebody wants it to stop: no further round is begun. What one does when it is stopped is its own matter. */
  readonly signal: AbortSignal
  /** Aborted when time is used up or nothing moves. Whatever works for the run must heed it as well as `signal`. */
  readonly limit: AbortController
}

export interface RoundsEnd {
  readonly outcome: RunResult['outcome']
  /** Why it ended incomplete, where the steps don't say it. */
  readonly reason?: string
}

/**
 * Runs rounds until one of them leaves nothing missing, until another one could not change that, or until runs or time are
 * used up. A round that an outage ended counts, and the next one goes on. When following, only a stop, the limits and what
 * no round can change end them; what ended a round early is told when it is not what was told last.
 */
export async function runRounds(options: RoundsOptions): Promise<RoundsEnd> {
  const { clock, emit, untilComplete, follow, maxRuns = Infinity, waitMs, timeoutMs } = options
  const startedAt = clock.monotonic()
  const { limit } = options
  const over = new AbortController()
  const stall = new Stall(options, over.signal)
  const signal = AbortSignal.any([options.signal, limit.signal])
  if (timeoutMs !== undefined) void after(timeoutMs, clock, over.signal, () => limit.abort(new RunTimeUpError(timeoutMs)))
  let round = 0
  let complete = false
  let told: string | undefined
  const begin = () => {
    round++
    complete = false
    if (untilComplete || follow) emit({ type: 'round:started', round })
  }
  try {
    for (;;) {
      await options.mayBegin(signal)
      const beganAt = clock.monotonic()
      const before = round
      const { result, failure } = await runRound(options, signal, begin, (error) => limit.abort(error))
      const began = round > before
      if (began) complete = result?.outcome === 'done'
      if (options.signal.aborted) return stopped()
      if (limit.signal.aborted) return { outcome: 'incomplete', reason: (limit.signal.reason as Error).message }
      if (complete && !follow) return { outcome: 'done' }
      if (!untilComplete && !follow) return { outcome: 'incomplete' }
      const reason = began ? endReason(result) : undefined
      if (stall.isOver) return { outcome: 'incomplete', reason: stall.error.message }
      if (reason !== undefined && complete) return { outcome: 'done' }
      if (reason !== undefined) return { outcome: 'incomplete', reason: failure === undefined ? reason : `${reason}; ${failure}` }
      const wait = follow ? followWait(result, clock.monotonic() - beganAt) : waitMs
      const news = follow && numberless(failure) === numberless(told) ? undefined : failure
      if (began || news !== undefined) emit({ type: 'round:ended', round, waitMs: wait, reason: news })
      told = failure
      await options.wait(wait, signal)
      if (options.signal.aborted) return stopped()
      if (limit.signal.reason instanceof RunTimeUpError && complete && failure === undefined) return { outcome: 'done' }
      if (limit.signal.aborted) return { outcome: 'incomplete', reason: (limit.signal.reason as Error).message }
    }
  } finally {
    over.abort()
  }

  /** Where the last round left nothing, nothing was cut off: following ends by a stop, and what was under way may have been all. */
  function stopped(): RoundsEnd {
    return { outcome: complete && (!follow || told === undefined) ? 'done' : 'stopped' }
  }

  function endReason(result: RunResult | undefined): string | undefined {
    if (result && (follow ? isHopeless(result) : !mayHelp(result))) return 'another run would find the same'
    if (round >= maxRuns) return `${maxRuns === 1 ? 'its one run is' : `its ${maxRuns} runs are`} used up (--max-runs)`
    if (follow) return undefined
    const left = timeoutMs === undefined ? Infinity : timeoutMs - (clock.monotonic() - startedAt)
    return left <= waitMs ? new RunTimeUpError(timeoutMs ?? 0).message : undefined
  }

  /** What `--limit` left is there already, and nobody waits for it. */
  function followWait(result: RunResult | undefined, tookMs: number): number {
    const ready = [...(result?.steps.values() ?? [])].some(({ outcome, lasting }) => outcome === 'limited' && lasting !== true)
    return ready ? 0 : Math.max(0, waitMs - tookMs)
  }
}

/**
 * One round, where one is due, and in words what kept it from coming to its end. An outage ends the round and not the run when more
 * rounds may come.
 */
async function runRound(
  options: RoundsOptions,
  signal: AbortSignal,
  begin: () => void,
  giveUp: (error: PipeError) => void,
): Promise<{ readonly result?: RunResult; readonly failure?: string }> {
  const watched = new AbortController()
  if (options.stallMs !== undefined) void watchStall(options, options.stallMs, watched.signal, giveUp)
  try {
    const moment = await options.moment()
    if (!moment) return {}
    begin()
    return { result: await options.round(moment) }
  } catch (error) {
    if (signal.aborted) return {}
    if ((options.untilComplete || options.follow) && isPipeError(error) && error.blame === 'outage') return { failure: error.message }
    throw error
  } finally {
    watched.abort()
  }
}

/**
 * How long no round has brought anything, the waits between them included. It is judged when a round ends: a wait is as long as
 * people want it, and what comes after it may bring something.
 */
class Stall {
  readonly #options: RoundsOptions
  #last: number
  #still = 0

  constructor(options: RoundsOptions, over: AbortSignal) {
    this.#options = options
    this.#last = options.gained()
    if (options.stallMs !== undefined && options.untilComplete) void this.#watch(options.stallMs, over)
  }

  get isOver(): boolean {
    this.#look()
    return this.#still >= PARTS
  }

  get error(): RunStalledError {
    return new RunStalledError(this.#options.stallMs ?? 0, this.#options.waitsFor())
  }

  #look(): void {
    const now = this.#options.gained()
    if (now !== this.#last) this.#still = 0
    this.#last = now
  }

  async #watch(ms: number, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await this.#options.clock.sleep(ms / PARTS, over).catch(() => undefined)
      this.#still = this.#options.isAtRest() ? 0 : this.#still + 1
      this.#look()
    }
  }
}

/** The stall time is waited for in so many parts, which are counted: a machine that slept has not waited them out. */
const PARTS = 10

async function watchStall(options: RoundsOptions, ms: number, signal: AbortSignal, giveUp: (error: PipeError) => void): Promise<void> {
  let last = options.moved()
  let still = 0
  while (!signal.aborted) {
    await options.clock.sleep(ms / PARTS, signal).catch(() => undefined)
    if (signal.aborted) return
    const now = options.moved()
    still = now === undefined || now !== last || options.isAtRest() ? 0 : still + 1
    last = now
    if (still >= PARTS) return giveUp(new RunStalledError(ms, options.waitsFor()))
  }
}

async function after(ms: number, clock: Clock, signal: AbortSignal, act: () => void): Promise<void> {
  await clock.sleep(ms, signal).catch(() => undefined)
  if (!signal.aborted) act()
}

/** Whether another round over the same may leave less missing: what is in quarantine, a closed gate and a mistake stay as they are. */
export function mayHelp({ steps }: RunResult): boolean {
  return [...steps.values()].some(
    ({ outcome, missing, lasting }) =>
      lasting !== true && (outcome === 'limited' || (outcome === 'incomplete' && missing > 0) || outcome === 'failed'),
  )
}

/** Tries are counted in what an outage says, and that is no other outage. */
const numberless = (text: string | undefined): string | undefined => text?.replace(/\d+/g, '0')

/** Whether whatever comes in changes nothing: all that ran made a mistake, and the rest waits for that. */
function isHopeless({ steps }: RunResult): boolean {
  const ran = [...steps.values()].filter(({ outcome }) => outcome !== 'blocked' && outcome !== 'skipped')
  return ran.length > 0 && ran.every(({ outcome, lasting }) => outcome === 'failed' && lasting === true)
}
