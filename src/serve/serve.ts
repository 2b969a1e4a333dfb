import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import type { Pipeline } from '../pipeline/pipeline.js'
import { PipeError } from '../sdk/index.js'
import { openLook } from '../session/look.js'
import { openState } from '../session/open-state.js'
import type { Surroundings } from '../session/surroundings.js'
import type { RunsOf, StateStore } from '../state/store.js'
import { Alone } from './alone.js'
import { createApp } from './app.js'
import type { Launch, Stop } from './child.js'
import { Commands } from './commands.js'
import { Feed } from './feed.js'
import { LOOPBACK, Tries } from './guard.js'
import { History } from './history.js'
import { Ledgers } from './ledger.js'
import type { Usage } from './metrics.js'
import { noticesOf } from './notices.js'
import { Runs } from './runs.js'
import { keepSchedules } from './schedules.js'
import { createShown } from './shown.js'
import { stampOf } from './stamp.js'
import { Wishes } from './wishes.js'

/** Whoever reaches the address could start runs. Nothing was opened. */
export class OpenToAllError extends PipeError {
  readonly code = 'OPEN_TO_ALL'
  override readonly hint =
    'set PIPE_TOKEN to at least 32 random characters (openssl rand -base64 32), or leave --bind out: then only this machine reaches it'
  constructor(address: string, problem: string) {
    super(`will not listen on ${address}: ${problem}`)
  }
}

/** The address can't be listened on. */
export class ListenError extends PipeError {
  readonly code = 'LISTEN_FAILED'
  override readonly blame = 'outage'
  override readonly hint = 'end what listens there, or give another --port (0 takes a free one)'
  constructor(address: string, problem: string) {
    super(`can't listen on ${address}: ${problem}`)
  }
}

export interface ServeOptions {
  readonly pipelines: readonly Pipeline[]
  /** Where runs and history are kept. */
  readonly state: string
  readonly bind: string
  readonly port: number
  /** Names besides those of loopback by which it may be asked. */
  readonly allowHosts: readonly string[]
  readonly token: string | undefined
  readonly launch: Launch
  readonly kill: (pid: number, signal: Stop) => void
  /** Whether it runs pipelines at the times that their files name. */
  readonly schedules: boolean
  /** What every command of it gets: `--demo`. */
  readonly flags: readonly string[]
  /** Which runs of a pipeline count. */
  readonly runsOf: (pipeline: Pipeline) => RunsOf
  /** Where the built page lies. */
  readonly page: string
  /** Folders of this machine that no answer names. */
  readonly folders: readonly string[]
  readonly usage: () => Usage
  /** Tells who watches the server what it does by itself. */
  readonly say: (line: string) => void
  readonly report: (error: unknown) => void
}

export interface Serving {
  readonly url: string
  /** Stops the runs that it started, after their checkpoint, and lets go of everything. */
  close(): Promise<void>
}

const LEAST_TOKEN = 32

/** Opens the state store and answers until it is closed. @throws {OpenToAllError} @throws {ListenError} */
export async function startServer(options: ServeOptions, surroundings: Surroundings): Promise<Serving> {
  refuseOpen(options)
  const state = await openState(options.state, surroundings)
  const ended = new AbortController()
  const { app, runs, keep } = createServing(options, surroundings, state, ended.signal)
  // No options of http2 are given, so it is one of http.
  const server = createAdaptorServer({
    fetch: app.fetch,
    overrideGlobalObjects: false,
    serverOptions: { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 5_000, maxHeaderSize: 16_384 },
  }) as Server
  try {
    const port = await listen(server, options)
    const kept = keep().catch(options.report)
    const host = options.bind.includes(':') ? `[${options.bind}]` : options.bind
    return {
      url: `http://${host}:${port}`,
      async close() {
        ended.abort()
        const closed = new Promise<void>((resolve) => server.close(() => resolve()))
        await runs.close()
        await kept
        server.closeAllConnections()
        await closed
        await state.close()
      },
    }
  } catch (error) {
    await state.close()
    throw error
  }
}

/** Everything behind the address. */
export function createServing(options: ServeOptions, surroundings: Surroundings, state: StateStore, signal: AbortSignal) {
  const { clock, cwd, host, newId } = surroundings
  const { launch, flags, kill, token, usage, say, report, schedules } = options
  const pipelines = new Map(options.pipelines.map((pipeline) => [pipeline.name, pipeline]))
  const shown = createShown(options.pipelines, cwd, options.folders)
  const start = newId().replaceAll('-', '').slice(0, 12)
  const feeds = new Map(options.pipelines.map(({ name }) => [name, new Feed(clock, start)]))
  const feed = (name: string): Feed => {
    const found = feeds.get(name)
    if (!found) throw new Error(`no feed of ${name}`)
    return found
  }
  const alone = new Alone()
  const history: History = new History({ state, pipelines, feed, of: options.runsOf, live: (name) => runs.live(name), clock })
  const settled = (name: string) => runs.settled(name)
  const open = (pipeline: Pipeline) => openLook(pipeline, surroundings, { state: options.state })
  const ledgers: Ledgers = new Ledgers({
    settled,
    history,
    alone,
    clock,
    open,
    stamp: (pipeline) => stampOf(pipeline, cwd),
  })
  const runs: Runs = new Runs({
    launch,
    kill,
    host,
    flags,
    alone,
    history,
    feed,
    shown,
    report,
    hear: (name, event) => ledgers.hear(name, event),
  })
  const wishes = new Wishes({ runs, state })
  const commands = new Commands({ launch, flags, alone, history, shown, clock, settled })
  const hosts = new Set([...LOOPBACK, ...options.allowHosts.map((name) => name.toLowerCase())])
  const { page } = options
  const app = createApp({
    hosts,
    token,
    tries: new Tries(clock),
    clock,
    pipelines,
    runs,
    wishes,
    history,
    ledgers,
    units: { open, history, alone, clock, settled },
    commands,
    feed,
    schedules,
    notices: (pipeline) => noticesOf(pipeline, state, !flags.includes('--demo')),
    usage,
    shown,
    page,
    signal,
    report,
  })
  const scheduled = schedules ? options.pipelines : []
  const keep = () => keepSchedules({ pipelines: scheduled, runs, history, clock, say }, signal)
  return { app, runs, keep }
}

function refuseOpen({ bind, token }: ServeOptions): void {
  if (/^(127\.\d+\.\d+\.\d+|localhost|::1)$/.test(bind)) return
  if (token === undefined) throw new OpenToAllError(bind, 'others reach it, and no token is set')
  if (token.length < LEAST_TOKEN) throw new OpenToAllError(bind, `others reach it, and the token has only ${token.length} characters`)
}

function listen(server: Server, { bind, port }: ServeOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new ListenError(`${bind}:${port}`, error.message)))
    server.listen(port, bind, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}
