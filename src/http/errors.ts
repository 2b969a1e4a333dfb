import { PipeError } from '../sdk/index.js'

/** The source does not answer, or not with anything that can be used. */
export class HttpUnreachableError extends PipeError {
  readonly code = 'HTTP_UNREACHABLE'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'check `url` of the source, that it is up, and the network; then run again: what is done stays done'
  constructor(
    readonly source: string,
    readonly text: string,
    readonly attempts: number,
  ) {
    super(`source ${source}: ${text}${attempts > 1 ? ` (${attempts} attempts)` : ''}`)
  }
}

/** The source does not let us in. It is not asked again in this round. */
export class HttpLoginError extends PipeError {
  readonly code = 'HTTP_LOGIN_REFUSED'
  override readonly blame = 'outage'
  override readonly hint: string
  constructor(
    readonly source: string,
    text: string,
    setting: string,
  ) {
    super(`source ${source}: not let in (${text})`)
    this.hint = `check ${setting}; then run again: it goes on where it was`
  }
}

/** The source says that there is no such thing, or that it does not understand the request. */
export class HttpStatusError extends PipeError {
  readonly code = 'HTTP_STATUS'
  override readonly hint = 'compare `request` with the documentation of the API'
  constructor(
    readonly source: string,
    readonly status: number,
    readonly path: string,
    text: string,
  ) {
    super(`source ${source}: HTTP ${status} for ${path}: ${text}`)
  }
}

/** The quota of the source is used up. */
export class HttpQuotaError extends PipeError {
  readonly code = 'HTTP_QUOTA_USED_UP'
  override readonly blame = 'outage'
  override readonly hint = 'run again when it is renewed, or use another key: what is done stays done'
  constructor(
    readonly source: string,
    readonly waitMs: number,
    text: string,
  ) {
    super(`source ${source}: asks to wait ${Math.ceil(waitMs / 60_000)} minutes (${text})`)
  }
}

/** Nothing but "too many requests" for a long time. */
export class HttpRateError extends PipeError {
  readonly code = 'HTTP_RATE_LIMITED'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'lower `requests_per_second` or `concurrency` of the source'
  constructor(
    readonly source: string,
    readonly minutes: number,
    text: string,
  ) {
    super(`source ${source}: only rate limits for ${minutes} minutes (${text})`)
  }
}

/** A reply is larger than `max_bytes` of the source. It was not read to its end. */
export class HttpTooLargeError extends PipeError {
  readonly code = 'HTTP_RESPONSE_TOO_LARGE'
  override readonly hint = 'ask for smaller pages, or raise `max_bytes` of the source'
  constructor(
    readonly source: string,
    readonly path: string,
    readonly maxBytes: number,
  ) {
    super(`source ${source}: the reply to ${path} is larger than ${maxBytes} bytes`)
  }
}

/** An address leads away from the source, so it is not asked: the request would carry the source's keys there. */
export class HttpOriginError extends PipeError {
  readonly code = 'HTTP_OTHER_ORIGIN'
  override readonly hint = 'if the API has moved, put its address into `url` of the source'
  constructor(
    readonly source: string,
    readonly what: 'redirect' | 'next page',
    readonly origin: string,
  ) {
    super(`source ${source}: the ${what} leads to ${origin}, which is not the source, and is not followed`)
  }
}

/** What came can't be read: its bytes are packed or encoded in a way that is not known, or are no JSON. */
export class HttpUnreadableError extends PipeError {
  readonly code = 'HTTP_UNREADABLE'
  override readonly blame = 'outage'
  override readonly hint =
    'the source must answer with JSON in the `charset` and `content-encoding` that its headers say (UTF-8 when they say nothing)'
  constructor(
    readonly source: string,
    readonly path: string,
    problem: string,
  ) {
    super(`source ${source}: the reply to ${path} can't be read: ${problem}`)
  }
}

/** The source was closed with requests in it. */
export class HttpClosedError extends PipeError {
  readonly code = 'HTTP_CLOSED'
  override readonly blame = 'outage'
  override readonly hint = 'run again: what is done stays done'
  constructor(readonly source: string) {
    super(`source ${source}: was closed`)
  }
}
