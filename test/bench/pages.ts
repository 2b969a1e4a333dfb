import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { systemClock } from '../../src/cli/system-clock.js'
import { openSource } from '../../src/http/source.js'
import { readPipeline } from '../../src/pipeline/read.js'
import { run } from '../../src/run/run.js'
import { discard } from './discard.js'
import { firstLine } from './first-line.js'
import type { Figure } from './goals.js'

/** What one reading of the whole API took. */
export interface PagesTaken {
  readonly rows: number
  readonly requests: number
  readonly ms: number
  /** Resident memory in MB: at a tenth of the way, and the highest. */
  readonly earlyMb: number
  readonly peakMb: number
}

const LIMIT = 50

/**
 * A paginate-cursor step over 50-row pages at 0 ms into a DuckDB file, beside a loop that only asks for the same pages and
 * parses them. Each in a process of its own, the server in another.
 */
export async function* pages({ rows = 500_000 }: { readonly rows?: number } = {}): AsyncIterable<Figure> {
  const once = await inOwnProcess('nowhere', rows)
  const twice = await inOwnProcess('nowhere', 2 * rows)
  const large = await inOwnProcess('duckdb', rows)
  const bare = await inOwnProcess('bare', rows)
  const perSecond = ({ rows: n, ms }: PagesTaken) => (n / ms) * 1000
  const show = (n: number) => Math.round(n).toLocaleString('en')
  yield {
    goal: 'pages',
    what: `${show(large.rows)} rows in ${show(large.requests)} requests of ${LIMIT}, one after the other`,
    ours: `${show(perSecond(large))} rows/s`,
    theirs: `${show(perSecond(bare))} rows/s bare`,
    ratio: perSecond(large) / perSecond(bare),
    wanted: '',
    met: undefined,
  }
  yield {
    goal: 'pages',
    what: '  with DuckDB, which keeps an index of the keys',
    ours: `${large.peakMb.toFixed(0)} MB`,
    theirs: '',
    ratio: undefined,
    wanted: '',
    met: undefined,
  }
  yield {
    goal: 'pages',
    what: '  memory of the reading, twice as many rows beside these',
    ours: `${twice.peakMb.toFixed(0)} MB`,
    theirs: `${once.peakMb.toFixed(0)} MB`,
    ratio: twice.peakMb / once.peakMb,
    wanted: '<= 1.15',
    met: twice.peakMb / once.peakMb <= 1.15,
  }
}

type Way = 'duckdb' | 'nowhere' | 'bare'

async function inOwnProcess(what: Way, rows: number): Promise<PagesTaken> {
  const server = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../src/sandbox/main.js', import.meta.url)), '--api', '--rows', String(rows)],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  try {
    const url = await firstLine(server)
    const child = fork(fileURLToPath(import.meta.url), [what, url, String(rows)], { execArgv: [] })
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the process that reads pages ended with ${String(code)} and no figure`)
    })
    const [taken] = (await Promise.race([once(child, 'message'), ended])) as [PagesTaken]
    ended.catch(() => undefined)
    return taken
  } finally {
    server.stdin?.end()
  }
}

/** Reads all pages by the step, into a DuckDB file of its own or into nothing. */
async function readByStep(url: string, expected: number, into: 'duckdb' | 'nowhere'): Promise<PagesTaken> {
  const folder = await mkdtemp(join(tmpdir(), 'pipe-pages-'))
  const file = join(folder, 'pages.yaml')
  await writeFile(
    file,
    `name: pages
warehouse: duckdb:${join(folder, 'pages.duckdb')}
sources: { api: { url: "\${URL}" } }
tables: { transactions: { columns: { tx_id: hash, sender: text, fee_rate: bigint, height: bigint, block_time: timestamp, status: text }, key: [tx_id], range: block_time } }
steps:
  - id: transactions
    type: paginate-cursor
    source: api
    into: transactions
    with:
      cover: { from: 2023-11-01, time: block.time, unit: s }
      request: { path: /extended/v3/transactions, query: { limit: ${LIMIT}, cursor: $cursor } }
      records: results
      cursor: { next: cursor.next }
      row: { tx_id: tx_id, sender: sender.address, fee_rate: fee_rate, height: block.height, block_time: block.time, status: status }
`,
  )
  const { pipeline, problems } = await readPipeline(file, { cwd: folder, env: { URL: url }, environment: 'require' })
  const config = pipeline?.sources.get('api')
  if (!pipeline || !config) throw new Error(problems.map(({ message }) => message).join('; '))
  const warehouse = into === 'duckdb' ? await openInto(pipeline.warehouse) : discard()
  await warehouse.prepare([...pipeline.tables.values()])
  let rows = 0
  let requests = 0
  let earlyMb = 0
  const source = openSource({
    source: config,
    clock: systemClock,
    random: () => 0.5,
    emit: (fact) => void (fact.type === 'request' && requests++),
  })
  const started = performance.now()
  const { outcome } = await run({
    pipeline,
    warehouse,
    moment: { now: BigInt(Math.round(systemClock.now())) * 1000n, head: () => Promise.reject(new Error('no chain')) },
    clock: systemClock,
    random: () => 0.5,
    emit: (fact) => {
      if (fact.type !== 'batch:committed') return
      rows += fact.rows.transactions ?? 0
      if (earlyMb === 0 && rows > expected / 10) earlyMb = process.memoryUsage().rss / 1e6
    },
    signal: new AbortController().signal,
    given: {},
    select: undefined,
    limit: undefined,
    rpc: () => ({
      batch: noChain,
      request: noChain,
      logs: noChain as never,
      turns: noChain as never,
      prove: noChain,
      ready: () => Promise.resolve(),
    }),
    http: () => source,
    redact: (text) => text,
    onCheck: () => undefined,
  })
  const ms = performance.now() - started
  await source.close()
  await warehouse.close()
  await rm(folder, { recursive: true })
  if (outcome !== 'done' || rows < expected) throw new Error(`${outcome} with ${rows} of ${expected} rows`)
  return { rows: expected, requests, ms, earlyMb, peakMb: process.resourceUsage().maxRSS / 1024 }
}

/** Loaded only where it is used: it has memory of its own. */
async function openInto(url: string) {
  const { openWarehouse } = await import('../../src/warehouse/open.js')
  return openWarehouse(url, { mode: 'write' })
}

const noChain = () => Promise.reject(new Error('no chain'))

/** Asks for the same pages and parses them. */
async function readBare(url: string): Promise<PagesTaken> {
  let rows = 0
  let requests = 0
  let cursor: string | null = ''
  const started = performance.now()
  while (cursor !== null) {
    const { body } = await request(`${url}/extended/v3/transactions?limit=${LIMIT}${cursor === '' ? '' : `&cursor=${cursor}`}`)
    const page = (await body.json()) as { results: unknown[]; cursor: { next: string | null } }
    rows += page.results.length
    requests++
    cursor = page.cursor.next
  }
  return { rows, requests, ms: performance.now() - started, earlyMb: 0, peakMb: process.resourceUsage().maxRSS / 1024 }
}

const [, , what, url = '', expected = ''] = process.argv
if (process.send && (what === 'duckdb' || what === 'nowhere' || what === 'bare')) {
  const taken = what === 'bare' ? await readBare(url) : await readByStep(url, Number(expected), what)
  process.send(taken, () => process.disconnect())
}
