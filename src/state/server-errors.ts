import { PipeError } from '../sdk/errors.js'

/** The server of the state store can't be used. Nothing of the warehouse is touched by it. */
export class StateServerError extends PipeError {
  readonly code = 'STATE_SERVER'
  override readonly blame = 'outage'
  constructor(
    display: string,
    problem: string,
    override readonly hint: string,
    cause?: unknown,
  ) {
    super(`${display}: ${problem}`, { cause })
  }
}
