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

/** Runs work with a signal that is aborted with this one, and by `error` when `ms` are over. */
export async function withTimeout<T>(
  clock: Clock,
  signal: AbortSignal,
  limit: { readonly ms: number; readonly error: Error } | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (!limit) return work(signal)
  const { ms, error } = limit
  const timeout = new AbortController()
  const done = new AbortController()
  void clock.sleep(ms, done.signal).then(
    () => timeout.abort(error),
    () => undefined,
  )
  try {
    return await work(AbortSignal.any([signal, timeout.signal]))
  } finally {
    done.abort()
  }
}
