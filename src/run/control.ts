import type { Clock, RunFact } from '../sdk/index.js'

export interface ControlOptions {
  readonly clock: Clock
  readonly emit: (fact: RunFact) => void
  /** Aborted when the run is to end: it takes up nothing further then. */
  readonly over: AbortSignal
}

/** What has just ended may be followed by something that was waiting for it. */
const SETTLE_MS = 10

/**
 * What people change of a run that is under way: whether it goes on, and how much its steps do at once. A run that is to pause comes to
 * rest when nothing is under way any more.
 */
export class Control {
  readonly #options: ControlOptions
  readonly #parallel = new Map<string, number>()
  readonly #listeners = new Set<() => void>()
  #paused = false
  #atRest = false
  #under = 0
  #begun = 0

  constructor(options: ControlOptions) {
    this.#options = options
  }

  /** Nothing further is to be begun. */
  get paused(): boolean {
    return this.#paused
  }

  /** It is paused, and nothing is under way. */
  get atRest(): boolean {
    return this.#atRest
  }

  /** How much somebody wants a step to do at once; undefined: nobody said so. */
  parallel(step: string): number | undefined {
    return this.#parallel.get(step)
  }

  /** Calls `listener` when something was changed. Calling the result ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Takes up what people want now. Returns whether it is anything new. */
  take({ paused, parallel }: { readonly paused: boolean; readonly parallel: Readonly<Record<string, number>> }): boolean {
    const { emit, over } = this.#options
    const wider = Object.entries(parallel).filter(([step, most]) => this.#parallel.get(step) !== most)
    if (over.aborted || (wider.length === 0 && paused === this.#paused)) return false
    for (const [step, most] of wider) {
      this.#parallel.set(step, most)
      emit({ type: 'step:parallel', step, most })
    }
    if (paused !== this.#paused) {
      this.#paused = paused
      this.#atRest = false
      emit({ type: paused ? 'run:pausing' : 'run:resumed' })
    }
    for (const listener of [...this.#listeners]) listener()
    this.#settle()
    return true
  }

  /** Resolves when something may be begun: at once, or when the run goes on or the signal is aborted. */
  async mayBegin(signal: AbortSignal): Promise<void> {
    while (this.#paused && !signal.aborted)
      await new Promise<void>((resolve) => {
        const go = () => {
          leave()
          signal.removeEventListener('abort', go)
          resolve()
        }
        const leave = this.onChange(go)
        signal.addEventListener('abort', go)
      })
  }

  /** Counts a piece of work while it is under way. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#begin()
    try {
      return await work()
    } finally {
      this.#end()
    }
  }

  /** Leaves a piece of work out while it waits for others, which count themselves. */
  async whileWaiting<T>(wait: () => Promise<T>): Promise<T> {
    this.#end()
    try {
      return await wait()
    } finally {
      this.#begin()
    }
  }

  #begin(): void {
    this.#under++
    this.#begun++
  }

  #end(): void {
    this.#under--
    this.#settle()
  }

  #settle(): void {
    const { clock, emit, over } = this.#options
    const rests = () => this.#paused && !this.#atRest && this.#under === 0
    if (!rests()) return
    const begun = this.#begun
    clock.sleep(SETTLE_MS, over).then(
      () => {
        if (!rests() || this.#begun !== begun) return
        this.#atRest = true
        emit({ type: 'run:paused' })
      },
      () => undefined,
    )
  }
}
