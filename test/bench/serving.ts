import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunDetail } from '../../src/serve/answers.js'
import { firstLine } from './first-line.js'
import type { Figure, GoalOptions } from './goals.js'
import { median, pairs } from './measure.js'
import { cpuMsOf } from './process-cpu.js'

const BLOCKS = 200_000
const FILE = 'pipelines/miners.yaml'
const ONE = '/api/pipelines/miners'
/** What a page asks for, and more often than one does. */
const ASKED = ['/api/pipelines', ONE, '/api/runs', `${ONE}/coverage`, `${ONE}/endpoints`, `${ONE}/gates`]
const EVERY_MS = 500

/** miners.yaml at full speed: what a server and a page that looks on cost it, and how fast the server answers meanwhile. */
export async function* serving({ rounds, server, root }: GoalOptions): AsyncIterable<Figure> {
  const folder = await mkdtemp(join(tmpdir(), 'pipe-serving-'))
  const env = { ...process.env, ETH_RPC_URL: `${server}/0`, PIPE_STATE: `sqlite:${join(folder, 'state.db')}`, PIPE_TOKEN: '' }
  let count = 0
  const fresh = () => ({ ...env, WAREHOUSE_URL: `duckdb:${join(folder, `${count++}.duckdb`)}` })
  const pipe = (args: readonly string[]) =>
    spawn(process.execPath, ['bin/pipe.js', ...args], { cwd: root, env: fresh(), stdio: ['ignore', 'pipe', 'inherit'] })
  const params = { from: 1, to: BLOCKS }
  const latencies: number[] = []
  // How long a run took by its own clock, from its first event to its last, in milliseconds.
  const [watchedMs, bareMs]: [number[], number[]] = [[], []]
  const [parts, resident]: [number[], number[]] = [[], []]
  let served: Served | undefined
  try {
    const ours = {
      before: async () => void (served = await serve(pipe)),
      work: async () => {
        if (!served) throw new Error('no server')
        const { took, part, ms } = await watched(served, params, 1)
        latencies.push(...took)
        watchedMs.push(ms)
        parts.push(part)
      },
      after: async () => {
        if (served) resident.push(peakMb(served))
        await served?.end()
      },
    }
    const theirs = {
      work: async () => {
        const child = pipe([
          'run',
          FILE,
          '--output',
          'json',
          ...Object.entries(params).flatMap(([name, value]) => ['--param', `${name}=${value}`]),
        ])
        let said = ''
        child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
        const [code] = (await once(child, 'close')) as [number | null]
        if (code !== 0) throw new Error(`the run ended with ${code}`)
        const times = [...said.matchAll(/"at":(\d+)/g)].map(([, at]) => Number(at))
        bareMs.push((times.at(-1) ?? NaN) - (times[0] ?? NaN))
      },
    }
    await pairs(rounds, ours, theirs)
    // The first pair only warms up.
    const speed = median(watchedMs.slice(1).map((ms, i) => (bareMs[i + 1] ?? NaN) / ms))
    const [slow, quick] = [median(watchedMs.slice(1)), median(bareMs.slice(1))]
    yield figure('miners.yaml served and watched', seconds(slow), seconds(quick), speed, '>= 0.97', speed >= 0.97)
    yield figure('  processor time of the server, of the run', percent(median(parts)), '', undefined, '', undefined)
    const middle = median(latencies)
    yield figure(`  an answer meanwhile (${latencies.length})`, millis(middle), '', undefined, '<= 20 ms', middle <= 20)
    yield figure('  of 100, 95 within', millis(percentile(latencies, 0.95)), '', undefined, '', undefined)
    yield figure(
      '  peak RSS of the server',
      `${Math.max(...resident).toFixed(0)} MB`,
      '',
      undefined,
      '<= 200 MB',
      Math.max(...resident) <= 200,
    )

    served = await serve(pipe)
    const many = await watched(served, params, 200)
    const peak = peakMb(served)
    await served.end()
    yield figure('200 listeners, who heard the end', String(many.heard), '', undefined, '200', many.heard === 200)
    yield figure('  an answer meanwhile', millis(median(many.took)), '', undefined, '<= 20 ms', median(many.took) <= 20)
    yield figure('  processor time of the server, of the run', percent(many.part), '', undefined, '', undefined)
    yield figure('  peak RSS of the server', `${peak.toFixed(0)} MB`, '', undefined, '<= 200 MB', peak <= 200)
  } finally {
    await served?.end()
    await rm(folder, { recursive: true, force: true })
  }
}

