import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { type Browser, chromium } from 'playwright-core'
import { CHROMIUM_ARGS, chromiumPath } from '../support/chromium.js'
import { firstLine } from './first-line.js'
import type { Figure, GoalOptions } from './goals.js'
import { median } from './measure.js'
import { writePageWorld } from './page-world.js'
import { cpuMsOf, processesOf } from './process-cpu.js'

const WATCHED_MS = 15_000

/**
 * What the page of `pipe serve` weighs and takes: its scripts, the first paint on loopback, the map of a million units with the memory of
 * the server, and the processor time of its renderer beside a run of some sixty units a second. Times of a shared machine say little;
 * processor time does.
 */
export async function* page({ rounds, root }: GoalOptions): AsyncIterable<Figure> {
  const assets = join(root, 'dist/page/assets')
  const scripts = (await readdir(assets)).filter((name) => name.endsWith('.js'))
  const bytes = (await Promise.all(scripts.map((name) => readFile(join(assets, name))))).reduce(
    (sum, text) => sum + gzipSync(text).length,
    0,
  )
  yield figure('JavaScript of the page, gzip', `${(bytes / 1_000).toFixed(1)} kB`, '150 kB', bytes < 150_000)
  const cwd = await mkdtemp(join(tmpdir(), 'pipe-page-bench-'))
  await writePageWorld(cwd)
  try {
    yield* mapOf(rounds, root, cwd)
    if (chromiumPath === undefined) throw new Error('there is no Chromium: name one by PIPE_TEST_CHROMIUM')
    yield* inBrowser(rounds, root, cwd, chromiumPath)
  } finally {
    await rm(cwd, { recursive: true })
  }
}

/** Each round is a server of its own, since it reads the ledger once. */
async function* mapOf(rounds: number, root: string, cwd: string): AsyncIterable<Figure> {
  const taken: { first: number; cpu: number; again: number; now: number; peak: number }[] = []
  for (let round = 0; round < rounds; round++)
    await serving(root, cwd, async ({ url, pid }) => {
      const look = async () => {
        const at = performance.now()
        await (await fetch(`${url}/api/pipelines/million/coverage?buckets=500`)).text()
        return performance.now() - at
      }
      const before = await cpuMsOf(pid)
      const first = await look()
      const cpu = (await cpuMsOf(pid)) - before
      taken.push({ first, cpu, again: await look(), ...(await memoryOf(pid)) })
    })
  const of = (pick: (each: (typeof taken)[number]) => number) => median(taken.map(pick))
  const [first, now, peak] = [of((each) => each.first), of((each) => each.now), of((each) => each.peak)]
  yield figure(
    'the map of a million units, first',
    `${first.toFixed(0)} ms`,
    '1000 ms',
    first < 1_000,
    `${of(({ cpu }) => cpu).toFixed(0)} ms CPU`,
  )
  yield figure('  and again', `${of(({ again }) => again).toFixed(0)} ms`, '', undefined)
  yield figure('  memory of the server', `${now.toFixed(0)} MB`, '200 MB', peak < 200, `${peak.toFixed(0)} MB at most`)
}

async function* inBrowser(rounds: number, root: string, cwd: string, executablePath: string): AsyncIterable<Figure> {
  const launched = await chromium.launchServer({ executablePath, args: CHROMIUM_ARGS })
  const browser = await chromium.connect(launched.wsEndpoint())
  try {
    yield* await serving(root, cwd, async ({ url }) => {
      const paints: number[] = []
      for (let round = 0; round < rounds; round++) paints.push(await firstPaint(browser, `${url}/pipelines/busy`))
      const paint = median(paints)
      return [
        figure('first paint on loopback', `${paint.toFixed(0)} ms`, '1000 ms', paint < 1_000),
        await watching(browser, launched.process().pid ?? 0, url),
      ]
    })
  } finally {
    await browser.close()
    await launched.close()
  }
}

async function firstPaint(browser: Browser, address: string): Promise<number> {
  const context = await browser.newContext()
  const opened = await context.newPage()
  await opened.goto(address)
  await opened.locator('h1').waitFor()
  const paint = await opened.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime)
  await context.close()
  return paint ?? NaN
}

/** Processor time of the renderer while a run is at work. Units say when they begin, commit and end. */
async function watching(browser: Browser, pid: number, url: string): Promise<Figure> {
  const opened = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage()
  await opened.goto(`${url}/pipelines/busy`)
  const headers = { 'content-type': 'application/json' }
  await fetch(`${url}/api/pipelines/busy/start`, { method: 'POST', headers, body: '{}' })
  await opened.locator('.head .mark.busy').waitFor()
  await setTimeout(2_000)
  const done = async () => ((await (await fetch(`${url}/api/pipelines/busy`)).json()) as { progress: { done: number } }).progress.done
  const look = async () => ({ at: performance.now(), cpu: await rendererCpuMs(pid), done: await done() })
  const before = await look()
  await setTimeout(WATCHED_MS)
  const after = await look()
  const seconds = (after.at - before.at) / 1_000
  const share = (after.cpu - before.cpu) / (seconds * 10)
  const units = (after.done - before.done) / 10 / seconds
  return figure('renderer beside a run', `${share.toFixed(1)} % of a core`, '30 %', share < 30, `${units.toFixed(0)} units/s`)
}

async function rendererCpuMs(browser: number): Promise<number> {
  const all = await processesOf(browser)
  const commands = await Promise.all(all.map(({ self }) => readFile(`/proc/${self}/cmdline`, 'utf8').catch(() => '')))
  return all.reduce((sum, { ownMs }, i) => (commands[i]?.includes('--type=renderer') === true ? sum + ownMs : sum), 0)
}

async function serving<T>(root: string, cwd: string, work: (server: { url: string; pid: number }) => Promise<T>): Promise<T> {
  const args = ['serve', 'busy.yaml', 'million.yaml', '--port', '0']
  const server = spawn(process.execPath, [join(root, 'bin/pipe.js'), ...args], { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = once(server, 'exit')
  try {
    const [url = ''] = /http:\S+/.exec(await firstLine(server)) ?? []
    return await work({ url, pid: server.pid ?? 0 })
  } finally {
    server.kill('SIGTERM')
    await gone
  }
}

/** Resident memory of a process, now and at its highest. */
async function memoryOf(pid: number): Promise<{ now: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const of = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1_024
  return { now: of('VmRSS'), peak: of('VmHWM') }
}

function figure(what: string, ours: string, wanted: string, met: boolean | undefined, theirs = ''): Figure {
  return { goal: 'PAGE', what, ours, theirs, ratio: undefined, wanted: wanted === '' ? '' : `< ${wanted}`, met }
}
