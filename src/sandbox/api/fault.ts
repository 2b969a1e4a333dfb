import type { Clock, Json } from '../../sdk/index.js'
import { Bucket, Counted } from '../arming.js'
import type { Armed, Pace } from '../arming.js'
import type { LatencyFault, WireFault } from '../fault.js'
import { wireFaults } from '../wire.js'
import type { ApiRequest } from './server.js'

/** When a fault of an API strikes. Left out, always. All that is given must hold. */
export interface ApiTrigger extends Pace {
  /** What the path begins with. */
  readonly paths?: readonly string[]
  readonly if?: (request: ApiRequest) => boolean
}

/** What may be answered instead of the truth. */
export type ApiRequestFault =
  | { readonly kind: 'http'; readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  /** 429, or another status. `retryAfter` is the header's text, or seconds. */
  | { readonly kind: 'rate-limit'; readonly retryAfter?: number | string; readonly status?: number }
  /** A real limit: a bucket that holds `burst` (default `perSecond`) and fills at `perSecond`. What is over it gets a 429. */
  | {
      readonly kind: 'rate'
      readonly perSecond: number
      readonly burst?: number
      /** Adds a true `Retry-After`. */
      readonly retryAfter?: boolean
    }
  /** No answer for ever: nothing at all or, with `headers`, status and headers and then nothing. */
  | { readonly kind: 'hang'; readonly headers?: boolean }
  /** The connection is closed without a byte of answer. */
  | { readonly kind: 'drop' }

/** What may be wrong with a page of a list. */
export type PageFault =
  /**
   * Where the next page is: `same`, the cursor that was sent; `cycle`, the one of the request before; `none`, nowhere,
   * as on the last page; any other text is given out as it is (another host, a page far away).
   */
  | { readonly kind: 'cursor'; readonly next: string }
  /** No rows. The next page is where this one was, under another cursor; with `cursor: false` there is none. */
  | { readonly kind: 'empty'; readonly cursor?: boolean }
  /** At most so many rows; the next page goes on behind them. By page number what was left out is nowhere. */
  | { readonly kind: 'short'; readonly rows: number }
  /** The last rows of the page twice; with `change` the second time with another fee. */
  | { readonly kind: 'double'; readonly rows: number; readonly change?: boolean }
  /** A total that is wrong by so many. */
  | { readonly kind: 'total'; readonly by: number }

/** What may be wrong with the JSON of a reply. */
export type BodyFault =
  /** `{"error": …}` with status 200. */
  | { readonly kind: 'error'; readonly error: Json }
  /** Another value than the list of rows; left out, the field is missing. */
  | { readonly kind: 'records'; readonly value?: Json }
  /** A field of every row, or of one (`row`, from 0), by its path: missing, under another name, or with another value. */
  | {
      readonly kind: 'field'
      readonly path: string
      readonly as: 'missing' | { readonly name: string } | { readonly value: Json }
      readonly row?: number
    }
  /** Anything. */
  | { readonly kind: 'reply'; readonly change: (reply: Json, request: ApiRequest) => Json }
  /** A byte order mark before the body. */
  | { readonly kind: 'bom' }

/** A lie, a refusal or a breakdown of an API, as data. */
export type ApiFault = ApiTrigger & (ApiRequestFault | PageFault | BodyFault | LatencyFault | WireFault)

// Complete by their types: a kind that is missing here does not compile.
export const requestFaults: Readonly<Record<ApiRequestFault['kind'], true>> = {
  http: true,
  'rate-limit': true,
  rate: true,
  hang: true,
  drop: true,
}
export const pageFaults: Readonly<Record<PageFault['kind'], true>> = { cursor: true, empty: true, short: true, double: true, total: true }
export const bodyFaults: Readonly<Record<BodyFault['kind'], true>> = { error: true, records: true, field: true, reply: true, bom: true }
const kinds: Readonly<Record<ApiFault['kind'], true>> = { ...requestFaults, ...pageFaults, ...bodyFaults, ...wireFaults, latency: true }

export type ArmedApiFault = Armed<ApiFault>

/** The state behind an `ArmedApiFault`: counts what fits and decides. */
export class ApiArming extends Counted<ApiFault> {
  readonly #bucket: Bucket | undefined

  constructor(fault: ApiFault, random: () => number, clock: Clock, disarm: (arming: Counted<ApiFault>) => void) {
    // Faults also come from JSON and from JavaScript; one that could never strike would make a test pass for nothing.
    if (!Object.hasOwn(kinds, fault.kind))
      throw new RangeError(`no fault is called ${fault.kind}; there are ${Object.keys(kinds).join(', ')}`)
    super(fault, random, disarm)
    this.#bucket = fault.kind === 'rate' ? new Bucket(fault.perSecond, fault.burst ?? fault.perSecond, clock) : undefined
  }

  /** Whether it strikes a request. Counts. */
  strikes(request: ApiRequest): boolean {
    const { paths, if: fits } = this.fault
    if (paths && !paths.some((path) => request.path.startsWith(path))) return false
    return (fits?.(request) ?? true) && this.next()
  }

  /** For a `rate` fault: the milliseconds until a request passes, 0 when it passes now. */
  waitMs(): number {
    return this.#bucket?.take(1, true).waitMs ?? 0
  }
}
