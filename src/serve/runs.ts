import { createInterface } from 'node:readline'
import type { Pipeline } from '../pipeline/pipeline.js'
import { reduce } from '../report/reduce.js'
import { initialView, type RunView } from '../report/view.js'
import { facts, type RunEvent } from '../sdk/events.js'
import type { RunRecord } from '../state/store.js'
import type { Alone } from './alone.js'
import { type Child, closed, errorsOf, type Launch, type Stop } from './child.js'
import type { Feed } from './feed.js'
import type { History } from './history.js'
import { Refusal } from './refusal.js'
import type { Shown } from './shown.js'

/** What a run is asked for. */
export interface StartRequest {
  readonly params?: Readonly<Record<string, string | number | boolean>>
  /** Step ids; left out: all. */
  readonly select?: readonly string[]
  /** At most this many input rows, blocks, days or pages a step. */
  readonly limit?: number
  readonly fresh?: boolean
  readonly untilComplete?: boolean
  readonly follow?: boolean
}

export interface RunsParts {
  readonly launch: Launch
  /** Sends a signal to a process of this machine. */
  readonly kill: (pid: number, signal: Stop) => void
  readonly host: string
  /** What every command gets: `--demo`. */
  readonly flags: readonly string[]
  readonly alone: Alone
  readonly history: History
  readonly feed: (pipeline: string) => Feed
  readonly shown: Shown
  /** Takes note of an event of a run of this server. */
  readonly hear: (pipeline: string, event: RunEvent) => void
  /** Hears what nobody expected. */
  readonly report: (error: unknown) => void
}

/** A run that this server started. */
interface OwnRun {
  readonly view: RunView
  readonly child: Child | undefined
  /** Resolves to its id when it has begun, rejects with why it did not. */
  readonly begun: Promise<string>
  /** Resolves when its process is gone. */
  readonly gone: Promise<void>
  /** What it said to people. */
  readonly said: () => string
}

/**
 * Starts and stops runs. Each is a process of its own, the command that a person would type: however it ends, the server goes on; and
 * when the server ends, the run knows nothing of it.
 */
export class Runs {
  readonly #parts: RunsParts
  readonly #own = new Map<string, OwnRun>()
  #isClosed = false

  constructor(parts: RunsParts) {
    this.#parts = parts
  }

  /** The view of a run that this server started and that is not over. */
  live(pipeline: string): RunView | undefined {
    return this.#own.get(pipeline)?.view
  }

  /** What a run of this server says to people. */
  said(pipeline: string): string {
    return this.#own.get(pipeline)?.said() ?? ''
  }

  /** Whether a run is under way, whoever started it. */
  async isRunning(pipeline: string): Promise<boolean> {
    return this.#own.has(pipeline) || (await this.#running(pipeline)) !== undefined
  }

  /** Resolves when the process of the run that this server started is gone. */
  async ended(pipeline: string): Promise<void> {
    await this.#own.get(pipeline)?.gone
  }

