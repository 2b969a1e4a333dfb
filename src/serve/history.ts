import type { Pipeline } from '../pipeline/pipeline.js'
import { viewOf } from '../report/status.js'
import type { RunView } from '../report/view.js'
import type { Clock } from '../sdk/index.js'
import { asJson } from '../session/keep-state.js'
import type { CheckRecord, FactsRecord, RunRecord, RunsOf, StateStore } from '../state/store.js'
import type { Feed } from './feed.js'

export interface HistoryParts {
  readonly state: StateStore
  /** Which runs of a pipeline count: those of the demo, or the others. */
  readonly of: (pipeline: Pipeline) => RunsOf
  readonly pipelines: ReadonlyMap<string, Pipeline>
  readonly feed: (pipeline: string) => Feed
  /** The view of a run of this server, which is newer than what the state store has. */
  readonly live: (pipeline: string) => RunView | undefined
  readonly clock: Clock
}

/** Results of checks that are looked through. */
const CHECKS = 1_000
/** The state store is looked at for listeners at most so often, for all of a pipeline together. */
const LOOK_MS = 500

/** What the state store knows of all runs, whoever started them, with what this server knows better. */
export class History {
  readonly #parts: HistoryParts
  readonly #seen = new Map<string, string>()
  readonly #looks = new Map<string, { readonly at: number; readonly done: Promise<void> }>()

  constructor(parts: HistoryParts) {
    this.#parts = parts
  }

  /** The run that runs, else the last one. */
  async last(name: string): Promise<RunRecord | undefined> {
    return (await this.runs(name, 1))[0]
  }

  /** Newest first. */
  async runs(name: string, limit: number): Promise<readonly RunRecord[]> {
    const { state, live } = this.#parts
    const runs = await state.runs(name, { ...this.#of(name), limit })
    const view = live(name)
    return runs.map((run) => (run.id === view?.run ? { ...run, view: asJson(view) } : run))
  }

  /** A run with its pipeline. */
  async run(id: string): Promise<RunRecord | undefined> {
    const found = await this.#parts.state.run(id)
    const known = found && this.#parts.pipelines.has(found.pipeline) ? found : undefined
    const view = known && this.#parts.live(known.pipeline)
    return known && view?.run === id ? { ...known, view: asJson(view) } : known
  }

  facts(run: string): Promise<FactsRecord | undefined> {
    return this.#parts.state.facts(run)
  }

  checks(name: string): Promise<readonly CheckRecord[]> {
    return this.#parts.state.checks(name, CHECKS, this.#of(name))
  }

  /** Shows listeners of a pipeline what another process does, where this server runs nothing itself. */
  async refresh(name: string): Promise<void> {
    const { live, clock } = this.#parts
    if (live(name)?.state !== 'ended' && live(name) !== undefined) return
    const now = clock.monotonic()
    const before = this.#looks.get(name)
    if (before && now - before.at < LOOK_MS) return before.done
    const done = this.#look(name)
    this.#looks.set(name, { at: now, done })
    return done
  }

  async #look(name: string): Promise<void> {
    const last = await this.last(name)
    const seen = last === undefined ? '' : `${last.id} ${last.updatedAt} ${last.outcome}`
    if (this.#seen.get(name) === seen) return
    this.#seen.set(name, seen)
    this.#parts.feed(name).show(last && viewOf(last))
  }

  #of(name: string): RunsOf {
    const pipeline = this.#parts.pipelines.get(name)
    return pipeline ? this.#parts.of(pipeline) : {}
  }
}
