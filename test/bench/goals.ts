import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { RpcPool } from '../../src/sdk/index.js'
import { bigBlocks } from './big-blocks.js'
import { days } from './days.js'
import { decoding } from './decode.js'
import { discard } from './discard.js'
import { drive, idlePipeline, openPool, poolLoop, rpcPipeline } from './drive.js'
import { following } from './following.js'
import { inDuckdb } from './in-duckdb.js'
import { loadClickhouse } from './load-clickhouse.js'
import { loadDuckdb } from './load-duckdb.js'
import { loadPostgres } from './load-postgres.js'
import { alone, type Contender, median, pairs, timed } from './measure.js'
import { page } from './page.js'
import { pages } from './pages.js'
import { peers } from './peers.js'
import { proving } from './proof.js'
import { type Load, openRaw, rawLoop } from './raw.js'
import { serving } from './serving.js'
import { shippedPeakMb } from './shipped.js'
import { measureStartup } from './startup.js'

/** One line of the table. */
export interface Figure {
  readonly goal: string
  readonly what: string
  /** What was measured, and what it is compared with, in the unit that they carry. */
  readonly ours: string
  readonly theirs: string
  readonly ratio: number | undefined
  /** In words, and whether it is met; undefined where there is no goal. */
  readonly wanted: string
  readonly met: boolean | undefined
}

export interface GoalOptions {
  readonly rounds: number
  /** `http://127.0.0.1:PORT`, the neutral server. */
  readonly server: string
  readonly root: string
  /** Logs of each day where days of many logs are read. */
  readonly logs: number
}

export const GOALS: Readonly<Record<string, (options: GoalOptions) => AsyncIterable<Figure>>> = {
  G1: fetching,
  G2: bound,
  G3: loading,
  G4: loads,
  G5: peers,
  G7: scheduling,
  G8: starting,
  G9: memory,
  G10: days,
  G13: proofsAndLogs,
  FOLLOW: following,
  BIG: bigBlocks,
  SERVE: serving,
  SHIPPED: shipped,
  PAGES: () => pages(),
  PAGE: page,
}

const balances = (server: string, latency: number, calls: number, batch: number, parallel: number): Load => ({
  url: `${server}/${latency}`,
  method: 'eth_getBalance',
  calls,
  batch,
  parallel,
})

/** A block that is proved, and logs that are decoded. */
async function* proofsAndLogs(options: GoalOptions): AsyncIterable<Figure> {
  yield* proving(options.rounds, options.root)
  yield* decoding(options)
}

/** Every warehouse beside a bare load of the same rows. */
async function* loads(options: GoalOptions): AsyncIterable<Figure> {
  yield* loadDuckdb(options)
  yield* loadPostgres(options)
  yield* loadClickhouse(options)
}

/** How a load is called in the table. */
const named = ({ url, batch, parallel }: Load) => `${new URL(url).pathname.slice(1)} ms, ${batch} x ${parallel}`

async function* fetching({ rounds, server }: GoalOptions): AsyncIterable<Figure> {
  const cases: readonly [load: Load, speed: number][] = [
    [balances(server, 0, 100_000, 100, 10), 0.8],
    [balances(server, 20, 3_000, 10, 5), 0.9],
    [balances(server, 20, 100_000, 100, 50), 0.9],
    [balances(server, 100, 50_000, 100, 50), 0.9],
    [{ ...balances(server, 0, 30_000, 100, 10), method: 'eth_getBlockByNumber' }, 0.8],
  ]
  for (const [load, wanted] of cases) {
    const rpc = openPool(load.url, load)
    const raw = openRaw(load)
    const answers = load.method === 'eth_getBalance' ? '' : ', headers'
    const theirs = { work: () => rawLoop(load, raw) }
    const step = await pairs(rounds, fetchOnly(load, rpc.lane), theirs)
    yield* compared('G1', `step, ${named(load)}${answers}`, load.calls, step, wanted, 1.3)
    const pool = await pairs(rounds, { work: () => poolLoop(load, rpc.lane) }, theirs)
    yield* compared('G1', `pool alone, ${named(load)}${answers}`, load.calls, pool, undefined, undefined)
    await Promise.all([rpc.close(), raw.close()])
  }
}

