import type { Control } from './control.js'
import type { StepTime } from './step-timeout.js'

export interface CrewOptions {
  readonly control: Control
  /** How many workers there are to be now. */
  readonly width: () => number
  /** Aborted when nothing further is to be begun. */
  readonly over: AbortSignal
  /** The time that the step may take. */
  readonly time: StepTime
}

/**
 * The workers of a step, as many as are wanted at each moment: where more are wanted they come at once, where fewer are, those that
 * have ended a turn leave. While the run is paused they begin nothing, and once nothing of them is under way their time stands still.
 */
export class Crew {
  readonly #options: CrewOptions
  readonly #working = new Set<Promise<void>>()
  #size = 0
  #under = 0
  #held: Promise<void> | undefined

  constructor(options: CrewOptions) {
    this.#options = options
  }

  /** Resolves when every worker has ended. `worker` ends when `stays` says so, and never throws. */
  async work(worker: (stays: () => boolean) => Promise<void>): Promise<void> {
    const { control, width } = this.#options
    const fill = () => {
      while (this.#size < width()) this.#join(worker)
    }
    const leave = control.onChange(() => {
      fill()
      this.#keepTime()
    })
    try {
      fill()
      while (this.#working.size > 0) await Promise.race(this.#working)
    } finally {
      leave()
    }
  }

  /** Resolves when a unit may be begun, or none is to be begun any more. One wait for all: a step may have thousands of workers. */
  mayBegin(): Promise<void> {
    const { control, over } = this.#options
    return (this.#held ??= control.mayBegin(over).finally(() => (this.#held = undefined)))
  }

  /** Counts what is under way. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#under++
    this.#keepTime()
    try {
      return await this.#options.control.during(work)
    } finally {
      this.#under--
      this.#keepTime()
    }
  }

  #join(worker: (stays: () => boolean) => Promise<void>): void {
    this.#size++
    let isIn = true
    const leave = () => {
      if (isIn) this.#size--
      isIn = false
    }
    const stays = () => {
      if (this.#size > this.#options.width()) leave()
      return isIn
    }
    const working: Promise<void> = worker(stays).finally(() => {
      leave()
      this.#working.delete(working)
    })
    this.#working.add(working)
  }

  #keepTime(): void {
    const { control, time } = this.#options
    time.count(!control.paused || this.#under > 0)
  }
}
