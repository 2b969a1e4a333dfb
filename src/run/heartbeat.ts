import { type Clock, micros, type UnitWrite, type WorkerRow } from '../sdk/index.js'

/** How often a worker shows itself beside the ledger, at most. */
const BETWEEN_MS = 10_000

/** When a process is to write its row of `_pipe_workers`, which goes with a commit, and what is in it. */
export class Heartbeat {
  readonly #worker: Omit<WorkerRow, 'step' | 'unit' | 'heartbeatAt'>
  readonly #clock: Clock
  #writtenAt = -Infinity

  constructor(worker: Omit<WorkerRow, 'step' | 'unit' | 'heartbeatAt'>, clock: Clock) {
    this.#worker = worker
    this.#clock = clock
  }

  /** The row to write with a commit that begins with `write`, or undefined while the last one is young. */
  due({ step, unit }: UnitWrite): WorkerRow | undefined {
    if (this.#clock.monotonic() - this.#writtenAt < BETWEEN_MS) return undefined
    return { ...this.#worker, step: step.step, unit, heartbeatAt: micros(this.#clock) }
  }

  written(): void {
    this.#writtenAt = this.#clock.monotonic()
  }
}