async function* bound({ rounds, server }: GoalOptions): AsyncIterable<Figure> {
  const cases: readonly [load: Load, part: number][] = [
    [balances(server, 20, 3_000, 10, 5), 0.85],
    [balances(server, 20, 100_000, 100, 20), 0.85],
    [balances(server, 100, 1_000, 10, 5), 0.9],
    [balances(server, 100, 50_000, 100, 50), 0.9],
  ]
  for (const [load, wanted] of cases) {
    const rpc = openPool(load.url, load)
    const { ms } = await alone(rounds, fetchOnly(load, rpc.lane))
    await rpc.close()
    const most = (load.parallel * load.batch * 1000) / Number(new URL(load.url).pathname.slice(1))
    const ratio = ((load.calls / ms) * 1000) / most
    yield {
      goal: 'G2',
      what: `of the bound, ${named(load)}`,
      ours: `${perSecond(load.calls, ms)} calls/s`,
      theirs: `${thousands(most)} calls/s`,
      ratio,
      ...atLeast(ratio, wanted),
    }
  }
  yield* adapting(server)
}

/** Nothing fixed: what the controller makes of 100 ms, beside 10 calls x 5 requests. */
async function* adapting(server: string): AsyncIterable<Figure> {
  const load = balances(server, 100, 200_000, 10, 5)
  const rpc = openPool(load.url, undefined)
  const { ms } = await timed(fetchOnly({ ...load, calls: 20_000 }, rpc.lane))
  const first = perSecond(20_000, ms)
  const second = await alone(1, fetchOnly(load, rpc.lane))
  const found = rpc.limits()
  await rpc.close()
  const rate = (load.calls / second.ms) * 1000
  yield {
    goal: 'G2',
    what: `adapting at 100 ms (first 20,000: ${first}/s; found ${found})`,
    ours: `${thousands(rate)} calls/s`,
    theirs: '500 calls/s (10 x 5)',
    ratio: rate / 500,
    wanted: '',
    met: undefined,
  }
}

async function* loading({ rounds, server }: GoalOptions): AsyncIterable<Figure> {
  const cases: readonly [load: Load, part: number][] = [
    [balances(server, 20, 5_000, 10, 5), 0.95],
    [balances(server, 20, 100_000, 100, 50), 0.7],
    [balances(server, 0, 100_000, 100, 10), 0.5],
  ]
  for (const [load, wanted] of cases) {
    const rpc = openPool(load.url, load)
    const both = await pairs(rounds, endToEnd(load, rpc.lane), fetchOnly(load, rpc.lane))
    await rpc.close()
    yield* compared('G3', `DuckDB, ${named(load)}`, load.calls, both, wanted, undefined)
  }
}

async function* scheduling({ rounds }: GoalOptions): AsyncIterable<Figure> {
  const units = 100_000
  const pipeline = idlePipeline(units)
  const { ms, cpuMs } = await alone(
    rounds,
    inDuckdb((warehouse) => drive({ pipeline, warehouse, rpc: unused })),
  )
  yield {
    goal: 'G7',
    what: '100,000 no-op units',
    ours: `${(ms / 1000).toFixed(1)} s`,
    theirs: '',
    ratio: undefined,
    ...atMost(ms / 1000, 6, 's'),
  }
  const each = (cpuMs * 1000) / units
  yield { goal: 'G7', what: 'CPU a unit', ours: `${each.toFixed(0)} us`, theirs: '', ratio: undefined, ...atMost(each, 50, 'us') }
}

async function* starting({ rounds, root }: GoalOptions): AsyncIterable<Figure> {
  for (const { what, beside, ours, theirs, ratio, goal } of await measureStartup(rounds, root))
    yield {
      goal: 'G8',
      what: `${what}, CPU beside ${beside}`,
      ours: `${ours.toFixed(0)} ms`,
      theirs: `${theirs.toFixed(0)} ms`,
      ratio,
      ...atMost(ratio, goal, ''),
    }
}

async function* memory({ rounds, server }: GoalOptions): AsyncIterable<Figure> {
  const sizes = [100_000, 1_000_000] as const
  for (const [into, most] of [
    ['nowhere', 150],
    ['duckdb', 300],
  ] as const) {
    const peaks: [small: number[], large: number[]] = [[], []]
    for (let round = 0; round < Math.min(3, rounds); round++)
      for (const [i, rows] of sizes.entries()) peaks[i]?.push(await peakMb(server, into, rows))
    const [small, large] = [median(peaks[0]), median(peaks[1])]
    const ratio = large / small
    const what = into === 'duckdb' ? 'with DuckDB' : 'fetch-only'
    yield {
      goal: 'G9',
      what: `${what}, 1M rows`,
      ours: `${large.toFixed(0)} MB`,
      theirs: '',
      ratio: undefined,
      ...atMost(large, most, 'MB'),
    }
    yield {
      goal: 'G9',
      what: `${what}, 1M beside 100k rows`,
      ours: `${large.toFixed(0)} MB`,
      theirs: `${small.toFixed(0)} MB`,
      ratio,
      ...atMost(ratio, 1.15, ''),
    }
  }
}

