import { isPipeError, type RunFact } from '../sdk/index.js'
import type { Step } from '../pipeline/pipeline.js'
import { backoff } from './retry.js'
import type { RunServices } from './services.js'

/** What ended an attempt, as the ledger and people are told of it. */
export interface Failure {
  readonly message: string
  readonly code: string
  readonly hint: string | undefined
  /** The work itself is to blame, so that it uses an attempt up. */
  readonly own: boolean
  readonly retryable: boolean
  /** Lines below the message: the stack of an error that nobody expected, or what says more of another. */
  readonly detail: string | undefined
  /** All of it. */
  readonly text: string
}

export function failureOf(error: unknown): Failure {
  if (isPipeError(error)) {
    const { message, code, hint, detail, blame, retryable } = error
    const text = detail === undefined ? message : `${message}\n${detail}`
    return { message, code, hint, detail, own: blame === 'own', retryable, text }
  }
  const message = error instanceof Error ? error.message : String(error)
  const text = error instanceof Error ? (error.stack ?? message) : message
  const at = text.search(/^ +at /m)
  const detail = at < 0 ? undefined : text.slice(at)
  return { message, code: 'UNEXPECTED', hint: undefined, detail, own: true, retryable: false, text }
}

/** Lines of a failure that are told; all of them are kept with its unit. */
const TOLD_LINES = 20

/** Says that `unit` is tried again, and resolves when it is time to. An abort ends the wait early; the next attempt sees the aborted signal and stops. */
export async function waitToRetry(
  { emit, clock, random }: Pick<RunServices, 'emit' | 'clock' | 'random'>,
  { id, retry }: Step,
  unit: string,
  { message, code }: Failure,
  attempt: number,
  signal: AbortSignal,
): Promise<void> {
  const waitMs = backoff(attempt, retry.waitMs, retry.maxWaitMs, random)
  emit({ type: 'unit:retrying', step: id, unit, error: message, code, attempt, waitMs })
  await clock.sleep(waitMs, signal).catch(() => undefined)
}

/** The fact that a unit failed. */
export function unitFailed(
  { redact }: Pick<RunServices, 'redact'>,
  step: string,
  unit: string,
  { message, code, hint, detail }: Failure,
  state: 'failed' | 'quarantined',
): RunFact {
  const lines = detail === undefined ? undefined : redact(detail).split('\n').slice(0, TOLD_LINES).join('\n')
  return { type: 'unit:failed', step, unit, error: redact(message), detail: lines, code, hint, state }
}
