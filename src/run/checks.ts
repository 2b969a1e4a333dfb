import { type CheckResult, PipeError } from '../sdk/index.js'

/** A check that came with a batch did not pass. Nothing of the batch is stored. */
export class CheckFailedError extends PipeError {
  readonly code = 'CHECK_FAILED'
  override readonly hint = 'what came with the check is not stored; the next run checks it again'
  constructor(failed: readonly CheckResult[]) {
    const names = failed.map(({ name }) => JSON.stringify(name)).join(', ')
    super(failed.length === 1 ? `the check ${names} did not pass` : `${failed.length} checks did not pass: ${names}`)
  }
}

/** The checks that did not pass and must. */
export const failedChecks = (results: readonly CheckResult[]): readonly CheckResult[] =>
  results.filter(({ passed, severity }) => !passed && severity === 'error')

/** A check that did not pass, with its value in words. */
export const failedInWords = ({ name, value, expect, problem }: CheckResult): string =>
  `${name}: ${problem ?? `is ${value ?? 'nothing'}, expected ${expect}`}`

const SHOWN = 3

/** The first few of what keeps a step closed, and how many more there are. */
export function closedBecause(failed: readonly string[]): string {
  const more = failed.length - SHOWN
  return [...failed.slice(0, SHOWN), ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
}
