import { PagesSilentError } from './errors.js'
import type { Context, Page } from './page.js'

/** Asks for one page again; `again` says how often its kind of answer was not believed. */
export type AskAgain = (again: number) => Promise<Page>

/** How often an answer that contradicts what is known is asked for again. */
export const DOUBTS = 5

/** What was learned of an API in a run, by all units of a step together. */
export class Beliefs {
  /** A page that had rows: asked again, it tells an API that is empty from one that has nothing here. */
  full: AskAgain | undefined
  /** Most rows that a page had. A page with fewer was not cut. */
  longest = 0
  /** The page that shows, once for windows of a width, how many rows one may hold; and the widest that was doubled for it, in microseconds. */
  wide: Promise<Page> | undefined
  widest = -1n
  /** The page of all that is to be covered, where it was asked for. */
  whole: Promise<Page> | undefined
  /** Pages with rows of one time that were asked for twice to see whether their order holds. */
  tied = 0
  /** Fewest rows of a page that was found to be cut. */
  cut = Infinity
}

const learned = new WeakMap<object, Beliefs>()

/** All units of a step share its config. */
export function beliefsOf({ config }: Pick<Context, 'config'>): Beliefs {
  let found = learned.get(config)
  if (!found) learned.set(config, (found = new Beliefs()))
  return found
}

/**
 * A page that had no rows is asked for again, some time later. In between, a page that had rows must have them still: an API
 * that starts or reads its data anew gives empty pages for everything. Gives the first answer with rows, or the last one without.
 *
 * @param full Such a page, once one is known: others of the step may learn of it meanwhile.
 * @param recent The first answer may be that of a replica that is behind, so nothing but the second counts: the other page must
 * have its rows after it, too.
 * @throws {PagesSilentError} when what had rows has none any more, however often it is asked.
 */
export async function sureOfNothing(first: Page, ask: AskAgain, full: () => AskAgain | undefined, recent: boolean): Promise<Page> {
  if (!full() && first.refused !== undefined) throw first.refused as Error
  for (let again = 1; again <= DOUBTS; again++) {
    const before = await full()?.(again)
    if (before && before.rows.length === 0) continue
    const page = await ask(before ? 0 : again)
    if (page.rows.length > 0 || page.end !== undefined) return page
    if (!full()) return page
    if (before && (!recent || (await full()?.(0))?.rows.length !== 0)) return { ...page, before }
  }
  throw new PagesSilentError(DOUBTS)
}

/** Asks for what is known to have rows. @throws {PagesSilentError} when it has none, however often it is asked. */
export async function withRows(ask: AskAgain): Promise<Page> {
  for (let again = 0; again <= DOUBTS; again++) {
    const page = await ask(again)
    if (page.rows.length > 0) return page
  }
  throw new PagesSilentError(DOUBTS)
}
