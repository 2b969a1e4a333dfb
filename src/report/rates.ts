import type { StepView } from './view.js'

const rateWindowMs = 10_000
const sampleMs = 250

/** Pieces a second of a running step over the ten seconds before `now`, so that it falls when nothing comes. Null until known. */
export function rateOf(step: StepView, now: number): number | null {
  if (step.state !== 'running') return step.perSecond
  const recent = step.samples.filter(([at]) => at >= now - rateWindowMs)
  const [from, done] = recent[0] ?? step.samples.at(-1) ?? [now, step.done]
  return now > from ? ((step.done - done) * 1_000) / (now - from) : step.perSecond
}

/** How long a running step still takes at its present rate; null when nobody can tell. Milliseconds. */
export function etaOf(step: StepView, now: number): number | null {
  const rate = rateOf(step, now)
  if (step.state !== 'running' || step.total === null || rate === null || rate <= 0) return null
  return (Math.max(0, step.total - step.done) * 1_000) / rate
}

/** How long a step has run, or ran. Null before it started. Milliseconds. */
export function elapsedOf(step: Pick<StepView, 'startedAt' | 'endedAt'>, now: number): number | null {
  return step.startedAt === null ? null : Math.max(0, (step.endedAt ?? now) - step.startedAt)
}

/** Pieces in open units, and those that nobody has begun. */
export function openPieces(step: StepView): { processing: number; pending: number } {
  const processing = Math.round(step.open.pieces)
  const left = Math.max(0, (step.total ?? 0) - step.done - step.failed)
  return { processing: Math.min(processing, left), pending: Math.max(0, left - processing) }
}

/** All counts of a record added up. */
export function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

/** Keeps how far the step was at this moment, for `rateOf`. */
export function sample(step: StepView, at: number): void {
  const [first] = step.samples
  // The clock was set back, or the step did not say that it started.
  if (!first || at < first[0]) step.samples = [[at, step.done]]
  const last = step.samples.at(-1)
  if (last && at - last[0] >= sampleMs) step.samples.push([at, step.done])
  while (step.samples.length > 2 && (step.samples[1]?.[0] ?? at) <= at - rateWindowMs) step.samples.shift()
  const [from, done] = step.samples[0] ?? [at, step.done]
  if (at > from) step.perSecond = ((step.done - done) * 1_000) / (at - from)
}
