import type { Json } from '../../sdk/index.js'
import type { Reply } from '../wire.js'
import type { ApiTransaction, Transactions } from './world.js'

/** A request for a page of a list. */
export interface PageRequest {
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** The server's own address, for links. */
  readonly url: string
  /** Rows of a full page. */
  readonly limit: number
  /** Rows that it gets: `limit`, or fewer where the page is to be short. */
  readonly take: number
  /** Whether rows at a bound of time are inside it. */
  readonly inclusive: boolean
  /** What tells this page's cursor from others for the same place; empty for the first. */
  readonly mark: string
}

/** A page before it is written in the words of its list. */
export interface Page {
  readonly rows: readonly ApiTransaction[]
  /** All rows of the list, on this page or not. */
  readonly total: number
  /** Where the next page begins, for lists that say so; undefined on the last. */
  readonly next: string | undefined
  readonly previous?: string | undefined
  readonly current?: string | undefined
}

/** A list in one of the ways in which APIs page. */
export interface List {
  /** The field of the body that holds the rows; undefined when the body is the rows. */
  readonly records: string | undefined
  /** @throws {BadRequestError} for a cursor or a bound that says nothing. */
  read(transactions: Transactions, request: PageRequest): Page
  write(page: Page, request: PageRequest): Reply
}

/** A request that the API refuses with 400, as JSON. */
export class BadRequestError extends Error {}

/** `take` rows from a place on. */
export function slice(transactions: Transactions, from: number, take: number): readonly ApiTransaction[] {
  const rows: ApiTransaction[] = []
  for (let i = from; i < Math.min(from + take, transactions.size); i++) rows.push(transactions.at(i)!)
  return rows
}

/** A whole number of the query. @throws {BadRequestError} */
export function whole(query: PageRequest['query'], name: string, missing: number): number {
  const text = query[name]
  if (text === undefined || text === '') return missing
  if (!/^\d+$/.test(text)) throw new BadRequestError(`querystring/${name} must be integer`)
  return Number(text)
}

export function jsonReply(body: Json | string, headers: Readonly<Record<string, string>> = {}): Reply {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { status: 200, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body: text }
}
