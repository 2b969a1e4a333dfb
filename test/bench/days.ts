import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BLOCKS_OF_DAY, daysPipeline, MOST_DAYS, readDays } from './days-world.js'
import { discard } from './discard.js'
import type { Figure, GoalOptions } from './goals.js'
import { inDuckdb } from './in-duckdb.js'
import { alone, pairs, type Spent } from './measure.js'

const WORKERS = 8
/** Milliseconds: much more than what a day takes otherwise. */
const LATENCY = 30
const FEW_DAYS = 100

/**
 * Goal G10: 1,048 days of `shard-days` into DuckDB. Eight at once beside one at a time, which reads an eighth of the days, once in
 * turn after a round to warm up, since each takes long; what all of them cost where answers take no time and rows go nowhere; and
 * the memory of days of many logs (`--logs`), each in a process of its own.
 */
export async function* days({ rounds, logs }: GoalOptions): AsyncIterable<Figure> {
  const folder = await mkdtemp(join(tmpdir(), 'pipe-days-'))
  const few = await server(BLOCKS_OF_DAY)
  try {
    const reading = async (count: number, parallel: number, latency: number) => {
      const pipeline = await daysPipeline(folder, count, parallel)
      return inDuckdb(
        (warehouse) => readDays(pipeline, warehouse, `${few.url}/${latency}`),
        (warehouse) => warehouse.prepare([...pipeline.tables.values()]),
      )
    }
    const part = MOST_DAYS / WORKERS
    const { ours, theirs, speed } = await pairs(1, await reading(MOST_DAYS, WORKERS, LATENCY), await reading(part, 1, LATENCY))
    yield {
      goal: 'G10',
      what: `${MOST_DAYS} days x ${WORKERS}, ${LATENCY} ms, of ${WORKERS} x one`,
      ours: `${((MOST_DAYS / ours.ms) * 1000).toFixed(1)} days/s`,
      theirs: `${((part / theirs.ms) * 1000).toFixed(1)} days/s, one`,
      // Each of the eight has as many days as the one.
      ratio: speed,
      wanted: '>= 0.9',
      met: speed >= 0.9,
    }
    const turns = Math.min(3, rounds)
    const pipeline = await daysPipeline(folder, MOST_DAYS, WORKERS)
    const nowhere = await alone(turns, { work: () => readDays(pipeline, discard(), `${few.url}/0`) })
    const duckdb = await alone(turns, await reading(MOST_DAYS, WORKERS, 0))
    const seconds = ({ cpuMs }: Spent) => `${(cpuMs / 1000).toFixed(2)} s`
    yield {
      goal: 'G10',
      what: '  CPU of all days and their 104,800 logs at 0 ms, nowhere',
      ours: seconds(nowhere),
      theirs: `${seconds(duckdb)} into DuckDB`,
      ratio: nowhere.cpuMs / duckdb.cpuMs,
      wanted: '',
      met: undefined,
    }
  } finally {
    few.close()
    await rm(folder, { recursive: true })
  }
  yield* memory(logs)
}

async function* memory(logs: number): AsyncIterable<Figure> {
  const many = await server(logs)
  try {
    const few = await peakMb(many.url, FEW_DAYS)
    const all = await peakMb(many.url, MOST_DAYS)
    yield {
      goal: 'G10',
      what: `  memory: days of ${logs.toLocaleString('en')} logs, ${MOST_DAYS} beside ${FEW_DAYS}`,
      ours: `${all.toFixed(0)} MB`,
      theirs: `${few.toFixed(0)} MB`,
      ratio: all / few,
      wanted: '<= 1.15',
      met: all / few <= 1.15,
    }
  } finally {
    many.close()
  }
}

/** A node with so many logs a day, in a process of its own. */
async function server(logs: number): Promise<{ readonly url: string; close(): void }> {
  const perBlock = String(Math.ceil(logs / BLOCKS_OF_DAY))
  const child = fork(fileURLToPath(new URL('./days-server.js', import.meta.url)), [perBlock], { execArgv: [] })
  const [port] = (await once(child, 'message')) as [number]
  return { url: `http://127.0.0.1:${port}`, close: () => child.disconnect() }
}

/** Peak RSS of a process of its own that reads so many days, their rows into nowhere. */
async function peakMb(url: string, count: number): Promise<number> {
  const child = fork(fileURLToPath(new URL('./days-memory.js', import.meta.url)), [url, String(count)], { execArgv: [] })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the process that reads ${count} days ended with ${String(code)} and no figure`)
  })
  const [peak] = (await Promise.race([once(child, 'message'), ended])) as [number]
  ended.catch(() => undefined)
  return peak
}
