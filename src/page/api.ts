import type { PlanReport } from '../plan/forecast.js'
import type { StatusCheck } from '../report/status.js'
import type { PipelineAnswer, PipelineDetail, RunAnswer, RunDetail } from '../serve/answers.js'
import type { Bucket, CoverageState, Stretch } from '../serve/coverage.js'
import type { Broken } from '../serve/ledger.js'

export type { Broken, Bucket, CoverageState, PipelineAnswer, PipelineDetail, PlanReport, RunAnswer, RunDetail, StatusCheck, Stretch }
export type { ParamAnswer, PipelineState, ScheduleAnswer, StepAnswer } from '../serve/answers.js'
export type { CheckView, EndpointView, FailureView, RunView, StepView } from '../report/view.js'

/** The server said no, or there was no answer (`status` 0). */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly hint: string | undefined

  constructor(status: number, code: string, message: string, hint?: string) {
    super(message)
    this.status = status
    this.code = code
    this.hint = hint
  }
}

export const pipelinePath = (name: string, rest = ''): string => `/api/pipelines/${encodeURIComponent(name)}${rest}`

/** Reads an answer. @throws {ApiError} */
export async function read<T>(path: string, signal?: AbortSignal): Promise<T> {
  return answerOf<T>(await ask(path, { signal: signal ?? null }))
}

/** Asks for something to be done. @throws {ApiError} */
export async function send<T>(path: string, body: unknown): Promise<T> {
  return answerOf<T>(await ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }))
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init)
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'NO_ANSWER', 'The server does not answer', 'see whether pipe serve still runs')
  }
}

async function answerOf<T>(response: Response): Promise<T> {
  const answer = await jsonOf(response)
  // What the server says of itself in its OpenAPI document.
  if (response.ok) return answer as T
  const { code = 'ANSWER_WRONG', message = `the answer has status ${response.status}`, hint } = (answer as Refused).error ?? {}
  throw new ApiError(response.status, code, message, hint)
}

interface Refused {
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string }
}

/** @throws {ApiError} when the connection breaks in the middle of it, or it is none of ours. */
async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(response.status, 'ANSWER_WRONG', 'The answer of the server can not be read', 'load the page again')
  }
}