  /** Resolves to the id of the run, when it has begun. @throws {Refusal} naming the run that is in the way, or why it can't begin. */
  async start(pipeline: Pipeline, request: StartRequest): Promise<string> {
    const { name } = pipeline
    await this.settled(name)
    this.#refuseLate()
    const before = this.#own.get(name)
    if (before) throw await inTheWay(name, before)
    const own = this.#begin(pipeline, request)
    this.#own.set(name, own)
    own.gone
      .then(() => {
        this.#own.delete(name)
        return this.#parts.history.refresh(name)
      })
      .catch(this.#parts.report)
    return own.begun
  }

  /** Waits for the process of a run that has said that it is over: until then the database is its. */
  async settled(pipeline: string): Promise<void> {
    for (let own = this.#own.get(pipeline); own?.view.state === 'ended'; own = this.#own.get(pipeline)) await own.gone
  }

  /** The run that is under way, whoever started it. @throws {Refusal} when none is. */
  async underWay(name: string): Promise<RunRecord> {
    await this.settled(name)
    await this.#own.get(name)?.begun
    const running = await this.#running(name)
    if (!running) throw new Refusal(409, 'NOT_RUNNING', `${name} does not run`)
    return running
  }

  /**
   * Asks the run to end: units that are under way are finished, the rest is left to the next run. With `now` they end with what is
   * committed of them. Resolves to its id.
   *
   * @throws {Refusal} when nothing runs, where it runs is another machine, or it is another user's.
   */
  async stop({ name }: Pipeline, { now = false } = {}): Promise<string> {
    const signal = now ? 'SIGTERM' : 'SIGUSR2'
    const { id, pid, host } = await this.underWay(name)
    const own = this.#own.get(name)
    if (own) {
      own.child?.kill(signal)
      return id
    }
    if (host !== this.#parts.host)
      throw new Refusal(409, 'RUNS_ELSEWHERE', `${name} runs on another machine, ${host}`, `stop pid ${pid} there`, id)
    try {
      this.#parts.kill(pid, signal)
    } catch (error) {
      const problem = `run ${id} can't be asked to stop: ${error instanceof Error ? error.message : String(error)}`
      throw new Refusal(409, 'NOT_REACHED', problem, `stop pid ${pid} as the user who started it`, id)
    }
    return id
  }

  /** Stops what this server started, and waits until all of it is gone. Nothing is started from then on. */
  async close(): Promise<void> {
    this.#isClosed = true
    const own = [...this.#own.values()]
    for (const { child } of own) child?.kill('SIGTERM')
    await Promise.all(own.map(({ gone }) => gone))
  }

  #refuseLate(): void {
    if (this.#isClosed) throw new Refusal(503, 'SERVER_ENDS', 'the server is being stopped', 'start it again, then ask again')
  }

  #begin(pipeline: Pipeline, request: StartRequest): OwnRun {
    const { alone, launch, flags, feed } = this.#parts
    const view = initialView()
    const told = feed(pipeline.name)
    let child: Child | undefined
    let said = () => ''
    let left: () => void = () => undefined
    const gone = new Promise<void>((resolve) => (left = resolve))
    const begun = new Promise<string>((resolve, reject) => {
      // Nothing else of ours may have the database open when the run opens it.
      alone
        .do(pipeline.name, async () => {
          const other = await this.#running(pipeline.name)
          if (other) throw runsAlready(pipeline.name, other.id)
          this.#refuseLate()
          const started = launch([...argsOf(pipeline, request), ...flags])
          child = started
          said = errorsOf(started)
          const code = closed(started)
          code.then(left, left)
          const id = await Promise.race([this.#read(pipeline.name, started, view, told), code.then(() => undefined)])
          if (id === undefined) throw await this.#notBegun(pipeline.name, await code, said())
          resolve(id)
        })
        .catch((error: unknown) => {
          if (!child) left()
          reject(error as Error)
        })
    })
    begun.catch(() => undefined)
    return {
      view,
      get child() {
        return child
      },
      begun,
      gone,
      said: () => this.#parts.shown(said()),
    }
  }

  /** Folds what the run tells into its view. Resolves to its id with the first that it tells. */
  #read(name: string, { stdout }: Child, view: RunView, told: Feed): Promise<string> {
    return new Promise((resolve) => {
      createInterface({ input: stdout, crlfDelay: Infinity }).on('line', (line) => {
        const event = eventOf(line)
        if (!event) return
        this.#parts.hear(name, event)
        told.push(event, reduce(view, event))
        resolve(event.run)
      })
    })
  }

  /** Why a run ended before it began. */
  async #notBegun(name: string, code: number | null, said: string): Promise<Refusal> {
    if (code === 3) return runsAlready(name, (await this.#running(name))?.id)
    const words = this.#parts.shown(said).trim()
    return new Refusal(422, 'NOT_STARTED', `the run did not begin: ${words === '' ? `exit code ${code}` : words}`)
  }

  async #running(name: string): Promise<RunRecord | undefined> {
    const last = await this.#parts.history.last(name)
    return last?.outcome === 'running' ? last : undefined
  }
}

async function inTheWay(name: string, { begun }: OwnRun): Promise<Refusal> {
  try {
    return runsAlready(name, await begun)
  } catch (error) {
    return error instanceof Refusal ? error : runsAlready(name, undefined)
  }
}

function runsAlready(name: string, run: string | undefined): Refusal {
  const which = run === undefined ? 'a run' : `run ${run}`
  return new Refusal(409, 'RUNS_ALREADY', `${name} runs already: ${which}`, 'wait until it ends, or stop it', run)
}

function argsOf({ file }: Pipeline, request: StartRequest): string[] {
  const { fresh, untilComplete, follow } = request
  const flags = { '--fresh': fresh, '--until-complete': untilComplete, '--follow': follow }
  return [
    ...['run', file, '--output', 'json', ...partArgs(request)],
    ...Object.entries(flags).flatMap(([flag, wanted]) => (wanted === true ? [flag] : [])),
  ]
}

/** What `plan` and `run` share. */
export function partArgs({ params = {}, select, limit }: Pick<StartRequest, 'params' | 'select' | 'limit'>): string[] {
  return [
    ...Object.entries(params).flatMap(([name, value]) => ['--param', `${name}=${value}`]),
    ...(select && select.length > 0 ? ['--select', select.join(',')] : []),
    ...(limit === undefined ? [] : ['--limit', String(limit)]),
  ]
}

/** What `pipe run --output json` writes; undefined for what a plugin wrote beside it. */
function eventOf(line: string): RunEvent | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const value = JSON.parse(line) as Partial<RunEvent>
    // One of ours by its type.
    return value.type !== undefined && Object.hasOwn(facts, value.type) ? (value as RunEvent) : undefined
  } catch {
    return undefined
  }
}
