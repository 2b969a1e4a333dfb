import type { PipeError } from './errors.js'
import type { Json } from './values.js'

/** One GET of a source. */
export type HttpRequest =
  | {
      /** Below the source's base URL: `/extended/v1/tx`. */
      readonly path: string
      /** Put behind the path, URL-encoded. Those that are undefined are left out. */
      readonly query?: Readonly<Record<string, string | number | bigint | boolean | undefined>>
    }
  /** The address of another page, as `HttpReply.place` gave it. */
  | { readonly place: string }

export interface HttpReply {
  readonly status: number
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  /** Parsed JSON, null with status 204. Integers that a JavaScript number would round are text. */
  readonly body: Json
  /** The body once more, in which numbers that a JavaScript number would change are a `JsonNumber`: for `json` columns. */
  exact(): Json
  /**
   * An address that this reply names (`next`), as path and query below the origin: it can be stored, since it holds none of
   * the source's own secrets, and asked for later. @throws {PipeError} when it leads to another origin.
   */
  place(address: string): string
}

/** What speaks against a reply of status 200 to 299: it tells of an error, or is nothing that the step can read. */
export interface UnfitReply {
  /** What it says. A text that tells of a rate limit makes the source wait; of a quota or a login, it is not asked again. */
  readonly text: string
  /** HTTP status that stands in the body: 429. */
  readonly status?: number | undefined
  /** A rate limit, whatever the text says. */
  readonly rated?: boolean
  /** Whether another try may bring a better one, like after a 503. */
  readonly retry: boolean
  /** Thrown when no try did. */
  readonly error: PipeError
}

export interface HttpOptions {
  readonly signal: AbortSignal
  /** Looks at each reply of status 200 to 299. One that it holds something against is not given to the step. */
  readonly unfit?: (reply: HttpReply) => UnfitReply | undefined
  /** How often the answer to this was not believed. The request then waits as after so many failed tries. */
  readonly again?: number
}

/**
 * A REST source behind one function: limits the rate, waits as the server asks, retries what may pass on a second try,
 * bounds the size of a reply. A step sees replies of status 200 to 299 or final errors.
 */
export interface HttpClient {
  /**
   * @throws {PipeError} with blame `outage` when the source can't answer (down, out of quota, not let in). One with a
   * `status` field (404, 410) when it answered that it does not have this. The error of an `UnfitReply` when no try brought
   * a fit one.
   */
  get(request: HttpRequest, options: HttpOptions): Promise<HttpReply>
}
