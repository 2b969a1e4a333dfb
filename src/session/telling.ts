import type { Pipeline } from '../pipeline/pipeline.js'
import type { Bus } from '../run/bus.js'
import { facts } from '../sdk/events.js'
import { type About, type RunFact, typable } from '../sdk/index.js'
import { createRedactor, redactDeep } from './redact.js'

/** How a run tells what happens. */
export interface Telling {
  /** Tells everyone who listens, without secrets. */
  emit(fact: RunFact): void
  redact(text: string): string
  /** How many facts said that the run gets on. */
  moved(): number
  /** How many facts brought something new: rows, or a part that is done. What is only read again brings nothing. */
  gained(): number
}

/** @param about What the run was asked for, for the commands of its hints. */
export function createTelling(bus: Bus, pipeline: Pipeline, about: About): Telling {
  const clean = createRedactor(pipeline.secrets)
  const redact = (text: string) => typable(clean(text), about)
  let moved = 0
  let gained = 0
  const covering = new Set<string>()
  const emit = (fact: RunFact) => {
    const { moves, quiet } = facts[fact.type]
    if (moves) moved++
    if (fact.type === 'step:planned' && fact.time) covering.add(fact.step)
    if (fact.type === 'batch:committed' && (fact.pieces > 0 || (!covering.has(fact.step) && hasRows(fact.rows)))) gained++
    bus.emit(quiet ? fact : redactDeep(fact, redact))
  }
  return { emit, redact, moved: () => moved, gained: () => gained }
}

const hasRows = (rows: Readonly<Record<string, number>>) => Object.values(rows).some((n) => n > 0)
