import type { Json } from './values.js'

/** One GET of a source. */
export interface HttpRequest {
  /** Below the source's base URL: `/extended/v1/tx`. Or a whole URL that a reply gave, which must be of the same origin. */
  readonly path: string
  /** Put behind the path, URL-encoded. Those that are undefined are left out. */
  readonly query?: Readonly<Record<string, string | number | bigint | boolean | undefined>>
}

export interface HttpReply {
  readonly status: number
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  /** Parsed JSON. Integers that a JavaScript number would round are text. */
  readonly body: Json
}

/**
 * A REST source behind one function: limits the rate, waits as the server asks, retries what may pass on a second try,
 * bounds the size of a reply. A step sees replies of status 200 to 299 or final errors.
 */
export interface HttpClient {
  /** @throws {PipeError} with blame `outage` when the source can't answer (down, out of quota, not let in). */
  get(request: HttpRequest, options: { readonly signal: AbortSignal }): Promise<HttpReply>
}
