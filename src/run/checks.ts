import { type CheckResult, PipeError } from '../sdk/index.js'

/** A check that came with a batch did not pass. Nothing of the batch is stored. */
export class CheckFailedError extends PipeError {
  readonly code = 'CHECK_FAILED'
  override readonly hint = 'the batch that came with the check is not stored; the next run does the unit again from what is'
  constructor(readonly failed: readonly string[]) {
    super(failed.join('; '))
  }
}

/** The checks that did not pass and must, each with its value in words. */
export function failedChecks(results: readonly CheckResult[]): string[] {
  return results
    .filter(({ passed, severity }) => !passed && severity === 'error')
    .map(({ name, value, expect, problem }) => `${name}: ${problem ?? `is ${value ?? 'nothing'}, expected ${expect}`}`)
}

const SHOWN = 3

/** The first few of what keeps a step closed, and how many more there are. */
export function closedBecause(failed: readonly string[]): string {
  const more = failed.length - SHOWN
  return [...failed.slice(0, SHOWN), ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
}
