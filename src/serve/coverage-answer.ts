import type { StepView } from '../report/view.js'
import { type Bucket, buckets, inWindow, type Stretch, type Window } from './coverage.js'
import type { StepCoverage } from './coverage-read.js'
import { Line } from './line.js'

/** What is known of the places of a step in a window, as stretches or, where they are many, in buckets. */
export interface CoverageAnswer {
  readonly step: string
  readonly axis: 'numbers' | 'time' | null
  /** All that the ledger speaks of, and what the last run wanted besides. */
  readonly from: number
  readonly to: number
  readonly units: Readonly<Record<string, number>>
  /** Why what is stale is to be read again: `changed: calls`, `reset`, `inputs touched`. */
  readonly reasons: readonly string[]
  readonly stretches: readonly Stretch[] | null
  readonly buckets: readonly Bucket[] | null
}

interface Asked {
  readonly from: number | undefined
  readonly to: number | undefined
  /** At most so many parts. */
  readonly most: number
}

const UNKNOWN: StepCoverage = { axis: null, line: new Line(), units: {}, reasons: [] }

export function coverageAnswer(
  step: string,
  known: StepCoverage | undefined,
  span: StepView['span'] | undefined,
  asked: Asked,
): CoverageAnswer {
  const { axis: lain, line, units, reasons } = known ?? UNKNOWN
  const axis = lain ?? span?.of ?? null
  // A span of another axis is of a pipeline that was changed since.
  const wanted = span?.of === axis ? span : undefined
  const all: Window = {
    from: Math.min(line.at(0)?.from ?? Infinity, wanted?.from ?? Infinity),
    to: Math.max(line.at(line.length - 1)?.to ?? -Infinity, wanted?.to ?? -Infinity),
  }
  if (axis === null || !(all.from <= all.to)) return { step, axis: null, from: 0, to: -1, units, reasons, stretches: [], buckets: null }
  // Beyond that nobody wants anything, so nothing is missing there.
  const window = { from: Math.max(all.from, asked.from ?? all.from), to: Math.min(all.to, asked.to ?? all.to) }
  const stretches = window.to < window.from ? [] : inWindow(line, window, asked.most)
  return { step, axis, ...all, units, reasons, stretches: stretches ?? null, buckets: stretches ? null : buckets(line, window, asked.most) }
}
