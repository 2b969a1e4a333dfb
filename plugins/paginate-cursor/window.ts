import { formatInstant, parseDuration } from '../../src/sdk/authors.js'
import { PageOutsideError, SecondTooFullError } from './errors.js'
import type { Context } from './page.js'
import { boundsOf, createAsk, type PageBatch, serverNow, tableRows } from './read.js'
import { STEP_US } from './time.js'

/**
 * Reads a stretch of time with one request, or, where a page may be full, with as many as it takes: a full one is asked for
 * again in halves. Rows of the steps beside it, which come with bounds that are inclusive, belong to its neighbours.
 */
export async function* readWindow(ctx: Context): AsyncIterable<PageBatch> {
  const { config, unit, outputs } = ctx
  if (unit.piece.kind !== 'stretch') throw new Error(`unit ${unit.key} is no stretch of time`)
  const ask = createAsk(ctx)
  const ids = outputs.map(({ id }) => id)
  const step = STEP_US[config.cursor.time ?? config.cover?.unit ?? 's']
  const overlap = BigInt(parseDuration(config.overlap ?? '60s') ?? 0) * 1000n
  const now = (ctx.scope.get('now')?.value ?? 0n) as bigint
  const open: (readonly [bigint, bigint])[] = [[unit.piece.from, unit.piece.to]]
  for (let stretch = open.pop(); stretch; stretch = open.pop()) {
    if (!ctx.budget.take()) return
    const [from, to] = stretch
    const page = await ask(boundsOf(stretch, config))
    const rows = page.rows.filter(({ time }) => time !== undefined && time >= from && time <= to)
    const stray = page.rows.find(({ time }) => time !== undefined && (time < from - 2n * step || time > to + 2n * step))
    if (stray) throw new PageOutsideError(stray.pointer, formatInstant(stray.time ?? 0n), `${formatInstant(from)} to ${formatInstant(to)}`)
    if (config.page_size !== undefined && page.rows.length >= config.page_size) {
      const middle = from + (to - from) / 2n
      const cut = middle - (middle % step) + step
      if (cut <= from || cut > to) throw new SecondTooFullError(formatInstant(from), 'window')
      // The newer half is read first.
      open.push([from, cut - 1n], [cut, to])
      continue
    }
    const firm = serverNow(now, page) - overlap - 1n
    const end = firm < to ? firm : to
    yield {
      rows: tableRows(rows, ids),
      covers: end >= from ? [[from, end]] : undefined,
      tentative: end < to ? [[end < from ? from : end + 1n, to]] : undefined,
      clears: [stretch],
    }
  }
}
