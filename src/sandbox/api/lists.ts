import type { Json } from '../../sdk/index.js'
import { BadRequestError, jsonReply, slice, whole } from './page.js'
import type { List, PageRequest } from './page.js'
import type { ApiTransaction, Transactions } from './world.js'

/**
 * The same rows in every way in which APIs page, below `/lists/`. A row is `{ id, time, sender, fee, height }`; the query
 * `unit=s|ms|iso` says how `time` (and a bound of time) is written, default `s`.
 */
export const lists: Readonly<Record<string, List>> = {
  /** `?limit=&cursor=`: `{ items, next, total }`, `next` is an opaque cursor. */
  next: {
    records: 'items',
    read: byCursor,
    write: ({ rows, next, total }, request) => jsonReply({ items: rows.map(record(request)), next: next ?? null, total }),
  },
  /** The same, but `next` is a whole URL. */
  url: {
    records: 'items',
    read: byCursor,
    write: ({ rows, next, total }, request) =>
      jsonReply({ items: rows.map(record(request)), next: next === undefined ? null : link(request, next), total }),
  },
  /** The body is the rows; the next page is in a `Link` header, the total in `X-Total-Count`. */
  link: {
    records: undefined,
    read: byCursor,
    write: ({ rows, next, total }, request) => {
      const first = `<${link(request, undefined)}>; rel="first"`
      const links = next === undefined ? first : `<${link(request, next)}>; rel="next", ${first}`
      return jsonReply(rows.map(record(request)), { link: links, 'x-total-count': String(total) })
    },
  },
  /** `?limit=&before=&offset=`: rows up to (or below: see `bound`) a time. */
  time: {
    records: 'items',
    read(transactions, { query, take, inclusive }) {
      const before = query.before === undefined || query.before === '' ? Infinity : parseTime(query.before, query.unit)
      const begin = transactions.newerThan(inclusive ? before : Math.ceil(before) - 1)
      return { rows: slice(transactions, begin + whole(query, 'offset', 0), take), total: transactions.size - begin, next: undefined }
    },
    write: plain,
  },
  /** `?limit=&offset=` */
  offset: {
    records: 'items',
    read(transactions, { query, take }) {
      return { rows: slice(transactions, whole(query, 'offset', 0), take), total: transactions.size, next: undefined }
    },
    write: plain,
  },
  /** `?limit=&page=`, from page 1 on. */
  page: {
    records: 'items',
    read(transactions, { query, limit, take }) {
      const number = whole(query, 'page', 1)
      if (number < 1) throw new BadRequestError('querystring/page must be >= 1')
      return { rows: slice(transactions, (number - 1) * limit, take), total: transactions.size, next: undefined }
    },
    write: plain,
  },
  /** `?limit=&after=`: rows behind the one with this id. */
  key: {
    records: 'items',
    read(transactions, { query, take }) {
      const place = query.after ? transactions.place({ id: query.after }) : 0
      if (place === undefined) throw new BadRequestError(`querystring/after ${query.after} is no id of this list`)
      // A row that was removed is not there to be left out.
      const from = query.after && transactions.at(place)?.id === query.after ? place + 1 : place
      return { rows: slice(transactions, from, take), total: transactions.size, next: undefined }
    },
    write: plain,
  },
  /** `?limit=&start=&end=&offset=`: rows with `start <= time < end`, or `<= end` where bounds are inclusive. `total` counts the window. */
  window: {
    records: 'items',
    read(transactions, { query, take, inclusive }) {
      const [start, end] = [query.start, query.end].map((text) => parseTime(text ?? '', query.unit)) as [number, number]
      const begin = transactions.newerThan(inclusive ? end : Math.ceil(end) - 1)
      const total = Math.max(0, transactions.newerThan(Math.ceil(start) - 1) - begin)
      const offset = whole(query, 'offset', 0)
      return { rows: slice(transactions, begin + offset, Math.min(take, Math.max(0, total - offset))), total, next: undefined }
    },
    write: plain,
  },
}

function byCursor(transactions: Transactions, { query, take, mark }: PageRequest): ReturnType<List['read']> {
  let from = 0
  if (query.cursor) {
    const [, id] = /^(0x[0-9a-f]{64})\./.exec(Buffer.from(query.cursor, 'base64url').toString()) ?? []
    const place = id === undefined ? undefined : transactions.place({ id })
    if (place === undefined) throw new BadRequestError(`querystring/cursor ${query.cursor} is not a cursor of this list`)
    from = place
  }
  const row = transactions.at(from + take)
  const next = row && Buffer.from(`${row.id}.${mark}`).toString('base64url')
  return { rows: slice(transactions, from, take), total: transactions.size, next }
}

function plain({ rows, total }: ReturnType<List['read']>, request: PageRequest): ReturnType<List['write']> {
  return jsonReply({ items: rows.map(record(request)), total })
}

/** The address of a page. A cursor that is an address already stays one. */
function link({ url, path, query }: PageRequest, cursor: string | undefined): string {
  if (cursor !== undefined && /^https?:/.test(cursor)) return cursor
  const { cursor: _, ...rest } = query
  const search = new URLSearchParams({ ...rest, ...(cursor === undefined ? {} : { cursor }) }).toString()
  return `${url}${path}${search === '' ? '' : `?${search}`}`
}

function record({ query: { unit } }: PageRequest): (row: ApiTransaction) => Json {
  return ({ id, time, sender, fee, height }) => ({ id, time: writeTime(time, unit), sender, fee, height })
}

function writeTime(seconds: number, unit: string | undefined): Json {
  if (unit === 'ms') return seconds * 1000
  return unit === 'iso' ? new Date(seconds * 1000).toISOString().replace('.000Z', 'Z') : seconds
}

/** Seconds, with a fraction where there is one. @throws {BadRequestError} */
function parseTime(text: string, unit: string | undefined): number {
  const number = unit === 'iso' ? Date.parse(text) / 1000 : Number(text === '' ? NaN : text) / (unit === 'ms' ? 1000 : 1)
  if (!Number.isFinite(number)) throw new BadRequestError(`${text === '' ? 'nothing' : text} is no time`)
  return number
}
