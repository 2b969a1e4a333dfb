import { PipeError } from '../sdk/index.js'

/** A notice could not be sent. The run goes on, and ends as it would have. */
export class NoticeFailedError extends PipeError {
  readonly code = 'NOTICE_FAILED'
  override readonly blame = 'outage'
  override readonly hint = 'look at `url` of this receiver in `notify`, and whether it can be reached from here'
  constructor(
    /** Host only. */
    readonly receiver: string,
    problem: string,
    override readonly retryable: boolean,
  ) {
    super(`${receiver} ${problem}`)
  }
}
