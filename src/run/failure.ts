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
  /** With the stack of an error that nobody expected. */
  readonly text: string
}

export function failureOf(error: unknown): Failure {
  if (isPipeError(error)) {
    const { message, code, hint, blame, retryable } = error
    return { message, code, hint, own: blame === 'own', retryable, text: message }
  }
  const message = error instanceof Error ? error.message : String(error)
  const text = error instanceof Error ? (error.stack ?? message) : message
  return { message, code: 'UNEXPECTED', hint: undefined, own: true, retryable: false, text }
}

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
  { message, code, hint }: Failure,
  state: 'failed' | 'quarantined',
): RunFact {
  return { type: 'unit:failed', step, unit, error: redact(message), code, hint, state }
}
