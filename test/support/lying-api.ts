import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Answer, Reachable } from './memory-line.js'

/** A row of the list, newest first in it. */
export interface LyingRow {
  readonly id: string
  /** Seconds since 1970. */
  readonly time: number
}

/** A way in which an API is wrong. Requests are counted from 1, anew after each `clear`. */
export type Lie =
  /** These requests, whatever they ask for, get a page without rows and no word of a next one: once rows were shown, which can be missed. */
  | { readonly kind: 'silent'; readonly from: number; readonly to: number }
  /** One request gets its rows, and no word of a next page. */
  | { readonly kind: 'no-next'; readonly at: number }
  /** One request gets no rows, and the word of where the next page is. */
  | { readonly kind: 'hollow'; readonly at: number }
  /** A parameter that changes nothing. */
  | { readonly kind: 'ignored'; readonly parameter: string }
  /** Rows of one second stand in another order in each reply that has rows. */
  | { readonly kind: 'shuffled' }
  /** From a request on, two rows that follow each other have changed places. `flips`: and back, with each request. */
  | { readonly kind: 'swapped'; readonly at: number; readonly row: number; readonly flips: boolean }
  /** One request is answered by a replica that lacks the newest rows. */
  | { readonly kind: 'behind'; readonly at: number; readonly rows: number }
  /** Pages hold no more rows than this, whatever is asked for. */
  | { readonly kind: 'capped'; readonly rows: number }
  /** One request is refused. */
  | { readonly kind: 'refused'; readonly at: number; readonly status: number }
  /** The page behind this row leads back to the beginning. */
  | { readonly kind: 'circle'; readonly row: number }

export interface LyingApi {
  readonly url: string
  lies: readonly Lie[]
  /** Requests since the last `clear`. */
  readonly requests: number
  /** Counts anew. `known`: the one who asks has rows, without which nobody can tell silence from a list that is empty. */
  clear(known: boolean): void
  close(): Promise<void>
}

type Query = Readonly<Record<string, string>>

/**
 * A list of rows in each way in which APIs page, under `/lists/WAY`, that lies as it is told. `rows`: newest first. `reach`: how it
 * is reached, by default through a socket.
 */
export async function lyingApi(rows: () => readonly LyingRow[], inclusive: boolean, reach = listen): Promise<LyingApi> {
  let requests = 0
  /** Replies with rows. */
  let pages = 0
  let mayBeSilent = false
  const state = { lies: [] as readonly Lie[] }
  const { url, close } = await reach((path) => {
    const { pathname, searchParams } = new URL(path, 'http://api')
    const { status, headers, body } = answer(pathname, Object.fromEntries(searchParams), ++requests)
    return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }
  })
  function answer(path: string, asked: Query, n: number): { status: number; headers: Record<string, string>; body: unknown } {
    const { lies } = state
    const is = <K extends Lie['kind']>(kind: K) => lies.filter((lie): lie is Lie & { kind: K } => lie.kind === kind)
    const refusal = is('refused').find(({ at }) => at === n)
    if (refusal) return { status: refusal.status, headers: {}, body: { message: 'no' } }
    if (mayBeSilent && is('silent').some(({ from, to }) => n >= from && n <= to))
      return { status: 200, headers: {}, body: path.endsWith('link') ? [] : { items: [], next: null } }
    const ignored = new Set(is('ignored').map(({ parameter }) => parameter))
    const query: Query = Object.fromEntries(Object.entries(asked).filter(([name]) => !ignored.has(name)))
    const list = shown(rows(), lies, n, pages)
    const most = Math.min(Number(query.limit ?? 20), ...is('capped').map((lie) => lie.rows))
    const page = pageOf(path, query, list, most)
    if (page.items.length > 0) {
      pages++
      mayBeSilent = true
    }
    const circle = is('circle').find(({ row }) => page.end > row && page.begin <= row)
    const next = is('no-next').some(({ at }) => at === n) ? undefined : circle ? `x${n}.0` : page.next
    const shownRows = is('hollow').some(({ at }) => at === n) ? [] : page.items
    const items = shownRows.map(({ id, time }) => ({ id, time, sender: 'a', fee: 1 }))
    if (!path.endsWith('link')) return { status: 200, headers: {}, body: { items, next: next ?? null } }
    const link = next === undefined ? '</lists/link>; rel="first"' : `</lists/link?limit=${asked.limit ?? ''}&cursor=${next}>; rel="next"`
    return { status: 200, headers: { link }, body: items }
  }
  function pageOf(path: string, query: Query, list: readonly LyingRow[], most: number) {
    const cut = (from: number, of = list) => {
      const items = of.slice(from, from + most)
      const more = of[from + most]
      return { items, next: more && `c.${list.indexOf(more)}.${more.id}`, begin: from, end: from + items.length }
    }
    const upTo = (text: string | undefined) =>
      text === undefined ? list : list.filter(({ time }) => (inclusive ? time <= Number(text) : time < Number(text)))
    const offset = Number(query.offset ?? 0)
    switch (path.split('/').at(-1)) {
      case 'offset':
        return cut(offset)
      case 'page':
        return cut((Number(query.page ?? 1) - 1) * most)
      case 'key': {
        const at = list.findIndex(({ id }) => id === query.after)
        return cut(query.after === undefined ? 0 : at + 1)
      }
      case 'time':
        return cut(offset, upTo(query.before))
      case 'window':
        return cut(
          offset,
          upTo(query.end).filter(({ time }) => query.start === undefined || time >= Number(query.start)),
        )
      default: {
        // A cursor names the row that it stands before, so it holds while the list moves.
        const at = query.cursor === undefined ? 0 : list.findIndex(({ id }) => id === query.cursor?.split('.')[2])
        return cut(Math.max(0, at))
      }
    }
  }
  return {
    url,
    get lies() {
      return state.lies
    },
    set lies(lies) {
      state.lies = lies
    },
    get requests() {
      return requests
    },
    clear(known) {
      requests = 0
      mayBeSilent = known
    },
    close,
  }
}

/** Reached through a socket. */
async function listen(answer: (path: string) => Answer): Promise<Reachable> {
  const server = createServer((request, response) => {
    const { status, headers, body } = answer(request.url ?? '/')
    response.writeHead(status, headers).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

/** The list as one reply sees it. `turn`: how many replies showed rows before it. */
function shown(truth: readonly LyingRow[], lies: readonly Lie[], n: number, turn: number): readonly LyingRow[] {
  let list = [...truth]
  for (const lie of lies) {
    if (lie.kind === 'behind' && lie.at === n) list = list.slice(Math.min(lie.rows, list.length - 1))
    if (lie.kind === 'shuffled') list = turned(list, turn)
    if (lie.kind === 'swapped' && n >= lie.at && (!lie.flips || (n - lie.at) % 2 === 0)) {
      const [a, b] = [list[lie.row], list[lie.row + 1]]
      // Only rows that are near: `overlap` says how far one may stand out of order.
      if (a && b && a.time - b.time <= 30) list.splice(lie.row, 2, b, a)
    }
  }
  return list
}

/** Rows of one second are turned by one with each reply that has rows, so that no two that follow have them in the same order. */
function turned(list: readonly LyingRow[], turn: number): LyingRow[] {
  const seconds = new Map<number, LyingRow[]>()
  for (const row of list) seconds.set(row.time, [...(seconds.get(row.time) ?? []), row])
  return [...seconds.values()].flatMap((rows) => rows.map((_, i) => rows[(i + turn) % rows.length] as LyingRow))
}