interface Served {
  readonly url: string
  readonly child: ChildProcess
  end(): Promise<void>
}

async function serve(pipe: (args: readonly string[]) => ChildProcess): Promise<Served> {
  const child = pipe(['serve', FILE, '--port', '0'])
  const gone = once(child, 'exit')
  const url = /http:\S+/.exec(await firstLine(child))?.[0]
  if (url === undefined) throw new Error('the server says no address')
  return {
    url,
    child,
    async end() {
      child.kill('SIGTERM')
      await gone
    },
  }
}

/** A run from its start to its end, with so many listeners and one who asks for answers in turn. */
async function watched({ url, child }: Served, params: Readonly<Record<string, number>>, listeners: number) {
  const idle = ownCpuMs(child)
  const over = new AbortController()
  const hearing = Array.from({ length: listeners }, () => heardEnd(`${url}${ONE}/events`, over.signal))
  const began = await fetch(`${url}${ONE}/start`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ params }),
  })
  if (began.status !== 201) throw new Error(`no run began: ${await began.text()}`)
  const { run: id } = (await began.json()) as { readonly run: string }
  const took: number[] = []
  let ms = 0
  let spent = { run: 0, server: 0 }
  for (let i = 0; ; i++) {
    const start = performance.now()
    const response = await fetch(`${url}${ASKED[i % ASKED.length]}`)
    await response.arrayBuffer()
    took.push(performance.now() - start)
    if (response.status !== 200) throw new Error(`${ASKED[i % ASKED.length]} answers ${response.status}`)
    const { state, endedAt, view } = (await (await fetch(`${url}/api/runs/${id}`)).json()) as RunDetail
    if (endedAt !== null && state !== 'done') throw new Error(`the run ended as ${state}`)
    ms = (view.endedAt ?? NaN) - (view.startedAt ?? NaN)
    if (endedAt !== null) break
    const own = ownCpuMs(child)
    const run = (await cpuMsOf(child.pid ?? 0)) - own
    // The run is gone before the server says so, and what it spent with it.
    if (run >= spent.run) spent = { run, server: own - idle }
    await sleep(EVERY_MS)
  }
  const settled = await Promise.race([Promise.all(hearing), sleep(5_000, [])])
  over.abort()
  return { took, ms, part: spent.server / spent.run, heard: settled.filter(Boolean).length }
}

/** Resolves to true when a listener has heard that the run is over. */
async function heardEnd(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(url, { signal })
    const decoder = new TextDecoder()
    let text = ''
    for await (const chunk of response.body ?? []) {
      text = (text + decoder.decode(chunk as Uint8Array, { stream: true })).slice(-400_000)
      if (text.includes('"type":"run:ended"')) return true
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  return false
}

/** Processor time of a process without those that it started. */
function ownCpuMs({ pid }: ChildProcess): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

const peakMb = ({ child }: Served) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024

function percentile(values: readonly number[], part: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length * part)] ?? NaN
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`
const millis = (ms: number) => `${ms.toFixed(1)} ms`
const percent = (part: number) => `${(part * 100).toFixed(1)} %`

const figure = (
  what: string,
  ours: string,
  theirs: string,
  ratio: number | undefined,
  wanted: string,
  met: boolean | undefined,
): Figure => ({
  goal: 'SERV',
  what,
  ours,
  theirs,
  ratio,
  wanted,
  met,
})
