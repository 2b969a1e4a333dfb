import { PipeError } from '../sdk/errors.js'

/** The command line asks for something that is not there. Exit code 2. */
export class UsageError extends PipeError {
  readonly code = 'USAGE'
  override readonly hint: string
  constructor(message: string, hint: string) {
    super(message)
    this.hint = hint
  }
}
