import { type LedgerRow, micros } from '../sdk/index.js'
import type { StepPlan } from '../plan/plan.js'
import type { RunServices } from './services.js'

/** Units opened by one statement, at first and at most. */
const OPEN_FIRST = 64
const OPEN_MOST = 4_096

/** Opens units ahead of those who do them: about as many as a second takes, so that a killed run leaves little behind. */
export class Opener {
  readonly #services: RunServices
  readonly #plan: StepPlan
  readonly #opened = new Map<string, LedgerRow>()
  #next = 0
  #size = OPEN_FIRST
  #openedAt = -Infinity
  #opening: Promise<void> | undefined

  constructor(services: RunServices, plan: StepPlan) {
    this.#services = services
    this.#plan = plan
  }

  /** The unit at `index`, opened. Each is taken once, in order. */
  async take(index: number): Promise<LedgerRow> {
    const key = this.#plan.units[index]?.key ?? ''
    while (index >= this.#next || this.#opening) {
      if (this.#opened.has(key)) break
      this.#more()
      await this.#opening
    }
    const row = this.#opened.get(key)
    if (!row) throw new Error(`unit ${key} was not opened`)
    this.#opened.delete(key)
    if (this.#opened.size < this.#size / 2) this.#more()
    return row
  }

  #more(): void {
    if (this.#opening || this.#next >= this.#plan.units.length) return
    const { clock, warehouse, pipeline } = this.#services
    const lasted = clock.monotonic() - this.#openedAt
    if (lasted < 500) this.#size = Math.min(OPEN_MOST, this.#size * 2)
    else if (lasted > 2_000) this.#size = Math.max(OPEN_FIRST, this.#size / 2)
    const units = this.#plan.units.slice(this.#next, this.#next + this.#size)
    this.#next += units.length
    const step = { pipeline: pipeline.name, step: this.#plan.step.id, fingerprint: this.#plan.fingerprint }
    const keys = units.map(({ key }) => key)
    this.#opening = warehouse.open(step, keys, micros(clock)).then((rows) => {
      for (const [unit, row] of rows) this.#opened.set(unit, row)
      this.#opening = undefined
      this.#openedAt = clock.monotonic()
    })
    // Whoever takes the next unit meets the error.
    this.#opening.catch(() => undefined)
  }
}
