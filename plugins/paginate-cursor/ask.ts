import type { HttpReply, UnfitReply } from '../../src/sdk/authors.js'
import { endsOf, moreOf, nothingThere, statusOf } from './ends.js'
import { PageErrorError, PageShapeError } from './errors.js'
import { type Context, type Page, PageReader } from './page.js'
import { compileRequest } from './request.js'
import { STEP_US, writeTime } from './time.js'
import { holds, textsOf } from './told.js'

export interface AskOptions {
  /** The address of the page, where the source gave one. */
  readonly address?: string | undefined
  /** How often an answer was not believed; the request then waits first. */
  readonly again: number
  /** @throws {PageShapeError} where a page is none: it is asked for again. */
  readonly check?: (page: Page) => void
}

/** What a unit asks the source for. */
export function createAsk(ctx: Context): (values: Parameters<ReturnType<typeof compileRequest>>[0], options: AskOptions) => Promise<Page> {
  const { config, http, signal } = ctx
  const request = compileRequest(config)
  const reader = new PageReader(ctx)
  const emptyEnds = endsOf(config).has('empty')
  const pageOf = (reply: HttpReply): Page => {
    const none = nothingThere(config, { status: reply.status, reply })
    if (none) return none
    const page = reader.read(reply)
    const more = moreOf(page, config)
    if (more === false) return { ...page, more, end: 'stated by the API' }
    return page.rows.length === 0 && emptyEnds ? { ...page, end: 'an empty page, stated in the YAML' } : { ...page, more }
  }
  return async (values, { address, again, check }) => {
    let page: Page | undefined
    const unfit = (reply: HttpReply): UnfitReply | undefined => {
      try {
        const read = pageOf(reply)
        check?.(read)
        page = read
        return undefined
      } catch (error) {
        return unfitFor(error, config.error)
      }
    }
    try {
      const reply = await http.get(address === undefined ? request(values) : { place: address }, { signal, unfit, again })
      return page ?? pageOf(reply)
    } catch (error) {
      const status = statusOf(error)
      const none = status === undefined ? undefined : nothingThere(config, { status, error })
      if (!none) throw error
      return none
    }
  }
}

/** Whether another try may bring a page, where this one is none. @throws what another try would not change: a value that does not fit. */
function unfitFor(error: unknown, { retry = true, rate_limit: limits }: NonNullable<Context['config']['error']> = {}): UnfitReply {
  if (error instanceof PageErrorError) {
    const { text, status } = error
    const again = typeof retry === 'boolean' ? retry : holds(text, textsOf(retry))
    return { text, status, rated: holds(text, textsOf(limits)), retry: again, error }
  }
  if (error instanceof PageShapeError && error.cause === undefined) return { text: error.message, retry: true, error }
  throw error
}

/** Bounds of a stretch for `$start` and `$end`: one step wider, so that its ends are inside whether bounds are inclusive or not. */
export function boundsOf([from, to]: readonly [bigint, bigint], { cursor, cover }: Context['config']): { start: string; end: string } {
  const unit = cursor.time ?? cover?.unit ?? 's'
  return { start: writeTime(from - STEP_US[unit], unit), end: writeTime(to + STEP_US[unit], unit) }
}