/** What people run: a pipeline of the project with its two steps and its gate, from the command line, ten times as many rows beside some. */
async function* shipped({ root }: GoalOptions): AsyncIterable<Figure> {
  const peaks: number[] = []
  for (const rows of [20_000, 60_000, 200_000, 500_000]) {
    const peak = await shippedPeakMb(root, 'pipelines/miners.yaml', rows)
    peaks.push(peak)
    const what = `miners.yaml, ${rows / 1000}k rows`
    yield { goal: 'ship', what, ours: `${peak.toFixed(0)} MB`, theirs: '', ratio: undefined, ...atMost(peak, 300, 'MB') }
  }
  // From 320,000 rows on, 32 units are open at once.
  const [most = NaN, before = NaN] = peaks.reverse()
  const compared = { goal: 'ship', ours: `${most.toFixed(0)} MB`, theirs: `${before.toFixed(0)} MB`, ratio: most / before }
  yield { ...compared, what: 'miners.yaml, 500k beside 200k rows', ...atMost(most / before, 1.15, '') }
}

/** Peak RSS of a process of its own that fetches so many rows. */
function peakMb(server: string, into: string, rows: number): Promise<number> {
  const child = fork(fileURLToPath(new URL('./memory.js', import.meta.url)), [server, into, String(rows)], { execArgv: [] })
  return new Promise((resolve, reject) => {
    child.once('message', (peak) => resolve(Number(peak)))
    child.once('exit', (code) => reject(new Error(`the process for ${rows} rows into ${into} ended with ${code} and no figure`)))
  })
}

export function fetchOnly(load: Load, lane: RpcPool): Contender {
  const pipeline = rpcPipeline(load)
  return {
    work: async () => {
      const warehouse = discard()
      await drive({ pipeline, warehouse, rpc: lane })
      if (warehouse.rows !== load.calls) throw new Error(`${warehouse.rows} rows of ${load.calls} calls`)
    },
  }
}

export function endToEnd(load: Load, lane: RpcPool): Contender {
  const pipeline = rpcPipeline(load)
  return inDuckdb(
    (warehouse) => drive({ pipeline, warehouse, rpc: lane }),
    async (warehouse) => await warehouse.prepare([...pipeline.tables.values()]),
  )
}

const unused: RpcPool = {
  batch: () => Promise.reject(new Error('asks nothing')),
  request: () => Promise.reject(new Error('asks nothing')),
  logs: () => [] as never,
  turns: () => [] as never,
  prove: () => Promise.reject(new Error('asks nothing')),
  ready: () => Promise.resolve(),
}

function* compared(
  goal: string,
  what: string,
  calls: number,
  { ours, theirs, speed, cpu }: Awaited<ReturnType<typeof pairs>>,
  wantedSpeed: number | undefined,
  wantedCpu: number | undefined,
): Iterable<Figure> {
  yield {
    goal,
    what,
    ours: `${perSecond(calls, ours.ms)} calls/s`,
    theirs: `${perSecond(calls, theirs.ms)} calls/s`,
    ratio: speed,
    ...(wantedSpeed === undefined ? { wanted: '', met: undefined } : atLeast(speed, wantedSpeed)),
  }
  yield {
    goal,
    what: '  CPU a call',
    ours: `${((ours.cpuMs * 1000) / calls).toFixed(1)} us`,
    theirs: `${((theirs.cpuMs * 1000) / calls).toFixed(1)} us`,
    ratio: cpu,
    ...(wantedCpu === undefined ? { wanted: '', met: undefined } : atMost(cpu, wantedCpu, '')),
  }
}

const atLeast = (value: number, least: number) => ({ wanted: `>= ${least}`, met: value >= least })
const atMost = (value: number, most: number, unit: string) => ({
  wanted: `<= ${Number(most.toFixed(2))}${unit === '' ? '' : ` ${unit}`}`,
  met: value <= most,
})
const thousands = (value: number) => Math.round(value).toLocaleString('en')
const perSecond = (calls: number, ms: number) => thousands((calls / ms) * 1000)
