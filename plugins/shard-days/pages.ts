import type { Json, LogFilter, LogsOptions, LogsPage, RpcLog, RpcPool } from '../../src/sdk/authors.js'

/**
 * Pages of all filters: where there are several, the first one's pages are read with the others, too, so that each page is read
 * whole.
 */
export async function* pagesOf(rpc: RpcPool, [filter, ...others]: readonly LogFilter[], options: LogsOptions): AsyncIterable<LogsPage> {
  if (!filter) return
  for await (const page of rpc.logs(filter, options)) {
    if (others.length === 0) {
      yield page
      continue
    }
    const more: LogsPage[] = []
    for await (const other of pagesOf(rpc, others, { ...options, from: page.from, to: page.to })) more.push(other)
    yield {
      ...page,
      // A log that two filters ask for is one.
      logs: merged([page, ...more].flatMap(({ logs }) => logs)),
      evidence: [page, ...more].map(({ evidence }) => evidence).reduce(summed),
      endpoints: [...new Set([page, ...more].flatMap(({ endpoints }) => endpoints))],
    }
  }
}

function merged(logs: readonly RpcLog[]): RpcLog[] {
  const sorted = [...logs].sort((a, b) =>
    a.blockNumber === b.blockNumber ? a.logIndex - b.logIndex : a.blockNumber < b.blockNumber ? -1 : 1,
  )
  return sorted.filter((log, i) => {
    const before = sorted[i - 1]
    return before?.blockNumber !== log.blockNumber || before.logIndex !== log.logIndex
  })
}

/** What two pages are believed by: what is counted is added up. */
export function summed(one: Json, other: Json): Json {
  if (!isFields(one) || !isFields(other)) return one
  const result: Record<string, Json> = { ...one }
  for (const [key, value] of Object.entries(other)) {
    const known = result[key]
    result[key] = typeof known === 'number' && typeof value === 'number' ? known + value : (known ?? value)
  }
  return result
}

export const isFields = (value: Json | undefined): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Prepares what a list gives while the list goes on, so many at once, and gives each as soon as it is ready, however long the next
 * one of the list takes. When the list or a preparation fails, that is thrown after all that is ready.
 */
export async function* preparing<T, P>(list: AsyncIterable<T>, prepare: (item: T) => Promise<P>, atOnce: number): AsyncIterable<P> {
  const ready: P[] = []
  const active = new Set<Promise<void>>()
  const items = list[Symbol.asyncIterator]()
  let failure: { readonly error: unknown } | undefined
  const fail = (error: unknown) => void (failure ??= { error })
  const begin = (item: T) => {
    const work: Promise<void> = prepare(item)
      .then((prepared) => void ready.push(prepared), fail)
      .then(() => void active.delete(work))
    active.add(work)
  }
  let ended = false
  let asking: Promise<void> | undefined
  const ask = async () => {
    try {
      const { done, value } = await items.next()
      if (done === true) ended = true
      else if (!ended) begin(value)
    } catch (error) {
      ended = true
      fail(error)
    } finally {
      asking = undefined
    }
  }
  try {
    for (;;) {
      if (!ended && !failure && active.size < atOnce) asking ??= ask()
      const under = [...active, ...(asking ? [asking] : [])]
      if (ready.length > 0) yield ready.shift() as P
      else if (under.length > 0) await Promise.race(under)
      else break
    }
  } finally {
    // Whoever takes no more of it ends the list, too. That is not waited for: the list hears of it when it has its next item.
    if (!ended) void Promise.resolve(items.return?.()).catch(() => undefined)
    ended = true
  }
  if (failure) throw (failure as { readonly error: unknown }).error
}
