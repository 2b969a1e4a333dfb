import type { Pipeline } from '../pipeline/pipeline.js'
import type { PlanReport } from '../plan/forecast.js'
import type { Clock } from '../sdk/index.js'
import type { Alone } from './alone.js'
import { type CommandEnd, type Launch, toEnd } from './child.js'
import type { History } from './history.js'
import { Refusal } from './refusal.js'
import { partArgs, type StartRequest } from './runs.js'
import type { Shown } from './shown.js'

export interface CommandsParts {
  readonly launch: Launch
  /** What every command gets: `--demo`. */
  readonly flags: readonly string[]
  readonly alone: Alone
  readonly history: History
  readonly shown: Shown
  readonly clock: Clock
  /** Waits for a run that is ending. */
  readonly settled: (pipeline: string) => Promise<void>
}

const MOST_MS = 120_000

/** What ends soon: plan, retry and reset, each the command that a person would type. */
export class Commands {
  readonly #parts: CommandsParts

  constructor(parts: CommandsParts) {
    this.#parts = parts
  }

  /** What a run would do now, and what it would cost. */
  async plan(
    pipeline: Pipeline,
    request: Pick<StartRequest, 'params' | 'select' | 'limit'> & { readonly offline?: boolean },
  ): Promise<PlanReport> {
    const offline = request.offline === true ? ['--offline'] : []
    const { stdout } = await this.#do(pipeline, ['plan', pipeline.file, '--json', ...partArgs(request), ...offline])
    // What `pipe plan --json` prints.
    return JSON.parse(stdout) as PlanReport
  }

  /** Lets units out of quarantine. Resolves to what it says. */
  async retry(pipeline: Pipeline, { step }: { readonly step?: string }): Promise<readonly string[]> {
    return linesOf(await this.#do(pipeline, ['retry', pipeline.file, ...(step === undefined ? [] : ['--step', step])]))
  }

  /** Marks units as not done. Resolves to what it says. */
  async reset(pipeline: Pipeline, { step, range }: { readonly step: string; readonly range?: string }): Promise<readonly string[]> {
    const part = range === undefined ? [] : [`--range=${range}`]
    return linesOf(await this.#do(pipeline, ['reset', pipeline.file, '--step', step, ...part]))
  }

  async #do({ name }: Pipeline, args: readonly string[]): Promise<CommandEnd> {
    const { alone, launch, flags, history, shown, clock, settled } = this.#parts
    await settled(name)
    return alone.do(name, async () => {
      const end = await toEnd(launch([...args, ...flags]), clock, MOST_MS)
      if (end.code === 0) return end
      const last = await history.last(name)
      if (last?.outcome === 'running')
        throw new Refusal(409, 'RUNS_ALREADY', `${name} runs: run ${last.id}`, 'wait until it ends, or stop it', last.id)
      const words = shown(end.stderr).trim()
      throw new Refusal(422, 'REFUSED', words === '' ? `it ended with ${end.code ?? 'a signal'}` : words)
    })
  }
}

const linesOf = ({ stdout }: CommandEnd) => stdout.split('\n').filter((line) => line !== '')
