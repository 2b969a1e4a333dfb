import type { PipeExit, PipeProcess } from './spawn-pipe.js'

/** The part of an unbroken run's work after which a run dies at the latest: what is left lasts for several more. */
const LATEST = 0.35

/**
 * Moments to kill runs at: random, the same ones in every run of a test, and parts of what an unbroken run takes on this
 * machine, so that they lie within the work on a slow machine and on a fast one.
 */
export class Moments {
  #seed = 42
  #wholeMs = Infinity

  /** Lets a run (`--output json`) go to its end and notes how long its work takes. */
  async measure(run: PipeProcess): Promise<PipeExit> {
    await run.saw('"type":"run:started"')
    const began = performance.now()
    const exit = await run.exit
    this.#wholeMs = performance.now() - began
    return exit
  }

  /** Resolves at a moment of the run's work. */
  async within(run: PipeProcess): Promise<void> {
    await run.saw('"type":"run:started"')
    this.#seed = (this.#seed * 1_103_515_245 + 12_345) % 2_147_483_648
    const ms = (this.#seed / 2_147_483_648) * LATEST * this.#wholeMs
    await new Promise((resolve) => setTimeout(resolve, ms))
  }
}
