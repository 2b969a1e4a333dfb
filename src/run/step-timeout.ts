import { type Clock, PipeError } from '../sdk/index.js'

/** A step took longer than its `timeout`. Its units go on in the next run. */
export class StepTimeoutError extends PipeError {
  readonly code = 'STEP_TIMEOUT'
  override readonly blame = 'outage'
  override readonly hint = 'raise `timeout`; what is committed stays, and the next run goes on from there'
  constructor(step: string, ms: number) {
    super(`step ${step} was not done within its timeout of ${ms / 1000} s`)
  }
}

/** Whether a signal of `withTimeout` is aborted by the timeout, and not by a stop of the run. */
export const timedOut = (signal: AbortSignal): boolean => signal.aborted && signal.reason instanceof StepTimeoutError

/** The time that work may take. */
export interface StepTime {
  /** Whether it goes by now. */
  count(goes: boolean): void
}

/** Runs work with a signal that is aborted with this one, and by `error` when `ms` are over: those in which time did not go by left out. */
export async function withTimeout<T>(
  clock: Clock,
  signal: AbortSignal,
  limit: { readonly ms: number; readonly error: Error } | undefined,
  work: (signal: AbortSignal, time: StepTime) => Promise<T>,
): Promise<T> {
  if (!limit) return work(signal, { count: () => undefined })
  const { ms, error } = limit
  const timeout = new AbortController()
  const countdown = new Countdown(clock, ms, () => timeout.abort(error))
  try {
    return await work(AbortSignal.any([signal, timeout.signal]), countdown)
  } finally {
    countdown.count(false)
  }
}

class Countdown implements StepTime {
  readonly #clock: Clock
  readonly #over: () => void
  #leftMs: number
  #going: { readonly since: number; readonly stop: AbortController } | undefined

  constructor(clock: Clock, ms: number, over: () => void) {
    this.#clock = clock
    this.#leftMs = ms
    this.#over = over
    this.count(true)
  }

  count(goes: boolean): void {
    if (goes === (this.#going !== undefined)) return
    if (this.#going) {
      this.#leftMs -= this.#clock.monotonic() - this.#going.since
      this.#going.stop.abort()
      this.#going = undefined
      return
    }
    const stop = new AbortController()
    this.#going = { since: this.#clock.monotonic(), stop }
    this.#clock.sleep(Math.max(0, this.#leftMs), stop.signal).then(this.#over, () => undefined)
  }
}
