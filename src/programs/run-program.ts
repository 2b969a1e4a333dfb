import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { redactor } from '../net/redactor.js'
import type { Clock, Program, ProgramEnd, ProgramNews, RunningProgram } from '../sdk/index.js'
import { environmentSecrets } from './environment-secrets.js'
import { type Group, type Kill, startGroup } from './group.js'
import { Lines } from './lines.js'

/** What a program runs in. */
export interface ProgramWorld {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The working folder, absolute. */
  readonly cwd: string
  readonly clock: Clock
  readonly kill: Kill
  /** Never shown of its output, beside what its environment holds. */
  readonly secrets: readonly string[]
  readonly signal: AbortSignal
}

/** Lines are handed over together: the reader of a program that says much is woken so often and no more. */
const TOGETHER_MS = 100
/** Characters that wait for the reader. With more, no more is read of the program, which then waits itself. */
const WAITING = 262_144
const LAST_LINES = 40
const LAST_LENGTH = 400
/** How long output is waited for that a process which left the group may hold open. */
const SILENT_MS = 500
/** How long the system may take to end what was killed. */
const KILLED_MS = 2_000
/** Between two looks whether anything is left of a group, at most. */
const LOOK_MS = 80
/** Shorter values can't be told from ordinary words. */
const LEAST_SECRET = 6

/** Starts a program; see `RunningProgram`. That it can't be started is thrown to its reader. */
export function runProgram(program: Program, world: ProgramWorld): RunningProgram {
  return new Running(program, world)
}

class Running implements RunningProgram {
  readonly gone: Promise<void>
  readonly masked: (text: string) => string
  readonly #program: Program
  readonly #world: ProgramWorld
  readonly #env: ProgramWorld['env']
  readonly #begun: number
  /** Aborted when nobody reads on. */
  readonly #left = new AbortController()
  readonly #streams: Readable[] = []
  readonly #last: string[] = []
  #lines: string[] = []
  #waiting = 0
  #bytes = 0
  #outcome: { readonly end: ProgramEnd } | { readonly error: unknown } | undefined
  #wake: () => void = () => undefined
  #enough: () => void = () => undefined

  constructor(program: Program, world: ProgramWorld) {
    this.#program = program
    this.#world = world
    this.#env = { ...world.env, ...program.env }
    this.#begun = world.clock.monotonic()
    this.masked = redactor([...world.secrets, ...environmentSecrets(this.#env)].filter(({ length }) => length >= LEAST_SECRET))
    this.gone = this.#run().then(
      (end) => this.#ended({ end }),
      (error: unknown) => this.#ended({ error }),
    )
  }

  said(): string[] {
    return this.#last.map((line) => this.masked(line)).map((line) => (line.length > LAST_LENGTH ? `${line.slice(0, LAST_LENGTH)} …` : line))
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ProgramNews> {
    try {
      for (;;) {
        if (this.#lines.length === 0 && !this.#outcome) await new Promise<void>((resolve) => (this.#wake = resolve))
        if (!this.#outcome && this.#waiting < WAITING) await this.#more()
        if (this.#world.signal.aborted) {
          await this.gone
          throw this.#world.signal.reason
        }
        const lines = this.#lines
        this.#lines = []
        this.#waiting = 0
        for (const stream of this.#streams) stream.resume()
        if (lines.length > 0) yield { lines, ms: this.#ms() }
        else if (this.#outcome && 'error' in this.#outcome) throw this.#outcome.error
        else if (this.#outcome) {
          yield this.#outcome
          return
        }
      }
    } finally {
      this.#left.abort()
    }
  }

  /** Resolves when what waits for the reader is enough, or when it has waited long enough. */
  async #more(): Promise<void> {
    const over = new AbortController()
    const enough = new Promise<void>((resolve) => (this.#enough = resolve))
    await Promise.race([enough, this.#world.clock.sleep(TOGETHER_MS, over.signal).catch(() => undefined)])
    over.abort()
  }

  async #run(): Promise<ProgramEnd> {
    const { cwd, kill } = this.#world
    const over = AbortSignal.any([this.#world.signal, this.#left.signal])
    over.throwIfAborted()
    const group = await startGroup(this.#program, { folder: resolve(cwd, this.#program.folder ?? ''), env: this.#env, kill })
    const { child } = group
    const exit = new Promise<Pick<ProgramEnd, 'code' | 'signal'>>((resolve) =>
      child.once('exit', (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined })),
    )
    const closed = new Promise<true>((resolve) => child.once('close', () => resolve(true)))
    for (const stream of [child.stdout, child.stderr]) if (stream) this.#read(stream)
    const aborted = new Promise<void>((resolve) => over.addEventListener('abort', () => resolve(), { once: true }))
    if (over.aborted) await this.#end(group)
    try {
      const ended = await Promise.race([exit, aborted])
      if (!ended) await this.#end(group)
      else await this.#readOut(closed, group)
      over.throwIfAborted()
      return { ...(ended ?? (await exit)), ms: this.#ms() }
    } finally {
      for (const stream of this.#streams) stream.destroy()
      group.release()
    }
  }

  #read(stream: Readable): void {
    const lines = new Lines()
    this.#streams.push(stream)
    stream.on('data', (bytes: Buffer) => {
      this.#bytes += bytes.length
      this.#take(lines.add(bytes))
    })
    stream.on('end', () => this.#take(lines.end()))
    // A pipe that breaks is a program that ends.
    stream.on('error', () => undefined)
  }

  #take(lines: readonly string[]): void {
    if (lines.length === 0) return
    this.#last.push(...lines.slice(-LAST_LINES))
    this.#last.splice(0, this.#last.length - LAST_LINES)
    if (this.#left.signal.aborted || this.#world.signal.aborted) return
    for (const line of lines) {
      this.#lines.push(line)
      this.#waiting += line.length + 1
    }
    this.#wake()
    if (this.#waiting < WAITING) return
    for (const stream of this.#streams) stream.pause()
    this.#enough()
  }

  /** Reads what a program that ended has left to say, and ends what it left running. */
  async #readOut(closed: Promise<true>, group: Group): Promise<void> {
    const { clock } = this.#world
    for (let before = -1; before !== this.#bytes || this.#waiting > 0;) {
      before = this.#bytes
      const quiet = new AbortController()
      const isClosed = await Promise.race([closed, clock.sleep(SILENT_MS, quiet.signal).catch(() => undefined)])
      quiet.abort()
      if (isClosed || this.#left.signal.aborted) break
    }
    if (group.alive()) await this.#end(group)
  }

  /** Asks all of the group to end, and kills what is left when its time is over. */
  async #end(group: Group): Promise<void> {
    for (const stream of this.#streams) stream.resume()
    group.signal('SIGTERM')
    if (await this.#isGone(group, this.#program.graceMs)) return
    group.signal('SIGKILL')
    await this.#isGone(group, KILLED_MS)
  }

  async #isGone(group: Group, ms: number): Promise<boolean> {
    const { clock } = this.#world
    const until = clock.monotonic() + ms
    for (let wait = 5; group.alive(); wait = Math.min(2 * wait, LOOK_MS)) {
      if (clock.monotonic() >= until) return false
      await clock.sleep(wait)
    }
    return true
  }

  #ended(outcome: { readonly end: ProgramEnd } | { readonly error: unknown }): void {
    this.#outcome = outcome
    this.#wake()
    this.#enough()
  }

  #ms(): number {
    return Math.round(this.#world.clock.monotonic() - this.#begun)
  }
}
