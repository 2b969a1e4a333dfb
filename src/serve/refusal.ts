import { isPipeError, type PipeError } from '../sdk/index.js'

export type RefusalStatus = 400 | 401 | 403 | 404 | 409 | 413 | 415 | 422 | 429 | 500 | 503

/** A request that is not done. Its answer says what is wrong and what to do, and nothing of the inside of the server. */
export class Refusal extends Error {
  constructor(
    readonly status: RefusalStatus,
    readonly code: string,
    message: string,
    readonly hint: string | undefined = undefined,
    /** The run that is in the way. */
    readonly run: string | undefined = undefined,
  ) {
    super(message)
  }
}

/** The answer to whatever was thrown. What we did not expect says nothing of itself: who runs the server finds it in its log. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (!isPipeError(error)) return new Refusal(500, 'INTERNAL', 'a mistake in pipe or in a plugin', 'the log of the server shows it')
  return new Refusal(statusOf(error), error.code, error.message, error.hint)
}

function statusOf({ code, blame }: PipeError): RefusalStatus {
  if (code === 'PIPELINE_HELD' || code === 'WAREHOUSE_HELD') return 409
  return blame === 'outage' ? 503 : 422
}
