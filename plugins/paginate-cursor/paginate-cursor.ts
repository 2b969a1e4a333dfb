import { defineStep, parseDuration, timeAxis, type Wanted } from '../../src/sdk/authors.js'
import { checkConfig, namesOf, kindOf, outputsOf } from './check.js'
import { config, cursorSchema } from './config.js'
import { readUnit } from './read.js'
import { declaredLimit } from './request.js'
import { target } from './target.js'

export const paginateCursor = defineStep({
  type: 'paginate-cursor',
  summary: 'Walks a REST API page by page, newest first and into the past, until a stretch of time or a whole list is in the table.',
  config,
  cursor: cursorSchema,
  requires: ['source'],
  example: `name: transfers
warehouse: duckdb:data/transfers.duckdb
sources:
  api: { url: "\${API_URL}" }
tables:
  transfers: { columns: { id: hash, time: timestamp, sender: text, fee: bigint }, key: [id], range: time }
steps:
  - id: transfers
    type: paginate-cursor
    source: api
    into: transfers
    with:
      cover: { from: 2023-11-01, to: 2023-12-01, time: time, unit: s }
      request: { path: /lists/next, query: { limit: 50, cursor: $cursor } }
      records: items
      cursor: { next: next }
      row: { id: id, time: time, sender: sender, fee: fee }
`,

  rereads: true,
  names: namesOf,
  check: checkConfig,
  outputs: outputsOf,

  *plan(ctx): Iterable<Wanted> {
    const { cursor, max_pages: maxPages } = ctx.config
    const wanted = target(ctx)
    if (!wanted) {
      yield { kind: 'task', due: 'once', maxRequests: maxPages }
      return
    }
    const window = cursor.window === undefined ? undefined : BigInt(parseDuration(cursor.window) ?? 0) * 1000n
    const kind = kindOf(ctx.config)
    const rows = kind === 'window' ? undefined : declaredLimit(ctx.config)
    yield {
      kind: 'stretches',
      axis: timeAxis(window),
      domain: [wanted.from, wanted.to],
      due: 'uncovered',
      order: 'newest-first',
      mustCover: true,
      seeks: kind === 'time' || window !== undefined,
      price: rows === undefined && window !== undefined ? { perUnit: 1 } : { rowsPerRequest: rows },
      maxRequests: maxPages,
      limitBy: 'requests',
    }
  },

  run: readUnit,
})
