import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Figure, GoalOptions } from './goals.js'

const FIRST = 20_000_000
const BLOCKS = 15
const TRANSACTIONS = 50_000
const LATENCY_MS = 20

/** Bytes of a block: with hashes of its transactions, with all of them, and of its receipts. */
interface Sizes {
  readonly listed: number
  readonly full: number
  readonly receipts: number
}

/** What a run over blocks of 50,000 transactions took. */
interface Taken {
  /** From one commit to another, so without start and end of the process. */
  readonly blocksPerSecond: number
  readonly peakMb: number
  /** How late timers were, in milliseconds. */
  readonly p99Ms: number
  readonly maxMs: number
}

/**
 * Blocks of 50,000 transactions by the built command: `blocks` of pipelines/chain-metrics.yaml as it is, with what is computed from them,
 * and with transactions in full. The server has the same two cores.
 */
export async function* bigBlocks({ root }: GoalOptions): AsyncIterable<Figure> {
  const server = fork(fileURLToPath(new URL('./big-blocks-server.js', import.meta.url)), [FIRST, BLOCKS + 1, TRANSACTIONS].map(String), {
    execArgv: [],
  })
  const [{ port, listed, full, receipts }] = (await once(server, 'message')) as [Sizes & { port: number }]
  const url = `http://127.0.0.1:${port}/${LATENCY_MS}`
  const folder = await mkdtemp(join(tmpdir(), 'pipe-big-blocks-'))
  try {
    const file = 'pipelines/chain-metrics.yaml'
    const [shipped, whole] = [join(root, file), join(folder, file)]
    // A project of its own: what lies outside of its folder is not read.
    writeFileSync(join(folder, 'package.json'), '{}')
    for (const part of ['pipelines', 'migrations']) cpSync(join(root, part), join(folder, part), { recursive: true })
    writeFileSync(whole, readFileSync(shipped, 'utf8').replace('params: [$number, false]', 'params: [$number, true]'))
    const cases = [
      [`blocks of ${mega(listed + receipts)}`, shipped, 'blocks'],
      [`with transactions, of ${mega(full + receipts)}`, whole, 'blocks'],
      ['with rollups', shipped, 'blocks,chain_metrics_block,contract_metrics_block,active_addresses,contract_metrics_1m,chain_metrics_1m'],
    ] as const
    for (const [what, file, select] of cases)
      for (const into of ['duckdb', 'chdb'] as const) yield* figures(`${what}, ${into}`, await taken(root, { url, file, select, into }))
  } finally {
    server.disconnect()
    await rm(folder, { recursive: true })
  }
}

const mega = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`

function* figures(what: string, { blocksPerSecond, peakMb, p99Ms, maxMs }: Taken): Iterable<Figure> {
  const figure = { goal: 'big', theirs: '', ratio: undefined }
  const rows = Math.round(blocksPerSecond * TRANSACTIONS).toLocaleString('en')
  const ours = `${blocksPerSecond.toFixed(2)} blocks/s`
  yield { ...figure, what, ours, theirs: `${rows} rows/s`, wanted: '>= 1', met: blocksPerSecond >= 1 }
  yield { ...figure, what: '  peak RSS', ours: `${peakMb.toFixed(0)} MB`, wanted: '<= 512 MB', met: peakMb <= 512 }
  const stall = `${maxMs.toFixed(0)} ms (p99 ${p99Ms.toFixed(0)})`
  yield { ...figure, what: '  longest stall of the loop', ours: stall, wanted: '<= 100 ms', met: maxMs <= 100 }
}

interface Case {
  readonly url: string
  readonly file: string
  readonly select: string
  readonly into: 'duckdb' | 'chdb'
}

async function taken(root: string, { url, file, select, into }: Case): Promise<Taken> {
  const folder = await mkdtemp(join(tmpdir(), 'pipe-big-blocks-'))
  const [found, probe] = [join(folder, 'found.json'), join(folder, 'probe.mjs')]
  // It measures from the signal on: what is loaded at the start keeps nobody waiting.
  writeFileSync(
    probe,
    `import { readFileSync, writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
const delay = monitorEventLoopDelay({ resolution: 10 })
delay.enable()
process.on('SIGUSR2', () => delay.reset())
process.on('exit', () => writeFileSync(${JSON.stringify(found)}, JSON.stringify({
  peakMb: Number(/VmHWM:\\s*(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024,
  p99Ms: delay.percentile(99) / 1e6 - 10,
  maxMs: delay.max / 1e6 - 10,
})))
`,
  )
  try {
    const env = {
      ...process.env,
      RPC_URLS: url,
      WAREHOUSE_URL: into === 'duckdb' ? `duckdb:${join(folder, 'bench.duckdb')}` : `chdb:${join(folder, 'ch')}`,
      PIPE_STATE: `sqlite:${join(folder, 'state.db')}`,
    }
    await ended(spawn(process.execPath, ['bin/pipe.js', 'migrate', file], { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] }))
    const args = ['bin/pipe.js', 'run', file, '--select', select, '--output', 'json']
    const child = spawn(process.execPath, ['--import', probe, ...args, '--param', `from=${FIRST}`, '--param', `to=${FIRST + BLOCKS - 1}`], {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exit = ended(child)
    const commits: number[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      const event = JSON.parse(line) as { type: string; at: number; step?: string; rows?: Record<string, number> }
      if (event.type === 'step:started' && event.step?.startsWith('blocks') === true) child.kill('SIGUSR2')
      if (event.type === 'batch:committed' && (event.rows?.transactions ?? 0) > 0) commits.push(Date.now())
    }
    await exit
    const [first = 0, last = 0] = [commits[0], commits.at(-1)]
    const measured = JSON.parse(readFileSync(found, 'utf8')) as Omit<Taken, 'blocksPerSecond'>
    return { ...measured, blocksPerSecond: ((BLOCKS - BLOCKS / commits.length) / (last - first)) * 1000 }
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function ended(child: ReturnType<typeof spawn>): Promise<void> {
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${child.spawnargs.join(' ')} ended with ${String(code)}`)
}
