import { facts } from '../sdk/events.js'
import type { RunEvent } from '../sdk/index.js'
import { jsonLine } from './escape.js'

const MOST_FACTS = 500
const MOST_CHARACTERS = 256 * 1024

/** The newest of what happened, for those who come later. Facts that come often and say little by themselves are left out. */
export class KeptFacts {
  readonly #lines: string[] = []
  #characters = 0
  #dropped = 0

  /** Each as JSON, the oldest first. */
  get lines(): readonly string[] {
    return this.#lines
  }

  /** How many older ones are gone. */
  get dropped(): number {
    return this.#dropped
  }

  /** How many there were. */
  get count(): number {
    return this.#dropped + this.#lines.length
  }

  push(event: RunEvent): void {
    if (facts[event.type].quiet) return
    const line = jsonLine(event)
    this.#lines.push(line)
    this.#characters += line.length
    while (this.#lines.length > MOST_FACTS || this.#characters > MOST_CHARACTERS) {
      this.#characters -= this.#lines.shift()?.length ?? 0
      this.#dropped++
    }
  }
}
