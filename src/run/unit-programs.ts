import type { Json, Program, RunningProgram } from '../sdk/index.js'
import type { UnitTask } from './services.js'

/** Lines of a program that was ended from outside which are told. */
const TOLD_LINES = 5

/** The programs that one attempt at a unit started. When it ends, in whatever way, none of them runs any more. */
export class UnitPrograms {
  readonly #task: UnitTask
  readonly #over = new AbortController()
  readonly #gone: Promise<void>[] = []
  /** What those said last that did not come to their end, as evidence of their unit. */
  readonly stopped: Json[] = []

  constructor(task: UnitTask) {
    this.#task = task
  }

  start(program: Program): RunningProgram {
    const { services, signal } = this.#task
    if (!services.program) throw new Error('programs can not be started here')
    const running = services.program(program, AbortSignal.any([signal, this.#over.signal]))
    this.#gone.push(running.gone.then(() => this.#tellStopped(program, running)))
    return running
  }

  async close(): Promise<void> {
    this.#over.abort()
    await Promise.all(this.#gone)
  }

  /** A step hears nothing more of a program that is ended from outside. */
  #tellStopped({ command }: Program, running: RunningProgram): void {
    const { services, plan, signal } = this.#task
    if (!signal.aborted) return
    const said = running.said()
    this.stopped.push({ stopped: command, said })
    const last = said.length === 0 ? 'it had said nothing' : `it said last: ${said.slice(-TOLD_LINES).join(' | ')}`
    services.emit({ type: 'warning', step: plan.step.id, message: `${command} was stopped; ${last}` })
  }
}
