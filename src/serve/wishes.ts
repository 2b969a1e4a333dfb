import type { Pipeline } from '../pipeline/pipeline.js'
import { viewOf } from '../report/status.js'
import type { StepView } from '../report/view.js'
import type { RunRecord, StateStore, Wish } from '../state/store.js'
import { type PipelineState, stateOf } from './answers.js'
import { Refusal } from './refusal.js'
import type { Runs } from './runs.js'

export interface WishesParts {
  readonly runs: Pick<Runs, 'underWay'>
  readonly state: StateStore
}

/** What was asked of a run. It is taken up within about a second. */
export interface Asked {
  /** The id of the run. */
  readonly run: string
  /** As the run is just now. */
  readonly state: PipelineState
}

/**
 * Asks runs to pause, to go on, or to do more or less at once. It is written into the state store, where the run finds it: so it
 * reaches runs that somebody else started, on whatever machine.
 */
export class Wishes {
  readonly #parts: WishesParts

  constructor(parts: WishesParts) {
    this.#parts = parts
  }

  /** @throws {Refusal} when nothing runs, the run is being stopped, or it is paused already. */
  async pause(pipeline: Pipeline): Promise<Asked> {
    const running = await this.#underWay(pipeline)
    return this.#wish(pipeline, running, (before) => {
      const hint = 'resume it, or stop it'
      if (before.paused) throw new Refusal(409, 'PAUSED_ALREADY', `${pipeline.name} is paused already`, hint, running.id)
      return { ...before, paused: true }
    })
  }

  /** @throws {Refusal} when nothing runs, the run is being stopped, or it is not paused. */
  async resume(pipeline: Pipeline): Promise<Asked> {
    const running = await this.#underWay(pipeline)
    return this.#wish(pipeline, running, (before) => {
      if (!before.paused) throw new Refusal(409, 'NOT_PAUSED', `${pipeline.name} is not paused`, 'it goes on by itself', running.id)
      return { ...before, paused: false }
    })
  }

  /** Has a step, or all of them, do so much at once. Resolves to the steps that it holds for. @throws {Refusal} where it means nothing. */
  async parallel(pipeline: Pipeline, { step, parallel }: { readonly step?: string; readonly parallel: number }) {
    const running = await this.#underWay(pipeline)
    const view = viewOf(running)
    const isLast = !view.follow && view.round === null
    const whyNot = (id: string) => refusalOf(pipeline, id, { running, isLast, steps: view.steps })
    const ids = step === undefined ? pipeline.steps.map(({ id }) => id).filter((id) => whyNot(id) === undefined) : [step]
    const refused = whyNot(step ?? ids[0] ?? pipeline.steps.at(-1)?.id ?? '')
    if (refused) throw refused
    const asked = Object.fromEntries(ids.map((id) => [id, parallel]))
    const { run } = await this.#wish(pipeline, running, (before) => ({ ...before, parallel: { ...before.parallel, ...asked } }))
    return { run, parallel: asked }
  }

  async #underWay({ name }: Pipeline): Promise<RunRecord> {
    const running = await this.#parts.runs.underWay(name)
    if (stateOf(running) === 'stopping')
      throw new Refusal(409, 'STOPPING', `${name} is being stopped`, 'start it again when it has ended', running.id)
    return running
  }

  async #wish({ name }: Pipeline, running: RunRecord, change: (before: Wish) => Wish): Promise<Asked> {
    let wish = running.wish
    const isThere = await this.#parts.state.wish(running.id, (before) => (wish = change(before)))
    if (!isThere) throw new Refusal(409, 'NOT_RUNNING', `${name} does not run any more`)
    return { run: running.id, state: stateOf({ ...running, wish }) }
  }
}

/** Why a step of a run can't be told how much to do at once; undefined: it can. */
function refusalOf(
  { steps }: Pipeline,
  id: string,
  { running, isLast, steps: views }: { readonly running: RunRecord; readonly isLast: boolean; readonly steps: readonly StepView[] },
): Refusal | undefined {
  const step = steps.find((each) => each.id === id)
  const view = views.find((each) => each.id === id)
  if (step?.definition.closes === true || (view && view.planned !== null && view.parallel === null))
    return new Refusal(422, 'NOT_PARALLEL', `step ${id} does one thing at a time`, 'name a step with several units', running.id)
  // A run that has just begun has not said yet what it does.
  if (!view && views.length > 0)
    return new Refusal(409, 'NOT_IN_RUN', `this run does not do step ${id}`, 'start one that selects it', running.id)
  if (view && view.endedAt !== null && isLast)
    return new Refusal(409, 'STEP_ENDED', `step ${id} has ended`, '`parallel` in the file holds for the next run', running.id)
  return undefined
}
